"""How good a ranking, a probability or a tagger is: pure functions on numbers.

Nothing here knows what a disease is. Ranks are 1-based and may be fractional (see
`rank_of_gold`); a gold that a system cannot rank at all has rank `inf`, which
counts as a miss everywhere. Proportions are 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kgmed.errors import InputError

__all__ = [
    "MISS",
    "Agreement",
    "Interval",
    "ReliabilityBin",
    "agreement",
    "bootstrap_interval",
    "brier_score",
    "expected_calibration_error",
    "macro_average",
    "rank_of_gold",
    "reciprocal_rank",
    "reliability_table",
    "top_k",
]

Floats = npt.NDArray[np.float64]

MISS = math.inf
"""The rank of a gold that the system does not rank at all."""


def rank_of_gold(scores: npt.ArrayLike, gold: int) -> float:
    """The 1-based rank of one item, where a higher score is better.

    A tie counts as the mean of the ranks that the tied items share ("fractional
    ranking"): the rank expected if ties were broken at random. A system gains
    nothing by giving everything the same score, and the order in which it happens
    to list its ties changes nothing.

    Args:
        scores: Shape (n,), no NaN.
        gold: Index of the right answer.

    Raises:
        InputError: If `scores` holds NaN, or `gold` is out of range.

    Example:
        >>> rank_of_gold([0.9, 0.5, 0.5, 0.1], gold=0)
        1.0
        >>> rank_of_gold([0.9, 0.5, 0.5, 0.1], gold=1)  # ranks 2 and 3
        2.5
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not 0 <= gold < len(values):
        raise InputError(f"gold index {gold} does not fit scores of shape {values.shape}")
    if np.isnan(values).any():
        raise InputError("scores hold NaN, which cannot be ranked")
    better = int(np.count_nonzero(values > values[gold]))
    tied = int(np.count_nonzero(values == values[gold]))
    return better + (tied + 1) / 2


def top_k(ranks: npt.ArrayLike, k: int) -> Floats:
    """1 where the gold is among the first `k`, else 0; shape (n,).

    A fractional rank is a hit when it is at most `k`: a gold tied with one other
    at ranks 1 and 2 (rank 1.5) is no top-1 hit.

    Example:
        >>> top_k([1, 1.5, 4, float("inf")], 3).tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")
    return (_ranks(ranks) <= k).astype(np.float64)


def reciprocal_rank(ranks: npt.ArrayLike) -> Floats:
    """1 / rank, and 0 for a miss; shape (n,). Its mean is the mean reciprocal rank.

    Source: Voorhees, TREC-8 Question Answering Track Report, 1999.

    Example:
        >>> float(reciprocal_rank([1, 2, float("inf")]).mean())
        0.5
    """
    return 1.0 / _ranks(ranks)


def macro_average(values: npt.ArrayLike, groups: Sequence[Hashable]) -> float:
    """The mean over groups of each group's mean: every disease counts the same.

    Args:
        values: Shape (n,).
        groups: The group (disease) of each value.

    Raises:
        InputError: If there are no values, or the lengths differ.

    Example:
        >>> macro_average([1, 1, 1, 0], ["a", "a", "a", "b"])
        0.5
    """
    sums, counts = _per_group(_values(values), groups)
    return float((sums / counts).mean())


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    values: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
    n: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Mean with a percentile bootstrap interval.

    Without `groups`, cases are drawn with replacement. With `groups`, the value is
    the macro average and whole groups are drawn, because cases of one disease are
    not independent of each other.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Args:
        values: Shape (n,).
        groups: The group (disease) of each value, or None.
        seed: Seed of the random draws; the same seed gives the same interval.
        n: Number of draws.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        InputError: If there are no values, the lengths differ, or an argument is out of range.

    Example:
        >>> bootstrap_interval([1, 1, 1, 1])
        Interval(value=1.0, low=1.0, high=1.0)
    """
    if n < 1 or not 0 < confidence < 1:
        raise InputError("n must be positive and confidence between 0 and 1")
    data = _values(values)
    if groups is not None:
        sums, counts = _per_group(data, groups)
        data = sums / counts
    generator = np.random.default_rng(seed)
    means = np.empty(n)
    # In blocks, so that memory stays below some 16 MB however many values there are.
    block = max(1, 2_000_000 // len(data))
    for start in range(0, n, block):
        rows = min(block, n - start)
        draws = generator.integers(0, len(data), size=(rows, len(data)))
        means[start : start + rows] = data[draws].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(data.mean()), float(low), float(high))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One line of a reliability table.

    Attributes:
        low, high: The bin: low < probability <= high (the first holds 0 too).
        n: Predictions that fall in it.
        mean_probability: Their mean, NaN when there are none.
        observed: Share of them that came true, NaN when there are none.
    """

    low: float
    high: float
    n: int
    mean_probability: float
    observed: float


def reliability_table(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, *, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Predicted against observed, in `bins` bins of equal width.

    Source: DeGroot and Fienberg, The Statistician 32, 1983.

    Raises:
        InputError: If a probability is outside 0..1, an outcome is not 0 or 1, or the lengths differ.

    Example:
        >>> for line in reliability_table([0.1, 0.2, 0.9], [0, 0, 1], bins=2):
        ...     print(line.n, round(line.mean_probability, 2), line.observed)
        2 0.15 0.0
        1 0.9 1.0
    """
    predicted, came_true = _predictions(probabilities, outcomes)
    if bins < 1:
        raise InputError("bins must be at least 1")
    # ceil puts the upper edge into the bin that it closes.
    index = np.clip(np.ceil(predicted * bins).astype(int) - 1, 0, bins - 1)
    table = []
    for i in range(bins):
        inside = index == i
        count = int(inside.sum())
        table.append(
            ReliabilityBin(
                low=i / bins,
                high=(i + 1) / bins,
                n=count,
                mean_probability=float(predicted[inside].mean()) if count else math.nan,
                observed=float(came_true[inside].mean()) if count else math.nan,
            )
        )
    return tuple(table)


def expected_calibration_error(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, *, bins: int = 10
) -> float:
    """Mean absolute gap between predicted and observed, weighted by bin size.

    ECE = sum over bins of n_b / n * |observed_b - mean_probability_b|
    (Naeini et al., AAAI 2015; Guo et al., ICML 2017), equal-width bins.

    Raises:
        InputError: As `reliability_table`.

    Example:
        Four predictions of 0.8 of which three came true:

        >>> round(expected_calibration_error([0.8] * 4, [1, 1, 1, 0]), 3)
        0.05
    """
    table = reliability_table(probabilities, outcomes, bins=bins)
    total = sum(line.n for line in table)
    return sum(line.n / total * abs(line.observed - line.mean_probability) for line in table if line.n)


def brier_score(probabilities: npt.ArrayLike, outcomes: npt.ArrayLike) -> float:
    """Mean squared gap between probability and outcome (Brier, Monthly Weather Review 78, 1950).

    Example:
        >>> brier_score([1.0, 0.5], [1, 0])
        0.125
    """
    predicted, came_true = _predictions(probabilities, outcomes)
    return float(((predicted - came_true) ** 2).mean())


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a set of predicted items meets the right ones.

    Attributes:
        true_positives, false_positives, false_negatives: Counts.
    """

    true_positives: int
    false_positives: int
    false_negatives: int

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def precision(self) -> float:
        """tp / (tp + fp); 0 when nothing was predicted."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """tp / (tp + fn); 0 when there was nothing to find."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn), the harmonic mean of the two; 0 when all are 0."""
        both = 2 * self.true_positives
        return _ratio(both, both + self.false_positives + self.false_negatives)


def agreement(predicted: Iterable[Hashable], gold: Iterable[Hashable]) -> Agreement:
    """Exact agreement of two sets of items: CURIEs, or (start, end, CURIE) for entities.

    Add the results of several documents for the micro average.

    Example:
        >>> found = agreement({(0, 5, "HP:1"), (9, 12, "HP:2")}, {(0, 5, "HP:1")})
        >>> found.precision, found.recall, round(found.f1, 3)
        (0.5, 1.0, 0.667)
    """
    said, right = set(predicted), set(gold)
    return Agreement(len(said & right), len(said - right), len(right - said))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _values(values: npt.ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or not len(data):
        raise InputError("an average needs at least one value, in one dimension")
    return data


def _ranks(ranks: npt.ArrayLike) -> Floats:
    data = np.asarray(ranks, dtype=np.float64)
    if not (data >= 1).all():  # NaN fails this too
        raise InputError("ranks start at 1; a gold that is not ranked has rank inf")
    return data


def _per_group(data: Floats, groups: Sequence[Hashable]) -> tuple[Floats, npt.NDArray[Any]]:
    if len(groups) != len(data):
        raise InputError(f"{len(data)} values but {len(groups)} groups")
    index: dict[Hashable, int] = {}
    codes = np.asarray([index.setdefault(group, len(index)) for group in groups])
    sums: Floats = np.bincount(codes, weights=data).astype(np.float64)
    return sums, np.bincount(codes)


def _predictions(probabilities: npt.ArrayLike, outcomes: npt.ArrayLike) -> tuple[Floats, Floats]:
    predicted, came_true = _values(probabilities), _values(outcomes)
    if len(predicted) != len(came_true):
        raise InputError(f"{len(predicted)} probabilities but {len(came_true)} outcomes")
    if not ((predicted >= 0) & (predicted <= 1)).all():
        raise InputError("probabilities must be between 0 and 1")
    if not np.isin(came_true, (0.0, 1.0)).all():
        raise InputError("outcomes must be 0 or 1")
    return predicted, came_true
