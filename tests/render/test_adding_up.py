"""What is shown adds up to the posttest probability, as printed."""

import json
import math
import re
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from kgmed.record import Case, Finding, Record
from kgmed.render import to_json, to_markdown, to_networkx, to_text, view
from kgmed.result import (
    Diagnosis,
    Evidence,
    Explanation,
    Ranking,
    log10_odds,
    posttest_probability,
)

# Names as hostile as a user's file can make them: what looks like a number, a table, a link, HTML.
NAMES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "+9.99   pretest log10 odds",
            "x\n      +9.99   y",
            "a | b | c",
            "| +1.00 | x |",
            "`code` **bold** <b>",
            "\u202eevil\x1b[31m",
            "word " * 30,
            "x" * 300,
        ]
    ),
)


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    diagnoses = []
    findings: list[Finding] = []
    for rank in range(1, draw(st.integers(1, 3)) + 1):
        evidence = []
        for i in range(draw(st.integers(0, 12))):
            finding = Finding(term=f"HP:{i:07d}", field=f"findings[{i}]", excluded=draw(st.booleans()))
            findings.append(finding)
            evidence.append(
                Evidence(
                    finding=draw(st.sampled_from([finding, None])),
                    disease=f"MONDO:{rank}",
                    match=draw(st.sampled_from(["exact", "none", "rule", "learned"])),
                    p_if_disease=draw(st.none() | st.floats(0, 1)),
                    p_if_not=draw(st.none() | st.floats(0, 1)),
                    log10_lr=draw(st.floats(-6, 6)),
                    calibrated=draw(st.booleans()),
                    note=draw(NAMES),
                )
            )
        pretest = draw(st.floats(1e-7, 0.999))
        moved = math.fsum(e.log10_lr for e in evidence if e.calibrated)
        explanation = Explanation(evidence=tuple(evidence))
        diagnoses.append(
            Diagnosis(
                disease=f"MONDO:{rank}",
                name=draw(NAMES),
                rank=rank,
                pretest_probability=pretest,
                posttest_probability=posttest_probability(pretest, moved),
                explain=lambda explanation=explanation: explanation,  # type: ignore[misc]
            )
        )
    names = {f.term: draw(NAMES) for f in findings}
    return Ranking(
        diagnoses=tuple(diagnoses),
        case=Case(record=Record(id=draw(NAMES))),
        names=lambda curie: names.get(curie, curie),
        considered=len(diagnoses),
    )


_TEXT_LINE = re.compile(
    r"^ {4} {0,6}([+-]\d+\.\d\d) {3}\S?|^ {4} {0,6}([+-]\d+\.\d\d) = posttest log10 odds:"
)


def sums_in_text(text: str) -> list[tuple[list[Decimal], Decimal]]:
    """(parts, total) of each diagnosis, read from the printed columns alone."""
    out: list[tuple[list[Decimal], Decimal]] = []
    parts: list[Decimal] = []
    for line in text.splitlines():
        found = _TEXT_LINE.match(line)
        if found and found[2]:
            out.append((parts, Decimal(found[2])))
            parts = []
        elif found:
            parts.append(Decimal(found[1]))
    return out


def sums_in_markdown(text: str) -> list[tuple[list[Decimal], Decimal]]:
    """(parts, total) of each diagnosis, read from the first column of the tables."""
    out: list[tuple[list[Decimal], Decimal]] = []
    parts: list[Decimal] = []
    for line in text.splitlines():
        if found := re.match(r"^\| ([+-]\d+\.\d\d) \|", line):
            parts.append(Decimal(found[1]))
        elif found := re.match(r"^\| \*\*([+-]\d+\.\d\d)\*\* \| \*\*posttest log10 odds\*\*", line):
            out.append((parts, Decimal(found[1])))
            parts = []
    return out


