"""How soon the patient needs to be seen, from the differential and the red flags."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgmed.curated.card import TRIAGE
from kgmed.curated.compile import CONSTANTS
from kgmed.graph import KnowledgeGraph
from kgmed.result import RedFlag, Triage, TriageLevel

__all__ = ["PLAUSIBLE", "TriageTable"]

IntArray = np.ndarray[Any, np.dtype[Any]]

PLAUSIBLE: dict[TriageLevel, float] = {"emergency": 0.12, "urgent": 0.45, "routine": 0.6}
"""Posttest probability from which the diseases of a level, together, decide: the more a
delay costs, the less likely a disease need be. Curated; chosen on dev vignettes and on others
written for the purpose."""
_OF_FLAG: dict[str, TriageLevel] = {"emergency": "emergency", "urgent": "urgent", "soon": "routine"}
_LEVELS: tuple[TriageLevel, ...] = ("self-care", "routine", "urgent", "emergency")


class TriageTable:
    """The triage level that each disease's usual untreated presentation needs.

    Args:
        graph: Its `has_triage` edges.
        diseases: Nodes, shape (n_diseases,).
    """

    def __init__(self, graph: KnowledgeGraph, diseases: IntArray) -> None:
        self._graph = graph
        self.levels = np.full(len(diseases), -1, dtype=np.int8)
        columns = {int(node): column for column, node in enumerate(diseases.tolist())}
        for level, name in enumerate(TRIAGE):
            if (curie := CONSTANTS["triage", name]) in graph:
                for edge in graph.edges(None, "has_triage", curie):
                    if (column := columns.get(graph.node_id(edge.subject))) is not None:
                        self.levels[column] = level

    def triage(
        self, share: np.ndarray[Any, Any], diseases: tuple[str, ...], flags: tuple[RedFlag, ...]
    ) -> Triage:
        """The level, never below what a plausible dangerous disease or a red flag demands.

        Args:
            share: Posttest probability of each disease, shape (n_diseases,).
            diseases: Their CURIEs.
            flags: Red flags of the patient.
        """
        for level in (3, 2, 1):
            name = _LEVELS[level]
            raised = tuple(f for f in flags if _LEVELS.index(_OF_FLAG[f.urgency]) >= level)
            demanding = np.flatnonzero(self.levels >= level)
            together = float(share[demanding].sum())
            plausible = together >= PLAUSIBLE[name]
            # What no card speaks of is nobody's self-care.
            unknown = level == 1 and together + float(share[self.levels < 0].sum()) >= PLAUSIBLE[name]
            if not (raised or plausible or unknown):
                continue
            reasons = [f"red flag: {flag.name}" for flag in raised]
            basis: tuple[str, ...] = ()
            if plausible:
                best = demanding[np.argsort(-share[demanding], kind="stable")][:3]
                # The first is named however little it has: many small ones may come to this together.
                basis = tuple(
                    diseases[c]
                    for i, c in enumerate(best.tolist())
                    if i == 0 or share[c] >= PLAUSIBLE[name] / 3.0
                )
                names = ", ".join(
                    f"{self._graph.name(d)} ({share[c]:.0%})" for d, c in zip(basis, best, strict=False)
                )
                reasons.append(f"{together:.0%} for diseases that need this: {names}")
            if unknown and not plausible:
                reasons.append("some of the likely diseases state no urgency")
            return Triage(level=name, reason="; ".join(reasons), diseases=basis, red_flags=raised)
        return Triage(level="self-care", reason="no red flag, and nothing likely that needs more")
