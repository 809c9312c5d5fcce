"""Clinical rules: red flags, scores, criteria, formulas, implications, exclusions.

The rules are TOML files that a clinician can read and edit (`ontologies/rules`;
the format is in docs/rules.md). They are read once, indexed by the terms and
measurements that they mention, and told over a `Case`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, Literal

from kgmed.graph import HAS_PHENOTYPE, IS_A, KnowledgeGraph, Path
from kgmed.measure import analyte
from kgmed.record import Case, Finding, Issue, Measurement, Record
from kgmed.resources import ontologies_folder
from kgmed.result import Evidence, RedFlag, Score, ScoreItem
from kgmed.score.conditions import (
    AGE_UNITS,
    AtLeast,
    Condition,
    Facts,
    Known,
    Mentions,
    Vocabulary,
    completed_age,
    measured_finding,
)
from kgmed.score.rule import URGENCY, Band, Rule, Value
from kgmed.score.rule_files import read_rule_files, read_rules

__all__ = ["RuleResult", "RuleSet", "load_rules"]


# With the age unknown an adult is assumed; rows of a table of ranges are picked by this age.
_ADULT_DAYS = 40 * AGE_UNITS["year"]
_ADULT_FROM_YEARS = 18


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
    rules, vocabulary = read_rule_files(places)
    return RuleSet(rules, vocabulary)


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
        added = {rule.id: rule for rule in read_rules([(table, file) for table in tables], vocabulary)}
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
        flags.sort(key=lambda flag: URGENCY[flag.urgency])
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
            for disease, path in self._wholly_below(rule.diseases).items():
                top = path.nodes[-1] if path.nodes else disease
                lines = out.setdefault(disease, [])
                # Two rules that exclude the same branch (by sex and by age) count once.
                if any(line.matched_term == top for line in lines):
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

    def _wholly_below(self, tops: tuple[str, ...]) -> dict[str, Path]:
        """The named diseases and all that belong nowhere else, each with a shortest walk up.

        A disease with a parent outside the branch is not taken: ataxia telangiectasia
        stands below ovarian failure, too, and boys have it.
        """
        walks = {top: Path() for top in tops if top in self.graph}
        frontier = list(walks)
        while frontier:
            following = []
            for parent in frontier:
                for edge in self.graph.edges(predicate=IS_A, object=parent):
                    child = edge.subject
                    if (
                        child not in walks
                        and not edge.negated
                        and walks.keys() >= set(self.graph.parents(child))
                    ):
                        walks[child] = Path(((edge, True), *walks[parent].steps))
                        following.append(child)
            frontier = following
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
                value.key for _, value in rule.inputs if isinstance(value, Value) and value.key != "age"
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
                out |= {value.key for _, value in formula.inputs if isinstance(value, Value)}
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


def _input(value: Condition | Value, facts: Facts) -> tuple[float | None, tuple[Finding, ...]]:
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