@settings(deadline=None, max_examples=60)
@given(ranking=rankings())
def test_printed_numbers_add_up_exactly_in_text_and_markdown(ranking: Ranking) -> None:
    for sums in (sums_in_text(to_text(ranking)), sums_in_markdown(to_markdown(ranking))):
        assert len(sums) == len(ranking)
        for diagnosis, (parts, total) in zip(ranking, sums, strict=True):
            counted = [e for e in diagnosis.explanation if e.calibrated]
            assert len(parts) == 1 + len(counted)
            assert sum(parts) == total
            true = [log10_odds(diagnosis.pretest_probability), *(e.log10_lr for e in counted)]
            assert all(abs(float(p) - t) < 0.01 + 1e-9 for p, t in zip(parts, true, strict=True))
            assert abs(float(total) - math.fsum(true)) <= 0.005 + 1e-9


@settings(deadline=None, max_examples=60)
@given(ranking=rankings())
def test_json_adds_up_to_the_posttest_probability(ranking: Ranking) -> None:
    for diagnosis in json.loads(to_json(ranking))["diagnoses"]:
        moved = math.fsum(e["log10_lr"] for e in diagnosis["evidence"] if e["calibrated"])
        odds = diagnosis["pretest_log10_odds"] + moved
        assert abs(odds - diagnosis["posttest_log10_odds"]) < 1e-9
        assert abs(moved - diagnosis["log10_lr"]) < 1e-9
        assert (
            abs(
                posttest_probability(diagnosis["pretest_probability"], moved)
                - diagnosis["posttest_probability"]
            )
            < 1e-9
        )


@settings(deadline=None, max_examples=30)
@given(ranking=rankings())
def test_evidence_in_the_networkx_graph_adds_up(ranking: Ranking) -> None:
    graph = to_networkx(ranking)
    for diagnosis in ranking:
        into = [
            data
            for _, _, data in graph.in_edges(diagnosis.disease, data=True)
            if data["kind"] == "evidence" and data["calibrated"]
        ]
        moved = math.fsum(data["log10_lr"] for data in into)
        assert abs(moved - diagnosis.explanation.log10_lr) < 1e-9


@settings(deadline=None, max_examples=60)
@given(ranking=rankings())
def test_text_is_narrow_and_printable(ranking: Ranking) -> None:
    text = to_text(ranking)
    assert all(len(line) <= 100 for line in text.splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@settings(deadline=None, max_examples=60)
@given(ranking=rankings())
def test_names_cannot_break_a_markdown_table(ranking: Ranking) -> None:
    text = to_markdown(ranking, top=3)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths: set[int] = set()
    for line in tables:
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1
        if re.fullmatch(r"\|( --- \|)+", line):
            widths = {cells}
        elif widths and not line.startswith(("| Rank", "| log10 LR", "| Finding |", "| What", "| Level")):
            assert {cells} == widths, line
    assert re.search(r"(?<!\\)<", text) is None


@given(
    pretest=st.floats(1e-9, 1 - 1e-9),
    changes=st.lists(st.tuples(st.floats(-10, 10), st.booleans()), max_size=40),
)
def test_rounding_keeps_every_number_within_a_hundredth(
    pretest: float, changes: list[tuple[float, bool]]
) -> None:
    evidence = tuple(
        Evidence(disease="MONDO:1", match="rule", log10_lr=value, calibrated=calibrated)
        for value, calibrated in changes
    )
    diagnosis = Diagnosis(
        disease="MONDO:1",
        name="",
        rank=1,
        pretest_probability=pretest,
        posttest_probability=0.5,
        explain=lambda: Explanation(evidence=evidence),
    )
    numbers = view.adding_up(diagnosis)
    counted = [v for v, e in zip(numbers.lines, evidence, strict=True) if e.calibrated]
    assert numbers.pretest + sum(counted) == numbers.posttest
    for value, e in zip(numbers.lines, evidence, strict=True):
        assert abs(value / 100 - e.log10_lr) < 0.01 + 1e-9
