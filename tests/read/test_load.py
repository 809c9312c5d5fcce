"""The same small ontology in every format reads as the same facts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import kgmed
from kgmed.errors import InputError, ParseError
from kgmed.ontology import Ontology
from kgmed.read.load import read_document

HEAD = """@prefix kgmed: <https://kgmed.org/ns#> .
@prefix obo: <http://purl.obolibrary.org/obo/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix oio: <http://www.geneontology.org/formats/oboInOwl#> .
@prefix X: <http://example.org/x/> .
"""
TURTLE = (
    HEAD
    + """
obo:HP_0000001 a owl:Class ; rdfs:label "All" .
obo:HP_0000002 a owl:Class ; rdfs:label "Hot" ; rdfs:subClassOf obo:HP_0000001 ;
    oio:hasExactSynonym "warm" ; oio:hasDbXref "UMLS:C1" .
obo:HP_0000003 a owl:Class ; rdfs:label "obsolete Old" ; owl:deprecated true ;
    obo:IAO_0100001 obo:HP_0000002 .
"""
)
OBO = """format-version: 1.2
data-version: v1

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000002
name: Hot
synonym: "warm" EXACT []
xref: UMLS:C1
is_a: HP:0000001 ! All

[Term]
id: HP:0000003
name: obsolete Old
is_obsolete: true
replaced_by: HP:0000002
"""
XML = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:owl="http://www.w3.org/2002/07/owl#"
  xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:obo="http://purl.obolibrary.org/obo/"
  xmlns:oio="http://www.geneontology.org/formats/oboInOwl#">
<owl:Class rdf:about="http://purl.obolibrary.org/obo/HP_0000001"><rdfs:label>All</rdfs:label></owl:Class>
<owl:Class rdf:about="http://purl.obolibrary.org/obo/HP_0000002"><rdfs:label>Hot</rdfs:label>
  <rdfs:subClassOf rdf:resource="http://purl.obolibrary.org/obo/HP_0000001"/>
  <oio:hasExactSynonym>warm</oio:hasExactSynonym><oio:hasDbXref>UMLS:C1</oio:hasDbXref></owl:Class>
<owl:Class rdf:about="http://purl.obolibrary.org/obo/HP_0000003"><rdfs:label>obsolete Old</rdfs:label>
  <owl:deprecated rdf:datatype="http://www.w3.org/2001/XMLSchema#boolean">true</owl:deprecated>
  <obo:IAO_0100001 rdf:resource="http://purl.obolibrary.org/obo/HP_0000002"/></owl:Class>
</rdf:RDF>
"""
_BASE = "http://purl.obolibrary.org/obo/HP_000000"
_OIO = "http://www.geneontology.org/formats/oboInOwl#"
GRAPHS = json.dumps(
    {
        "graphs": [
            {
                "nodes": [
                    {"id": f"{_BASE}1", "lbl": "All", "type": "CLASS"},
                    {
                        "id": f"{_BASE}2",
                        "lbl": "Hot",
                        "type": "CLASS",
                        "meta": {
                            "synonyms": [{"pred": "hasExactSynonym", "val": "warm"}],
                            "xrefs": [{"val": "UMLS:C1"}],
                        },
                    },
                    {
                        "id": f"{_BASE}3",
                        "lbl": "obsolete Old",
                        "type": "CLASS",
                        "meta": {
                            "deprecated": True,
                            "basicPropertyValues": [{"pred": "http://x/IAO_0100001", "val": f"{_BASE}2"}],
                        },
                    },
                ],
                "edges": [{"sub": f"{_BASE}2", "pred": "is_a", "obj": f"{_BASE}1"}],
            }
        ]
    }
)
JSONLD = json.dumps(
    {
        "@graph": [
            {
                "@id": f"{_BASE}1",
                "@type": "http://www.w3.org/2002/07/owl#Class",
                "http://www.w3.org/2000/01/rdf-schema#label": "All",
            },
            {
                "@id": f"{_BASE}2",
                "http://www.w3.org/2000/01/rdf-schema#label": "Hot",
                "http://www.w3.org/2000/01/rdf-schema#subClassOf": {"@id": f"{_BASE}1"},
                f"{_OIO}hasExactSynonym": "warm",
                f"{_OIO}hasDbXref": "UMLS:C1",
            },
            {
                "@id": f"{_BASE}3",
                "@type": "http://www.w3.org/2002/07/owl#Class",
                "http://www.w3.org/2000/01/rdf-schema#label": "obsolete Old",
                "http://www.w3.org/2002/07/owl#deprecated": True,
                "http://purl.obolibrary.org/obo/IAO_0100001": {"@id": f"{_BASE}2"},
            },
        ]
    }
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def facts(ontology: Ontology) -> tuple[object, ...]:
    return (
        sorted((t.curie, t.name, t.kind, t.obsolete, t.replaced_by) for t in ontology.terms),
        sorted((s.term, s.text, s.scope) for s in ontology.synonyms),
        sorted((e.subject, e.predicate, e.object) for e in ontology.edges),
        sorted((m.term, m.other, m.predicate) for m in ontology.mappings),
    )


EXPECTED = (
    [
        ("HP:0000001", "All", "finding", False, ""),
        ("HP:0000002", "Hot", "finding", False, ""),
        ("HP:0000003", "Old", "finding", True, "HP:0000002"),
    ],
    [("HP:0000002", "warm", "exact")],
    [("HP:0000002", "is_a", "HP:0000001")],
    [("HP:0000002", "UMLS:C1", "close")],
)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.ttl", TURTLE), ("a.obo", OBO), ("a.owl", XML), ("a.json", GRAPHS), ("a.jsonld", JSONLD)],
)
def test_every_format_reads_the_same_facts(tmp_path: Path, name: str, text: str) -> None:
    assert facts(kgmed.load_ontology(write(tmp_path, name, text))) == EXPECTED
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert facts(kgmed.load_ontology(packed)) == EXPECTED


