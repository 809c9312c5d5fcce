"""Two diseases at once: whether a pair explains the findings better than any one disease."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from kgmed.record import Case
from kgmed.score.likelihood import LikelihoodIndex

__all__ = ["best_pairs"]

_AMONG = 15
"""Pairs are made of so many of the likeliest diseases: a pair with an unlikely member is unlikelier."""
_TELLS = 0.3  # log10: a member must explain a finding so much better than the other to be needed


def best_pairs(
    index: LikelihoodIndex,
    case: Case,
    weights: np.ndarray[Any, Any],
    related: set[frozenset[int]],
    n: int,
) -> list[tuple[int, int, float, tuple[str, ...], tuple[str, ...]]]:
    """The pairs that beat the best single disease.

    Both diseases cause findings on their own (noisy-OR; Pearl, Probabilistic Reasoning in
    Intelligent Systems, 1988, ch. 4), above the background that is there without either:

        P(f | a, b) = 1 - (1 - P(f | a)) (1 - P(f | b)) / (1 - P(f))

    and are independent before the findings, so their pretest probabilities multiply.

    Args:
        index: Compiled frequencies.
        case: The patient.
        weights: log10 posttest weight of every disease, shape (n_diseases,).
        related: Pairs of columns that are one disease and its kind, which are no pair.
        n: How many to return.

    Returns:
        (column, column, log10 of how much likelier than the best single disease,
        findings that the first explains, and those that the second explains), best first.
    """
    columns = np.argsort(-weights, kind="stable")[:_AMONG]
    temperature = index.temperature(case)
    rows = [(c, row, False) for c in sorted(case.present) if (row := index.row(c)) is not None]
    rows += [(c, row, True) for c in sorted(case.excluded) if (row := index.row(c)) is not None]
    alone = np.zeros((len(rows), len(columns)))
    for at, (_, row, excluded) in enumerate(rows):
        known, values = index.excluded_row(row) if excluded else index.present_row(row)
        dense = np.zeros(len(index), dtype=np.float32)
        dense[known] = values
        alone[at] = dense[columns]
    background = np.asarray([float(index.background[row]) for _, row, _ in rows])
    present = np.asarray([not excluded for _, _, excluded in rows], dtype=bool)
    p = np.minimum(background[:, None] * 10.0**alone, 0.99)
    pretest = index.population.log10_pretest(case.record) * index.config.prevalence
    best = float(weights.max())
    found = []
    for a, b in itertools.combinations(range(len(columns)), 2):
        if frozenset((int(columns[a]), int(columns[b]))) in related:
            continue
        both = 1.0 - (1.0 - p[:, a]) * (1.0 - p[:, b]) / (1.0 - background)
        ratios = np.where(present, np.log10(np.maximum(both, 1e-9) / background), alone[:, a] + alone[:, b])
        gained = float((ratios - alone[:, a]).sum()) * temperature + float(pretest[columns[b]])
        total = float(weights[columns[a]]) + gained
        if total <= best:
            continue
        of_a = tuple(
            c
            for (c, _, x), u, v in zip(rows, alone[:, a], alone[:, b], strict=True)
            if not x and u > v + _TELLS
        )
        of_b = tuple(
            c
            for (c, _, x), u, v in zip(rows, alone[:, a], alone[:, b], strict=True)
            if not x and v > u + _TELLS
        )
        if of_a and of_b:
            found.append((int(columns[a]), int(columns[b]), total - best, of_a, of_b))
    found.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    return found[:n]
