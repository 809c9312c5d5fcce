"""Disease cards, vocabulary and list: read, checked and compiled."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.curated import Library, compile_curated, lint, read_cards, read_vocabulary
from kgmed.curated.card import FREQUENCY_CLASSES, parse_cards
from kgmed.curated.compile import CONSTANTS, exposed_share
from kgmed.curated.vocabulary import TOLD, number_vocabulary
from kgmed.errors import ParseError
from kgmed.ontology import Edge, Ontology, Source, Synonym, Term
from kgmed.read import validate

SOURCE = Source(id="curated", title="test", release="1", licence="Apache-2.0")
VOCABULARY = """\
id\tname\tparents\tkind\tclinical\tlay\tcodes\tbase
KGMED:0000101\tCrushing chest pain\tChest pain\thistory\tpressing chest pain\telephant on my chest\t\t0.3
KGMED:0000102\tSmoker\tExposure or risk factor\texposure\tcurrent smoker\tsmokes\t\t20
KGMED:0000103\tElectrocardiography\tProcedure\tprocedure\tECG\t\t\t
"""
ROOTS = """\
id\tname\tparents\tkind\tclinical\tlay\tcodes\tbase
KGMED:0000008\tExposure or risk factor\t\texposure\t\t\t\t
KGMED:0000011\tProcedure\t\tprocedure\t\t\t\t
"""
LIST = """\
chapter\tname\tmondo\tkgmed\ticd10cm\tsettings\treason\tnote
I00-I99 Circulation\tHeart attack\tMONDO:0004781\t\tI21\temergency\tdangerous\t
I00-I99 Circulation\tChest wall strain\t\tKGMED:1000001\tM79.1\tprimary\tcommon\t
"""
CARD = """\
[Heart attack]
names: MI; myocardial infarction
seen: primary 15; emergency 800
age: 45-64 50; 65-79 50
sex: male 65
tempo: minutes 20; hours 80
triage: emergency
risk: Smoker 3
history: Chest pain 90; Crushing chest pain 60 @1h
  Fever frequent [PMID:1]
