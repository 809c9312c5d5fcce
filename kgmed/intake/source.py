"""What was handed over, a file, JSON, a note, a table, to the reader of its format."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from kgmed.errors import InputError, KgmedError, ParseError, RecordError, UnknownNameError
from kgmed.graph import KnowledgeGraph
from kgmed.intake.jsontext import MAX_INPUT_BYTES, decode, load_json, text_problem
from kgmed.intake.native import KEYS, read_dict
from kgmed.intake.phenopacket import is_phenopacket, read_phenopacket
from kgmed.record import Issue, Record

__all__ = ["FORMATS", "iter_records", "read_record", "read_records"]

FORMATS = ("text", "dict", "phenopacket", "fhir", "csv")
"""Names that `format` takes."""

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".txt", ".csv", ".tsv")
_ROW_SUFFIXES = (".csv", ".tsv")
_LINE_SUFFIXES = (".jsonl", ".ndjson")


def read_record(source: Any, *, format: str | None = None, graph: KnowledgeGraph | None = None) -> Record:
    """Read one patient record.

    Args:
        source: A `Record` (returned as it is); a dict in kgmed's format, of a
            phenopacket or of a FHIR resource; JSON or a note as text or bytes; a data
            frame with one row; an `os.PathLike` of a file (.json, .jsonl, .txt, .csv,
            .tsv, and .gz of them) or of a folder of such files. A plain str is never a path.
        format: `text`, `dict`, `phenopacket`, `fhir` or `csv`; detected when None.
        graph: For terms given by name and codes of other vocabularies. Without one,
            codes are kept as they are.

    Returns:
        The record; what could not be used is in its `issues`.

    Raises:
        ParseError: If a file or JSON cannot be read, or holds no or several records.
        RecordError: If a record cannot be used at all.
        InputError: If `source` is of a type that kgmed does not read.
        UnknownNameError: If `format` is not one of `FORMATS`.

    >>> read_record({"id": "p1", "present": ["HP:0001250"]}).findings[0].term
    'HP:0001250'
    """
    _known_format(format)
    if isinstance(source, Record):
        return source
    found: list[Record] = []
    for item in _each(source, format, graph):
        if isinstance(item, KgmedError):
            raise item
        found.append(item)
        if len(found) > 1:
            break
    if len(found) != 1:
        path = os.fspath(source) if isinstance(source, os.PathLike) else "<input>"
        number = "no record" if not found else "more than one record; read it with iter_records"
        raise ParseError(f"this holds {number}", path=str(path))
    return found[0]


def iter_records(
    source: Any, *, format: str | None = None, graph: KnowledgeGraph | None = None
) -> Iterator[Record | KgmedError]:
    """Read many records, one after another; a bad one does not stop the rest.

    Args:
        source: An iterable of anything that `read_record` takes, a data frame (one
            row per patient, or one row per finding), a file of many records (JSON
            lines, a JSON list, CSV, TSV), or one record.
        format, graph: As in `read_record`.

    Yields:
        A record, or the error in the place of one that cannot be read. An id that
        stood before gives the later record an issue `duplicate-id`.

    Raises:
        InputError: If `source` is of a type that kgmed does not read.
        UnknownNameError: If `format` is not one of `FORMATS`.
    """
    _known_format(format)
    return _mark_duplicates(_each(source, format, graph))


def read_records(
    source: Any, *, format: str | None = None, graph: KnowledgeGraph | None = None
) -> Iterator[Record]:
    """As `iter_records`, but raises at the first record that cannot be read.

    Raises:
        KgmedError: What `iter_records` yields in the place of the record.
    """
    for item in iter_records(source, format=format, graph=graph):
        if isinstance(item, KgmedError):
            raise item
        yield item


def _known_format(format: str | None) -> None:
    if format is not None and format not in FORMATS:
        raise UnknownNameError(format, FORMATS)


def _mark_duplicates(items: Iterable[Record | KgmedError]) -> Iterator[Record | KgmedError]:
    seen: set[str] = set()
    for item in items:
        if isinstance(item, Record) and item.id:
            if item.id in seen:
                issue = Issue(
                    level="warning", code="duplicate-id", record_id=item.id, field="id",
                    message="An earlier record has the same id.", fix="Give each record its own id.",
                )  # fmt: skip
                item = replace(item, issues=(*item.issues, issue))
            seen.add(item.id)
        yield item


def _each(source: Any, format: str | None, graph: KnowledgeGraph | None) -> Iterator[Record | KgmedError]:
    """The records of anything, errors in their place."""
    if isinstance(source, Record):
        return iter((source,))
    if isinstance(source, os.PathLike) and Path(source).is_dir():
        # Files of other kinds in the folder are passed over: a folder often has a README.
        files = sorted(path for path in Path(source).iterdir() if _suffix(path) in _SUFFIXES)
        return _of_items(files, format, graph)
    if isinstance(source, os.PathLike):
        return _of_path(Path(source), format, graph)
    if isinstance(source, bytes | bytearray | memoryview):
        return _guarded(lambda: _of_text(decode(bytes(source)), format, graph))
    if isinstance(source, str):
        return _guarded(lambda: _of_text(source, format, graph))
    if _is_frame(source):
        from kgmed.intake.rows import frame_dicts

        return _of_dicts(frame_dicts(source), graph)
    data = _plain(source)
    if isinstance(data, Mapping):
        return _guarded(lambda: _of_mapping(data, format, graph))
    if isinstance(source, Iterable):
        return _of_items(source, format, graph)
    raise InputError(
        f"cannot read a record from {type(source).__name__}; give a dict, JSON, a note or a path"
    )


def _guarded(read: Callable[[], Iterator[Record | KgmedError]]) -> Iterator[Record | KgmedError]:
    try:
        yield from read()
    except KgmedError as error:
        yield error


def _of_items(
    items: Iterable[Any], format: str | None, graph: KnowledgeGraph | None
) -> Iterator[Record | KgmedError]:
    for item in items:
        if isinstance(item, list | tuple | set | frozenset):  # a list in a list has no meaning
            yield InputError("a list stands where a record should be; give one flat list of records")
            continue
        try:
            yield from _each(item, format, graph)
        except KgmedError as error:
            yield error


def _is_frame(source: Any) -> bool:
    return type(source).__name__ == "DataFrame" and type(source).__module__.partition(".")[0] == "pandas"


def _plain(source: Any) -> Any:
    """Objects of the schema libraries (protobuf messages, FHIR models) as mappings."""
    if hasattr(type(source), "DESCRIPTOR"):
        from google.protobuf.json_format import MessageToDict

        return MessageToDict(source)
    if hasattr(source, "get_resource_type") and hasattr(source, "model_dump_json"):
        return load_json(source.model_dump_json())
    return source


def _of_mapping(
    data: Mapping[Any, Any], format: str | None, graph: KnowledgeGraph | None
) -> Iterator[Record | KgmedError]:
    """The record of a mapping; a FHIR bundle of several patients has several."""
    if format is None:
        if "resourceType" in data:
            format = "fhir"
        elif is_phenopacket(data):
            format = "phenopacket"
        elif not data or any(key in KEYS for key in data):
            format = "dict"
        else:
            raise RecordError("none of its keys belongs to a format that kgmed reads; see docs/records.md")
    if format == "fhir":
        from kgmed.intake.fhir import read_bundle

        yield from read_bundle(data, graph=graph)
    elif format == "phenopacket":
        yield read_phenopacket(data, graph=graph)
    elif format == "dict":
        yield read_dict(data, graph=graph)
    else:
        raise InputError(f"format {format!r} does not fit a mapping; give dict, phenopacket or fhir")


def _of_text(
    text: str, format: str | None, graph: KnowledgeGraph | None, path: str = "<input>"
) -> Iterator[Record | KgmedError]:
    """JSON or a note. JSON starts with a brace, or with a bracket before a brace: notes have `[**`."""
    if format == "csv":
        from kgmed.intake.rows import csv_dicts

        return _of_dicts(csv_dicts(io.StringIO(text, newline=""), path=path), graph)
    start = "".join(text[:200].split())
    if format == "text" or (format is None and not start.startswith(("{", "[{", '["')) and start != "[]"):
        return iter((_note(text, path),))
    return _of_json(load_json(text, path=path), format, graph, path)


def _of_json(
    data: Any, format: str | None, graph: KnowledgeGraph | None, path: str
) -> Iterator[Record | KgmedError]:
    if isinstance(data, list):
        return _of_items(data, format, graph)
    if not isinstance(data, Mapping):
        raise ParseError("the JSON is neither an object nor a list of objects", path=path)
    return _of_mapping(data, format, graph)


def _note(text: str, path: str) -> Record:
    problem = text_problem(text)
    if problem is not None:
        raise ParseError(problem, path=path)
    return Record(text=text)


def _of_dicts(
    dicts: Iterable[dict[str, Any] | KgmedError], graph: KnowledgeGraph | None
) -> Iterator[Record | KgmedError]:
    for data in dicts:
        try:
            yield data if isinstance(data, KgmedError) else read_dict(data, graph=graph)
        except KgmedError as error:
            yield error


# ------------------------------------------------------------------ files


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """A file, unpacked when its name ends in .gz. Problems become a `ParseError` without content."""
    try:
        with path.open("rb") as raw:
            if path.name.lower().endswith(".gz"):
                with gzip.open(raw) as stream:
                    yield stream
            else:
                yield raw
    except FileNotFoundError:
        raise ParseError("there is no such file", path=str(path)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ParseError("damaged gzip data; pack the file again", path=str(path)) from None
    except OSError as error:
        raise ParseError(f"cannot be read ({type(error).__name__})", path=str(path)) from None


def _of_path(path: Path, format: str | None, graph: KnowledgeGraph | None) -> Iterator[Record | KgmedError]:
    suffix = _suffix(path)
    if format is None and suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        yield ParseError(
            f"not a kind of file that kgmed reads ({known}, and .gz of them); name the format", path=str(path)
        )
        return
    try:
        if suffix in _ROW_SUFFIXES or format == "csv":
            from kgmed.intake.rows import csv_dicts

            with _opened(path) as stream:
                lines = (text for _, text in _lines(stream, str(path)))
                yield from _of_dicts(csv_dicts(lines, path=str(path), tabs=suffix == ".tsv"), graph)
        elif suffix in _LINE_SUFFIXES:
            yield from _of_json_lines(path, format, graph)
        else:
            with _opened(path) as stream:
                text = decode(stream.read(MAX_INPUT_BYTES + 1), path=str(path))
            if suffix == ".txt" and format is None:
                format = "text"
            if suffix == ".json" and format is None:
                yield from _of_json(load_json(text, path=str(path)), format, graph, str(path))
            else:
                yield from _of_text(text, format, graph, str(path))
    except KgmedError as error:
        yield error


def _of_json_lines(
    path: Path, format: str | None, graph: KnowledgeGraph | None
) -> Iterator[Record | KgmedError]:
    with _opened(path) as stream:
        for number, line in _lines(stream, str(path)):
            if not line.strip():
                continue
            try:
                yield from _of_json(load_json(line, path=str(path), line=number), format, graph, str(path))
            except KgmedError as error:
                yield error


def _lines(stream: IO[bytes] | gzip.GzipFile, path: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of a file, each at most `MAX_INPUT_BYTES` long."""
    number = 0
    while line := stream.readline(MAX_INPUT_BYTES + 1):
        number += 1
        try:
            yield number, decode(line, path=path)
        except ParseError as error:
            raise ParseError(str(error).removeprefix(f"{path}: "), path=path, line=number) from None
