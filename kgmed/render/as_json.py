"""JSON by the published schema `ontologies/schemas/ranking.schema.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from kgmed.ontology import Edge
from kgmed.record import Finding, Issue
from kgmed.render import view
from kgmed.result import Diagnosis, Evidence, Ranking, RedFlag, Score, log10_odds

__all__ = ["SCHEMA_VERSION", "to_dict", "to_json"]

SCHEMA_VERSION = "1.0"
"""Major.minor: a new major when a field is renamed, removed or changes its meaning."""


def to_json(ranking: Ranking, *, with_text: bool = False, indent: int | None = 2) -> str:
    """Render a ranking as strict JSON with a stable key order.

    Args:
        ranking: The differential; all its diagnoses are written.
        with_text: Also write the note. Without it, no patient text is written.
        indent: Spaces per level; None for one line (JSON lines).
    """
    return json.dumps(to_dict(ranking, with_text=with_text), indent=indent, allow_nan=False)


def to_dict(ranking: Ranking, *, with_text: bool = False) -> dict[str, Any]:
    """The same as plain Python values."""
    record = ranking.case.record
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": f"{view.NOTICE} {view.relative(ranking)}",
        "record": {
            "id": record.id,
            "age_days": record.age_days,
            "onset_days": record.onset_days,
            "sex": record.sex,
            "setting": record.setting,
            "duration_days": record.duration_days,
            **({"text": record.text} if with_text else {}),
        },
        "triage": _triage(ranking),
        "red_flags": [_red_flag(ranking, flag) for flag in ranking.red_flags],
        "together": [
            {
                "diseases": list(pair.diseases),
                "names": list(pair.names),
                "times_likelier": _number(pair.times_likelier),
                "explains": [list(of) for of in pair.explains],
            }
            for pair in ranking.together
        ],
        "considered": ranking.considered,
        "diagnoses": [_diagnosis(ranking, diagnosis) for diagnosis in ranking],
        "scores": [_score(ranking, score) for score in ranking.scores],
        "findings": [_finding(ranking, finding) for finding in ranking.case.findings],
        "set_aside": [
            {"finding": _finding(ranking, finding), "reason": reason}
            for finding, reason in ranking.case.set_aside
        ],
        "issues": [_issue(issue) for issue in ranking.case.issues],
        "missing": list(view.missing(ranking)),
        "provenance": _plain(ranking.provenance),
    }


def _triage(ranking: Ranking) -> dict[str, Any] | None:
    triage = ranking.triage
    if triage is None:
        return None
    return {
        "level": triage.level,
        "reason": triage.reason,
        "diseases": list(triage.diseases),
        "red_flags": [flag.rule for flag in triage.red_flags],
    }


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _finding(ranking: Ranking, finding: Finding) -> dict[str, Any]:
    return {
        "term": finding.term,
        "name": ranking.names(finding.term),
        "excluded": finding.excluded,
        "onset_days": finding.onset_days,
        "span": list(finding.span) if finding.span else None,
        "certainty": float(finding.certainty),
        "severity": finding.severity,
        "context": finding.context,
        "origin": finding.origin,
        "field": finding.field,
    }


def _issue(issue: Issue) -> dict[str, Any]:
    return {name: getattr(issue, name) for name in ("level", "code", "message", "fix", "record_id", "field")}


def _edge(ranking: Ranking, edge: Edge, forward: bool) -> dict[str, Any]:
    return {
        "subject": edge.subject,
        "subject_name": ranking.names(edge.subject),
        "predicate": edge.predicate,
        "object": edge.object,
        "object_name": ranking.names(edge.object),
        "forward": forward,
        "negated": edge.negated,
        "numerator": edge.numerator,
        "denominator": edge.denominator,
        "frequency": _number(edge.frequency),
        "frequency_term": edge.frequency_term,
        "onset": edge.onset,
        "sex": edge.sex,
        "references": list(edge.references),
        "asserted_for": edge.asserted_for,
        "source": edge.source,
        "evidence": edge.evidence,
        "value": _number(edge.value),
        "review": view.CURATED if view.is_curated(edge) else "",
    }


def _evidence(ranking: Ranking, evidence: Evidence) -> dict[str, Any]:
    return {
        "finding": _finding(ranking, evidence.finding) if evidence.finding else None,
        "match": evidence.match,
        "matched_term": evidence.matched_term,
        "matched_name": ranking.names(evidence.matched_term) if evidence.matched_term else "",
        "p_if_disease": _number(evidence.p_if_disease),
        "p_if_not": _number(evidence.p_if_not),
        "log10_lr": _number(evidence.log10_lr),
        "calibrated": evidence.calibrated,
        "scorer": evidence.scorer,
        "path": [_edge(ranking, edge, forward) for edge, forward in evidence.path],
        "note": evidence.note,
    }


def _diagnosis(ranking: Ranking, diagnosis: Diagnosis) -> dict[str, Any]:
    explanation = diagnosis.explanation
    pretest = log10_odds(diagnosis.pretest_probability)
    return {
        "rank": diagnosis.rank,
        "disease": diagnosis.disease,
        "name": diagnosis.name,
        "mappings": list(diagnosis.mappings),
        "pretest_probability": float(diagnosis.pretest_probability),
        "posttest_probability": float(diagnosis.posttest_probability),
        "pretest_log10_odds": _number(pretest),
        "log10_lr": _number(explanation.log10_lr),
        "posttest_log10_odds": _number(pretest + explanation.log10_lr),
        "evidence": [_evidence(ranking, evidence) for evidence in explanation],
        "unexplained": [_finding(ranking, finding) for finding in explanation.unexplained],
        "worth_asking": [
            {
                "term": question.term,
                "name": question.name,
                "information_gain": _number(question.information_gain),
                "p_if_disease": _number(question.p_if_disease),
                "p_overall": _number(question.p_overall),
                "found_by": question.found_by,
                "cost": _number(question.cost),
            }
            for question in explanation.worth_asking
        ],
    }


def _red_flag(ranking: Ranking, flag: RedFlag) -> dict[str, Any]:
    return {
        "rule": flag.rule,
        "name": flag.name,
        "urgency": flag.urgency,
        "action": flag.action,
        "findings": [_finding(ranking, finding) for finding in flag.findings],
        "source": flag.source,
    }


def _score(ranking: Ranking, score: Score) -> dict[str, Any]:
    return {
        "rule": score.rule,
        "name": score.name,
        "value": _number(score.value),
        "at_most": _number(score.at_most),
        "maximum": _number(score.maximum),
        "meaning": score.meaning,
        "items": [
            {
                "name": item.name,
                "points": _number(item.points),
                "met": item.met,
                "findings": [_finding(ranking, finding) for finding in item.findings],
            }
            for item in score.items
        ],
        "missing": list(score.missing),
        "source": score.source,
    }


def _plain(value: Any) -> Any:
    """Provenance holds settings of any kind: keep what JSON has, write the rest as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in value}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)
