"""Who comes with what: pretest probability by setting, age and sex, and the tempo of a presentation.

Curated diseases state how many of 100,000 patients who come to a setting with a new
problem have them, and how these are spread over age and sex. All other diseases of the
graph share what is left, by how much has been published on them (`attention`).

    P(d | setting, age, sex) ~ P(d | setting) * P(age | d) / P(age) * P(sex | d) / P(sex)

which is Bayes' rule with age and sex independent given the disease.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kgmed.config import LikelihoodConfig
from kgmed.curated.card import AGE_BANDS, SETTINGS, TEMPOS
from kgmed.curated.compile import CONSTANTS
from kgmed.graph import KnowledgeGraph
from kgmed.record import Record

__all__ = ["AGE_ENDS", "POPULATION", "Population", "age_band", "tempo_of_days"]

FloatArray = np.ndarray[Any, np.dtype[Any]]
IntArray = np.ndarray[Any, np.dtype[Any]]

_YEAR = 365.25
AGE_ENDS = (28.0, _YEAR, *(_YEAR * years for years in (5, 15, 30, 45, 65, 80)), np.inf)
"""Age in days at which each of `AGE_BANDS` ends."""

POPULATION = (0.005, 0.025, 0.06, 0.09, 0.19, 0.18, 0.25, 0.14, 0.06)
"""Share of each of `AGE_BANDS` among patients seen for a new problem: curated, the order of
magnitude of the ambulatory and emergency surveys of high-income countries."""

TEMPO_ENDS = (1.0 / 24.0, 1.0, 10.0, 56.0, _YEAR, np.inf)
"""Days at which each of `TEMPOS` ends: an hour, a day, ten days, eight weeks, a year."""

# Nobody's age or sex is impossible: records err, and shares are orders of magnitude.
_FEWEST = 0.002
# A share of each age band belongs to its neighbours: the bands have no walls.
_SPILLED = 0.08
_TEMPO_FEWEST = 0.03


def age_band(days: float) -> int:
    """Index into `AGE_BANDS` of an age in days.

    >>> AGE_BANDS[age_band(40 * 365.25)]
    '30-44'
    """
    return next(i for i, end in enumerate(AGE_ENDS) if days < end)


def tempo_of_days(days: float) -> int:
    """Index into `TEMPOS` of a time since the first symptom, in days.

    >>> TEMPOS[tempo_of_days(3)]
    'days'
    """
    return next(i for i, end in enumerate(TEMPO_ENDS) if days < end)


class Population:
    """Pretest probabilities and demographic shares of every disease of an index.

    Attributes:
        seen: Patients per patient of each setting, shape (n_diseases, 3); 0 where not curated.
        age, sex, tempo: log10 likelihood ratio of each band, sex (female, male) and
            tempo, shapes (n_diseases, 9), (n_diseases, 2), (n_diseases, 6); 0 where not curated.
        curated: Whether a disease states where it is seen, shape (n_diseases,).
    """

    def __init__(self, arrays: dict[str, Any], log10_attention: FloatArray, config: LikelihoodConfig) -> None:
        self.config = config
        self.seen: FloatArray = arrays["population.seen"]
        self.age: FloatArray = arrays["population.age"]
        self.sex: FloatArray = arrays["population.sex"]
        self.tempo: FloatArray = arrays["population.tempo"]
        self.curated = self.seen.sum(axis=1) > 0.0
        self._attention = log10_attention
        self._pretest: dict[tuple[str, int, str], FloatArray] = {}

    @staticmethod
    def arrays(graph: KnowledgeGraph, diseases: IntArray) -> dict[str, Any]:
        """The tables, from the graph's edges."""
        column_of = {int(node): column for column, node in enumerate(diseases.tolist())}
        seen = _table(graph, column_of, "seen_in", "setting", SETTINGS, "value") / 100_000.0
        age = _table(graph, column_of, "has_age", "age", AGE_BANDS, "frequency")
        sex = _table(graph, column_of, "has_sex", "sex", ("female", "male"), "frequency")
        tempo = _table(graph, column_of, "presents_after", "tempo", TEMPOS, "frequency")
        spilled = age * (1.0 - 2.0 * _SPILLED)
        spilled[:, 1:] += age[:, :-1] * _SPILLED
        spilled[:, :-1] += age[:, 1:] * _SPILLED
        weight = seen.sum(axis=1)
        usual = (tempo * weight[:, None]).sum(axis=0)
        usual = (usual + 1e-9) / (usual + 1e-9).sum()
        return {
            "population.seen": seen.astype(np.float32),
            "population.age": _log10_ratio(spilled, np.asarray(POPULATION), _FEWEST),
            "population.sex": _log10_ratio(sex, np.asarray([0.5, 0.5]), _FEWEST),
            "population.tempo": _log10_ratio(tempo, usual, _TEMPO_FEWEST),
        }

    def log10_pretest(self, record: Record) -> FloatArray:
        """log10 P(disease | setting, age, sex), shape (n_diseases,); adds up to 1."""
        band = age_band(record.age_days) if record.age_days is not None else -1
        key = record.setting, band, record.sex
        known = self._pretest.get(key)
        if known is None:
            known = self._pretest[key] = self._worked_out(*key)
        return known

    def _worked_out(self, setting: str, band: int, sex: str) -> FloatArray:
        config = self.config
        weights = config.setting_weights(setting)
        common = self.seen @ np.asarray(weights, dtype=np.float32)
        if setting == "uniform":
            common = np.where(self.curated, 1.0, 0.0)
        with np.errstate(divide="ignore"):
            log10 = np.log10(common)
        if band >= 0:
            log10 = log10 + self.age[:, band]
        if sex in ("FEMALE", "MALE"):
            log10 = log10 + self.sex[:, int(sex == "MALE")]
        rare = config.rare_share(setting) if setting != "uniform" else float(np.mean(~self.curated))
        total = np.power(10.0, log10[self.curated]).sum()
        shift = np.log10((1.0 - rare) / total) if total > 0.0 else 0.0
        log10 = log10 + shift
        others = ~self.curated
        if others.any():
            attention = self._attention[others]
            among = attention - np.log10(np.power(10.0, attention.astype(np.float64)).sum())
            log10[others] = among + np.log10(rare if total > 0.0 else 1.0)
        out: FloatArray = np.maximum(log10, -12.0).astype(np.float32)
        return out


def _log10_ratio(shares: FloatArray, usual: FloatArray, fewest: float) -> FloatArray:
    """log10 of share over usual share, 0 where a disease states none."""
    stated = shares.sum(axis=1) > 0.0
    kept = shares * (1.0 - fewest) + usual * fewest
    out = np.zeros(shares.shape, dtype=np.float32)
    out[stated] = np.log10(kept[stated] / usual)
    return out


def _table(
    graph: KnowledgeGraph,
    column_of: dict[int, int],
    predicate: str,
    group: str,
    names: tuple[str, ...],
    field: str,
) -> FloatArray:
    edges = graph.edge_columns
    place = {graph.node_id(curie): i for i, n in enumerate(names) if (curie := CONSTANTS[group, n]) in graph}
    out = np.zeros((len(column_of), len(names)))
    values = getattr(edges, field)
    for row in np.flatnonzero(edges.predicate.codes == edges.predicate.code(predicate)).tolist():
        column, at = column_of.get(int(edges.subject[row])), place.get(int(edges.object[row]))
        if column is not None and at is not None:
            out[column, at] = values[row]
    return out
