"""The metrics against plain references, known values and their invariants."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed import metrics
from kgmed.errors import InputError

scores = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)
ranks = st.lists(st.one_of(st.integers(1, 30).map(float), st.just(math.inf)), min_size=1, max_size=20)
predictions = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=40)
grouped = st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcd")), min_size=1, max_size=25)


@given(scores)
def test_ranks_of_all_items_sum_to_the_sum_of_the_places(values: list[float]) -> None:
    n = len(values)
    total = sum(metrics.rank_of_gold(values, i) for i in range(n))
    assert total == pytest.approx(n * (n + 1) / 2)


@given(scores, st.randoms())
def test_the_order_of_the_others_does_not_change_the_rank(values: list[float], random: object) -> None:
    others = values[1:]
    random.shuffle(others)  # type: ignore[attr-defined]
    assert metrics.rank_of_gold([values[0], *others], 0) == metrics.rank_of_gold(values, 0)


@given(scores)
def test_rank_agrees_with_the_mean_place_over_both_ways_of_breaking_ties(values: list[float]) -> None:
    best = 1 + sum(v > values[0] for v in values)
    worst = sum(v >= values[0] for v in values)
    assert metrics.rank_of_gold(values, 0) == (best + worst) / 2


def test_giving_everything_the_same_score_earns_no_hit() -> None:
    rank = metrics.rank_of_gold(np.zeros(101), gold=7)
    assert rank == 51
    assert metrics.top_k([rank], 10).tolist() == [0.0]


@given(ranks)
def test_top_k_grows_with_k_and_bounds_the_reciprocal_rank(values: list[float]) -> None:
    hits = [metrics.top_k(values, k).mean() for k in (1, 3, 10, 30)]
    assert hits == sorted(hits)
    assert hits[0] <= metrics.reciprocal_rank(values).mean() <= hits[-1]


def test_known_ranks() -> None:
    values = [1, 1.5, 2, 4, math.inf]
    assert metrics.top_k(values, 1).mean() == pytest.approx(0.2)
    assert metrics.top_k(values, 3).mean() == pytest.approx(0.6)
    assert metrics.reciprocal_rank(values).mean() == pytest.approx((1 + 2 / 3 + 1 / 2 + 1 / 4) / 5)


@given(grouped)
def test_macro_average_is_the_mean_of_the_means(pairs: list[tuple[int, str]]) -> None:
    by_group = defaultdict(list)
    for value, group in pairs:
        by_group[group].append(value)
    expected = fmean(fmean(values) for values in by_group.values())
    values, groups = zip(*pairs, strict=True)
    assert metrics.macro_average(values, groups) == pytest.approx(expected)


@given(grouped)
def test_interval_holds_its_value_type_and_repeats(pairs: list[tuple[int, str]]) -> None:
    values, groups = zip(*pairs, strict=True)
    for by in (None, groups):
        interval = metrics.bootstrap_interval(values, groups=by, seed=3, n=50)
        assert interval == metrics.bootstrap_interval(values, groups=by, seed=3, n=50)
        assert 0 <= interval.low <= interval.high <= 1
        expected = fmean(values) if by is None else metrics.macro_average(values, groups)
        assert interval.value == pytest.approx(expected)


def test_interval_is_as_wide_as_the_normal_one_on_many_values() -> None:
    values = np.tile([0.0, 0.0, 0.0, 1.0], 250)
    interval = metrics.bootstrap_interval(values, seed=1)
    half = 1.96 * math.sqrt(0.25 * 0.75 / len(values))
    assert interval.value == 0.25
    assert interval.low == pytest.approx(0.25 - half, abs=0.003)
    assert interval.high == pytest.approx(0.25 + half, abs=0.003)


def test_drawing_diseases_widens_the_interval_when_cases_of_one_disease_agree() -> None:
    values = [1.0] * 50 + [0.0] * 50
    diseases = ["a"] * 50 + ["b"] * 50
    by_case = metrics.bootstrap_interval(values)
    by_disease = metrics.bootstrap_interval(values, groups=diseases)
    assert by_disease.high - by_disease.low > by_case.high - by_case.low


@given(predictions, st.integers(1, 15))
def test_calibration_error_agrees_with_a_plain_reference(pairs: list[tuple[float, int]], bins: int) -> None:
    expected = 0.0
    for i in range(bins):
        inside = [(p, y) for p, y in pairs if i < p * bins <= i + 1 or (i == 0 and p == 0)]
        if inside:
            gap = abs(fmean(p for p, _ in inside) - fmean(y for _, y in inside))
            expected += gap * len(inside) / len(pairs)
    probabilities, outcomes = zip(*pairs, strict=True)
    assert metrics.expected_calibration_error(probabilities, outcomes, bins=bins) == pytest.approx(expected)


@given(predictions)
def test_reliability_table_counts_every_prediction_once(pairs: list[tuple[float, int]]) -> None:
    probabilities, outcomes = zip(*pairs, strict=True)
    table = metrics.reliability_table(probabilities, outcomes)
    assert sum(line.n for line in table) == len(pairs)
    for line in table:
        assert line.n == 0 or line.low - 1e-12 <= line.mean_probability <= line.high + 1e-12


def test_reliability_bins_close_at_their_upper_edge() -> None:
    table = metrics.reliability_table([0.0, 0.5, 0.51, 1.0], [0, 1, 0, 1], bins=2)
    assert [line.n for line in table] == [2, 2]
    assert math.isnan(metrics.reliability_table([0.9], [1], bins=2)[0].observed)


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_agreement_counts(predicted: set[int], gold: set[int]) -> None:
    found = metrics.agreement(predicted, gold)
    assert found.true_positives + found.false_positives == len(predicted)
    assert found.true_positives + found.false_negatives == len(gold)
    if found.true_positives:
        assert found.f1 == pytest.approx(
            2 * found.precision * found.recall / (found.precision + found.recall)
        )
    else:
        assert found.f1 == found.precision == found.recall == 0


def test_agreement_adds_up_over_documents() -> None:
    total = metrics.agreement("ab", "ac") + metrics.agreement("d", "d")
    assert (total.precision, total.recall, total.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.rank_of_gold([1.0, math.nan], 0),
        lambda: metrics.rank_of_gold([1.0], 1),
        lambda: metrics.top_k([0.5], 1),
        lambda: metrics.top_k([1.0], 0),
        lambda: metrics.reciprocal_rank([math.nan]),
        lambda: metrics.macro_average([], []),
        lambda: metrics.macro_average([1.0], []),
        lambda: metrics.bootstrap_interval([1.0], n=0),
        lambda: metrics.bootstrap_interval([1.0], confidence=1.0),
        lambda: metrics.reliability_table([1.2], [1]),
        lambda: metrics.reliability_table([0.2], [1], bins=0),
        lambda: metrics.expected_calibration_error([0.2], [0.5]),
        lambda: metrics.brier_score([0.2, 0.3], [1]),
    ],
)
def test_wrong_input_is_refused(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]
