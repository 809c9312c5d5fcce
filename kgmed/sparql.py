"""The graph as RDF: files, an on-disk store (Oxigraph), SPARQL over it, and a remote endpoint as the graph.

docs/ontologies.md describes the RDF form. Reading never leaves the machine, except in
`graph_from_endpoint`, whose address the caller gives.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kgmed.errors import InputError
from kgmed.graph import KnowledgeGraph, write_atomically
from kgmed.read.rdfform import triples
from kgmed.read.vocabulary import PREFIXES, curie_of

if TYPE_CHECKING:
    import rdflib

__all__ = [
    "cached_store",
    "graph_from_endpoint",
    "is_stored",
    "open_store",
    "query",
    "to_rdf",
    "write_store",
]

DEFAULT_LIMIT = 10_000
"""Rows that `query` returns unless asked for more."""

_PAGE = 50_000  # triples per request to an endpoint
_STORE_VERSION = 1  # of the RDF form: an older cached store is written again
_DONE = "kgmed-store"  # marks a folder as a whole store of ours

_NOT_KEYWORDS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""'
    r"|'''(?:[^'\\]|\\.|'(?!''))*'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'(?:[^'\\\n]|\\.)*'"
    r'|<[^<>\s"{}|^`\\]*>'  # IRIs
    r"|\\."  # an escaped character of a prefixed name: HP:a\#b holds no comment
    r"|#[^\n\r]*|[?$]\w+|[\w-]*:[\w-]+"  # comments, variables, prefixed names
)


def _lines(graph: KnowledgeGraph) -> Iterator[str]:
    return triples(
        sources=graph.sources.values(),
        terms=graph.terms(),
        synonyms=graph.synonyms(),
        mappings=graph.all_mappings(),
        edges=graph.edges(),
        rules=graph.rules,
    )


class _Stream:
    """Lines as a binary file, for pyoxigraph's loader."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._block = io.BytesIO()

    def read(self, size: int = -1) -> bytes:
        part = self._block.read(size)
        if not part:
            self._block = io.BytesIO("".join(itertools.islice(self._lines, 20_000)).encode())
            part = self._block.read(size)
        return part


def to_rdf(graph: KnowledgeGraph, destination: str | os.PathLike[str], format: str = "turtle") -> None:
    """Write the whole graph as RDF.

    Args:
        graph: The graph.
        destination: File to write; replaced in one step when whole.
        format: `turtle` or `nt` (N-Triples).

    Raises:
        InputError: If the format is another one.
    """
    if format == "nt":
        write_atomically(Path(destination), "".join(_lines(graph)).encode())
        return
    if format != "turtle":
        raise InputError(f"unknown RDF format {format!r}; known: turtle, nt")
    import pyoxigraph

    content = pyoxigraph.serialize(
        (quad.triple for quad in pyoxigraph.parse(_reader(graph), pyoxigraph.RdfFormat.N_TRIPLES)),
        format=pyoxigraph.RdfFormat.TURTLE,
        prefixes={name: iri for name, iri in PREFIXES.items() if iri.endswith(("/", "#", "_"))},
    )
    write_atomically(Path(destination), content or b"")


def _reader(graph: KnowledgeGraph) -> IO[bytes]:
    stream: Any = _Stream(_lines(graph))
    return stream  # type: ignore[no-any-return]


