"""Hold the curated frequencies against independent tables, and list the strongest disagreements.

    python benchmarks/audit.py --data DIR [--limit 40] [--json out.json]

DIR holds `kb_edges.csv.gz` (see benchmarks/README.md): disease, symptom, value, kind of value, source.
Tables of any licence may be compared; none is copied. Numbers that mean P(finding | disease) are held
against ours one by one: those of the HPO annotations (published patients, Orphanet's classes) and of DDXPlus
(simulated patients), both in the graph. The other tables only order the findings of a disease: for these the
rank correlation is given, and what they put among a disease's first five and its card does not have.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from report import Report
from vignettes import GoldNames

import kgmed
from kgmed.curated.ddxplus import SIMULATED
from kgmed.curated.names import Names
from kgmed.graph import write_atomically

APART = 0.35
FIRST = 5
"""How many findings of a disease a table that only orders them is asked for."""


@dataclass(frozen=True)
class Pair:
    """One fact of a table, and what the card says: None where it says nothing."""

    table: str
    disease: str
    finding: str
    ours: float | None
    theirs: float


def read(folder: Path) -> list[dict[str, str]]:
    path = next(p for p in (folder / "kb_edges.csv.gz", folder / "common" / "kb_edges.csv.gz") if p.exists())
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def finding_names(graph: Any) -> Names:
    names = Names()
    for term in graph.terms("finding"):
        if not term.obsolete:
            names.add(term.name, term.curie, 0)
    for synonym in graph.synonyms():
        if synonym.term in graph and graph.term(synonym.term).kind == "finding":
            names.add(synonym.text, synonym.term, 1 if synonym.scope == "exact" else 2)
    return names


class Cards:
    """What the cards say of a disease: a finding's own number, or the highest of anything narrower."""

    def __init__(self, graph: Any) -> None:
        self.written: dict[str, dict[str, float]] = defaultdict(dict)
        for predicate in ("has_phenotype", "has_risk_factor"):
            for edge in graph.edges(None, predicate):
                if edge.source == "curated" and edge.frequency is not None:
                    self.written[edge.subject][edge.object] = edge.frequency
        self._implied: dict[str, dict[str, float]] = {}
        self._graph = graph

    def frequency(self, disease: str, finding: str) -> float | None:
        """As written, else of the narrower findings: whoever has one of them has this one too."""
        if disease not in self._implied:
            implied = dict(self.written[disease])
            for narrower, share in self.written[disease].items():
                for wider in self._graph.ancestors(narrower):
                    if wider not in self.written[disease]:
                        implied[wider] = max(share, implied.get(wider, 0.0))
            self._implied[disease] = implied
        return self._implied[disease].get(finding)


def numbered(graph: Any, cards: Cards) -> list[Pair]:
    """The facts of the graph's other sources that state P(finding | disease)."""
    out = []
    for predicate in ("has_phenotype", "has_risk_factor", SIMULATED):
        for edge in graph.edges(None, predicate):
            table = "ddxplus" if predicate == SIMULATED else edge.source
            if (
                edge.source == "curated"
                or (edge.source == "ddxplus" and predicate != SIMULATED)
                or edge.negated
                or edge.frequency is None
                or edge.subject not in cards.written
            ):
                continue
            ours = cards.frequency(edge.subject, edge.object)
            out.append(Pair(table, edge.subject, edge.object, ours, edge.frequency))
    return out


