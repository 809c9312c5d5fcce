"""Rank diseases with pyhpo (runs in its own virtual environment; see `driver.py`).

Two rankings: hypergeometric enrichment, and set similarity (GraphIC, funSimAvg:
the library's defaults). pyhpo brings its own ontology and annotations.
"""

from __future__ import annotations

from protocol import serve
from pyhpo import HPOSet, Ontology, stats

Ontology()
model = stats.EnrichmentModel("omim")
diseases = list(Ontology.omim_diseases)
curies = [f"OMIM:{disease.id}" for disease in diseases]
profiles = [disease.hpo_set() for disease in diseases]


def query_set(terms: list[str]) -> HPOSet:
    kept = []
    for term in terms:
        try:
            kept.append(Ontology.get_hpo_object(term).id)
        except (RuntimeError, ValueError, KeyError):
            continue
    return HPOSet.from_queries(kept)


def enrichment(terms: list[str]) -> dict[str, float]:
    found = model.enrichment("hypergeom", query_set(terms))
    return {f"OMIM:{row['item'].id}": -row["enrichment"] for row in found}


def similarity(terms: list[str]) -> dict[str, float]:
    query = query_set(terms)
    return {
        curie: query.similarity(profile, kind="omim", method="graphic", combine="funSimAvg")
        for curie, profile in zip(curies, profiles, strict=True)
    }


serve({"pyhpo-enrichment": enrichment, "pyhpo-similarity": similarity}, curies)
