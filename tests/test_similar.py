"""Findings told in other words than any name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kgmed
from kgmed.config import EngineConfig
from kgmed.ontology import Edge, Ontology, Source, Synonym, Term
from kgmed.text.encoder import default_encoder
from kgmed.text.similar import SIMILAR_FILE, compile_similar, name_vectors, piece_weights


@pytest.fixture(scope="module")
def engine() -> kgmed.Engine:
    return kgmed.load_engine()


def found(engine: kgmed.Engine, text: str) -> set[str]:
    case = engine.case(engine.read(text))
    return {engine.graph.name(f.term) for f in case.findings if not f.excluded}


@pytest.mark.parametrize(
    ("told", "finding"),
    [
        ("A 69-year-old man. His stream has got weak.", "Weak urinary stream"),
        ("A 4-year-old. There's a harsh noise when he breathes in.", "Stridor"),
        ("I am 25. It hurts a bit to swallow.", "Odynophagia"),
    ],
)
def test_other_words_arrive(engine: kgmed.Engine, told: str, finding: str) -> None:
    names = found(engine, told)
    graph = engine.graph
    wanted = next(t.curie for t in graph.terms("finding") if t.name == finding)
    curies = {t.curie for t in graph.terms("finding") if t.name in names}
    assert any(c == wanted or wanted in graph.ancestors(c) for c in curies) or finding in names


@pytest.mark.parametrize(
    "told",
    [
        "I can't complain about anything, no fever, no pain at all.",
        "We took the bus home and she cooked soup.",
        "His pulse is 89/min, respirations are 16/min, and his blood pressure is",
        "A 30-year-old man is brought to the physician. Laboratory studies show",
        "Deep tendon reflexes are normal and the abdomen is soft.",
    ],
)
def test_nothing_is_told(engine: kgmed.Engine, told: str) -> None:
    assert not found(engine, told)


def test_it_can_be_left_out() -> None:
    engine = kgmed.load_engine(EngineConfig(similar=False))
    assert not found(engine, "A 69-year-old man. His stream has got weak.")


def test_the_same_text_reads_the_same(engine: kgmed.Engine) -> None:
    text = "My left calf swelled up after the flight, and it is sore when I press on it."
    first, second = (engine.case(engine.read(text)).findings for _ in range(2))
    assert first == second


def test_states_are_of_the_pieces_of_each_text() -> None:
    texts = ["weak urinary stream", "red eye", "weak urinary stream"]
    first, other, again = default_encoder().states(texts)
    states, places = first
    assert states.shape == (len(places), default_encoder().dimensions)
    assert texts[0][slice(*places[0])] == "weak"
    np.testing.assert_allclose(states, again[0], atol=1e-5)
    assert len(other[1]) == 2


@given(st.text(alphabet="aI have headache,. now", max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_the_weights_of_a_span_lie_in_it(text: str, one: int, other: int) -> None:
    span = min(one, other), max(one, other)
    ((_, places),) = default_encoder().states([text])
    (weights,) = piece_weights(text, places, [span])
    inside = [span[0] <= start < span[1] for start, _ in places]
    assert weights.sum() == pytest.approx(1.0 if any(inside) else 0.0, abs=1e-5)
    assert not weights[[not i for i in inside]].any()


def test_names_of_a_loaded_ontology_are_compared(engine: kgmed.Engine) -> None:
    graph = engine.graph.with_ontology(
        Ontology(
            sources=[Source(id="mine", title="Mine", release="1", licence="CC0-1.0")],
            terms=[
                Term(curie="X:1", name="Zigzag lights at the border of sight", kind="finding", source="mine")
            ],
            synonyms=[Synonym(term="X:1", text="shimmering zigzag edges", source="mine")],
            edges=[Edge(subject="MONDO:0005277", predicate="has_phenotype", object="X:1", source="mine")],
        )
    )
    names = name_vectors(graph, default_encoder())
    assert "X:1" in names.terms
    assert len(names.names) == len(names.terms) == len(names.vectors)


def test_stored_vectors_are_those_of_the_names(engine: kgmed.Engine) -> None:
    assert engine.graph.file(SIMILAR_FILE) is not None
    small = Ontology(
        sources=[Source(id="mine", title="Mine", release="1", licence="CC0-1.0")],
        terms=[Term(curie="X:1", name="Weak urinary stream", kind="finding", source="mine")],
    )
    from kgmed.graph import KnowledgeGraph

    graph = KnowledgeGraph.compile(small)
    assert len(compile_similar(graph, default_encoder())) > 0
