from __future__ import annotations

import pytest

from kgmed.intake import read_record

TERM = {"id": "HP:0001250", "label": "Seizure"}


def test_version_2() -> None:
    record = read_record(
        {
            "id": "case-1",
            "subject": {
                "id": "s",
                "sex": "MALE",
                "timeAtLastEncounter": {"age": {"iso8601duration": "P10Y"}},
            },
            "phenotypicFeatures": [
                {"type": TERM, "onset": {"ontologyClass": {"id": "HP:0003577", "label": "Congenital onset"}}},
                {"type": {"id": "HP:0001251", "label": "Ataxia"}, "excluded": True},
                {
                    "type": {"id": "HP:0001945"},
                    "severity": {"id": "HP:0012828"},
                    "resolution": {"age": {"iso8601duration": "P2Y"}},
                },
            ],
            "diseases": [
                {
                    "term": {"id": "OMIM:154700", "label": "Marfan"},
                    "onset": {
                        "ageRange": {"start": {"iso8601duration": "P1Y"}, "end": {"iso8601duration": "P3Y"}}
                    },
                },
                {
                    "term": {"id": "OMIM:130050"},
                    "excluded": True,
                    "onset": {"age": {"iso8601duration": "P1D"}},
                },
            ],
            "interpretations": [{"id": "i", "diagnosis": {"disease": {"id": "OMIM:999999"}}}],
            "measurements": [
                {
                    "assay": {"id": "LOINC:718-7", "label": "Hemoglobin"},
                    "value": {
                        "quantity": {
                            "unit": {"id": "UCUM:g/dL"},
                            "value": 9.5,
                            "referenceRange": {"low": 12, "high": 16},
                        }
                    },
                    "timeObserved": {"age": {"iso8601duration": "P9Y"}},
                }
            ],
            "medicalActions": [{"treatment": {"agent": {"id": "RxNorm:316049", "label": "HCT"}}}],
            "metaData": {"created": "2024-01-01T00:00:00Z"},
        }
    )
    assert record.issues == ()
    assert (record.id, record.sex, record.age_days) == ("case-1", "MALE", 3652.5)
    assert record.onset_days == 2 * 365.25
    assert [(f.term, f.excluded, f.onset_days, f.context) for f in record.findings] == [
        ("HP:0001250", False, 0, "current"),
        ("HP:0001251", True, None, "current"),
        ("HP:0001945", False, None, "historical"),
    ]
    assert [(d.term, d.excluded) for d in record.diseases] == [("OMIM:154700", False), ("OMIM:130050", True)]
    measured = record.measurements[0]
    assert (measured.code, measured.value, measured.unit, measured.low) == ("LOINC:718-7", 9.5, "g/dL", 12)
    assert record.medications[0].code == "RXNORM:316049"
    assert "999999" not in repr(record)  # the answer of a solved case


def test_version_1_negated_is_excluded() -> None:
    record = read_record(
        {
            "subject": {"sex": "FEMALE", "ageAtCollection": {"age": "P4Y"}},
            "phenotypicFeatures": [
                {"type": TERM, "negated": True},
                {"type": TERM, "negated": True, "colour": "blue"},
                {"type": TERM, "classOfOnset": {"id": "HP:0011463"}},
                {"type": TERM, "ageOfOnset": {"age": "P2Y"}},
            ],
            "metaData": {"phenopacketSchemaVersion": "1.0.0"},
        }
    )
    assert [f.excluded for f in record.findings] == [True, True, False, False]
    assert [f.onset_days for f in record.findings] == [None, None, 3 * 365.25, 2 * 365.25]
    assert record.age_days == 4 * 365.25
    assert [(i.code, i.field) for i in record.issues] == [("unknown-field", "phenotypicFeatures[1].colour")]


def test_snake_case_date_of_birth_and_family() -> None:
    packet = {
        "subject": {
            "date_of_birth": "2010-01-01T00:00:00Z",
            "time_at_last_encounter": {"timestamp": "2010-01-31T00:00:00Z"},
        },
        "phenotypic_features": [{"type": TERM, "onset": {"timestamp": "2009-01-01T00:00:00Z"}}],
    }
    record = read_record({"id": "family", "proband": packet})
    assert record.age_days == 30
    assert record.findings[0].onset_days is None
    assert [i.code for i in record.issues] == ["family", "no-age"]


@pytest.mark.parametrize(
    "feature",
    [
        None,
        3,
        "HP:0001250",
        {"type": "HP:0001250"},
        {"type": {"id": ["x"]}},
        {"type": {"id": "seizure"}},
        {},
        {"type": TERM, "excluded": "Mrs Secret"},
        {"type": TERM, "onset": {"age": "Mrs Secret"}},
    ],
)
def test_a_bad_feature_is_an_issue_and_the_rest_is_read(feature: object) -> None:
    record = read_record({"phenotypicFeatures": [feature, {"type": TERM}]})
    assert [f.field for f in record.findings] == ["phenotypicFeatures[1]"]
    assert record.issues[0].level == "error"
    assert record.issues[0].field.startswith("phenotypicFeatures[0]")
    assert "Secret" not in repr(record.issues)


def test_unknown_fields_deeper_down_keep_the_entry() -> None:
    record = read_record({"phenotypicFeatures": [{"type": {**TERM, "colour": 1}, "excluded": True}]})
    assert record.findings[0].excluded
    assert [i.code for i in record.issues] == ["unknown-field"]
