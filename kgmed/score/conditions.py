"""Conditions of clinical rules: how they are written, and how they are told.

A condition is met (True), not met (False), or cannot be told (None). What the
record does not mention is never taken for normal: a finding is not met only when
it was looked for and excluded, a value only when it was measured.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kgmed.errors import ConfigError
from kgmed.graph import KnowledgeGraph
from kgmed.measure import Analyte, analyte, canonical, named, ucum
from kgmed.record import Finding, Issue, KnownDisease, Measurement, Record

__all__ = [
    "Condition",
    "Facts",
    "Mentions",
    "Quantity",
    "Vocabulary",
    "completed_age",
    "parse_age",
    "parse_condition",
    "parse_quantity",
    "parse_term",
]

Truth = bool | None
Scope = Literal["", "history", "family"]

AGE_UNITS = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
"""Days in each unit that an age may be written in."""

# A birthday falls up to three quarters of a day before a multiple of 365.25 days.
_BIRTHDAY_SLACK_DAYS = 0.75

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_NUMBER = r"[-+]?\d+(?:\.\d+)?"
# A CURIE of any vocabulary, so that rules can speak of the user's own findings.
_TERM = re.compile(
    r"^((?!(?:LOINC|medication|history|family):)[A-Za-z][A-Za-z0-9]*:[A-Za-z0-9_-]+)(?:\s+(.*))?$"
)
_COMPARE = re.compile(rf"^(.+?)\s*(<=|>=|<|>|=)\s*({_NUMBER})\s*(\S.*)?$")
_BETWEEN = re.compile(rf"^(.+?)\s+({_NUMBER})\s+to\s+({_NUMBER})\s*(\S.*)?$")
_SEX = re.compile(r"^sex is (\w+)$")
_SCOPED = re.compile(r"^(history|family):\s*(.*)$")
_MEDICATION = re.compile(r"^medication:\s*(.+)$")
_AGE = re.compile(r"^(\d+(?:\.\d+)?)\s*(day|week|month|year)s?$")


def completed_age(age_days: float, unit: str) -> float:
    """Age in completed units, as people count it; in days it is the age itself.

    >>> completed_age(23741, "year")
    65.0
    """
    if unit == "day":
        return age_days
    return float((age_days + _BIRTHDAY_SLACK_DAYS) // AGE_UNITS[unit])


def parse_age(text: str) -> tuple[float, str]:
    """(number, unit) of an age such as `"15 years"`.

    Raises:
        ConfigError: If it is not a number with day(s), week(s), month(s) or year(s).
    """
    found = _AGE.match(text.strip())
    if not found:
        raise ConfigError(f"{text!r} is not an age; write for example '15 years' or '28 days'")
    return float(found[1]), found[2]


def parse_term(text: str) -> tuple[str, str]:
    """(CURIE, label) of `"HP:0001945 Fever"`.

    Raises:
        ConfigError: If it does not start with an identifier such as HP:0001945.
    """
    found = _TERM.match(text.strip())
    if not found:
        raise ConfigError(f"{text!r} is not a term; write for example 'HP:0001945 Fever'")
    return found[1], (found[2] or "").strip()


# ---------------------------------------------------------------- quantities


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A value that is not in the table of measurements, declared in a rule file.

    Attributes:
        id: What conditions call it, for example `phq9`.
        name: Full name.
        code: LOINC CURIE, or "".
        names: Other names of the measurement, lower case.
        unit: The only unit that is read, "" for pure numbers.
    """

    id: str
    name: str
    code: str = ""
    names: tuple[str, ...] = ()
    unit: str = ""


@dataclass(kw_only=True)
class Vocabulary:
    """What conditions may name besides terms: quantities, formulas and groups of drugs."""

    quantities: dict[str, Quantity] = field(default_factory=dict)
    medications: dict[str, tuple[str, ...]] = field(default_factory=dict)
    formulas: dict[str, str] = field(default_factory=dict)  # id of a formula rule -> its unit

    def measured(self, measurement: Measurement) -> tuple[str, Measurement] | Issue:
        """(key, measurement in its canonical unit), or what is wrong with it."""
        name = measurement.name.lower()
        for quantity in self.quantities.values():
            by_code = measurement.code and measurement.code == quantity.code
            if by_code or (name and name in (quantity.id, quantity.name.lower(), *quantity.names)):
                unit = measurement.unit.strip()
                if quantity.unit == unit or (ucum(unit) or unit) == (ucum(quantity.unit) or quantity.unit):
                    return quantity.id, measurement
                if quantity.unit == "" and unit in ("1", "{score}"):
                    return quantity.id, measurement
                return Issue(
                    level="warning",
                    code="unknown-unit",
                    message=f"The unit of {quantity.name} is not {quantity.unit or '1'}; it is not used.",
                    fix="Give the value in this unit.",
                    field=measurement.field,
                )
        read = canonical(measurement)
        return read if isinstance(read, Issue) else (read.code, read)


