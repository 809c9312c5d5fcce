"""The rules that ship are checked against the graph, and every score is worked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgmed.errors import ConfigError, ParseError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Ontology, Term
from kgmed.record import Case, Finding, KnownDisease, Measurement, Medication, Record
from kgmed.resources import ontologies_folder
from kgmed.result import Score
from kgmed.score.formula import Formula
from kgmed.score.rule_lint import check_rules
from kgmed.score.rules import RuleResult, RuleSet, load_rules

YEAR = 365.25
UNITS = {
    "temperature": "Cel",
    "sbp": "mm[Hg]",
    "dbp": "mm[Hg]",
    "heart rate": "/min",
    "respiratory rate": "/min",
    "spo2": "%",
    "gcs": "",
    "hemoglobin": "g/dL",
    "hematocrit": "%",
    "wbc": "10*3/uL",
    "neutrophil count": "10*3/uL",
    "platelets": "10*3/uL",
    "urea": "mmol/L",
    "bun": "mg/dL",
    "creatinine": "mg/dL",
    "baseline creatinine": "mg/dL",
    "total bilirubin": "mg/dL",
    "albumin": "g/dL",
    "inr": "",
    "sodium": "mmol/L",
    "potassium": "mmol/L",
    "chloride": "mmol/L",
    "bicarbonate": "mmol/L",
    "glucose": "mg/dL",
    "fasting glucose": "mg/dL",
    "hba1c": "%",
    "ldh": "U/L",
    "ast": "U/L",
    "lactate": "mmol/L",
    "uric acid": "mg/dL",
    "crp": "mg/L",
    "calcium": "mg/dL",
    "troponin i": "ng/L",
    "po2": "mm[Hg]",
    "fio2": "%",
    "triglycerides": "mg/dL",
    "hdl cholesterol": "mg/dL",
    "waist circumference": "cm",
    "total protein": "g/dL",
    "pleural fluid protein": "g/dL",
    "pleural fluid ldh": "U/L",
    "phq-9": "",
    "gad-7": "",
    "audit-c": "",
}

FEVER, COUGH, CONFUSION, CHEST_PAIN = "HP:0001945", "HP:0012735", "HP:0001289", "HP:0100749"
PNEUMONIA, FIBRILLATION, CIRRHOSIS = "MONDO:0005249", "MONDO:0004981", "MONDO:0005155"


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    return KnowledgeGraph.load(ontologies_folder() / "default")


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return RuleSet.default()


def record(
    *,
    yes: tuple[str, ...] = (),
    no: tuple[str, ...] = (),
    values: dict[str, float] | None = None,
    diseases: tuple[str, ...] = (),
    drugs: tuple[str, ...] = (),
    age: float | None = None,
    sex: Any = "UNKNOWN",
) -> Record:
    return Record(
        findings=(*(Finding(term=t) for t in yes), *(Finding(term=t, excluded=True) for t in no)),
        measurements=tuple(
            Measurement(name=n, value=v, unit=UNITS[n], field=f"measurements[{i}]")
            for i, (n, v) in enumerate((values or {}).items())
        ),
        diseases=tuple(KnownDisease(term=t) for t in diseases),
        medications=tuple(Medication(name=n) for n in drugs),
        age_days=None if age is None else age * YEAR,
        sex=sex,
    )


def tell(rules: RuleSet, graph: KnowledgeGraph, given: Record) -> RuleResult:
    return rules.apply(Case(record=given, findings=given.findings), graph)


def score(result: RuleResult, rule: str) -> Score | None:
    return next((s for s in result.scores if s.rule == rule), None)


# ---------------------------------------------------------------- the rules that ship


def test_shipped_rules_have_nothing_wrong(rules: RuleSet, graph: KnowledgeGraph) -> None:
    assert check_rules(rules, graph) == []


def test_shipped_rules_are_as_many_as_promised(rules: RuleSet) -> None:
    kinds = [rule.kind for rule in rules]
    assert sum(k in ("score", "criteria", "formula") for k in kinds) >= 36
    assert kinds.count("red_flag") >= 40
    assert kinds.count("implication") >= 60


# rule, record, points, at most, start of the meaning. The sums are written out.
WORKED: list[tuple[str, dict[str, Any], float, float, str]] = [
    # 1 (rate 24) + 1 (pressure 98); mentation unknown: 2 to 3, one band
    ("qsofa", {"yes": (FEVER,), "values": {"respiratory rate": 24, "sbp": 98}}, 2, 3, "High risk"),
    # temperature 1 + heart rate 1 + white cells 1; the rate is 18, but pCO2 could still meet the line
    (
        "sirs",
        {"values": {"temperature": 38.5, "heart rate": 95, "respiratory rate": 18, "wbc": 13}},
        3,
        4,
        "SIRS criteria met",
    ),
    # confusion 1 + urea 1 + rate 0 + diastolic 1 + age 1
    (
        "curb65",
        {
            "diseases": (PNEUMONIA,),
            "yes": (CONFUSION,),
            "values": {"urea": 8, "respiratory rate": 28, "sbp": 100, "dbp": 58},
            "age": 70,
        },
        4,
        4,
        "High risk",
    ),
    # confusion unknown; rate 1 + pressure 0 + age 0
    (
        "crb65",
        {"diseases": (PNEUMONIA,), "values": {"respiratory rate": 32, "sbp": 120, "dbp": 70}, "age": 40},
        1,
        2,
        "Intermediate risk",
    ),
    # fever 1 + no cough 1 + nodes 0 + exudate 1 - age 1
    (
        "mcisaac",
        {
            "yes": ("HP:0025439", FEVER, "ASK:tonsillar_exudate"),
            "no": (COUGH, "ASK:tender_anterior_cervical_nodes"),
            "age": 50,
        },
        2,
        2,
        "Group A streptococcus in 11",
    ),
    # fever 1 + cough, so 0 + nodes 1 + exudate 1
    (
        "centor",
        {
            "yes": (
                "HP:0025439",
                FEVER,
                COUGH,
                "ASK:tonsillar_exudate",
                "ASK:tender_anterior_cervical_nodes",
            ),
            "age": 20,
        },
        3,
        3,
        "Group A streptococcus fairly likely",
    ),
    # fever 1 + pus 1 + early 1 + inflamed 0 + cough or coryza 0
    (
        "feverpain",
        {
            "yes": ("HP:0025439", FEVER, COUGH, "ASK:tonsillar_pus", "ASK:sore_throat_within_3_days"),
            "no": ("ASK:tonsils_severely_inflamed",),
        },
        3,
        3,
        "Streptococcus in 34",
    ),
    # rate 2 + saturation 2 + oxygen 2 + pressure 2 + heart rate 2 + alert 0 + temperature 1
    (
        "news2",
        {
            "values": {
                "respiratory rate": 22,
                "spo2": 93,
                "fio2": 28,
                "sbp": 95,
                "heart rate": 115,
                "gcs": 15,
                "temperature": 38.5,
            },
            "no": (CONFUSION, "HP:0004372"),
            "age": 60,
        },
        11,
        11,
        "High risk",
    ),
    # two major
    (
        "duke",
        {"yes": ("ASK:positive_blood_cultures", "HP:6000326")},
        2,
        7,
        "Definite endocarditis",
    ),
    # swollen leg 1 + tenderness 1 + other diagnosis -2; the rest excluded or asked
    (
        "wells_dvt",
        {
            "yes": ("ASK:leg_swollen", "ASK:deep_vein_tenderness", "ASK:alternative_as_likely_dvt"),
        },
        0,
        7,
        "",
    ),
    # most likely 3 + heart rate 1.5 + hemoptysis 1 = 5.5; the rest is open: 3 + 1.5 + 1.5 + 1
    (
        "wells_pe",
        {"yes": ("HP:0002105", "ASK:pe_most_likely"), "values": {"heart rate": 110}},
        5.5,
        12.5,
        "Pulmonary embolism likely",
    ),
    # one criterion is enough
    (
        "perc",
        {"yes": ("ASK:suspected_pe",), "values": {"heart rate": 104, "spo2": 97}, "age": 30},
        1,
        6,
        "Embolism is not ruled out",
    ),
    # age 1 + heart rate 5 + hemoptysis 2 = 8; open: 3 + 2 + 2 + 3 + 4
    (
        "geneva_revised",
        {"yes": ("HP:0002105",), "values": {"heart rate": 100}, "age": 70},
        8,
        22,
        "",
    ),
    # failure 1 + hypertension 1 + age 2 + diabetes 1 + stroke 2 + female 1; vascular disease open
    (
        "cha2ds2_vasc",
        {
            "diseases": (FIBRILLATION, "MONDO:0005252", "MONDO:0005044", "MONDO:0005015", "MONDO:0005098"),
            "age": 76,
            "sex": "FEMALE",
        },
        8,
        9,
        "Anticoagulation is recommended",
    ),
    # pressure 1 + stroke 1 + age 1 + aspirin 1
    (
        "has_bled",
        {
            "diseases": (FIBRILLATION, "MONDO:0005098"),
            "values": {"sbp": 170, "creatinine": 1.0},
            "drugs": ("Aspirin 81 mg",),
            "age": 70,
        },
        4,
        9,
        "High risk of major bleeding",
    ),
    # history 2 + age 1 + risk factors 2 + troponin 1; electrocardiogram open: 0 to 2
    (
        "heart",
        {
            "yes": (CHEST_PAIN, "ASK:history_highly_suspicious", "ASK:three_risk_factors"),
            "values": {"troponin i": 60},
            "age": 50,
        },
        6,
        8,
        "",
    ),
    # age 1 + angina 1 + marker 1 + aspirin 1
    (
        "timi_ua_nstemi",
        {
            "diseases": ("MONDO:0005542",),
            "yes": ("ASK:angina_twice",),
            "no": ("ASK:three_cad_risk_factors", "ASK:known_stenosis", "HP:0012250"),
            "values": {"troponin i": 90},
            "drugs": ("aspirin",),
            "age": 66,
        },
        4,
        4,
        "Intermediate risk",
    ),
    # age 1 + pressure 1 + hemiparesis 2 + duration 1; diabetes open
    (
        "abcd2",
        {
            "diseases": ("MONDO:0005264",),
            "yes": ("HP:0001269", "ASK:tia_10_minutes"),
            "no": ("ASK:tia_60_minutes",),
            "values": {"sbp": 150, "dbp": 80},
            "age": 64,
        },
        5,
        6,
        "",
    ),
    # hematocrit 1
    (
        "san_francisco_syncope",
        {"yes": ("HP:0001279",), "values": {"hematocrit": 28, "sbp": 120}},
        1,
        4,
        "Not low risk",
    ),
    # urea 4 + hemoglobin 3 + pressure 2 + heart rate 1 + melena 1; liver and heart open: 2 + 2
    (
        "glasgow_blatchford",
        {
            "yes": ("HP:0002249",),
            "no": ("HP:0001279",),
            "values": {"urea": 12, "hemoglobin": 11, "sbp": 95, "heart rate": 105},
            "sex": "MALE",
        },
        11,
        15,
        "High risk",
    ),
    # age 1 + tachycardia 1; comorbidity open: 3
    (
        "rockall_pre",
        {"yes": ("HP:0002248",), "values": {"sbp": 110, "heart rate": 105}, "age": 65},
        2,
        5,
        "Endoscopy is advised",
    ),
    # bilirubin 2 + albumin 2 + INR 1 + ascites 2 + encephalopathy 1
    (
        "child_pugh",
        {
            "diseases": (CIRRHOSIS,),
            "yes": ("HP:0001541",),
            "no": ("HP:0002480", "ASK:ascites_tense", "ASK:encephalopathy_grade_3"),
            "values": {"total bilirubin": 2.5, "albumin": 3.0, "inr": 1.4},
        },
        8,
        8,
        "Class B",
    ),
    # 3.78 ln 3 + 11.2 ln 2 + 9.57 ln 1.5 + 6.43 = 4.153 + 7.763 + 3.880 + 6.43 = 22.2
    (
        "meld",
        {"diseases": (CIRRHOSIS,), "values": {"total bilirubin": 3, "inr": 2, "creatinine": 1.5}},
        22,
        22,
        "Death within three months in about 20%",
    ),
    # 22 + 1.32 * 7 - 0.033 * 22 * 7 = 22 + 9.24 - 5.082 = 26.158
    (
        "meld_na",
        {
            "diseases": (CIRRHOSIS,),
            "values": {"total bilirubin": 3, "inr": 2, "creatinine": 1.5, "sodium": 130},
        },
        26,
        26,
        "",
    ),
    # urea nitrogen 1 + SIRS 1 (temperature, heart rate) + age 1; mental status unknown, no effusion
    (
        "bisap",
        {
            "yes": ("HP:0001733",),
            "no": ("HP:0002202",),
            "values": {"bun": 30, "temperature": 38.6, "heart rate": 110},
            "age": 65,
        },
        3,
        4,
        "Death in hospital in more than 5%",
    ),
    # age 1 + white cells 1 + glucose 0 + LDH 1 + AST 0
    (
        "ranson_admission",
        {
            "yes": ("HP:0001733",),
            "values": {"wbc": 18, "glucose": 150, "ldh": 400, "ast": 100},
            "age": 60,
        },
        3,
        3,
        "Severe pancreatitis likely",
    ),
    # 1 (migration) + 1 (anorexia) + 1 (nausea) + 2 + 1 + 1 (temperature) + 2 (white cells); shift open
    (
        "alvarado",
        {
            "yes": (
                "ASK:pain_migrated",
                "ASK:right_iliac_fossa_tenderness",
                "ASK:rebound_tenderness",
                "HP:0002039",
                "HP:0002018",
            ),
            "values": {"temperature": 37.6, "wbc": 14},
        },
        9,
        10,
        "Appendicitis probable",
    ),
    # tenderness 2 + cough pain 2 + nausea 1 + white cells 1 + neutrophils 1 + no fever 0
    (
        "pediatric_appendicitis",
        {
            "yes": ("ASK:right_iliac_fossa_tenderness", "ASK:pain_on_cough_or_hop", "HP:0002018"),
            "no": ("ASK:pain_migrated", "HP:0002039", FEVER),
            "values": {"wbc": 13, "neutrophil count": 9, "temperature": 37.5},
            "age": 10,
        },
        7,
        7,
        "Appendicitis likely",
    ),
    # 142 * (1 / 0.9) ** -1.2 * 0.9938 ** 50 = 142 * 0.8812 * 0.7327 = 91.7
    (
        "egfr_ckd_epi_2021",
        {"values": {"creatinine": 1.0}, "age": 50, "sex": "MALE"},
        92,
        92,
        "G1",
    ),
    # 140 - 100 - 20
    (
        "anion_gap_computed",
        {"values": {"sodium": 140, "chloride": 100, "bicarbonate": 20}},
        20,
        20,
        "Raised",
    ),
    # 8.0 + 0.8 * (4 - 2)
    ("corrected_calcium", {"values": {"calcium": 8.0, "albumin": 2.0}}, 9.6, 9.6, ""),
    # 4 / 6 = 0.667 above 0.5: 1; 100 / 250 = 0.4: 0; 100 U/L: 0
    (
        "lights_criteria",
        {
            "values": {
                "pleural fluid protein": 4,
                "total protein": 6,
                "pleural fluid ldh": 100,
                "ldh": 250,
            }
        },
        1,
        1,
        "Exudate",
    ),
    ("protein_ratio", {"values": {"pleural fluid protein": 4, "total protein": 6}}, 0.667, 0.667, ""),
    ("ldh_ratio", {"values": {"pleural fluid ldh": 100, "ldh": 250}}, 0.4, 0.4, ""),
    ("gcs_bands", {"values": {"gcs": 10}}, 10, 10, "Moderate impairment"),
    # 80 / 40 * 100 = 200, not ventilated: 2; platelets 90: 2; bilirubin 2.5: 2; pressure 66: 1; coma 14: 1;
    # creatinine 2.2: 2
    (
        "sofa",
        {
            "yes": ("ASK:suspected_infection",),
            "no": ("ASK:ventilated", "ASK:vasopressor_high", "ASK:vasopressor_low"),
            "values": {
                "po2": 80,
                "fio2": 40,
                "platelets": 90,
                "total bilirubin": 2.5,
                "sbp": 98,
                "dbp": 50,
                "gcs": 14,
                "creatinine": 2.2,
            },
        },
        10,
        10,
        "Organ dysfunction",
    ),
    ("pf_ratio", {"values": {"po2": 80, "fio2": 40}}, 200, 200, "Moderate"),
    # 50 + 48 / 3
    ("map", {"values": {"sbp": 98, "dbp": 50}}, 66, 66, ""),
    ("nexus", {"yes": ("ASK:blunt_neck_trauma", "ASK:intoxicated")}, 1, 5, "Image"),
    (
        "canadian_c_spine",
        {
            "yes": ("ASK:blunt_neck_trauma", "ASK:low_risk_neck", "ASK:rotates_neck"),
            "no": ("ASK:dangerous_mechanism_neck", "HP:0003401"),
            "age": 30,
        },
        2,
        2,
        "No imaging",
    ),
    (
        "canadian_ct_head",
        {"yes": ("ASK:head_injury_with_amnesia_or_lapse",), "age": 70},
        1,
        7,
        "CT of the head: high risk",
    ),
    (
        "pecarn_under_2",
        {
            "yes": ("ASK:head_injury", "ASK:scalp_haematoma_not_frontal"),
            "no": ("ASK:palpable_skull_fracture", "HP:0004372"),
            "values": {"gcs": 15},
            "age": 1,
        },
        1,
        4,
        "Observation or CT",
    ),
    (
        "pecarn_2_to_17",
        {
            "yes": ("ASK:head_injury",),
            "no": (
                "ASK:basal_skull_fracture_sign",
                "HP:0004372",
                "HP:0007185",
                "HP:0002013",
                "ASK:severe_mechanism_child",
                "ASK:severe_headache",
            ),
            "values": {"gcs": 15},
            "age": 9,
        },
        0,
        0,
        "CT of the head not recommended",
    ),
    (
        "ottawa_ankle",
        {"yes": ("ASK:ankle_injury", "ASK:cannot_bear_weight_four_steps")},
        1,
        3,
        "Radiograph",
    ),
    (
        "ottawa_knee",
        {
            "yes": ("ASK:knee_injury",),
            "no": (
                "ASK:tender_patella",
                "ASK:tender_fibular_head",
                "ASK:knee_not_flexed_90",
                "ASK:cannot_bear_weight_four_steps",
            ),
            "age": 25,
        },
        0,
        0,
        "No radiograph",
    ),
    ("phq9_bands", {"values": {"phq-9": 16}}, 16, 16, "Moderately severe"),
    ("gad7_bands", {"values": {"gad-7": 9}}, 9, 9, "Mild"),
    # 3 + 1 for a woman
    ("audit_c_bands", {"values": {"audit-c": 3}, "sex": "FEMALE"}, 4, 4, "Screen positive"),
    (
        "lake_louise_2018",
        {"yes": ("ASK:recent_ascent", "HP:0002315", "HP:0002018", "HP:0012378")},
        3,
        4,
        "Acute mountain sickness likely",
    ),
    # streptococcus, chorea and erythema marginatum
    (
        "jones_2015",
        {"yes": ("ASK:recent_group_a_streptococcus", "HP:0002072", "HP:6001012")},
        3,
        10,
        "Criteria for a first episode met",
    ),
    # five days of fever, and four of five
    (
        "kawasaki",
        {
            "yes": (
                FEVER,
                "ASK:fever_five_days",
                "HP:0031042",
                "HP:0000509",
                "HP:0000988",
                "HP:0025289",
            ),
            "age": 3,
        },
        5,
        6,
        "Classic Kawasaki disease",
    ),
    # malar rash 6 + arthritis 6 with antibodies; open: fever 2, blood 4, nerves 5, serosa 6, kidney 10,
    # phospholipid 2, complement 4, specific 6
    (
        "sle_2019",
        {"yes": ("HP:0003493", "HP:0025300", "HP:0001369")},
        12,
        51,
        "Classification criteria met",
    ),
    # joints 3 + serology 2 + CRP 1 + duration 1
    (
        "ra_2010",
        {
            "yes": (
                "HP:0001386",
                "ASK:four_to_10_small_joints",
                "HP:0002923",
                "ASK:arthritis_six_weeks",
            ),
            "no": ("ASK:more_than_10_joints", "ASK:high_rf_or_acpa"),
            "values": {"crp": 20},
        },
        7,
        7,
        "Classification criteria for definite",
    ),
    # podagra 2 + tophus 4 + urate 3 = 9; open: crystals 8, signs 1 + 1 + 1, episodes 2, imaging 4, erosion 4
    (
        "gout_2015",
        {"yes": ("HP:0001854", "HP:0033073"), "values": {"uric acid": 8.5}},
        9,
        30,
        "Classification criteria for gout met",
    ),
    # 1 + 1 + 1 + 1 + 1 at 20 years
    (
        "beighton",
        {
            "yes": (
                "ASK:thumb_left",
                "ASK:thumb_right",
                "ASK:little_finger_left",
                "ASK:little_finger_right",
                "ASK:palms_to_floor",
            ),
            "age": 20,
        },
        5,
        9,
        "Generalised joint hypermobility",
    ),
    # signs 3 + carinatum 2 + dura 2 = 7; open: foot 2, lung 2, protrusio 2, and seven lines of 1
    (
        "ghent_systemic",
        {"yes": ("ASK:wrist_and_thumb_sign", "HP:0000768", "HP:0100775")},
        7,
        20,
        "Systemic involvement: counts",
    ),
    (
        "nf1_2021",
        {"yes": ("HP:0007565", "HP:0000997")},
        2,
        8,
        "Criteria met",
    ),
    # one major, two minor
    (
        "tsc_2021",
        {"yes": ("HP:0009717", "HP:0009722", "HP:0007449")},
        None,
        None,
        "Definite tuberous sclerosis",
    ),
    (
        "diabetes_ada",
        {"values": {"fasting glucose": 140, "hba1c": 7.1}},
        2,
        3,
        "Criteria met",
    ),
    # waist 1 + triglycerides 1 + HDL 1 + pressure 0; glucose open
    (
        "metabolic_syndrome",
        {
            "values": {
                "waist circumference": 110,
                "triglycerides": 200,
                "hdl cholesterol": 35,
                "sbp": 120,
                "dbp": 80,
            },
            "age": 50,
            "sex": "MALE",
        },
        3,
        4,
        "Metabolic syndrome",
    ),
    # 2.2 / 1.0: 1.5 and 2.0 are reached
    ("kdigo_aki", {"values": {"creatinine": 2.2, "baseline creatinine": 1.0}}, 2, 2, "Stage 2"),
    ("creatinine_ratio", {"values": {"creatinine": 2.2, "baseline creatinine": 1.0}}, 2.2, 2.2, ""),
]


@pytest.mark.parametrize(("rule", "given_", "points", "most", "meaning"), WORKED, ids=[w[0] for w in WORKED])
def test_worked_by_hand(
    rules: RuleSet,
    graph: KnowledgeGraph,
    rule: str,
    given_: dict[str, Any],
    points: float | None,
    most: float | None,
    meaning: str,
) -> None:
    told = score(tell(rules, graph, record(**given_)), rule)
    assert told is not None
    if points is not None:
        assert (told.value, told.at_most) == (pytest.approx(points), pytest.approx(most))
    if meaning:
        assert told.meaning.startswith(meaning)
    else:
        assert told.meaning == ""


def test_every_score_is_worked(rules: RuleSet) -> None:
    scores = {rule.id for rule in rules if rule.kind in ("score", "criteria", "formula")}
    assert scores == {case[0] for case in WORKED}


# ---------------------------------------------------------------- red flags, implications, exclusions


FLAGS: list[tuple[str, dict[str, Any]]] = [
    ("red_flag_thunderclap_headache", {"yes": ("HP:0030907",)}),
    ("red_flag_meningism", {"yes": ("HP:0025258",), "values": {"temperature": 39.0}}),
    ("red_flag_cauda_equina", {"yes": ("HP:0003419", "ASK:saddle_anaesthesia")}),
    ("red_flag_febrile_neutropenia", {"values": {"temperature": 38.4, "neutrophil count": 0.2}}),
    ("red_flag_infant_fever", {"yes": (FEVER,), "age": 0.1}),
    ("red_flag_ectopic_pregnancy", {"yes": ("HP:0002027", "HP:0001279"), "sex": "FEMALE", "age": 28}),
    ("red_flag_dka", {"values": {"glucose": 480, "bicarbonate": 10}}),
    ("red_flag_hyperkalaemia", {"values": {"potassium": 6.5}}),
    ("red_flag_lactate", {"values": {"lactate": 4.0}}),
    ("red_flag_low_gcs", {"values": {"gcs": 8}}),
    ("red_flag_suicidal", {"yes": ("HP:0031589",)}),
    ("red_flag_serotonin_syndrome", {"yes": ("HP:0002169",), "drugs": ("Sertraline 50 mg",)}),
]


@pytest.mark.parametrize(("rule", "given_"), FLAGS, ids=[f[0] for f in FLAGS])
def test_red_flags_fire_with_what_they_rest_on(
    rules: RuleSet, graph: KnowledgeGraph, rule: str, given_: dict[str, Any]
) -> None:
    flag = next(f for f in tell(rules, graph, record(**given_)).red_flags if f.rule == rule)
    assert flag.findings
    assert flag.source
    assert flag.action


@pytest.mark.parametrize(
    ("rule", "given_"),
    [
        ("red_flag_meningism", {"yes": ("HP:0025258",)}),  # no fever was stated or measured
        ("red_flag_meningism", {"yes": ("HP:0025258",), "no": (FEVER,)}),
        ("red_flag_infant_fever", {"yes": (FEVER,), "age": 0.5}),
        ("red_flag_infant_fever", {"yes": (FEVER,)}),  # age unknown
        ("red_flag_ectopic_pregnancy", {"yes": ("HP:0002027", "HP:0001279"), "sex": "MALE", "age": 28}),
        ("red_flag_hyperkalaemia", {"values": {"potassium": 6.4}}),
    ],
)
def test_red_flags_do_not_fire_without_all_of_their_parts(
    rules: RuleSet, graph: KnowledgeGraph, rule: str, given_: dict[str, Any]
) -> None:
    assert rule not in {f.rule for f in tell(rules, graph, record(**given_)).red_flags}


def test_most_urgent_red_flags_come_first(rules: RuleSet, graph: KnowledgeGraph) -> None:
    flags = tell(rules, graph, record(yes=("HP:0002105", CHEST_PAIN, "HP:0010307"), age=50)).red_flags
    order = ["emergency", "urgent", "soon"]
    assert [f.urgency for f in flags] == sorted((f.urgency for f in flags), key=order.index)
    assert {f.urgency for f in flags} == set(order)


def implied(rules: RuleSet, graph: KnowledgeGraph, given: Record) -> dict[str, bool]:
    """Term -> excluded."""
    return {f.term: f.excluded for f in rules.implied(given, graph)[0]}


ANEMIA = "HP:0001903"


@pytest.mark.parametrize(
    ("value", "age", "sex", "excluded"),
    [
        (12.5, 40, "MALE", False),  # below 13.0
        (12.5, 40, "FEMALE", True),  # 12.0 to 16.0
        (12.5, 40, "UNKNOWN", None),  # low for a man, normal for a woman
        (11.5, 40, "UNKNOWN", False),  # low for both
        (14.0, 40, "UNKNOWN", True),  # normal for both
        (11.2, 3, "MALE", True),  # 11.0 under five years
        (11.2, 8, "MALE", False),  # 11.5 from five years
        (11.2, 0.1, "MALE", None),  # no range under six months
    ],
)
def test_hemoglobin_by_age_and_sex(
    rules: RuleSet, graph: KnowledgeGraph, value: float, age: float, sex: Any, excluded: bool | None
) -> None:
    given = record(values={"hemoglobin": value}, age=age, sex=sex)
    assert implied(rules, graph, given).get(ANEMIA) is excluded


def test_the_printed_range_goes_first(rules: RuleSet, graph: KnowledgeGraph) -> None:
    printed = Measurement(name="hemoglobin", value=12.5, unit="g/dL", low=13.0, high=17.0, field="m[0]")
    (finding,) = (
        f
        for f in rules.implied(Record(measurements=(printed,), sex="FEMALE", age_days=40 * YEAR), graph)[0]
        if f.term == ANEMIA
    )
    assert (finding.excluded, finding.origin, finding.field) == (False, "measurement", "m[0]")


def test_the_latest_value_counts(rules: RuleSet, graph: KnowledgeGraph) -> None:
    old = Measurement(name="sodium", value=125.0, unit="mmol/L", age_days=100.0)
    new = Measurement(name="sodium", value=140.0, unit="mmol/L", age_days=200.0)
    for order in ((old, new), (new, old)):
        given = Record(measurements=order, age_days=40 * YEAR)
        assert implied(rules, graph, given)["HP:0002902"] is True


def test_a_normal_temperature_does_not_exclude_fever(rules: RuleSet, graph: KnowledgeGraph) -> None:
    assert FEVER not in implied(rules, graph, record(values={"temperature": 36.8}))
    assert implied(rules, graph, record(values={"temperature": 38.6}))[FEVER] is False


def test_a_formula_can_imply(rules: RuleSet, graph: KnowledgeGraph) -> None:
    values = {"sodium": 140.0, "chloride": 100.0, "bicarbonate": 20.0}
    assert implied(rules, graph, record(values=values))["HP:0031962"] is False


def test_unknown_units_become_issues(rules: RuleSet, graph: KnowledgeGraph) -> None:
    given = Record(
        id="r1", measurements=(Measurement(name="sodium", value=140.0, unit="furlong", field="m[0]"),)
    )
    findings, issues = rules.implied(given, graph)
    assert findings == []
    assert [(i.code, i.record_id, i.field) for i in issues] == [("unknown-unit", "r1", "m[0]")]


def test_sex_excludes_diseases_of_organs(rules: RuleSet, graph: KnowledgeGraph) -> None:
    prostate, ovary = "MONDO:0008315", "MONDO:0008170"
    (line,) = tell(rules, graph, record(sex="FEMALE")).evidence[prostate]
    assert (line.log10_lr, line.match, line.scorer) == (-3.0, "rule", "rules")
    assert ovary in tell(rules, graph, record(sex="MALE")).evidence
    for sex in ("OTHER", "UNKNOWN"):
        assert tell(rules, graph, record(sex=sex)).evidence == {}


def test_age_excludes_pregnancy(rules: RuleSet, graph: KnowledgeGraph) -> None:
    ectopic = "MONDO:0000755"
    assert ectopic in tell(rules, graph, record(sex="FEMALE", age=80)).evidence
    assert ectopic not in tell(rules, graph, record(sex="FEMALE", age=30)).evidence


def test_criteria_speak_for_their_disease_with_a_walk(rules: RuleSet, graph: KnowledgeGraph) -> None:
    nf1 = "MONDO:0018975"
    (line,) = tell(rules, graph, record(yes=("HP:0007565", "HP:0000997"))).evidence[nf1]
    assert not line.calibrated
    assert line.finding is not None
    assert line.path.nodes[0] == line.finding.term
    assert line.path.nodes[-1] == nf1


# ---------------------------------------------------------------- a small graph, and rules of one's own


@pytest.fixture(scope="module")
def small() -> KnowledgeGraph:
    return KnowledgeGraph.compile(
        Ontology(
            terms=[
                Term(curie="HP:1", name="Pain"),
                Term(curie="HP:2", name="Arm pain"),
                Term(curie="HP:3", name="Rash"),
                Term(curie="HP:4", name="Old rash", obsolete=True, replaced_by="HP:3"),
                Term(curie="MONDO:1", name="arm disease", kind="disease"),
            ],
            edges=[
                Edge(subject="HP:2", predicate="is_a", object="HP:1"),
                Edge(subject="MONDO:1", predicate="has_phenotype", object="HP:1"),
            ],
        )
    )


def rule(**fields: Any) -> dict[str, Any]:
    common = {"id": "mine", "kind": "score", "name": "Mine", "source": "Me. 2024"}
    bands = [{"from": 0, "meaning": "low"}, {"from": 2, "meaning": "high"}]
    items = [
        {"name": f"item {i}", "if": line}
        for i, line in enumerate(("HP:1 Pain", "HP:3 Rash", "sodium < 135 mmol/L"))
    ]
    return {**common, "items": items, "bands": bands, **fields}


def flag(condition: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": "mine",
        "kind": "red_flag",
        "name": "Mine",
        "source": "Me. 2024",
        "urgency": "soon",
        "action": "Look.",
        "if": condition,
        **fields,
    }


def test_a_published_ratio_moves_the_probability(small: KnowledgeGraph) -> None:
    bands = [{"from": 0, "meaning": "no"}, {"from": 2, "meaning": "yes", "lr": 10, "lr_source": "Me. 2024"}]
    mine = RuleSet().with_rules([rule(bands=bands, disease="MONDO:1 arm disease")])
    (line,) = tell(mine, small, record(yes=("HP:2", "HP:3"))).evidence["MONDO:1"]
    assert (line.log10_lr, line.calibrated, line.matched_term) == (1.0, True, "HP:1")
    assert line.path.nodes == ("HP:2", "HP:1", "MONDO:1")


def test_a_rule_of_the_same_id_takes_the_place_of_the_old_one(small: KnowledgeGraph) -> None:
    mine = RuleSet().with_rules([rule()]).with_rules([rule(name="Newer")])
    assert [r.name for r in mine] == ["Newer"]


@pytest.mark.parametrize(
    ("yes", "no", "fires"),
    [
        (("HP:2",), (), True),  # a descendant counts
        ((), ("HP:1",), False),
        ((), (), False),
    ],
)
def test_descendants_count(
    small: KnowledgeGraph, yes: tuple[str, ...], no: tuple[str, ...], fires: bool
) -> None:
    mine = RuleSet().with_rules([flag("HP:1 Pain")])
    assert bool(tell(mine, small, record(yes=yes, no=no)).red_flags) is fires


def test_excluding_the_general_excludes_the_special(small: KnowledgeGraph) -> None:
    mine = RuleSet().with_rules([flag({"none": ["HP:2 Arm pain"]})])
    assert tell(mine, small, record(no=("HP:1",))).red_flags
    assert not tell(mine, small, record()).red_flags  # nobody looked


def test_family_and_history_are_told_apart(small: KnowledgeGraph) -> None:
    mine = RuleSet().with_rules(
        [
            flag("HP:3 Rash", id="now"),
            flag("history: HP:3 Rash", id="ever"),
            flag("family: HP:3 Rash", id="kin"),
        ]
    )

    def fired(context: Any) -> set[str]:
        found = Finding(term="HP:3", context=context)
        current = (found,) if context == "current" else ()
        given = Record(findings=(found,))
        return {f.rule for f in mine.apply(Case(record=given, findings=current), small).red_flags}

    assert fired("current") == {"now", "ever"}
    assert fired("historical") == {"ever"}
    assert fired("family") == {"kin"}
    assert fired("hypothetical") == set()


@given(
    st.lists(st.sampled_from(["HP:1", "HP:2", "HP:3"]), unique=True),
    st.lists(st.sampled_from(["HP:1", "HP:3"]), unique=True),
    st.one_of(st.none(), st.integers(110, 160)),
    st.randoms(use_true_random=False),
)
def test_properties_of_scores(
    small: KnowledgeGraph, yes: list[str], no: list[str], sodium: int | None, random: Any
) -> None:
    mine = RuleSet().with_rules([rule()])
    values = {} if sodium is None else {"sodium": float(sodium)}
    no = [t for t in no if t not in yes and not (t == "HP:1" and "HP:2" in yes)]
    before = score(tell(mine, small, record(yes=tuple(yes), no=tuple(no), values=values)), "mine")

    # Order changes nothing.
    random.shuffle(yes)
    random.shuffle(no)
    again = score(tell(mine, small, record(yes=tuple(yes), no=tuple(no), values=values)), "mine")
    assert (before and (before.value, before.at_most, before.meaning, before.missing)) == (
        again and (again.value, again.at_most, again.meaning, again.missing)
    )
    if before is None:
        assert not yes and not no and sodium is None
        return
    assert 0 <= before.value <= before.at_most <= before.maximum == 3

    # What nobody mentioned is neither met nor not met.
    told = {item.name: item.met for item in before.items}
    assert told["item 0"] is (True if {"HP:1", "HP:2"} & set(yes) else False if "HP:1" in no else None)
    assert told["item 1"] is (True if "HP:3" in yes else False if "HP:3" in no else None)
    assert told["item 2"] is (None if sodium is None else sodium < 135)

    # One more finding never lowers the points.
    more = record(yes=(*yes, "HP:3"), no=tuple(t for t in no if t != "HP:3"), values=values)
    after = score(tell(mine, small, more), "mine")
    assert after is not None and after.value >= before.value

    # A meaning is given only where the unknown items cannot change it.
    if before.meaning:
        assert (
            before.meaning
            == ("high" if before.value >= 2 else "low")
            == ("high" if before.at_most >= 2 else "low")
        )


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (rule(colour="red"), "unknown key colour"),
        (rule(kind="scare"), "kind must be one of"),
        ({k: v for k, v in rule().items() if k != "source"}, "source is missing"),
        (rule(source=" "), "source must be a line of text"),
        (rule(items=[]), "items must be a list"),
        (rule(items=[{"name": "x", "if": "sodium ~ 3"}]), "item 'x': 'sodium ~ 3' is not a condition"),
        (rule(items=[{"name": "x", "if": "sodium < 3"}]), "the unit of sodium must be one of"),
        (rule(items=[{"name": "x", "if": "sodium < 3 furlong"}]), "the unit of sodium must be one of"),
        (rule(items=[{"name": "x", "if": "sodjum < 3 mmol/L"}]), "no measurement is called 'sodjum'"),
        (rule(items=[{"name": "x", "if": "sex is female"}]), "sex must be FEMALE or MALE"),
        (rule(items=[{"name": "x", "if": "age > 3"}]), "needs days, weeks, months or years"),
        (rule(items=[{"name": "x", "if": {"either_or": ["HP:1 Pain"]}}]), "unknown key either_or"),
        (rule(items=[{"name": "x", "if": {"any": []}}]), "at least one condition"),
        (rule(items=[{"name": "x", "if": {"at_least": 3, "of": ["HP:1 Pain"]}}]), "lists only 1"),
        (rule(items=[{"name": "x", "points": True, "if": "HP:1 Pain"}]), "points must be a number"),
        (rule(bands=[{"from": 2, "meaning": "a"}, {"from": 1, "meaning": "b"}]), "in rising order"),
        (rule(bands=[{"from": 2, "meaning": "a", "lr": 3}]), "lr_source"),
        (rule(disease="arm disease"), "is not a term"),
        (flag("HP:1 Pain", urgency="now"), "urgency must be one of"),
        (flag("nonsense"), "rule mine, if: 'nonsense' is not a condition"),
        (rule(kind="formula", items=None), "unknown key"),
    ],
)
def test_errors_name_file_rule_and_place(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RuleSet().with_rules([table], file="mine.toml")
    assert words in str(caught.value)
    assert "mine.toml: rule mine" in str(caught.value)


def test_files_are_checked(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[[rule]\n", encoding="utf-8")
    with pytest.raises(ParseError, match=r"broken\.toml"):
        load_rules(broken)
    broken.write_text("[rules]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="unknown key rules"):
        load_rules(tmp_path)
    line = "\n".join(
        (
            "[[rule]]",
            'id = "a"',
            'kind = "red_flag"',
            'name = "A"',
            'urgency = "soon"',
            'if = "HP:1 Pain"',
            'action = "Look."',
            'source = "Me 2024"',
            "",
        )
    )
    broken.write_text(line + line, encoding="utf-8")
    with pytest.raises(ConfigError, match="the id is taken"):
        load_rules(broken)
    with pytest.raises(ParseError, match="no such file"):
        load_rules(tmp_path / "none.toml")


def test_the_lint_finds_what_is_wrong(small: KnowledgeGraph) -> None:
    bands = [{"from": 0, "meaning": "low"}, {"from": 9, "meaning": "never"}]
    items = [
        {"name": "a", "if": "HP:9 Nothing"},
        {"name": "b", "if": "HP:4 Old rash"},
        {"name": "c", "if": "HP:3 Pain"},
        {"name": "d", "if": "ASK:question"},
    ]
    mine = RuleSet().with_rules([rule(items=items, bands=bands, source="Somebody")])
    assert {issue.code for issue in check_rules(mine, small)} == {
        "unknown-term",
        "obsolete-term",
        "wrong-label",
        "no-label",
        "unreachable-band",
        "no-year",
    }


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "a.b",
        "a[0]",
        "lambda: a",
        "[a]",
        "open(a)",
        "'x'",
        "a if a",
        "b + 1",
        "max()",
        "True",
    ],
)
def test_formulas_hold_arithmetic_only(text: str) -> None:
    with pytest.raises(ConfigError):
        Formula(text, ["a"])


@pytest.mark.parametrize("text", ["1 / a", "ln(a)", "sqrt(a - 1)", "9 ** 9 ** 9 ** 9"])
def test_formulas_without_a_finite_result_tell_nothing(text: str) -> None:
    assert Formula(text, ["a"])({"a": 0.0}) is None


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_formulas_agree_with_python(a: float, b: float) -> None:
    text = "max(a, b) - 2 * min(a, b) + (a if a > b else -b)"
    assert Formula(text, ["a", "b"])({"a": a, "b": b}) == max(a, b) - 2 * min(a, b) + (a if a > b else -b)


@settings(deadline=None)  # the first example binds the rules to the graph
@given(st.data())
def test_the_index_loses_no_rule(rules: RuleSet, graph: KnowledgeGraph, data: st.DataObject) -> None:
    """Against the slow way: every rule is tried on every record."""
    named = sorted({curie for r in rules if r.kind == "red_flag" for curie, _, _ in r.terms})
    given = record(
        yes=tuple(data.draw(st.lists(st.sampled_from(named), max_size=6, unique=True))),
        values=data.draw(
            st.dictionaries(
                st.sampled_from(["temperature", "sbp", "gcs", "potassium", "spo2"]), st.just(37.5)
            )
        ),
        age=data.draw(st.one_of(st.none(), st.floats(0, 90))),
        sex=data.draw(st.sampled_from(["FEMALE", "MALE", "UNKNOWN"])),
    )
    case = Case(record=given, findings=given.findings)
    bound = rules._over(graph)
    facts = bound.facts(given, given.findings, bound.values(given)[0])
    slow = {r.id for r in rules if r.kind == "red_flag" and r.condition and r.condition.test(facts)}
    assert {f.rule for f in rules.apply(case, graph).red_flags} == slow
