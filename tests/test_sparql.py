"""The graph as RDF: round trips, an on-disk store, SPARQL, and a real server as the graph."""

from __future__ import annotations

import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kgmed
from kgmed import sparql
from kgmed.errors import InputError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Mapping, Ontology, Source, Synonym, Term
from kgmed.read.rdfform import ontology_triples
from kgmed.read.vocabulary import curie_of, iri_of, predicate_iri, predicate_name

SMALL = Ontology(
    sources=[
        Source(id="clinic", title="Our clinic", release="1", licence="CC0-1.0", url="https://example.org")
    ],
    terms=[
        Term(curie="X:d", name='D "quoted"\nname', kind="disease", source="clinic"),
        Term(curie="HP:0000616", name="Miosis", kind="finding", source="clinic"),
        Term(
            curie="X:old",
            name="Old",
            kind="finding",
            obsolete=True,
            replaced_by="HP:0000616",
            source="clinic",
        ),
    ],
    synonyms=[
        Synonym(term="X:d", text="dé", source="clinic"),
        Synonym(term="X:d", text="dd", scope="broad", tags=("layperson",), source="clinic"),
    ],
    mappings=[
        Mapping(term="X:d", other="OMIM:1", source="clinic"),
        Mapping(term="X:d", other="X:older", predicate="alternative", source="clinic"),
    ],
    edges=[
        Edge(
            subject="X:d",
            predicate="has_phenotype",
            object="HP:0000616",
            numerator=8,
            denominator=10,
            frequency=0.75,
            onset="HP:0003577",
            sex="FEMALE",
            references=("PMID:1", "PMID:2"),
            asserted_for="OMIM:1",
            evidence="PCS",
            source="clinic",
        ),
        Edge(subject="X:d", predicate="has_phenotype", object="X:old", negated=True, source="clinic"),
        Edge(subject="X:old", predicate="is_a", object="HP:0000616", source="clinic"),
        Edge(subject="X:d", predicate="our own/predicate", object="X:drug", source="clinic"),
    ],
    rules=[{"id": "r", "items": [{"points": 1}]}],
)


@pytest.fixture
def small() -> KnowledgeGraph:
    return KnowledgeGraph.compile(SMALL)


def contents(graph: KnowledgeGraph) -> tuple[object, ...]:
    """Everything a graph says, in no order."""
    return (
        Counter(t for t in graph.terms() if t.name),
        Counter(
            (
                *(getattr(e, f) for f in Edge.__dataclass_fields__ if f != "references"),
                frozenset(e.references),
            )
            for e in graph.edges()
        ),
        Counter(graph.synonyms()),
        Counter(graph.all_mappings()),
        Counter(graph.sources.values()),
        list(graph.rules),
    )


@pytest.mark.parametrize(("format", "suffix"), [("turtle", "ttl"), ("nt", "nt")])
def test_rdf_reads_back_as_the_same_graph(
    small: KnowledgeGraph, tmp_path: Path, format: str, suffix: str
) -> None:
    path = tmp_path / f"graph.{suffix}"
    sparql.to_rdf(small, path, format)
    assert contents(KnowledgeGraph.compile(kgmed.load_ontology(path))) == contents(small)


def test_an_unknown_rdf_format_is_refused(small: KnowledgeGraph, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="known: turtle, nt"):
        sparql.to_rdf(small, tmp_path / "a", "xml")


# No half characters: they have no UTF-8 form.
CHARACTERS = st.characters(codec="utf-8")
TEXT = st.text(CHARACTERS, max_size=12)
IDENTIFIER = st.one_of(
    st.builds(
        "{}:{}".format,
        st.sampled_from(["HP", "OMIM", "X", "kgmed", "my-own", "http", "http://a"]),
        st.text(CHARACTERS, min_size=1, max_size=6),
    ),
    st.text(CHARACTERS, min_size=1, max_size=6),
)


@settings(max_examples=60, deadline=None)
@given(
    curie=IDENTIFIER,
    other=IDENTIFIER,
    name=TEXT,
    predicate=st.text(CHARACTERS, min_size=1, max_size=8),
    synonym=TEXT,
)
def test_any_text_survives_as_rdf(curie: str, other: str, name: str, predicate: str, synonym: str) -> None:
    import pyoxigraph

    ontology = Ontology(
        terms=[Term(curie=curie, name=name)],
        synonyms=[Synonym(term=curie, text=synonym)],
        edges=[Edge(subject=curie, predicate=predicate, object=other, frequency=0.1)],
    )
    lines = "".join(ontology_triples(ontology))
    quads = list(pyoxigraph.parse(lines.encode(), pyoxigraph.RdfFormat.N_TRIPLES))
    literals = {q.object.value for q in quads if isinstance(q.object, pyoxigraph.Literal)}
    assert {synonym} <= literals and (not name or name in literals)
    assert curie_of(iri_of(curie)) == curie and curie_of(iri_of(other)) == other
    assert predicate_name(predicate_iri(predicate)) == predicate


