"""A handwritten ontology behind a real SPARQL server, and queries that must not leave the machine."""

from __future__ import annotations

import http.server
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgmed.engine import Engine
from kgmed.errors import InputError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Edge, Ontology, Term
from kgmed.read import load_ontology
from kgmed.sparql import graph_from_endpoint, query, write_store

TURTLE = """@prefix kgmed: <https://kgmed.org/ns#> .
@prefix obo: <http://purl.obolibrary.org/obo/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
<https://kgmed.org/id/X/D> a kgmed:Disease ; rdfs:label "some disease" ;
    kgmed:hasPhenotype [ kgmed:finding obo:HP_0000616 ; kgmed:frequency 0.8 ;
                         kgmed:reference "PMID:1", "PMID:2" ] ,
        [ kgmed:finding <https://kgmed.org/id/X/F> ; kgmed:numerator 3 ; kgmed:denominator 4 ] .
<https://kgmed.org/id/X/F> a kgmed:Finding ; rdfs:label "green sweat" ; rdfs:subClassOf obo:HP_0000975 .
[] kgmed:rules \"\"\"
[[rule]]
id = "mine"
kind = "red_flag"
name = "Small pupils"
urgency = "soon"
action = "Look."
if = ["HP:0000616 Miosis"]
source = "Us, 2024"
\"\"\" .
"""


def small_graph() -> KnowledgeGraph:
    return KnowledgeGraph.compile(
        Ontology(
            terms=[
                Term(curie="X:D", name="some disease", kind="disease"),
                Term(curie="HP:0000616", name="Miosis"),
            ],
            edges=[Edge(subject="X:D", predicate="has_phenotype", object="HP:0000616", frequency=0.5)],
        )
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def serve(*files: Path, folder: Path) -> Iterator[str]:
    """An Oxigraph server over files, as a process of its own; yields its query address."""
    binary = shutil.which("oxigraph", path=str(Path(sys.executable).parent)) or shutil.which("oxigraph")
    assert binary, "the tests need the oxigraph server: pip install 'kgmed[dev]'"
    subprocess.run(
        [binary, "load", "--location", str(folder), *(a for f in files for a in ("--file", str(f)))],
        check=True,
        capture_output=True,
    )
    port = _free_port()
    server = subprocess.Popen(
        [binary, "serve-read-only", "--location", str(folder), "--bind", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/query"
    try:
        for _ in range(600):
            assert server.poll() is None, "the server ended at once"
            try:
                with urllib.request.urlopen(f"{url}?query=ASK%7B%7D", timeout=5):
                    break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def handwritten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("handwritten")
    (folder / "mine.ttl").write_text(TURTLE, encoding="utf-8")
    yield from serve(folder / "mine.ttl", folder=folder / "store")


@pytest.mark.parametrize("page", [2, 50_000])
def test_an_endpoint_over_a_handwritten_file_keeps_what_hangs_on_blank_nodes(
    handwritten: str, page: int, tmp_path: Path
) -> None:
    graph = graph_from_endpoint(handwritten, page=page)
    (tmp_path / "mine.ttl").write_text(TURTLE, encoding="utf-8")
    whole = KnowledgeGraph.compile(load_ontology(tmp_path / "mine.ttl"))

    def said(g: KnowledgeGraph) -> list[tuple[str, str, str, float | None, int | None, set[str]]]:
        return [
            (e.subject, e.predicate, e.object, e.frequency, e.numerator, set(e.references)) for e in g.edges()
        ]

    assert said(graph) == said(whole)
    assert [rule["id"] for rule in graph.rules] == ["mine"]


def test_an_endpoint_diagnoses(handwritten: str) -> None:
    ranking = Engine(graph_from_endpoint(handwritten)).diagnose({"present": ["HP:0000616"]})
    assert [d.disease for d in ranking] == ["X:D"]
    assert [flag.rule for flag in ranking.red_flags] == ["mine"]


def test_another_page_of_the_server_is_no_endpoint(handwritten: str) -> None:
    with pytest.raises(InputError):
        graph_from_endpoint(handwritten.replace("/query", "/nothing"))


# ---------------------------------------------------------------- nothing leaves the machine


@pytest.fixture
def trap() -> Iterator[tuple[str, list[str]]]:
    """A web server that notes who calls."""
    calls: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", calls
    server.shutdown()
    thread.join()
    server.server_close()


REFUSED = [
    "SELECT * WHERE {{ SERVICE <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ ?s ?p ?o . service SILENT <{url}> {{ ?s ?p ?o }} }}",
    "PREFIX e: <{url}> SELECT * WHERE {{ SERVICE e:x {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ ?s ?p HP:a\\#b . SERVICE <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ ?s ?p HP:a\\'b . SERVICE <{url}> {{ ?s ?p HP:c\\'d }} }}",
    "SELECT * WHERE {{ SERV\\u0049CE <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ ?s ?p '#' . # '\n SERVICE <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ # a comment\r SERVICE <{url}> {{ ?s ?p ?o }} }}",
    "SELECT * WHERE {{ FILTER(1<2) SERVICE<{url}>{{ ?s ?p ?o FILTER(3>2) }} }}",
    "SELECT * FROM <{url}> WHERE {{ ?s ?p ?o }}",
    "SELECT * FROM NAMED <{url}> WHERE {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    "LOAD <{url}>",
    "INSERT DATA {{ <{url}> <{url}> <{url}> }}",
    "DELETE WHERE {{ ?s ?p ?o }}",
    "DROP ALL",
]


@pytest.mark.parametrize("sparql", REFUSED)
def test_queries_that_fetch_or_change_are_refused(sparql: str, trap: tuple[str, list[str]]) -> None:
    url, calls = trap
    with pytest.raises(InputError, match="refused"):
        query(small_graph(), sparql.format(url=url))
    assert calls == []


@pytest.mark.parametrize(
    "sparql",
    [
        "SELECT ?from WHERE { ?from rdfs:label 'SERVICE and # LOAD' }",
        'SELECT ?service WHERE { ?service ?p """it\'s FROM \\" a "string" """ }',
        "SELECT ?s WHERE { ?s <http://example.org/SERVICE/FROM> ?o } # LOAD later",
        "SELECT ?s WHERE { ?s kgmed:from obo:LOAD }",
    ],
)
def test_the_words_are_free_where_they_are_no_keywords(sparql: str) -> None:
    assert query(small_graph(), sparql) == []


def test_a_query_that_runs_too_long_is_stopped(tmp_path: Path) -> None:
    write_store(small_graph(), tmp_path / "store")
    easy = "SELECT ?d WHERE { ?d a kgmed:Disease }"
    for source in (tmp_path / "store", small_graph()):
        assert query(source, easy, timeout=60) == query(source, easy) == [{"d": "X:D"}]
    product = " ".join(f"?s{i} ?p{i} ?o{i} ." for i in range(12))
    with pytest.raises(InputError, match="longer than"):
        query(tmp_path / "store", f"SELECT (COUNT(*) AS ?n) WHERE {{ {product} }}", timeout=2)
    with pytest.raises(InputError, match="not SPARQL"):
        query(tmp_path / "store", "SELECT WHERE", timeout=60)
