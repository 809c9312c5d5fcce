"""Whole notes: findings with context, person, onset; hostile input."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgmed.errors import InputError, KgmedError, RecordError
from kgmed.text import Mention, TextReader
from kgmed.text.person import read_person
from kgmed.text.reader import MAX_CHARACTERS

YEAR = 365.25
NOTE = """A 12-year-old girl with severe headache since age 8. No seizures. Possible splenomegaly.
Her mother has deafness.
PMH: anaemia
Family history: ataxia
Medications: tablets against fever
Exam: T 39 C, short and broad thumbs. Return if chest pain occurs. Marfan syndrome is suspected.
"""


def test_excluding_a_narrow_finding_leaves_the_wider_one_open(reader: TextReader) -> None:
    reading = reader.read("No sensorineural hearing loss.")
    assert [(f.term, f.excluded) for f in reading.findings] == [("HP:0000407", True)]


def test_note(reader: TextReader) -> None:
    reading = reader.read(NOTE)
    found = {(f.term, f.excluded, f.context, f.certainty) for f in reading.findings}
    assert found == {
        ("HP:0002315", False, "current", 1.0),
        ("HP:0001250", True, "current", 1.0),
        ("HP:0001744", False, "current", 0.5),
        ("HP:0000365", False, "family", 1.0),
        ("HP:0001903", False, "historical", 1.0),
        ("HP:0001251", False, "family", 1.0),
        ("HP:0009778", False, "current", 1.0),
        ("HP:0011304", False, "current", 1.0),
        ("HP:0100749", False, "hypothetical", 1.0),
    }
    headache = reading.findings[0]
    assert (headache.onset_days, headache.severity, headache.origin) == (8 * YEAR, "severe", "text")
    assert headache.span is not None
    assert NOTE[slice(*headache.span)] == "headache"
    assert headache.field == "text[{}:{}]".format(*headache.span)
    assert (reading.age_days, reading.sex) == (12 * YEAR, "FEMALE")
    assert [(m.name, m.value) for m in reading.measurements] == [("body temperature", 39.0)]
    assert [(d.term, d.excluded) for d in reading.diseases] == [("MONDO:0007947", False)]


def test_duration_counts_back_from_the_age(reader: TextReader) -> None:
    (fever,) = reader.read("A 2-year-old boy has had fever for 3 days.").findings
    assert fever.onset_days == 2 * YEAR - 3
    (fever,) = reader.read("He has had fever for 3 days.").findings
    assert fever.onset_days is None


@pytest.mark.parametrize(
    ("text", "years", "sex"),
    [
        ("61 year old Male with cough", 61, "MALE"),
        ("a 3-month-old girl", 0.25, "FEMALE"),
        ("34F with cough", 34, "FEMALE"),
        ("A 28-year-old previously healthy man", 28, "MALE"),
        ("A five-year-old boy", 5, "MALE"),
        ("72 yo M", 72, "MALE"),
        ("Age: 45. Sex: F", 45, "FEMALE"),
        ("A newborn girl", 0, "FEMALE"),
        ("An 8 years old girl born to 33 years old mother", 8, "FEMALE"),
        ("Her 40-year-old brother is well.", None, "UNKNOWN"),
        ("Born at 39 weeks of gestation", None, "UNKNOWN"),
        ("She walked. She talked at 2 years.", None, "FEMALE"),
        ("Newborn screening was normal.", None, "UNKNOWN"),
        ("a gestational age of 30 weeks", None, "UNKNOWN"),
    ],
)
def test_person(text: str, years: float | None, sex: str) -> None:
    person = read_person(text)
    assert person.sex == sex
    assert person.age_days == (None if years is None else pytest.approx(years * YEAR, abs=1))


def test_another_tagger_takes_the_place_of_the_dictionary(reader: TextReader) -> None:
    other = TextReader(reader.graph, tagger=lambda text: [Mention(3, 8, "HP:0001945", score=0.8)])
    (finding,) = other.read("No fever").findings
    assert (finding.term, finding.excluded, finding.certainty) == ("HP:0001945", True, 0.8)


@pytest.mark.parametrize(
    "text", ["secret\0name", "secret" + "\x01" * 40, "secret" * MAX_CHARACTERS, "\ufffd\ufffdsecret"]
)
def test_what_is_no_note_is_refused_without_quoting_it(reader: TextReader, text: str) -> None:
    with pytest.raises(RecordError, match="record r7, field text") as caught:
        reader.read(text, record_id="r7")
    assert "secret" not in str(caught.value)


def test_bytes_are_refused(reader: TextReader) -> None:
    with pytest.raises(InputError, match="must be a string, not bytes"):
        reader.read(b"fever")  # type: ignore[arg-type]


def test_empty_note(reader: TextReader) -> None:
    assert reader.read("").findings == ()


PIECES = st.sampled_from(
    [
        "fever",
        "no",
        "Seizures",
        "short and broad thumbs",
        "mother",
        ".",
        ",",
        "\n",
        "PMH:",
        "BP 120/80",
        "Hb 9 g/dL",
        "glucose 900 mmol/L",
        "5-year-old",
        "İ",
        "ﬁ",
        "and",
        "of the",
        "corpus callosum",
        "hypoplastic",
        "K 4 mg/dL",
        "for 3 days",
        "since age 4",
        "Family history:",
        "family",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=25).map(" ".join)))
def test_any_text_is_read_or_refused(reader: TextReader, text: str) -> None:
    try:
        reading = reader.read(text)
    except KgmedError:
        return
    assert reading == reader.read(text)
    for item in (*reading.findings, *reading.diseases, *reading.measurements):
        assert item.span is not None
        start, end = item.span
        assert 0 <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert item.field == f"text[{start}:{end}]"
    for section in reading.sections:
        assert 0 <= section.start <= section.end <= len(text)


@settings(max_examples=50, deadline=None)
@given(st.integers(20011, 29999), st.sampled_from(["glucose", "Hb", "potassium", "CRP"]))
def test_issues_hold_no_patient_text(reader: TextReader, number: int, name: str) -> None:
    reading = reader.read(f"{name} {number}.7 zorp/L in Quentin")
    assert reading.measurements == ()
    for issue in reading.issues:
        said = " ".join(map(str, dataclasses.asdict(issue).values()))
        assert str(number) not in said and "Quentin" not in said and "zorp" not in said
