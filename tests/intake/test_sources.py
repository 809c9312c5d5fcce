"""Detection, files, tables, and input that is no record at all."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kgmed
from kgmed.errors import InputError, KgmedError, ParseError, UnknownNameError
from kgmed.intake import FORMATS, iter_records, read_record, read_records
from kgmed.record import Record


def test_notes_and_json_are_told_apart() -> None:
    assert read_record("Seizures since birth.").text == "Seizures since birth."
    assert read_record("[** name **] was seen").text.startswith("[** name")
    assert read_record(b"\xef\xbb\xbffits").text == "fits"
    assert read_record('{"id": "a", "text": "x"}').id == "a"
    assert read_record('{"a": 1}', format="text").text == '{"a": 1}'
    record = Record(id="same")
    assert read_record(record) is record


@pytest.mark.parametrize(
    "source",
    [
        '{"id": ',
        '{"id": 1} trailing',
        '{"present": [NaN]}',
        '{"age": Infinity}',
        '{"age": 1e999}',
        '{"id": "a", "id": "b"}',
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"a":' * 150 + "1" + "}" * 150,
        '{"age": ' + "1" * 5000 + "}",
        "[1, 2]".replace("1", '"a"'),
        b"\xff\xfe\x00",
        b"abc\0def",
        "abc\0def",
        "x" * 1_000_001,
        b"x" * 20_000_001,
        {"a": 1},
        {"resourceType": 3, "x": 1},
        {},
        [],
        3,
        None,
        float("nan"),
        ["a", "b"],
    ],
    ids=lambda source: repr(source)[:20],
)
def test_no_record_is_a_clear_error(source: Any) -> None:
    if source == {}:
        assert read_record(source) == Record()  # empty, which `check` reports
        return
    with pytest.raises(InputError) as caught:
        read_record(source)
    assert len(str(caught.value)) < 300


def test_errors_name_the_line_and_not_the_text() -> None:
    with pytest.raises(ParseError) as caught:
        read_record('{"id": "a",\n "text": Mrs Secret}')
    assert caught.value.line == 2 and "Secret" not in str(caught.value)
    with pytest.raises(UnknownNameError):
        read_record("x", format="hl7v2")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"id": "a", "present": ["HP:0001250"]}', encoding="utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"A note."))
    (tmp_path / "c.jsonl").write_text(
        '{"id": "c1"}\n\n{bad\n[{"id": "c3"}]\n{"id": "c1"}\n', encoding="utf-8"
    )
    (tmp_path / "d.csv").write_text('id,present,age\nd1,HP:0001250;HP:0001251,P3Y\nd2,"x', encoding="utf-8")
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(b"{}" * 99)[:-9])
    (tmp_path / "ignored.pdf").write_bytes(b"%PDF")
    assert read_record(tmp_path / "a.json").id == "a"
    assert read_record(tmp_path / "b.txt.gz").text == "A note."
    lines = list(iter_records(tmp_path / "c.jsonl"))
    assert [r.id if isinstance(r, Record) else r.line for r in lines] == ["c1", 3, "c3", "c1"]
    assert [i.code for i in lines[3].issues] == ["duplicate-id"]
    rows = list(iter_records(tmp_path / "d.csv"))
    assert [f.term for f in rows[0].findings] == ["HP:0001250", "HP:0001251"]
    assert isinstance(rows[1], ParseError)
    with pytest.raises(ParseError, match="damaged"):
        read_record(tmp_path / "e.json.gz")
    with pytest.raises(ParseError, match="kind of file"):
        read_record(tmp_path / "ignored.pdf")
    with pytest.raises(ParseError, match="no such file"):
        read_record(tmp_path / "missing.json")
    assert sum(isinstance(r, Record) for r in iter_records(tmp_path)) == 6
    assert read_record(str(tmp_path / "a.json")).text.endswith("a.json")  # a string is a note


def test_one_bad_record_does_not_cost_the_others() -> None:
    sources = ["note", b"\xff", {"id": "x"}, 7]
    found = list(iter_records(sources))
    assert [isinstance(r, Record) for r in found] == [True, False, True, False]
    reading = read_records(sources)
    assert next(reading).text == "note"
    with pytest.raises(ParseError, match="UTF-8"):
        next(reading)


def test_wide_frame(graph: kgmed.KnowledgeGraph) -> None:
    frame = pandas.DataFrame(
        {
            "id": [1.0, 2.0],
            "present": [["HP:0001250"], "Seizure | HP:0001251"],
            "excluded": [None, "HP:0001945"],
            "sex": ["F", float("nan")],
            "age_days": [10, None],
            "hemoglobin [g/dL]": [9.5, float("nan")],
            "LOINC:718-7 [g/L]": [None, "high"],
            "shoe size": [40, None],
        }
    )
    first, second = read_records(frame, graph=graph)
    assert (first.id, first.sex, first.age_days) == ("1", "FEMALE", 10)
    assert [(m.name, m.value, m.unit) for m in first.measurements] == [("hemoglobin", 9.5, "g/dL")]
    assert [i.code for i in first.issues] == ["unknown-field"]
    assert [(f.term, f.excluded) for f in second.findings] == [
        ("HP:0001250", False),
        ("HP:0001251", False),
        ("HP:0001945", True),
    ]
    assert (second.sex, second.age_days) == ("UNKNOWN", None)
    assert [(i.code, i.field) for i in second.issues] == [("not-a-number", "measurements[0].value")]


def test_long_table() -> None:
    table = (
        "id,term,excluded,onset,sex\n"
        "a,HP:0001250,,P1Y,F\n"
        "b,HP:0001251,yes,NA,NaN\n"
        "a,HP:0001945,true,,M\n"
        "a,,yes,,\n"
    )
    first, second = read_records(table, format="csv")
    assert [(f.term, f.excluded, f.onset_days) for f in first.findings] == [
        ("HP:0001250", False, 365.25),
        ("HP:0001945", True, None),
    ]
    assert [f.excluded for f in second.findings] == [True] and second.issues == ()
    assert [(i.code, i.field) for i in first.issues] == [("conflict", "sex"), ("no-term", "findings[2].name")]


# ---------------------------------------------------------------- fuzz

SECRET = "Zaphod Beeblebrox"
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([SECRET, "HP:0001250", "P3Y", "true", "2001-01-01", "text/plain", "final"])
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "id",
        "text",
        "sex",
        "age",
        "present",
        "excluded",
        "findings",
        "measurements",
        "diseases",
        "medications",
        "allergies",
        "term",
        "value",
        "code",
        "unit",
        "subject",
        "phenotypicFeatures",
        "type",
        "onset",
        "negated",
        "severity",
        "timeAtLastEncounter",
        "dateOfBirth",
        "timestamp",
        "assay",
        "quantity",
        "medicalActions",
        "treatment",
        "agent",
        "metaData",
        "coding",
        "system",
        "display",
        "valueQuantity",
        "onsetAge",
        "onsetDateTime",
        "component",
        "valueBoolean",
        "status",
        "gender",
        "birthDate",
        "resource",
        "reference",
        "content",
        "attachment",
        "data",
        "contentType",
        "conclusion",
        "presentedForm",
        "div",
        "issues",
        "level",
        "span",
        "members",
        "proband",
    ]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)
KINDS = st.sampled_from(
    [
        "Patient",
        "Condition",
        "Observation",
        "MedicationRequest",
        "AllergyIntolerance",
        "FamilyMemberHistory",
        "DiagnosticReport",
        "DocumentReference",
        "Bundle",
        "Nonsense",
    ]
)


def no_secret(record: Record | KgmedError) -> bool:
    if isinstance(record, KgmedError):
        return isinstance(record, InputError) and SECRET not in str(record)
    return all(SECRET not in i.message + i.fix + i.field for i in record.issues)


@st.composite
def mappings(draw: st.DrawFn) -> dict[Any, Any]:
    data: dict[Any, Any] = draw(st.dictionaries(KEYS, TREES, max_size=6))
    if draw(st.booleans()):
        data["resourceType"] = draw(KINDS)
        if draw(st.booleans()):
            inner = draw(st.lists(st.dictionaries(KEYS, TREES, max_size=5), max_size=3))
            entries = [{"resource": {**r, "resourceType": draw(KINDS)}} for r in inner]
            data = {"resourceType": "Bundle", "entry": entries}
    return data


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(mappings())
def test_any_mapping_gives_records_or_input_errors_without_patient_text(data: dict[Any, Any]) -> None:
    # An earlier issue that the source itself lists is data, not our message.
    data.pop("issues", None)
    for format in (None, "dict", "phenopacket", "fhir"):
        for record in iter_records(data, format=format):
            assert no_secret(record)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_text_or_bytes(source: bytes | str) -> None:
    for format in (None, *FORMATS):
        for record in iter_records(source, format=format):
            assert isinstance(record, Record | InputError)


@settings(max_examples=60, deadline=None)
@given(TREES, st.integers(0, 200))
def test_damaged_json_is_a_parse_error_or_a_record(tree: Any, cut: int) -> None:
    whole = json.dumps({"present": [tree], "phenotypicFeatures": [tree]})
    for record in iter_records(whole[:cut], format="dict"):
        assert isinstance(record, Record | InputError)


CODED = {"coding": [{"system": "http://snomed.info/sct", "code": "91175000", "display": "Fit"}]}
SUBJECT = {"reference": "Patient/p3"}
QUANTITY = {"value": 9.5, "unit": "g/dL", "code": "g/dL"}
FEATURE = {
    "type": {"id": "HP:0001250", "label": "Seizure"},
    "excluded": True,
    "onset": {"age": {"iso8601duration": "P3Y"}},
    "severity": {"id": "HP:0012828"},
}
WHOLE: list[dict[str, Any]] = [
    {
        "id": "p1",
        "text": "A note.",
        "sex": "F",
        "age": {"days": 40},
        "present": ["Seizure", {"term": "HP:0001251", "onset": "P1Y", "span": [0, 2]}],
        "excluded": ["Fevre"],
        "measurements": [{"code": "LOINC:718-7", "value": 9.5, "low": 12}],
        "diseases": ["OMIM:154700"],
        "medications": [{"name": "aspirin"}],
        "allergies": ["penicillin"],
    },
    {
        "id": "p2",
        "subject": {"sex": "MALE", "dateOfBirth": "2010-01-01T00:00:00Z"},
        "phenotypicFeatures": [FEATURE, {"type": {"id": "HP:0001251"}, "negated": True}],
        "diseases": [{"term": {"id": "OMIM:154700"}, "onset": {"ontologyClass": {"id": "HP:0003577"}}}],
        "measurements": [{"assay": {"id": "LOINC:718-7"}, "value": {"quantity": {"value": 9.5}}}],
        "medicalActions": [{"treatment": {"agent": {"id": "RxNorm:316049"}}}],
        "metaData": {},
    },
    {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": {"resourceType": "Patient", "id": "p3", "gender": "male",
                          "birthDate": "2000-01-01"}},
            {"resource": {"resourceType": "Condition", "subject": SUBJECT, "code": CODED,
                          "verificationStatus": CODED, "onsetAge": {"value": 2, "code": "a"}}},
            {"resource": {"resourceType": "Observation", "status": "final", "code": CODED,
                          "valueQuantity": QUANTITY, "referenceRange": [{"low": QUANTITY}]}},
            {"resource": {"resourceType": "Observation", "status": "final", "code": CODED,
                          "valueBoolean": False, "effectiveDateTime": "2010-01-01"}},
            {"resource": {"resourceType": "MedicationStatement", "status": "active", "subject": SUBJECT,
                          "medicationCodeableConcept": CODED, "dosage": [{"text": "1"}]}},
            {"resource": {"resourceType": "AllergyIntolerance", "patient": SUBJECT, "code": CODED,
                          "reaction": [{"manifestation": [CODED]}]}},
            {"resource": {"resourceType": "FamilyMemberHistory", "status": "completed", "patient": SUBJECT,
                          "relationship": CODED, "condition": [{"code": CODED}]}},
            {"resource": {"resourceType": "DiagnosticReport", "status": "final", "code": CODED,
                          "conclusion": "x",
                          "presentedForm": [{"contentType": "text/plain", "data": "QQ=="}]}},
        ],
    },
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A whole record in which one value, anywhere, is replaced, removed or renamed."""
    whole = copy.deepcopy(draw(st.sampled_from(WHOLE)))
    places: list[tuple[Any, Any]] = []
    todo: list[Any] = [whole]
    while todo:
        item = todo.pop()
        for key in item if isinstance(item, dict) else range(len(item)):
            places.append((item, key))
            if isinstance(item[key], dict | list):
                todo.append(item[key])
    parent, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["replace", "remove", "rename"])):
        case "replace":
            parent[key] = draw(TREES)
        case "rename" if isinstance(parent, dict):
            parent[SECRET] = parent.pop(key)
        case _:
            del parent[key]
    return whole


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_one_damaged_value_costs_at_most_the_record(
    graph: kgmed.KnowledgeGraph, data: dict[str, Any]
) -> None:
    for known in (None, graph):
        assert all(no_secret(record) for record in iter_records(data, graph=known))


