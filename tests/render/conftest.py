"""A small graph and rankings over it, made from the types alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kgmed.graph import KnowledgeGraph, Path
from kgmed.ontology import Edge, Ontology, Source, Term
from kgmed.record import Case, Finding, Issue, Record
from kgmed.result import (
    Diagnosis,
    Evidence,
    Explanation,
    Question,
    Ranking,
    RedFlag,
    Score,
    ScoreItem,
    posttest_probability,
)

NOTE = "SECRET patient words about a dislocated lens."


def small_graph() -> KnowledgeGraph:
    """Two levels of findings, one disease, one curated fact."""
    terms = [
        Term(curie="HP:1", name="Lens disorder"),
        Term(curie="HP:2", name="Ectopia lentis"),
        Term(curie="HP:3", name="Seizure"),
        Term(curie="HP:4", name="Tall | <b>stature</b>"),
        Term(curie="HP:5", name="Fever"),
        Term(curie="MONDO:1", name="Marfan syndrome", kind="disease"),
    ]
    edges = [
        Edge(subject="HP:2", predicate="is_a", object="HP:1", source="hp"),
        Edge(
            subject="MONDO:1", predicate="has_phenotype", object="HP:2", numerator=5, denominator=8,
            references=("PMID:1",), source="hpoa",
        ),
        Edge(
            subject="MONDO:1", predicate="has_phenotype", object="HP:4", frequency=0.7, source="own",
            evidence="curated",
        ),
    ]  # fmt: skip
    sources = [
        Source(id="hp", title="HPO", release="2025-05-06", licence="HPO licence"),
        Source(id="hpoa", title="Annotations", release="2025-05-06", licence="HPO licence"),
        Source(id="own", title="Own <script>alert(1)</script>", release="1", licence="CC0"),
    ]
    return KnowledgeGraph.compile(Ontology(terms=terms, edges=edges, sources=sources))


def ranking_of(weights: Sequence[tuple[float, bool]], pretest: float = 0.001, **changes: Any) -> Ranking:
    """A ranking with one diagnosis whose evidence has these (log10_lr, calibrated) weights."""
    graph = small_graph()
    phenotype = {e.object: e for e in graph.edges("MONDO:1", "has_phenotype")}
    is_a = next(graph.edges("HP:2", "is_a"))
    findings = (
        Finding(term="HP:1", span=(36, 40), origin="text"),
        Finding(term="HP:3", excluded=True, field="findings[0]"),
        Finding(term="HP:4", field="findings[1]"),
        Finding(term="HP:5", field="findings[2]"),
    )
    paths = (
        Path(((is_a, False), (phenotype["HP:2"], False))),
        Path(),
        Path(((phenotype["HP:4"], False),)),
        Path(),
    )
    matches = ("more_general", "none", "exact", "none")
    evidence = []
    for i, (weight, calibrated) in enumerate(weights):
        at = i % 5
        if at == 4:
            evidence.append(
                Evidence(disease="MONDO:1", match="alternatives", log10_lr=weight, calibrated=calibrated)
            )
            continue
        evidence.append(
            Evidence(
                finding=findings[at],
                disease="MONDO:1",
                match=matches[at],  # type: ignore[arg-type]
                matched_term="HP:2" if at == 0 else "",
                p_if_disease=0.6,
                p_if_not=0.001,
                log10_lr=weight,
                path=paths[at],
                calibrated=calibrated,
            )
        )
    evidence.sort(key=lambda e: -abs(e.log10_lr))
    explanation = Explanation(
        evidence=tuple(evidence),
        unexplained=(findings[3],),
        worth_asking=(
            Question(
                term="HP:2", name="Ectopia lentis", information_gain=0.4, p_if_disease=0.6, p_overall=0.1
            ),
        ),
    )
    moved = math.fsum(w for w, calibrated in weights if calibrated)
    given: dict[str, Any] = {
        "diagnoses": (
            Diagnosis(
                disease="MONDO:1",
                name="Marfan syndrome",
                rank=1,
                pretest_probability=pretest,
                posttest_probability=posttest_probability(pretest, moved),
                mappings=("OMIM:154700", "ORPHA:558"),
                explain=lambda: explanation,
            ),
        ),
        "case": Case(
            record=Record(id="P1", text=NOTE),
            findings=findings,
            set_aside=((Finding(term="HP:2", field="findings[9]"), "said of a family member"),),
            issues=(
                Issue(
                    level="warning", code="unknown-term", message="No HP:9.", fix="Look it up.", field="x[1]"
                ),
            ),
        ),
        "red_flags": (
            RedFlag(
                rule="shock", name="Shock", urgency="emergency", action="Call for help.",
                findings=(findings[3],), source="Guide 2020",
            ),
        ),
        "scores": (
            Score(
                rule="s", name="Score S", value=2, at_most=4, maximum=7, missing=("Item B",),
                source="Paper 2010",
                items=(
                    ScoreItem(name="Item A", points=2, met=True),
                    ScoreItem(name="Item B", points=2, met=None),
                ),
            ),
        ),
        "provenance": {
            "kgmed": "0.1.0",
            "graph": {
                "checksum": "abc",
                "sources": [
                    {"id": s.id, "title": s.title, "release": s.release, "licence": s.licence}
                    for s in graph.sources.values()
                ],
            },
            "config": {"limit": math.inf},
            "seed": 7,
        },
        "considered": 1,
        "names": graph.name,
    }  # fmt: skip
    return Ranking(**(given | changes))


@pytest.fixture
def make_ranking() -> Callable[..., Ranking]:
    return ranking_of


@pytest.fixture
def ranking() -> Ranking:
    return ranking_of(
        [(2.345, True), (-0.004, True), (1.005, True), (0.0, True), (-1.237, True), (0.7, False)]
    )
