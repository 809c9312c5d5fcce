from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.check import check
from kgmed.errors import RecordError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Mapping, Ontology, Term
from kgmed.record import Case, Finding, KnownDisease, Record

# A -> B -> C, A -> D: four findings, C and D most specific.
IS_A = {"HP:0000002": "HP:0000001", "HP:0000003": "HP:0000002", "HP:0000004": "HP:0000001"}
A, B, C, D = (f"HP:000000{i}" for i in range(1, 5))
OLD, DEAD, ONSET, DISEASE = "HP:0000008", "HP:0000009", "HP:0003577", "MONDO:0000001"
GRAPH = KnowledgeGraph.compile(
    Ontology(
        terms=[
            *(Term(curie=curie, name=f"name of {curie}") for curie in (A, B, C, D)),
            Term(curie=OLD, name="obsolete", obsolete=True, replaced_by=C),
            Term(curie=DEAD, name="obsolete", obsolete=True),
            Term(curie=ONSET, name="Congenital onset", kind="onset"),
            Term(curie=DISEASE, name="disease", kind="disease"),
        ],
        edges=[Edge(subject=s, predicate="is_a", object=o) for s, o in IS_A.items()],
        mappings=[
            Mapping(term=C, other="UMLS:C1"),
            Mapping(term=C, other="UMLS:C2"),
            Mapping(term=D, other="UMLS:C2"),
            Mapping(term=DISEASE, other="OMIM:100000"),
        ],
    )
)


def findings(*signed: str) -> tuple[Finding, ...]:
    """`+X` is present, `-X` excluded."""
    return tuple(
        Finding(term=s[1:], excluded=s[0] == "-", field=f"findings[{i}]") for i, s in enumerate(signed)
    )


def case_of(*signed: str) -> Case:
    return check(Record(id="r", findings=findings(*signed)), GRAPH)


def signed(case: Case) -> set[str]:
    return {("-" if f.excluded else "+") + f.term for f in case.findings}


@pytest.mark.parametrize(
    ("given_", "kept", "reasons", "codes"),
    [
        (["+" + C, "+" + D], ["+" + C, "+" + D], [], []),
        (["+" + A, "+" + C], ["+" + C], [f"implied by {C}"], []),
        (["-" + A, "-" + C], ["-" + A], [f"implied by excluded {A}"], []),
        (["+" + A, "-" + C], ["+" + A, "-" + C], [], []),
        (
            ["+" + C, "-" + A],
            ["+" + C],
            ["contradiction: a more specific finding is present"],
            ["contradiction"],
        ),
        (
            ["+" + C, "-" + C, "+" + D],
            ["+" + D],
            ["contradiction: present and excluded"] * 2,
            ["contradiction"] * 2,
        ),
        (["+" + C, "+" + C], ["+" + C], ["repeated"], []),
        (["+" + OLD], ["+" + C], [], ["replaced-term"]),
        (["+UMLS:C1"], ["+" + C], [], []),
        (["+UMLS:C2", "+" + D], ["+" + D], ["unknown term"], ["unknown-term"]),
        (["+" + DEAD, "+" + D], ["+" + D], ["unknown term"], ["obsolete-term"]),
        (["+HP:7777777", "+" + D], ["+" + D], ["unknown term"], ["unknown-term"]),
        (["+" + ONSET, "+" + D], ["+" + D], ["onset term, not a finding"], ["not-a-finding"]),
        (
            ["+OMIM:100000", "+" + D],
            ["+" + D],
            ["a disease, not a finding: kept among the known diseases"],
            [],
        ),
        ([], [], [], ["empty-record"]),
        (
            ["+" + C, "-" + C],
            [],
            ["contradiction: present and excluded"] * 2,
            ["contradiction"] * 2 + ["empty-record"],
        ),
    ],
)
def test_each_rule(given_: list[str], kept: list[str], reasons: list[str], codes: list[str]) -> None:
    case = case_of(*given_)
    assert signed(case) == set(kept)
    assert [reason for _, reason in case.set_aside] == reasons
    assert [issue.code for issue in case.issues] == codes
    assert all(issue.record_id == "r" for issue in case.issues)


