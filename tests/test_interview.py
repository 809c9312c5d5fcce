"""Common diseases, asking on, triage, settings and pairs, over the graph that ships with kgmed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kgmed
from kgmed.engine import Engine
from kgmed.errors import InputError
from kgmed.interview import Interview
from kgmed.record import SETTINGS, Finding, Record
from kgmed.score.asking import gains

HEART_ATTACK = (
    "A 58-year-old man, a heavy smoker, has had crushing central chest pain for two hours. "
    "It radiates to the left arm, and he is sweating and nauseated."
)
COLD = "A 25-year-old woman has had a runny nose, sneezing and a sore throat for two days. No fever."


def first(ranking: kgmed.Ranking) -> set[str]:
    return {d.name.casefold() for d in ranking.top(3)}


def test_common_and_dangerous_diseases_are_found(engine: Engine) -> None:
    assert any("infarction" in name for name in first(engine.diagnose(HEART_ATTACK)))
    assert "common cold" in first(engine.diagnose(COLD))


def test_a_rare_disease_is_found_when_the_findings_demand_it(engine: Engine) -> None:
    text = "A 31-year-old man with ectopia lentis, arachnodactyly and an aortic root aneurysm."
    assert engine.diagnose(text)[0].name == "Marfan syndrome"


@pytest.mark.parametrize(
    "words",
    ["thrown up twice", "can't catch my breath", "tearing pain to the back", "it burns when I pee"],
)
def test_lay_words_arrive(engine: Engine, words: str) -> None:
    case = engine.case(engine.read(f"A 40-year-old man says he has {words}."))
    assert any(not f.excluded for f in case.findings)


def test_the_setting_moves_the_pretest_probability(engine: Engine) -> None:
    record = engine.read({"present": ["HP:0001945", "HP:0012735"], "age": "P30Y"})
    by = {s: engine.diagnose(record, setting=s, top=5000) for s in ("primary", "hospital")}
    pneumonia = next(d for d in by["hospital"] if "pneumonia" in d.name)
    same = next(d for d in by["primary"] if d.disease == pneumonia.disease)
    assert pneumonia.pretest_probability > same.pretest_probability
    with pytest.raises(InputError):
        replace(record, setting="theatre")


@pytest.mark.parametrize("setting", SETTINGS)
def test_pretest_probabilities_add_up_to_one(engine: Engine, setting: str) -> None:
    record = Record(setting=setting, age_days=70 * 365.25, sex="FEMALE")  # type: ignore[arg-type]
    assert np.power(10.0, engine.index.population.log10_pretest(record)).sum() == pytest.approx(1.0, abs=0.02)


def test_an_old_mans_disease_is_unlikely_in_a_girl(engine: Engine) -> None:
    prostate = engine.columns[engine.graph.resolve("ICD10CM:N40") or "MONDO:0010811"]
    girl = engine.index.population.log10_pretest(Record(age_days=8 * 365.25, sex="FEMALE"))
    man = engine.index.population.log10_pretest(Record(age_days=70 * 365.25, sex="MALE"))
    assert girl[prostate] < man[prostate] - 3


def test_triage_follows_danger(engine: Engine) -> None:
    danger = engine.diagnose(HEART_ATTACK).triage
    assert danger is not None and danger.level == "emergency" and danger.reason
    mild = engine.diagnose(COLD).triage
    assert mild is not None and mild.level in ("self-care", "routine")


@pytest.mark.parametrize(
    ("told", "least"),
    [
        # Many diseases, none likely, most of them without a word on urgency: not a case for self-care.
        ("A 34-year-old man with AIDS has had worse sight and black spots in his right eye for 2 days.", 1),
        ("An 80-year-old man had a syncope when he got up at night.", 2),
        ("A 6-year-old girl in respiratory distress.", 3),
    ],
)
def test_what_is_unclear_or_flagged_is_not_sent_home(engine: Engine, told: str, least: int) -> None:
    triage = engine.diagnose(told).triage
    assert triage is not None
    assert ["self-care", "routine", "urgent", "emergency"].index(triage.level) >= least
    assert triage.reason


def test_questions_are_ordered_by_gain_for_their_cost(engine: Engine) -> None:
    questions = engine.ask("A 30-year-old man with chest pain.", 10)
    worth = [q.information_gain / q.cost for q in questions]
    assert len(questions) == 10 and worth == sorted(worth, reverse=True)
    told = engine.ask("A 30-year-old man with chest pain.", 5, methods=("history",))
    assert {q.found_by for q in told} == {"history"}
    assert engine.ask("A 30-year-old man with chest pain.", 1, skip=(told[0].term,))[0].term != told[0].term
    with pytest.raises(InputError, match="unknown method"):
        engine.ask("chest pain", methods=("guessing",))


def test_an_interview_settles_on_the_disease_whose_patient_answers(engine: Engine) -> None:
    target = next(d.disease for d in engine.diagnose(COLD, top=10) if d.name.casefold() == "common cold")
    has = {e.object for e in engine.graph.edges(target, "has_phenotype") if (e.frequency or 0) > 0.5}
    above = has | {a for t in has for a in engine.graph.ancestors(t)}
    talk = Interview(engine, engine.read("A 25-year-old woman with a runny nose."))
    before = next(d for d in engine.diagnose(talk.record, top=20000) if d.disease == target)
    for _ in range(8):
        question = talk.next()
        if question is None:
            break
        talk.answer(question, "yes" if question.term in above else "no")
    after = next(d for d in talk.ranking if d.disease == target)
    assert after.rank <= before.rank and after.rank <= 3


def test_an_interview_needs_something_to_start_from(engine: Engine) -> None:
    with pytest.raises(InputError, match="symptom"):
        Interview(engine, Record())


def test_an_unknown_answer_is_not_asked_again(engine: Engine) -> None:
    talk = Interview(engine, engine.read("A 50-year-old man with abdominal pain."))
    question = talk.next()
    assert question is not None
    talk.answer(question, "unknown")
    following = talk.next()
    assert following is None or following.term != question.term
    with pytest.raises(InputError):
        talk.answer(question, "perhaps")  # type: ignore[arg-type]


def test_two_unlike_diseases_at_once_are_told(engine: Engine) -> None:
    ankle = next(
        t
        for t in engine.graph.terms("finding")
        if t.name == "Gastrocnemius myalgia" or t.name == "Ankle swelling"
    )
    cold = engine.case(engine.read(COLD)).findings
    record = Record(
        findings=(*cold, Finding(term=ankle.curie), Finding(term="HP:0000790"), Finding(term="HP:0012587")),
        age_days=25 * 365.25,
        sex="FEMALE",
    )
    ranking = engine.diagnose(record)
    for pair in ranking.together:
        assert pair.times_likelier > 1.0
        assert not set(pair.explains[0]) & set(pair.explains[1])
    assert engine.diagnose(COLD).together == () or engine.diagnose(COLD).together[0].times_likelier > 1.0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_a_gain_is_never_negative_nor_above_what_is_unknown(
    raw: list[float], questions: int, seed: int
) -> None:
    share = np.asarray(raw) / sum(raw)
    table = np.random.default_rng(seed).random((len(share), questions))
    gain, chance = gains(share, table)
    entropy = -(share * np.log2(share)).sum()
    assert (gain >= 0).all() and (gain <= entropy + 1e-9).all()
    assert ((chance >= 0) & (chance <= 1)).all()


def test_a_harmless_question_gains_nothing() -> None:
    gain, _ = gains(np.array([0.5, 0.5]), np.array([[0.3], [0.3]]))
    assert gain[0] == pytest.approx(0.0)
