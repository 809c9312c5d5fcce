"""The reasoning as a networkx graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kgmed.render import view
from kgmed.result import Ranking

if TYPE_CHECKING:
    import networkx

__all__ = ["to_networkx"]


def to_networkx(ranking: Ranking, *, top: int = 5) -> networkx.MultiDiGraph:
    """Findings, diseases, and the edges that the first `top` diagnoses rest on.

    Two kinds of edge, told apart by the attribute `kind`:

    - `fact`: an edge of the knowledge graph, subject to object, with `predicate`,
      `negated`, `frequency`, `sources` (references, then the source), `evidence`.
    - `evidence`: finding to disease, with `log10_lr`, `match`, `matched_term`,
      `p_if_disease`, `p_if_not`, `scorer`, `calibrated`, `sources`. Evidence without
      a finding (age, prevalence) starts at a node such as `kgmed:prevalence`, so the
      calibrated `log10_lr` into a disease add up to what moved its probability.

    Node attributes: `name`, `kind` (`finding`, `disease`, `term`, `other`); findings
    have `excluded` and `origin`, diseases `rank`, `pretest_probability` and
    `posttest_probability`. Unknown values are left out and lists are joined by `|`,
    so the graph can be written as GraphML or GEXF.
    """
    import networkx

    graph = networkx.MultiDiGraph()
    facts: set[object] = set()

    def node(curie: str, kind: str, **attributes: Any) -> None:
        graph.add_node(curie, name=view.short_name(ranking, curie), kind=kind, **attributes)

    for diagnosis in ranking.top(top):
        node(
            diagnosis.disease,
            "disease",
            rank=diagnosis.rank,
            pretest_probability=diagnosis.pretest_probability,
            posttest_probability=diagnosis.posttest_probability,
        )
    for finding in ranking.case.findings:
        node(finding.term, "finding", excluded=finding.excluded, origin=view.origin(finding))
    for diagnosis in ranking.top(top):
        for evidence in diagnosis.explanation:
            start = evidence.finding.term if evidence.finding else f"kgmed:{evidence.match}"
            if start not in graph:
                node(start, "finding" if evidence.finding else "other")
            sources: list[str] = []
            for edge, _ in evidence.path:
                sources += [s for s in (*edge.references, edge.source) if s and s not in sources]
                for curie in (edge.subject, edge.object):
                    if curie not in graph:
                        node(curie, "term")
                if edge not in facts:
                    facts.add(edge)
                    attributes = {
                        "kind": "fact",
                        "predicate": edge.predicate,
                        "negated": edge.negated,
                        "frequency": edge.frequency,
                        "numerator": edge.numerator,
                        "denominator": edge.denominator,
                        "sources": "|".join(s for s in (*edge.references, edge.source) if s),
                        "evidence": edge.evidence,
                    }
                    graph.add_edge(
                        edge.subject, edge.object, **{k: v for k, v in attributes.items() if v is not None}
                    )
            attributes = {
                "kind": "evidence",
                "log10_lr": evidence.log10_lr,
                "match": evidence.match,
                "matched_term": evidence.matched_term,
                "p_if_disease": evidence.p_if_disease,
                "p_if_not": evidence.p_if_not,
                "scorer": evidence.scorer,
                "calibrated": evidence.calibrated,
                "sources": "|".join(sources),
            }
            graph.add_edge(start, diagnosis.disease, **{k: v for k, v in attributes.items() if v is not None})
    return graph
