"""A self-contained HTML report: one file, no script, nothing fetched."""

from __future__ import annotations

from html import escape

from kgmed.record import Finding
from kgmed.render import svg, view
from kgmed.result import Diagnosis, Ranking

__all__ = ["to_html"]

# Colours keep a contrast of 4.5 on their ground and are told apart without red and green
# (Okabe-Ito blue and vermillion).
_STYLE = """
:root{color-scheme:light dark;--ground:#fff;--card:#f7f8fa;--ink:#1b2230;--soft:#586174;--line:#d9dde5;
--for:#0a6aa6;--against:#c2500a;--term:#6b5ca5;--alarm:#b3261e;--alarm-ground:#fdecea;--warn-ground:#fff6e0}
@media (prefers-color-scheme:dark){:root{--ground:#14181f;--card:#1c222c;--ink:#e6e9ef;--soft:#a3adbd;
--line:#343c4a;
--for:#5db4ea;--against:#f19a55;--term:#b3a5e8;--alarm:#ff8a80;--alarm-ground:#3a1a1a;--warn-ground:#332b14}
}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.55rem;margin:0 0 12px;line-height:1.25}
h2{font-size:1.2rem;margin:36px 0 10px}
h3{font-size:1rem;margin:22px 0 6px}
p{margin:6px 0}
.notice{background:var(--warn-ground);border-left:4px solid #c98a00;padding:10px 14px;border-radius:4px}
.alarm{background:var(--alarm-ground);border-left:4px solid var(--alarm);padding:10px 14px;
border-radius:4px;margin:14px 0}
.alarm h2{margin:0 0 6px;color:var(--alarm)}
.alarm ul{margin:0;padding-left:20px}
a{color:var(--for)}
.small{color:var(--soft);font-size:.86rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;margin:8px 0}
caption{text-align:left;color:var(--soft);padding-bottom:4px}
th,td{text-align:left;vertical-align:top;padding:6px 8px;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.sum td{font-weight:600}
td.path{color:var(--soft);min-width:260px;overflow-wrap:anywhere}
.plus{color:var(--for)}.minus{color:var(--against)}
.curie{color:var(--soft);font-size:.86em}
details.diagnosis{background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:4px 18px 14px;margin:14px 0}
details.diagnosis>summary{cursor:pointer;font-size:1.12rem;font-weight:600;padding:10px 0}
details.diagnosis>summary .p{float:right;font-variant-numeric:tabular-nums}
.bar{display:block;height:8px;min-width:120px;background:var(--line);border-radius:4px;overflow:hidden}
.bar i{display:block;height:100%;background:var(--for)}
svg{width:100%;height:auto;display:block;margin:6px 0}
svg text{fill:var(--ink);font-family:inherit}
svg .grid{stroke:var(--line)}svg .zero{stroke:var(--soft);stroke-dasharray:3 3}
svg .join{stroke:var(--soft);stroke-width:1}
svg .tick{fill:var(--soft);font-size:11px}svg .label{font-size:13px}svg .number{font-size:12px}
svg .strong{font-weight:600}svg rect.for{fill:var(--for)}svg rect.against{fill:var(--against)}svg .total{
fill:var(--ink)}
svg .walk{fill:none;opacity:.75}svg .walk.for{stroke:var(--for)}svg .walk.against{stroke:var(--against);
stroke-dasharray:6 3}
svg .arrow{fill:var(--soft)}
svg .edge{font-size:11px;paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
svg .edge.source{font-size:10px;fill:var(--soft)}
svg .node rect{fill:var(--ground);stroke:var(--soft);stroke-width:1.4}
svg .node.for rect{stroke:var(--for)}svg .node.against rect{stroke:var(--against)}svg .node.term rect{
stroke:var(--term)}
svg .node.unexplained rect{stroke-dasharray:4 3}svg .node.disease rect{stroke:var(--ink);stroke-width:2.2}
svg .name{font-size:12.5px;font-weight:600}svg .curie{font-size:10.5px;fill:var(--soft)}
@media print{html,body{font-size:11px}main{max-width:none;padding:0}details.diagnosis{break-inside:auto;
background:none}
svg,tr{break-inside:avoid}h2,h3,summary{break-after:avoid}
svg{max-height:125mm}table{font-size:9px}th,td{padding:3px 5px}}
""".strip()

