"""Names found in text whatever their inflection, order and spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Ontology, Synonym, Term
from kgmed.text import LEXICON_FILE, TextReader, compile_lexicon
from kgmed.text.lexicon import load_lexicon
from kgmed.text.match import DictionaryTagger
from kgmed.text.words import plain, root, same_noun, split


def found(reader: TextReader, text: str) -> set[tuple[str, str]]:
    return {(text[m.start : m.end], m.term) for m in reader.tagger(text)}


@pytest.mark.parametrize(
    ("text", "mention", "term"),
    [
        ("She had seizures.", "seizures", "HP:0001250"),
        ("An ear abnormality was seen.", "ear abnormality", "HP:0000598"),
        ("abnormalities of the ears", "abnormalities of the ears", "HP:0000598"),
        ("with hypoplastic corpus callosum", "hypoplastic corpus callosum", "HP:0002079"),
        ("corpus callosum hypoplasia", "corpus callosum hypoplasia", "HP:0002079"),
        ("The corpus callosum was hypoplastic.", "corpus callosum was hypoplastic", "HP:0002079"),
        ("oedema of the lower limbs", "oedema of the lower limbs", "HP:0010741"),
        ("an anaemic child", "anaemic", "HP:0001903"),
        ("an ataxic gait", "ataxic", "HP:0001251"),
        ("a pre-auricular pit", "pre-auricular pit", "HP:0004467"),
        ("shortened thumbs", "shortened thumbs", "HP:0009778"),
        ("a VSD was found", "VSD", "HP:0001629"),
        ("DEAFNESS", "DEAFNESS", "HP:0000365"),
        ("hypoplasia of the very severely short corpus callosum", "", ""),
        ("the retired name", "", ""),
    ],
)
def test_mention(reader: TextReader, text: str, mention: str, term: str) -> None:
    assert found(reader, text) == ({(mention, term)} if term else set())


def test_longest_and_most_specific_first(reader: TextReader) -> None:
    assert found(reader, "sensorineural hearing loss") == {("sensorineural hearing loss", "HP:0000407")}


def test_nested_names_when_asked_for(graph: KnowledgeGraph) -> None:
    text = "sensorineural hearing loss"
    tagger = DictionaryTagger(load_lexicon(compile_lexicon(graph)), nested=True)
    assert [(text[m.start : m.end], m.term) for m in tagger(text)] == [
        ("sensorineural hearing loss", "HP:0000407"),
        ("hearing loss", "HP:0000365"),
    ]


def test_severity_word_inside_a_name_is_passed_over(reader: TextReader) -> None:
    assert found(reader, "hearing severe impairment") == {("hearing severe impairment", "HP:0000365")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "short and broad thumbs",
            {("short and broad thumbs", "HP:0009778"), ("broad thumbs", "HP:0011304")},
        ),
        (
            "hypoplastic or absent nails",
            {("hypoplastic or absent nails", "HP:0001792"), ("absent nails", "HP:0001798")},
        ),
        ("fever, chest tightness and pain", {("fever", "HP:0001945")}),
        ("pain, chest clear", set()),
    ],
)
def test_coordination(reader: TextReader, text: str, expected: set[tuple[str, str]]) -> None:
    assert found(reader, text) == expected


def test_names_do_not_cross_sentences(reader: TextReader) -> None:
    assert found(reader, "The nail was short. Thumb normal.") == set()


def test_acronyms_need_their_capitals(reader: TextReader) -> None:
    assert found(reader, "vsd") == set()


def test_a_finding_wins_a_tie_and_longer_diseases_stay(reader: TextReader) -> None:
    mentions = {(m.term, m.disease) for m in reader.tagger("sickle cell anemia; anemia; Marfan syndrome")}
    assert mentions == {
        ("MONDO:0011382", True),
        ("HP:0001903", False),
        ("MONDO:0007947", True),
    }


def test_a_users_own_term_is_found(graph: KnowledgeGraph) -> None:
    own = Ontology(
        terms=[Term(curie="MY:1", name="Purple toe")],
        synonyms=[Synonym(term="MY:1", text="Violaceous hallux")],
    )
    reader = TextReader(graph.with_ontology(own))
    assert found(reader, "purple toes") == {("purple toes", "MY:1")}


def test_lexicon_reads_back_the_same(graph: KnowledgeGraph) -> None:
    data = compile_lexicon(graph)
    assert data == compile_lexicon(graph)
    text = "short and broad thumbs, ear anomalies, Marfan syndrome, VSD"
    assert DictionaryTagger(load_lexicon(data))(text) == list(TextReader(graph).tagger(text))


def test_stored_lexicon_is_used(graph: KnowledgeGraph, tmp_path) -> None:  # type: ignore[no-untyped-def]
    # The stored lexicon lacks a term on purpose: what it finds shows which one was read.
    less = KnowledgeGraph.compile(Ontology(terms=[graph.term("HP:0001945")]))
    graph.save(tmp_path, extra={LEXICON_FILE: compile_lexicon(less)})
    reader = TextReader(KnowledgeGraph.load(tmp_path))
    assert found(reader, "fever and seizures") == {("fever", "HP:0001945")}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("haemorrhage", "hemorrhage"),
        ("tumours", "tumor"),
        ("stenotic", "stenoses"),
        ("renal", "kidneys"),
        ("lipomata", "lipoma"),
        ("vertebrae", "vertebral"),
        ("epileptic", "epilepsy"),
    ],
)
def test_word_families(one: str, other: str) -> None:
    assert root(one) == root(other)


def test_unlike_words_stay_apart() -> None:
    assert plain("many") != plain("mania")
    assert plain("gingival") != plain("gingivitis")
    assert not same_noun("ordered", "order")


@given(st.text(max_size=200))
def test_words_read_back(text: str) -> None:
    words = split(text)
    assert all(0 <= a < b <= len(text) for a, b in zip(words.starts, words.ends, strict=True))
    assert words.starts == sorted(words.starts)