def _convert(found: Analyte, value: float, unit: str) -> float:
    factor, offset = found.convert[unit]
    return value * factor + offset


def parse_quantity(
    text: str, unit: str | None, vocabulary: Vocabulary
) -> tuple[str, Callable[[float], float]]:
    """(key, conversion of a number in `unit` to the unit in which values are kept).

    Raises:
        ConfigError: If the name or the unit is not known; the message lists what is.
    """
    name = text.strip()
    spelled = (unit or "").strip()
    for declared, wanted in (
        *((q.id, q.unit) for q in vocabulary.quantities.values()),
        *vocabulary.formulas.items(),
    ):
        if name == declared:
            if (ucum(spelled) or spelled) != (ucum(wanted) or wanted):
                raise ConfigError(f"the unit of {name} is {wanted or 'none'}, not {spelled or 'none'}")
            return declared, float
    one = analyte(name) if name.startswith("LOINC:") else None
    candidates = (one,) if one else named(name.replace("_", " "))
    if not candidates:
        raise ConfigError(
            f"no measurement is called {name!r}; use a name or LOINC code of ontologies/measurements.toml, "
            "or declare it under [quantities]"
        )
    known = ucum(spelled) if spelled else ""
    fitting = [a for a in candidates if known is not None and known in a.convert]
    if len(fitting) != 1:
        units = sorted({u or "none" for a in candidates for u in a.convert})
        raise ConfigError(f"the unit of {name} must be one of {', '.join(units)}, not {spelled or 'none'}")
    found, read_in = fitting[0], known or ""
    return found.code, lambda value: round(_convert(found, value, read_in), 6)


# ---------------------------------------------------------------- what is known


class Mentions:
    """Which of the terms that rules mention a stated term means, over one graph."""

    def __init__(self, terms: Iterable[str], graph: KnowledgeGraph) -> None:
        self.graph = graph
        self.terms = frozenset(terms)
        self._above = {t: (graph.ancestors(t) if t in graph else frozenset()) | {t} for t in self.terms}
        self._present: dict[str, tuple[str, ...]] = {}
        self._excluded: dict[str, tuple[str, ...]] = {}

    def entailed(self, term: str) -> tuple[str, ...]:
        """Mentioned terms that hold when `term` is present: itself and its ancestors."""
        found = self._present.get(term)
        if found is None:
            above = self.graph.ancestors(term) if term in self.graph else frozenset()
            found = self._present[term] = tuple(sorted((above | {term}) & self.terms))
        return found

    def refuted(self, term: str) -> tuple[str, ...]:
        """Mentioned terms that do not hold when `term` is excluded: itself and its descendants."""
        found = self._excluded.get(term)
        if found is None:
            found = self._excluded[term] = tuple(
                sorted(t for t, above in self._above.items() if term in above)
            )
        return found


