"""DDXPlus's conditional probabilities as facts: its questions and conditions mapped by hand.

`ddxplus.tsv` maps each question (and value) to a finding, `ddxplus_diseases.tsv` each of
the 49 conditions to a disease of the list. Both are ours; the numbers are those of
1,025,602 synthetic patients (Fansi Tchango et al., NeurIPS 2022; CC BY 4.0), so they
are plausible rather than observed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from kgmed.curated.library import Library
from kgmed.curated.names import folded
from kgmed.ontology import Edge, Ontology, Source

__all__ = ["compile_ddxplus"]

_LEAST = 0.01
"""What fewer patients have is noise of the generator."""
_PATIENTS = 40
"""How many patients a share counts for beside the cards' own numbers. The table rests on a million,
but they are simulated; five times what a card's percentage counts for was enough on dev."""
_EXPOSURES = ("exposure", "drug")


def compile_ddxplus(
    library: Library, folder: Path, rows: Iterable[dict[str, str]], source: Source
) -> Ontology:
    """The edges of the table, for findings and diseases that are mapped.

    Args:
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
    out.edges = [
        Edge(
            subject=disease,
            predicate="has_risk_factor" if kinds.get(finding) in _EXPOSURES else "has_phenotype",
            object=finding,
            frequency=share,
            numerator=round(share * _PATIENTS),
            denominator=_PATIENTS,
            source=source.id,
        )
        for (disease, finding), share in sorted(best.items())
    ]
    return out


def _map(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
