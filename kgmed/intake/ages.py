"""Ages and dates as records write them, in days since birth."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any

from kgmed.errors import InputError
from kgmed.record import MAX_AGE_DAYS

__all__ = ["DAYS_PER_MONTH", "DAYS_PER_YEAR", "ONSET_DAYS", "days_between", "parse_age", "parse_date"]

DAYS_PER_YEAR = 365.25  # Julian year, as in `kgmed.record.MAX_AGE_DAYS`
DAYS_PER_MONTH = DAYS_PER_YEAR / 12
_UNITS = {"years": DAYS_PER_YEAR, "months": DAYS_PER_MONTH, "weeks": 7.0, "days": 1.0, "hours": 1 / 24}
_LETTERS = {"y": "years", "mo": "months", "m": "months", "w": "weeks", "d": "days", "h": "hours"}

# Onset classes of HPO, with the ages (in days) between which each lies. All limits
# are from the terms' definitions (HPO release 2025-05-06); classes before birth count as
# birth. Adult onset has no upper limit there: 60 years is taken, since "Late onset"
# is a term of its own.
_Y = DAYS_PER_YEAR
_ONSETS: dict[str, tuple[float, float]] = {
    "HP:0030674": (0, 0),  # Antenatal onset
    "HP:0011460": (0, 0),  # Embryonal onset
    "HP:0011461": (0, 0),  # Fetal onset
    "HP:0034199": (0, 0),  # Late first trimester onset
    "HP:0034198": (0, 0),  # Second trimester onset
    "HP:0034197": (0, 0),  # Third trimester onset
    "HP:0003577": (0, 0),  # Congenital onset
    "HP:0003623": (0, 28),  # Neonatal onset
    "HP:0003593": (28, _Y),  # Infantile onset
    "HP:0011463": (_Y, 5 * _Y),  # Childhood onset
    "HP:0003621": (5 * _Y, 16 * _Y),  # Juvenile onset
    "HP:0410280": (28, 16 * _Y),  # Pediatric onset
    "HP:0003581": (16 * _Y, 60 * _Y),  # Adult onset
    "HP:0011462": (16 * _Y, 40 * _Y),  # Young adult onset
    "HP:0025708": (16 * _Y, 19 * _Y),  # Early young adult onset
    "HP:0025709": (19 * _Y, 25 * _Y),  # Intermediate young adult onset
    "HP:0025710": (25 * _Y, 40 * _Y),  # Late young adult onset
    "HP:0003596": (40 * _Y, 60 * _Y),  # Middle age onset
    "HP:0003584": (60 * _Y, 60 * _Y),  # Late onset: open, so its start
}
ONSET_DAYS: Mapping[str, float] = {term: (low + high) / 2 for term, (low, high) in _ONSETS.items()}
"""HPO onset class -> age in days: the middle of the class, so that it falls inside it."""

_NUMBER = r"(\d{1,6}(?:[.,]\d{1,9})?)"
_DURATION = re.compile(
    rf"P(?=.)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_DURATION_DAYS = (DAYS_PER_YEAR, DAYS_PER_MONTH, 7.0, 1.0, 1 / 24, 1 / 1440, 1 / 86400)
_WORDS = re.compile(rf"{_NUMBER}\s*([a-z]+?)s?(?:\s+old)?", re.ASCII)


def parse_age(value: Any) -> float:
    """An age in days.

    Args:
        value: An ISO 8601 duration (`"P3Y2M"`, `"P6W"`), a number of years, a
            number with a unit (`"18 months"`), a mapping of units to numbers
            (`{"days": 40}`, also hours, weeks, months, years), or the CURIE of an
            HPO onset class (the middle of the class, see `ONSET_DAYS`).

    Returns:
        Days since birth. A year is 365.25 days, a month a twelfth of it.

    Raises:
        InputError: If the value is none of these, negative, not finite, or above 130 years.

    >>> parse_age("P1Y6M"), parse_age({"weeks": 2}), parse_age("18 months")
    (547.875, 14.0, 547.875)
    """
    days = _days(value)
    if days is None:
        raise InputError(
            'not an age; write an ISO 8601 duration such as "P3Y2M", a number of years, or {"days": 40}'
        )
    if not (math.isfinite(days) and 0 <= days <= MAX_AGE_DAYS):
        raise InputError("an age must lie between 0 and 130 years; check the unit")
    return days


def _number(value: Any) -> float | None:
    """A finite-or-not float of a real number; None for anything else (also True and False)."""
    if isinstance(value, bool) or not hasattr(type(value), "__float__") or isinstance(value, str):
        return None
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return None


def _days(value: Any) -> float | None:
    if isinstance(value, Mapping):
        if not value or any(unit not in _UNITS for unit in value):
            return None
        total = 0.0
        for unit, number in value.items():
            amount = _number(number)
            if amount is None:
                return None
            total += amount * _UNITS[unit]
        return total
    if not isinstance(value, str):
        years = _number(value)
        return None if years is None else years * DAYS_PER_YEAR
    text = value.strip()
    if text in ONSET_DAYS:
        return ONSET_DAYS[text]
    match = _DURATION.fullmatch(text.upper())
    if match:
        parts = [float(part.replace(",", ".")) if part else 0.0 for part in match.groups()]
        return math.fsum(part * days for part, days in zip(parts, _DURATION_DAYS, strict=True))
    match = _WORDS.fullmatch(text.lower())
    if match:
        number, word = match.groups()
        unit = _LETTERS.get(word) or (word + "s" if word + "s" in _UNITS else None)
        return float(number.replace(",", ".")) * _UNITS[unit] if unit else None
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return float(text.replace(",", ".")) * DAYS_PER_YEAR
    return None


def parse_date(value: Any) -> tuple[dt.date, bool] | None:
    """A calendar day, and whether it was written in full.

    `"2005"` and `"2005-07"` become the middle of the year or month, with False.
    None when it is not a date.

    >>> parse_date("2005-07")
    (datetime.date(2005, 7, 15), False)
    """
    if isinstance(value, dt.datetime):
        return value.date(), True
    if isinstance(value, dt.date):
        return value, True
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        if re.fullmatch(r"\d{4}", text, re.ASCII):
            return dt.date(int(text), 7, 1), False
        if re.fullmatch(r"\d{4}-\d\d", text, re.ASCII):
            return dt.date(int(text[:4]), int(text[5:]), 15), False
        return dt.date.fromisoformat(text[:10]), True
    except ValueError:
        return None


def days_between(birth: dt.date, day: dt.date) -> float | None:
    """Age on a day, or None when it lies before birth or is more than 130 years."""
    days = float((day - birth).days)
    return days if 0 <= days <= MAX_AGE_DAYS else None
