"""What to ask or test next: expected information gain for its cost."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from kgmed.curated.card import FOUND_BY
from kgmed.curated.compile import CONSTANTS
from kgmed.graph import KnowledgeGraph

__all__ = ["COST", "Methods", "gains"]

COST = {"history": 1.0, "exam": 1.5, "lab": 4.0, "test": 5.0, "imaging": 8.0}
"""Relative cost (time, burden, money) of finding out, by how a finding is found; curated."""
UNKNOWN_METHOD = "exam"


class Methods:
    """How each finding is found: the `found_by` edges of a graph."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        self._of: dict[str, str] = {}
        for name in FOUND_BY:
            if (curie := CONSTANTS["found by", name]) in graph:
                for edge in graph.edges(None, "found_by", curie):
                    self._of[edge.subject] = name

    def __getitem__(self, finding: str) -> str:
        return self._of.get(finding, "")

    def cost(self, finding: str) -> float:
        """Cost of one finding; an unknown one costs what examining does."""
        return COST[self._of.get(finding, UNKNOWN_METHOD)]


def gains(
    share: np.ndarray[Any, Any], table: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Expected information gain of each question, in bits, and the chance of a yes.

    Args:
        share: Probability of each disease, shape (n,), sum 1.
        table: P(finding | disease), shape (n, n_questions).

    Returns:
        Mutual information between answer and disease, shape (n_questions,), and
        P(yes), shape (n_questions,). Cover and Thomas, Elements of Information
        Theory, ch. 2.

    >>> gain, chance = gains(np.array([0.5, 0.5]), np.array([[1.0, 0.5], [0.0, 0.5]]))
    >>> gain.round(3).tolist(), chance.tolist()
    ([1.0, 0.0], [0.5, 0.5])
    """
    chance = share @ table
    with np.errstate(divide="ignore", invalid="ignore"):
        yes = np.nan_to_num(share[:, None] * table / chance)
        no = np.nan_to_num(share[:, None] * (1.0 - table) / (1.0 - chance))
    gain = _entropy(share) - chance * _entropy(yes) - (1.0 - chance) * _entropy(no)
    return np.maximum(gain, 0.0), chance


def _entropy(p: np.ndarray[Any, Any]) -> Any:
    """Entropy in bits along the first axis."""
    return -(p * np.log2(np.maximum(p, 1e-300))).sum(axis=0)


def allowed(methods: Methods, finding: str, wanted: Collection[str]) -> bool:
    """Whether a finding is found in one of the wanted ways; an unknown one by any that examines."""
    return not wanted or (methods[finding] or UNKNOWN_METHOD) in wanted
