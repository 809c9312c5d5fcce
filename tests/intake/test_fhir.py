from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest

import kgmed
from kgmed.errors import InputError
from kgmed.intake import iter_records, read_record
from kgmed.intake.fhir import read_fhir
from kgmed.record import Record

SNOMED = "http://snomed.info/sct"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
HPO = "http://human-phenotype-ontology.org"
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "2000-01-01"}
SUBJECT = {"reference": "Patient/p1"}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": r} for r in (PATIENT, *resources)],
    }


def coded(system: str, code: str, **more: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **more}]}


def status(word: str) -> dict[str, Any]:
    return {"coding": [{"code": word}]}


def condition(code: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": SUBJECT, "code": code, **more}


def observation(code: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "subject": SUBJECT, "code": code, **more}


def codes(record: Record) -> list[str]:
    return [issue.code for issue in record.issues]


def test_conditions(graph: kgmed.KnowledgeGraph) -> None:
    record = read_record(
        bundle(
            condition(coded(SNOMED, "91175000"), onsetDateTime="2001-01-01"),
            condition(coded(ICD, "R27"), verificationStatus=status("refuted")),
            condition(
                coded(HPO, "HP:0001945"),
                clinicalStatus=status("resolved"),
                onsetAge={"value": 2, "code": "a"},
            ),
            condition(coded("http://www.omim.org", "154700"), verificationStatus=status("provisional")),
            condition(coded(HPO, "HP:0000822"), verificationStatus=status("unconfirmed")),
            condition(coded(HPO, "HP:0000822"), verificationStatus=status("entered-in-error")),
        ),
        graph=graph,
    )
    assert [(f.term, f.excluded, f.context, f.certainty, f.onset_days) for f in record.findings] == [
        ("HP:0001250", False, "current", 1, 366),
        ("HP:0001251", True, "current", 1, None),
        ("HP:0001945", False, "historical", 1, 730.5),
        ("HP:0000822", False, "current", 0.5, None),
    ]
    assert [(d.term, d.context) for d in record.diseases] == [("MONDO:0007947", "hypothetical")]
    assert codes(record) == ["not-valid"]
    assert (record.id, record.sex, record.age_days) == ("p1", "FEMALE", 366)


def test_unknown_and_ambiguous_codes_are_reported_and_kept(graph: kgmed.KnowledgeGraph) -> None:
    record = read_record(
        bundle(
            condition(coded(SNOMED, "38341003", display="Hypertension (disorder)")),
            condition(coded(SNOMED, "12345678", display="Mrs Secret")),
            condition(coded(ICD, "R56")),
            condition(coded("urn:local", "Secret-1")),
            condition({"text": "Mrs Secret"}),
        ),
        graph=graph,
    )
    assert [f.term for f in record.findings] == ["HP:0000822"]
    assert [d.term for d in record.diseases] == ["SCTID:12345678", "ICD10CM:R56"]
    assert codes(record) == [
        "matched-by-name",
        "unknown-code",
        "ambiguous-code",
        "unknown-code",
        "unknown-code",
        "unknown-code",
        "no-age",
    ]
    assert "SCTID:12345678" in record.issues[1].message
    assert record.issues[1].field == "entry[2].Condition"
    assert "Secret" not in repr(record.issues)


def test_observations(graph: kgmed.KnowledgeGraph) -> None:
    hemoglobin = coded("http://loinc.org", "718-7", display="Hemoglobin")
    quantity = {"value": 9.5, "unit": "g/dL", "code": "g/dL", "system": "http://unitsofmeasure.org"}
    record = read_record(
        bundle(
            observation(
                hemoglobin,
                valueQuantity=quantity,
                effectiveDateTime="2010-01-01",
                referenceRange=[
                    {"low": {"value": 12, "unit": "g/dL"}, "high": {"value": 160, "unit": "g/L"}}
                ],
            ),
            observation(
                coded("http://loinc.org", "85354-9"),
                effectiveDateTime="2005-01-01",
                component=[
                    {
                        "code": coded("http://loinc.org", "8480-6"),
                        "valueQuantity": {"value": 170, "unit": "mm[Hg]"},
                    },
                    {
                        "code": coded("http://loinc.org", "8462-4"),
                        "valueQuantity": {"value": 90, "unit": "mm[Hg]"},
                    },
                ],
            ),
            observation(coded(HPO, "HP:0001250"), valueBoolean=False),
            observation(
                coded(HPO, "HP:0001251"), valueCodeableConcept=coded(SNOMED, "52101004", display="Present")
            ),
            observation(coded("http://loinc.org", "8716-3"), valueCodeableConcept=coded(HPO, "HP:0001945")),
            observation(coded(HPO, "HP:0000822"), dataAbsentReason=status("unknown")),
            observation(hemoglobin, valueString="Mrs Secret"),
            observation(hemoglobin, valueCodeableConcept=coded(SNOMED, "266919005")),
        ),
        graph=graph,
    )
    assert [(m.code, m.value, m.unit, m.age_days) for m in record.measurements] == [
        ("LOINC:8480-6", 170, "mm[Hg]", 1827),
        ("LOINC:8462-4", 90, "mm[Hg]", 1827),
        ("LOINC:718-7", 9.5, "g/dL", 3653),
    ]
    assert (record.measurements[2].low, record.measurements[2].high) == (12, None)
    assert [(f.term, f.excluded) for f in record.findings] == [
        ("HP:0001250", True),
        ("HP:0001251", False),
        ("HP:0001945", False),
    ]
    assert record.diseases == ()  # an unknown answer is no disease
    assert codes(record) == ["bad-range", "unread-value", "unknown-code"]


def test_drugs_allergies_family_and_texts(graph: kgmed.KnowledgeGraph) -> None:
    drug = coded("http://www.nlm.nih.gov/research/umls/rxnorm", "316049", display="HCT 25 MG")
    note = base64.b64encode(b"Walks unsteadily.").decode()
    record = read_record(
        bundle(
            {
                "resourceType": "MedicationRequest",
                "status": "active",
                "intent": "order",
                "subject": SUBJECT,
                "medicationReference": {"reference": "#m"},
                "contained": [{"resourceType": "Medication", "id": "m", "code": drug}],
                "dosageInstruction": [{"text": "1 daily"}],
            },
            {
                "resourceType": "MedicationStatement",
                "status": "completed",
                "subject": SUBJECT,
                "medicationReference": {"reference": "Medication/m2"},
            },
            {"resourceType": "Medication", "id": "m2", "code": {"text": "aspirin"}},
            {
                "resourceType": "AllergyIntolerance",
                "patient": SUBJECT,
                "code": {"text": "penicillin"},
                "reaction": [{"manifestation": [{"text": "rash"}]}],
            },
            {
                "resourceType": "FamilyMemberHistory",
                "status": "completed",
                "patient": SUBJECT,
                "relationship": {"text": "mother"},
                "condition": [{"code": coded(HPO, "HP:0001250")}],
            },
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "subject": SUBJECT,
                "code": {"text": "note"},
                "presentedForm": [{"contentType": "text/plain; charset=utf-8", "data": note}],
                "conclusion": "Ataxia.",
            },
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "subject": SUBJECT,
                "code": {"text": "note"},
                "text": {
                    "status": "generated",
                    "div": f"<div {XHTML}><p>Fever &amp; fits</p><p>Two</p></div>",
                },
            },
            {
                "resourceType": "DocumentReference",
                "status": "current",
                "subject": SUBJECT,
                "content": [{"attachment": {"contentType": "text/plain", "url": "http://example.org/note"}}],
            },
            {"resourceType": "Procedure", "status": "completed", "subject": SUBJECT},
        ),
        graph=graph,
    )
    assert [(m.code, m.name, m.dose, m.status) for m in record.medications] == [
        ("RXNORM:316049", "HCT 25 MG", "1 daily", "active"),
        ("", "aspirin", "", "completed"),
    ]
    assert [(a.name, a.reaction) for a in record.allergies] == [("penicillin", "rash")]
    assert [(f.term, f.context) for f in record.findings] == [("HP:0001250", "family")]
    assert record.text == "Walks unsteadily.\n\nAtaxia.\n\nFever & fits\nTwo"
    assert codes(record) == ["unread-text", "unread-resource", "no-age"]