absent: Cough 5
confused with: Chest wall strain
red flags: Fever
settled by: Electrocardiography
"""
TERMS = [
    Term(curie="HP:0100749", name="Chest pain"),
    Term(curie="HP:0001945", name="Fever"),
    Term(curie="HP:0012735", name="Cough"),
    Term(curie="MONDO:0004781", name="acute myocardial infarction", kind="disease"),
]
SYNONYMS = [Synonym(term="HP:0001945", text="Pyrexia")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "findings").mkdir()
    (tmp_path / "diseases").mkdir()
    (tmp_path / "findings" / "a.tsv").write_text(VOCABULARY, encoding="utf-8")
    (tmp_path / "findings" / "roots.tsv").write_text(ROOTS, encoding="utf-8")
    (tmp_path / "diseases.tsv").write_text(LIST, encoding="utf-8")
    (tmp_path / "diseases" / "heart.txt").write_text(CARD, encoding="utf-8")
    return tmp_path


def read(folder: Path) -> Library:
    return Library.read(folder, TERMS, SYNONYMS)


def codes(folder: Path, *, of: str = "error") -> set[str]:
    return {complaint.code for complaint in lint(read(folder)) if complaint.level == of}


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "diseases" / "heart.txt"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_card_becomes_sourced_edges(folder: Path) -> None:
    compiled = compile_curated(read(folder), SOURCE)
    edges = {(e.predicate, e.object): e for e in compiled.edges if e.subject == "MONDO:0004781"}
    assert edges["has_phenotype", "HP:0100749"].frequency == 0.9
    assert edges["has_phenotype", "KGMED:0000101"].onset == CONSTANTS["time", "h"]
    assert edges["has_phenotype", "HP:0001945"].frequency == FREQUENCY_CLASSES["frequent"] / 100
    assert edges["has_phenotype", "HP:0001945"].references == ("PMID:1",)
    assert edges["has_phenotype", "HP:0012735"].frequency == 0.05
    smoker = edges["has_risk_factor", "KGMED:0000102"]
    assert smoker.value == 3.0 and smoker.frequency == pytest.approx(0.6 / 1.4)
    assert edges["seen_in", CONSTANTS["setting", "emergency"]].value == 800
    assert edges["has_age", CONSTANTS["age", "45-64"]].frequency == 0.5
    assert edges["has_sex", CONSTANTS["sex", "female"]].frequency == pytest.approx(0.35)
    assert edges["confused_with", "KGMED:1000001"]
    assert edges["settled_by", "KGMED:0000103"]
    assert all(e.source == "curated" and e.evidence == "curated" for e in compiled.edges)


def test_phrases_that_tell_are_no_names(folder: Path) -> None:
    told = "id\tname\ttold\nHP:0001945\tFever\tburning up | forehead was roasting\n"
    (folder / "told.tsv").write_text(told, encoding="utf-8")
    assert codes(folder) == set()
    phrases = {s.text: s for s in compile_curated(read(folder), SOURCE).synonyms if TOLD in s.tags}
    assert set(phrases) == {"burning up", "forehead was roasting"}
    assert phrases["burning up"].term == "HP:0001945" and phrases["burning up"].scope == "related"
    assert read(folder).findings.find("burning up") is None


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("HP:0001945\tCough\tburning up", "unknown-told"),
        ("HP:0001945\tFever\telephant on my chest", "twin"),
        ("HP:0001945\tFever\tbarks\nHP:0012735\tCough\tBarks", "twin"),
    ],
)
def test_phrases_that_tell_are_linted(folder: Path, row: str, code: str) -> None:
    (folder / "told.tsv").write_text(f"id\tname\ttold\n{row}\n", encoding="utf-8")
    assert code in codes(folder)


def test_a_row_without_phrases_is_refused(folder: Path) -> None:
    (folder / "told.tsv").write_text("id\tname\ttold\nHP:0001945\tFever\t\n", encoding="utf-8")
    with pytest.raises(ParseError, match=r"told\.tsv.*phrases"):
        read(folder)


def test_the_vocabulary_brings_names_hierarchy_and_lay_words(folder: Path) -> None:
    compiled = compile_curated(read(folder), SOURCE)
    assert ("KGMED:0000101", "HP:0100749") in {
        (e.subject, e.object) for e in compiled.edges if e.predicate == "is_a"
    }
    lay = {s.text for s in compiled.synonyms if "layperson" in s.tags}
    assert "elephant on my chest" in lay
    found = {(e.subject, e.object) for e in compiled.edges if e.predicate == "found_by"}
    assert ("KGMED:0000101", CONSTANTS["found by", "history"]) in found


def test_a_sound_card_has_no_error(folder: Path) -> None:
    assert codes(folder) == set()
    assert "no-card" in codes(folder, of="warning")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Cough 5", "Coughh 5", "unknown-finding"),
        ("Chest pain 90", "Chest pain 900", "impossible"),
        ("Chest pain 90", "Chest pain 40", "impossible"),  # the narrower pain is given 60
        ("45-64 50", "45-64 20", "impossible"),
        ("45-64 50", "46-64 50", "unknown-word"),
        ("Smoker 3", "Smoker 5000", "impossible"),
        ("Cough 5", "Cough 5; Pyrexia 3", "twice"),
        ("triage: emergency", "triage: soon", "unknown-word"),
        ("tempo: minutes 20; hours 80\n", "", "missing"),
        ("[Heart attack]", "[Heart atack]", "unlisted"),
    ],
)
def test_each_fault_is_told(folder: Path, old: str, new: str, code: str) -> None:
    edit(folder, old, new)
    assert code in codes(folder)


def test_two_diseases_that_nothing_separates_are_told(folder: Path) -> None:
    twin = CARD.replace("[Heart attack]", "[Chest wall strain]").replace(
        "Chest wall strain\nred", "Heart attack\nred"
    )
    edit(folder, CARD, CARD + "\n" + twin)
    assert "inseparable" in codes(folder)
    edit(folder, twin, twin.replace("Cough 5", "Cough 95"))
    assert "inseparable" not in codes(folder)


def test_the_compiled_cards_fit_the_shapes(folder: Path) -> None:
    compiled = compile_curated(read(folder), SOURCE)
    # The parents of the tiny vocabulary stand in other sources.
    faults = [i for i in validate(compiled) if i.level == "error" and i.code != "unknown-term"]
    assert faults == []
    wrong = [replace(e, value=-2.0) if e.predicate == "has_risk_factor" else e for e in compiled.edges]
    assert any("odds ratio" in i.fix for i in validate(replace_edges(compiled, wrong)))


def replace_edges(ontology: Ontology, edges: list[Edge]) -> Ontology:
    return Ontology(
        sources=ontology.sources,
        terms=ontology.terms,
        synonyms=ontology.synonyms,
        mappings=ontology.mappings,
        edges=edges,
    )


def test_twin_findings_and_orphans_are_told(folder: Path) -> None:
    path = folder / "findings" / "b.tsv"
    path.write_text(
        VOCABULARY.splitlines()[0]
        + "\nKGMED:0000200\tVice-like pain\t\thistory\tpressing chest pain\t\t\t1\n",
        encoding="utf-8",
    )
    assert {"twin", "orphan"} <= codes(folder)


def test_numbers_are_given_once_and_kept(folder: Path) -> None:
    path = folder / "findings" / "b.tsv"
    path.write_text(
        VOCABULARY.splitlines()[0] + "\n\tSweating on exertion\tChest pain\thistory\t\t\t\t1\n",
        encoding="utf-8",
    )
    before = {row.name: row.id for row in read_vocabulary(folder / "findings")}
    assert "unnumbered" in codes(folder)
    assert number_vocabulary(folder / "findings") == 1
    after = {row.name: row.id for row in read_vocabulary(folder / "findings")}
    assert after.pop("Sweating on exertion") == "KGMED:0000104"
    assert before.items() >= after.items()
    assert number_vocabulary(folder / "findings") == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("history: Fever 5", 1),
        ("[A]\nhistory Fever 5", 2),
        ("[A]\n\nhistory: Fever", 3),
        ("[A]\nhstory: Fever 5", 2),
        ("[A", 1),
        ("[A]\n  Fever 5", 2),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ParseError) as error:
        parse_cards(text, path="x.txt")
    assert error.value.path == "x.txt" and error.value.line == line


@given(st.text(alphabet="[]:;#@ \nabz019", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_cards(text)
    except ParseError as error:
        assert error.line is not None


@given(st.floats(0.01, 1000), st.floats(0.0001, 0.99))
def test_the_share_of_exposed_gives_the_odds_ratio_back(odds_ratio: float, base: float) -> None:
    share = exposed_share(odds_ratio, base)
    assert 0.0 < share < 1.0
    assert share / (1 - share) / (base / (1 - base)) == pytest.approx(odds_ratio, rel=1e-6)


def test_a_missing_file_and_a_wrong_table_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"none\.txt"):
        read_cards(tmp_path / "none.txt")
    (folder / "findings" / "c.tsv").write_text("id\tname\n", encoding="utf-8")
    with pytest.raises(ParseError, match="columns"):
        read_vocabulary(folder / "findings")
