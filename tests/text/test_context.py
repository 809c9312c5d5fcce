"""Negation, uncertainty, history, family, hypothesis; sections."""

import pytest

from kgmed.text.context import Assertion, Context, sections


def said(text: str, mention: str) -> Assertion:
    start = text.index(mention)
    return Context(text).assertion(start, start + len(mention))


@pytest.mark.parametrize(
    ("text", "mention", "kinds"),
    [
        ("There is fever.", "fever", set()),
        ("No fever or cough.", "cough", {"negated"}),
        ("He denies chest pain, nausea or vomiting.", "vomiting", {"negated"}),
        ("No fever, but a cough.", "cough", set()),
        ("Fever was not seen.", "Fever", {"negated"}),
        ("Pneumonia has been ruled out.", "Pneumonia", {"negated"}),
        ("No change in edema.", "edema", set()),
        ("No fever. Cough is present.", "Cough", set()),
        ("Not only fever but also a rash", "fever", set()),
        ("Possible pneumonia", "pneumonia", {"uncertain"}),
        ("Pneumonia cannot be ruled out.", "Pneumonia", {"uncertain"}),
        ("Fever and possible pneumonia", "Fever", set()),
        ("Fever and suspected pneumonia", "Fever", set()),
        ("History of asthma", "asthma", {"historical"}),
        ("A 3-day history of fever", "fever", set()),
        ("Stroke 4 years ago", "Stroke", {"historical"}),
        ("His mother has epilepsy.", "epilepsy", {"family"}),
        ("His mother reports fever.", "fever", set()),
        ("Family history of deafness; the eyes are normal", "deafness", {"family"}),
        ("Return if fever occurs.", "fever", {"hypothetical"}),
    ],
)
def test_assertion(text: str, mention: str, kinds: set[str]) -> None:
    assertion = said(text, mention)
    assert {k for k in Assertion.__slots__ if getattr(assertion, k)} == kinds


def test_sections_cover_the_text() -> None:
    text = "Seen today.\nPMH: asthma\nFamily History:\nfather deaf\nPHYSICAL EXAM: well\n"
    parts = sections(text)
    assert [p.kind for p in parts] == ["", "past_history", "family_history", "physical_examination"]
    assert [text[p.start : p.end].strip() for p in parts] == ["Seen today.", "asthma", "father deaf", "well"]
    covered = set()
    for part in parts:
        covered |= set(range((part.heading or (part.start,))[0], part.end))
    assert covered == set(range(len(text)))


def test_a_colon_alone_makes_no_section() -> None:
    assert [p.kind for p in sections("Note: all well\nPlan: rest")] == ["", "assessment"]
