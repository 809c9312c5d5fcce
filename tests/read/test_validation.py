"""`kgmed.validate` says in plain words what is wrong, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

import kgmed
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Ontology, Term
from kgmed.record import Issue
from kgmed.resources import ontologies_folder

HEAD = """@prefix kgmed: <https://kgmed.org/ns#> .
@prefix obo: <http://purl.obolibrary.org/obo/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix X: <http://example.org/x/> .
X:f a kgmed:Finding ; rdfs:label "Green sweat" .
X:d a kgmed:Disease ; rdfs:label "Sweating sickness" ;
"""


def issues(folder: Path, text: str, graph: KnowledgeGraph | None = None) -> tuple[Issue, ...]:
    path = folder / "a.ttl"
    path.write_text(HEAD + text)
    return kgmed.validate(path, graph=graph)


def test_a_valid_ontology_has_no_issue(tmp_path: Path) -> None:
    assert issues(tmp_path, "kgmed:hasPhenotype [ kgmed:finding X:f ; kgmed:frequency 0.5 ] .") == ()


def test_the_example_is_valid(graph: KnowledgeGraph) -> None:
    path = ontologies_folder() / "examples" / "toxidromes.ttl"
    assert kgmed.validate(path) == ()
    assert kgmed.validate(path, graph=graph) == ()


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        (
            "kgmed:hasPhenotype\n X:f , [ kgmed:finding X:f ; kgmed:frequency 1.5 ] .",
            "shape-frequency",
            10,
            "not between 0 and 1",
        ),
        (
            "kgmed:hasPhenotype [ kgmed:finding X:f ; kgmed:numerator 3 ; kgmed:denominator 2 ; "
            "kgmed:frequency 0.5 ] .",
            "shape-numerator",
            9,
            "numerator is larger",
        ),
        (
            "kgmed:hasPhenotype [ kgmed:finding X:f ; kgmed:numerator 0 ; kgmed:denominator 0 ] .",
            "shape-denominator",
            9,
            "denominator is 0",
        ),
        (
            "kgmed:hasPhenotype X:f . X:e a kgmed:Disease ;\n kgmed:hasPhenotype X:f .",
            "shape-label",
            9,
            "has no name",
        ),
        ("kgmed:hasPhenotype X:f , X:g .", "unknown-term", 9, "nothing defines X:g"),
        (
            "kgmed:hasPhenotype X:f , X:g .\nX:g rdfs:label 'Old' ; rdfs:subClassOf X:f ;"
            " owl:deprecated true ; obo:IAO_0100001 X:f .",
            "obsolete-term",
            9,
            "X:g is obsolete",
        ),
        (
            "kgmed:hasPhenotype X:f .\nX:g rdfs:label 'green sweat' ; rdfs:subClassOf X:f .",
            "ambiguous-name",
            10,
            "X:f and X:g",
        ),
        (
            "kgmed:hasPhenotype X:f .\nX:f rdfs:subClassOf X:g .\n"
            "X:g rdfs:label 'Sweat' ; rdfs:subClassOf X:f .",
            "circle",
            None,
            "in a circle",
        ),
        (
            "kgmed:hasPhenotype X:f .\nX:g a kgmed:Finding ; rdfs:label 'Blue sweat' .",
            "unused-finding",
            10,
            "not used",
        ),
        (
            "kgmed:hasPhenotype X:f .\nX:e a kgmed:Disease ; rdfs:label 'Other' .",
            "disease-without-finding",
            10,
            "no finding",
        ),
        ("kgmed:hasPhenotype X:f ; rdfs:label 'Second' .", "two-names", 8, "more than one preferred name"),
        (
            "kgmed:hasPhenotype [ kgmed:finding X:f ; kgmed:freqency 0.5 ] .",
            "unknown-property",
            8,
            "kgmed:freqency",
        ),
        ("kgmed:hasPhenotype X:f . X:f a .", "parse-error", 9, "not readable as turtle"),
    ],
)
def test_each_fault_is_named_with_its_line(
    tmp_path: Path, text: str, code: str, line: int | None, words: str
) -> None:
    found = [issue for issue in issues(tmp_path, text) if issue.code == code]
    assert len(found) == 1
    assert words in found[0].message and found[0].fix
    assert found[0].field.startswith(str(tmp_path / "a.ttl"))
    if line is not None:
        assert found[0].field == f"{tmp_path / 'a.ttl'}:{line}"


def test_identifiers_are_looked_up_in_the_graph(tmp_path: Path, graph: KnowledgeGraph) -> None:
    text = "kgmed:hasPhenotype X:f , obo:HP_0000616 , obo:HP_9999999 ."
    (issue,) = issues(tmp_path, text, graph)
    assert issue.code == "unknown-term" and "HP:9999999" in issue.message and "did you mean" in issue.fix
    assert issues(tmp_path, text) == ()


def test_an_ontology_in_memory_is_named_by_node() -> None:
    ontology = Ontology(
        terms=[Term(curie="X:1", name="a", kind="disease"), Term(curie="X:1", name="b", kind="disease")],
        edges=[Edge(subject="X:1", predicate="has_phenotype", object="HP:0000616", sex="BOTH")],
    )
    found = {(i.code, i.field) for i in kgmed.validate(ontology)}
    assert found == {("duplicate-id", "X:1"), ("shape-sex", "X:1")}


def test_tables_are_named_by_their_own_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("curie,name,kind\nX:1,a,disease\nX:1,b,disease\n")
    (tmp_path / "edges.csv").write_text(
        "subject,predicate,object,frequency\n\nX:1,has_phenotype,HP:1,often\n"
    )
    found = {i.code: i.field for i in kgmed.validate(tmp_path)}
    assert found["bad-number"] == f"{tmp_path / 'edges.csv'}:3"
    assert found["duplicate-id"] == f"{tmp_path / 'terms.csv'}:3"
