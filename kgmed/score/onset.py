"""Age of onset: HPO's stages, and their distribution in a disease."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from kgmed.config import LikelihoodConfig
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge
from kgmed.record import Case
from kgmed.score.frequency import counted

__all__ = [
    "ONSET_STAGES",
    "STAGE_OF_TERM",
    "onset_table",
    "stage_distribution",
    "stage_of_case",
    "stage_of_days",
]

IntArray = np.ndarray[Any, np.dtype[Any]]
FloatArray = np.ndarray[Any, np.dtype[Any]]  # float32 throughout
_DAYS_PER_YEAR = 365.25

# Stages of onset as HPO defines them (HP:0003674 and below), with the age in days
# at which each ends.
ONSET_STAGES: tuple[tuple[str, float], ...] = (
    ("antenatal", 0.0),
    ("congenital", 1.0),
    ("neonatal", 28.0),
    ("infantile", _DAYS_PER_YEAR),
    ("childhood", 5 * _DAYS_PER_YEAR),
    ("juvenile", 16 * _DAYS_PER_YEAR),
    ("young adult", 40 * _DAYS_PER_YEAR),
    ("middle age", 60 * _DAYS_PER_YEAR),
    ("late", math.inf),
)
STAGE_OF_TERM: dict[str, tuple[int, ...]] = {
    "HP:0030674": (0,),
    "HP:0011460": (0,),
    "HP:0011461": (0,),
    "HP:0034197": (0,),
    "HP:0034198": (0,),
    "HP:0034199": (0,),
    "HP:0003577": (1,),
    "HP:0003623": (2,),
    "HP:0003593": (3,),
    "HP:0011463": (4,),
    "HP:0003621": (5,),
    "HP:0410280": (2, 3, 4, 5),  # pediatric onset
    "HP:0003581": (6, 7, 8),  # adult onset
    "HP:0011462": (6,),
    "HP:0025708": (6,),
    "HP:0025709": (6,),
    "HP:0025710": (6,),
    "HP:0003596": (7,),
    "HP:0003584": (8,),
}
# Onset is recorded coarsely: a share of each observation goes to the stages beside it.
_STAGE_KEPT, _STAGE_SPILLED = 0.7, 0.15


def stage_of_days(days: float) -> int:
    """Index into `ONSET_STAGES` of an age in days.

    >>> ONSET_STAGES[stage_of_days(3 * 365.25)][0]
    'childhood'
    """
    return next(i for i, (_, end) in enumerate(ONSET_STAGES) if days < end)


def stage_of_case(case: Case) -> tuple[int, bool] | None:
    """(stage, is_onset) from the onset, or else from the age now; None when neither is known."""
    record = case.record
    if record.onset_days is not None:
        return stage_of_days(record.onset_days), True
    if record.age_days is not None:
        return stage_of_days(record.age_days), False
    return None


def stage_distribution(
    edges: Iterable[Edge], overall: FloatArray | None, config: LikelihoodConfig
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """P(stage of onset | disease) from its onset annotations; pulled towards `overall` where given."""
    weights = np.zeros(len(ONSET_STAGES), dtype=np.float64)
    for edge in edges:
        stages = STAGE_OF_TERM.get(edge.object, ())
        k, _ = counted(edge, config)
        # An onset without a frequency is one statement, not half of one.
        patients = k if edge.denominator or edge.frequency is not None else float(not edge.negated)
        for stage in stages:
            share = patients / len(stages)
            weights[stage] += _STAGE_KEPT * share
            for beside in (stage - 1, stage + 1):
                if 0 <= beside < len(weights):
                    weights[beside] += _STAGE_SPILLED * share
    if overall is not None:
        weights += np.asarray(overall, dtype=np.float64) * config.onset_patients
    return weights / weights.sum() if weights.sum() > 0 else weights


def onset_table(
    graph: KnowledgeGraph, diseases: IntArray, config: LikelihoodConfig
) -> tuple[FloatArray, FloatArray]:
    edges = graph.edge_columns
    code = edges.predicate.code("has_onset")
    by_disease: dict[int, list[Edge]] = {}
    for row in np.flatnonzero(edges.predicate.codes == code):
        if graph.curie(int(edges.object[row])) in STAGE_OF_TERM:
            by_disease.setdefault(int(edges.subject[row]), []).append(graph.edge(int(row)))
    known = [stage_distribution(by_disease[n], None, config) for n in diseases.tolist() if n in by_disease]
    # One imagined disease of each stage keeps every stage possible.
    overall = np.sum(known, axis=0) + 1.0 if known else np.ones(len(ONSET_STAGES))
    overall = (overall / overall.sum()).astype(np.float32)
    table = np.tile(overall, (len(diseases), 1))
    for column, node in enumerate(diseases.tolist()):
        if node in by_disease:
            table[column] = stage_distribution(by_disease[node], overall, config)
    return table.astype(np.float32), overall