def test_turtle_facts_with_detail(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
X:d a kgmed:Disease ; rdfs:label "D" ; kgmed:hasPhenotype obo:HP_0000002 ,
    [ kgmed:finding obo:HP_0000004 ; kgmed:numerator 8 ; kgmed:denominator 10 ; kgmed:sex "female" ;
      kgmed:reference "PMID:1" , "PMID:2" ; kgmed:onset obo:HP_0003577 ] ,
    [ kgmed:finding obo:HP_0000005 ; kgmed:negated true ; kgmed:frequency "40%" ] ;
    kgmed:treatedBy X:drug .
"""
    )
    ontology = kgmed.load_ontology(write(tmp_path, "a.ttl", text))
    edges = {(e.predicate, e.object): e for e in ontology.edges}
    assert set(edges) == {
        ("has_phenotype", "HP:0000002"),
        ("has_phenotype", "HP:0000004"),
        ("has_phenotype", "HP:0000005"),
        ("treated_by", "X:drug"),
    }
    counted = edges["has_phenotype", "HP:0000004"]
    assert (counted.frequency, counted.numerator, counted.denominator, counted.sex) == (0.8, 8, 10, "FEMALE")
    assert set(counted.references) == {"PMID:1", "PMID:2"} and counted.onset == "HP:0003577"
    assert edges["has_phenotype", "HP:0000005"].negated
    assert edges["has_phenotype", "HP:0000005"].frequency == 0.4
    assert [t.kind for t in ontology.terms] == ["disease"]


def test_skos(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
X:a a skos:Concept ; skos:prefLabel "Fieber"@de , "Fever"@en ; skos:altLabel "pyrexia" ; skos:narrower X:b ;
    skos:exactMatch obo:HP_0001945 .
X:b a skos:Concept ; skos:prefLabel "Low fever"@en ; skos:broader X:c .
"""
    )
    ontology = kgmed.load_ontology(write(tmp_path, "a.ttl", text))
    assert {t.curie: t.name for t in ontology.terms} == {"X:a": "Fever", "X:b": "Low fever"}
    assert {(s.text, s.tags) for s in ontology.synonyms} == {("Fieber", ("de",)), ("pyrexia", ())}
    assert {(e.subject, e.object) for e in ontology.edges} == {("X:b", "X:a"), ("X:b", "X:c")}
    assert [(m.term, m.other, m.predicate) for m in ontology.mappings] == [("X:a", "HP:0001945", "exact")]


