"""Vital signs and laboratory values: names, LOINC codes, units, limits.

The table is `ontologies/measurements.toml`. The text reader uses it to recognise
values, the FHIR reader to bring them to one unit, the rules to compare them.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Literal

from kgmed.record import Issue, Measurement, Sex
from kgmed.resources import ontologies_folder

__all__ = ["Analyte", "Interval", "analyte", "analytes", "canonical", "named", "ucum"]

# Cells a microlitre are written in full: a smaller number without unit is in thousands.
_IN_FULL = 100

Interval = tuple[float | None, float | None]
"""Lower and upper limit, both included; None where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyte:
    """One quantity that is measured.

    Attributes:
        code: LOINC CURIE.
        name: Short name.
        kind: `vital` or `laboratory`.
        also: LOINC CURIEs of the same quantity (other specimens, methods or units).
        names: What notes call it, lower case.
        elsewhere: Whether it is measured in other fluids too, of which its interval does not hold.
        unit: Canonical UCUM unit, "" for pure numbers.
        convert: UCUM unit to (factor, offset): canonical = value * factor + offset.
            Holds the canonical unit itself as (1, 0).
        guess: Units that a number without one may be in, beside the canonical one.
        plausible: Canonical values that a living patient can have.
        reference: Adult interval for both sexes, or None.
        reference_female, reference_male: Adult intervals where the sexes differ, or None.
    """

    code: str
    name: str
    kind: Literal["vital", "laboratory"]
    also: tuple[str, ...]
    names: tuple[str, ...]
    elsewhere: bool
    unit: str
    convert: Mapping[str, tuple[float, float]]
    guess: tuple[str, ...]
    plausible: tuple[float, float]
    reference: Interval | None
    reference_female: Interval | None
    reference_male: Interval | None

    def reference_for(self, sex: Sex = "UNKNOWN") -> Interval | None:
        """The adult interval for a sex.

        Where the sexes differ and the sex is not known, the interval that holds both:
        a value outside it is abnormal for anyone. None when there is no interval.
        """
        if self.reference is not None:
            return self.reference
        if self.reference_female is None or self.reference_male is None:
            return None
        if sex == "FEMALE":
            return self.reference_female
        if sex == "MALE":
            return self.reference_male
        lows, highs = zip(self.reference_female, self.reference_male, strict=True)
        return (
            None if None in lows else min(low for low in lows if low is not None),
            None if None in highs else max(high for high in highs if high is not None),
        )

    def readings(self, value: float, unit: str) -> tuple[tuple[float, str], ...]:
        """What a number can mean: distinct plausible (canonical value, unit it was read in).

        `unit` is a UCUM unit, or "" when it was not written; then the canonical unit and
        those of `guess` (the usual one of the other system) are tried, and
        readings that give the same canonical value count once.
        """
        low, high = self.plausible
        units = [unit] if unit else [self.unit, *self.guess]
        found: dict[float, str] = {}
        for candidate in units:
            if candidate not in self.convert or (not unit and candidate == "/uL" and value < _IN_FULL):
                continue
            factor, offset = self.convert[candidate]
            converted = round(value * factor + offset, 10)
            if low <= converted <= high:
                found.setdefault(converted, candidate)
        return tuple(found.items())


def _interval(given: list[float] | None) -> Interval | None:
    if given is None:
        return None
    low, high = (None if math.isnan(x) else float(x) for x in given)
    return low, high


@cache
def _table() -> tuple[Mapping[str, Analyte], Mapping[str, str]]:
    """Analytes by canonical code, and unit spelling (folded) to UCUM."""
    with (ontologies_folder() / "measurements.toml").open("rb") as stream:
        data = tomllib.load(stream)
    found = {}
    for row in data["analyte"]:
        convert = {row["unit"]: (1.0, 0.0)}
        convert |= {unit: (float(f), float(o)) for unit, (f, o) in row.get("convert", {}).items()}
        found[row["code"]] = Analyte(
            code=row["code"],
            name=row["name"],
            kind=row["kind"],
            also=tuple(row.get("also", ())),
            names=tuple(row["names"]),
            elsewhere=row.get("elsewhere", False),
            unit=row["unit"],
            convert=MappingProxyType(convert),
            guess=tuple(row.get("guess", list(convert)[1:2])),
            plausible=(float(row["plausible"][0]), float(row["plausible"][1])),
            reference=_interval(row.get("reference")),
            reference_female=_interval(row.get("reference_female")),
            reference_male=_interval(row.get("reference_male")),
        )
    # UCUM's own spelling of a unit goes before a loose spelling of another.
    known = dict.fromkeys([*data["units"], *(u for a in found.values() for u in a.convert if u)])
    units: dict[str, str] = {}
    for unit in known:
        units.setdefault(_fold(unit), unit)
    for unit, spellings in data["units"].items():
        for spelling in spellings:
            units.setdefault(_fold(spelling), unit)
    return MappingProxyType(found), MappingProxyType(units)


def _fold(unit: str) -> str:
    # Two micro signs exist (U+00B5 and U+03BC); both become u. Litre is written l and L.
    return "".join(unit.lower().replace("µ", "u").replace("μ", "u").split())


def analytes() -> Mapping[str, Analyte]:
    """All analytes, by LOINC CURIE.

    >>> analytes()["LOINC:718-7"].unit
    'g/dL'
    """
    return _table()[0]


