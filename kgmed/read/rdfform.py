"""An `Ontology` in kgmed's RDF form, as N-Triples lines. docs/ontologies.md describes the form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from kgmed.ontology import Edge, Ontology, Source, Synonym, Term
from kgmed.ontology import Mapping as TermMapping
from kgmed.read.vocabulary import (
    KGMED,
    OBO,
    OIO,
    OWL,
    RDF,
    RDFS,
    SKOS,
    XSD,
    iri_of,
    kind_iri,
    predicate_iri,
    source_iri,
)

__all__ = ["EDGE_IRI", "SYNONYM_IRI", "edge_triples", "ontology_triples", "triples"]

EDGE_IRI = "https://kgmed.org/edge/"
SYNONYM_IRI = "https://kgmed.org/synonym/"
_MAPPING_IRI = "https://kgmed.org/mapping/"
_ESCAPES = {ord(c): f"\\u{ord(c):04X}" for c in map(chr, [*range(32), 0x22, 0x5C, 0x7F])}
_SCOPE_IRIS = {
    scope: f"{OIO}has{scope.capitalize()}Synonym" for scope in ("exact", "broad", "narrow", "related")
}


def _text(value: str, datatype: str = "") -> str:
    # Surrogates have no UTF-8 form: they are written as the replacement character.
    clean = re.sub("[\ud800-\udfff]", "\ufffd", value).translate(_ESCAPES)
    return f'"{clean}"' + (f"^^<{datatype}>" if datatype else "")


def _line(subject: str, predicate: str, object_: str) -> str:
    return f"<{subject}> <{predicate}> {object_} .\n"


def _node(iri: str) -> str:
    return f"<{iri}>"


def triples(
    *,
    sources: Iterable[Source],
    terms: Iterable[Term],
    synonyms: Iterable[Synonym],
    mappings: Iterable[TermMapping],
    edges: Iterable[Edge],
    rules: Iterable[Mapping[str, object]] = (),
) -> Iterator[str]:
    """N-Triples lines, one fact after the other, so that a large graph is never held twice."""
    for source in sources:
        yield from _source_triples(source)
    term_source: dict[str, str] = {}
    for term in terms:
        term_source.setdefault(term.curie, term.source)
        yield from _term_triples(term)
    for number, synonym in enumerate(synonyms):
        owner = iri_of(synonym.term)
        yield _line(owner, _SCOPE_IRIS[synonym.scope], _text(synonym.text))
        if synonym.tags or synonym.source != term_source.get(synonym.term):
            node = f"{SYNONYM_IRI}{number}"
            yield _line(owner, KGMED + "synonym", _node(node))
            yield _line(node, KGMED + "text", _text(synonym.text))
            yield _line(node, KGMED + "scope", _text(synonym.scope))
            for tag in synonym.tags:
                yield _line(node, KGMED + "tag", _text(tag))
            if synonym.source:
                yield _line(node, KGMED + "source", _node(source_iri(synonym.source)))
    predicates = {"exact": SKOS + "exactMatch", "close": SKOS + "closeMatch"}
    for number, mapping in enumerate(mappings):
        owner = iri_of(mapping.term)
        if mapping.predicate in predicates:
            yield _line(owner, predicates[mapping.predicate], _node(iri_of(mapping.other)))
        else:
            yield _line(owner, OIO + "hasAlternativeId", _text(mapping.other))
        if mapping.source != term_source.get(mapping.term):
            node = f"{_MAPPING_IRI}{number}"
            yield _line(owner, KGMED + "mapping", _node(node))
            yield _line(node, KGMED + "mapped", _node(iri_of(mapping.other)))
            yield _line(node, KGMED + "scope", _text(mapping.predicate))
            if mapping.source:
                yield _line(node, KGMED + "source", _node(source_iri(mapping.source)))
    for number, edge in enumerate(edges):
        yield from edge_triples(edge, number)
    if tables := list(rules):
        text = json.dumps(tables, ensure_ascii=False, default=str)
        yield _line("https://kgmed.org/rules", KGMED + "rules", _text(text, RDF + "JSON"))


def ontology_triples(ontology: Ontology) -> Iterator[str]:
    """The RDF form of an ontology. `https://kgmed.org/edge/7` is `ontology.edges[7]`."""
    return triples(
        sources=ontology.sources,
        terms=ontology.terms,
        synonyms=ontology.synonyms,
        mappings=ontology.mappings,
        edges=ontology.edges,
        rules=ontology.rules,
    )


def _source_triples(source: Source) -> Iterator[str]:
    node = source_iri(source.id)
    yield _line(node, RDF + "type", _node(KGMED + "Source"))
    yield _line(node, RDFS + "label", _text(source.title))
    for name in ("id", "release", "licence", "url", "sha256"):
        if value := getattr(source, name):
            yield _line(node, KGMED + name, _text(value))


def _term_triples(term: Term) -> Iterator[str]:
    node = iri_of(term.curie)
    yield _line(node, RDF + "type", _node(OWL + "Class"))
    yield _line(node, RDF + "type", _node(kind_iri(term.kind)))
    if term.name:
        yield _line(node, RDFS + "label", _text(term.name))
    if term.obsolete:
        yield _line(node, OWL + "deprecated", _text("true", XSD + "boolean"))
    if term.replaced_by:
        yield _line(node, OBO + "IAO_0100001", _node(iri_of(term.replaced_by)))
    if term.source:
        yield _line(node, KGMED + "source", _node(source_iri(term.source)))


def edge_triples(edge: Edge, number: int) -> Iterator[str]:
    """The direct triple (unless negated), and the node with everything the edge says."""
    subject, predicate, object_ = (
        iri_of(edge.subject),
        predicate_iri(edge.predicate),
        _node(iri_of(edge.object)),
    )
    if not edge.negated:
        yield _line(subject, predicate, object_)
    node = f"{EDGE_IRI}{number}"
    yield _line(subject, KGMED + "association", _node(node))
    yield _line(node, RDF + "type", _node(KGMED + "Association"))
    yield _line(node, KGMED + "predicate", _node(predicate))
    yield _line(node, KGMED + "object", object_)
    if edge.negated:
        yield _line(node, KGMED + "negated", _text("true", XSD + "boolean"))
    for name in ("numerator", "denominator"):
        count = getattr(edge, name)
        if count is not None:
            yield _line(node, KGMED + name, _text(str(count), XSD + "integer"))
    if edge.frequency is not None:
        yield _line(node, KGMED + "frequency", _text(repr(float(edge.frequency)), XSD + "double"))
    if edge.value is not None:
        yield _line(node, KGMED + "value", _text(repr(float(edge.value)), XSD + "double"))
    if edge.frequency_term:
        yield _line(node, KGMED + "frequency_class", _node(iri_of(edge.frequency_term)))
    if edge.onset:
        yield _line(node, KGMED + "onset", _node(iri_of(edge.onset)))
    for name in ("sex", "evidence", "asserted_for"):
        if value := getattr(edge, name):
            yield _line(node, KGMED + name, _text(value))
    for reference in edge.references:
        yield _line(node, KGMED + "reference", _text(reference))
    if edge.source:
        yield _line(node, KGMED + "source", _node(source_iri(edge.source)))
