"""The graph's tables as columns: numpy arrays and string tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from kgmed.ontology import Edge, Term

__all__ = ["CODED", "TERM_FIELDS", "Coded", "EdgeColumns", "IntArray", "TermColumns"]

IntArray = np.ndarray[Any, np.dtype[Any]]  # int32 throughout

# Columns of the edge table that repeat a few strings: kept as small integers.
CODED = ("predicate", "frequency_term", "onset", "sex", "references", "asserted_for", "source", "evidence")
TERM_FIELDS = ("curie", "name", "kind", "obsolete", "replaced_by", "source")


@dataclass(frozen=True)
class Coded:
    """A string column: `codes[i]` indexes `values`."""

    codes: IntArray
    values: tuple[str, ...]

    def __getitem__(self, row: int) -> str:
        return self.values[int(self.codes[row])]

    def code(self, value: str) -> int:
        """Code of a value, or -1 when the column does not hold it."""
        try:
            return self.values.index(value)
        except ValueError:
            return -1

    @staticmethod
    def of(strings: Iterable[str]) -> Coded:
        index: dict[str, int] = {}
        codes = [index.setdefault(s, len(index)) for s in strings]
        return Coded(np.asarray(codes, dtype=np.int32), tuple(index))

    def take(self, rows: np.ndarray[Any, Any]) -> Coded:
        return Coded(self.codes[rows], self.values)

    def append(self, other: Coded) -> Coded:
        index = {value: i for i, value in enumerate(self.values)}
        table = np.asarray([index.setdefault(v, len(index)) for v in other.values], dtype=np.int32)
        codes = np.concatenate([self.codes, table[other.codes]]) if len(other.codes) else self.codes
        return Coded(codes, tuple(index))


@dataclass(frozen=True)
class EdgeColumns:
    """The edge table, sorted by subject, predicate, object, then reference.

    All arrays have one row per edge. `subject` and `object` index the graph's
    nodes; `numerator` and `denominator` are -1, `frequency` and `value` NaN where unknown.
    """

    subject: IntArray
    object: IntArray
    negated: np.ndarray[Any, np.dtype[Any]]
    numerator: IntArray
    denominator: IntArray
    frequency: np.ndarray[Any, np.dtype[Any]]
    value: np.ndarray[Any, np.dtype[Any]]
    predicate: Coded
    frequency_term: Coded
    onset: Coded
    sex: Coded
    references: Coded
    asserted_for: Coded
    source: Coded
    evidence: Coded

    def __len__(self) -> int:
        return len(self.subject)

    @staticmethod
    def of(edges: Collection[Edge], node_ids: Mapping[str, int]) -> EdgeColumns:
        def none(value: float | None, missing: float) -> float:
            return missing if value is None else value

        return EdgeColumns(
            subject=np.asarray([node_ids[e.subject] for e in edges], dtype=np.int32),
            object=np.asarray([node_ids[e.object] for e in edges], dtype=np.int32),
            negated=np.asarray([e.negated for e in edges], dtype=np.bool_),
            numerator=np.asarray([none(e.numerator, -1) for e in edges], dtype=np.int32),
            denominator=np.asarray([none(e.denominator, -1) for e in edges], dtype=np.int32),
            frequency=np.asarray([none(e.frequency, np.nan) for e in edges], dtype=np.float32),
            value=np.asarray([none(e.value, np.nan) for e in edges], dtype=np.float32),
            references=Coded.of("|".join(e.references) for e in edges),
            **{name: Coded.of(getattr(e, name) for e in edges) for name in CODED if name != "references"},
        )

    def take(self, rows: np.ndarray[Any, Any]) -> EdgeColumns:
        columns: dict[str, Any] = {
            name: column.take(rows) if isinstance(column, Coded) else column[rows]
            for name, column in self.__dict__.items()
        }
        return EdgeColumns(**columns)

    def append(self, other: EdgeColumns) -> EdgeColumns:
        columns: dict[str, Any] = {
            name: column.append(getattr(other, name))
            if isinstance(column, Coded)
            else np.concatenate([column, getattr(other, name)])
            for name, column in self.__dict__.items()
        }
        return EdgeColumns(**columns)

    def sorted(self) -> EdgeColumns:
        def rank(column: Coded) -> np.ndarray[Any, Any]:
            order = np.argsort(np.asarray(column.values, dtype=object), kind="stable")
            ranks = np.empty(len(order), dtype=np.int32)
            ranks[order] = np.arange(len(order), dtype=np.int32)
            return ranks[column.codes] if len(order) else column.codes

        keys = (rank(self.references), self.object, rank(self.predicate), self.subject)
        return self.take(np.lexsort(keys))


class TermColumns(Sequence[Term]):
    """The term table as columns: making 50,000 objects at start would take as long as all the rest."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = columns
        self.curies: list[str] = columns["curie"]
        self._made: dict[int, Term] = {}

    @staticmethod
    def of(terms: Iterable[Term]) -> TermColumns:
        rows = list(terms)
        return TermColumns({field: [getattr(t, field) for t in rows] for field in TERM_FIELDS})

    def __len__(self) -> int:
        return len(self.curies)

    @overload
    def __getitem__(self, row: int) -> Term: ...
    @overload
    def __getitem__(self, row: slice) -> list[Term]: ...
    def __getitem__(self, row: int | slice) -> Term | list[Term]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        term = self._made.get(row)
        if term is None:
            term = self._made[row] = Term(**{field: self.columns[field][row] for field in TERM_FIELDS})
        return term
