"""Damaged and hostile files: a ParseError or an Ontology, never another exception, never the network."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kgmed
from kgmed.errors import ParseError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Ontology

TURTLE = """@prefix kgmed: <https://kgmed.org/ns#> .
@prefix obo: <http://purl.obolibrary.org/obo/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix X: <http://example.org/x/> .
X:D a kgmed:Disease ; rdfs:label "some disease"@en ; skos:altLabel "other name" ;
    kgmed:hasPhenotype [ kgmed:finding obo:HP_0000616 ; kgmed:frequency 0.8 ; kgmed:reference "PMID:1" ] ,
        [ kgmed:finding X:F ; kgmed:numerator 3 ; kgmed:denominator 4 ; kgmed:sex "MALE" ] .
X:F a kgmed:Finding ; rdfs:label "green sweat" ; rdfs:subClassOf obo:HP_0000975 .
"""
OWL = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
 xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:oboInOwl="http://www.geneontology.org/formats/oboInOwl#">
 <owl:Ontology rdf:about="http://example.org/o"><owl:imports rdf:resource="http://example.org/other"/></owl:Ontology>
 <owl:Class rdf:about="http://purl.obolibrary.org/obo/HP_0000001"><rdfs:label>All</rdfs:label></owl:Class>
 <owl:Class rdf:about="http://purl.obolibrary.org/obo/HP_0000118"><rdfs:label>Abnormality</rdfs:label>
  <rdfs:subClassOf rdf:resource="http://purl.obolibrary.org/obo/HP_0000001"/>
  <oboInOwl:hasExactSynonym>anomaly</oboInOwl:hasExactSynonym>
  <owl:deprecated rdf:datatype="http://www.w3.org/2001/XMLSchema#boolean">false</owl:deprecated></owl:Class>
</rdf:RDF>
"""
OBO = """format-version: 1.2
ontology: x
import: http://example.org/other.obo

[Term]
id: X:1
name: some disease
synonym: "other name" EXACT []
xref: OMIM:1
is_a: X:2 ! above

[Term]
id: X:2
name: above
alt_id: X:9
"""
OBOGRAPHS = json.dumps(
    {
        "graphs": [
            {
                "nodes": [
                    {
                        "id": "http://purl.obolibrary.org/obo/HP_0000001",
                        "type": "CLASS",
                        "lbl": "All",
                        "meta": {
                            "synonyms": [{"pred": "hasExactSynonym", "val": "everything"}],
                            "xrefs": [{"val": "UMLS:C1"}],
                            "basicPropertyValues": [{"pred": "x#hasAlternativeId", "val": "HP:9"}],
                        },
                    },
                    {
                        "id": "http://purl.obolibrary.org/obo/HP_0000118",
                        "type": "CLASS",
                        "lbl": "Abnormality",
                    },
                ],
                "edges": [
                    {
                        "sub": "http://purl.obolibrary.org/obo/HP_0000118",
                        "pred": "is_a",
                        "obj": "http://purl.obolibrary.org/obo/HP_0000001",
                    }
                ],
            }
        ]
    }
)
JSONLD = json.dumps(
    {
        "@context": {"rdfs": "http://www.w3.org/2000/01/rdf-schema#", "k": "https://kgmed.org/ns#"},
        "@id": "http://example.org/d",
        "@type": "k:Disease",
        "rdfs:label": "some disease",
        "k:hasPhenotype": {
            "k:finding": {"@id": "http://purl.obolibrary.org/obo/HP_0000616"},
            "k:frequency": 0.8,
        },
    }
)
NTRIPLES = (
    '<http://example.org/d> <http://www.w3.org/2000/01/rdf-schema#label> "some disease" .\n'
    "<http://example.org/d> <https://kgmed.org/ns#hasPhenotype>"
    " <http://purl.obolibrary.org/obo/HP_0000616> .\n"
)
TERMS = "curie,name,kind,synonyms,is_a\nX:1,some disease,disease,a|b,X:2\nX:2,above,disease,,\n"
EDGES = "subject,predicate,object,frequency,negated\nX:1,has_phenotype,HP:0000616,80%,false\nX:1,is_a,X:2,,\n"

