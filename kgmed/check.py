"""`Record` to `Case`: which findings are scored, which are set aside, and why.

Nothing is dropped without a word: every finding of the record is in
`Case.findings`, or in `Case.set_aside` with a reason, and whatever is wrong is an
`Issue` with its field.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args
from weakref import WeakKeyDictionary

from kgmed.codes import is_public, tidy_curie
from kgmed.errors import ConfigError, RecordError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import TermKind
from kgmed.record import Case, Finding, Issue, KnownDisease, Record

__all__ = ["Policy", "check"]

Policy = Literal["lenient", "default", "strict"]

# Kinds of term that say something about a patient. `other` holds the user's own terms
# and the few HPO branches (past medical history) beside the abnormalities.
_USABLE: frozenset[TermKind] = frozenset({"finding", "other"})
_SEARCHES = 5  # spelling searches per record: each takes tens of milliseconds


class _Memory:
    """What the checks have already worked out about one graph."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        self._graph = graph
        self._resolved: dict[str, tuple[str, TermKind]] = {}
        self._ancestors: dict[str, frozenset[str]] = {}

    def resolve(self, curie: str) -> tuple[str, TermKind] | None:
        """Current CURIE and kind. Only known terms are kept, so the memory is bounded."""
        known = self._resolved.get(curie)
        if known is None:
            current = self._graph.resolve(curie)
            if current is None:
                tidied = tidy_curie(curie)
                current = self._graph.resolve(tidied) if tidied not in (None, curie) else None  # type: ignore[arg-type]
            if current is None:
                return None
            known = self._resolved[curie] = (current, self._graph.term(current).kind)
        return known

    def ancestors(self, curie: str) -> frozenset[str]:
        known = self._ancestors.get(curie)
        if known is None:
            known = self._ancestors[curie] = self._graph.ancestors(curie)
        return known


_memories: WeakKeyDictionary[KnowledgeGraph, _Memory] = WeakKeyDictionary()


def check(record: Record, graph: KnowledgeGraph, *, policy: Policy = "default") -> Case:
    """Decide which findings of a record are scored.

    In this order: findings that are not about the patient now (family, history,
    hypothetical) are set aside; terms are replaced by the graph's current ones, and
    unknown terms and terms that are not findings set aside; a term both present
    and excluded is set aside on both sides; of a term given twice the surest, then
    earliest, statement is kept; an excluded term above a present one is set aside
    as contradicted; a present term above another present one, and an excluded
    term below another excluded one, are set aside as implied. What is left is
    sorted by term, so the order of the input changes nothing.

    Args:
        record: As read.
        graph: Resolves terms and knows what implies what.
        policy: `strict` raises when there is an issue of level error; `default` and
            `lenient` go on, and `lenient` also leaves the warnings out.

    Returns:
        The case. Where findings were diseases, or stated diseases were findings,
        `Case.record` is a copy of the record in which they have changed places.

    Raises:
        RecordError: Under `strict`, for the first error.
        ConfigError: If the policy is unknown.
    """
    if policy not in get_args(Policy):
        raise ConfigError(f"must be one of {', '.join(get_args(Policy))}", key="policy")
    memory = _memories.get(graph)
    if memory is None:
        memory = _memories[graph] = _Memory(graph)
    checking = _Checking(record, graph, memory)
    case = checking.run()
    errors = [issue for issue in case.issues if issue.level == "error"]
    if policy == "strict" and errors:
        first = errors[0]
        raise RecordError(f"{first.message} {first.fix}".strip(), record_id=record.id, field=first.field)
    return replace(case, issues=tuple(errors)) if policy == "lenient" else case


