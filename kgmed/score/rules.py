"""Clinical rules: red flags, scores, criteria, formulas, implications, exclusions.

The rules are TOML files that a clinician can read and edit (`ontologies/rules`;
the format is in docs/rules.md). They are read once, indexed by the terms and
measurements that they mention, and told over a `Case`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, Literal

from kgmed.errors import ConfigError, ParseError
from kgmed.graph import HAS_PHENOTYPE, IS_A, KnowledgeGraph, Path
from kgmed.measure import analyte
from kgmed.record import Case, Finding, Issue, Measurement, Record
from kgmed.resources import ontologies_folder
from kgmed.result import Evidence, RedFlag, Score, ScoreItem
from kgmed.score.conditions import (
    AGE_UNITS,
    AtLeast,
    Condition,
    Counted,
    Facts,
    Known,
    Mentions,
    Quantity,
    Vocabulary,
    completed_age,
    measured_finding,
    parse_age,
    parse_condition,
    parse_quantity,
    parse_term,
)
from kgmed.score.formula import Formula

__all__ = ["Rule", "RuleResult", "RuleSet", "check_rules", "load_rules"]

Kind = Literal["red_flag", "score", "criteria", "formula", "implication", "exclusion"]
Urgency = Literal["emergency", "urgent", "soon"]
_URGENCY: dict[str, int] = {"emergency": 0, "urgent": 1, "soon": 2}

# log10 likelihood ratio of an exclusion that names none: a disease of an organ that
# the person does not have. A thousandfold, not infinite: records hold errors.
EXCLUSION_LOG10_LR = -3.0

# With the age unknown an adult is assumed; rows of a table of ranges are picked by this age.
_ADULT_DAYS = 40 * AGE_UNITS["year"]
_ADULT_FROM_YEARS = 18

_COMMON = {"id", "kind", "name", "source", "note"}
_KEYS: dict[str, tuple[set[str], set[str]]] = {  # kind -> (required, optional) besides the common ones
    "red_flag": ({"urgency", "action", "if"}, set()),
    "score": ({"items", "bands"}, {"relevant", "disease", "maximum"}),
    "criteria": ({"items", "bands"}, {"relevant", "disease", "maximum"}),
    "formula": ({"formula", "inputs"}, {"unit", "digits", "relevant", "bands", "disease"}),
    "implication": (set(), {"measure", "unit", "low", "high", "ranges", "normal_excludes", "if", "then"}),
    "exclusion": ({"if", "diseases"}, {"log10_lr"}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One line of a score: levels of (condition, points), the first that is met counts.

    A line with a single condition is one level. `group` is what criteria count by.
    """

    name: str
    levels: tuple[tuple[Condition, float], ...]
    group: str = ""

    def tell(self, facts: Facts) -> tuple[bool | None, float, float, float, tuple[Finding, ...]]:
        """(met, its points, fewest and most that it can add, what it rests on)."""
        if len(self.levels) == 1:
            ((condition, points),) = self.levels
            truth = condition.test(facts)
            if truth:
                return True, points, points, points, condition.support(facts)
            if truth is None:
                return None, points, min(0.0, points), max(0.0, points), ()
            return False, points, 0.0, 0.0, ()
        possible: list[float] = []
        for condition, points in self.levels:
            truth = condition.test(facts)
            if truth and not possible:
                return points != 0, points, points, points, condition.support(facts)
            if truth is not False:
                possible.append(points)
            if truth:
                break
        else:
            possible.append(0.0)
        if len(set(possible)) == 1:
            points = possible[0]
            return points != 0, points or self.most, points, points, ()
        return None, self.most, min(possible), max(possible), ()

    @property
    def most(self) -> float:
        """The points furthest from zero that the line can give."""
        return max((points for _, points in self.levels), key=abs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """What a value means: from a number of points upwards, or when a condition is met.

    Attributes:
        meaning: Words for the reader.
        start: Lowest value of the band, or None when `condition` decides.
        condition: Decides instead of `start`.
        lr: Published likelihood ratio of the rule's disease in this band, or None.
        lr_source: Where the ratio is published.
        met: Whether reaching the band means that the disease's criteria are met.
    """

    meaning: str
    start: float | None = None
    condition: Condition | None = None
    lr: float | None = None
    lr_source: str = ""
    met: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Limits for one sex and age: from `start` (included) to `end` (not included), in days."""

    sex: str = ""
    start: float = 0.0
    end: float = math.inf
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule, read and checked. Which fields are filled depends on `kind`.

    Attributes:
        id, kind, name, source, note: See docs/rules.md.
        file: Where it was read.
        condition: `if`, or `relevant` of scores and formulas; None holds always.
        urgency, action: Red flags.
        items, bands, disease, maximum: Scores and criteria.
        formula, inputs, unit, digits: Formulas. An input is a condition, or the
            (key, factor) of a measurement: value in its canonical unit times factor.
        measure, low, high, ranges, normal_excludes, then: Implications.
        diseases, log10_lr: Exclusions.
        terms: Every (CURIE, label, place) that it names.
    """

    id: str
    kind: Kind
    name: str
    source: str
    note: str = ""
    file: str = ""
    condition: Condition | None = None
    urgency: Urgency = "soon"
    action: str = ""
    items: tuple[Item, ...] = ()
    bands: tuple[Band, ...] = ()
    disease: str = ""
    maximum: float | None = None
    formula: Formula | None = None
    inputs: tuple[tuple[str, Condition | _Value], ...] = ()
    unit: str = ""
    digits: int = 1
    measure: str = ""
    low: str = ""
    high: str = ""
    ranges: tuple[Range, ...] = ()
    normal_excludes: frozenset[str] = frozenset(("low", "high"))
    then: str = ""
    diseases: tuple[str, ...] = ()
    log10_lr: float = EXCLUSION_LOG10_LR
    terms: tuple[tuple[str, str, str], ...] = ()

    def conditions(self) -> Iterator[Condition]:
        """Every condition inside the rule, the nested ones too."""
        tops = [self.condition, *(c for item in self.items for c, _ in item.levels)]
        tops += [band.condition for band in self.bands]
        tops += [value for _, value in self.inputs if isinstance(value, Condition)]
        for top in tops:
            if top is not None:
                yield from top.parts()


@dataclass(frozen=True, slots=True)
class _Value:
    """An input of a formula that is measured: canonical value times factor; `age` in completed years."""

    key: str
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleResult:
    """What the rules say about one case.

    Attributes:
        red_flags: Most urgent first, then in the order of the rules.
        scores: Those that are relevant and of which something is known.
        evidence: Disease CURIE to the reasons for or against it. Lines with
            `calibrated=False` (criteria without a published ratio) are for the
            reader and add nothing.
    """

    red_flags: tuple[RedFlag, ...] = ()
    scores: tuple[Score, ...] = ()
    evidence: Mapping[str, list[Evidence]] = field(default_factory=dict)


# ---------------------------------------------------------------- reading


class _Reader:
    """Turns one TOML table into a `Rule`; every error names file, rule and place."""

    def __init__(self, table: dict[str, Any], file: str, vocabulary: Vocabulary) -> None:
        self.table = table
        self.file = file
        self.vocabulary = vocabulary
        self.terms: list[tuple[str, str, str]] = []

    def fail(self, message: str, place: str = "") -> ConfigError:
        name = self.table.get("id", "(no id)")
        return ConfigError(message, key=f"{self.file}: rule {name}" + (f", {place}" if place else ""))

    def text(self, table: dict[str, Any], key: str, place: str = "", default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.fail(f"{key} must be a line of text", place)
        return value.strip()

    def number(self, table: dict[str, Any], key: str, place: str = "") -> float:
        value = table.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fail(f"{key} must be a number", place)
        return float(value)

    def keys(self, table: Any, required: set[str], optional: set[str], place: str = "") -> None:
        if not isinstance(table, dict):
            raise self.fail("must be a table, such as { name = ..., points = 1, if = ... }", place)
        unknown = sorted(set(table) - required - optional)
        if unknown:
            known = ", ".join(sorted(required | optional))
            raise self.fail(f"unknown key {', '.join(unknown)}; known: {known}", place)
        missing = sorted(required - set(table))
        if missing:
            raise self.fail(f"{', '.join(missing)} is missing", place)

    def term(self, table: dict[str, Any], key: str, place: str = "") -> str:
        if key not in table:
            return ""
        try:
            curie, label = parse_term(self.text(table, key, place))
        except ConfigError as error:
            raise self.fail(str(error), place or key) from None
        self.terms.append((curie, label, place or key))
        return curie

    def condition(self, given: Any, place: str, groups: Iterable[str] = ()) -> Condition:
        try:
            condition = parse_condition(given, self.vocabulary, groups)
        except ConfigError as error:
            raise self.fail(str(error), place) from None
        self.terms += [(p.curie, p.label, place) for p in condition.parts() if isinstance(p, Known)]
        return condition

    def read(self) -> Rule:
        table = self.table
        kind = table.get("kind")
        if kind not in _KEYS:
            raise self.fail(f"kind must be one of {', '.join(_KEYS)}, not {kind!r}")
        required, optional = _KEYS[kind]
        self.keys(table, {"id", "kind", "name", "source"} | required, {"note"} | optional)
        fields: dict[str, Any] = {name: self.text(table, name) for name in ("id", "name", "source")}
        fields["note"] = self.text(table, "note", default="")
        fields["disease"] = self.term(table, "disease")
        if "if" in table:
            fields["condition"] = self.condition(table["if"], "if")
        elif "relevant" in table:
            fields["condition"] = self.condition(table["relevant"], "relevant")
        match kind:
            case "red_flag":
                fields |= self._red_flag()
            case "score" | "criteria":
                fields |= self._score()
            case "formula":
                fields |= self._formula()
            case "implication":
                fields |= self._implication()
            case _:
                fields |= self._exclusion()
        return Rule(kind=kind, file=self.file, terms=tuple(self.terms), **fields)

    def _red_flag(self) -> dict[str, Any]:
        urgency = self.text(self.table, "urgency")
        if urgency not in _URGENCY:
            raise self.fail(f"urgency must be one of {', '.join(_URGENCY)}, not {urgency!r}")
        return {"urgency": urgency, "action": self.text(self.table, "action")}

    def _score(self) -> dict[str, Any]:
        rows = self.table["items"]
        if not isinstance(rows, list) or not rows:
            raise self.fail("items must be a list of tables")
        items = tuple(self._item(row, f"items[{i}]") for i, row in enumerate(rows))
        groups = {"points", *(item.group for item in items if item.group)}
        fields: dict[str, Any] = {"items": items, "bands": self._bands(groups)}
        if "maximum" in self.table:
            fields["maximum"] = self.number(self.table, "maximum")
        return fields

    def _item(self, row: Any, place: str) -> Item:
        if isinstance(row, dict) and isinstance(row.get("name"), str):
            place = f"item {row['name']!r}"
        if isinstance(row, dict) and "levels" in row:
            self.keys(row, {"name", "levels"}, {"group"}, place)
            if not isinstance(row["levels"], list) or not row["levels"]:
                raise self.fail("levels must be a list of tables", place)
            levels = []
            for level in row["levels"]:
                self.keys(level, {"if", "points"}, set(), place)
                levels.append((self.condition(level["if"], place), self.number(level, "points", place)))
        else:
            self.keys(row, {"name", "if"}, {"points", "group"}, place)
            points = self.number(row, "points", place) if "points" in row else 1.0
            levels = [(self.condition(row["if"], place), points)]
        return Item(
            name=self.text(row, "name", place), levels=tuple(levels), group=self.text(row, "group", place, "")
        )

    def _bands(self, groups: set[str]) -> tuple[Band, ...]:
        rows = self.table.get("bands", [])
        if not isinstance(rows, list):
            raise self.fail("bands must be a list of tables")
        bands = []
        for i, row in enumerate(rows):
            place = f"bands[{i}]"
            self.keys(row, {"meaning"}, {"from", "if", "lr", "lr_source", "met"}, place)
            if ("from" in row) == ("if" in row):
                raise self.fail("a band has either from or if", place)
            lr = self.number(row, "lr", place) if "lr" in row else None
            if lr is not None and (lr <= 0 or "lr_source" not in row or "disease" not in self.table):
                raise self.fail("a ratio must be above 0, with an lr_source, in a rule with a disease", place)
            if not isinstance(row.get("met", False), bool):
                raise self.fail("met must be true or false", place)
            bands.append(
                Band(
                    meaning=self.text(row, "meaning", place),
                    start=self.number(row, "from", place) if "from" in row else None,
                    condition=self.condition(row["if"], place, groups) if "if" in row else None,
                    lr=lr,
                    lr_source=self.text(row, "lr_source", place, ""),
                    met=row.get("met", False),
                )
            )
        starts = [band.start for band in bands if band.start is not None]
        if starts and (len(starts) < len(bands) or starts != sorted(set(starts))):
            raise self.fail("bands must all have from, in rising order, or all have if", "bands")
        return tuple(bands)

    def _formula(self) -> dict[str, Any]:
        inputs = self.table["inputs"]
        if not isinstance(inputs, dict) or not inputs:
            raise self.fail('inputs must be a table such as { sodium = "sodium mmol/L" }')
        read = tuple((name, self._input(name, given)) for name, given in inputs.items())
        try:
            formula = Formula(self.text(self.table, "formula"), list(inputs))
        except ConfigError as error:
            raise self.fail(str(error)) from None
        unused = sorted(set(inputs) - formula.used)
        if unused:
            raise self.fail(f"the formula does not use {', '.join(unused)}", "inputs")
        digits = self.table.get("digits", 1)
        if isinstance(digits, bool) or not isinstance(digits, int):
            raise self.fail("digits must be a whole number")
        return {
            "formula": formula,
            "inputs": read,
            "unit": self.text(self.table, "unit", default=""),
            "digits": digits,
            "bands": self._bands({"points"}),
        }

    def _input(self, name: str, given: Any) -> Condition | _Value:
        place = f"inputs.{name}"
        if given == "age years":
            return _Value("age")
        if isinstance(given, str) and not given.startswith(("sex is", "HP:", "MONDO:", "ASK:")):
            quantity, _, unit = given.partition(" ")
            try:
                key, convert = parse_quantity(quantity, unit, self.vocabulary)
            except ConfigError as error:
                raise self.fail(str(error), place) from None
            # Unit conversions are straight lines: two points tell the way back.
            offset = convert(0.0)
            slope = convert(1000.0) / 1000.0 - offset / 1000.0
            return _Value(key, 1.0 / slope, -offset / slope)
        return self.condition(given, place)

    def _implication(self) -> dict[str, Any]:
        table = self.table
        if ("if" in table) == ("measure" in table):
            raise self.fail("an implication has either if and then, or measure with low or high")
        if "if" in table:
            self.keys(table, _COMMON - {"note"} | {"if", "then"}, {"note", "normal_excludes"})
            return {"then": self.term(table, "then"), "normal_excludes": self._excludes({"then"}, "")}
        self.keys(
            table,
            _COMMON - {"note"} | {"measure"},
            {"note", "unit", "low", "high", "ranges", "normal_excludes"},
        )
        try:
            key, convert = parse_quantity(
                self.text(table, "measure"), self.text(table, "unit", default=""), self.vocabulary
            )
        except ConfigError as error:
            raise self.fail(str(error), "measure") from None
        if "low" not in table and "high" not in table:
            raise self.fail("low or high must name a finding")
        rows = table.get("ranges", [])
        if not isinstance(rows, list):
            raise self.fail("ranges must be a list of tables")
        ranges = []
        for i, row in enumerate(rows):
            place = f"ranges[{i}]"
            self.keys(row, set(), {"sex", "from", "to", "low", "high"}, place)
            if row.get("sex", "") not in ("", "FEMALE", "MALE"):
                raise self.fail("sex must be FEMALE or MALE", place)
            limits = {}
            for side in ("from", "to"):
                if side in row:
                    try:
                        n, unit = parse_age(self.text(row, side, place))
                    except ConfigError as error:
                        raise self.fail(str(error), place) from None
                    limits[side] = n * AGE_UNITS[unit]
            ranges.append(
                Range(
                    sex=row.get("sex", ""),
                    start=limits.get("from", 0.0),
                    end=limits.get("to", math.inf),
                    low=convert(self.number(row, "low", place)) if "low" in row else None,
                    high=convert(self.number(row, "high", place)) if "high" in row else None,
                )
            )
        return {
            "measure": key,
            "low": self.term(table, "low"),
            "high": self.term(table, "high"),
            "ranges": tuple(ranges),
            "normal_excludes": self._excludes({"low", "high"}, ["low", "high"]),
        }

    def _excludes(self, allowed: set[str], default: Any) -> frozenset[str]:
        given = self.table.get("normal_excludes", list(default))
        if not isinstance(given, list) or not set(given) <= allowed:
            raise self.fail(f"normal_excludes must be a list of {', '.join(sorted(allowed))}")
        return frozenset(given)

    def _exclusion(self) -> dict[str, Any]:
        rows = self.table["diseases"]
        if not isinstance(rows, list) or not rows:
            raise self.fail("diseases must be a list such as ['MONDO:0003105 prostate disorder']")
        diseases = []
        for row in rows:
            diseases.append(self.term({"diseases": row}, "diseases"))
        fields: dict[str, Any] = {"diseases": tuple(diseases)}
        if "log10_lr" in self.table:
            fields["log10_lr"] = self.number(self.table, "log10_lr")
            if fields["log10_lr"] >= 0:
                raise self.fail("log10_lr of an exclusion must be below 0")
        return fields


def _read_vocabulary(data: dict[str, Any], file: str, vocabulary: Vocabulary) -> None:
    for name, row in data.get("quantities", {}).items():
        key = f"{file}: quantities.{name}"
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise ConfigError('must be a table such as { name = "PHQ-9 total score" }', key=key)
        unknown = sorted(set(row) - {"name", "code", "names", "unit"})
        if unknown:
            raise ConfigError(f"unknown key {', '.join(unknown)}; known: code, name, names, unit", key=key)
        vocabulary.quantities[name] = Quantity(
            id=name,
            name=row["name"],
            code=row.get("code", ""),
            names=tuple(n.lower() for n in row.get("names", ())),
            unit=row.get("unit", ""),
        )
    for name, words in data.get("medications", {}).items():
        if not isinstance(words, list) or not words or not all(isinstance(w, str) and w for w in words):
            raise ConfigError("must be a list of drug names", key=f"{file}: medications.{name}")
        vocabulary.medications[name] = tuple(w.lower() for w in words)


def _read_rules(tables: list[tuple[Any, str]], vocabulary: Vocabulary) -> tuple[Rule, ...]:
    for table, file in tables:
        if not isinstance(table, dict):
            raise ConfigError("a rule must be a table", key=file)
        if table.get("kind") == "formula" and isinstance(table.get("id"), str):
            unit = table.get("unit", "")
            vocabulary.formulas[table["id"]] = unit if isinstance(unit, str) else ""
    rules: dict[str, Rule] = {}
    for table, file in tables:
        rule = _Reader(table, file, vocabulary).read()
        if rule.id in rules:
            raise ConfigError(
                f"the id is taken by a rule in {rules[rule.id].file}", key=f"{file}: rule {rule.id}"
            )
        rules[rule.id] = rule
    return tuple(rules.values())


def load_rules(*places: str | FilePath) -> RuleSet:
    """Read rule files.

    Args:
        places: TOML files, or folders of them (read in the order of their names).

    Raises:
        ParseError: If a file is not TOML; with path and line.
        ConfigError: If a rule has an unknown key, an unreadable condition, an unknown
            measurement or unit, a missing source, or an id that is taken. The message
            names file, rule and place.
    """
    files: list[FilePath] = []
    for place in map(FilePath, places):
        files += sorted(place.glob("*.toml")) if place.is_dir() else [place]
    vocabulary = Vocabulary()
    tables: list[tuple[Any, str]] = []
    for path in files:
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ParseError(f"not a TOML file: {error}", path=str(path)) from None
        except FileNotFoundError:
            raise ParseError("there is no such file", path=str(path)) from None
        unknown = sorted(set(data) - {"rule", "quantities", "medications"})
        if unknown:
            raise ConfigError(
                f"unknown key {', '.join(unknown)}; known: [[rule]], [quantities], [medications]",
                key=path.name,
            )
        _read_vocabulary(data, path.name, vocabulary)
        rows = data.get("rule", [])
        if not isinstance(rows, list):
            raise ConfigError("write [[rule]] above every rule", key=path.name)
        tables += [(row, path.name) for row in rows]
    return RuleSet(_read_rules(tables, vocabulary), vocabulary)


# ---------------------------------------------------------------- applying


class RuleSet:
    """Rules, ready to be told over records. Fixed once made.

    Args:
        rules: In order; red flags of the same urgency are listed in it.
        vocabulary: Quantities, drug groups and formulas that the rules use.
    """

    def __init__(self, rules: Iterable[Rule] = (), vocabulary: Vocabulary | None = None) -> None:
        self.rules = tuple(rules)
        self.vocabulary = vocabulary or Vocabulary()
        self._bound: _Bound | None = None

    @staticmethod
    def default() -> RuleSet:
        """The rules that ship with kgmed (`ontologies/rules`)."""
        return load_rules(ontologies_folder() / "rules")

    def __len__(self) -> int:
        return len(self.rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __getitem__(self, rule_id: str) -> Rule:
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise KeyError(rule_id)

    def with_rules(self, tables: Iterable[dict[str, Any]], file: str = "<rules>") -> RuleSet:
        """A new set with more rules; a rule of the same id takes the place of the old one.

        Args:
            tables: Rules as dictionaries, in the format of the files.
            file: Named in errors.

        Raises:
            ConfigError: As for `load_rules`.
        """
        vocabulary = Vocabulary(
            quantities=dict(self.vocabulary.quantities),
            medications=dict(self.vocabulary.medications),
            formulas=dict(self.vocabulary.formulas),
        )
        added = {rule.id: rule for rule in _read_rules([(table, file) for table in tables], vocabulary)}
        kept = [added.pop(rule.id, rule) for rule in self.rules]
        return RuleSet((*kept, *added.values()), vocabulary)

    def _over(self, graph: KnowledgeGraph) -> _Bound:
        if self._bound is None or self._bound.graph is not graph:
            self._bound = _Bound(self, graph)
        return self._bound

    def implied(self, record: Record, graph: KnowledgeGraph) -> tuple[list[Finding], list[Issue]]:
        """Findings that the record's values imply.

        A value outside its range is a finding; one inside it excludes that finding,
        where the rule allows it. The range printed with the measurement goes before
        the rule's own. Of several measurements of one quantity the latest counts.

        Returns:
            Findings with origin `measurement`, and what could not be read.
        """
        return self._over(graph).implied(record)

    def apply(self, case: Case, graph: KnowledgeGraph) -> RuleResult:
        """Red flags, scores, and evidence for or against diseases."""
        return self._over(graph).apply(case)


class _Bound:
    """Rules over one graph: indexes, and what was worked out once."""

    def __init__(self, rules: RuleSet, graph: KnowledgeGraph) -> None:
        self.graph = graph
        self.vocabulary = rules.vocabulary
        self.formulas = {rule.id: rule for rule in rules if rule.kind == "formula"}
        self.mentions = Mentions(
            (c.curie for rule in rules for c in rule.conditions() if isinstance(c, Known)), graph
        )
        self.by_measure: dict[str, list[Rule]] = {}
        self.implies = _Index(self)
        self.tells = _Index(self)
        for rule in rules:
            if rule.kind == "implication":
                if rule.measure:
                    self.by_measure.setdefault(rule.measure, []).append(rule)
                else:
                    self.implies.add(rule)
            else:
                self.tells.add(rule)
        self._walks: dict[str, dict[str, Path]] = {}
        self._exclusions: dict[tuple[str, ...], dict[str, list[Evidence]]] = {}

    # ------------------------------------------------------------ values

    def values(self, record: Record) -> tuple[dict[str, list[Measurement]], list[Issue]]:
        """Latest measurements by key, in canonical units."""
        found: dict[str, list[Measurement]] = {}
        issues: list[Issue] = []
        for measurement in record.measurements:
            read = self.vocabulary.measured(measurement)
            if isinstance(read, Issue):
                issues.append(read)
                continue
            key, value = read
            known = found.setdefault(key, [])
            if known and _when(value) < _when(known[0]):
                continue
            if known and _when(value) > _when(known[0]):
                known.clear()
            known.append(value)
        return found, issues

    def facts(
        self, record: Record, findings: Iterable[Finding], values: Mapping[str, list[Measurement]]
    ) -> Facts:
        facts = Facts(record, findings, values, self.mentions)
        worked: dict[str, float | None] = {}

        def formula(key: str) -> float | None:
            if key not in worked:
                rule = self.formulas.get(key)
                worked[key] = None  # a formula that needs itself cannot be told
                if rule is not None:
                    worked[key] = _work_out(rule, facts)
            return worked[key]

        facts.formula = formula
        return facts

    # ------------------------------------------------------------ implications

    def implied(self, record: Record) -> tuple[list[Finding], list[Issue]]:
        if not record.measurements and not self.implies.rules:
            return [], []
        values, issues = self.values(record)
        present: dict[str, Finding] = {}
        excluded: dict[str, Finding] = {}
        for key, measured in values.items():
            for rule in self.by_measure.get(key, ()):
                self._imply(rule, measured, record, present, excluded, issues)
        if self.implies.rules:
            facts = self.facts(record, record.findings, values)
            for rule in self.implies.candidates(facts):
                assert rule.condition is not None
                truth = rule.condition.test(facts)
                if truth is None or (truth is False and not rule.normal_excludes):
                    continue
                support = rule.condition.support(facts)
                origin: Literal["measurement", "rule"] = (
                    "measurement" if any(f.origin == "measurement" for f in support) else "rule"
                )
                where = support[0].field if support else f"rule {rule.id}"
                finding = Finding(term=rule.then, excluded=not truth, origin=origin, field=where)
                (present if truth else excluded).setdefault(rule.then, finding)
        # One value can be normal where another of the same finding is not.
        contradicted = set(present)
        for term in present:
            if term in self.graph:
                contradicted |= self.graph.ancestors(term)
        kept = [f for term, f in excluded.items() if term not in contradicted]
        return [*present.values(), *kept], [
            issue if issue.record_id else _with_record(issue, record.id) for issue in issues
        ]

    def _imply(
        self,
        rule: Rule,
        measured: list[Measurement],
        record: Record,
        present: dict[str, Finding],
        excluded: dict[str, Finding],
        issues: list[Issue],
    ) -> None:
        first = measured[0]
        lows, highs = self._limits(rule, record)
        printed = first.low is not None or first.high is not None
        if not printed and not lows and not highs:
            issues.append(
                Issue(
                    level="warning",
                    code="no-range",
                    message=f"No range of {rule.name} is known for this age and sex; it implies nothing.",
                    fix="Give the reference range with the value.",
                    record_id=record.id,
                    field=first.field,
                )
            )
            return
        for side, term in (("low", rule.low), ("high", rule.high)):
            if not term:
                continue
            abnormal, normal = False, True
            source = first
            for m in measured:
                given = m.low if side == "low" else m.high
                if m.low is not None or m.high is not None:
                    limits = [] if given is None else [given]
                else:
                    limits = lows if side == "low" else highs
                beyond = [m.value < x if side == "low" else m.value > x for x in limits]
                if beyond and all(beyond):
                    abnormal, source = True, m
                normal = normal and bool(beyond) and not any(beyond)
            if abnormal:
                present.setdefault(term, _implied(term, source, False))
            elif normal and side in rule.normal_excludes:
                excluded.setdefault(term, _implied(term, source, True))

    def _limits(self, rule: Rule, record: Record) -> tuple[list[float], list[float]]:
        """Lower and upper limits that may hold: several when the sex is not known."""
        age = _ADULT_DAYS if record.age_days is None else record.age_days + 0.75
        if not rule.ranges:
            known = analyte(rule.measure)
            if known is None or age < _ADULT_FROM_YEARS * AGE_UNITS["year"]:
                return [], []
            if known.reference is not None or record.sex in ("FEMALE", "MALE"):
                found = [known.reference_for(record.sex)]
            else:
                found = [known.reference_female, known.reference_male]
            pairs = [interval for interval in found if interval is not None]
        else:
            pairs = [
                (row.low, row.high)
                for row in rule.ranges
                if row.start <= age < row.end
                and (not row.sex or row.sex == record.sex or record.sex not in ("FEMALE", "MALE"))
            ]
        return [low for low, _ in pairs if low is not None], [high for _, high in pairs if high is not None]

    # ------------------------------------------------------------ the rest

    def apply(self, case: Case) -> RuleResult:
        values, _ = self.values(case.record) if case.record.measurements else ({}, [])
        facts = self.facts(case.record, case.findings, values)
        flags: list[RedFlag] = []
        scores: list[Score] = []
        fired: list[str] = []
        evidence: dict[str, list[Evidence]] = {}
        for rule in self.tells.candidates(facts):
            if rule.condition is not None and not rule.condition.test(facts):
                continue
            match rule.kind:
                case "red_flag":
                    assert rule.condition is not None
                    flags.append(
                        RedFlag(
                            rule=rule.id,
                            name=rule.name,
                            urgency=rule.urgency,
                            action=rule.action,
                            findings=rule.condition.support(facts),
                            source=rule.source,
                        )
                    )
                case "exclusion":
                    fired.append(rule.id)
                case _:
                    told = _formula_score(rule, facts) if rule.kind == "formula" else _score(rule, facts)
                    if told is None:
                        continue
                    score, band = told
                    scores.append(score)
                    if band is not None and rule.disease and (band.lr is not None or band.met):
                        line = self._evidence(rule, score, band)
                        evidence.setdefault(line.disease, []).append(line)
        flags.sort(key=lambda flag: _URGENCY[flag.urgency])
        if fired:
            excluded = self._excluded(tuple(fired))
            if evidence:
                for disease, lines in excluded.items():
                    evidence[disease] = [*evidence.get(disease, ()), *lines]
            else:
                evidence = excluded
        return RuleResult(red_flags=tuple(flags), scores=tuple(scores), evidence=evidence)

    def _evidence(self, rule: Rule, score: Score, band: Band) -> Evidence:
        disease = self.graph.resolve(rule.disease) or rule.disease
        rests_on = [f for item in score.items if item.met for f in item.findings]
        finding, path, matched = None, Path(), ""
        for candidate in rests_on:
            finding = finding or candidate
            path, matched = self._walk(candidate.term, disease)
            if len(path):
                finding = candidate
                break
        note = f"{rule.name}: {band.meaning} ({score.value:g} of {score.maximum:g})."
        return Evidence(
            finding=finding,
            disease=disease,
            match="rule",
            matched_term=matched,
            log10_lr=math.log10(band.lr) if band.lr is not None else 0.0,
            path=path,
            scorer="rules",
            calibrated=band.lr is not None,
            note=f"{note} {band.lr_source or rule.source}",
        )

    def _walk(self, term: str, disease: str) -> tuple[Path, str]:
        """The walk from a finding up to what the disease is annotated with, and that term."""
        if term not in self.graph or disease not in self.graph:
            return Path(), ""
        above = {term, *self.graph.ancestors(term)}
        ways = []
        for edge in self.graph.edges(subject=disease, predicate=HAS_PHENOTYPE):
            if edge.object in above and not edge.negated:
                up = self.graph.is_a_path(term, edge.object)
                ways.append((len(up), edge.object, Path((*up.steps, (edge, False)))))
        if not ways:
            return Path(), ""
        _, matched, path = min(ways, key=lambda way: way[:2])
        return path, matched

    def _excluded(self, fired: tuple[str, ...]) -> dict[str, list[Evidence]]:
        """Evidence of exclusion rules. It depends on the rules only, so it is made once."""
        known = self._exclusions.get(fired)
        if known is not None:
            return known
        out: dict[str, list[Evidence]] = {}
        for rule in self.tells.rules:
            if rule.id not in fired:
                continue
            for top in rule.diseases:
                if top not in self.graph:
                    continue
                for disease, path in self._walks_up(top).items():
                    lines = out.setdefault(disease, [])
                    if any(line.matched_term == top or line.note.startswith(rule.name) for line in lines):
                        continue
                    lines.append(
                        Evidence(
                            disease=disease,
                            match="rule",
                            matched_term=top,
                            log10_lr=rule.log10_lr,
                            path=path,
                            scorer="rules",
                            calibrated=True,
                            note=f"{rule.name}. {rule.source}",
                        )
                    )
        self._exclusions[fired] = out
        return out

    def _walks_up(self, top: str) -> dict[str, Path]:
        """Every disease below `top`, and itself, with a shortest walk up to it."""
        known = self._walks.get(top)
        if known is not None:
            return known
        walks = {top: Path()}
        frontier = [top]
        while frontier:
            following = []
            for parent in frontier:
                for edge in self.graph.edges(predicate=IS_A, object=parent):
                    if edge.subject not in walks and not edge.negated:
                        walks[edge.subject] = Path(((edge, True), *walks[parent].steps))
                        following.append(edge.subject)
            frontier = following
        self._walks[top] = walks
        return walks


class _Index:
    """Rules by what could make them hold."""

    def __init__(self, bound: _Bound) -> None:
        self._bound = bound
        self.rules: list[Rule] = []
        self._by_key: dict[str, list[int]] = {}
        self._always: list[int] = []

    def add(self, rule: Rule) -> None:
        row = len(self.rules)
        self.rules.append(rule)
        if rule.kind == "implication" and rule.normal_excludes and rule.condition is not None:
            # It also speaks when the condition is not met: anything that it mentions may tell.
            keys: frozenset[str] | None = frozenset(
                key for part in rule.condition.parts() if (key := getattr(part, "key", ""))
            )
            keys = _and_excluded(keys)
        elif rule.condition is not None:
            keys = rule.condition.triggers()
        elif rule.items:
            keys = _and_excluded(
                AtLeast(1, tuple(c for item in rule.items for c, _ in item.levels)).triggers()
            )
        else:
            needed = [
                value.key for _, value in rule.inputs if isinstance(value, _Value) and value.key != "age"
            ]
            keys = frozenset(needed[:1]) or None
        for key in self._measured(keys or frozenset()):
            self._by_key.setdefault(key, []).append(row)
        if keys is None:
            self._always.append(row)

    def _measured(self, keys: Iterable[str]) -> set[str]:
        """Formula ids replaced by the measurements that they need."""
        out: set[str] = set()
        for key in keys:
            formula = self._bound.formulas.get(key)
            out.add(key)
            if formula is not None:
                out |= {value.key for _, value in formula.inputs if isinstance(value, _Value)}
        return out

    def candidates(self, facts: Facts) -> list[Rule]:
        rows = set(self._always)
        get = self._by_key.get
        for key in facts.keys():  # noqa: SIM118
            found = get(key)
            if found:
                rows.update(found)
        return [self.rules[row] for row in sorted(rows)]


def _and_excluded(keys: frozenset[str] | None) -> frozenset[str] | None:
    return None if keys is None else keys | {f"not {key}" for key in keys}


def _when(measurement: Measurement) -> float:
    return math.inf if measurement.age_days is None else measurement.age_days


def _with_record(issue: Issue, record_id: str) -> Issue:
    return replace(issue, record_id=record_id)


def _implied(term: str, measurement: Measurement, excluded: bool) -> Finding:
    return Finding(
        term=term,
        excluded=excluded,
        origin="measurement",
        span=measurement.span,
        field=measurement.field or measurement.name or measurement.code,
    )


def _score(rule: Rule, facts: Facts) -> tuple[Score, Band | None] | None:
    lines: list[ScoreItem] = []
    missing: list[str] = []
    value = low = high = most = 0.0
    counts: dict[str, list[float]] = {}
    for item in rule.items:
        met, points, fewest, top, support = item.tell(facts)
        low, high = low + fewest, high + top
        most += max(0.0, *(p for _, p in item.levels))
        if met is None:
            missing.append(item.name)
        else:
            value += fewest
        if item.group:
            count = counts.setdefault(item.group, [0.0, 0.0])
            count[0] += met is True
            count[1] += met is not False
        lines.append(ScoreItem(name=item.name, points=points, met=met, findings=support))
    if len(missing) == len(lines):
        return None
    facts.counts = {group: (count[0], count[1]) for group, count in counts.items()}
    facts.counts["points"] = (low, high)
    band = _band(rule, facts, low, high)
    return (
        Score(
            rule=rule.id,
            name=rule.name,
            value=value,
            at_most=high,
            maximum=most if rule.maximum is None else rule.maximum,
            meaning=band.meaning if band else "",
            items=tuple(lines),
            missing=tuple(missing),
            source=rule.source,
        ),
        band,
    )


def _band(rule: Rule, facts: Facts, low: float, high: float) -> Band | None:
    """The band that holds whatever the unknown items are, or None."""
    at_low = at_high = None
    for band in rule.bands:
        if band.condition is not None:
            truth = band.condition.test(facts)
            if truth is not False:
                return band if truth else None
        elif band.start is not None:
            # Sums of decimals: a hair below the limit still is the limit.
            at_low = band if low >= band.start - 1e-9 else at_low
            at_high = band if high >= band.start - 1e-9 else at_high
    return at_low if at_low is at_high else None


def _input(value: Condition | _Value, facts: Facts) -> tuple[float | None, tuple[Finding, ...]]:
    if isinstance(value, Condition):
        truth = value.test(facts)
        return (None if truth is None else float(truth)), value.support(facts) if truth else ()
    if value.key == "age":
        return (None if facts.age_days is None else completed_age(facts.age_days, "year")), ()
    measured = facts.values.get(value.key, ())
    numbers = {m.value for m in measured}
    if len(numbers) > 1:
        return None, ()  # nothing says which of them belongs to the other values
    if not numbers:
        worked = facts.formula(value.key)
        return worked, ()
    return numbers.pop() * value.factor + value.offset, (measured_finding(measured[0]),)


def _work_out(rule: Rule, facts: Facts) -> float | None:
    assert rule.formula is not None
    values: dict[str, float] = {}
    for name, value in rule.inputs:
        number, _ = _input(value, facts)
        if number is None:
            return None
        values[name] = number
    result = rule.formula(values)
    return None if result is None else round(result, rule.digits)


def _formula_score(rule: Rule, facts: Facts) -> tuple[Score, Band | None] | None:
    result = facts.formula(rule.id)
    if result is None:
        return None
    facts.counts = {"points": (result, result)}
    band = _band(rule, facts, result, result)
    lines = []
    for name, value in rule.inputs:
        number, support = _input(value, facts)
        lines.append(ScoreItem(name=name, points=round(number or 0.0, 4), met=True, findings=support))
    return (
        Score(
            rule=rule.id,
            name=rule.name,
            value=result,
            at_most=result,
            maximum=result,
            meaning=band.meaning if band else "",
            items=tuple(lines),
            source=rule.source,
        ),
        band,
    )


# ---------------------------------------------------------------- checking


def check_rules(rules: RuleSet, graph: KnowledgeGraph) -> list[Issue]:
    """What is wrong with rules, as far as a graph can tell.

    Finds terms that the graph does not hold, obsolete terms, labels that are not
    the term's name or one of its synonyms, bands that no value reaches, limits
    that leave nothing between them, and sources without a year.
    """
    issues: list[Issue] = []

    def add(
        rule: Rule, code: str, message: str, fix: str, level: Literal["error", "warning"] = "error"
    ) -> None:
        issues.append(
            Issue(level=level, code=code, message=message, fix=fix, field=f"{rule.file}: rule {rule.id}")
        )

    names: dict[str, set[str]] = {}
    for synonym in graph.synonyms():
        names.setdefault(synonym.term, set()).add(synonym.text.lower())
    for rule in rules:
        for curie, label, place in rule.terms:
            if curie.startswith("ASK:"):
                if not label:
                    add(rule, "no-label", f"{place}: {curie} asks nothing.", "Write the question after it.")
                continue
            if curie not in graph:
                add(rule, "unknown-term", f"{place}: the graph holds no {curie}.", "Look the identifier up.")
                continue
            term = graph.term(curie)
            if term.obsolete:
                successor = term.replaced_by or "nothing"
                add(
                    rule, "obsolete-term", f"{place}: {curie} is obsolete.", f"It is replaced by {successor}."
                )
            elif label.lower() != term.name.lower() and label.lower() not in names.get(curie, ()):
                add(
                    rule,
                    "wrong-label",
                    f"{place}: {curie} is {term.name!r}, not {label!r}.",
                    "Correct one of them.",
                )
        _check_bands(rule, add)
        if not any(part.isdigit() and len(part) == 4 for part in _words(rule.source)):
            add(rule, "no-year", "The source has no year.", "Cite authors, journal and year.", "warning")
        for row in rule.ranges:
            if row.low is not None and row.high is not None and row.low >= row.high:
                add(rule, "empty-range", "A range has its low above its high.", "Correct the limits.")
    return issues


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).split()


def _check_bands(rule: Rule, add: Any) -> None:
    if not rule.items:
        return
    high = sum(max(0.0, *(p for _, p in item.levels)) for item in rule.items)
    low = sum(min([p for _, p in item.levels] + [0.0]) for item in rule.items)
    counts = {
        group: sum(1 for item in rule.items if item.group == group)
        for group in {item.group for item in rule.items if item.group}
    }
    starts = [band.start for band in rule.bands if band.start is not None]
    for i, band in enumerate(rule.bands):
        if band.start is not None:
            following = starts[i + 1] if i + 1 < len(starts) else math.inf
            if band.start > high or following <= low:
                add(rule, "unreachable-band", f"No value reaches {band.meaning!r}.", "Correct its from.")
        for part in band.condition.parts() if band.condition else ():
            if isinstance(part, Counted):
                most = high if part.group == "points" else counts.get(part.group, 0)
                for sign, limit in part.tests:
                    if sign in (">=", ">", "=") and limit > most:
                        add(
                            rule,
                            "unreachable-band",
                            f"{part.group} cannot reach {limit:g} in {band.meaning!r}.",
                            "Correct the limit.",
                        )