WHOLE = {
    "x.ttl": TURTLE,
    "x.owl": OWL,
    "x.obo": OBO,
    "x.json": OBOGRAPHS,
    "x.jsonld": JSONLD,
    "x.nt": NTRIPLES,
    "terms.csv": TERMS,
    "edges.csv": EDGES,
}
# Pieces that a random edit would hardly ever hit upon.
PIECES = [
    b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"\\u0000", b"\\uD800", b"<", b">", b"[", b"]", b"{",
    b"}", b"|", b",", b"\n", b"\r", b"\xe2\x80\xa8", b"1e999", b"NaN", b"-1", b"8/0",
    b"99999999999999999999", b"null", b"true", b"[]", b"_:b", b"<<", b"@prefix", b"a ", b" ! ",
    b"id: ", b"[Term]\n", b"<!DOCTYPE x>", b"@base <http://example.org/> .",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a reader opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def load(path: Path) -> Ontology | None:
    """The ontology, or None when the file was refused as promised."""
    try:
        ontology = kgmed.load_ontology(path)
    except ParseError as error:
        assert str(path.parent) in str(error)
        return None
    assert isinstance(ontology, Ontology)
    return ontology


def compile_(ontology: Ontology) -> None:
    """What a reader lets through, the graph can be compiled from and written to disk."""
    try:
        graph = KnowledgeGraph.compile(ontology)
    except kgmed.InputError as error:
        assert "circle" in str(error)
        return
    graph.to_frames()


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_the_undamaged_file_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(WHOLE[name], encoding="utf-8")
    ontology = load(tmp_path / name)
    assert ontology is not None and (ontology.terms or ontology.edges)
    with gzip.open(tmp_path / f"{name}.gz", "wb") as stream:
        stream.write(WHOLE[name].encode())
    zipped = load(tmp_path / f"{name}.gz")
    assert zipped is not None
    assert zipped.terms == ontology.terms and len(zipped.edges) == len(ontology.edges)


fuzzing = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", sorted(WHOLE))
@fuzzing
@given(data=st.data())
def test_damaged_files(name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(WHOLE[name].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 30))
        content[start : start + length] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=4))
    (tmp_path / name).write_bytes(bytes(content))
    ontology = load(tmp_path / name)
    if ontology is not None:
        compile_(ontology)


@pytest.mark.parametrize("name", sorted(WHOLE))
@fuzzing
@given(content=st.binary(max_size=200))
def test_random_bytes(name: str, content: bytes, tmp_path: Path) -> None:
    for suffix, data in (("", content), (".gz", content), (".gz", gzip.compress(content))):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(data)
        load(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "lbl", "meta", "x"]), inner)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ["x.json", "x.jsonld"])