class Facts:
    """One record, looked at by the terms and quantities that the rules mention.

    Args:
        record: The source of diseases, drugs, age, sex and values.
        findings: The findings to go by.
        values: Measurements in canonical units by key, latest only.
        mentions: The terms that the rules name.
    """

    __slots__ = (
        "age_days",
        "counts",
        "excluded",
        "findings_of",
        "formula",
        "medications",
        "present",
        "sex",
        "values",
    )

    def __init__(
        self,
        record: Record,
        findings: Iterable[Finding],
        values: Mapping[str, Sequence[Measurement]],
        mentions: Mentions,
    ) -> None:
        self.age_days = record.age_days
        self.sex = record.sex
        self.values = values
        self.medications = tuple(
            (m.name.lower(), m) for m in record.medications if m.status == "active" and m.name
        )
        self.present: dict[str, list[Finding]] = {}
        self.excluded: dict[str, list[Finding]] = {}
        self.counts: dict[str, tuple[float, float]] = {}
        self.formula: Callable[[str], float | None] = lambda _: None
        for finding in findings:
            self._add(finding, mentions)
        for finding in record.findings:
            # Answers to questions have no term in the graph, and family and past
            # findings are not scored: the checks leave both out of the case.
            if finding.context in ("historical", "family") or finding.term.startswith("ASK:"):
                self._add(finding, mentions)
        for disease in record.diseases:
            self._add(_as_finding(disease), mentions)
            if disease.excluded and disease.context == "current":
                # "No diabetes" in a problem list is about the past as well.
                for term in mentions.refuted(disease.term):
                    self.excluded.setdefault(f"history:{term}", []).append(_as_finding(disease))

    def _add(self, finding: Finding, mentions: Mentions) -> None:
        match finding.context:
            case "current":
                scopes: tuple[str, ...] = ("",) if finding.excluded else ("", "history:")
            case "historical":
                scopes = ("history:",)
            case "family":
                scopes = ("family:",)
            case _:
                return
        if finding.excluded:
            table, terms = self.excluded, mentions.refuted(finding.term)
        else:
            table, terms = self.present, mentions.entailed(finding.term)
        for term in terms:
            for scope in scopes:
                table.setdefault(scope + term, []).append(finding)

    def keys(self) -> Iterator[str]:
        """Everything that could make a condition true, or (`not` before it) false."""
        yield from self.present
        for key in self.excluded:
            yield f"not {key}"
        yield from self.values
        if self.medications:
            yield "medication"
        if self.age_days is not None:
            yield "age"
        if self.sex in ("FEMALE", "MALE"):
            yield f"sex:{self.sex}"


def _as_finding(disease: KnownDisease) -> Finding:
    return Finding(
        term=disease.term,
        excluded=disease.excluded,
        context=disease.context,
        span=disease.span,
        field=disease.field,
    )


def measured_finding(measurement: Measurement) -> Finding:
    """A measurement as a finding, so that reasons can point to it."""
    return Finding(
        term=measurement.code or f"measurement:{measurement.name}",
        origin="measurement",
        span=measurement.span,
        field=measurement.field,
    )


# ---------------------------------------------------------------- conditions


class Condition:
    """Something that is met, not met, or cannot be told."""

    __slots__ = ()

    def test(self, facts: Facts) -> Truth:
        raise NotImplementedError

    def support(self, facts: Facts) -> tuple[Finding, ...]:
        """What a met condition rests on."""
        return ()

    def triggers(self) -> frozenset[str] | None:
        """Keys of which at least one is known when the condition is met; None when any record could."""
        return None

    def parts(self) -> Iterator[Condition]:
        """The condition and everything inside it."""
        yield self


@dataclass(frozen=True, slots=True)
class Known(Condition):
    """A finding or a disease that the record states; `scope` is "", `history` or `family`."""

    curie: str
    label: str
    scope: Scope

    @property
    def key(self) -> str:
        return f"{self.scope}:{self.curie}" if self.scope else self.curie

    def test(self, facts: Facts) -> Truth:
        key = self.key
        if key in facts.present:
            return True
        return False if key in facts.excluded else None

    def support(self, facts: Facts) -> tuple[Finding, ...]:
        return tuple(facts.present.get(self.key, ()))

    def triggers(self) -> frozenset[str] | None:
        return frozenset((self.key,))


@dataclass(frozen=True, slots=True)
class Compared(Condition):
    """A measured value within limits; of several values taken together one is enough."""

    key: str
    tests: tuple[tuple[str, float], ...]

    def _met(self, value: float) -> bool:
        return all(_OPERATORS[sign](value, limit) for sign, limit in self.tests)

    def test(self, facts: Facts) -> Truth:
        measured = facts.values.get(self.key)
        if measured:
            return any(self._met(m.value) for m in measured)
        value = facts.formula(self.key)
        return None if value is None else self._met(value)

    def support(self, facts: Facts) -> tuple[Finding, ...]:
        return tuple(measured_finding(m) for m in facts.values.get(self.key, ()) if self._met(m.value))

    def triggers(self) -> frozenset[str] | None:
        return frozenset((self.key,))


@dataclass(frozen=True, slots=True)
class Aged(Condition):
    """Age in completed units within limits."""

    tests: tuple[tuple[str, float], ...]
    unit: str

    def test(self, facts: Facts) -> Truth:
        if facts.age_days is None:
            return None
        age = completed_age(facts.age_days, self.unit)
        return all(_OPERATORS[sign](age, limit) for sign, limit in self.tests)

    def triggers(self) -> frozenset[str] | None:
        return frozenset(("age",))


