"""One clinical rule, as its file says it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kgmed.record import Finding
from kgmed.score.conditions import (
    Condition,
    Facts,
)
from kgmed.score.formula import Formula

__all__ = ["EXCLUSION_LOG10_LR", "URGENCY", "Band", "Item", "Kind", "Range", "Rule", "Urgency", "Value"]

Kind = Literal["red_flag", "score", "criteria", "formula", "implication", "exclusion"]
Urgency = Literal["emergency", "urgent", "soon"]
URGENCY: dict[str, int] = {"emergency": 0, "urgent": 1, "soon": 2}
"""Order of the urgencies, most urgent first."""

# log10 likelihood ratio of an exclusion that names none: a disease of an organ that
# the person does not have. A thousandfold, not infinite: records hold errors.
EXCLUSION_LOG10_LR = -3.0


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
    inputs: tuple[tuple[str, Condition | Value], ...] = ()
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
class Value:
    """An input of a formula that is measured: canonical value times factor; `age` in completed years."""

    key: str
    factor: float = 1.0
    offset: float = 0.0
