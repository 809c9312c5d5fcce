from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kgmed
from kgmed.intake import read_record, record_to_dict
from kgmed.record import (
    SEXES,
    Allergy,
    Finding,
    Issue,
    KnownDisease,
    Measurement,
    Medication,
    Record,
)

SCHEMA = json.loads(
    (Path(kgmed.__file__).parents[1] / "ontologies/schemas/record.schema.json").read_text(encoding="utf-8")
)


def codes(record: Record) -> list[str]:
    return [issue.code for issue in record.issues]


def test_everything_in_one_dict(graph: kgmed.KnowledgeGraph) -> None:
    data = {
        "id": "p1",
        "text": "Had a fit.",
        "sex": "f",
        "age": "P3Y",
        "onset": {"days": 40},
        "present": ["hp:0001250", {"term": "HP:0001251", "onset": "P1Y", "severity": "HP:0012828"}],
        "excluded": ["Fever"],
        "findings": [{"term": "HP:0000822", "context": "family"}],
        "measurements": [{"code": "LOINC:718-7", "value": 9.5, "unit": "g/dL", "low": 12, "high": 16}],
        "diseases": ["OMIM:154700"],
        "medications": ["RXNORM:316049", "aspirin"],
        "allergies": [{"name": "penicillin", "excluded": True}],
    }
    jsonschema.validate(data, SCHEMA)
    record = read_record(data, graph=graph)
    assert record.issues == ()
    assert (record.id, record.sex, record.onset_days) == ("p1", "FEMALE", 40)
    assert [(f.term, f.excluded, f.context, f.field) for f in record.findings] == [
        ("HP:0001250", False, "current", "present[0]"),
        ("HP:0001251", False, "current", "present[1]"),
        ("HP:0001945", True, "current", "excluded[0]"),
        ("HP:0000822", False, "family", "findings[0]"),
    ]
    assert record.findings[1].onset_days == 365.25
    assert record.measurements[0].low == 12
    assert [(m.code, m.name) for m in record.medications] == [("RXNORM:316049", ""), ("", "aspirin")]
    assert record.allergies[0].excluded


def test_names(graph: kgmed.KnowledgeGraph) -> None:
    record = read_record({"present": ["epileptic  FIT", "Unsteady", "Seizurs"]}, graph=graph)
    assert [f.term for f in record.findings] == ["HP:0001250"]  # "Unsteady" is a name of two terms
    assert [(i.code, i.field) for i in record.issues] == [
        ("unknown-name", "present[1].term"),
        ("unknown-name", "present[2].term"),
    ]
    assert "HP:0001250 (Seizure)" in record.issues[1].fix
    without = read_record({"present": ["Seizure"]})
    assert without.findings == () and codes(without) == ["name-without-graph"]


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        ({"id": "a\nb", "text": "x"}, "bad-id", "id"),
        ({"id": "x" * 300, "text": "x"}, "bad-id", "id"),
        ({"text": 3}, "bad-text", "text"),
        ({"text": "a\0b"}, "bad-text", "text"),
        ({"text": "\ud800"}, "bad-text", "text"),
        ({"text": "x" * 1_000_001}, "bad-text", "text"),
        ({"sex": "banana"}, "unknown-sex", "sex"),
        ({"sex": 1}, "unknown-sex", "sex"),
        ({"age": -1}, "bad-age", "age"),
        ({"age_days": float("inf")}, "bad-age", "age_days"),
        ({"present": "HP:0001250"}, "not-a-list", "present"),
        ({"present": [{"term": None}]}, "no-term", "present[0].name"),
        ({"present": [7]}, "not-an-object", "present[0]"),
        ({"present": [{"term": "HP:0001250", "excluded": True}]}, "contradiction", "present[0].excluded"),
        ({"findings": [{"term": "HP:0001250", "excluded": "maybe"}]}, "not-a-flag", "findings[0].excluded"),
        ({"findings": [{"term": "HP:0001250", "certainty": 2}]}, "bad-certainty", "findings[0].certainty"),
        ({"findings": [{"term": "HP:0001250", "context": "x"}]}, "unknown-word", "findings[0].context"),
        ({"findings": [{"term": "HP:0001250", "span": [0, 9]}]}, "bad-span", "findings[0].span"),
        ({"measurements": [{"name": "x", "value": "high"}]}, "not-a-number", "measurements[0].value"),
        ({"measurements": [{"name": "x", "value": float("inf")}]}, "not-a-number", "measurements[0].value"),
        ({"measurements": [{"name": "x", "value": float("nan")}]}, "no-value", "measurements[0].value"),
        ({"measurements": [{"value": 3}]}, "no-code", "measurements[0]"),
        ({"medications": [{"dose": "1"}]}, "no-code", "medications[0]"),
        ({"text": "x", "colour": 1}, "unknown-field", "colour"),
    ],
)
def test_bad_values_are_issues(data: dict[str, object], code: str, field: str) -> None:
    record = read_record(data)
    assert (code, field) in [(i.code, i.field) for i in record.issues]


def test_a_bad_entry_does_not_cost_the_others() -> None:
    record = read_record({"id": "p", "present": ["HP:0001250", None, "HP:0001251"]})
    assert [f.field for f in record.findings] == ["present[0]", "present[2]"]
    assert record.issues[0].record_id == "p"


AGES = st.none() | st.floats(0, 130 * 365.25)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
CURIES = st.from_regex(r"(HP|MONDO|OMIM|XY):[0-9]{1,7}", fullmatch=True)
CONTEXTS = st.sampled_from(["current", "historical", "family", "hypothetical"])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
NAMED = st.text(st.characters(categories=("L",)), min_size=1, max_size=10)


@st.composite
def records(draw: st.DrawFn) -> Record:
    text = draw(TEXTS)
    span = st.none() | st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
        lambda pair: (min(pair), max(pair))
    )

    def several(kind: type, **fields: st.SearchStrategy[object]) -> tuple[object, ...]:
        # The reader fills in the place of an entry that has none, so every entry has one.
        return tuple(draw(st.lists(st.builds(kind, **fields, field=NAMED), max_size=3)))

    return Record(
        id=draw(st.text(st.characters(categories=("L", "N")), max_size=10)),
        text=text,
        sex=draw(st.sampled_from(SEXES)),
        age_days=draw(AGES),
        onset_days=draw(AGES),
        findings=several(
            Finding, term=CURIES, excluded=st.booleans(), onset_days=AGES, span=span,
            certainty=st.floats(0, 1), severity=st.none() | NAMED, context=CONTEXTS,
            origin=st.sampled_from(["given", "text", "measurement", "rule"]),
        ),
        measurements=several(
            Measurement, code=st.just("LOINC:718-7"), name=TEXTS, value=NUMBERS, unit=TEXTS,
            low=st.none() | NUMBERS, high=st.none() | NUMBERS, span=span, age_days=AGES,
        ),
        diseases=several(
            KnownDisease, term=CURIES, name=TEXTS, excluded=st.booleans(), context=CONTEXTS, span=span
        ),
        medications=several(Medication, code=TEXTS, name=NAMED, dose=TEXTS, status=NAMED, span=span),
        allergies=several(
            Allergy, code=TEXTS, name=NAMED, reaction=TEXTS, excluded=st.booleans(), span=span
        ),
        issues=several(
            Issue, level=st.sampled_from(["error", "warning"]), code=NAMED, message=NAMED, fix=TEXTS,
            record_id=TEXTS,
        ),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(records())
def test_round_trip(record: Record) -> None:
    data = json.loads(json.dumps(record_to_dict(record)))
    jsonschema.validate(data, SCHEMA)
    assert read_record(data, format="dict") == record
