"""Vital signs and laboratory values with units."""

import pytest

from kgmed.text.values import read_values


@pytest.mark.parametrize(
    ("text", "code", "value", "unit"),
    [
        ("Temp 101.3 F", "LOINC:8310-5", 38.5, "Cel"),
        ("temperature of 38.5 °C", "LOINC:8310-5", 38.5, "Cel"),
        ("HR: 112", "LOINC:8867-4", 112, "/min"),
        ("SpO2 was 91% on room air", "LOINC:59408-5", 91, "%"),
        ("weight 154 lbs", "LOINC:29463-7", 69.85, "kg"),
        ("height 1.75 m", "LOINC:8302-2", 175, "cm"),
        ("GCS 7", "LOINC:9269-2", 7, ""),
        ("Hb 92 g/L", "LOINC:718-7", 9.2, "g/dL"),
        ("haemoglobin", "", 0, ""),
        ("WBC 12,400/mm3", "LOINC:6690-2", 12.4, "10*3/uL"),
        ("platelets were 45 x10^9/L", "LOINC:777-3", 45, "10*3/uL"),
        ("neutrophils 80%", "LOINC:770-8", 80, "%"),
        ("Na+ 128 mEq/L", "LOINC:2951-2", 128, "mmol/L"),
        ("creatinine 442 µmol/L", "LOINC:2160-0", 5.0, "mg/dL"),
        ("glucose 10 mmol/l", "LOINC:2345-7", 180.16, "mg/dL"),
        ("HbA1c of 53 mmol/mol", "LOINC:4548-4", 7.0, "%"),
        ("pH 7.21", "LOINC:11558-4", 7.21, ""),
        ("high-sensitivity troponin T 0.06 ng/mL", "LOINC:67151-1", 60, "ng/L"),
    ],
)
def test_value(text: str, code: str, value: float, unit: str) -> None:
    measurements, issues = read_values(text)
    assert not issues
    found = [(m.code, m.unit) for m in measurements]
    assert found == ([(code, unit)] if code else [])
    assert [m.value for m in measurements] == ([pytest.approx(value, rel=1e-3)] if code else [])


def test_blood_pressure_is_two_values() -> None:
    measurements, _ = read_values("BP 98/60 mmHg, pulse 80")
    assert {(m.name, m.value) for m in measurements} == {
        ("systolic blood pressure", 98.0),
        ("diastolic blood pressure", 60.0),
        ("heart rate", 80.0),
    }


def test_printed_range_and_span() -> None:
    text = "Labs: Hb 92 g/L (normal 120-160), then well"
    ((measurement,), _) = read_values(text)
    assert (measurement.low, measurement.high) == (12.0, 16.0)
    assert measurement.span is not None
    assert text[slice(*measurement.span)] == "Hb 92 g/L (normal 120-160)"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("glucose 900 mmol/L", "implausible-value"),
        ("potassium 4.1 mg/dL", "unknown-unit"),
        ("CRP 5", "unit-missing"),
    ],
)
def test_doubtful_value_becomes_an_issue(text: str, code: str) -> None:
    measurements, issues = read_values(text, record_id="r1")
    assert not measurements
    assert [(i.code, i.record_id, i.field) for i in issues] == [(code, "r1", f"text[0:{len(text)}]")]
    assert not any(digit in issues[0].message for digit in ("900", "4.1"))


@pytest.mark.parametrize(
    "text", ["weight loss of 5 months", "vitamin K 3 times", "pt 12 is here", "sodium < 5"]
)
def test_not_a_value(text: str) -> None:
    assert read_values(text) == ([], [])


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Haemoglobin 84", "hemoglobin", 8.4),
        ("plts 640", "platelet count", 640.0),
        ("Urate 0.61", "uric acid", 10.25),
        ("bilirubin 58", "total bilirubin", 3.392),
        ("Eosinophils 2.8", "eosinophil count", 2.8),
        ("lactate 4.8", "lactate", 4.8),
        ("fT4 48 pmol/L", "free thyroxine", 3.729),
        ("TSH <0.01", "thyroid stimulating hormone", 0.01),
    ],
)
def test_the_likely_unit_is_taken(text: str, name: str, value: float) -> None:
    ((measurement), *_), issues = read_values(text)
    assert (measurement.name, measurement.value, issues) == (name, pytest.approx(value, rel=1e-3), [])


@pytest.mark.parametrize("text", ["urine glucose 2+", "ESR < 50", "CRP 8", "glucose 28"])
def test_what_may_mean_two_things_is_not_taken(text: str) -> None:
    assert read_values(text)[0] == []


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (
            "Cerebrospinal fluid shows a glucose concentration of 30 mg/dL. Blood glucose 90 mg/dL.",
            {"LOINC:2342-4", "LOINC:2345-7"},
        ),
        ("CSF: WBC 1200/µL, protein 120 mg/dL. pH 7.2", {"LOINC:806-0", "LOINC:2880-3", "LOINC:11558-4"}),
        ("Urinalysis shows:\nColor clear\npH 6.7\nGlucose 300 mg/dL", set()),
        ("Pleural fluid glucose 40 mg/dL, serum glucose 100 mg/dL", {"LOINC:2345-7"}),
        ("Urine output is low. Glucose 300 mg/dL", {"LOINC:2345-7"}),
        ("Urine Na 20 mmol/L, serum Na 128 mmol/L", {"LOINC:2951-2"}),
    ],
)
def test_a_value_is_of_its_specimen(text: str, codes: set[str]) -> None:
    measurements, issues = read_values(text)
    assert not issues
    assert {m.code for m in measurements} == codes
