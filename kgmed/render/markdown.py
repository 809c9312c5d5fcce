"""A Markdown report: the same content as the text, in tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kgmed.record import Finding
from kgmed.render import view
from kgmed.result import Diagnosis, Ranking

__all__ = ["escape", "to_markdown"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!&$])")
# A bare address or a mail address would become a link in most renderers.
_LINK = re.compile(r"(?i)(https?|ftp|mailto)(:)|(www)(\.)|(@)")


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no table cell, link, image, heading or HTML can start in it.

    >>> escape("a|b <b>")
    'a\\\\|b \\\\<b\\\\>'
    """
    text = _SPECIAL.sub(r"\\\1", view.clean(text))
    text = _LINK.sub(
        lambda m: "".join(g if g not in (":", ".", "@") else f"&#{ord(g)};" for g in m.groups() if g), text
    )
    return re.sub(r"^(\s*)([-+=]|\d+[.)](?=\s|$))", lambda m: f"{m[1]}&#{ord(m[2][0])};{m[2][1:]}", text)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    out = [f"| {' | '.join(head)} |", f"|{'|'.join(' --- ' for _ in head)}|"]
    return out + [f"| {' | '.join(row)} |" for row in rows]


def _findings(ranking: Ranking, findings: tuple[Finding, ...]) -> str:
    return escape("; ".join(f"{view.finding_name(ranking, f)} ({view.origin(f)})" for f in findings))


def to_markdown(ranking: Ranking, *, top: int = 5) -> str:
    """Render a ranking as Markdown (GitHub tables).

    Args:
        ranking: The differential.
        top: How many diagnoses to show.

    Returns:
        The report. In each diagnosis's table the first row plus the rows that are not
        in brackets gives the last row, exactly as printed.
    """
    out = [f"# {escape(view.title(ranking))}", "", f"> **{view.NOTICE}**", ""]
    if ranking.triage:
        out += [escape(view.triage_line(ranking)), ""]
    if ranking.red_flags:
        out += [f"## {view.flags_head(ranking.red_flags).capitalize()}", ""]
        rows = [
            (
                escape(flag.name),
                view.URGENCY[flag.urgency],
                escape(flag.action),
                _findings(ranking, flag.findings),
                escape(f"{flag.rule}: {flag.source or 'source not stated'}"),
            )
            for flag in ranking.red_flags
        ]
        out += [*_table(("Red flag", "Urgency", "What to do", "Rests on", "Rule"), rows), ""]
    out += [f"{escape(view.together_line(ranking, pair))}\n" for pair in ranking.together]
    shown = ranking.top(top)
    out += ["## Differential", ""]
    summary = [
        (
            str(d.rank),
            escape(d.name),
            escape(d.disease),
            escape(view.mappings(d, 4)),
            escape(view.percent(d.pretest_probability)),
            escape(view.percent(d.posttest_probability)),
        )
        for d in shown
    ]
    out += _table(("Rank", "Disease", "CURIE", "Also", "Pretest", "Posttest"), summary)
    out += ["", escape(view.relative(ranking)), ""]
    for diagnosis in shown:
        out += _diagnosis(ranking, diagnosis)
    if ranking.scores:
        scores = [
            (
                escape(s.name),
                view.score_words(s.value),
                view.score_words(s.at_most),
                view.score_words(s.maximum),
                escape(s.meaning),
                escape(", ".join(s.missing)),
                escape(s.source),
            )
            for s in ranking.scores
        ]
        head = ("Score", "Points", "At most", "Maximum", "Meaning", "Missing", "Source")
        out += ["## Clinical scores", "", *_table(head, scores), ""]
    return "\n".join(out + _rests_on(ranking)).rstrip() + "\n"


def _diagnosis(ranking: Ranking, diagnosis: Diagnosis) -> list[str]:
    explanation = diagnosis.explanation
    numbers = view.adding_up(diagnosis)
    out = [f"### {diagnosis.rank}\\. {escape(diagnosis.name)}", ""]
    rows = [(view.signed(numbers.pretest), "pretest log10 odds", "", "", "", "", "")]
    for evidence, value in zip(explanation.evidence, numbers.lines, strict=True):
        finding = evidence.finding
        rows.append(
            (
                view.signed(value) if evidence.calibrated else f"({view.signed(value)})",
                escape(view.evidence_name(ranking, evidence)),
                escape(f"{finding.term}; {view.origin(finding)}" if finding else ""),
                view.MATCH_WORDS[evidence.match],
                view.chance(evidence.p_if_disease),
                view.chance(evidence.p_if_not),
                escape(". ".join(p for p in (view.path_words(ranking, evidence.path), evidence.note) if p)),
            )
        )
    rows.append((f"**{view.signed(numbers.posttest)}**", "**posttest log10 odds**", "", "", "", "", ""))
    head = ("log10 LR", "Finding", "Origin", "Match", "P with", "P without", "Path and note")
    out += [*_table(head, rows), "", f"Numbers: {view.ROUNDED}. Numbers in brackets are not counted.", ""]
    if explanation.unexplained:
        out += [f"Unexplained: {_findings(ranking, explanation.unexplained)}", ""]
    if explanation.worth_asking:
        out += ["Worth asking or testing next:", ""]
        out += [f"- {escape(view.question_words(q))}" for q in explanation.worth_asking]
        out.append("")
    return out


def _rests_on(ranking: Ranking) -> list[str]:
    case = ranking.case
    used = [
        (escape(view.finding_name(ranking, f)), escape(f.term), escape(view.origin(f)), "yes")
        for f in case.findings
    ]
    used += [
        (
            escape(view.finding_name(ranking, f)),
            escape(f.term),
            escape(view.origin(f)),
            f"set aside: {escape(reason)}",
        )
        for f, reason in case.set_aside
    ]
    out = ["## What this rests on", "", *_table(("Finding", "CURIE", "Origin", "Used"), used), ""]
    if case.issues:
        issues = [
            (i.level, escape(i.code), escape(i.field), escape(i.message), escape(i.fix)) for i in case.issues
        ]
        out += [*_table(("Level", "Issue", "Where", "What", "What to do"), issues), ""]
    lacking = view.missing(ranking)
    if lacking:
        out += ["Missing:", "", *(f"- {escape(item)}" for item in lacking), ""]
    sources = [(escape(what), escape(which)) for what, which in view.provenance_lines(ranking)]
    if sources:
        out += ["## Sources", "", *_table(("What", "Which"), sources), ""]
    return out
