"""A BERT that labels words: heads for single corpora and one for the label scheme, trained together.

Notes are cut into windows of whole sentences. Every word (`WORD`) has one tag, that of its first piece. A
head of a corpus learns the corpus's own labels (cross entropy). The head of the scheme learns from all
corpora what each says of a word: the tags that are possible for it. Where a corpus labels a stretch
"Disease or Finding", these two are; where it labels nothing, O is, and all labels that it does not
annotate. The loss is the negative log of the probability of the possible tags together (partial labels; Jin
and Ghahramani, NeurIPS 2002).

Tags are decoded under the rules of BIO by the Viterbi algorithm: I-x only after B-x or I-x.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from kgmed.config import settings_of
from kgmed.errors import ConfigError, InputError
from kgmed.graph import write_atomically
from kgmed.metrics import Agreement, agreement
from kgmed.train.labels import CORPORA, SCHEME, meaning
from kgmed.train.notes import LabelledNote, Span
from kgmed.train.settings import TaggerSettings

__all__ = [
    "SCHEME_HEAD",
    "WORD",
    "Tagger",
    "Window",
    "adapted",
    "bio",
    "counted",
    "decode",
    "score",
    "spans_of",
    "tags_of",
    "train",
    "windows",
]

SCHEME_HEAD = "scheme"
WORD = re.compile(r"\w+|[^\w\s]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])|\n+")
_IGNORED = -100
_STOPPED = 1e9  # what a rule of BIO costs that may not be broken


def bio(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags of labels.

    >>> bio(["Drug"])
    ('O', 'B-Drug', 'I-Drug')
    """
    return ("O", *(f"{mark}-{label}" for label in labels for mark in "BI"))


@dataclass(frozen=True)
class Window:
    """A part of a note that the network reads at once.

    Attributes:
        offset: Place of the part in its note.
        words: Places of the words in the part, in characters.
        spans: What is labelled in it.
    """

    note: str
    source: str
    text: str
    offset: int
    words: tuple[tuple[int, int], ...]
    spans: tuple[Span, ...]


def windows(note: LabelledNote, pieces: Callable[[str], int], most: int) -> Iterator[Window]:
    """The note in parts of whole sentences, as many as fit; a sentence that is too long is cut between words.

    Args:
        pieces: Number of word pieces of a text.
        most: Word pieces that a part may have.
    """
    cuts = [0, *(m.end() for m in _SENTENCE.finditer(note.text)), len(note.text)]
    parts: list[tuple[int, int]] = []
    size = 0
    for start, end in itertools.pairwise(cuts):
        for first, last in _fitting(note.text, start, end, pieces, most):
            count = pieces(note.text[first:last])
            if parts and size + count <= most:
                parts[-1] = (parts[-1][0], last)
                size += count
            else:
                parts.append((first, last))
                size = count
    for start, end in parts:
        text = note.text[start:end]
        words = tuple(m.span() for m in WORD.finditer(text))
        inside = tuple(
            Span(max(s.start, start) - start, min(s.end, end) - start, s.label)
            for s in note.spans
            if s.start < end and start < s.end
        )
        if words:
            yield Window(note.id, note.source, text, start, words, inside)