@dataclass(frozen=True, slots=True)
class SexIs(Condition):
    """FEMALE or MALE; cannot be told for anyone else."""

    sex: str

    def test(self, facts: Facts) -> Truth:
        return facts.sex == self.sex if facts.sex in ("FEMALE", "MALE") else None

    def triggers(self) -> frozenset[str] | None:
        return frozenset((f"sex:{self.sex}",))


@dataclass(frozen=True, slots=True)
class Takes(Condition):
    """An active drug whose name holds one of the words.

    Never "not met": lists of drugs are seldom complete.
    """

    words: tuple[str, ...]

    def test(self, facts: Facts) -> Truth:
        return True if self.support(facts) else None

    def support(self, facts: Facts) -> tuple[Finding, ...]:
        return tuple(
            Finding(term=m.code or "medication", span=m.span, field=m.field)
            for name, m in facts.medications
            if any(word in name for word in self.words)
        )

    def triggers(self) -> frozenset[str] | None:
        return frozenset(("medication",))


@dataclass(frozen=True, slots=True)
class Counted(Condition):
    """Points, or items met in a group, of the rule itself."""

    group: str
    tests: tuple[tuple[str, float], ...]

    def test(self, facts: Facts) -> Truth:
        low, high = facts.counts[self.group]
        # Points and counts go up in steps, so both ends tell: all limits are one-sided.
        at_low = all(_OPERATORS[sign](low, limit) for sign, limit in self.tests)
        at_high = all(_OPERATORS[sign](high, limit) for sign, limit in self.tests)
        if low == high or at_low == at_high:
            return at_low
        return None


@dataclass(frozen=True, slots=True)
class AtLeast(Condition):
    """At least `n` of several: `any` is one of them, `all` is all of them."""

    n: int
    of: tuple[Condition, ...]

    def test(self, facts: Facts) -> Truth:
        met = open_ = 0
        n = self.n
        left = len(self.of)
        for part in self.of:
            left -= 1
            truth = part.test(facts)
            if truth:
                met += 1
                if met >= n:
                    return True
            elif truth is None:
                open_ += 1
            if met + open_ + left < n:
                return False
        return None

    def support(self, facts: Facts) -> tuple[Finding, ...]:
        return _unique(f for part in self.of if part.test(facts) for f in part.support(facts))

    def triggers(self) -> frozenset[str] | None:
        # With n needed of k, at least one of any k - n + 1 parts is met.
        options = sorted((part.triggers() for part in self.of), key=_breadth)
        needed = options[: len(options) - self.n + 1]
        keys: set[str] = set()
        for option in needed:
            if option is None:
                return None
            keys |= option
        return frozenset(keys)

    def parts(self) -> Iterator[Condition]:
        yield self
        for part in self.of:
            yield from part.parts()


def _breadth(triggers: frozenset[str] | None) -> tuple[int, int]:
    """How many records a set of keys lets through: age and sex are nearly always known."""
    if triggers is None:
        return 3, 0
    common = any(key == "age" or key.startswith("sex:") for key in triggers)
    return (2 if common else 0), len(triggers)


@dataclass(frozen=True, slots=True)
class NoneOf(Condition):
    """None of several is met; each must have been excluded or measured."""

    of: tuple[Condition, ...]

    def test(self, facts: Facts) -> Truth:
        truths = [part.test(facts) for part in self.of]
        if any(truths):
            return False
        return None if None in truths else True

    def parts(self) -> Iterator[Condition]:
        yield self
        for part in self.of:
            yield from part.parts()


@dataclass(frozen=True, slots=True)
class Either(Condition):
    """Several ways to observe one thing: met when one is met, and told by the ones that are known."""

    of: tuple[Condition, ...]

    def test(self, facts: Facts) -> Truth:
        truths = [part.test(facts) for part in self.of]
        if True in truths:
            return True
        return False if False in truths else None

    def support(self, facts: Facts) -> tuple[Finding, ...]:
        return _unique(f for part in self.of if part.test(facts) for f in part.support(facts))

    def triggers(self) -> frozenset[str] | None:
        return AtLeast(1, self.of).triggers()

    def parts(self) -> Iterator[Condition]:
        yield self
        for part in self.of:
            yield from part.parts()


@dataclass(frozen=True, slots=True)
class Unless(Condition):
    """Not known to be met: what cannot be told counts as not there. For red flags and relevance only."""

    of: tuple[Condition, ...]

    def test(self, facts: Facts) -> Truth:
        return not any(part.test(facts) for part in self.of)

    def parts(self) -> Iterator[Condition]:
        yield self
        for part in self.of:
            yield from part.parts()


