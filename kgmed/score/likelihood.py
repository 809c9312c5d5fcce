"""Likelihood ratios of findings over diseases, with the ontology between them.

The formula, each constant and a worked case stand in docs/method.md. In short,
for a present finding q and a disease d:

    LR(q, d) = P(q | d) / P(q)

where P(q) is the background frequency: the mean of P(q | d) over all diseases or,
where that is higher, a part of the share of all patients who have q, as the vocabulary
states it or else as the curated diseases imply it. P(q | d) is the highest of

- the frequency of q in d, or of an annotated term below q (`exact`, `more_general`);
- P(a | d) * P(q) / P(a) * penalty for each ancestor a of q that d is annotated
  with (`more_specific`) or that lies above one of its annotations (`related`);
- P(q): what a disease is not known to cause is as common in it as elsewhere (`none`).

A note that leaves out what a curated disease nearly always has speaks a little against it: of every finding
of the card that the note says nothing of, 1 - P(told) P(q | d) (`left_out`).

`LikelihoodIndex` holds all frequencies as sparse arrays, so that a case is scored
against every disease at once; `Profile` works the same numbers out for one
disease, with the reason for each. A test holds the two against each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kgmed.config import LikelihoodConfig
from kgmed.curated.compile import CONSTANTS
from kgmed.curated.vocabulary import ROOT_OF
from kgmed.errors import GraphFileError
from kgmed.graph import HAS_PHENOTYPE, HAS_RISK_FACTOR, IS_A, KnowledgeGraph
from kgmed.record import Case
from kgmed.score.frequency import MAX_FREQUENCY, MAX_NEGATIVE
from kgmed.score.onset import onset_table, stage_of_case
from kgmed.score.population import Population, tempo_of_days

__all__ = ["INDEX_FILE", "X_LINKED_RECESSIVE", "LikelihoodIndex"]

IntArray = np.ndarray[Any, np.dtype[Any]]
FloatArray = np.ndarray[Any, np.dtype[Any]]  # float32 throughout

INDEX_FILE = "likelihood.safetensors"
# Rows of present findings that are kept ready, in entries of 8 bytes: 80 MB.
_CACHED_ENTRIES = 10_000_000
MAX_BACKGROUND = 0.9
# Share of a disease's patients from which on an exposure belongs to its picture.
_EXPECTED_EXPOSURE = 0.5
X_LINKED_RECESSIVE = "HP:0001419"


@dataclass(frozen=True)
class _Sparse:
    """Rows of (disease, value): row r is `columns[pointer[r]:pointer[r + 1]]` with `values`."""

    pointer: IntArray
    columns: IntArray
    values: FloatArray

    def row(self, r: int) -> tuple[IntArray, FloatArray]:
        low, high = self.pointer[r], self.pointer[r + 1]
        return self.columns[low:high], self.values[low:high]

    @staticmethod
    def of(rows: IntArray, columns: IntArray, values: np.ndarray[Any, Any], n_rows: int) -> _Sparse:
        """From coordinates; where one is given twice the highest value stands."""
        order = np.lexsort((-values, columns, rows))
        rows, columns, values = rows[order], columns[order], values[order]
        first = np.ones(len(rows), dtype=bool)
        first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
        rows = rows[first]
        pointer = np.searchsorted(rows, np.arange(n_rows + 1)).astype(np.int32)
        return _Sparse(pointer, columns[first].astype(np.int32), values[first].astype(np.float32))


class LikelihoodIndex:
    """Every frequency of every disease, ready to score a case against all at once.

    Attributes:
        terms, diseases: Node of each finding row and disease column in the graph,
            shapes (n_terms,) and (n_diseases,), ascending.
        background: Background frequency of each finding, shape (n_terms,).
        population: Pretest probabilities by setting, age and sex.
        onset: P(stage of onset | disease), shape (n_diseases, 9).
        onset_overall: P(stage of onset) over all diseases, shape (9,).
        x_linked: Whether a disease is annotated as X-linked recessive only.
    """

    def __init__(self, graph: KnowledgeGraph, config: LikelihoodConfig, arrays: dict[str, Any]) -> None:
        self.graph = graph
        self.config = config
        self._arrays = arrays
        self.terms: IntArray = arrays["terms"]
        self.diseases: IntArray = arrays["diseases"]
        self.background: FloatArray = arrays["background"]
        self.population = Population(arrays, arrays["log10_attention"], config)
        self.onset: FloatArray = arrays["onset"]
        self.onset_overall: FloatArray = arrays["onset_overall"]
        self.x_linked = arrays["x_linked"]
        self._closure = _Sparse(arrays["closure.pointer"], arrays["closure.columns"], self.background)
        self._any, self._direct, self._negative = (
            _Sparse(*(arrays[f"{name}.{part}"] for part in ("pointer", "columns", "values")))
            for name in ("any", "direct", "negative")
        )
        self._log10_background = np.log10(self.background)
        self.row_of = {int(node): row for row, node in enumerate(self.terms)}
        self.column_of = {int(node): column for column, node in enumerate(self.diseases)}
        self._present_rows: dict[int, tuple[IntArray, FloatArray]] = {}
        self._inherited_rows: dict[int, tuple[IntArray, FloatArray]] = {}
        self._cached_entries = 0
        self._excluded_rows: dict[int, tuple[IntArray, FloatArray]] = {}
        self._age_rows: dict[tuple[int, bool], FloatArray] = {}
        self._below_rows: dict[int, list[int]] = {}
        self._left_out: tuple[Case, FloatArray] | None = None

    # ------------------------------------------------------------ compiling

    @classmethod
    def compile(cls, graph: KnowledgeGraph, config: LikelihoodConfig | None = None) -> LikelihoodIndex:
        """Work the frequencies out from the graph's edges."""
        config = config or LikelihoodConfig()
        edges = graph.edge_columns
        # A risk factor is a finding too: the share of the patients who have it.
        predicates = [edges.predicate.code(HAS_PHENOTYPE), edges.predicate.code(HAS_RISK_FACTOR)]
        terms = np.asarray(
            [i for i, t in enumerate(graph.terms()) if t.kind == "finding" and not t.obsolete], dtype=np.int32
        )
        n_terms = len(terms)
        row_of_node = np.full(len(graph), -1, dtype=np.int32)
        row_of_node[terms] = np.arange(n_terms, dtype=np.int32)

        is_a = np.flatnonzero((edges.predicate.codes == edges.predicate.code(IS_A)) & ~edges.negated)
        child, parent = row_of_node[edges.subject[is_a]], row_of_node[edges.object[is_a]]
        inside = (child >= 0) & (parent >= 0)
        closure_pointer, closure_columns = _closure(child[inside], parent[inside], n_terms)

        rows = np.flatnonzero(np.isin(edges.predicate.codes, predicates))
        objects = _current(graph, row_of_node)[edges.object[rows]]
        rows, objects = rows[objects >= 0], objects[objects >= 0]
        diseases, column = np.unique(edges.subject[rows], return_inverse=True)
        n_diseases = len(diseases)

        patients, total = _counts(
            edges.numerator[rows], edges.denominator[rows], edges.frequency[rows], edges.negated[rows], config
        )
        key, inverse = np.unique(column.astype(np.int64) * n_terms + objects, return_inverse=True)
        k = np.bincount(inverse, patients, len(key))
        n = np.bincount(inverse, total, len(key))
        key_disease, key_term = (key // n_terms).astype(np.int32), (key % n_terms).astype(np.int32)
        p = (k + config.prior_frequency * config.prior_patients) / (n + config.prior_patients)
        positive = k > 0
        direct = _Sparse.of(
            key_term[positive], key_disease[positive], np.minimum(p[positive], MAX_FREQUENCY), n_terms
        )
        negative = _Sparse.of(
            key_term[~positive], key_disease[~positive], np.minimum(p[~positive], MAX_NEGATIVE), n_terms
        )
        # Whoever has a finding has all that is above it.
        starts = closure_pointer[key_term[positive]]
        lengths = closure_pointer[key_term[positive] + 1] - starts
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        above = closure_columns[np.repeat(starts, lengths) + offsets]
        anywhere = _Sparse.of(
            above,
            np.repeat(key_disease[positive], lengths),
            np.repeat(np.minimum(p[positive], MAX_FREQUENCY), lengths),
            n_terms,
        )
        sums = np.bincount(
            np.repeat(np.arange(n_terms), np.diff(anywhere.pointer)), anywhere.values, minlength=n_terms
        )
        # One imagined disease with and one without: no finding is impossible.
        background = (sums + 1.0) / (n_diseases + 2.0)
        population = Population.arrays(graph, diseases)
        base = _base(graph, row_of_node, n_terms)
        implied = _implied(anywhere, population, config)
        background = np.maximum(background, np.where(base > 0.0, config.base_weight * base, implied))
        background = _widened(background, closure_pointer, closure_columns)

        onset, onset_overall = onset_table(graph, diseases, config)
        # Age and sex of a curated disease are in its pretest probability already.
        curated = population["population.seen"].sum(axis=1) > 0.0
        onset[curated] = onset_overall
        arrays = {
            "terms": terms,
            "diseases": diseases.astype(np.int32),
            "background": background,
            "log10_attention": _log10_attention(_publications(graph, rows, column, n_diseases), config),
            **population,
            "onset": onset,
            "onset_overall": onset_overall,
            "x_linked": _x_linked(graph, diseases) & ~curated,
            "told": _told(graph, row_of_node, n_terms, config),
            "closure.pointer": closure_pointer,
            "closure.columns": closure_columns,
        }
        for name, sparse in (("any", anywhere), ("direct", direct), ("negative", negative)):
            arrays[f"{name}.pointer"] = sparse.pointer
            arrays[f"{name}.columns"] = sparse.columns
            arrays[f"{name}.values"] = sparse.values
        return cls(graph, config, arrays)

    def to_bytes(self) -> bytes:
        """The index as safetensors, with the constants that it was compiled with."""
        from safetensors.numpy import save

        return bytes(save(self._arrays, metadata={"config": repr(self.config)}))

    @classmethod
    def load(cls, graph: KnowledgeGraph, config: LikelihoodConfig | None = None) -> LikelihoodIndex:
        """The index stored beside the graph, or a fresh one if there is none for these constants.

        Raises:
            GraphFileError: If the stored index does not fit the graph.
        """
        config = config or LikelihoodConfig()
        data = graph.file(INDEX_FILE)
        if data is None or _metadata(data).get("config") != repr(config):
            return cls.compile(graph, config)
        from safetensors.numpy import load

        arrays = load(data)
        if len(arrays["terms"]) and int(arrays["terms"].max()) >= len(graph):
            raise GraphFileError(f"{INDEX_FILE} does not belong to this graph; run `kgmed graph build`")
        return cls(graph, config, arrays)

    # ------------------------------------------------------------ scoring

    def __len__(self) -> int:
        return len(self.diseases)

    def ancestors(self, row: int) -> IntArray:
        """Rows of a finding and all above it."""
        low, high = self._closure.pointer[row], self._closure.pointer[row + 1]
        return self._closure.columns[low:high]

    def present_row(self, row: int) -> tuple[IntArray, FloatArray]:
        """log10 LR of a present finding: (diseases, values) where it is not 0."""
        cached = self._present_rows.get(row)
        if cached is not None:
            return cached
        best = np.zeros(len(self), dtype=np.float32)
        for ancestor in self.ancestors(row).tolist():
            if ancestor == row:
                columns, p = self._any.row(row)
                values = np.log10(p) - self._log10_background[row]
            else:
                columns, values = self._inherited_row(ancestor)
                if not len(columns):
                    continue
            best[columns] = np.maximum(best[columns], values)
        columns, p = self._negative.row(row)
        if len(columns):
            against = np.minimum(0.0, np.log10(p) - self._log10_background[row])
            has_positive = np.isin(columns, self._any.row(row)[0])
            best[columns[~has_positive]] = against[~has_positive]
        columns = np.flatnonzero(best != 0.0)
        cached = columns.astype(np.int32), best[columns]
        self._cached_entries += len(columns)
        while self._cached_entries > _CACHED_ENTRIES:
            oldest = next(iter(self._present_rows))
            self._cached_entries -= len(self._present_rows.pop(oldest)[0])
        self._present_rows[row] = cached
        return cached

    def _inherited_row(self, ancestor: int) -> tuple[IntArray, FloatArray]:
        """What any finding below `ancestor` takes from it: (diseases, log10 LR), where above 0."""
        cached = self._inherited_rows.get(ancestor)
        if cached is None:
            log10_background = self._log10_background[ancestor]
            columns, p = self._any.row(ancestor)
            values = np.log10(p) - log10_background - self.config.related_penalty
            direct, p = self._direct.row(ancestor)
            place = np.searchsorted(columns, direct)  # whatever is annotated is among "any"
            values[place] = np.maximum(
                values[place], np.log10(p) - log10_background - self.config.specific_penalty
            )
            counts = values > 0
            cached = columns[counts], values[counts].astype(np.float32)
            self._inherited_rows[ancestor] = cached
        return cached

    def excluded_row(self, row: int) -> tuple[IntArray, FloatArray]:
        """log10 LR of an excluded finding: (diseases, values) where it is not 0."""
        cached = self._excluded_rows.get(row)
        if cached is None:
            columns, p = self._any.row(row)
            looked_for = np.where(self.population.curated[columns], 0.0, self.config.looked_for)
            values = np.minimum(
                0.0, np.log10(1.0 - p) - math.log10(1.0 - self.background[row]) + looked_for
            ).astype(np.float32)
            counts = values < 0
            cached = columns[counts], values[counts].astype(np.float32)
            self._excluded_rows[row] = cached
        return cached

    def age_row(self, stage: int, *, is_onset: bool) -> FloatArray:
        """log10 LR of the age, for all diseases.

        Args:
            stage: Index into `ONSET_STAGES`.
            is_onset: Whether the disease began in that stage; otherwise the
                patient is in it now, and the disease began then or before.
        """
        cached = self._age_rows.get((stage, is_onset))
        if cached is None:
            stages = slice(stage, stage + 1) if is_onset else slice(0, stage + 1)
            ratio = self.onset[:, stages].sum(axis=1) / self.onset_overall[stages].sum()
            cached = np.log10(ratio).astype(np.float32)
            self._age_rows[(stage, is_onset)] = cached
        return cached

    def annotated_rows(self, columns: IntArray) -> IntArray:
        """Rows of the findings that any of some diseases is annotated with."""
        inside = np.isin(self._direct.columns, columns)
        return np.unique(self._direct_rows[inside])

    def frequencies(self, row: int, columns: IntArray) -> FloatArray:
        """P(finding | disease) for some diseases: the annotated frequency, or the background."""
        known, p = self._any.row(row)
        place = np.minimum(np.searchsorted(known, columns), max(len(known) - 1, 0))
        found = known[place] == columns if len(known) else np.zeros(len(columns), dtype=bool)
        background = self.background[row]
        frequencies: FloatArray = np.where(
            found, np.maximum(p[place] if len(known) else background, background), background
        )
        return frequencies

    @cached_property
    def _direct_rows(self) -> IntArray:
        """Finding row of every entry of the annotation table."""
        return np.repeat(np.arange(len(self.terms)), np.diff(self._direct.pointer))

    def log10_lr(self, case: Case) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Sum of the log10 likelihood ratios of a case, for all diseases."""
        rows = [self.present_row(row) for c in sorted(case.present) if (row := self.row(c)) is not None]
        rows += [self.excluded_row(row) for c in sorted(case.excluded) if (row := self.row(c)) is not None]
        total: np.ndarray[Any, np.dtype[np.float64]] = np.zeros(len(self), dtype=np.float64)
        if rows:  # one pass over all entries: half the time of adding row by row
            total += np.bincount(
                np.concatenate([columns for columns, _ in rows]),
                np.concatenate([values for _, values in rows]),
                minlength=len(self),
            )
        if (age := stage_of_case(case)) is not None:
            total += self.age_row(age[0], is_onset=age[1])
        if (ratios := self.sex_ratios(case.record.sex)) is not None:
            total[self.x_linked] += ratios[2]
        if (days := case.record.duration_days) is not None:
            total += self.population.tempo[:, tempo_of_days(days)] * self.config.tempo_weight
        if (untold := self.left_out(case)) is not None:
            total += untold
        return total

    def left_out(self, case: Case) -> FloatArray | None:
        """log10 LR of what a note says nothing of, for all diseases; None when no note was read.

        A record whose findings were chosen one by one leaves out whatever nobody asked for.
        A disease without a card loses what those with one lose on average.
        """
        if not any(f.origin == "text" for f in case.findings):
            return None
        # Asked for once to rank and again for each disease that is explained.
        if self._left_out is not None and self._left_out[0] is case:
            return self._left_out[1]
        rows, every = self._expected
        total = every.copy()
        for row in self.told_rows(case):
            columns, values = rows.row(int(row))
            total[columns] -= values
        curated = self.population.curated
        total[~curated] = total[curated].mean() if curated.any() else 0.0
        share: FloatArray = (total * self.told_share(case)).astype(np.float32)
        self._left_out = (case, share)
        return share

    def expected(self, column: int) -> dict[int, float]:
        """Finding row -> log10(1 - P(told) P(q | d)) of what is on a disease's card."""
        rows, _ = self._expected
        at = np.flatnonzero((rows.columns == column) & (rows.values < 0.0))
        return dict(zip(self._direct_rows[at].tolist(), rows.values[at].tolist(), strict=True))

    def told_share(self, case: Case) -> float:
        """How much of what there is a note of so many findings tells, 0..1."""
        n = len(case.present) + len(case.excluded)
        return n / (n + self.config.told_half)

    def told_rows(self, case: Case) -> IntArray:
        """Rows of the findings that a case says something of: with what is above and below them."""
        told: set[int] = set()
        for curie in (*case.present, *case.excluded):
            if (row := self.row(curie)) is not None:
                told.update(self.ancestors(row).tolist())
                told.update(self._below(row))
        return np.asarray(sorted(told), dtype=np.int32)

    def _below(self, row: int) -> list[int]:
        known = self._below_rows.get(row)
        if known is None:
            entries = np.flatnonzero(self._closure.columns == row)
            known = (np.searchsorted(self._closure.pointer, entries, side="right") - 1).tolist()
            self._below_rows[row] = known
        return known

    @cached_property
    def _expected(self) -> tuple[_Sparse, FloatArray]:
        """log10(1 - P(told) P(q | d)) of what is on a card, by finding row; and the sum of each disease."""
        d = self._direct
        told = self._arrays["told"][self._direct_rows]
        # An exposure that few of the patients have is no part of the picture.
        rare = (told == np.float32(self.config.told_exposure)) & (d.values < _EXPECTED_EXPOSURE)
        told = np.where(rare | ~self.population.curated[d.columns], 0.0, told)
        values = np.log10(1.0 - told * d.values).astype(np.float32)
        total = np.bincount(d.columns, values, minlength=len(self)).astype(np.float32)
        return _Sparse(d.pointer, d.columns, values), total

    def row(self, curie: str) -> int | None:
        """Row of a finding, or None when it is no finding of the graph."""
        return self.row_of.get(self.graph.node_id(curie)) if curie in self.graph else None

    def sex_ratios(self, sex: str) -> tuple[float, float, float] | None:
        """P(sex | X-linked recessive), P(sex), log10 of their ratio; None when the sex is not told."""
        if sex not in ("FEMALE", "MALE"):
            return None
        p = self.config.male_share if sex == "MALE" else 1.0 - self.config.male_share
        return p, 0.5, math.log10(p / 0.5)

    def temperature(self, case: Case) -> float:
        """By how much the findings' common weight is reduced since they depend on one another.

        The design effect of Kish (Survey Sampling, 1965): n observations with mean
        correlation rho carry the information of n / (1 + (n - 1) rho).
        """
        n = len(case.present)
        return 1.0 / (1.0 + self.config.correlation * max(0, n - 1))

    def sureness(self, case: Case) -> float:
        """By how much the distances between diseases are reduced before they become probabilities.

        Changes no rank. The design effect again, with `overlap` in place of `correlation`.
        """
        more = max(0, len(case.present) - 1)
        return (1.0 + self.config.correlation * more) / (1.0 + self.config.overlap * more)


# ---------------------------------------------------------------- compiling, in pieces


def _metadata(data: bytes) -> dict[str, str]:
    """Metadata of a safetensors file: a little-endian length, then a JSON header."""
    import json

    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    metadata: dict[str, str] = header.get("__metadata__", {})
    return metadata


def _closure(child: IntArray, parent: IntArray, n_terms: int) -> tuple[IntArray, IntArray]:
    """Pointer and rows of each term with all above it."""
    parents: list[list[int]] = [[] for _ in range(n_terms)]
    for c, p in zip(child.tolist(), parent.tolist(), strict=True):
        parents[c].append(p)
    done: list[frozenset[int] | None] = [None] * n_terms
    for start in range(n_terms):
        stack = [start]
        while stack:
            term = stack[-1]
            if done[term] is not None:
                stack.pop()
                continue
            waiting = [p for p in parents[term] if done[p] is None]
            if waiting:
                stack.extend(waiting)
                continue
            done[term] = frozenset((term,)).union(*(done[p] or () for p in parents[term]))
            stack.pop()
    sets = [sorted(s or ()) for s in done]
    pointer = np.zeros(n_terms + 1, dtype=np.int32)
    np.cumsum([len(s) for s in sets], out=pointer[1:])
    return pointer, np.asarray([t for s in sets for t in s], dtype=np.int32)


def _base(graph: KnowledgeGraph, row_of_node: IntArray, n_terms: int) -> np.ndarray[Any, Any]:
    """Share of all patients who have each finding, as the vocabulary states it; 0 where it does not."""
    edges = graph.edge_columns
    base = np.zeros(n_terms)
    rows = np.flatnonzero(edges.predicate.codes == edges.predicate.code("has_base"))
    inside = row_of_node[edges.subject[rows]]
    base[inside[inside >= 0]] = edges.frequency[rows][inside >= 0]
    return base


def _told(graph: KnowledgeGraph, row_of_node: IntArray, n_terms: int, config: LikelihoodConfig) -> FloatArray:
    """Probability that a note tells of each finding that its patient has; 0 for results of tests."""
    out = np.zeros(n_terms, dtype=np.float32)
    for found_by, share in (("history", config.told_history), ("exam", config.told_exam)):
        for edge in graph.edges(None, "found_by", CONSTANTS["found by", found_by]):
            row = row_of_node[graph.node_id(edge.subject)]
            if row >= 0:
                out[row] = share
    roots = {kind: ROOT_OF[kind] for kind in ("exposure", "drug", "course") if ROOT_OF[kind] in graph}
    for kind, root in roots.items():
        for curie in graph.descendants(root):
            row = row_of_node[graph.node_id(curie)]
            if row >= 0:
                out[row] = 0.0 if kind == "course" else config.told_exposure
    return out


def _implied(anywhere: _Sparse, population: dict[str, Any], config: LikelihoodConfig) -> np.ndarray[Any, Any]:
    """Share of all patients who have each finding because of a curated disease."""
    seen = population["population.seen"] @ np.asarray(config.setting_weights(""))
    weight = seen / max(float(seen.sum()), 1e-12)
    rows = np.repeat(np.arange(len(anywhere.pointer) - 1), np.diff(anywhere.pointer))
    return np.bincount(
        rows, anywhere.values * weight[anywhere.columns], minlength=len(anywhere.pointer) - 1
    ).astype(np.float64)


def _widened(background: np.ndarray[Any, Any], pointer: IntArray, columns: IntArray) -> FloatArray:
    """Whoever has a finding has all above it: no background is below that of a narrower finding."""
    background = np.minimum(background, MAX_BACKGROUND)
    wider = np.repeat(background, np.diff(pointer))
    np.maximum.at(background, columns, wider)
    out: FloatArray = background.astype(np.float32)
    return out


def _current(graph: KnowledgeGraph, row_of_node: IntArray) -> IntArray:
    """Finding row of every node, where an obsolete term counts as what replaced it."""
    rows = row_of_node.copy()
    for node, term in enumerate(graph.terms()):
        if term.obsolete and term.replaced_by and (current := graph.resolve(term.curie)):
            rows[node] = row_of_node[graph.node_id(current)]
    return rows


def _counts(
    numerator: IntArray,
    denominator: IntArray,
    frequency: FloatArray,
    negated: IntArray,
    config: LikelihoodConfig,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Patients with the finding, and patients, that each annotation counts for."""
    stated = ~np.isnan(frequency)
    n = np.where(denominator > 0, denominator, np.where(stated, config.class_patients, 1.0))
    k = np.where(
        denominator > 0,
        numerator,
        np.where(stated, np.nan_to_num(frequency) * config.class_patients, config.frequency_unknown),
    )
    return np.where(negated, 0.0, k), np.where(negated, config.class_patients, n)


def _publications(graph: KnowledgeGraph, rows: IntArray, column: IntArray, n_diseases: int) -> IntArray:
    """How many distinct publications the annotations of each disease rest on."""
    references = graph.edge_columns.references
    pairs = np.unique(column.astype(np.int64) * max(len(references.values), 1) + references.codes[rows])
    counts: IntArray = np.bincount(pairs // max(len(references.values), 1), minlength=n_diseases)
    return counts


def _log10_attention(publications: IntArray, config: LikelihoodConfig) -> FloatArray:
    """What stands for the prevalence of a disease that none is stated of: log10 of publications^a."""
    weight: FloatArray = (config.attention * np.log10(np.maximum(publications, 1))).astype(np.float32)
    return weight


def _x_linked(graph: KnowledgeGraph, diseases: IntArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    edges = graph.edge_columns
    recessive = graph.node_id(X_LINKED_RECESSIVE) if X_LINKED_RECESSIVE in graph else -1
    of: dict[int, set[int]] = {}
    for row in np.flatnonzero(edges.predicate.codes == edges.predicate.code("has_inheritance")):
        of.setdefault(int(edges.subject[row]), set()).add(int(edges.object[row]))
    return np.asarray([of.get(node) == {recessive} for node in diseases.tolist()], dtype=np.bool_)
