"""A graph of a few terms, enough for every way in which a code can be known or not."""

from __future__ import annotations

import pytest

from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Mapping, Ontology, Synonym, Term


def small_graph() -> KnowledgeGraph:
    names = {
        "HP:0000118": "Phenotypic abnormality",
        "HP:0001250": "Seizure",
        "HP:0002373": "Febrile seizure",
        "HP:0007359": "Focal-onset seizure",
        "HP:0001251": "Ataxia",
        "HP:0000822": "Hypertension",
        "HP:0001945": "Fever",
    }
    above = {
        "HP:0001250": "HP:0000118",
        "HP:0002373": "HP:0001250",
        "HP:0007359": "HP:0001250",
        "HP:0001251": "HP:0000118",
        "HP:0000822": "HP:0000118",
        "HP:0001945": "HP:0000118",
    }
    return KnowledgeGraph.compile(
        Ontology(
            terms=[
                *(Term(curie=curie, name=name) for curie, name in names.items()),
                Term(curie="HP:0000001", name="obsolete Fit", obsolete=True, replaced_by="HP:0001250"),
                Term(curie="HP:0000002", name="obsolete Ataxias", obsolete=True),
                Term(curie="HP:0003577", name="Congenital onset", kind="onset"),
                Term(curie="MONDO:0007947", name="Marfan syndrome", kind="disease"),
            ],
            synonyms=[
                Synonym(term="HP:0001250", text="Epileptic fit"),
                Synonym(term="HP:0001251", text="Unsteady"),
                Synonym(term="HP:0000822", text="Unsteady"),
            ],
            edges=[Edge(subject=s, predicate="is_a", object=o) for s, o in above.items()],
            mappings=[
                Mapping(term="MONDO:0007947", other="OMIM:154700"),
                Mapping(term="HP:0001250", other="SCTID:91175000"),
                Mapping(term="HP:0001251", other="ICD10CM:R27"),
                Mapping(term="HP:0001250", other="ICD10CM:R56"),
                Mapping(term="HP:0002373", other="ICD10CM:R56"),
            ],
        )
    )


@pytest.fixture(scope="session")
def graph() -> KnowledgeGraph:
    return small_graph()