# No script, no frame, no form, nothing fetched: only the style above and the style attributes.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def to_html(ranking: Ranking, *, top: int = 10) -> str:
    """Render a ranking as one HTML file with a chart and a drawing for each diagnosis.

    Args:
        ranking: The differential.
        top: How many diagnoses to show; the first three are open.

    Returns:
        A page that loads nothing, runs no script, follows the reader's light or dark
        setting, prints, and holds every drawn number in a table as well.
    """
    shown = ranking.top(top)
    heading = escape(view.title(ranking))
    out = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{heading}</title>",
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{heading}</h1>",
        f'<p class="notice" role="note"><strong>{escape(view.NOTICE)}</strong></p>',
        *([f"<p><strong>{_t(view.triage_line(ranking))}</strong></p>"] if ranking.triage else []),
        *_red_flags(ranking),
        "<h2>Differential</h2>",
    ]
    rows = []
    for d in shown:
        wide = f"{d.posttest_probability * 100:.1f}"
        rows.append(
            f'<tr><td class="n">{d.rank}</td><td><a href="#d{d.rank}-{_key(d)}">{_t(d.name)}</a></td>'
            f'<td>{_t(d.disease)}<br><span class="curie">{_t(view.mappings(d, 4))}</span></td>'
            f'<td class="n">{escape(view.percent(d.pretest_probability))}</td>'
            f'<td class="n"><strong>{escape(view.percent(d.posttest_probability))}</strong></td>'
            f'<td><span class="bar"><i style="width:{wide}%"></i></span></td></tr>'
        )
    if not rows:
        rows.append('<tr><td colspan="6">No disease could be ranked.</td></tr>')
    out += _table(["#Rank", "Disease", "Identifiers", "#Pretest", "#Posttest", "Posttest, 0 to 100%"], rows)
    out.append(f'<p class="small">{escape(view.relative(ranking))}</p>')
    for i, diagnosis in enumerate(shown):
        out += _diagnosis(ranking, diagnosis, i)
    out += [*_scores(ranking), *_rests_on(ranking), "</main></body></html>"]
    return "\n".join(out) + "\n"


def _t(text: str) -> str:
    return escape(view.clean(text))


def _key(diagnosis: Diagnosis) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in diagnosis.disease)