def test_an_invalid_resource_costs_only_itself(graph: kgmed.KnowledgeGraph) -> None:
    seizure = coded(HPO, "HP:0001250")
    record = read_record(
        bundle(
            {"resourceType": "Observation", "code": seizure, "subject": SUBJECT},  # no status
            condition(seizure, onsetDateTime="Mrs Secret", colour=3),
            condition(seizure, onsetString="Mrs Secret", onsetDateTime="2001-01-01"),  # two onsets
            {"resourceType": "Nonsense"},
        ),
        graph=graph,
    )
    assert [f.field for f in record.findings] == ["entry[2].Condition"]
    assert [(i.code, i.field) for i in record.issues if i.level == "error"] == [
        ("invalid-resource", "entry[1].Observation"),
        ("invalid-field", "entry[2].Condition.onsetDateTime"),
        ("invalid-field", "entry[2].Condition.colour"),
        ("invalid-resource", "entry[3].Condition"),
    ]
    assert "Secret" not in repr(record.issues)


def test_age() -> None:
    seen = condition(coded(HPO, "HP:0001250"), recordedDate="2010-01-01")
    assert read_record(bundle(seen)).age_days == 3653
    assert read_fhir(bundle(seen), as_of=dt.date(2000, 1, 11)).age_days == 10
    unborn = read_record(bundle(condition(coded(HPO, "HP:0001250"), recordedDate="1999-01-01")))
    assert unborn.age_days is None and "bad-age" in codes(unborn)
    undated = read_record(bundle())
    assert undated.age_days is None and codes(undated) == ["no-age"]
    year_only = read_fhir({"resourceType": "Patient", "birthDate": "2000"}, as_of=dt.date(2000, 7, 3))
    assert year_only.age_days == 2 and codes(year_only) == ["partial-date"]


def test_other_patients() -> None:
    stranger = {**condition(coded(HPO, "HP:0001251")), "subject": {"reference": "Patient/p2"}}
    record = read_record(bundle(stranger))
    assert record.findings == () and "other-patient" in codes(record)

    both = bundle(condition(coded(HPO, "HP:0001250")), {"resourceType": "Patient", "id": "p2"}, stranger)
    with pytest.raises(InputError, match="iter_records"):
        read_record(both)
    split = [r for r in iter_records(both) if isinstance(r, Record)]
    assert [(r.id, [f.term for f in r.findings]) for r in split] == [
        ("p1", ["HP:0001250"]),
        ("p2", ["HP:0001251"]),
    ]


def test_without_a_graph_codes_are_kept() -> None:
    record = read_record(bundle(condition(coded(SNOMED, "38341003")), condition(coded(HPO, "HP:0001250"))))
    assert [d.term for d in record.diseases] == ["SCTID:38341003"]
    assert [f.term for f in record.findings] == ["HP:0001250"]
