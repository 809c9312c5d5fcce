"""CSV and TSV tables, alone or as a folder, to an `Ontology`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kgmed.ontology import Mapping as TermMapping
from kgmed.ontology import Synonym, Term, TermKind
from kgmed.read.common import SCOPES, add_edge
from kgmed.read.document import KINDS, Document

__all__ = ["read_table"]

_COLUMNS: dict[str, tuple[set[str], set[str]]] = {  # table: (needed, allowed beside)
    "edges": (
        {"subject", "predicate", "object"},
        {
            "frequency",
            "frequency_class",
            "value",
            "numerator",
            "denominator",
            "onset",
            "sex",
            "references",
            "negated",
            "evidence",
            "asserted_for",
            "source",
        },
    ),
    "synonyms": ({"term", "text"}, {"scope", "tags", "source"}),
    "mappings": ({"term", "other"}, {"predicate", "source"}),
    "terms": (
        {"curie", "name"},
        {"kind", "obsolete", "replaced_by", "synonyms", "is_a", "exact_match", "source"},
    ),
}


def read_table(document: Document, kinds: dict[str, TermKind]) -> None:
    """Fill `document.ontology` from one table; its header says which of the four it is.

    Args:
        document: The opened file. Lists within a cell are separated by `|`.
        kinds: Gets the kinds that the table states.

    Raises:
        ParseError: With path and line, if no table has these columns, or a row has too many cells.
    """
    text = document.text()
    head = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=head.count) if head else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        table = _which(document, columns)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num - sum(cell.count("\n") for cell in cells)
            if len(cells) > len(columns):
                raise document.error(
                    f"{len(cells)} cells in a table of {len(columns)} columns; quote cells with commas", line
                )
            row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
            if missing := sorted(name for name in _COLUMNS[table][0] if not row.get(name)):
                fix = "fill them in or delete the row"
                document.problem("error", "cell-missing", f"a row lacks {', '.join(missing)}", fix, line=line)
                continue
            _add(document, table, row, line, kinds)
    except csv.Error as error:
        raise document.error(f"not a table: {error}", reader.line_num) from None


def _which(document: Document, columns: list[str]) -> str:
    for table, (needed, allowed) in _COLUMNS.items():
        if needed <= set(columns):
            if unknown := sorted(set(columns) - needed - allowed):
                known = ", ".join(sorted(needed | allowed))
                raise document.error(
                    f"unknown columns {', '.join(map(repr, unknown))}; {table} may have {known}", 1
                )
            if len(set(columns)) < len(columns):
                raise document.error("a column name occurs twice", 1)
            return table
    raise document.error(
        "the first line must name the columns: curie and name; subject, predicate and object; "
        "term and text; or term and other",
        1,
    )


def _add(
    document: Document, table: str, row: Mapping[str, str], line: int, kinds: dict[str, TermKind]
) -> None:
    ontology, source = document.ontology, row.get("source") or document.source.id

    def bad(what: str, allowed: tuple[str, ...]) -> None:
        document.problem(
            "error", f"bad-{what}", f"unknown {what}", f"use one of {', '.join(allowed)}", line=line
        )

    if table == "edges":
        key = (row["subject"], row["predicate"], row["object"])
        document.lines.setdefault(key, line)
        document.lines.setdefault(row["subject"], line)
        fields = {k: [v] for k, v in row.items() if k not in ("subject", "predicate", "object", "references")}
        fields["reference"] = _items(row, "references")
        edge = add_edge(document, *key, fields, source=source, line=line)
        if edge is not None:
            ontology.edges.append(edge)
    elif table == "synonyms":
        scope: Any = row.get("scope") or "exact"
        if scope not in SCOPES:
            return bad("scope", SCOPES)
        tags = tuple(_items(row, "tags"))
        ontology.synonyms.append(
            Synonym(term=row["term"], text=row["text"], scope=scope, tags=tags, source=source)
        )
    elif table == "mappings":
        predicate: Any = row.get("predicate") or "exact"
        if predicate not in ("exact", "close", "alternative"):
            return bad("predicate", ("exact", "close", "alternative"))
        ontology.mappings.append(
            TermMapping(term=row["term"], other=row["other"], predicate=predicate, source=source)
        )
    else:
        _add_term(document, row, line, kinds, source, bad)
    return None


def _add_term(
    document: Document, row: Mapping[str, str], line: int, kinds: dict[str, TermKind], source: str, bad: Any
) -> None:
    ontology, curie, kind = document.ontology, row["curie"], row.get("kind", "").lower()
    document.lines[curie] = line  # before any edge, and the last of two definitions is the odd one
    if kind and kind not in KINDS:
        return bad("kind", KINDS)  # type: ignore[no-any-return]
    obsolete = row.get("obsolete", "").lower()
    if obsolete not in ("", "true", "false", "1", "0"):
        return bad("obsolete", ("true", "false"))  # type: ignore[no-any-return]
    if kind:
        kinds[curie] = kind
    term = Term(curie=curie, name=row["name"], obsolete=obsolete in ("true", "1"), source=source)
    ontology.terms.append(replace(term, replaced_by=row.get("replaced_by", "")))
    for text in _items(row, "synonyms"):
        ontology.synonyms.append(Synonym(term=curie, text=text, source=source))
    for parent in _items(row, "is_a"):
        edge = add_edge(document, curie, "is_a", parent, {}, source=source, line=line)
        if edge is not None:
            ontology.edges.append(edge)
    for other in _items(row, "exact_match"):
        ontology.mappings.append(TermMapping(term=curie, other=other, source=source))
    return None


def _items(row: Mapping[str, str], column: str) -> list[str]:
    return [item for part in row.get(column, "").split("|") if (item := part.strip())]