def test_folder_of_tables(tmp_path: Path) -> None:
    write(tmp_path, "terms.csv", 'curie,name,kind,synonyms,is_a\nX:1,"Fever, garden",disease,a|b,X:0\n')
    write(
        tmp_path,
        "edges.csv",
        "subject,predicate,object,frequency,references\nX:1,has_phenotype,X:2,8/10,PMID:1|PMID:2\n",
    )
    write(tmp_path, "synonyms.csv", "term,text,scope\nX:2,hot,broad\n")
    write(tmp_path, "mappings.csv", "term,other\nX:1,OMIM:1\n")
    write(tmp_path, "rules.toml", '[[rule]]\nid = "r"\n')
    ontology = kgmed.load_ontology(tmp_path)
    (fact,) = (e for e in ontology.edges if e.predicate == "has_phenotype")
    assert (fact.frequency, fact.numerator, fact.denominator) == (0.8, 8, 10)
    assert fact.references == ("PMID:1", "PMID:2")
    assert [s.text for s in ontology.synonyms] == ["a", "b", "hot"]
    assert ontology.rules == [{"id": "r"}] and ontology.mappings[0].other == "OMIM:1"
    assert [s.id for s in ontology.sources] == [tmp_path.name]


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("a.ttl", HEAD + "X:a rdfs:label 'unclosed", 8, "not readable as turtle"),
        ("a.ttl", HEAD + "X:a a kgmed:Disese .", 8, "kgmed:Disese"),
        (
            "a.ttl",
            HEAD + "X:a kgmed:hasPhenotype\n [ kgmed:finding X:b ; kgmed:frequency 'often' ] .",
            9,
            "frequency",
        ),
        ("a.ttl", HEAD + "X:a kgmed:hasPhenotype [ kgmed:frequency 0.5 ] .", 8, "names 0 findings"),
        ("a.obo", "format-version: 1.2\n\n[Term]\nname: x\n", 4, "not readable as OBO"),
        ("a.csv", "curie,name\nX:1,a,b\n", 2, "3 cells"),
        ("a.csv", "curie,name,kind\nX:1,a,dissease\n", 2, "unknown kind"),
        ("a.csv", "what,ever\n1,2\n", 1, "first line"),
        ("a.owl", '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', 2, "DOCTYPE"),
        ("a.owl", '<!ENTITY x SYSTEM "file:///etc/passwd">', 1, "ENTITY"),
        (
            "a.jsonld",
            '{"@context": "http://example.org/c.jsonld", "@id": "http://x/y"}',
            None,
            "remote @context",
        ),
        (
            "a.jsonld",
            '{"@graph": [{"@context": [{"@import": "http://example.org/c"}]}]}',
            None,
            "remote @context",
        ),
        ("a.json", "{}", None, "not OBO Graphs"),
        ("a.json", "[" * 100_000, None, "nested too deeply"),
        (
            "a.json",
            json.dumps({"graphs": [{"nodes": [{"id": "X:1", "type": "CLASS", "lbl": "\ud800"}]}]}),
            None,
            "not text",
        ),
        ("a.toml", "[[rule]]\nid = ", None, "not TOML"),
        ("a.docx", "", None, "suffix"),
    ],
)
def test_malformed_files_are_parse_errors(
    tmp_path: Path, name: str, text: str, line: int | None, words: str
) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(ParseError, match=words) as caught:
        kgmed.load_ontology(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="cannot be opened"):
        kgmed.load_ontology(tmp_path / "none.ttl")
    with pytest.raises(ParseError, match="holds none of"):
        kgmed.load_ontology(tmp_path)
    with pytest.raises(InputError, match="unknown format 'n3'"):
        kgmed.load_ontology(tmp_path, format="n3")
    (tmp_path / "a.ttl.gz").write_bytes(gzip.compress(TURTLE.encode())[:-20])
    with pytest.raises(ParseError, match="not a whole gzip"):
        kgmed.load_ontology(tmp_path / "a.ttl.gz")
    (tmp_path / "b.ttl").write_bytes(b"\n\xff")
    with pytest.raises(ParseError, match=":2: not UTF-8"):
        kgmed.load_ontology(tmp_path / "b.ttl")


def test_imports_are_listed_and_not_followed(tmp_path: Path) -> None:
    turtle = HEAD + "<http://x/o> a owl:Ontology ; owl:imports <http://127.0.0.1:9/other.owl> ."
    obo = "format-version: 1.2\nimport: http://127.0.0.1:9/other.obo\n"
    for path in (write(tmp_path, "a.ttl", turtle), write(tmp_path, "a.obo", obo)):
        issues = read_document(path).issues
        assert [(i.level, i.code) for i in issues] == [("warning", "import-ignored")]


def test_owl_axioms_beyond_named_classes_are_counted(tmp_path: Path) -> None:
    text = (
        HEAD
        + "X:a a owl:Class ; rdfs:label 'a' ; rdfs:subClassOf [ a owl:Restriction ; owl:onProperty X:p ] ."
    )
    document = read_document(write(tmp_path, "a.ttl", text))
    assert [i.code for i in document.issues] == ["owl-axioms-ignored"]
    assert document.ontology.edges == []