def ordered(rows: list[dict[str, str]], graph: Any, cards: Cards) -> list[Pair]:
    """The facts of tables whose numbers only order the findings of a disease."""
    diseases, findings = GoldNames(graph), finding_names(graph)
    out = {}
    for row in rows:
        if row["source"] == "ddxplus":  # in the graph already, with its questions mapped
            continue
        try:
            value = float(row["value"])
        except ValueError:
            continue
        gold = diseases.resolve(row["disease"])
        terms = [row["symptom_id"]] if row["symptom_id"].startswith("HP:") else []
        terms += findings.candidates(row["symptom"])
        if isinstance(gold, str) or not terms:
            continue
        for disease in sorted(gold.concepts & set(cards.written)):
            told = [(t, f) for t in terms if (f := cards.frequency(disease, t)) is not None]
            finding, ours = told[0] if told else (terms[0], None)
            key = (row["source"], disease, finding)
            if key not in out or value > out[key].theirs:
                out[key] = Pair(*key, ours, value)
    return list(out.values())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with kb_edges.csv.gz")
    parser.add_argument("--split", choices=("dev", "test", "all"), default="all", help="tables have no split")
    parser.add_argument("--limit", type=int, default=40, help="how many disagreements of a kind to list")
    parser.add_argument("--no-peers", action="store_true", help="accepted for uniformity")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    options = parser.parse_args(arguments)
    report = Report(markdown=options.markdown)
    graph = kgmed.load_engine().graph
    cards = Cards(graph)
    numbers, orders = numbered(graph, cards), ordered(read(options.data), graph, cards)

    lines = []
    for source in sorted({p.table for p in numbers + orders}):
        same_meaning = any(p.table == source for p in numbers)
        pairs = [p for p in (numbers if same_meaning else orders) if p.table == source]
        lines.append(_summary(report, source, pairs, same_meaning))
    report.heading("Curated frequencies beside independent tables")
    report.table(
        [
            "table",
            "facts",
            "on the card",
            "diseases",
            "median rank correlation",
            "mean difference",
            f"{APART:.0%} apart",
        ],
        lines,
    )
    for source in sorted({p.table for p in numbers}):
        worst = sorted(
            (p for p in numbers if p.table == source and p.ours is not None and _apart(p) >= APART),
            key=lambda p: (-_apart(p), p.disease, p.finding),
        )
        report.heading(f"{source}: strongest of {len(worst)} disagreements of {APART:.0%} or more")
        report.table(
            ["disease", "finding", "ours", "theirs"],
            [
                (graph.name(p.disease), graph.name(p.finding), f"{p.ours:.0%}", f"{p.theirs:.0%}")
                for p in worst[: options.limit]
            ],
        )
    left_out = sorted(_left_out(orders), key=lambda p: (p[1], p[0].table, p[0].disease))
    report.heading(f"Among the first {FIRST} of a table and not on the card: {len(left_out)}")
    report.table(
        ["table", "place there", "disease", "finding"],
        [
            (p.table, place, graph.name(p.disease), graph.name(p.finding))
            for p, place in left_out[: options.limit]
        ],
    )
    if options.json:
        write_atomically(options.json, (json.dumps(report.rows, indent=1) + "\n").encode())


def _apart(pair: Pair) -> float:
    return abs((pair.ours or 0.0) - pair.theirs)


def _summary(report: Report, source: str, pairs: list[Pair], same_meaning: bool) -> tuple[object, ...]:
    by_disease: dict[str, list[tuple[float, float]]] = defaultdict(list)
    told = [p for p in pairs if p.ours is not None]
    for pair in told:
        by_disease[pair.disease].append((pair.ours or 0.0, pair.theirs))
    correlations = [c for points in by_disease.values() if (c := spearman(points)) is not None]
    median = statistics.median(correlations) if correlations else float("nan")
    differences = [_apart(p) for p in told] if same_meaning else []
    name = f"audit-{source}"
    report.add(name, "default", "kgmed", "rank_correlation", median, len(correlations))
    report.add(name, "default", "kgmed", "coverage", len(told) / len(pairs), len(pairs))
    if differences:
        report.add(
            name, "default", "kgmed", "mean_difference", statistics.fmean(differences), len(differences)
        )
    return (
        source,
        len(pairs),
        f"{len(told) / len(pairs):.2f}",
        len(by_disease),
        f"{median:.2f}" if correlations else "-",
        f"{statistics.fmean(differences):.2f}" if differences else "-",
        sum(d >= APART for d in differences) if differences else "-",
    )


def _left_out(pairs: list[Pair]) -> list[tuple[Pair, int]]:
    """What a table puts among a disease's first findings and the card does not have, with its place."""
    lists: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        lists[pair.table, pair.disease].append(pair)
    out = []
    for found in lists.values():
        found.sort(key=lambda p: (-p.theirs, p.finding))
        out += [(p, place) for place, p in enumerate(found[:FIRST], 1) if p.ours is None]
    return out


def spearman(points: list[tuple[float, float]]) -> float | None:
    """Rank correlation of four points or more, None for fewer or constant ones."""
    if len(points) < 4:
        return None
    ranks = [np.argsort(np.argsort([p[axis] for p in points], kind="stable")) for axis in (0, 1)]
    if any(len({p[axis] for p in points}) < 2 for axis in (0, 1)):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


if __name__ == "__main__":
    main()