def _unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(findings))


# ---------------------------------------------------------------- reading them


def parse_condition(given: Any, vocabulary: Vocabulary, groups: Iterable[str] = ()) -> Condition:
    """A condition as written in a rule file.

    Args:
        given: One line (`"age >= 65 years"`), a list (all of them), or a table
            with `any`, `all`, `either`, `none`, `unless`, or `at_least` and `of`.
        vocabulary: Quantities, formulas and groups of drugs that may be named.
        groups: Names of item groups (and `points`) that the rule may count.

    Raises:
        ConfigError: With what is wrong and how to write it.
    """
    groups = tuple(groups)
    if isinstance(given, str):
        return _parse_line(given.strip(), vocabulary, groups)
    if isinstance(given, list):
        given = {"all": given}
    if not isinstance(given, dict):
        raise ConfigError(f"a condition is a line, a list or a table, not {type(given).__name__}")
    if set(given) == {"at_least", "of"}:
        n, lines = given["at_least"], given["of"]
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError("at_least must be a whole number of at least 1")
    else:
        unknown = sorted(set(given) - {"any", "all", "either", "none", "unless"})
        if unknown or not given:
            raise ConfigError(
                f"unknown key {', '.join(unknown) or '(none)'}; a condition table holds any, all, "
                "either, none, unless, or at_least with of"
            )
        parts = [_parse_group(kind, lines, vocabulary, groups) for kind, lines in given.items()]
        return parts[0] if len(parts) == 1 else AtLeast(len(parts), tuple(parts))
    of = _parse_lines("of", lines, vocabulary, groups)
    if n > len(of):
        raise ConfigError(f"at_least is {n}, but `of` lists only {len(of)}")
    return AtLeast(n, of)


def _parse_lines(
    key: str, lines: Any, vocabulary: Vocabulary, groups: tuple[str, ...]
) -> tuple[Condition, ...]:
    if not isinstance(lines, list) or not lines:
        raise ConfigError(f"`{key}` must be a list with at least one condition")
    return tuple(parse_condition(line, vocabulary, groups) for line in lines)


def _parse_group(kind: str, lines: Any, vocabulary: Vocabulary, groups: tuple[str, ...]) -> Condition:
    of = _parse_lines(kind, lines, vocabulary, groups)
    match kind:
        case "any":
            return AtLeast(1, of) if len(of) > 1 else of[0]
        case "all":
            return AtLeast(len(of), of) if len(of) > 1 else of[0]
        case "either":
            return Either(of)
        case "none":
            return NoneOf(of)
        case _:
            return Unless(of)


def _parse_line(line: str, vocabulary: Vocabulary, groups: tuple[str, ...]) -> Condition:
    if found := _SCOPED.match(line):
        curie, label = parse_term(found[2])
        return Known(curie, label, "history" if found[1] == "history" else "family")
    if _TERM.match(line):
        return Known(*parse_term(line), "")
    if found := _SEX.match(line):
        if found[1] not in ("FEMALE", "MALE"):
            raise ConfigError(f"{line!r}: sex must be FEMALE or MALE")
        return SexIs(found[1])
    if found := _MEDICATION.match(line):
        words = found[1].strip()
        return Takes(vocabulary.medications.get(words, (words.lower(),)))
    limits: tuple[tuple[str, float], ...]
    if found := _COMPARE.match(line):
        name, limits, unit = found[1], ((found[2], float(found[3])),), found[4]
    elif found := _BETWEEN.match(line):
        name, limits, unit = found[1], ((">=", float(found[2])), ("<=", float(found[3]))), found[4]
    else:
        raise ConfigError(
            f"{line!r} is not a condition; write for example 'HP:0001945 Fever', "
            "'systolic_bp <= 100 mmHg', 'age >= 65 years', 'sex is FEMALE' or 'medication: warfarin'"
        )
    if name == "age":
        word = (unit or "").strip().removesuffix("s")
        if word not in AGE_UNITS:
            raise ConfigError(f"{line!r}: an age needs days, weeks, months or years")
        return Aged(limits, word)
    if name in groups:
        if unit or len(limits) > 1:
            raise ConfigError(f"{line!r}: a count has one limit and no unit")
        return Counted(name, limits)
    try:
        key, convert = parse_quantity(name, unit, vocabulary)
    except ConfigError as error:
        raise ConfigError(f"{line!r}: {error}") from None
    return Compared(key, tuple((sign, convert(limit)) for sign, limit in limits))
