"""Choose the reader of an ontology file."""

from __future__ import annotations

import os
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from kgmed.errors import InputError, ParseError
from kgmed.ontology import Ontology, TermKind
from kgmed.read.common import add_rules
from kgmed.read.document import Document, fill_kinds, open_document

__all__ = ["FORMATS", "load_ontology", "read_document"]

FORMATS = ("csv", "folder", "jsonld", "ntriples", "obo", "obographs", "owl", "rules", "turtle")
"""Names that `load_ontology(format=...)` takes. SKOS is RDF: any of its four forms."""

_BY_SUFFIX = {
    ".obo": "obo",
    ".json": "obographs",
    ".owl": "owl",
    ".rdf": "owl",
    ".xml": "owl",
    ".ttl": "turtle",
    ".nt": "ntriples",
    ".jsonld": "jsonld",
    ".csv": "csv",
    ".tsv": "csv",
    ".toml": "rules",
}
_FOLDER_FILES = ("terms", "synonyms", "edges", "mappings")


def load_ontology(path: str | os.PathLike[str], *, format: str | None = None) -> Ontology:
    """Read terms, names, edges, mappings and rules from a file or a folder of tables.

    Nothing is fetched: imports and remote contexts are never followed.

    Args:
        path: OBO, OBO Graphs JSON, OWL (RDF/XML), Turtle, N-Triples, JSON-LD or
            CSV file, plain or with `.gz`; SKOS in any of the RDF forms; or a folder
            with `terms.csv`, `synonyms.csv`, `edges.csv`, `mappings.csv`, `rules.toml`.
        format: One of `FORMATS`; by the suffix when None.

    Raises:
        ParseError: With path and line, if the file is not of that format or holds a
            value that cannot be used; `kgmed.validate` lists all of them.
        InputError: If `format` is unknown.
    """
    document = read_document(path, format=format)
    errors = [issue for issue in document.issues if issue.level == "error"]
    if errors:
        first = errors[0]
        line = re.search(r":(\d+)$", first.field)
        where = first.field[: line.start()] if line else first.field
        more = f" ({len(errors) - 1} more: see kgmed.validate)" if len(errors) > 1 else ""
        message = f"{first.message}; {first.fix}{more}"
        raise ParseError(message, path=where, line=int(line[1]) if line else None)
    return document.ontology


def read_document(path: str | os.PathLike[str], *, format: str | None = None) -> Document:
    """Like `load_ontology`, with the problems listed in `Document.issues` instead of raised."""
    file = Path(path)
    if format is not None and format not in FORMATS:
        raise InputError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    if format == "folder" or (format is None and _is_folder(file)):
        return _read_folder(file)
    format = format or _BY_SUFFIX.get((file.with_suffix("") if file.suffix == ".gz" else file).suffix.lower())
    if format is None:
        raise ParseError(
            f"its suffix names no known format; give format= one of {', '.join(FORMATS)}", path=str(file)
        )
    document = open_document(file)
    document.ontology.sources = [document.source]
    kinds: dict[str, TermKind] = {}
    match format:
        case "csv":
            from kgmed.read.tables import read_table

            read_table(document, kinds)
            fill_kinds(document.ontology, kinds)
        case "rules":
            add_rules(document, document.text())
        case "obographs":
            from kgmed.read.obographs import read_obographs

            document.ontology = read_obographs(file, source=document.source, kind="other")
            _refuse_odd_text(document)
            fill_kinds(document.ontology, kinds)
        case "obo":
            from kgmed.read.obo import read_obo

            read_obo(document)
            fill_kinds(document.ontology, kinds)
        case _:
            from kgmed.read.rdf import read_rdf

            read_rdf(document, format)
    _drop_unused_source(document.ontology)
    return document


def _is_folder(file: Path) -> bool:
    try:
        return file.is_dir()
    except ValueError:  # a name that no file can have
        return False


def _read_folder(folder: Path) -> Document:
    from kgmed.read.tables import read_table

    whole: Document | None = None
    kinds: dict[str, TermKind] = {}
    for name in (*(f"{table}.csv" for table in _FOLDER_FILES), "rules.toml"):
        if not (folder / name).is_file():
            continue
        part = open_document(folder / name)
        part.source = replace(part.source, id=folder.name, title=folder.name, sha256="")
        if name == "rules.toml":
            add_rules(part, part.text())
        else:
            read_table(part, kinds)
        if whole is None:
            whole = part
            whole.ontology.sources = [whole.source]
        else:
            whole.ontology.add(part.ontology)
            whole.issues += part.issues
            whole.parts.append(part)
    if whole is None:
        raise ParseError(
            f"holds none of {', '.join(f'{table}.csv' for table in _FOLDER_FILES)}, rules.toml",
            path=str(folder),
        )
    fill_kinds(whole.ontology, kinds)
    return whole


def _refuse_odd_text(document: Document) -> None:
    """JSON may hold numbers where names belong, and half characters that no file can store."""
    ontology = document.ontology
    for items in (ontology.terms, ontology.synonyms, ontology.edges, ontology.mappings):
        for item in items:
            for name in (f.name for f in fields(item) if f.type == "str"):
                value = getattr(item, name)
                try:
                    value.encode()
                except (AttributeError, UnicodeEncodeError):
                    raise document.error(f"{name} of a {type(item).__name__.lower()} is not text") from None


def _drop_unused_source(ontology: Ontology) -> None:
    """Leave out the source named after the file when every fact names another."""
    if len(ontology.sources) < 2:
        return
    first, *others = ontology.sources
    items: tuple[Any, ...] = (*ontology.terms, *ontology.synonyms, *ontology.edges, *ontology.mappings)
    if first.id in {source.id for source in others} or all(item.source != first.id for item in items):
        ontology.sources = others
