"""Compiling a graph, walking it, and laying an ontology of one's own over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.errors import GraphFileError, InputError, UnknownTermError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Mapping, Ontology, Source, Synonym, Term
from kgmed.score.rules import load_rules

A, B, C, D = "HP:0000001", "HP:0000002", "HP:0000003", "MONDO:0000009"


def base_ontology() -> Ontology:
    """Three findings in a line, and a disease with two of them; rows of one fact by two sources."""
    return Ontology(
        sources=[Source(id="old", title="Old", release="1", licence="CC0")],
        terms=[
            Term(curie=A, name="all", source="old"),
            Term(curie=B, name="fever", source="old"),
            Term(curie=C, name="high fever", source="old"),
            Term(curie="HP:0000099", name="pyrexia", obsolete=True, replaced_by=B, source="old"),
            Term(curie=D, name="some disease", kind="disease", source="old"),
        ],
        synonyms=[Synonym(term=B, text="raised temperature", source="old")],
        edges=[
            Edge(subject=B, predicate="is_a", object=A, source="old"),
            Edge(subject=C, predicate="is_a", object=B, source="old"),
            Edge(subject=D, predicate="has_phenotype", object=B, frequency=0.5, references=("PMID:1",),
                 source="old"),
            Edge(subject=D, predicate="has_phenotype", object=B, numerator=3, denominator=4, frequency=0.75,
                 references=("PMID:2",), source="old"),
            Edge(subject=D, predicate="has_phenotype", object=C, negated=True, source="old"),
        ],
        mappings=[Mapping(term=D, other="OMIM:100", source="old")],
    )  # fmt: skip


@pytest.fixture(params=["compiled", "loaded"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> KnowledgeGraph:
    """The graph in memory, and the same graph from disk: an overlay must not see the difference."""
    graph = KnowledgeGraph.compile(base_ontology())
    if request.param == "compiled":
        return graph
    graph.save(tmp_path / "graph")
    return KnowledgeGraph.load(tmp_path / "graph")


def phenotypes(graph: KnowledgeGraph, disease: str) -> list[tuple[str, float | None, str]]:
    return [(e.object, e.frequency, e.source) for e in graph.edges(disease, "has_phenotype")]


# ---------------------------------------------------------------- with_ontology


def test_new_terms_names_edges_mappings_sources_and_rules_are_added(base: KnowledgeGraph) -> None:
    mine = Ontology(
        sources=[Source(id="me", title="Mine", release="1", licence="CC0")],
        terms=[
            Term(curie="my:1", name="new disease", kind="disease"),
            Term(curie="my:2", name="green sweat"),
        ],
        synonyms=[Synonym(term="my:2", text="verdant perspiration"), Synonym(term=B, text="hot")],
        edges=[
            Edge(subject="my:1", predicate="has_phenotype", object="my:2", frequency=0.9, source="me"),
            Edge(subject="my:2", predicate="is_a", object=A, source="me"),
        ],
        mappings=[Mapping(term="my:1", other="ICD10CM:X00")],
        rules=[{"id": "r"}],
    )
    graph = base.with_ontology(mine)
    assert graph.term("my:1").kind == "disease"
    assert graph.ancestors("my:2") == {A}
    assert phenotypes(graph, "my:1") == [("my:2", pytest.approx(0.9), "me")]
    assert {s.text for s in graph.synonyms(B)} == {"raised temperature", "hot"}
    assert graph.resolve("ICD10CM:X00") == "my:1" and graph.resolve("OMIM:100") == D
    assert set(graph.sources) == {"old", "me"}
    assert graph.rules == ({"id": "r"},)
    assert {e.subject for e in graph.edges(object=A)} == {B, "my:2"}
    # What was there is there still, and the old graph knows nothing of it.
    assert phenotypes(graph, D) == phenotypes(base, D)
    assert "my:1" not in base and len(base.rules) == 0


def test_a_term_is_overridden_and_keeps_its_edges(base: KnowledgeGraph) -> None:
    graph = base.with_ontology(
        Ontology(terms=[Term(curie=D, name="better name", kind="disease", source="me")])
    )
    assert graph.name(D) == "better name"
    assert phenotypes(graph, D) == phenotypes(base, D)
    assert len(graph) == len(base)


def test_an_edge_replaces_every_row_of_the_same_fact_and_no_other(base: KnowledgeGraph) -> None:
    mine = Ontology(edges=[Edge(subject=D, predicate="has_phenotype", object=B, frequency=0.1, source="me")])
    graph = base.with_ontology(mine)
    assert phenotypes(graph, D) == [(B, pytest.approx(0.1), "me"), (C, None, "old")]
    assert graph.parents(C) == (B,)


def test_several_rows_of_one_fact_in_the_overlay_are_all_kept(base: KnowledgeGraph) -> None:
    rows = [
        Edge(subject=D, predicate="has_phenotype", object=B, frequency=f, references=(r,), source="me")
        for f, r in ((0.1, "PMID:8"), (0.2, "PMID:9"))
    ]
    graph = base.with_ontology(Ontology(edges=rows))
    assert [e.references for e in graph.edges(D, "has_phenotype", B)] == [("PMID:8",), ("PMID:9",)]


def test_a_mapped_or_obsolete_identifier_means_the_graph_s_own_term(base: KnowledgeGraph) -> None:
    mine = Ontology(
        edges=[
            Edge(
                subject="OMIM:100", predicate="has_phenotype", object="HP:0000099", frequency=0.2, source="me"
            )
        ]
    )
    graph = base.with_ontology(mine)
    assert "OMIM:100" not in graph
    assert phenotypes(graph, D) == [(B, pytest.approx(0.2), "me"), (C, None, "old")]


def test_names_of_a_mapped_identifier_reach_the_graph_s_own_term(base: KnowledgeGraph) -> None:
    graph = base.with_ontology(
        Ontology(synonyms=[Synonym(term="OMIM:100", text="hundred disease", source="me")])
    )
    assert {s.text for s in graph.synonyms(D)} == {"hundred disease"}


def test_names_and_mappings_of_terms_that_nothing_defines_do_not_break_the_views(
    base: KnowledgeGraph, tmp_path: Path
) -> None:
    mine = Ontology(
        synonyms=[Synonym(term="my:404", text="nobody")], mappings=[Mapping(term="my:405", other="OMIM:7")]
    )
    graph = base.with_ontology(mine)
    frames = graph.to_frames()
    assert "nobody" in set(frames["synonyms"]["text"])
    graph.save(tmp_path / "again")
    again = KnowledgeGraph.load(tmp_path / "again")
    assert [s.term for s in again.synonyms() if s.text == "nobody"] == ["my:404"]
    assert again.resolve("OMIM:7") == "my:405"


def test_an_overlay_cannot_close_a_circle(base: KnowledgeGraph) -> None:
    with pytest.raises(InputError, match=r"circle: .*HP:0000001"):
        base.with_ontology(Ontology(edges=[Edge(subject=A, predicate="is_a", object=C)]))
    with pytest.raises(InputError, match="circle"):
        base.with_ontology(Ontology(edges=[Edge(subject=C, predicate="is_a", object=C)]))


def test_an_overlay_may_turn_an_edge_off(base: KnowledgeGraph) -> None:
    graph = base.with_ontology(Ontology(edges=[Edge(subject=C, predicate="is_a", object=B, negated=True)]))
    assert graph.parents(C) == ()
    assert graph.ancestors(C) == frozenset()
    # A denied link closes no circle.
    graph.with_ontology(Ontology(edges=[Edge(subject=B, predicate="is_a", object=C, negated=False)]))


def test_overlays_stack_and_the_last_one_wins(base: KnowledgeGraph) -> None:
    one = Ontology(edges=[Edge(subject=D, predicate="has_phenotype", object=B, frequency=0.1, source="one")])
    two = Ontology(edges=[Edge(subject=D, predicate="has_phenotype", object=B, frequency=0.2, source="two")])
    graph = base.with_ontology(one).with_ontology(two)
    assert [e.source for e in graph.edges(D, "has_phenotype", B)] == ["two"]


def test_the_overlaid_graph_survives_the_disk(base: KnowledgeGraph, tmp_path: Path) -> None:
    mine = Ontology(
        terms=[Term(curie="my:1", name="new disease", kind="disease")],
        synonyms=[Synonym(term="my:1", text="novelty", tags=("layperson",))],
        edges=[
            Edge(
                subject="my:1",
                predicate="has_phenotype",
                object=C,
                numerator=0,
                denominator=12,
                frequency=0.0,
            )
        ],
        rules=[{"id": "r", "if": ["HP:0000002 fever"]}],
    )
    graph = base.with_ontology(mine)
    graph.save(tmp_path / "again")
    again = KnowledgeGraph.load(tmp_path / "again")
    assert list(again.edges()) == list(graph.edges())
    assert list(again.terms()) == list(graph.terms())
    assert again.synonyms() == graph.synonyms()
    assert again.rules == graph.rules


def test_rules_may_speak_of_findings_of_one_s_own() -> None:
    rule = {
        "id": "own", "kind": "red_flag", "name": "Own", "urgency": "soon", "action": "Look.",
        "if": ["TOX:F1 Bronchorrhea"], "source": "Us, 2024",
    }  # fmt: skip
    assert [r.id for r in load_rules().with_rules([rule]).rules if r.id == "own"] == ["own"]


nodes = st.sampled_from([A, B, C, D, "my:1", "my:2", "OMIM:100", "HP:0000099"])
edges = st.builds(
    lambda s, p, o, f, n: Edge(subject=s, predicate=p, object=o, frequency=f, negated=n, source="me"),
    nodes,
    st.sampled_from(["is_a", "has_phenotype", "own_link"]),
    nodes,
    st.sampled_from([None, 0.0, 0.25, 1.0]),
    st.booleans(),
)


@given(st.lists(edges, max_size=12))
def test_an_overlay_is_the_same_as_replacing_rows_one_by_one(mine: list[Edge]) -> None:
    graph = KnowledgeGraph.compile(base_ontology())
    try:
        over = graph.with_ontology(Ontology(edges=mine))
    except InputError as error:
        assert "circle" in str(error)
        return
    meaning = {"OMIM:100": D, "HP:0000099": B}
    said = [(meaning.get(e.subject, e.subject), e.predicate, meaning.get(e.object, e.object)) for e in mine]
    # The slow way: every old row whose fact is not restated, then all of the new ones.
    kept = [e for e in graph.edges() if (e.subject, e.predicate, e.object) not in set(said)]
    expected = sorted([(e.subject, e.predicate, e.object, e.frequency, e.negated, e.source) for e in kept]
                      + [(*key, e.frequency, e.negated, "me") for key, e in zip(said, mine, strict=True)],
                      key=repr)  # fmt: skip
    found = sorted(
        ((e.subject, e.predicate, e.object, e.frequency, e.negated, e.source) for e in over.edges()), key=repr
    )
    assert found == expected
    for term in over.terms():  # every index agrees with the table
        assert {e.object for e in over.edges(term.curie, "is_a") if not e.negated} == set(
            over.parents(term.curie)
        )
        assert list(over.edges(object=term.curie)) == [e for e in over.edges() if e.object == term.curie]


# ---------------------------------------------------------------- compiling, walking, opening


def test_the_first_definition_of_a_term_counts() -> None:
    graph = KnowledgeGraph.compile(
        Ontology(terms=[Term(curie=A, name="first"), Term(curie=A, name="second")])
    )
    assert graph.name(A) == "first" and len(graph) == 1


def test_edges_may_name_what_no_term_defines() -> None:
    graph = KnowledgeGraph.compile(Ontology(edges=[Edge(subject="x:1", predicate="is_a", object="x:2")]))
    assert graph.term("x:2").kind == "other" and graph.name("x:2") == "x:2"


def test_an_unknown_term_names_its_neighbours(base: KnowledgeGraph) -> None:
    with pytest.raises(UnknownTermError) as caught:
        base.term("HP:0000022")
    assert set(caught.value.nearest) & {A, B, C}


def test_walks_go_both_ways_and_avoid_denied_edges(base: KnowledgeGraph) -> None:
    walk = base.path(D, A)
    assert walk is not None and walk.nodes == (D, B, A)
    back = base.path(A, C)
    assert back is not None and back.nodes == (A, B, C)
    assert [forward for _, forward in back] == [False, False]
    assert base.path(D, C, predicates=["has_phenotype"]) is None  # the only edge is denied
    assert base.is_a_path(C, A).nodes == (C, B, A)
    with pytest.raises(InputError, match="not an ancestor"):
        base.is_a_path(A, C)


def test_resolve_follows_replacements_and_stops_in_circles() -> None:
    graph = KnowledgeGraph.compile(
        Ontology(
            terms=[
                Term(curie="x:1", name="a", obsolete=True, replaced_by="x:2"),
                Term(curie="x:2", name="b", obsolete=True, replaced_by="x:1"),
                Term(curie="x:3", name="c", obsolete=True),
            ]
        )
    )
    assert graph.resolve("x:1") is None and graph.resolve("x:3") is None and graph.resolve("x:4") is None


@pytest.mark.parametrize("name", ["manifest.json", "terms.parquet", "edges.parquet", "synonyms.parquet"])
def test_damage_is_told_by_name(tmp_path: Path, name: str) -> None:
    KnowledgeGraph.compile(base_ontology()).save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(GraphFileError, match=name):
        graph = KnowledgeGraph.load(tmp_path)
        graph.synonyms()
    path.unlink()
    with pytest.raises(GraphFileError, match=f"{name}.* is missing"):
        graph = KnowledgeGraph.load(tmp_path)
        graph.synonyms()