def _table(head: list[str], rows: list[str], caption: str = "") -> list[str]:
    """Rows under a head; `#` before a heading marks a column of numbers."""
    cells = "".join(
        f'<th scope="col" class="n">{escape(h[1:])}</th>'
        if h.startswith("#")
        else f'<th scope="col">{escape(h)}</th>'
        for h in head
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return [
        f'<div class="scroll"><table>{title}<thead><tr>{cells}</tr></thead><tbody>',
        *rows,
        "</tbody></table></div>",
    ]


def _finding(ranking: Ranking, finding: Finding) -> str:
    where = f"{view.clean(finding.term)}; {view.origin(finding)}"
    return f'{escape(view.finding_name(ranking, finding))} <span class="curie">{escape(where)}</span>'


def _red_flags(ranking: Ranking) -> list[str]:
    if not ranking.red_flags:
        return []
    out = [
        f'<section class="alarm" role="alert"><h2>{view.flags_head(ranking.red_flags).capitalize()}</h2><ul>'
    ]
    for flag in ranking.red_flags:
        rests = "; ".join(_finding(ranking, f) for f in flag.findings) or "not stated"
        out.append(
            f"<li><strong>{_t(flag.name)}</strong> ({view.URGENCY[flag.urgency]}). {_t(flag.action)}"
            f'<br><span class="small">Rests on: {rests}. Rule {_t(flag.rule)}, source: '
            f"{_t(flag.source) or 'not stated'}.</span></li>"
        )
    return [*out, "</ul></section>"]


def _diagnosis(ranking: Ranking, diagnosis: Diagnosis, index: int) -> list[str]:
    explanation = diagnosis.explanation
    numbers = view.adding_up(diagnosis)
    odds = (
        f"{view.percent(diagnosis.pretest_probability)} \u2192 {view.percent(diagnosis.posttest_probability)}"
    )
    others = view.mappings(diagnosis, 8)
    out = [
        f'<details class="diagnosis" id="d{diagnosis.rank}-{_key(diagnosis)}"{" open" if index < 3 else ""}>',
        f'<summary>{diagnosis.rank}. {_t(diagnosis.name)} <span class="p">{escape(odds)}</span></summary>',
        f'<p class="small">{_t(diagnosis.disease)}{" = " + escape(others) if others else ""}</p>',
        "<h3>What moves the probability</h3>",
        svg.contributions(ranking, diagnosis, f"c{index}"),
        "<h3>Reasoning graph</h3>",
        f'<div class="scroll">{svg.reasoning(ranking, diagnosis, f"g{index}")}</div>',
        "<h3>Evidence</h3>",
    ]
    rows = [
        f'<tr class="sum"><td class="n">{view.signed(numbers.pretest)}</td>'
        '<td colspan="5">pretest log10 odds</td></tr>'
    ]
    for evidence, value in zip(explanation.evidence, numbers.lines, strict=True):
        name = (
            _finding(ranking, evidence.finding)
            if evidence.finding
            else escape(view.evidence_name(ranking, evidence))
        )
        number = view.signed(value) if evidence.calibrated else f"({view.signed(value)})"
        path = escape(view.path_words(ranking, evidence.path))
        note = _t(evidence.note)
        rows.append(
            f'<tr><td class="n {"minus" if value < 0 else "plus"}">{number}</td><td>{name}</td>'
            f"<td>{escape(view.MATCH_WORDS[evidence.match])}</td>"
            f'<td class="n">{view.chance(evidence.p_if_disease)}</td>'
            f'<td class="n">{view.chance(evidence.p_if_not)}</td>'
            f'<td class="path">{path}{"<br>" if path and note else ""}{note}</td></tr>'
        )
    rows.append(
        f'<tr class="sum"><td class="n">{view.signed(numbers.posttest)}</td>'
        '<td colspan="5">posttest log10 odds</td></tr>'
    )
    head = ["#log10 LR", "Finding", "Match", "#P with", "#P without", "Path and note"]
    out += _table(head, rows, f"Numbers: {view.ROUNDED}. Those in brackets are not counted.")
    if explanation.unexplained:
        out += [
            "<h3>Unexplained</h3><ul>",
            *(f"<li>{_finding(ranking, f)}</li>" for f in explanation.unexplained),
            "</ul>",
        ]
    if explanation.worth_asking:
        out.append("<h3>Worth asking or testing next</h3><ul>")
        out += [f"<li>{escape(view.question_words(q))}</li>" for q in explanation.worth_asking] + ["</ul>"]
    return [*out, "</details>"]


def _scores(ranking: Ranking) -> list[str]:
    if not ranking.scores:
        return []
    rows = [
        f"<tr><td>{_t(s.name)}</td>"
        f'<td class="n">{view.score_points(s)}</td>'
        f'<td class="n">{view.score_words(s.at_most)}</td><td>{escape(view.score_meaning(s))}</td>'
        f"<td>{_t(', '.join(s.missing))}</td><td>{_t(s.source)}</td></tr>"
        for s in ranking.scores
    ]
    head = ["Score", "#Points", "#If all unknown were met", "Meaning", "Missing", "Source"]
    return ["<h2>Clinical scores</h2>", *_table(head, rows)]


def _rests_on(ranking: Ranking) -> list[str]:
    case = ranking.case
    rows = [f"<tr><td>{_finding(ranking, f)}</td><td>used</td></tr>" for f in case.findings]
    rows += [
        f"<tr><td>{_finding(ranking, f)}</td><td>set aside: {_t(reason)}</td></tr>"
        for f, reason in case.set_aside
    ]
    out = ["<h2>What this rests on</h2>", *_table(["Finding", "Use"], rows)]
    if case.issues:
        rows = [
            f"<tr><td>{i.level}</td><td>{_t(i.code)}</td><td>{_t(i.field)}</td>"
            f"<td>{_t(f'{i.message} {i.fix}')}</td></tr>"
            for i in case.issues
        ]
        out += ["<h3>Issues</h3>", *_table(["Level", "Code", "Where", "What, and what to do"], rows)]
    lacking = view.missing(ranking)
    if lacking:
        out += ["<h3>Missing</h3><ul>", *(f"<li>{escape(item)}</li>" for item in lacking), "</ul>"]
    sources = [
        f'<tr><th scope="row">{escape(what)}</th><td class="path">{escape(which)}</td></tr>'
        for what, which in view.provenance_lines(ranking)
    ]
    if sources:
        out += ["<h2>Sources and releases</h2>", *_table(["What", "Which"], sources)]
    return out