COLUMNS = st.sampled_from(
    [
        "id",
        "text",
        "sex",
        "age",
        "onset",
        "present",
        "excluded",
        "term",
        "name",
        "severity",
        "measurements",
        "patient_id",
        "hemoglobin (g/dL)",
        "Shoe size",
    ]
)
CELLS = (
    LEAVES
    | st.lists(LEAVES, max_size=2)
    | st.sampled_from(["HP:1; HP:2", '["a"', "[{}]", "12.5", "pandas.NA"])
)


@settings(max_examples=100, deadline=None)
@given(st.lists(COLUMNS, max_size=5), st.data())
def test_any_table(columns: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(columns)), max_size=3))
    frame = pandas.DataFrame(rows, columns=columns, dtype=object)
    try:
        assert all(no_secret(record) for record in iter_records(frame))
    except InputError as error:  # two columns of one meaning
        assert "two columns" in str(error)
    text = frame.to_csv(index=False, errors="replace").encode(errors="replace")
    assert all(no_secret(record) for record in iter_records(text, format="csv"))


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=80),
    st.sampled_from(["a.json", "a.jsonl", "a.txt", "a.csv", "a.tsv", "a.pdf"]),
    st.booleans(),
)
def test_any_file(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str, packed: bool) -> None:
    path = tmp_path_factory.mktemp("fuzz") / (f"{name}.gz" if packed else name)
    for content in (data, gzip.compress(data), gzip.compress(data)[:-5]):
        path.write_bytes(content)
        assert all(isinstance(record, Record | InputError) for record in iter_records(path))
