"""Checks of rules against the graph: what a file can say without error and still be wrong."""

from __future__ import annotations

import math
from typing import Any, Literal

from kgmed.graph import KnowledgeGraph
from kgmed.record import Issue
from kgmed.score.conditions import (
    Counted,
)
from kgmed.score.rule import Rule
from kgmed.score.rules import RuleSet

__all__ = ["check_rules"]


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