def test_a_store_on_disk_answers_and_cannot_be_changed(small: KnowledgeGraph, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    sparql.write_store(small, folder)
    sparql.write_store(small, folder)  # again, in place of the first
    rdf = sparql.open_store(folder)
    assert [str(row.name) for row in rdf.query("SELECT ?name WHERE { obo:HP_0000616 rdfs:label ?name }")] == [
        "Miosis"
    ]
    with pytest.raises(RuntimeError, match="read-write"):
        rdf.update("INSERT DATA { <http://x/a> <http://x/b> <http://x/c> }")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]


def test_folders_that_are_no_store(small: KnowledgeGraph, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="no store of kgmed"):
        sparql.write_store(small, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    with pytest.raises(InputError, match="write_store"):
        sparql.open_store(tmp_path)


QUERY = """SELECT ?finding ?frequency ?n WHERE {
  ?d a kgmed:Disease ; kgmed:has_phenotype ?finding ;
     kgmed:association [ kgmed:object ?finding ; kgmed:frequency ?frequency ; kgmed:denominator ?n ] }"""


def test_queries_return_curies_and_numbers(
    small: KnowledgeGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    expected = [{"finding": "HP:0000616", "frequency": 0.75, "n": 10}]
    assert sparql.query(small, QUERY) == expected
    small.save(tmp_path / "graph")
    loaded = KnowledgeGraph.load(tmp_path / "graph")
    assert sparql.query(loaded, QUERY) == expected
    assert sparql.query(sparql.cached_store(loaded), QUERY) == expected
    assert sparql.query(small, "ASK { kgmed:nothing ?p ?o }") == [{"answer": False}]
    assert len(sparql.query(small, "SELECT * WHERE { ?s ?p ?o }", limit=3)) == 3
    assert sparql.query(small, "SELECT ?x WHERE { ?x rdfs:label 'drop insert # load' }") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT * WHERE { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }", "SERVICE is refused"),
        ("SELECT * # x\nFROM <http://127.0.0.1:9/a> WHERE { ?s ?p ?o }", "FROM is refused"),
        ("INSERT DATA { <http://x/a> <http://x/b> 1 }", "INSERT is refused"),
        ("load <http://127.0.0.1:9/a>", "LOAD is refused"),
        (
            "SELECT ?a WHERE { ?a rdfs:label '''a'b''' . service silent <http://127.0.0.1:9/> { } }",
            "SERVICE is refused",
        ),
        ("SELECT WHERE", "not SPARQL"),
        ("DESCRIBE <http://x/a>", "only SELECT and ASK"),
    ],
)
def test_queries_that_are_refused(small: KnowledgeGraph, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sparql.query(small, text)
    with pytest.raises(InputError, match="at least 1"):
        sparql.query(small, QUERY, limit=0)


@pytest.fixture
def server(small: KnowledgeGraph, tmp_path: Path) -> Iterator[str]:
    """A real Oxigraph server on this machine that holds the small graph."""
    program = str(Path(sysconfig.get_path("scripts")) / "oxigraph")
    sparql.to_rdf(small, tmp_path / "graph.nt", "nt")
    data = str(tmp_path / "served")
    load = [program, "load", "--location", data, "--file", str(tmp_path / "graph.nt")]
    subprocess.run(load, check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = [program, "serve-read-only", "--location", data, "--bind", f"127.0.0.1:{port}"]
    process = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/query"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("page", [2, 1000])
def test_a_remote_endpoint_serves_as_the_graph(server: str, small: KnowledgeGraph, page: int) -> None:
    remote = sparql.graph_from_endpoint(server, page=page)
    assert contents(remote) == contents(small)
    assert remote.ancestors("X:old") == {"HP:0000616"}


def test_endpoints_that_do_not_serve() -> None:
    with pytest.raises(InputError, match="did not answer"):
        sparql.graph_from_endpoint("http://127.0.0.1:9/query")
    with pytest.raises(InputError, match="begins with http"):
        sparql.graph_from_endpoint("/etc/passwd")


def test_an_endpoint_with_too_much_is_given_up(server: str) -> None:
    with pytest.raises(InputError, match="more than 5 triples"):
        sparql.graph_from_endpoint(server, most=5)
