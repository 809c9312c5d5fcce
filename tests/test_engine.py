"""Whole diagnoses over the graph that ships with kgmed."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kgmed
from kgmed.config import EngineConfig, LikelihoodConfig
from kgmed.engine import load_engine
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Ontology, Synonym, Term
from kgmed.record import Finding, Record
from kgmed.result import Failure, Ranking, log10_odds
from kgmed.score.profile import Profile

MARFAN = {
    "id": "m1",
    "present": ["HP:0001083", "HP:0002616", "HP:0001166"],
    "excluded": ["HP:0001250"],
    "sex": "MALE",
    "age": "P30Y",
}
# Common findings of several organs: random records are made from these.
TERMS = [
    "HP:0001250",
    "HP:0001083",
    "HP:0002616",
    "HP:0001166",
    "HP:0000252",
    "HP:0001263",
    "HP:0001252",
    "HP:0000365",
    "HP:0001629",
    "HP:0000508",
    "HP:0001903",
    "HP:0001873",
    "HP:0002240",
    "HP:0000093",
    "HP:0000077",
    "HP:0001382",
    "HP:0000407",
    "HP:0011968",
]


@st.composite
def records(draw):
    terms = draw(st.lists(st.sampled_from(TERMS), min_size=1, max_size=8, unique=True))
    excluded = draw(st.lists(st.booleans(), min_size=len(terms), max_size=len(terms)))
    return Record(
        id="random",
        findings=tuple(Finding(term=t, excluded=x) for t, x in zip(terms, excluded, strict=True)),
        sex=draw(st.sampled_from(["FEMALE", "MALE", "OTHER", "UNKNOWN"])),
        age_days=draw(st.none() | st.floats(0, 30000)),
        onset_days=draw(st.none() | st.floats(0, 30000)),
    )


def test_a_known_patient_is_recognised():
    ranking = kgmed.diagnose(MARFAN)
    assert ranking[0].name == "Marfan syndrome"
    assert "OMIM:154700" in ranking[0].mappings
    assert ranking.get("OMIM:154700") is ranking[0]
    assert ranking.considered > 10_000


def test_the_reasons_are_those_of_the_annotations(graph):
    explanation = kgmed.diagnose(MARFAN)[0].explanation
    arachnodactyly = next(e for e in explanation if e.finding and e.finding.term == "HP:0001166")
    assert arachnodactyly.match == "exact"
    assert arachnodactyly.matched_term == "HP:0001166"
    (edge, forward) = arachnodactyly.path.steps[-1]
    assert (edge.subject, edge.predicate, forward) == ("MONDO:0007947", "has_phenotype", False)
    assert edge in list(graph.edges("MONDO:0007947", "has_phenotype", "HP:0001166"))
    assert arachnodactyly.p_if_disease > 0.5 > 0.05 > arachnodactyly.p_if_not


def test_worth_asking_is_neither_known_nor_implied(graph):
    ranking = kgmed.diagnose(MARFAN)
    known = set(MARFAN["present"]) | set(MARFAN["excluded"])
    known |= {a for t in MARFAN["present"] for a in graph.ancestors(t)}
    questions = ranking[0].explanation.worth_asking
    assert questions
    assert not {q.term for q in questions} & known
    assert all(0 <= q.p_overall <= 1 and q.information_gain >= 0 for q in questions)
    gains = [q.information_gain for q in questions]
    assert gains == sorted(gains, reverse=True)


@settings(max_examples=25, deadline=None)
@given(record=records())
def test_what_is_shown_adds_up(engine, record):
    ranking = engine.diagnose(record, top=4)
    for diagnosis in ranking:
        total = log10_odds(diagnosis.pretest_probability) + diagnosis.explanation.log10_lr
        assert total == pytest.approx(log10_odds(diagnosis.posttest_probability), abs=1e-9)
        for evidence in diagnosis.explanation:
            if evidence.p_if_disease is not None and evidence.p_if_not is not None:
                ratio = math.log10(evidence.p_if_disease / evidence.p_if_not)
                assert evidence.log10_lr == pytest.approx(ratio, abs=1e-9)
            nodes = evidence.path.nodes
            if nodes and evidence.finding is not None:
                assert nodes[0] == evidence.finding.term
            if nodes:
                assert nodes[-1] == diagnosis.disease
                assert all(
                    edge in list(engine.graph.edges(edge.subject, edge.predicate, edge.object))
                    for edge, _ in evidence.path
                )
            if evidence.matched_term and evidence.finding is not None:
                assert evidence.matched_term in nodes
    odds = [d.posttest_probability for d in ranking]
    assert odds == sorted(odds, reverse=True)
    assert sum(d.posttest_probability for d in ranking) <= 1 + 1e-6


@settings(max_examples=25, deadline=None)
@given(record=records(), seed=st.integers(0, 1000))
def test_the_order_of_findings_changes_nothing(engine, record, seed):
    shuffled = list(record.findings)
    random.Random(seed).shuffle(shuffled)
    other = Record(
        id=record.id,
        findings=tuple(shuffled),
        sex=record.sex,
        age_days=record.age_days,
        onset_days=record.onset_days,
    )
    assert engine.diagnose(record).to_json() == engine.diagnose(other).to_json()


@settings(max_examples=25, deadline=None)
@given(record=records())
def test_an_exclusion_never_speaks_for_a_disease(engine, record):
    for diagnosis in engine.diagnose(record, top=3):
        for evidence in diagnosis.explanation:
            if evidence.finding is not None and evidence.finding.excluded:
                assert evidence.log10_lr <= 1e-12


def test_the_index_and_the_reasons_give_the_same_numbers(engine):
    index = engine.index
    chance = random.Random(7)
    for column in chance.sample(range(len(index)), 25):
        profile = Profile(index, engine.graph.curie(int(index.diseases[column])))
        rows = [*list(profile.frequency)[:15], *list(profile.negative)[:5]]
        rows += chance.sample(range(len(index.terms)), 15)
        for row in rows:
            term = engine.graph.curie(int(index.terms[row]))
            for excluded, lookup in ((False, index.present_row), (True, index.excluded_row)):
                columns, values = lookup(row)
                found = dict(zip(columns.tolist(), values.tolist(), strict=True)).get(column, 0.0)
                finding = Finding(term=term, excluded=excluded)
                evidence = profile.excluded(finding) if excluded else profile.present(finding)
                assert evidence.log10_lr == pytest.approx(found, abs=1e-4)


NOTE = "A 30-year-old man has had a cough and a fever for two days. He has no chest pain."


def test_what_a_note_leaves_out_is_a_line_of_its_own(engine):
    case = engine.case(engine.read(NOTE))
    sums = engine.index.left_out(case)
    assert sums is not None and (sums <= 0.0).all()
    for disease in ("MONDO:0005812", engine.graph.resolve("OMIM:154700")):  # influenza, Marfan syndrome
        line = Profile(engine.index, disease).left_out(case)
        assert line.match == "left_out"
        assert line.log10_lr == pytest.approx(float(sums[engine.columns[disease]]))
    influenza = Profile(engine.index, "MONDO:0005812").left_out(case)
    assert "the note says nothing of" in influenza.note
    assert not any(name in influenza.note for name in ("Cough", "Fever"))


def test_a_record_of_chosen_findings_leaves_nothing_out(engine):
    case = engine.case(Record(findings=(Finding(term="HP:0012735"), Finding(term="HP:0001945"))))
    assert engine.index.left_out(case) is None


def test_what_is_told_is_not_left_out(engine):
    # An excluded finding is told of as well as a present one, and with it what lies above.
    less = engine.index.left_out(engine.case(engine.read("He has a cough and a fever.")))
    told = engine.case(engine.read("He has a cough and a fever. No headache."))
    share = engine.index.told_share(told)
    influenza = engine.columns["MONDO:0005812"]
    assert engine.index.left_out(told)[influenza] / share > less[influenza] / (2 / 7)


def test_a_finding_that_fits_raises_the_disease(engine):
    without = engine.rank_of(Record(findings=(Finding(term="HP:0001083"),)), "OMIM:154700")
    with_it = engine.rank_of(
        Record(findings=(Finding(term="HP:0001083"), Finding(term="HP:0002616"))), "OMIM:154700"
    )
    assert with_it.posttest > without.posttest


def test_sex_and_age_of_onset_count(engine):
    duchenne = "OMIM:310200"
    findings = (Finding(term="HP:0003325"), Finding(term="HP:0003236"))
    boy = engine.rank_of(Record(findings=findings, sex="MALE"), duchenne)
    girl = engine.rank_of(Record(findings=findings, sex="FEMALE"), duchenne)
    assert boy.posttest > girl.posttest
    ages = {}
    for onset in (0.0, 50 * 365.25):  # familial Parkinson disease begins in adult life
        record = Record(findings=(Finding(term="HP:0001300"),), onset_days=onset)
        profile = Profile(engine.index, engine.graph.resolve("OMIM:168600"))
        evidence = profile.age(engine.case(record))
        assert evidence.match == "age"
        ages[onset] = evidence.log10_lr
    assert ages[0.0] < 0 < ages[50 * 365.25]


def test_leaving_a_publication_out_takes_its_annotations_away(engine):
    disease = engine.graph.resolve("OMIM:309000")  # Lowe syndrome
    edges = list(engine.graph.edges(disease, "has_phenotype"))
    references = {r for e in edges for r in e.references}
    record = Record(findings=tuple(Finding(term=e.object) for e in edges[:6]))
    whole = engine.rank_of(record, disease)
    nothing = engine.rank_of(record, disease, without_references=references)
    assert whole.rank == 1
    assert nothing.rank == len(engine.index)
    assert nothing.posttest == 0.0


def test_a_card_stays_when_publications_are_left_out(engine):
    disease = engine.graph.resolve("OMIM:154700")
    references = {r for e in engine.graph.edges(disease, "has_phenotype") for r in e.references}
    record = Record(findings=tuple(Finding(term=t) for t in MARFAN["present"]))
    card_alone = engine.rank_of(record, disease, without_references=references)
    assert card_alone.rank == 1


def test_an_empty_record_gives_no_guess(engine):
    ranking = engine.diagnose({"id": "e1"})
    assert len(ranking) == 0
    assert [i.code for i in ranking.case.issues] == ["empty-record"]


def test_ties_share_a_rank_and_keep_the_order_of_their_identifiers():
    terms = [
        Term(curie="ex:f", name="f"),
        *(Term(curie=f"ex:D{i}", name=f"d{i}", kind="disease") for i in (2, 1)),
    ]
    edges = [Edge(subject=f"ex:D{i}", predicate="has_phenotype", object="ex:f") for i in (1, 2)]
    graph = KnowledgeGraph.compile(Ontology(terms=sorted(terms, key=lambda t: t.curie), edges=edges))
    ranking = kgmed.Engine(graph).diagnose({"present": ["ex:f"]})
    assert [(d.disease, d.rank) for d in ranking] == [("ex:D1", 1), ("ex:D2", 1)]


def test_an_ontology_of_ones_own_is_diagnosed_with(engine):
    ontology = Ontology(
        terms=[
            Term(curie="ward:D1", name="greenhouse fever", kind="disease"),
            Term(curie="ward:F1", name="green sweat", kind="finding"),
        ],
        synonyms=[Synonym(term="ward:F1", text="verdant perspiration")],
        edges=[
            Edge(subject="ward:D1", predicate="has_phenotype", object="ward:F1", numerator=9, denominator=10),
            Edge(subject="ward:F1", predicate="is_a", object="HP:0000975"),
        ],
    )
    mine = engine.with_ontology(ontology)
    assert mine.diagnose({"present": ["ward:F1"]})[0].disease == "ward:D1"
    assert mine.diagnose("A man of 40 with verdant perspiration.")[0].disease == "ward:D1"
    assert "ward:D1" not in engine.graph


def test_a_note_is_read_and_each_finding_keeps_its_place(engine):
    note = "A 30-year-old man with ectopia lentis, arachnodactyly and aortic root aneurysm. No seizures."
    ranking = engine.diagnose(note)
    assert ranking[0].name == "Marfan syndrome"
    spans = {f.term: note[slice(*f.span)].lower() for f in ranking.case.findings}
    assert spans["HP:0001083"] == "ectopia lentis"
    assert "HP:0001250" in ranking.case.excluded
    assert ranking.case.record.sex == "MALE"


def test_values_become_findings(engine):
    ranking = engine.diagnose(
        {
            "sex": "FEMALE",
            "age": "P40Y",
            "measurements": [{"code": "LOINC:718-7", "value": 7.1, "unit": "g/dL"}],
        }
    )
    finding = next(f for f in ranking.case.findings if f.term == "HP:0001903")
    assert finding.origin == "measurement"
    assert not finding.excluded


def test_the_note_is_not_in_the_json_unless_asked_for(engine):
    note = "Zebediah has arachnodactyly."
    ranking = engine.diagnose(note)
    assert "Zebediah" not in ranking.to_json()
    assert "Zebediah" in ranking.to_json(with_text=True)
    json.loads(ranking.to_json())


def test_a_batch_keeps_order_and_survives_a_bad_record(engine):
    batch = [MARFAN, {"id": "bad", "sex": "MALE", "age": "twelve"}, "{not json", {**MARFAN, "id": "m2"}]
    results = list(engine.diagnose_many(batch, workers=1, top=3))
    assert isinstance(results[0], Ranking)
    assert isinstance(results[3], Ranking)
    assert results[3].case.record.id == "m2"
    assert len(results) == 4


def test_a_long_batch_uses_processes_and_gives_the_same(engine):
    batch = [{**MARFAN, "id": f"r{i}", "present": MARFAN["present"][: 1 + i % 3]} for i in range(90)]
    one = [r.to_json() for r in engine.diagnose_many(batch, workers=1, top=2)]
    two = [r.to_json() for r in engine.diagnose_many(iter(batch), workers=2, top=2)]
    assert one == two


def test_a_batch_reads_its_input_as_it_goes(engine):
    taken = []

    def source():
        for i in range(10_000):
            taken.append(i)
            yield {**MARFAN, "id": str(i)}

    results = engine.diagnose_many(source(), workers=1, top=1)
    for _ in range(5):
        assert not isinstance(next(results), Failure)
    assert len(taken) < 100


def test_settings_are_checked(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_text("[likelihood]\ncorrelation = 0.0\n", encoding="utf-8")
    assert load_engine(path).config.likelihood.correlation == 0.0
    for text, key in (
        ("speed = 3", "speed"),
        ("[likelihood]\ncorelation = 0.1", "likelihood.corelation"),
        ("[likelihood]\ncorrelation = 2.0", "likelihood.correlation"),
        ('policy = "careless"', "policy"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(kgmed.ConfigError, match=key):
            load_engine(path)


def test_strict_policy_stops_at_an_unknown_term(graph):
    strict = kgmed.Engine(graph, config=EngineConfig(policy="strict"))
    with pytest.raises(kgmed.RecordError, match="HP:9999999"):
        strict.diagnose({"id": "s1", "present": ["HP:9999999", "HP:0001166"]})


def test_other_constants_give_another_index(graph):
    index = kgmed.Engine(graph, config=EngineConfig(likelihood=LikelihoodConfig(prior_frequency=0.9))).index
    assert index.config.prior_frequency == 0.9
    default = load_engine().index
    assert float(index.background.sum()) > float(default.background.sum())


def test_the_provenance_is_enough_to_run_it_again(engine):
    provenance = engine.diagnose(MARFAN).provenance
    assert provenance["kgmed"] == kgmed.__version__
    assert {"hp", "hpoa"} <= {s["id"] for s in provenance["graph"]["sources"]}
    assert provenance["config"]["likelihood"]["correlation"] == LikelihoodConfig().correlation
    assert len(provenance["graph"]["checksum"]) == 64


def test_no_probability_is_ever_one():
    terms = [Term(curie="ex:f", name="f"), Term(curie="ex:D", name="d", kind="disease")]
    edges = [Edge(subject="ex:D", predicate="has_phenotype", object="ex:f")]
    alone = kgmed.Engine(KnowledgeGraph.compile(Ontology(terms=terms, edges=edges)))
    (diagnosis,) = alone.diagnose({"present": ["ex:f"]})
    assert 0.99999 < diagnosis.posttest_probability < 1.0
    total = log10_odds(diagnosis.pretest_probability) + diagnosis.explanation.log10_lr
    assert total == pytest.approx(log10_odds(diagnosis.posttest_probability), abs=1e-9)


def test_paths_in_a_settings_file_are_relative_to_it(tmp_path, monkeypatch):
    terms = [Term(curie="ex:f", name="f"), Term(curie="ex:D", name="d", kind="disease")]
    edges = [Edge(subject="ex:D", predicate="has_phenotype", object="ex:f")]
    KnowledgeGraph.compile(Ontology(terms=terms, edges=edges)).save(tmp_path / "mine")
    (tmp_path / "engine.toml").write_text('graph = "mine"\n', encoding="utf-8")
    monkeypatch.chdir("/")
    assert load_engine(tmp_path / "engine.toml").diagnose({"present": ["ex:f"]})[0].disease == "ex:D"


def test_an_exclusion_by_sex_counts_whole_however_many_the_findings(engine):
    preeclampsia = "MONDO:0008585"  # HELLP syndrome
    edges = engine.graph.edges(preeclampsia, "has_phenotype")
    findings = tuple(Finding(term=t) for t in sorted({e.object for e in edges})[:10])
    assert len(findings) > 4
    woman = engine.rank_of(Record(findings=findings, sex="FEMALE"), preeclampsia)
    man = engine.rank_of(Record(findings=findings, sex="MALE"), preeclampsia)
    assert woman.rank < 5
    assert log10_odds(man.posttest) < log10_odds(woman.posttest) - 2.5
    man_ranking = engine.diagnose(Record(findings=findings, sex="MALE"), top=1)
    assert man_ranking[0].disease != preeclampsia


def test_a_disease_that_both_sexes_have_is_not_excluded_by_one_of_its_parents(engine):
    # MONDO puts ataxia telangiectasia below ovarian failure, among other things.
    case = engine.case(Record(findings=(Finding(term="HP:0001251"),), sex="MALE"))
    evidence = engine.rules.apply(case, engine.graph).evidence
    assert "MONDO:0008170" in evidence  # ovarian cancer
    assert "MONDO:0008840" not in evidence  # ataxia telangiectasia
    assert "MONDO:0009258" not in evidence  # classic galactosemia


def test_a_ranking_is_a_frame_too(engine):
    ranking = engine.diagnose(MARFAN, top=3)
    frame = ranking.to_frame()
    assert list(frame["disease"]) == [d.disease for d in ranking]
    assert list(frame.columns) == ["rank", "disease", "name", "pretest_probability", "posttest_probability"]