@fuzzing
@given(data=st.data())
def test_json_of_another_shape(name: str, data: st.DataObject, tmp_path: Path) -> None:
    document = json.loads(WHOLE[name])
    places: list[tuple[Any, Any]] = []
    stack = [document]
    while stack:
        item = stack.pop()
        for key in list(item) if isinstance(item, dict) else range(len(item)):
            places.append((item, key))
            if isinstance(item[key], dict | list):
                stack.append(item[key])
    item, key = places[data.draw(st.integers(0, len(places) - 1))]
    item[key] = data.draw(json_values)
    (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    ontology = load(tmp_path / name)
    if ontology is not None:
        compile_(ontology)


@fuzzing
@given(data=st.data())
def test_validate_never_fails(data: st.DataObject, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from(["x.ttl", "edges.csv", "x.obo"]))
    content = bytearray(WHOLE[name].encode())
    start = data.draw(st.integers(0, len(content)))
    content[start : start + data.draw(st.integers(0, 30))] = data.draw(st.sampled_from(PIECES))
    (tmp_path / name).write_bytes(bytes(content))
    for issue in kgmed.validate(tmp_path / name):
        assert issue.message and issue.fix and issue.field


# ---------------------------------------------------------------- hostile files

BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE rdf:RDF [ <!ENTITY a "aaaa"> <!ENTITY b "&a;&a;&a;&a;&a;"> ]>\n'
    + OWL.split("\n", 1)[1].replace("anomaly", "&b;")
)
OUTSIDE = (
    '<?xml version="1.0"?>\n<!-- <a> -->\n<!DOCTYPE rdf:RDF [ <!ENTITY x SYSTEM "file:///etc/passwd"> ]>\n'
    + OWL.split("\n", 1)[1].replace("anomaly", "&x;")
)
REFUSED = {
    "an entity bomb": ("x.owl", BOMB.encode(), 2),
    "an outside entity": ("x.owl", OUTSIDE.encode(), 3),
    "an entity bomb in UTF-16": ("x.owl", BOMB.encode("utf-16"), None),
    "a remote context": (
        "x.jsonld",
        b'{"@context": "http://example.org/c", "@id": "http://example.org/d"}',
        None,
    ),
    "a remote context in a list": (
        "x.jsonld",
        b'{"@context": [{}, "http://example.org/c"], "@id": "x:d"}',
        None,
    ),
    "an imported context": (
        "x.jsonld",
        b'{"@context": {"@import": "http://example.org/c"}, "@id": "x:d"}',
        None,
    ),
    "a scoped context": (
        "x.jsonld",
        b'{"@context": {"p": {"@id": "x:p", "@context": "http://example.org/c"}}, "p": {"q": 1}}',
        None,
    ),
    "a context in a file": (
        "x.jsonld",
        b'{"@context": "file:///etc/passwd", "@id": "http://example.org/d"}',
        None,
    ),
    "deep Turtle": ("x.ttl", b"@prefix : <http://example.org/> .\n:a :b " + b"[ :b " * 50_000, None),
    "deep JSON": ("x.json", b'{"graphs": ' + b"[" * 100_000, None),
    "deep JSON-LD": ("x.jsonld", b'{"a": ' * 100_000, None),
    "deep XML": ("x.owl", OWL.split("<owl:Ontology")[0].encode() + b"<a><b>" * 50_000, None),
    "a truncated gzip file": ("x.ttl.gz", gzip.compress(TURTLE.encode())[:-20], None),
    "an empty JSON file": ("x.json", b"", 1),
    "OWL in functional syntax": (
        "x.owl",
        b"Prefix(:=<http://example.org/>)\nOntology(<http://example.org/o>)",
        None,
    ),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_hostile_files_are_refused(case: str, tmp_path: Path) -> None:
    name, content, line = REFUSED[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ParseError) as caught:
        kgmed.load_ontology(path)
    assert caught.value.path == str(path)
    if line is not None:
        assert caught.value.line == line
    (issue,) = kgmed.validate(path)
    assert issue.level == "error"


def test_a_missing_file_and_a_folder_without_tables_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ttl", tmp_path, tmp_path / "x.unknown"):
        with pytest.raises(kgmed.InputError):
            kgmed.load_ontology(path)


def test_a_document_type_in_a_comment_or_a_name_is_harmless_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.owl"
    path.write_text(OWL.replace("anomaly", "&lt;!DOCTYPE"), encoding="utf-8")
    ontology = load(path)
    assert ontology is not None and ontology.synonyms[0].text == "<!DOCTYPE"


def test_comments_in_obo_are_skipped_and_lines_still_count(tmp_path: Path) -> None:
    path = tmp_path / "x.obo"
    path.write_text(OBO.replace("xref:", "! a comment\n  ! another\nxref:"), encoding="utf-8")
    ontology = load(path)
    assert ontology is not None and [m.other for m in ontology.mappings] == ["OMIM:1", "X:9"]
    path.write_text(OBO.replace("xref:", "! a comment\nxrref:"), encoding="utf-8")
    with pytest.raises(ParseError) as caught:
        kgmed.load_ontology(path)
    assert caught.value.line == 1 + path.read_text(encoding="utf-8").split("xrref")[0].count("\n")


def test_imports_are_told_and_not_followed(tmp_path: Path) -> None:
    for name in ("x.owl", "x.obo"):
        (tmp_path / name).write_text(WHOLE[name], encoding="utf-8")
        issues = [i for i in kgmed.validate(tmp_path / name) if "import" in i.code]
        assert [i.level for i in issues] == ["warning"]
        assert "example.org/other" in issues[0].message
