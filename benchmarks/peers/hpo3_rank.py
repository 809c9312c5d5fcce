"""Rank diseases with hpo3 (runs in its own virtual environment; see `driver.py`).

Two rankings: hypergeometric enrichment, and set similarity (GraphIC, funSimAvg:
the library's defaults). hpo3 brings its own ontology and annotations.
"""

from __future__ import annotations

from protocol import serve
from pyhpo import HPOSet, Ontology, stats

Ontology()
model = stats.EnrichmentModel("omim")
diseases = list(Ontology.omim_diseases)
curies = [f"OMIM:{disease.id}" for disease in diseases]
profiles = [disease.hpo_set() for disease in diseases]


def known(terms: list[str]) -> list[str]:
    kept = []
    for term in terms:
        try:
            kept.append(Ontology.hpo(int(term[3:])).id)
        except KeyError:
            continue
    return kept


def enrichment(terms: list[str]) -> dict[str, float]:
    found = model.enrichment("hypergeom", HPOSet.from_queries(known(terms)))
    return {f"OMIM:{row['item'].id}": -row["enrichment"] for row in found}


def similarity(terms: list[str]) -> dict[str, float]:
    query = HPOSet.from_queries(known(terms))
    return dict(zip(curies, query.similarity_scores(profiles, "omim", "graphic", "funSimAvg"), strict=True))


serve({"hpo3-enrichment": enrichment, "hpo3-similarity": similarity}, curies)
