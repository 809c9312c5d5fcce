"""DDXPlus's conditional probabilities as facts: its questions and conditions mapped by hand.

`ddxplus.tsv` maps each question (and value) to a finding, `ddxplus_diseases.tsv` each of
the 49 conditions to a disease of the list. Both are ours; the numbers are those of
1,025,602 synthetic patients (Fansi Tchango et al., NeurIPS 2022; CC BY 4.0).

The patients are simulated, and some of their numbers are of no patient: a rash in 99 of 100
pneumonias, diabetes in three of four whatever the disease. So a number counts beside a card's
only where it is near to it. All of them are kept as edges of the predicate `simulated`, which no
diagnosis rests on, for whoever evaluates on DDXPlus (`simulated_table`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from kgmed.curated.library import Library
from kgmed.curated.names import folded
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Ontology, Source

__all__ = ["SIMULATED", "compile_ddxplus", "simulated_table"]

SIMULATED = "simulated"

_LEAST = 0.01
"""What fewer patients have is noise of the generator."""
_NEAR = 0.35
"""A share that is further than this from the card's is held to be of the simulation."""
_PATIENTS = 400
"""How many patients a share counts for in the table taken as it is."""
_EXPOSURES = ("exposure", "drug")


def compile_ddxplus(
    library: Library, folder: Path, rows: Iterable[dict[str, str]], source: Source, known: Iterable[Edge]
) -> Ontology:
    """The edges of the table, for findings and diseases that are mapped.

    Args:
        known: Edges of the other sources: the hierarchy of findings and the cards' own numbers.
        library: Names of findings and diseases.
        folder: Holds the two maps.
        rows: Of the table of conditional probabilities: `disease`, `symptom_id`
            (`ddxplus:<question>`), `value` (0..1).
        source: Recorded on every edge.
    """
    kinds = {row.id: row.kind for row in library.vocabulary}
    findings = {
        row["question"]: term
        for row in _map(folder / "ddxplus.tsv")
        if not row["value"] and row["finding"] and (term := library.findings.find(row["finding"]))
    }
    diseases = {
        row["condition"]: listed.id
        for row in _map(folder / "ddxplus_diseases.tsv")
        if (listed := library.listed.get(folded(row["disease"])))
    }
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        disease = diseases.get(row["disease"])
        finding = findings.get(row["symptom_id"].removeprefix("ddxplus:"))
        share = float(row["value"])
        if disease is not None and finding is not None and share >= _LEAST:
            # Two questions may ask for one finding: whoever says yes to either has it.
            best[disease, finding] = max(share, best.get((disease, finding), 0.0))
    out = Ontology(sources=[source])
    cards = _numbers(known)
    for (disease, finding), share in sorted(best.items()):
        edge = Edge(subject=disease, predicate=SIMULATED, object=finding, frequency=share, source=source.id)
        out.edges.append(edge)
        written = cards.get((disease, finding))
        if written is not None and abs(written - share) <= _NEAR:
            out.edges.append(replace(edge, predicate=_predicate(kinds.get(finding, ""))))
    return out


def simulated_table(graph: KnowledgeGraph) -> Ontology:
    """The whole table as knowledge that counts, to be laid over a graph: for DDXPlus's own patients only."""
    known = {edge.object for edge in graph.edges(None, "has_risk_factor")}
    out = Ontology()
    out.edges = [
        replace(
            edge,
            predicate="has_risk_factor" if edge.object in known else "has_phenotype",
            numerator=round((edge.frequency or 0.0) * _PATIENTS),
            denominator=_PATIENTS,
        )
        for edge in graph.edges(None, SIMULATED)
    ]
    return out


def _predicate(kind: str) -> str:
    return "has_risk_factor" if kind in _EXPOSURES else "has_phenotype"


def _numbers(edges: Iterable[Edge]) -> dict[tuple[str, str], float]:
    """(Disease, finding) -> the highest frequency that a card gives it or anything narrower."""
    parents: dict[str, list[str]] = {}
    own: dict[tuple[str, str], float] = {}
    for edge in edges:
        if edge.predicate == "is_a":
            parents.setdefault(edge.subject, []).append(edge.object)
        elif edge.evidence == "curated" and edge.predicate in ("has_phenotype", "has_risk_factor"):
            own[edge.subject, edge.object] = edge.frequency or 0.0
    out: dict[tuple[str, str], float] = {}
    for (disease, finding), share in own.items():
        waiting, seen = [finding], {finding}
        while waiting:
            term = waiting.pop()
            out[disease, term] = max(share, out.get((disease, term), 0.0))
            new = [p for p in parents.get(term, ()) if p not in seen]
            seen.update(new)
            waiting += new
    return out


def _map(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