def _fitting(
    text: str, start: int, end: int, pieces: Callable[[str], int], most: int
) -> Iterator[tuple[int, int]]:
    if pieces(text[start:end]) <= most:
        yield start, end
        return
    middle = text.rfind(" ", start, (start + end) // 2) + 1
    if middle <= start:
        middle = (start + end) // 2
    if middle in (start, end):
        yield start, end
        return
    yield from _fitting(text, start, middle, pieces, most)
    yield from _fitting(text, middle, end, pieces, most)


def tags_of(window: Window) -> list[str]:
    """One tag a word, in the labels of the window's corpus; of overlapping spans the longer one counts."""
    tags = ["O"] * len(window.words)
    taken = [False] * len(window.words)
    for span in sorted(window.spans, key=lambda s: (s.start - s.end, s.start)):
        inside = [i for i, (a, b) in enumerate(window.words) if a < span.end and span.start < b]
        if not inside or any(taken[i] for i in inside):
            continue
        for n, i in enumerate(inside):
            tags[i] = f"{'I' if n else 'B'}-{span.label}"
            taken[i] = True
    return tags


def spans_of(tags: Sequence[str], words: Sequence[tuple[int, int]]) -> list[Span]:
    """Spans that tags stand for; an I that continues nothing begins a span."""
    out: list[Span] = []
    before = "O"
    for tag, (start, end) in zip(tags, words, strict=True):
        if tag != "O":
            if tag[0] == "I" and before[2:] == tag[2:]:
                out[-1] = Span(out[-1].start, end, tag[2:])
            else:
                out.append(Span(start, end, tag[2:]))
        before = tag
    return out


def decode(logits: np.ndarray[Any, Any], tags: Sequence[str]) -> list[int]:
    """The best sequence of tags under the rules of BIO.

    Args:
        logits: Shape (n_words, n_tags).
    """
    n = len(tags)
    rule = np.zeros((n, n))
    for j, tag in enumerate(tags):
        if tag[0] == "I":
            rule[[i for i in range(n) if tags[i][2:] != tag[2:] or tags[i] == "O"], j] = -_STOPPED
    best = logits[0] + np.array([-_STOPPED if tag[0] == "I" else 0.0 for tag in tags])
    back = np.zeros(logits.shape, dtype=np.int64)
    for i in range(1, len(logits)):
        through = best[:, None] + rule
        back[i] = through.argmax(axis=0)
        best = through.max(axis=0) + logits[i]
    path = [int(best.argmax())]
    for i in range(len(logits) - 1, 0, -1):
        path.append(int(back[i, path[-1]]))
    return path[::-1]


def score(wanted: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> dict[str, Agreement]:
    """Strict agreement by label, and of all under "": a span is right when start, end and label are.

    Micro-averaged over the windows, as the CoNLL evaluation has it.
    """
    none = Agreement(0, 0, 0)
    out: dict[str, Agreement] = {"": none}
    for gold, ours in zip(wanted, found, strict=True):
        for label in {s.label for s in (*gold, *ours)}:
            met = agreement((s for s in ours if s.label == label), (s for s in gold if s.label == label))
            for key in ("", label):
                out[key] = out.get(key, none) + met
    return out


@dataclass(frozen=True)
class _Batch:
    ids: torch.Tensor
    mask: torch.Tensor
    firsts: list[
        torch.Tensor
    ]  # of each window the row of the first piece of each word; -1 where it was cut off
    windows: list[Window]


def counted(spans: Iterable[Span], source: str, annotated: Iterable[str], *, gold: bool) -> list[Span]:
    """Spans of a corpus, or of the head of the scheme, as they are compared, without what is not annotated.

    "Disease or Finding" is met by either: all that a label may mean counts as the first of it.
    """
    counts_as = {label: label for label in annotated}
    for means in CORPORA.get(source, {}).values():
        counts_as.update(dict.fromkeys(means, means[0]))
    out = []
    for span in spans:
        means = meaning(source, span.label) if gold else (span.label,)
        if means and means[0] in counts_as:
            out.append(Span(span.start, span.end, counts_as[means[0]]))
    return out


class Tagger(torch.nn.Module):
    """An encoder with heads.

    Args:
        encoder: A network of transformers that gives `last_hidden_state`.
        tokenizer: Its tokenizer (fast).
        heads: Labels of each head, by name; `SCHEME_HEAD` is that of the scheme.
        dropout: Before the heads.
        labels: Of each corpus that `CORPORA` does not list, the labels that it uses: those of the scheme
            among them are what it annotates.
    """

    def __init__(
        self,
        encoder: Any,
        tokenizer: Any,
        heads: dict[str, tuple[str, ...]],
        dropout: float,
        labels: Mapping[str, Iterable[str]] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.tags = {name: bio(labels) for name, labels in heads.items()}
        self.dropout = torch.nn.Dropout(dropout)
        self._annotated: defaultdict[str, set[str]] = defaultdict(lambda: set(SCHEME))
        self._annotated |= {source: set(SCHEME) & set(used) for source, used in labels.items()}
        for source, meant in CORPORA.items():
            self._annotated[source] = {label for means in meant.values() for label in means}
        size = encoder.config.hidden_size
        self.heads = torch.nn.ModuleDict(
            {name: torch.nn.Linear(size, len(tags)) for name, tags in self.tags.items()}
        )

    def batch(self, of: Sequence[Window], most: int) -> _Batch:
        """Windows as ids, with the first piece of every word."""
        read = self.tokenizer(
            [w.text for w in of],
            padding=True,
            truncation=True,
            max_length=most + 2,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        firsts = []
        for window, places in zip(of, read["offset_mapping"].tolist(), strict=True):
            at = {start: row for row, (start, end) in reversed(list(enumerate(places))) if end > start}
            rows = []
            for start, end in window.words:
                row = at.get(start)
                if row is None:  # a piece that reaches over the word, or a word that was cut off
                    row = next((r for r, (a, b) in enumerate(places) if a < end and start < b), None)
                rows.append(-1 if row is None else row)
            firsts.append(torch.tensor(rows))
        return _Batch(read["input_ids"], read["attention_mask"], firsts, list(of))

    def forward(self, batch: _Batch) -> list[torch.Tensor]:
        """States of the words of each window, shape (n_words, hidden); 0 for one that was not read."""
        device = next(self.parameters()).device
        states = self.encoder(
            input_ids=batch.ids.to(device), attention_mask=batch.mask.to(device)
        ).last_hidden_state
        states = self.dropout(states)
        out = []
        for row, firsts in enumerate(batch.firsts):
            at = firsts.to(device)
            out.append(states[row, at.clamp(min=0)] * (at >= 0).unsqueeze(1))
        return out

    def loss(self, batch: _Batch) -> torch.Tensor:
        """Mean over the words, of each head that has something to learn."""
        states = self(batch)
        losses = []
        by_source: dict[str, list[int]] = defaultdict(list)
        for i, window in enumerate(batch.windows):
            by_source[window.source].append(i)
        for source, rows in by_source.items():
            if source in self.heads:
                place = {tag: i for i, tag in enumerate(self.tags[source])}
                gold = [place.get(tag, _IGNORED) for r in rows for tag in tags_of(batch.windows[r])]
                logits = self.heads[source](torch.cat([states[r] for r in rows]))
                losses.append(
                    torch.nn.functional.cross_entropy(
                        logits,
                        torch.tensor(gold, device=logits.device),
                        ignore_index=_IGNORED,
                        reduction="sum",
                    )
                )
        if SCHEME_HEAD in self.heads:
            logits = self.heads[SCHEME_HEAD](torch.cat(states))
            possible = np.concatenate([self._possible(w) for w in batch.windows])
            allowed = torch.from_numpy(possible).to(logits.device)
            chance = torch.logsumexp(logits.masked_fill(~allowed, -math.inf), 1)
            losses.append((torch.logsumexp(logits, 1) - chance).sum())
        words = sum(len(w.words) for w in batch.windows)
        total: torch.Tensor = torch.stack(losses).sum() / max(words, 1)
        return total

    def _possible(self, window: Window) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each tag of the scheme is possible for each word, shape (n_words, n_tags)."""
        tags = self.tags[SCHEME_HEAD]
        place = {tag: i for i, tag in enumerate(tags)}
        known = self._annotated[window.source]
        open_ = np.array([tag == "O" or tag[2:] not in known for tag in tags])
        out = np.tile(open_, (len(window.words), 1))
        for row, tag in enumerate(tags_of(window)):
            if tag != "O" and window.source not in CORPORA and tag[2:] not in SCHEME:
                out[row] = True  # a label of the user's own may lie over any of the scheme
            elif tag != "O" and (meant := meaning(window.source, tag[2:])):
                out[row] = False
                out[row, [place[f"{tag[0]}-{label}"] for label in meant if f"{tag[0]}-{label}" in place]] = (
                    True
                )
        return out

    @torch.no_grad()
    def predict(self, of: Sequence[Window], head: str, most: int, batch: int = 64) -> list[list[Span]]:
        """Spans of each window by a head."""
        self.eval()
        out: list[list[Span]] = [[] for _ in of]
        order = sorted(range(len(of)), key=lambda i: len(of[i].text))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            states = self(self.batch([of[i] for i in rows], most))
            for i, state in zip(rows, states, strict=True):
                logits = self.heads[head](state).float().cpu().numpy()
                tags = [self.tags[head][t] for t in decode(logits, self.tags[head])]
                out[i] = spans_of(tags, of[i].words)
        return out

    def evaluate(self, of: Sequence[Window], most: int) -> dict[str, dict[str, Agreement]]:
        """Strict scores of each corpus by its own head, else by that of the scheme in what it annotates."""
        out = {}
        for source in sorted({w.source for w in of}):
            mine = [w for w in of if w.source == source]
            gold = [spans_of(tags_of(w), w.words) for w in mine]
            if source in self.heads:
                out[source] = score(gold, self.predict(mine, source, most))
                continue
            told = self.predict(mine, SCHEME_HEAD, most)
            wanted = [counted(spans, source, self._annotated[source], gold=True) for spans in gold]
            found = [counted(spans, source, self._annotated[source], gold=False) for spans in told]
            out[source] = score(wanted, found)
        return out


def adapted(encoder: Any, settings: TaggerSettings) -> Any:
    """The encoder itself, or with the matrices of LoRA beside its queries and values (peft)."""
    if settings.method == "full":
        return encoder
    from peft import LoraConfig, inject_adapter_in_model

    shape = LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules=["query", "value"])
    return inject_adapter_in_model(shape, encoder)


def _optimizer(tagger: Tagger, settings: TaggerSettings) -> torch.optim.Optimizer:
    groups = []
    layers = tagger.encoder.config.num_hidden_layers
    for name, parameter in tagger.named_parameters():
        # A frozen layer may be let go later: its parameters are handed over all the same.
        layer = _layer(name, layers)
        above = name.startswith("heads.")
        rate = settings.head_learning_rate if above else settings.learning_rate
        rate *= 1.0 if above else settings.layer_decay ** (layers - layer)
        decays = parameter.ndim > 1
        groups.append(
            {"params": [parameter], "lr": rate, "weight_decay": settings.weight_decay if decays else 0.0}
        )
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return torch.optim.AdamW(groups, fused=True)


def _layer(name: str, layers: int) -> int:
    """Number of the layer that a parameter is of: 0 for the embeddings, `layers` for the heads."""
    match = re.search(r"layer\.(\d+)\.", name)
    if match:
        return int(match[1]) + 1
    return 0 if "embeddings" in name else layers


def _freeze(tagger: Tagger, lowest: int, method: str) -> None:
    """Let learn the heads and, with LoRA, its matrices, else the layers above the frozen ones."""
    layers = tagger.encoder.config.num_hidden_layers
    for name, parameter in tagger.named_parameters():
        if not name.startswith("heads."):
            above = lowest == 0 or _layer(name, layers) > lowest
            parameter.requires_grad_("lora_" in name if method == "lora" else above)


_SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "cyclical": "cosine_with_restarts",
    "constant": "constant_with_warmup",
}


def train(
    tagger: Tagger,
    training: Sequence[Window],
    dev: Sequence[Window],
    settings: TaggerSettings,
    folder: Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train a tagger; its best weights by the mean F1 of the dev corpora end up in it and in `folder`.

    A checkpoint is written after each epoch, so that a run that was cut off goes on with `resume`.

    Returns:
        The history: one row an epoch with `loss`, `dev_f1` and the F1 of each corpus.

    Raises:
        InputError: If there is nothing to train on, or the checkpoint is of other settings.
    """
    from accelerate import Accelerator
    from transformers import get_scheduler

    if not training or not dev:
        raise InputError("training needs windows of both the train and the dev split")
    tracker = None if settings.track == "none" else settings.track
    accelerator = Accelerator(mixed_precision=settings.precision, log_with=tracker, project_dir=str(folder))
    if accelerator.num_processes > 1:
        raise InputError("training runs in one process, on one device: start it without `accelerate launch`")
    if tracker is not None:
        accelerator.init_trackers("kgmed")
    per_epoch = max(1, math.ceil(len(training) / settings.batch))
    steps = per_epoch * settings.epochs
    frozen = settings.frozen
    _freeze(tagger, frozen, settings.method)
    optimizer = _optimizer(tagger, settings)
    schedule = get_scheduler(
        _SCHEDULES[settings.schedule],
        optimizer,
        num_warmup_steps=round(settings.warm_up * steps),
        num_training_steps=steps,
        scheduler_specific_kwargs={"num_cycles": settings.epochs}
        if settings.schedule == "cyclical"
        else None,
    )
    tagger, optimizer = accelerator.prepare(tagger, optimizer)
    accelerator.register_for_checkpointing(schedule)
    plain: Tagger = accelerator.unwrap_model(tagger)
    history: list[dict[str, Any]] = []
    best = (-1.0, 0)
    checkpoint = folder / "checkpoint"
    record = folder / "history.json"
    if resume and record.is_file():
        state = json.loads(record.read_text(encoding="utf-8"))
        if settings_of(TaggerSettings, state["settings"]) != settings:
            raise InputError(f"{record} is of a run with other settings; start anew without --resume")
        accelerator.load_state(str(checkpoint))
        history, best = state["history"], tuple(state["best"])
    for epoch in range(len(history), settings.epochs):
        if settings.unfreeze_every and frozen and epoch and epoch % settings.unfreeze_every == 0:
            frozen -= 1
            _freeze(plain, frozen, settings.method)
        drawn = _draw(training, settings, epoch)
        tagger.train()
        losses = []
        for start in range(0, len(drawn), settings.batch):
            with accelerator.autocast():
                loss = plain.loss(plain.batch(drawn[start : start + settings.batch], settings.most_pieces))
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(tagger.parameters(), settings.gradient_clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
        scores = {s: found[""].f1 for s, found in plain.evaluate(dev, settings.most_pieces).items()}
        mean = float(np.mean(list(scores.values()))) if scores else 0.0
        row = {"epoch": epoch + 1, "loss": float(np.mean(losses)), "dev_f1": mean, **scores}
        history.append(row)
        accelerator.log({k: v for k, v in row.items() if k != "epoch"}, step=epoch + 1)
        say("  ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        accelerator.save_state(str(checkpoint))
        if mean > best[0]:
            best = (mean, epoch + 1)
            save(plain, folder)
        state = {"settings": asdict(settings), "history": history, "best": list(best)}
        write_atomically(record, json.dumps(state, indent=1).encode())
        if settings.patience and epoch + 1 - best[1] >= settings.patience:
            break
    accelerator.end_training()
    load(plain, folder)
    return {"history": history, "best": {"dev_f1": best[0], "epoch": best[1]}}


def _draw(training: Sequence[Window], settings: TaggerSettings, epoch: int) -> list[Window]:
    """The windows of an epoch, shuffled, with neighbours in the order alike in length to waste no padding."""
    chance = random.Random(settings.seed * 1000 + epoch)
    by_source: dict[str, list[Window]] = defaultdict(list)
    for window in training:
        by_source[window.source].append(window)
    sizes = {s: len(found) ** settings.sample for s, found in by_source.items()}
    whole = sum(sizes.values())
    drawn: list[Window] = []
    for source, found in sorted(by_source.items()):
        count = round(len(training) * sizes[source] / whole)
        more, rest = divmod(count, len(found))
        drawn += found * more + chance.sample(found, rest)
    chance.shuffle(drawn)
    out: list[Window] = []
    pool = 32 * settings.batch
    for start in range(0, len(drawn), pool):
        chunk = sorted(drawn[start : start + pool], key=lambda w: len(w.text))
        batches = [chunk[i : i + settings.batch] for i in range(0, len(chunk), settings.batch)]
        # A short batch stays last, so that the others keep their edges.
        full = [b for b in batches if len(b) == settings.batch]
        chance.shuffle(full)
        out += [w for b in (*full, *(b for b in batches if len(b) < settings.batch)) for w in b]
    return out


def save(tagger: Tagger, folder: Path) -> None:
    """Write weights (safetensors), configuration, tokenizer and tags."""
    from safetensors.torch import save as pack

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous().cpu() for name, value in tagger.state_dict().items()}
    write_atomically(folder / "tagger.safetensors", pack(weights))
    tagger.encoder.config.save_pretrained(folder)
    tagger.tokenizer.save_pretrained(folder)
    tags = json.dumps({name: list(tags) for name, tags in tagger.tags.items()}, indent=1)
    write_atomically(folder / "tags.json", tags.encode())


def load(tagger: Tagger, folder: Path) -> None:
    """Read the weights that `save` wrote.

    Raises:
        ConfigError: If they are of other heads.
    """
    from safetensors.torch import load as unpack

    try:
        tagger.load_state_dict(unpack((folder / "tagger.safetensors").read_bytes()))
    except RuntimeError:
        raise ConfigError(f"{folder} holds a tagger of another shape", key="heads") from None