@cache
def _by_any_code() -> Mapping[str, Analyte]:
    return {code: a for a in analytes().values() for code in (*a.also, a.code)}


def analyte(code: str) -> Analyte | None:
    """The analyte that a LOINC CURIE means, also where the code is of another specimen or unit."""
    return _by_any_code().get(code)


@cache
def _by_name() -> Mapping[str, tuple[Analyte, ...]]:
    out: dict[str, list[Analyte]] = {}
    for a in analytes().values():
        for name in dict.fromkeys((*a.names, a.name.lower())):
            out.setdefault(name, []).append(a)
    return {name: tuple(found) for name, found in out.items()}


def named(name: str) -> tuple[Analyte, ...]:
    """Analytes that notes call by a name; several where only the unit tells (count or fraction)."""
    return _by_name().get(name.lower(), ())


def ucum(spelling: str) -> str | None:
    """The UCUM unit that a spelling means, or None when the table does not know it.

    >>> ucum("mm Hg"), ucum("K/uL"), ucum("furlong")
    ('mm[Hg]', '10*3/uL', None)
    """
    return _table()[1].get(_fold(spelling))


def _of(measurement: Measurement) -> Iterator[Analyte]:
    if measurement.code:
        found = analyte(measurement.code)
        if found is not None:
            yield found
    else:
        yield from named(measurement.name)


def canonical(measurement: Measurement, *, record_id: str = "") -> Measurement | Issue:
    """A measurement with the table's code and name, in its canonical unit.

    A missing unit is filled in only when the number makes sense in one unit alone, or far more so than
    in any other (`_likely`).

    Args:
        measurement: With a LOINC CURIE, or a name that the table knows.
        record_id: Named in the issue.

    Returns:
        The converted measurement (value, low and high), or an `Issue`:
        `unknown-measurement`, `unknown-unit`, `unit-missing`, or `implausible-value`.

    >>> canonical(Measurement(code="LOINC:2160-0", value=442.0, unit="umol/L")).value
    5.0
    """
    candidates = list(_of(measurement))

    def issue(code: str, message: str, fix: str) -> Issue:
        return Issue(
            level="warning", code=code, message=message, fix=fix, record_id=record_id, field=measurement.field
        )

    if not candidates:
        return issue(
            "unknown-measurement",
            f"The measurement {measurement.code or 'without a code'} is not in the table; it is not used.",
            "Add it to ontologies/measurements.toml, or give its LOINC code.",
        )
    unit = ucum(measurement.unit) if measurement.unit.strip() else ""
    known = [a for a in candidates if unit is not None and (unit == "" or unit in a.convert)]
    names = " or ".join(a.name for a in candidates)
    if not known or unit is None:
        units = sorted({u or "1" for a in candidates for u in a.convert})
        return issue(
            "unknown-unit",
            f"The unit of {names} is not one of {', '.join(units)}; the value is not used.",
            "Give the value in one of these units.",
        )
    readings = [(a, value, read_in) for a in known for value, read_in in a.readings(measurement.value, unit)]
    if not readings:
        least, most = known[0].plausible
        return issue(
            "implausible-value",
            f"The value of {names} is outside {least:g} to {most:g} {known[0].unit}; it is not used.",
            "Check the number and its unit.",
        )
    if len(readings) > 1:
        readings = _likely(readings, written=bool(unit))
    if len(readings) > 1:
        return issue(
            "unit-missing",
            f"The value of {names} has no unit and makes sense in more than one; it is not used.",
            "Give the unit.",
        )
    ((found, value, read_in),) = readings
    factor, offset = found.convert[read_in]

    def converted(limit: float | None) -> float | None:
        return None if limit is None else _tidy(limit * factor + offset)

    return replace(
        measurement,
        code=found.code,
        name=found.name,
        value=_tidy(value),
        unit=found.unit,
        low=converted(measurement.low),
        high=converted(measurement.high),
    )


def _likely(readings: list[tuple[Analyte, float, str]], *, written: bool) -> list[tuple[Analyte, float, str]]:
    """The readings of a number that are about as near to the reference interval as the nearest.

    "Platelets 640" are 640 thousand, not 640, a microlitre. A share is written with its per cent sign: a bare
    number is a count unless that would be an extreme one.
    """
    counts = [reading for reading in readings if reading[0].unit != "%"]
    if not written and len(counts) == 1 and _far(*counts[0][:2]) <= _EXTREME:
        return counts
    far = [_far(found, value) for found, value, _ in readings]
    if min(far) == 0.0 and any(0.0 < d <= _MAY_BE for d in far):
        return readings  # normal in one unit, and not in another: "CRP 8"
    return [reading for reading, d in zip(readings, far, strict=True) if d <= min(far) + _AS_NEAR]


# Natural logarithms of how many times a value is off its reference interval: twice, six and twelve times.
_AS_NEAR, _EXTREME, _MAY_BE = 0.69, 1.75, 2.5


def _far(found: Analyte, value: float) -> float:
    """Logarithm of how many times a value is above or below the reference interval; 0 inside."""
    low, high = found.reference_for() or (None, None)
    if value > 0 and low and value < low:
        return math.log(low / value)
    if high and value > high:
        return math.log(value / high)
    return 0.0


def _tidy(number: float) -> float:
    """Four significant digits beyond the unit: conversions are no more exact than that."""
    if number == 0 or not math.isfinite(number):
        return number
    digits = 4 - math.floor(math.log10(abs(number))) - 1
    return round(number, max(digits, 2))
