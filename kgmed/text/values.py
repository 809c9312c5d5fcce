"""Vital signs and laboratory values in text, by the table of `kgmed.measure`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from kgmed.measure import Analyte, analytes, canonical, named, ucum
from kgmed.record import Issue, Measurement

__all__ = ["read_values"]

_WORD = re.compile(r"[^\W_]+")
# What may stand between a name and its number.
_BETWEEN = re.compile(
    r"[+-]?(?:\s*\([A-Za-z][A-Za-z0-9 ,-]{0,20}\))?"
    r"(?:\s*(?:[:=~,≈]|(?:level|levels|count|value|concentration|reading|score|was|is|were|are|of|at|to|today|"
    r"approximately|about|around|only|elevated|increased|raised|decreased|reduced|low|high|markedly|mildly|"
    r"measured|noted|found to be|came back|normal|up|down|on admission|on room air|initially|oral|rectal|"
    r"total|index|then)\b)){0,6}\s*"
)
_NUMBER = re.compile(
    r"(?P<sign>[<>≤≥])?\s*(?P<number>-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?![\d/.]*\d|-?[A-Za-z]?-?year)"
)
_PRESSURE = re.compile(
    r"\b(?:BP|[Bb]lood pressure)\b(?:\s*\([A-Za-z ,]{1,20}\))?"
    r"(?:\s*(?:[:=,]|(?:was|is|of|at|measured|reading)\b)){0,4}\s*"
    r"(?P<high>\d{2,3})\s*/\s*(?P<low>\d{2,3})(?!\d|/)(?:\s*mm\s?Hg)?"
)
_RANGE = re.compile(
    r"\s*[(\[]\s*(?:(?:normal|reference|ref|nl|n|range|interval|values?)\b[.:,= ]*)*"
    r"(?P<low>\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(?P<high>\d+(?:\.\d+)?)[^()\[\]\n]{0,15}[)\]]",
    re.IGNORECASE,
)
# After a bare number these make it something else: "weight loss of 5 months".
_NOT_A_VALUE = re.compile(
    r"\s*-?\s*(?:(?:day|week|month|year|hour|minute|hr|yr|wk|time|episode|percentile|sd)s?\b|(?:-|–|to)\s?\d|(?:st|nd|rd|th)\b|/\d)",
    re.IGNORECASE,
)
# What a value is of, where the sentence before it says so; that of blood goes without saying.
_SPECIMEN = re.compile(
    r"\b(?:(?P<csf>cerebrospinal|CSF|lumbar puncture|spinal tap)|"
    r"(?P<urine>urinalysis|urine|urinary|dipstick)|"
    r"(?P<fluid>(?:pleural|synovial|joint|ascitic|peritoneal|pericardial|amniotic) (?:fluid|aspirate)|"
    r"thoracentesis|paracentesis|arthrocentesis|sweat|stool)|"
    r"(?P<blood>serum|plasma|blood|venous|arterial|hemoglobin|haemoglobin|platelets?))\b",
    re.IGNORECASE,
)
_FARTHEST_SPECIMEN = 300
_SENTENCE_END = re.compile(r"[.?!]\s+(?=[A-Z]|pH)|\n\s*\n")
_CSF = "csf "
_LONGEST_UNIT = 26
# As short as this, a name is only read in the capitals that chemists and charts use.
_SHORT = 3
_CAPITALS = frozenset(
    {
        "Na",
        "Cl",
        "Ca",
        "Mg",
        "Cr",
        "Hb",
        "Hgb",
        "Hct",
        "Wt",
        "Ht",
        "Plt",
        "Alb",
        "pH",
        "Temp",
        "fT4",
        "fT3",
        "pO2",
        "pCO2",
    }
)


@cache
def _first_words() -> dict[str, tuple[str, ...]]:
    """Names by their first word, longest first."""
    out: dict[str, set[str]] = {}
    for analyte in analytes().values():
        for name in analyte.names:
            match = _WORD.match(name)
            if match:
                out.setdefault(match.group(), set()).add(name)
            # The sentence may have said what it is of: "CSF shows ..., protein 120 mg/dL".
            if name.startswith(_CSF):
                bare = name.removeprefix(_CSF)
                out.setdefault(bare.split()[0], set()).add(bare)
    return {first: tuple(sorted(names, key=lambda n: (-len(n), n))) for first, names in out.items()}


def read_values(text: str, *, record_id: str = "") -> tuple[list[Measurement], list[Issue]]:
    """Measurements of a text in canonical units, in order, and what could not be used."""
    found: list[Measurement] = []
    issues: list[Issue] = []

    def take(measurement: Measurement, sign: str = "") -> None:
        result = canonical(measurement, record_id=record_id)
        if isinstance(result, Issue):
            if not sign:
                issues.append(result)
        elif not _says_nothing(result, sign):
            found.append(result)

    taken = 0
    pressures = list(_PRESSURE.finditer(text))
    for match in pressures:
        for code, group in (("LOINC:8480-6", "high"), ("LOINC:8462-4", "low")):
            span = match.span()
            take(
                Measurement(
                    code=code,
                    value=float(match[group]),
                    unit="mm[Hg]",
                    span=span,
                    field=f"text[{span[0]}:{span[1]}]",
                )
            )
    inside = {i for m in pressures for i in range(*m.span())}
    lower = text.lower()
    # Lower case can be longer than the text in a few scripts; offsets must hold.
    lower = (
        lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    )
    for word in _WORD.finditer(lower):
        start = word.start()
        if start < taken or start in inside:
            continue
        for name in _first_words().get(word.group(), ()):
            end = start + len(name)
            if not lower.startswith(name, start) or (lower[end : end + 1].isalnum()):
                continue
            if len(name) <= _SHORT and not _in_capitals(text[start:end]):
                continue
            quantity = _of_specimen(text, name, start, end)
            read = _value(text, quantity, start, end) if quantity else None
            if read is not None:
                measurement, sign = read
                assert measurement.span is not None
                taken = measurement.span[1]
                take(measurement, sign)
                break
    found.sort(key=lambda m: (m.span or (0, 0), m.code))
    return found, issues


def _of_specimen(text: str, name: str, start: int, end: int) -> str | None:
    """The name of a quantity in the specimen that it is of; None where that is one that is not compared."""
    meant = named(name)
    if meant and not any(analyte.elsewhere for analyte in meant):
        return name
    first = max(0, start - _FARTHEST_SPECIMEN)
    for stop in _SENTENCE_END.finditer(text, first, start + 2):
        first = stop.end()
    # The name may say it itself: "serum glucose".
    specimens = list(_SPECIMEN.finditer(text, first, end))
    if not specimens or specimens[-1]["blood"]:
        return name if meant else None
    other = _CSF + name
    return other if specimens[-1]["csf"] and named(other) else None


def _in_capitals(word: str) -> bool:
    return word.isupper() or word in _CAPITALS


def _says_nothing(measurement: Measurement, sign: str) -> bool:
    """Whether a value that is only a bound may lie on either side of a limit: "ESR < 50"."""
    found = analytes()[measurement.code].reference_for() or (None, None)
    low = measurement.low if measurement.low is not None else found[0]
    high = measurement.high if measurement.high is not None else found[1]
    if sign in ("<", "≤"):
        return high is None or measurement.value > high
    if sign in (">", "≥"):
        return low is None or measurement.value < low
    return False


def _value(text: str, name: str, start: int, end: int) -> tuple[Measurement, str] | None:
    """The value that follows a name, and the sign before it."""
    between = _BETWEEN.match(text, end)
    assert between is not None
    number = _NUMBER.match(text, between.end())
    if number is None or "\n\n" in text[end : number.end()]:
        return None
    after = number.end()
    if text[after : after + 1] == "+":  # "glucose 2+" is a dipstick
        return None
    candidates = named(name)
    unit, past = _unit(text, after, candidates)
    if not unit and _NOT_A_VALUE.match(text, after):
        return None
    limits = _RANGE.match(text, past)
    low, high = (float(limits["low"]), float(limits["high"])) if limits else (None, None)
    span = (start, limits.end() if limits else past)
    measurement = Measurement(
        name=name,
        value=float(number["number"].replace(",", "")),
        unit=unit,
        low=low,
        high=high,
        span=span,
        field=f"text[{span[0]}:{span[1]}]",
    )
    return measurement, number["sign"] or ""


def _unit(text: str, start: int, candidates: tuple[Analyte, ...]) -> tuple[str, int]:
    """The unit after a number and where it ends; "" when none stands there.

    The longest spelling that fits the quantity is taken; failing that, one that the
    table knows for another quantity, provided it looks like a unit (`kg/m2`, not `in`).
    """
    begin = start
    while begin < len(text) and text[begin] in " \u00a0-" and begin - start < 2:
        begin += 1
    known: tuple[str, int] = ("", start)
    for end in _ends(text, begin):
        unit = ucum(text[begin:end])
        if unit is None:
            continue
        if any(unit in a.convert for a in candidates):
            return unit, end
        if not known[0] and ("/" in unit or "[" in unit):
            known = (unit, end)
    return known


def _ends(text: str, begin: int) -> Iterator[int]:
    for end in range(min(begin + _LONGEST_UNIT, len(text)), begin, -1):
        following = text[end : end + 1]
        last = text[end - 1]
        if not last.isspace() and not (last.isalnum() and following.isalnum()) and following != "/":
            yield end
