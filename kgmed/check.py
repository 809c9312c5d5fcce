"""`Record` to `Case`: which findings are scored, which are set aside, and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from kgmed.codes import is_public
from kgmed.errors import RecordError
from kgmed.graph import KnowledgeGraph
from kgmed.record import Case, Finding, Issue, KnownDisease, Record

__all__ = ["check"]

# A finding that is no surer than this ("possible", "suspected") is set aside, not scored.
_UNCERTAIN = 0.5
# A search for the nearest terms takes longer than a diagnosis: this many per record.
_MAX_SEARCHES = 5
_WELL_FORMED = re.compile(r"(HP|MONDO):\d{7}")
_NOT_CURRENT = {
    "historical": "historical, not current",
    "family": "said of a family member",
    "hypothetical": "hypothetical",
}
# Facts that rules ask for and no vocabulary has a term for; the rules read them from the record.
_RULE_PREFIX = "ASK:"


def check(record: Record, graph: KnowledgeGraph, *, policy: str = "default") -> Case:
    """Decide which findings of a record can be scored.

    Obsolete and mapped identifiers are replaced by current terms. Set aside, each
    with its reason, are: unknown terms, terms that are no findings, findings that
    are historical, hypothetical, uncertain or of a relative, contradictions
    (both sides), repetitions, and what another finding implies already (a present
    term above a more specific present one; an excluded term below an excluded one).

    Args:
        record: As received; it is not changed, except that diseases given as
            findings are listed among its diseases.
        graph: Whose terms are current.
        policy: `default` and `lenient` report problems as issues; `lenient`
            leaves out the warnings; `strict` raises at the first error.

    Returns:
        The case, with its findings in the order of their terms, so that the order
        in the record changes nothing.

    Raises:
        RecordError: Under `strict`, for the first issue of level `error`.
    """
    issues: list[Issue] = list(record.issues)
    set_aside: list[tuple[Finding, str]] = []
    diseases: list[KnownDisease] = []

    def issue(
        level: Literal["error", "warning"], code: str, finding: Finding, message: str, fix: str
    ) -> None:
        issues.append(
            Issue(level=level, code=code, message=message, fix=fix, record_id=record.id, field=finding.field)
        )

    current: list[Finding] = []
    searches = 0
    for finding in record.findings:
        term = _current_term(finding, graph, issue, search=searches < _MAX_SEARCHES)
        if term is None:
            searches += 1
            if not finding.term.startswith(_RULE_PREFIX):
                set_aside.append((finding, "unknown term"))
            continue
        if term != finding.term:
            finding = replace(finding, term=term)
        kind = graph.term(term).kind
        if kind == "disease":
            diseases.append(
                KnownDisease(
                    term=term,
                    excluded=finding.excluded,
                    context=finding.context,
                    span=finding.span,
                    field=finding.field,
                )
            )
            set_aside.append((finding, "a disease, not a finding: kept among the known diseases"))
        elif kind != "finding":
            set_aside.append((finding, f"{kind} term, not a finding"))
            issue("warning", "not-a-finding", finding, f"{term} is a term of kind {kind}", "give a finding")
        elif finding.context in _NOT_CURRENT and not (
            finding.context == "historical" and term in graph.risk_factors
        ):
            # What somebody had is a risk factor for what they have now.
            set_aside.append((finding, _NOT_CURRENT[finding.context]))
        elif finding.certainty <= _UNCERTAIN:
            set_aside.append((finding, "uncertain"))
        else:
            current.append(finding)

    kept = _merge(current, set_aside)
    kept = _contradictions(kept, graph, set_aside, issue)
    kept = _implied(kept, graph, set_aside)
    if not kept:
        issues.append(
            Issue(
                level="error",
                code="empty-record",
                message="the record holds no finding that can be scored",
                fix="give at least one current finding, by CURIE, by name or in the text",
                record_id=record.id,
                field="findings",
            )
        )
    if policy == "strict" and (error := next((i for i in issues if i.level == "error"), None)):
        raise RecordError(f"{error.message}; {error.fix}", record_id=record.id, field=error.field)
    if policy == "lenient":
        issues = [i for i in issues if i.level == "error"]
    if diseases:
        record = replace(record, diseases=record.diseases + tuple(diseases))
    return Case(
        record=record,
        findings=tuple(sorted(kept, key=lambda f: f.term)),
        set_aside=tuple(sorted(set_aside, key=lambda pair: (pair[0].term, pair[0].field, pair[1]))),
        issues=tuple(issues),
    )


_Report = Callable[[Literal["error", "warning"], str, Finding, str, str], None]


def _current_term(finding: Finding, graph: KnowledgeGraph, issue: _Report, *, search: bool) -> str | None:
    """The current CURIE, or None (reported, with the nearest if `search`) when the graph has none."""
    if finding.term in graph and not graph.term(finding.term).obsolete:
        return finding.term
    if finding.term.startswith(_RULE_PREFIX):
        return None
    term = graph.resolve(finding.term)
    if term is None:
        if finding.term in graph:
            issue(
                "error",
                "obsolete-term",
                finding,
                f"{finding.term} is obsolete and has no one replacement",
                "choose a current term",
            )
        else:
            # The neighbours of a well-formed number mean nothing; those of a misspelling do.
            searched = search and not _WELL_FORMED.fullmatch(finding.term) and len(finding.term) <= 100
            nearest = graph.nearest(finding.term, limit=3) if searched else ()
            hint = (
                f"nearest: {', '.join(nearest)}"
                if nearest
                else "it may be mistyped, or newer than the release that the graph was built from"
            )
            # A CURIE may be named in a message; anything else might be the patient's words.
            name = finding.term if is_public(finding.term) else "the given term"
            issue("error", "unknown-term", finding, f"the graph does not know {name}", hint)
    elif finding.term in graph:
        issue(
            "warning",
            "replaced-term",
            finding,
            f"{finding.term} is obsolete; {term} was used",
            f"write {term}",
        )
    return term


def _merge(findings: list[Finding], set_aside: list[tuple[Finding, str]]) -> list[Finding]:
    """One finding per term and polarity: the surest, then the earliest, then the first in the record."""
    best: dict[tuple[str, bool], Finding] = {}
    for finding in sorted(
        findings,
        key=lambda f: (
            f.term,
            -f.certainty,
            f.onset_days if f.onset_days is not None else float("inf"),
            f.span or (-1, -1),
            f.field,
            f.origin,
        ),
    ):
        key = finding.term, finding.excluded
        if key in best:
            set_aside.append((finding, "repeated"))
        else:
            best[key] = finding
    return list(best.values())


def _contradictions(
    findings: list[Finding], graph: KnowledgeGraph, set_aside: list[tuple[Finding, str]], issue: _Report
) -> list[Finding]:
    """Set aside what is both present and excluded, and what excludes a term above a present one."""
    present = {f.term for f in findings if not f.excluded}
    both = present & {f.term for f in findings if f.excluded}
    above = (
        {a for term in present - both for a in graph.ancestors(term)}
        if any(f.excluded for f in findings)
        else set()
    )
    kept = []
    for finding in findings:
        if finding.term in both:
            set_aside.append((finding, "contradiction: present and excluded"))
            issue(
                "error",
                "contradiction",
                finding,
                f"{finding.term} is both present and excluded",
                "keep the statement that holds now",
            )
        elif finding.excluded and finding.term in above:
            set_aside.append((finding, "contradiction: a more specific finding is present"))
            issue(
                "warning",
                "contradiction",
                finding,
                f"{finding.term} is excluded, but a more specific finding is present",
                "exclude the specific term that was looked for",
            )
        else:
            kept.append(finding)
    return kept


def _implied(
    findings: list[Finding], graph: KnowledgeGraph, set_aside: list[tuple[Finding, str]]
) -> list[Finding]:
    """Set aside what another finding says already."""
    above = {a: f.term for f in findings if not f.excluded for a in graph.ancestors(f.term)}
    excluded = {f.term for f in findings if f.excluded}
    kept = []
    for finding in findings:
        if finding.excluded:
            higher = min(graph.ancestors(finding.term) & excluded, default=None)
            if higher is not None:
                set_aside.append((finding, f"implied by excluded {higher}"))
                continue
        elif finding.term in above:
            set_aside.append((finding, f"implied by {above[finding.term]}"))
            continue
        kept.append(finding)
    return kept
