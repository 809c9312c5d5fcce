"""Names found in text whatever their inflection, order and spelling."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.errors import GraphFileError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Ontology, Synonym, Term
from kgmed.text import LEXICON_FILE, TextReader, compile_lexicon
from kgmed.text.lexicon import lexicon_of, load_lexicon
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
        ("hypoplasia of the very severely broad corpus callosum", "", ""),
        ("the retired name", "", ""),
    ],
)
def test_mention(reader: TextReader, text: str, mention: str, term: str) -> None:
    assert found(reader, text) == ({(mention, term)} if term else set())


def test_longest_and_most_specific_first(reader: TextReader) -> None:
    tagger = DictionaryTagger(lexicon_of(reader.graph), nested=False)
    text = "sensorineural hearing loss"
    assert [(text[m.start : m.end], m.term) for m in tagger(text)] == [(text, "HP:0000407")]


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("sensorineural hearing loss", {("hearing loss", "HP:0000365")}),
        ("progressive hearing loss", set()),
        ("generalized tonic-clonic seizures", set()),
    ],
)
def test_the_wider_finding_inside_a_name(reader: TextReader, text: str, inner: set[tuple[str, str]]) -> None:
    assert {m for m in found(reader, text) if m[0] != text} == inner


@pytest.mark.parametrize(
    ("text", "mention", "term"),
    [
        ("severe ID was diagnosed", "severe ID", "HP:0010864"),
        ("missing nails", "missing nails", "HP:0001798"),
        ("wide thumbs", "wide thumbs", "HP:0011304"),
        ("defects affecting the ear", "defects affecting the ear", "HP:0000598"),
        ("he is deaf", "deaf", "HP:0000365"),
        ("undescended testicles", "undescended testicles", "HP:0000028"),
        ("abnormal auricular shape", "abnormal auricular shape", "HP:0000598"),
        # Another word is no reason to call a healthy part abnormal.
        ("the ear was affected", "", ""),
        ("abnormal auricular cartilage", "", ""),
        ("thumbs with a short bone", "", ""),
    ],
)
def test_other_words_for_a_name(reader: TextReader, text: str, mention: str, term: str) -> None:
    assert found(reader, text) == ({(mention, term)} if term else set())


def test_a_phrase_stands_for_a_name_of_the_graph(reader: TextReader) -> None:
    assert found(reader, "seizure disorder") == {("seizure disorder", "HP:0001250")}


def test_a_degree_belongs_to_what_follows(reader: TextReader) -> None:
    text = "intellectual disability, severe headache"
    assert found(reader, text) == {("intellectual disability", "HP:0001249"), ("headache", "HP:0002315")}
    assert found(reader, "intellectual disability, severe.") == {
        ("intellectual disability, severe", "HP:0010864")
    }


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
        (
            "absent nails and thumbs",
            {("absent nails", "HP:0001798"), ("absent nails and thumbs", "HP:0009777")},
        ),
        (
            "absent, short thumbs",
            {("absent, short thumbs", "HP:0009777"), ("short thumbs", "HP:0009778")},
        ),
        ("abnormally short thumbs", {("short thumbs", "HP:0009778")}),
        (
            "absence of the nails, thumbs and hair",
            {("absence of the nails", "HP:0001798"), ("absence of the nails, thumbs", "HP:0009777")},
        ),
        ("fever, chest tightness and pain", {("fever", "HP:0001945")}),
        ("pain, chest clear", set()),
    ],
)
def test_coordination(reader: TextReader, text: str, expected: set[tuple[str, str]]) -> None:
    assert found(reader, text) == expected


def test_names_do_not_cross_sentences(reader: TextReader) -> None:
    assert found(reader, "The toe was short. Thumb normal.") == set()


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


def test_an_outdated_lexicon_is_compiled_again(graph: KnowledgeGraph, tmp_path) -> None:  # type: ignore[no-untyped-def]
    # It lacks a term on purpose, and says that it was made with other word lists.
    table = json.loads(compile_lexicon(KnowledgeGraph.compile(Ontology(terms=[graph.term("HP:0001945")]))))
    old = json.dumps(table | {"made_with": "1 other lists"}).encode()
    with pytest.raises(GraphFileError, match="build the graph again"):
        load_lexicon(old)
    graph.save(tmp_path, extra={LEXICON_FILE: old})
    reader = TextReader(KnowledgeGraph.load(tmp_path))
    assert found(reader, "fever and seizures") == {("fever", "HP:0001945"), ("seizures", "HP:0001250")}


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
