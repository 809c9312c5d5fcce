"""Hold the curated frequencies against independent tables, and list the strongest disagreements.

    python benchmarks/audit.py --data DIR [--limit 40] [--json out.json]

DIR holds `kb_edges.csv.gz` (see benchmarks/README.md): disease, symptom, value, kind of value, source.
Tables of any licence may be compared; none is copied. Only numbers that mean P(finding | disease) are held
against ours one by one; for the others the rank correlation within a disease is given.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from report import Report
from vignettes import GoldNames

import kgmed
from kgmed.curated.names import Names
from kgmed.graph import write_atomically

# Kinds of value that are P(finding | disease).
FREQUENCIES = {"p_evidence_given_disease", "frequency", "p_symptom_given_disease"}
APART = 0.35


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


def curated(graph: Any) -> dict[str, dict[str, float]]:
    """Disease to finding to frequency, as the cards say."""
    out: dict[str, dict[str, float]] = defaultdict(dict)
    for predicate in ("has_phenotype", "has_risk_factor"):
        for edge in graph.edges(None, predicate):
            if edge.source == "curated" and edge.frequency is not None:
                out[edge.subject][edge.object] = edge.frequency
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with kb_edges.csv.gz")
    parser.add_argument("--split", choices=("dev", "test", "all"), default="all", help="tables have no split")
    parser.add_argument("--limit", type=int, default=40, help="how many disagreements to list")
    parser.add_argument("--no-peers", action="store_true", help="accepted for uniformity")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    options = parser.parse_args(arguments)
    report = Report(markdown=options.markdown)
    graph = kgmed.load_engine().graph
    diseases, findings, cards = GoldNames(graph), finding_names(graph), curated(graph)
    pairs: dict[str, list[tuple[str, str, float, float, bool]]] = defaultdict(list)
    for row in read(options.data):
        try:
            value = float(row["value"])
        except ValueError:
            continue
        gold = diseases.resolve(row["disease"])
        terms = [row["symptom_id"]] if row["symptom_id"].startswith("HP:") else []
        terms += findings.candidates(row["symptom"])
        if isinstance(gold, str):
            continue
        for disease in sorted(gold.concepts & set(cards)):
            term = next((t for t in terms if t in cards[disease]), None)
            if term is not None:
                pairs[row["source"]].append(
                    (disease, term, cards[disease][term], value, row["value_kind"] in FREQUENCIES)
                )
    lines, worst = [], []
    for source, found in sorted(pairs.items()):
        by_disease: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for disease, _, ours, theirs, _ in found:
            by_disease[disease].append((ours, theirs))
        correlations = [c for points in by_disease.values() if (c := spearman(points)) is not None]
        same = [abs(ours - theirs) for _, _, ours, theirs, comparable in found if comparable]
        median = statistics.median(correlations) if correlations else float("nan")
        report.add(f"audit-{source}", "default", "kgmed", "rank_correlation", median, len(correlations))
        if same:
            report.add(
                f"audit-{source}", "default", "kgmed", "mean_difference", statistics.fmean(same), len(same)
            )
        lines.append(
            (
                source,
                len(found),
                len(by_disease),
                f"{median:.2f}" if correlations else "-",
                f"{statistics.fmean(same):.2f}" if same else "-",
            )
        )
        worst += [(abs(o - t), source, d, f, o, t) for d, f, o, t, comparable in found if comparable]
    report.heading("Curated frequencies beside independent tables")
    report.table(
        ["table", "shared facts", "diseases", "median rank correlation", "mean difference of frequency"],
        lines,
    )
    worst = sorted((w for w in worst if w[0] >= APART), key=lambda w: (-w[0], w[1:4]))
    report.heading(f"Strongest of {len(worst)} disagreements of {APART:.0%} or more")
    report.table(
        ["table", "disease", "finding", "ours", "theirs"],
        [
            (s, graph.name(d), graph.name(f), f"{o:.0%}", f"{t:.0%}")
            for _, s, d, f, o, t in worst[: options.limit]
        ],
    )
    if options.json:
        write_atomically(options.json, (json.dumps(report.rows, indent=1) + "\n").encode())


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
