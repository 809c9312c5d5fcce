"""Plain text for a terminal, within 100 columns."""

from __future__ import annotations

import textwrap

from kgmed.render import view
from kgmed.result import Diagnosis, Ranking

__all__ = ["WIDTH", "to_text"]

WIDTH = 100


def _wrap(text: str, indent: int, hang: int | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2 if hang is None else hang),
        break_on_hyphens=False,
    )


def to_text(ranking: Ranking, *, top: int = 5) -> str:
    """Render a ranking for a terminal.

    Args:
        ranking: The differential.
        top: How many diagnoses to show.

    Returns:
        Lines of at most 100 columns. In each diagnosis the signed numbers are log10
        odds in hundredths: pretest plus the lines gives posttest, exactly as printed.
        Lines in brackets are not counted.
    """
    out = [*_wrap(view.title(ranking), 0, 2), *_wrap(view.NOTICE, 0, 0), ""]
    if ranking.triage:
        out += [*_wrap(view.triage_line(ranking), 0, 2), ""]
    if ranking.red_flags:
        out.append(view.flags_head(ranking.red_flags))
        for flag in ranking.red_flags:
            out += _wrap(f"! {view.clean(flag.name)} ({view.URGENCY[flag.urgency]})", 2)
            out += _wrap(view.clean(flag.action), 4, 4)
            rests = "; ".join(f"{view.finding_name(ranking, f)} ({view.origin(f)})" for f in flag.findings)
            out += _wrap(f"rests on: {rests}", 4) if rests else []
            out += _wrap(
                f"rule {view.clean(flag.rule)}, source: {view.clean(flag.source) or 'not stated'}", 4
            )
        out.append("")
    for diagnosis in ranking.top(top):
        out += _diagnosis(ranking, diagnosis)
        out.append("")
    for pair in ranking.together:
        out += _wrap(view.together_line(ranking, pair), 0, 2)
    if ranking.together:
        out.append("")
    if not ranking.diagnoses:
        out += ["No disease could be ranked.", ""]
    out += _wrap(view.relative(ranking), 0, 0)
    out += _wrap(f"Numbers before each line: {view.ROUNDED}. Lines in brackets are not counted.", 0, 0)
    out.append("")
    out += _scores(ranking)
    out += _rests_on(ranking)
    return "\n".join(out).rstrip() + "\n"


def _diagnosis(ranking: Ranking, diagnosis: Diagnosis) -> list[str]:
    explanation = diagnosis.explanation
    numbers = view.adding_up(diagnosis)
    change = (
        f"{view.percent(diagnosis.pretest_probability)} -> {view.percent(diagnosis.posttest_probability)}"
    )
    head = f"{diagnosis.rank:>2}. {view.clean(diagnosis.name)}"
    if len(head) + len(change) + 2 <= WIDTH:
        out = [f"{head}{change:>{WIDTH - len(head)}}"]
    else:
        out = [*_wrap(head, 0, 4), f"{change:>{WIDTH}}"]
    others = view.mappings(diagnosis, 4)
    out += _wrap(view.clean(diagnosis.disease) + (f" = {others}" if others else ""), 4)
    out.append(f"    {view.signed(numbers.pretest):>7}   pretest log10 odds")
    for evidence, value in zip(explanation.evidence, numbers.lines, strict=True):
        number = view.signed(value)
        shown = f"{number:>7} " if evidence.calibrated else f"{f'({number})':>8}"
        words = view.evidence_name(ranking, evidence)
        if evidence.finding is not None:
            words += f" [{view.clean(evidence.finding.term)}; {view.origin(evidence.finding)}]"
            words += f"  {view.MATCH_WORDS[evidence.match]}"
            if evidence.match == "related" and evidence.matched_term:
                words += f" to {view.short_name(ranking, evidence.matched_term)}"
        if evidence.p_if_disease is not None and evidence.p_if_not is not None:
            words += (
                f"  P {view.chance(evidence.p_if_disease)} with, {view.chance(evidence.p_if_not)} without"
            )
        first, *rest = _wrap(words, 14, 14) or [""]
        out += [f"    {shown}  {first[14:]}", *rest]
        path = view.path_words(ranking, evidence.path, joined=True)
        out += _wrap(path, 16, 18) if path else []
        if evidence.note:
            by = "" if evidence.scorer == "likelihood" else f" ({view.clean(evidence.scorer)})"
            out += _wrap(view.clean(evidence.note) + by, 16, 18)
    total = numbers.posttest - numbers.pretest
    out.append(
        f"    {view.signed(numbers.posttest):>7} = posttest log10 odds: "
        f"pretest {view.signed(numbers.pretest)}, evidence {view.signed(total)}"
    )
    if explanation.unexplained:
        names = "; ".join(
            f"{view.finding_name(ranking, f)} ({view.origin(f)})" for f in explanation.unexplained
        )
        out += _wrap(f"Unexplained: {names}", 4, 6)
    if explanation.worth_asking:
        out.append("    Worth asking or testing next:")
        for question in explanation.worth_asking:
            out += _wrap(view.question_words(question), 6, 8)
    return out


def _scores(ranking: Ranking) -> list[str]:
    out = ["Clinical scores"] if ranking.scores else []
    for score in ranking.scores:
        words = f"{view.clean(score.name)}: {view.score_points(score)}"
        if score.at_most != score.value:
            words += f" (up to {view.score_words(score.at_most)} if what is unknown were met)"
        meaning = view.score_meaning(score)
        words += f"; {meaning}" if meaning else ""
        out += _wrap(f"{words} [{view.clean(score.source)}]" if score.source else words, 2)
    return [*out, ""] if out else []


def _rests_on(ranking: Ranking) -> list[str]:
    case = ranking.case
    out = ["What this rests on"]
    used = "; ".join(
        f"{view.finding_name(ranking, f)} [{view.clean(f.term)}; {view.origin(f)}]" for f in case.findings
    )
    out += _wrap(f"Findings used ({len(case.findings)}): {used or 'none'}", 2, 4)
    for finding, reason in case.set_aside:
        words = (
            f"Set aside: {view.finding_name(ranking, finding)} ({view.origin(finding)}): {view.clean(reason)}"
        )
        out += _wrap(words, 2, 4)
    for issue in case.issues:
        where = f" at {view.clean(issue.field)}" if issue.field else ""
        words = f"{issue.level.capitalize()} {view.clean(issue.code)}{where}: {view.clean(issue.message)}"
        out += _wrap(f"{words} {view.clean(issue.fix)}".rstrip(), 2, 4)
    lacking = view.missing(ranking)
    out += _wrap(f"Missing: {'; '.join(lacking)}", 2, 4) if lacking else []
    for what, which in view.provenance_lines(ranking):
        out += _wrap(f"Source: {what}: {which}", 2, 4)
    return out