class _Checking:
    def __init__(self, record: Record, graph: KnowledgeGraph, memory: _Memory) -> None:
        self.record = record
        self.graph = graph
        self.memory = memory
        self.issues: list[Issue] = []
        self.set_aside: list[tuple[Finding, str]] = []
        self.searches_left = _SEARCHES

    def issue(self, level: Literal["error", "warning"], code: str, field: str, message: str, fix: str) -> None:
        self.issues.append(
            Issue(level=level, code=code, message=message, fix=fix, record_id=self.record.id, field=field)
        )

    def run(self) -> Case:
        record = self.record
        kept_diseases, from_diseases = self._diseases()
        to_diseases: list[KnownDisease] = []
        # A canonical order before any choice is made, so that ties fall the same way.
        findings = sorted((*record.findings, *from_diseases), key=_order)
        current = [f for f in (self._current(f, to_diseases) for f in findings) if f is not None]
        scored = self._implied(self._contradicted(self._merged(current)))
        self._measurements()
        if not (record.findings or record.text.strip() or record.measurements or record.diseases):
            self.issue(
                "error", "empty-record", "", "The record holds no finding, text, measurement or disease.",
                "Give at least one finding.",
            )  # fmt: skip
        if to_diseases or from_diseases:
            record = replace(record, diseases=(*kept_diseases, *to_diseases))
        return Case(
            record=record,
            findings=tuple(sorted(scored, key=_order)),
            set_aside=tuple(sorted(self.set_aside, key=lambda pair: (_order(pair[0]), pair[1]))),
            issues=(*record.issues, *self.issues),
        )

    def _diseases(self) -> tuple[list[KnownDisease], list[Finding]]:
        """Stated diseases, and those among them that the graph knows as findings."""
        diseases: list[KnownDisease] = []
        findings: list[Finding] = []
        for disease in self.record.diseases:
            known = self.memory.resolve(disease.term)
            if known is None or known[1] != "finding":
                diseases.append(disease)
                continue
            self.issue(
                "warning", "finding-as-disease", disease.field,
                f"{known[0]} ({self.graph.name(known[0])}) is a finding; it is read as one.",
                "List it with the findings.",
            )  # fmt: skip
            findings.append(
                Finding(
                    term=known[0], excluded=disease.excluded, context=disease.context, span=disease.span,
                    origin="given" if disease.span is None else "text", field=disease.field,
                )
            )  # fmt: skip
        return diseases, findings

    def _current(self, finding: Finding, to_diseases: list[KnownDisease]) -> Finding | None:
        """The finding under its current term, or None when it was set aside."""
        known = self.memory.resolve(finding.term)
        if known is None:
            self._unknown(finding)
            self.set_aside.append((finding, "unknown term"))
            return None
        term, kind = known
        if term != finding.term:
            self.issue(
                "warning", "replaced-term", finding.field,
                f"{_shown(finding.term)} is read as {term} ({self.graph.name(term)}), the graph's current term for it.",
                f"Use {term}.",
            )  # fmt: skip
            finding = replace(finding, term=term)
        if kind == "disease":
            self.issue(
                "warning", "disease-as-finding", finding.field,
                f"{term} ({self.graph.name(term)}) is a disease; it is kept with the stated diseases.",
                "List it with the diseases.",
            )  # fmt: skip
            to_diseases.append(
                KnownDisease(
                    term=term, excluded=finding.excluded, context=finding.context, span=finding.span,
                    field=finding.field,
                )
            )  # fmt: skip
            self.set_aside.append((finding, "a disease, not a finding"))
            return None
        if kind not in _USABLE:
            self.issue(
                "warning", "not-a-finding", finding.field,
                f"{term} ({self.graph.name(term)}) is a term of kind {kind}, not a finding; it is set aside.",
                "Give it in the field that is meant for it.",
            )  # fmt: skip
            self.set_aside.append((finding, f"not a finding ({kind})"))
            return None
        if finding.context != "current":
            reason = {"family": "about a relative", "historical": "in the past"}.get(finding.context, "hypothetical")
            self.set_aside.append((finding, f"{reason}, not about the patient now"))
            return None
        return finding

    def _unknown(self, finding: Finding) -> None:
        fix = "Use a term of the loaded ontologies."
        node = finding.term in self.graph
        if node:
            message = f"{_shown(finding.term)} is obsolete, and no term replaces it; the finding is set aside."
        elif len(self.graph.mapped(finding.term)) > 1:
            others = ", ".join(sorted(self.graph.mapped(finding.term))[:5])
            message = f"{_shown(finding.term)} means several terms of the graph; the finding is set aside."
            fix = f"Choose one: {others}."
        else:
            message = f"The graph holds no term for {_shown(finding.term)}; the finding is set aside."
        if fix.startswith("Use") and self.searches_left and len(finding.term) <= 100:
            self.searches_left -= 1
            # An obsolete term has a name worth searching for; an unknown one only its spelling.
            name = self.graph.name(finding.term).removeprefix("obsolete ") if node else finding.term
            nearest = [c for c in self.graph.nearest(name, limit=4) if c != finding.term][:3]
            if nearest:
                fix = "Nearest: " + ", ".join(f"{c} ({self.graph.name(c)})" for c in nearest) + "."
        self.issue("error", "unknown-term", finding.field, message, fix)

    def _merged(self, findings: list[Finding]) -> list[Finding]:
        """One statement per term; none of a term that is both present and excluded."""
        by_term: dict[str, list[Finding]] = {}
        for finding in findings:
            by_term.setdefault(finding.term, []).append(finding)
        kept = []
        for term, same in by_term.items():
            if len(same) == 1:
                kept.append(same[0])
                continue
            if any(f.excluded for f in same) and not all(f.excluded for f in same):
                fields = ", ".join(sorted({f.field for f in same if f.field}))
                self.issue(
                    "error", "contradiction", fields,
                    f"{term} ({self.graph.name(term)}) is both present and excluded; both are set aside.",
                    "Keep the one that is right.",
                )  # fmt: skip
                self.set_aside += [(f, "contradicted: both present and excluded") for f in same]
                continue
            best, *rest = sorted(same, key=_strength)
            kept.append(best)
            self.set_aside += [(f, f"given twice: {term}") for f in rest]
        return kept

    def _contradicted(self, findings: list[Finding]) -> list[Finding]:
        """Without excluded terms that a more specific present term refutes."""
        above: dict[str, str] = {}
        for finding in findings:
            if not finding.excluded:
                for term in self.memory.ancestors(finding.term):
                    if term not in above or finding.term < above[term]:
                        above[term] = finding.term
        kept = []
        for finding in findings:
            present = above.get(finding.term) if finding.excluded else None
            if present is None:
                kept.append(finding)
                continue
            self.issue(
                "error", "contradiction", finding.field,
                f"{finding.term} ({self.graph.name(finding.term)}) is excluded, but {present} "
                f"({self.graph.name(present)}), which is a kind of it, is present; the excluded one is set aside.",
                "Exclude only what is absent altogether.",
            )  # fmt: skip
            self.set_aside.append((finding, f"contradicted by {present}"))
        return kept

    def _implied(self, findings: list[Finding]) -> list[Finding]:
        """Without what another finding already says."""
        present = [f.term for f in findings if not f.excluded]
        excluded = {f.term for f in findings if f.excluded}
        # A present term implies all terms above it; an excluded one all terms below it.
        implied_by: dict[str, str] = {}
        for term in present:
            for ancestor in self.memory.ancestors(term):
                if ancestor not in implied_by or term < implied_by[ancestor]:
                    implied_by[ancestor] = term
        kept = []
        for finding in findings:
            if finding.excluded:
                by = min(excluded & self.memory.ancestors(finding.term), default=None)
            else:
                by = implied_by.get(finding.term)
            if by is None:
                kept.append(finding)
            else:
                self.set_aside.append((finding, f"implied by {by}"))
        return kept

    def _measurements(self) -> None:
        for measurement in self.record.measurements:
            low, high = measurement.low, measurement.high
            if low is not None and high is not None and low > high:
                self.issue(
                    "warning", "bad-range", measurement.field,
                    "The lower limit of the reference range is above the upper one.",
                    "Give the limits in the unit of the value.",
                )  # fmt: skip


def _order(finding: Finding) -> tuple[object, ...]:
    """A total order that does not depend on where in the record a finding stood first."""
    return (finding.term, finding.excluded, *_strength(finding))


def _strength(finding: Finding) -> tuple[object, ...]:
    """Surest first, then earliest onset, then whatever else tells two statements apart."""
    onset = finding.onset_days if finding.onset_days is not None else float("inf")
    return (
        -finding.certainty, onset, finding.origin, finding.context, finding.span or (-1, -1),
        finding.severity or "", finding.field,
    )  # fmt: skip


def _shown(curie: str) -> str:
    return curie if is_public(curie) else "an identifier of no public vocabulary"
