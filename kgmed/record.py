"""The patient: what was received (`Record`), and what is reasoned over (`Case`).

All types are frozen. Identifiers are CURIE strings. Missing stays missing: no
date, sex or value is ever made up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from kgmed.errors import RecordError

__all__ = [
    "FAMILY",
    "SETTINGS",
    "SEXES",
    "Allergy",
    "Case",
    "Context",
    "Finding",
    "Issue",
    "KnownDisease",
    "Measurement",
    "Medication",
    "Origin",
    "Record",
    "Setting",
    "Sex",
]

Sex = Literal["FEMALE", "MALE", "OTHER", "UNKNOWN"]
SEXES: tuple[Sex, ...] = ("FEMALE", "MALE", "OTHER", "UNKNOWN")
Context = Literal["current", "historical", "family", "hypothetical"]
"""Whom and when a statement is about. Only `current` findings are scored."""
FAMILY: Context = "family"
Setting = Literal["", "primary", "emergency", "hospital", "rare_disease", "uniform"]
"""Where the patient is seen: it decides how common each disease is. "" when it is not told;
`uniform` takes every disease for as common as any other, for sets that are balanced by design."""
SETTINGS: tuple[Setting, ...] = ("", "primary", "emergency", "hospital", "rare_disease", "uniform")
Origin = Literal["given", "text", "measurement", "rule"]

# The oldest person on record lived 122 years; anything above is a unit error.
MAX_AGE_DAYS = 130 * 365.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """A problem in the data that a person should see, with what to do about it.

    Attributes:
        level: `error` (the item could not be used) or `warning` (used with care).
        code: Short stable code, for example `unknown-term`.
        message: What is wrong, without patient text.
        fix: What to do about it.
        record_id: The record, "" when it has no id.
        field: Where in the record, for example `findings[2].term` or `text[10:25]`.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    fix: str = ""
    record_id: str = ""
    field: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One phenotypic observation, present or looked for and absent.

    Attributes:
        term: CURIE of the finding, normally HPO.
        excluded: True when it was looked for and is not there. What nobody
            looked for is simply not listed.
        onset_days: Age of the patient when it began, in days since birth, or None.
        span: (start, end) character offsets in `Record.text`, end not included.
        certainty: 0..1; 1 when stated outright.
        severity: CURIE or word for the severity, or None.
        context: `current`, `historical`, `family` or `hypothetical`.
        origin: `given`, `text`, `measurement` or `rule`.
        field: Where in the record it came from, for example `findings[0]`.
    """

    term: str
    excluded: bool = False
    onset_days: float | None = None
    span: tuple[int, int] | None = None
    certainty: float = 1.0
    severity: str | None = None
    context: Context = "current"
    origin: Origin = "given"
    field: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.certainty, int | float) and 0.0 <= self.certainty <= 1.0):
            raise RecordError("certainty must be between 0 and 1", field=f"{self.field}.certainty")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One measured value.

    Attributes:
        code: LOINC CURIE such as `LOINC:718-7`, or "" when only the name is known.
        name: Short name, for example `hemoglobin`.
        value: The number, finite.
        unit: UCUM unit string, "" for pure numbers (scores, ratios, pH).
        low, high: Reference range in the same unit, or None.
        span: Character offsets in `Record.text`, or None.
        age_days: Age of the patient when it was taken, or None for "now".
        field: Where in the record it came from.
    """

    code: str = ""
    name: str = ""
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    span: tuple[int, int] | None = None
    age_days: float | None = None
    field: str = ""

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise RecordError("must be a finite number", field=f"{self.field or 'measurement'}.{name}")
        if not (self.code or self.name):
            raise RecordError("a measurement needs a LOINC code or a name", field=self.field)


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownDisease:
    """A diagnosis that the record already states (problem list, history, family)."""

    term: str
    name: str = ""
    excluded: bool = False
    context: Context = "current"
    span: tuple[int, int] | None = None
    field: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Medication:
    """A drug that the patient takes: code (RxNorm or ATC CURIE) and name as given."""

    code: str = ""
    name: str = ""
    dose: str = ""
    status: str = "active"
    span: tuple[int, int] | None = None
    field: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allergy:
    """A documented allergy or intolerance; `excluded` means "known not to have it"."""

    code: str = ""
    name: str = ""
    reaction: str = ""
    excluded: bool = False
    span: tuple[int, int] | None = None
    field: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What was received about one patient; never edited.

    Attributes:
        id: The caller's identifier; the only thing that errors may name.
        text: The note, or "".
        findings: Structured findings, or those a tagger read from the text.
        measurements, diseases, medications, allergies: As received.
        age_days: Age now, in days, or None.
        onset_days: Age when the disease began, in days, or None.
        sex: `FEMALE`, `MALE`, `OTHER` or `UNKNOWN`.
        setting: Where the patient is seen, or "".
        duration_days: Time since the first symptom of this episode, in days, or None.
        issues: What the reader could not use, each with the field it stood in.

    Raises:
        RecordError: If the setting or the sex is none of the known words, or an age is negative,
            not finite, or above 130 years.
    """

    id: str = ""
    text: str = ""
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    diseases: tuple[KnownDisease, ...] = ()
    medications: tuple[Medication, ...] = ()
    allergies: tuple[Allergy, ...] = ()
    age_days: float | None = None
    onset_days: float | None = None
    sex: Sex = "UNKNOWN"
    setting: Setting = ""
    duration_days: float | None = None
    issues: tuple[Issue, ...] = ()

    def __post_init__(self) -> None:
        if self.setting not in SETTINGS:
            raise RecordError(
                f"setting must be one of {', '.join(filter(None, SETTINGS))}, or empty",
                record_id=self.id,
                field="setting",
            )
        if self.sex not in SEXES:
            raise RecordError(f"sex must be one of {', '.join(SEXES)}", record_id=self.id, field="sex")
        for name in ("age_days", "onset_days", "duration_days"):
            days = getattr(self, name)
            if days is not None and not (math.isfinite(days) and 0 <= days <= MAX_AGE_DAYS):
                raise RecordError(
                    "must be a number of days between 0 and 130 years",
                    record_id=self.id,
                    field=name,
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A record after the checks: what the scorers see.

    Attributes:
        record: The source.
        findings: The findings that are scored, in a canonical order.
        set_aside: (finding, reason) pairs for those that are not.
        issues: All problems, from the reader and from the checks.
    """

    record: Record
    findings: tuple[Finding, ...] = ()
    set_aside: tuple[tuple[Finding, str], ...] = ()
    issues: tuple[Issue, ...] = ()
    present: frozenset[str] = field(init=False)
    excluded: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "present", frozenset(f.term for f in self.findings if not f.excluded))
        object.__setattr__(self, "excluded", frozenset(f.term for f in self.findings if f.excluded))
