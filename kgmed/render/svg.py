"""Two drawings as inline SVG: the chart of contributions and the reasoning graph.

Both are laid out by arithmetic alone, so the same diagnosis gives the same bytes.
Colours come from CSS variables of the page (`kgmed.render.html`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from kgmed.ontology import Edge
from kgmed.render import view
from kgmed.result import Diagnosis, Ranking

__all__ = ["MAX_LINES", "contributions", "reasoning"]

MAX_LINES = 15
"""Lines and findings drawn for one diagnosis; the rest are added up in one bar and named in the table."""

# Mean width of a character of the page's font, as a share of its size; generous, so labels never run over.
_CHARACTER = 0.56


def _fit(text: str, width: float, size: float) -> str:
    room = max(4, int(width / (size * _CHARACTER)))
    return text if len(text) <= room else text[: room - 1].rstrip() + "\u2026"


def _text(x: float, y: float, text: str, *, css: str = "", anchor: str = "start", full: str = "") -> str:
    hover = f"<title>{escape(full)}</title>" if full and full != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{css}">{hover}{escape(text)}</text>'


def contributions(ranking: Ranking, diagnosis: Diagnosis, identity: str) -> str:
    """A waterfall from pretest to posttest log10 odds, one bar for each counted line.

    Args:
        ranking: Gives the names.
        diagnosis: The diagnosis that is drawn.
        identity: Prefix of the element ids, unique in the page.
    """
    numbers = view.adding_up(diagnosis)
    lines = [
        (view.evidence_name(ranking, e), v)
        for e, v in zip(diagnosis.explanation.evidence, numbers.lines, strict=True)
        if e.calibrated and e.match != "alternatives"
    ]
    if len(lines) > MAX_LINES:
        rest = lines[MAX_LINES - 1 :]
        lines = [
            *lines[: MAX_LINES - 1],
            (f"{view.count(len(rest), 'further line')}", sum(v for _, v in rest)),
        ]
    # What the other diseases take away comes last: it answers to all the findings above it.
    lines += [
        (view.evidence_name(ranking, e), v)
        for e, v in zip(diagnosis.explanation.evidence, numbers.lines, strict=True)
        if e.calibrated and e.match == "alternatives"
    ]
    stops = [numbers.pretest]
    for _, value in lines:
        stops.append(stops[-1] + value)
    low, high = min(0, *stops) / 100, max(0, *stops) / 100
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if (high - low) / s <= 9)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if low == high:
        high += step
    left, right, width, row, top = 340, 70, 960, 26, 34
    height = top + row * (len(lines) + 2) + 34
    bottom = height - 34

    def x(hundredths: float) -> float:
        return left + (hundredths / 100 - low) / (high - low) * (width - left - right)

    summary = (
        f"From {view.signed(numbers.pretest)} before the findings to {view.signed(numbers.posttest)} "
        "after them, in log10 odds; the table below holds every number."
    )
    out = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{identity}-t {identity}-d">',
        f'<title id="{identity}-t">Contributions for {escape(view.clean(diagnosis.name))}</title>',
        f'<desc id="{identity}-d">{escape(summary)}</desc>',
    ]
    for i in range(round((high - low) / step) + 1):
        mark = low + i * step
        at = x(mark * 100)
        css = "zero" if mark == 0 else "grid"
        out.append(f'<line class="{css}" x1="{at:.1f}" x2="{at:.1f}" y1="{top - 8}" y2="{bottom}"/>')
        label = "0 (even odds)" if mark == 0 else f"{mark:+g}"
        out.append(_text(at, top - 14, label, css="tick", anchor="middle"))
    centre = (left + width - right) / 2
    out.append(
        _text(
            centre,
            height - 10,
            "log10 odds: one step to the right is ten times more likely",
            css="tick",
            anchor="middle",
        )
    )

    def bar(index: int, name: str, start: int, end: int, css: str, number: str) -> None:
        y = top + row * index
        x1, x2 = sorted((x(start), x(end)))
        out.append(_text(left - 12, y + 17, _fit(name, left - 20, 13), css="label", anchor="end", full=name))
        out.append(
            f'<rect class="{css}" x="{x1:.1f}" y="{y + 4}" '
            f'width="{max(x2 - x1, 1.5):.1f}" height="{row - 8}" rx="2"/>'
        )
        out.append(_text(x2 + 6, y + 17, number, css="number"))

    def total(index: int, name: str, value: int) -> None:
        y, at = top + row * index, x(value)
        out.append(_text(left - 12, y + 17, name, css="label strong", anchor="end"))
        out.append(f'<circle class="total" cx="{at:.1f}" cy="{y + 13}" r="6"/>')
        out.append(_text(at + 12, y + 17, view.signed(value), css="number strong"))

    total(0, f"Pretest ({view.percent(diagnosis.pretest_probability)})", numbers.pretest)
    for i, (name, value) in enumerate(lines):
        at, y = x(stops[i]), top + row * (i + 1)
        out.append(f'<line class="join" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 9}" y2="{y + row - 4}"/>')
        bar(i + 1, name, stops[i], stops[i + 1], "for" if value >= 0 else "against", view.signed(value))
    at, y = x(numbers.posttest), top + row * (len(lines) + 1)
    out.append(f'<line class="join" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 9}" y2="{y + 8}"/>')
    total(len(lines) + 1, f"Posttest ({view.percent(diagnosis.posttest_probability)})", numbers.posttest)
    return "\n".join([*out, "</svg>"])


@dataclass(slots=True)
class _Node:
    column: int
    curie: str
    name: str
    css: str
    note: str = ""
    y: float = 0.0
    near: list[float] = field(default_factory=list)


def _spread(nodes: Iterable[_Node], gap: float, top: float) -> None:
    """Push nodes of one column apart, keeping their order."""
    at = top
    for node in sorted(nodes, key=lambda n: (n.y, n.curie)):
        node.y = max(node.y, at)
        at = node.y + gap


def reasoning(ranking: Ranking, diagnosis: Diagnosis, identity: str) -> str:
    """The walks from findings (left) over terms (middle) to the disease (right).

    Walks up or down the hierarchy are drawn as one edge, `is_a x3`; arrows point from
    an edge's subject to its object. The strongest `MAX_LINES` findings are drawn.
    """
    weighed = [e for e in diagnosis.explanation if e.finding is not None]
    left_out = max(0, len(weighed) - MAX_LINES)
    weighed = weighed[:MAX_LINES]
    walks = [(e, view.runs(e.path)) for e in weighed]
    columns = max([2, *(len(runs) + 1 for _, runs in walks)])
    box, high, row, top = 196, 44, 62, 16
    gap = 236 if columns == 2 else 176 if columns == 3 else 136
    # The walks come together before the disease: room for the labels first, then for the bend.
    bend = 96
    width = columns * box + (columns - 1) * gap + bend + 8

    def left(column: int) -> int:
        return 4 + column * (box + gap) + (bend if column == columns - 1 else 0)

    nodes: dict[tuple[int, str], _Node] = {}
    edges: dict[tuple[tuple[int, str], tuple[int, str]], tuple[float, list[tuple[Edge, bool]]]] = {}
    for i, (evidence, runs) in enumerate(walks):
        finding = evidence.finding
        assert finding is not None
        css = "unexplained" if not runs else "against" if evidence.log10_lr < 0 else "for"
        start = (0, f"{finding.term} {finding.excluded}")
        note = "no path" if not runs else evidence.match.replace("_", " ")
        node = nodes.setdefault(start, _Node(0, finding.term, view.finding_name(ranking, finding), css, note))
        node.y = top + row * i
        at = start
        for position, (_, end, steps) in enumerate(runs):
            column = columns - len(runs) + position
            here = (column, end)
            if here not in nodes:
                kind = "disease" if column == columns - 1 else "term"
                nodes[here] = _Node(column, end, view.short_name(ranking, end), kind)
            nodes[here].near.append(nodes[start].y)
            weight = max(abs(evidence.log10_lr), abs(edges[at, here][0]) if (at, here) in edges else 0)
            edges[at, here] = (math.copysign(weight, evidence.log10_lr), steps)
            at = here
    disease = (columns - 1, diagnosis.disease)
    nodes.setdefault(disease, _Node(columns - 1, diagnosis.disease, view.clean(diagnosis.name), "disease"))
    middle = top + row * (max(len(walks), 1) - 1) / 2
    for column in range(1, columns):
        members = [n for n in nodes.values() if n.column == column]
        for node in members:
            node.y = sum(node.near) / len(node.near) if node.near and column < columns - 1 else middle
        _spread(members, row, top)
    height = max(n.y for n in nodes.values()) + high + 20
    summary = f"{view.count(len(walks), 'finding')} left, the disease right; the table holds all paths."
    out = [
        f'<svg class="graph" viewBox="0 0 {width} {height:.0f}" role="img" '
        f'aria-labelledby="{identity}-t {identity}-d" style="max-width:{width}px">',
        f'<title id="{identity}-t">Reasoning graph for {escape(view.clean(diagnosis.name))}</title>',
        f'<desc id="{identity}-d">{escape(summary)}</desc>',
        f'<defs><marker id="{identity}-a" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        '<path class="arrow" d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    labels = []
    leaving: dict[tuple[int, str], int] = {}
    for (here, there), (weight, steps) in sorted(edges.items(), key=lambda item: item[0]):
        a, b = nodes[here], nodes[there]
        x1, x2 = left(a.column) + box + 2, left(b.column) - 2
        y1, y2 = a.y + high / 2, b.y + high / 2
        edge, forward = steps[0]
        arrow = "end" if forward else "start"
        thick = min(1.2 + abs(weight) * 1.1, 4.5)
        out.append(
            f'<path class="walk {"against" if weight < 0 else "for"}" stroke-width="{thick:.1f}" '
            f'marker-{arrow}="url(#{identity}-a)" '
            # Level with its row until the bend, so that it passes between the boxes of the middle.
            f'd="M{x1:.1f} {y1:.1f}H{x2 - bend:.1f}'
            f'C{x2 - bend / 3:.1f} {y1:.1f} {x2 - bend * 2 / 3:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"/>'
        )
        head, tail = view.edge_label(ranking, edge)
        if len(steps) > 1:
            head += f" \u00d7{len(steps)}"
        nth = leaving[here] = leaving.get(here, -1) + 1
        y = y1 - 7 - 28 * nth
        hover = "; ".join(view.fact(ranking, e) for e, _ in steps)
        labels.append(_text(x1 + 12, y, _fit(head, gap - 20, 10.5), css="edge", full=hover))
        labels.append(_text(x1 + 12, y + 19, _fit(tail, gap - 20, 9.5), css="edge source", full=hover))
    out += labels
    for node in nodes.values():
        x = left(node.column)
        out.append(
            f'<g class="node {node.css}"><title>{escape(f"{node.name} ({view.clean(node.curie)})")}</title>'
        )
        out.append(f'<rect x="{x}" y="{node.y:.1f}" width="{box}" height="{high}" rx="6"/>')
        out.append(_text(x + 10, node.y + 18, _fit(node.name, box - 20, 15), css="name"))
        below = f"{view.clean(node.curie)}" + (f", {node.note}" if node.note else "")
        out.append(_text(x + 10, node.y + 34, _fit(below, box - 18, 10.5), css="curie") + "</g>")
    out.append("</svg>")
    if left_out:
        out.append(f'<p class="small">{view.count(left_out, "weaker finding")} not drawn; see the table.</p>')
    return "\n".join(out)
