"""A small graph with names in the style of HPO and MONDO."""

import pytest

from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Ontology, Synonym, Term
from kgmed.text import TextReader

FINDINGS = {
    "HP:0001250": ("Seizure", "Epileptic fit", "Epilepsy"),
    "HP:0002315": ("Headache",),
    "HP:0001945": ("Fever", "Pyrexia"),
    "HP:0000365": ("Hearing impairment", "Hearing loss", "Deafness"),
    "HP:0000407": ("Sensorineural hearing impairment", "Sensorineural hearing loss"),
    "HP:0000598": ("Abnormality of the ear", "Ear anomaly"),
    "HP:0002079": ("Hypoplasia of the corpus callosum",),
    "HP:0009778": ("Short thumb",),
    "HP:0009777": ("Absent thumb",),
    "HP:0011304": ("Broad thumb",),
    "HP:0010741": ("Pedal edema", "Edema of the lower limbs"),
    "HP:0001903": ("Anemia", "Low number of red blood cells"),
    "HP:0001629": ("Ventricular septal defect", "VSD"),
    "HP:0002017": ("Nausea and vomiting",),
    "HP:0100749": ("Chest pain",),
    "HP:0001744": ("Splenomegaly",),
    "HP:0001251": ("Ataxia",),
    "HP:0004467": ("Preauricular pit",),
    "HP:0001792": ("Small nail", "Hypoplastic nail"),
    "HP:0001798": ("Anonychia", "Absent nail"),
    "HP:0003546": ("Exercise intolerance",),
    "HP:0001249": ("Intellectual disability",),
    "HP:0010864": ("Intellectual disability, severe", "Severe mental retardation"),
    "HP:0000028": ("Cryptorchidism", "Undescended testis"),
    "HP:0001730": ("Progressive hearing impairment", "Progressive hearing loss"),
    "HP:0002069": ("Bilateral tonic-clonic seizure", "Generalized tonic-clonic seizures"),
    "HP:0020221": ("Clonic seizure",),
    "HP:0000006": ("Retired name",),
}
DISEASES = {
    "MONDO:0007947": ("Marfan syndrome", "MFS"),
    "MONDO:0011382": ("sickle cell anemia",),
    "MONDO:0002280": ("anemia",),
}


def small_ontology() -> Ontology:
    ontology = Ontology()
    for kind, table in (("finding", FINDINGS), ("disease", DISEASES)):
        for curie, (name, *synonyms) in table.items():
            ontology.terms.append(Term(curie=curie, name=name, kind=kind, obsolete=curie == "HP:0000006"))
            ontology.synonyms += [Synonym(term=curie, text=text) for text in synonyms]
    ontology.edges.append(Edge(subject="HP:0000407", predicate="is_a", object="HP:0000365"))
    return ontology


@pytest.fixture(scope="session")
def graph() -> KnowledgeGraph:
    return KnowledgeGraph.compile(small_ontology())


@pytest.fixture(scope="session")
def reader(graph: KnowledgeGraph) -> TextReader:
    return TextReader(graph)
