"""Labelled notes: JSONL, BRAT, IOB and spaCy DocBin files read as text with spans."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgmed.errors import ParseError

__all__ = ["LabelledNote", "Span", "read_notes"]

_TEXT_BOUND = re.compile(r"^(T\d+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t")


@dataclass(frozen=True, order=True)
class Span:
    """A labelled stretch of a text: characters `start` (included) to `end` (not included)."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class LabelledNote:
    """A text and its labelled spans, in order; spans may overlap.

    Attributes:
        split: `train`, `dev` or `test`; empty where the file does not say.
        source: The corpus that it is of; empty where the file does not say.
    """

    id: str
    text: str
    spans: tuple[Span, ...]
    split: str = ""
    source: str = ""


def read_notes(path: str | Path) -> list[LabelledNote]:
    """Read labelled notes.

    Args:
        path: `.jsonl` or `.jsonl.gz` (a line of
            `{"id", "text", "entities": [{"start", "end", "label"}], "split", "source"}` a note), `.iob`,
            `.bio` or `.conll` (a word and its tag a line, an empty line after a sentence), `.spacy` (a
            DocBin), or a folder of BRAT files (`.txt` with `.ann`).

    Raises:
        ParseError: With path and line, if the file is of another kind, malformed, or a span lies
            outside its text.
    """
    path = Path(path)
    if path.is_dir():
        notes = list(_brat(path))
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        notes = list(_jsonl(path))
    elif path.suffix in (".iob", ".bio", ".conll"):
        notes = list(_iob(path))
    elif path.suffix == ".spacy":
        notes = list(_docbin(path))
    else:
        raise ParseError(
            "is none of .jsonl, .jsonl.gz, .iob, .bio, .conll, .spacy and no folder of BRAT files",
            path=str(path),
        )
    if not notes:
        raise ParseError("holds no notes", path=str(path))
    return notes


def _note(path: Path, line: int, table: Any) -> LabelledNote:
    def wrong(what: str) -> ParseError:
        return ParseError(what, path=str(path), line=line)

    if not isinstance(table, dict) or not isinstance(table.get("text"), str):
        raise wrong("needs a text")
    text = table["text"]
    entities = table.get("entities", [])
    if not isinstance(entities, list):
        raise wrong("entities must be a list")
    spans = []
    for i, entity in enumerate(entities):
        if not isinstance(entity, dict):
            raise wrong(f"entities[{i}] must be an object")
        start, end, label = entity.get("start"), entity.get("end"), entity.get("label")
        if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label:
            raise wrong(f"entities[{i}] needs whole numbers start and end, and a label")
        if not 0 <= start < end <= len(text):
            raise wrong(
                f"entities[{i}] from {start} to {end} lies outside the text of {len(text)} characters"
            )
        spans.append(Span(start, end, label))
    return LabelledNote(
        id=str(table.get("id") or f"{path.name}:{line}"),
        text=text,
        spans=tuple(sorted(set(spans))),
        split=str(table.get("split") or ""),
        source=str(table.get("source") or ""),
    )


def _jsonl(path: Path) -> Iterator[LabelledNote]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            table = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            raise ParseError("is no JSON object", path=str(path), line=number) from None
        yield _note(path, number, table)


def _bytes(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ParseError(f"cannot be read ({type(error).__name__})", path=str(path)) from None


def _lines(path: Path) -> list[str]:
    try:
        return _bytes(path).decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise ParseError("is not in UTF-8", path=str(path)) from None


def _iob(path: Path) -> Iterator[LabelledNote]:
    words: list[tuple[str, str]] = []
    first = 1
    for number, line in enumerate([*_lines(path), ""], start=1):
        parts = line.split()
        if parts and not line.startswith("-DOCSTART-"):
            if len(parts) < 2 or (parts[-1] != "O" and parts[-1][:2] not in ("B-", "I-")):
                raise ParseError("needs a word and a tag: O, B-label or I-label", path=str(path), line=number)
            first = first if words else number
            words.append((parts[0], parts[-1]))
        elif words:
            yield _note(path, first, _joined(words))
            words = []


def _joined(words: list[tuple[str, str]]) -> dict[str, Any]:
    text = ""
    entities: list[dict[str, Any]] = []
    before = "O"
    for word, tag in words:
        start = len(text) + bool(text)
        text += f" {word}" if text else word
        if tag != "O":
            if tag[:2] == "I-" and before[2:] == tag[2:]:
                entities[-1]["end"] = len(text)
            else:
                entities.append({"start": start, "end": len(text), "label": tag[2:]})
        before = tag
    return {"text": text, "entities": entities}


def _brat(folder: Path) -> Iterator[LabelledNote]:
    for file in sorted(folder.glob("*.txt")):
        text = "\n".join(_lines(file))
        marks = file.with_suffix(".ann")
        entities = []
        for number, line in enumerate(_lines(marks) if marks.is_file() else [], start=1):
            if not line.startswith("T"):
                continue  # relations, attributes and notes
            match = _TEXT_BOUND.match(line)
            if match is None:
                raise ParseError("is no text-bound annotation of BRAT", path=str(marks), line=number)
            ends = [int(n) for part in match[3].split(";") for n in part.split()]
            # A mention in pieces is taken from its first to its last character.
            entities.append({"start": min(ends), "end": max(ends), "label": match[2]})
        yield _note(marks if entities else file, 1, {"id": file.stem, "text": text, "entities": entities})


def _docbin(path: Path) -> Iterator[LabelledNote]:
    import spacy
    from spacy.tokens import DocBin

    data = _bytes(path)
    try:
        docs = list(DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab))
    except (zlib.error, ValueError, KeyError, IndexError, TypeError) as error:
        raise ParseError(f"is no DocBin ({type(error).__name__})", path=str(path)) from None
    for number, doc in enumerate(docs, start=1):
        entities = [{"start": e.start_char, "end": e.end_char, "label": e.label_} for e in doc.ents]
        yield _note(path, number, {"text": doc.text, "entities": entities})