def write_store(graph: KnowledgeGraph, folder: str | os.PathLike[str]) -> None:
    """Write the graph as an Oxigraph store on disk.

    Written beside the target and moved there when whole. An existing store of
    ours is replaced.

    Raises:
        InputError: If the folder exists and is not such a store.
    """
    import pyoxigraph

    target = Path(folder)
    if target.exists() and not (target / _DONE).exists() and any(target.iterdir()):
        raise InputError(f"{target} exists and is no store of kgmed; name another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        store = pyoxigraph.Store(str(temporary))
        store.bulk_load(_reader(graph), format=pyoxigraph.RdfFormat.N_TRIPLES, lenient=True)
        store.flush()
        del store  # releases the folder
        (temporary / _DONE).write_text(f"{_STORE_VERSION}\n")
        if target.exists():
            shutil.rmtree(target)
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def open_store(folder: str | os.PathLike[str]) -> rdflib.Graph:
    """Open a store on disk, read-only, as an rdflib graph (through oxrdflib).

    Raises:
        InputError: If the folder is no store of `write_store`.
    """
    import oxrdflib
    import rdflib
    from rdflib.graph import DATASET_DEFAULT_GRAPH_ID

    store = oxrdflib.OxigraphStore(store=_open(Path(folder)))
    graph = rdflib.Graph(store=store, identifier=DATASET_DEFAULT_GRAPH_ID)
    for prefix in ("kgmed", "obo", "rdfs", "owl", "skos", "oboInOwl"):
        graph.bind(prefix, PREFIXES[prefix])
    return graph


def _open(folder: Path) -> Any:
    import pyoxigraph

    if not (folder / _DONE).exists():
        raise InputError(f"{folder} is no store; make one with kgmed.sparql.write_store(graph, folder)")
    try:
        return pyoxigraph.Store.read_only(str(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be opened as a store ({error}); write it again") from None


def _cache_folder(graph: KnowledgeGraph) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgmed" / "stores"
    return cache / f"{graph.checksum[:32]}-{_STORE_VERSION}"


def is_stored(graph: KnowledgeGraph) -> bool:
    """Whether the graph's store is in the user's cache folder already."""
    return bool(graph.checksum) and (_cache_folder(graph) / _DONE).exists()


def cached_store(graph: KnowledgeGraph) -> Path:
    """Folder of the graph's store under the user's cache folder, written on first use.

    Raises:
        InputError: If the graph has no checksum (it was not loaded from disk).
    """
    if not graph.checksum:
        raise InputError("this graph is not saved yet: save and load it, or use write_store(graph, folder)")
    folder = _cache_folder(graph)
    if not is_stored(graph):
        write_store(graph, folder)
    return folder


def query(
    source: KnowledgeGraph | str | os.PathLike[str],
    sparql: str,
    *,
    limit: int = DEFAULT_LIMIT,
    timeout: float | None = None,
) -> list[dict[str, Any]]:
    """Rows of a SPARQL SELECT (or one row of an ASK).

    The prefixes of `kgmed.read.vocabulary.PREFIXES` need no declaration.

    Args:
        source: A graph, or the folder of a store. A graph loaded from disk is
            kept as a store under the user's cache folder; another is held in memory.
        sparql: The query. Updates, CONSTRUCT, SERVICE and FROM are refused.
        limit: Most rows returned.
        timeout: Seconds after which to give up, or None. A running query cannot be
            stopped inside a process, so a limited one gets a process of its own
            (a quarter of a second more).

    Returns:
        One dict per row, variable name to value: CURIEs for known IRIs, Python
        numbers and booleans for typed literals, else str; unbound variables are left out.

    Raises:
        InputError: If the query is refused, is no SPARQL, runs out of time, or
            `limit` is not positive.
    """
    import pyoxigraph

    if limit < 1:
        raise InputError("limit must be at least 1")
    _refuse(sparql)
    if timeout is not None:
        return _query_apart(source, sparql, limit, timeout)
    if isinstance(source, KnowledgeGraph):
        if source.checksum:
            store = _open(cached_store(source))
        else:
            store = pyoxigraph.Store()
            store.bulk_load(_reader(source), format=pyoxigraph.RdfFormat.N_TRIPLES)
    else:
        store = _open(Path(source))
    try:
        answer = store.query(sparql, prefixes=PREFIXES)
    except SyntaxError as error:
        raise InputError(f"not SPARQL: {error.msg}") from None
    except (ValueError, OSError, RuntimeError) as error:
        raise InputError(f"the query failed: {error}") from None
    if isinstance(answer, pyoxigraph.QueryBoolean):
        return [{"answer": bool(answer)}]
    if not isinstance(answer, pyoxigraph.QuerySolutions):
        raise InputError("only SELECT and ASK return rows; use open_store(folder).query for the others")
    names = [variable.value for variable in answer.variables]
    rows: list[dict[str, Any]] = []
    for solution in answer:
        values = {name: solution[name] for name in names}
        rows.append({name: _value(term) for name, term in values.items() if term is not None})
        if len(rows) == limit:
            break
    return rows


def _query_apart(
    source: KnowledgeGraph | str | os.PathLike[str], sparql: str, limit: int, timeout: float
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="kgmed-") as temporary:
        if not isinstance(source, KnowledgeGraph):
            folder = Path(source)
        elif source.checksum:
            folder = cached_store(source)
        else:
            folder = Path(temporary) / "store"
            write_store(source, folder)
        request = json.dumps([str(folder.resolve()), sparql, limit])
        try:
            done = subprocess.run(
                [sys.executable, "-c", "import kgmed.sparql; kgmed.sparql._answer_apart()"],
                input=request,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=timeout,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"},
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"the query took longer than {timeout:g} s; narrow it") from None
    if done.returncode:
        raise InputError(f"the query failed (its process ended with {done.returncode})")
    answer = json.loads(done.stdout)
    if isinstance(answer, str):
        raise InputError(answer)
    rows: list[dict[str, Any]] = answer
    return rows


def _answer_apart() -> None:
    """Answer one request of `_query_apart`: rows, or the message of an error, as JSON."""
    folder, sparql, limit = json.load(sys.stdin)
    answer: list[dict[str, Any]] | str
    try:
        answer = query(folder, sparql, limit=limit)
    except InputError as error:
        answer = str(error)
    json.dump(answer, sys.stdout)


def _refuse(sparql: str) -> None:
    """Refuse what reads or writes anything beside the store.

    Words are looked for outside of strings, IRIs and comments.
    """
    if re.search(r"\\[uU]", sparql):  # SPARQL reads SERV\u0049CE as SERVICE
        raise InputError("escapes such as \\u00E9 are refused in queries; write the character itself")
    bare = _NOT_KEYWORDS.sub(" ", sparql)
    for word in (
        "SERVICE",
        "LOAD",
        "FROM",
        "INSERT",
        "DELETE",
        "CLEAR",
        "DROP",
        "CREATE",
        "COPY",
        "MOVE",
        "ADD",
    ):
        if re.search(rf"\b{word}\b", bare, re.IGNORECASE):
            raise InputError(f"{word} is refused: queries read this graph alone and change nothing")


def _value(term: Any) -> Any:
    import pyoxigraph

    if isinstance(term, pyoxigraph.NamedNode):
        return curie_of(term.value)
    if not isinstance(term, pyoxigraph.Literal):
        return str(term)
    kind = term.datatype.value.removeprefix(PREFIXES["xsd"])
    try:
        if kind in ("integer", "int", "long"):
            return int(term.value)
        if kind in ("decimal", "double", "float"):
            return float(term.value)
    except ValueError:
        return term.value
    return term.value == "true" if kind == "boolean" else term.value


def _remote_triples(remote: rdflib.Graph, url: str, page: int) -> Iterator[tuple[Any, Any, Any]]:
    """Every triple of an endpoint, page by page within one predicate (a smaller sort for the server)."""

    def ask(sparql: str) -> list[Any]:
        try:
            result = remote.query(sparql)
            if result.type != "SELECT":
                raise InputError(f"{url} answered with something else than rows")
            return list(result)
        except InputError:
            raise
        except Exception as error:  # whatever the HTTP client and the parsers of answers raise
            raise InputError(f"{url} did not answer the query ({type(error).__name__}: {error})") from None

    for (predicate,) in ask("SELECT DISTINCT ?p WHERE { ?s ?p ?o } ORDER BY ?p"):
        offset = 0
        # Until a page is empty: a server may return fewer rows than it was asked for.
        # An order is needed, else a page may repeat or miss rows of another.
        while rows := ask(
            f"SELECT ?s ?o WHERE {{ ?s {predicate.n3()} ?o . FILTER(!isBlank(?s) && !isBlank(?o)) }} "
            f"ORDER BY ?s ?o LIMIT {page} OFFSET {offset}"
        ):
            yield from ((subject, predicate, object_) for subject, object_ in rows)
            offset += len(rows)
    # Blank nodes keep their labels within one answer only, so what hangs on them comes in one.
    hanging = ask(
        "SELECT ?s ?p ?b ?q ?o WHERE { ?b ?q ?o . FILTER(isBlank(?b) && !isBlank(?o)) "
        "OPTIONAL { ?s ?p ?b . FILTER(!isBlank(?s)) } }"
    )
    yield from {(s, p, b) for s, p, b, _, _ in hanging if s is not None}
    yield from {(b, q, o) for _, _, b, q, o in hanging}


def graph_from_endpoint(url: str, *, page: int = _PAGE, most: int = 50_000_000) -> KnowledgeGraph:
    """Read a graph in kgmed's RDF form from a SPARQL 1.1 endpoint, through rdflib's SPARQLStore.

    The triples are asked for in pages, in a fixed order, and compiled; after that
    the endpoint is not asked again.

    Args:
        url: `http://` or `https://` address that answers queries.
        page: Triples per request.
        most: Give up beyond this many triples.

    Raises:
        InputError: If the endpoint cannot be reached, answers with something else,
            or holds nothing in this form.
    """
    import rdflib
    from rdflib.plugins.stores.sparqlstore import SPARQLStore

    from kgmed.read.load import load_ontology

    if not url.startswith(("http://", "https://")):
        raise InputError("the address of an endpoint begins with http:// or https://")
    remote = rdflib.Graph(store=SPARQLStore(query_endpoint=url, returnFormat="json", method="POST"))
    with tempfile.TemporaryDirectory(prefix="kgmed-") as folder:
        path = Path(folder) / "endpoint.ttl"  # rdflib's n3() of a text with line breaks is Turtle only
        with path.open("w", encoding="utf-8") as stream:
            for count, triple in enumerate(_remote_triples(remote, url, page), 1):
                stream.write(" ".join(part.n3() for part in triple) + " .\n")
                if count > most:
                    raise InputError(f"{url} holds more than {most:,} triples")
        ontology = load_ontology(path)
    if not ontology.terms:
        raise InputError(f"{url} holds no term in kgmed's RDF form; export one with kgmed.sparql.to_rdf")
    return KnowledgeGraph.compile(ontology)