def test_issues_name_field_and_nearest_terms_but_no_words_of_the_patient() -> None:
    issue = case_of("+HP:00000033", "+" + D).issues[0]
    assert issue.field == "findings[0]" and "HP:00000033" in issue.message and C in issue.fix
    for words in ("Mrs Secret", "Mrs:Secret"):
        issue = case_of("+" + words, "+" + D).issues[0]
        assert issue.code == "unknown-term" and "Secret" not in issue.message + issue.fix


def test_what_is_not_about_the_patient_now_is_set_aside() -> None:
    given_ = [
        Finding(term=C, context="family"),
        Finding(term=C, context="historical"),
        Finding(term=C, context="hypothetical", excluded=True),
        Finding(term=C, certainty=0.4),
        Finding(term=D),
    ]
    case = check(Record(findings=tuple(given_)), GRAPH)
    assert signed(case) == {"+" + D}
    assert {reason for _, reason in case.set_aside} == {
        "said of a family member", "historical, not current", "hypothetical", "uncertain",
    }  # fmt: skip
    assert case.issues == ()


def test_a_disease_among_the_findings_is_kept_as_a_disease() -> None:
    record = Record(findings=findings("-OMIM:100000", "+" + D), diseases=(KnownDisease(term="OMIM:1"),))
    case = check(record, GRAPH)
    assert [(d.term, d.excluded) for d in case.record.diseases] == [("OMIM:1", False), (DISEASE, True)]


def test_the_surest_then_earliest_statement_is_kept() -> None:
    same = [
        Finding(term=C, certainty=0.5, onset_days=1),
        Finding(term=C, onset_days=30),
        Finding(term=C, onset_days=3),
    ]
    (kept,) = check(Record(findings=tuple(same)), GRAPH).findings
    assert (kept.certainty, kept.onset_days) == (1, 3)


def test_policies() -> None:
    record = Record(id="r", findings=findings("+" + OLD, "+HP:7777777"))
    assert [i.code for i in check(record, GRAPH, policy="lenient").issues] == ["unknown-term"]
    with pytest.raises(RecordError, match="HP:7777777") as caught:
        check(record, GRAPH, policy="strict")
    assert (caught.value.record_id, caught.value.field) == ("r", "findings[1]")
    assert check(Record(findings=findings("+" + OLD)), GRAPH, policy="strict").present == {C}


RECORDS = st.lists(
    st.builds(
        Finding,
        term=st.sampled_from([A, B, C, D, OLD, DEAD, ONSET, DISEASE, "UMLS:C1", "UMLS:C2"]),
        excluded=st.booleans(),
        certainty=st.sampled_from([0.5, 1.0]),
        onset_days=st.sampled_from([None, 3.0, 30.0]),
        context=st.sampled_from(["current", "current", "current", "family", "historical"]),
        field=st.sampled_from(["x", "y"]),
    ),
    max_size=8,
).map(lambda found: Record(text="x", findings=tuple(found)))


@given(RECORDS)
def test_no_finding_is_lost_and_none_overlaps(record: Record) -> None:
    case = check(record, GRAPH)
    assert len(case.findings) + len(case.set_aside) == len(record.findings)
    assert not case.present & case.excluded
    for finding in case.findings:
        above = GRAPH.ancestors(finding.term)
        assert not above & case.excluded or not finding.excluded
        assert not (above & case.present) or finding.excluded
        if not finding.excluded:
            assert not above & case.excluded


@given(RECORDS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(record: Record, rng: random.Random) -> None:
    shuffled = list(record.findings)
    rng.shuffle(shuffled)
    case, other = check(record, GRAPH), check(replace(record, findings=tuple(shuffled)), GRAPH)
    assert case.findings == other.findings
    assert sorted(map(repr, case.set_aside)) == sorted(map(repr, other.set_aside))
    assert sorted(map(repr, case.issues)) == sorted(map(repr, other.issues))


@given(RECORDS)
def test_checking_twice_changes_nothing(record: Record) -> None:
    case = check(record, GRAPH)
    again = check(Record(text="x", findings=case.findings), GRAPH)
    assert again.findings == case.findings
    assert again.set_aside == ()
    assert {issue.code for issue in again.issues} <= {"empty-record"}


def test_what_is_merely_suspected_is_set_aside() -> None:
    record = Record(findings=(Finding(term=C, certainty=0.5), Finding(term=D, certainty=0.6)))
    case = check(record, GRAPH)
    assert case.present == {D}
    assert [reason for _, reason in case.set_aside] == ["uncertain"]
