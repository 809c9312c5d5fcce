"""The table of measurements: it is whole, and conversion goes both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.measure import analyte, analytes, canonical, named, ucum
from kgmed.record import Issue, Measurement

ANALYTES = sorted(analytes().values(), key=lambda a: a.code)


def test_codes_belong_to_one_analyte() -> None:
    codes = [code for a in ANALYTES for code in (a.code, *a.also)]
    assert len(codes) == len(set(codes))
    assert all(code.startswith("LOINC:") for code in codes)


@pytest.mark.parametrize("a", ANALYTES, ids=lambda a: a.name)
def test_reference_lies_in_the_plausible_range(a) -> None:  # type: ignore[no-untyped-def]
    low, high = a.plausible
    assert low < high
    for sex in ("FEMALE", "MALE", "UNKNOWN"):
        interval = a.reference_for(sex)
        limits = [x for x in interval or () if x is not None]
        assert limits == sorted(limits)
        assert all(low <= x <= high for x in limits)
    assert all(unit == "" or ucum(unit) == unit for unit in a.convert)


@given(st.sampled_from(ANALYTES), st.data())
def test_conversion_gives_back_the_value(a, data) -> None:  # type: ignore[no-untyped-def]
    unit = data.draw(st.sampled_from([u for u in a.convert if u] or [""]))
    value = data.draw(st.floats(*a.plausible))
    factor, offset = a.convert[unit]
    result = canonical(Measurement(code=a.code, value=(value - offset) / factor, unit=unit))
    if isinstance(result, Issue):
        # Only rounding at the very limit may push a value out.
        assert result.code == "implausible-value"
        assert min(abs(value - limit) for limit in a.plausible) < 1e-6
    else:
        assert result.unit == a.unit
        assert result.value == pytest.approx(value, rel=1e-3, abs=0.006)


def test_another_code_of_the_same_quantity() -> None:
    result = canonical(Measurement(code="LOINC:14749-6", value=10.0, unit="mmol/L", low=4.0, high=7.0))
    assert isinstance(result, Measurement)
    assert (result.code, result.value, result.low) == ("LOINC:2345-7", 180.16, 72.06)


def test_count_and_fraction_are_told_by_the_unit() -> None:
    assert len(named("neutrophils")) == 2
    count = canonical(Measurement(name="neutrophils", value=2.0, unit="x10^9/L"))
    share = canonical(Measurement(name="neutrophils", value=70.0, unit="percent"))
    assert (getattr(count, "code", ""), getattr(share, "code", "")) == ("LOINC:751-8", "LOINC:770-8")


@pytest.mark.parametrize(
    ("measurement", "code"),
    [
        (Measurement(code="LOINC:0-0", value=1.0), "unknown-measurement"),
        (Measurement(code="LOINC:718-7", value=9.0, unit="furlong"), "unknown-unit"),
        (Measurement(code="LOINC:718-7", value=900.0, unit="g/dL"), "implausible-value"),
        (Measurement(code="LOINC:1988-5", value=5.0), "unit-missing"),
    ],
)
def test_issue(measurement: Measurement, code: str) -> None:
    result = canonical(measurement, record_id="r1")
    assert isinstance(result, Issue)
    assert (result.code, result.record_id) == (code, "r1")


def test_unknown_code() -> None:
    assert analyte("LOINC:0-0") is None
