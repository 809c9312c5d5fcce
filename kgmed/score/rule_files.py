"""Rule files (TOML) to rules. The format is in docs/rules.md; every error names file, rule and place."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any

from kgmed.errors import ConfigError, ParseError
from kgmed.score.conditions import (
    AGE_UNITS,
    Condition,
    Known,
    Quantity,
    Vocabulary,
    parse_age,
    parse_condition,
    parse_quantity,
    parse_term,
)
from kgmed.score.formula import Formula
from kgmed.score.rule import URGENCY, Band, Item, Range, Rule, Value

__all__ = ["read_rule_files", "read_rules"]

_COMMON = {"id", "kind", "name", "source", "note"}
_KEYS: dict[str, tuple[set[str], set[str]]] = {  # kind -> (required, optional) besides the common ones
    "red_flag": ({"urgency", "action", "if"}, set()),
    "score": ({"items", "bands"}, {"relevant", "disease", "maximum"}),
    "criteria": ({"items", "bands"}, {"relevant", "disease", "maximum"}),
    "formula": ({"formula", "inputs"}, {"unit", "digits", "relevant", "bands", "disease"}),
    "implication": (set(), {"measure", "unit", "low", "high", "ranges", "normal_excludes", "if", "then"}),
    "exclusion": ({"if", "diseases"}, {"log10_lr"}),
}


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
        if urgency not in URGENCY:
            raise self.fail(f"urgency must be one of {', '.join(URGENCY)}, not {urgency!r}")
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

    def _input(self, name: str, given: Any) -> Condition | Value:
        place = f"inputs.{name}"
        if given == "age years":
            return Value("age")
        if isinstance(given, str) and not given.startswith(("sex is", "HP:", "MONDO:", "ASK:")):
            quantity, _, unit = given.partition(" ")
            try:
                key, convert = parse_quantity(quantity, unit, self.vocabulary)
            except ConfigError as error:
                raise self.fail(str(error), place) from None
            # Unit conversions are straight lines: two points tell the way back.
            offset = convert(0.0)
            slope = convert(1000.0) / 1000.0 - offset / 1000.0
            return Value(key, 1.0 / slope, -offset / slope)
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


def read_rules(tables: list[tuple[Any, str]], vocabulary: Vocabulary) -> tuple[Rule, ...]:
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


def read_rule_files(places: Iterable[str | FilePath]) -> tuple[tuple[Rule, ...], Vocabulary]:
    """The rules of files and folders, and the words that they share; see `load_rules` for the errors."""
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
    return read_rules(tables, vocabulary), vocabulary
