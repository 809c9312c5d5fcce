"""What is wrong with an ontology, in plain words: SHACL shapes (pyshacl) and checks across files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from kgmed.errors import ParseError
from kgmed.ontology import Edge, Ontology
from kgmed.read.load import read_document
from kgmed.read.rdfform import EDGE_IRI, triples
from kgmed.read.vocabulary import curie_of
from kgmed.record import Issue
from kgmed.resources import ontologies_folder

if TYPE_CHECKING:
    from kgmed.graph import KnowledgeGraph
    from kgmed.read.document import Document

__all__ = ["validate"]

_SH = "http://www.w3.org/ns/shacl#"
Where = Callable[..., str]


def validate(
    source: Ontology | str | os.PathLike[str], *, graph: KnowledgeGraph | None = None
) -> tuple[Issue, ...]:
    """Everything that is wrong with an ontology; empty when nothing is.

    A file that cannot be read at all is one `error` too, so this never raises
    because of what a file holds.

    Args:
        source: An ontology, or a path that `load_ontology` takes. With a path,
            `Issue.field` is `path:line`; else it is the CURIE.
        graph: The graph that the ontology is to be added to, whose terms its edges
            may name. None means it stands alone: terms of HPO, MONDO and other
            public vocabularies are then taken on trust.
    """
    issues: list[Issue] = []
    document: Document | None = None
    if isinstance(source, Ontology):
        ontology = source
    else:
        try:
            document = read_document(source)
        except ParseError as error:
            place = f"{error.path}:{error.line}" if error.line else error.path
            message = str(error).removeprefix(f"{place}: ")
            return (Issue(level="error", code="parse-error", message=message, fix="correct it", field=place),)
        issues += document.issues
        ontology = document.ontology

    def where(*node: str) -> str:
        if document is None:
            return node[0]
        for part in (document, *document.parts):
            if part.line_of(*node) is not None:
                return part.where(*node)
        return document.where(*node)

    issues += _shapes(ontology, where)
    issues += _cross_checks(ontology, graph, where)
    return tuple(dict.fromkeys(issues))


def _shapes(ontology: Ontology, where: Where) -> Iterator[Issue]:
    import pyshacl
    import rdflib

    data = rdflib.Graph()
    # Only what a shape looks at: pyshacl is slow, and most facts carry no number.
    edges = [e for e in ontology.edges if e.sex or (e.frequency, e.numerator, e.denominator) != (None,) * 3]
    lines = triples(sources=ontology.sources, terms=ontology.terms, synonyms=(), mappings=(), edges=edges)
    data.parse(data="".join(lines), format="nt")
    shapes = rdflib.Graph().parse(ontologies_folder() / "shapes" / "kgmed.ttl", format="turtle")
    conforms, report, _ = pyshacl.validate(data, shacl_graph=shapes, inference="none", advanced=False)
    if conforms:
        return
    found = []
    for result in report.subjects(rdflib.RDF.type, rdflib.URIRef(_SH + "ValidationResult")):
        focus = str(report.value(result, rdflib.URIRef(_SH + "focusNode")))
        message = str(report.value(result, rdflib.URIRef(_SH + "resultMessage")))
        path = str(report.value(result, rdflib.URIRef(_SH + "resultPath"))).rpartition("#")[2]
        found.append((focus, message, path))
    for focus, message, path in sorted(set(found)):
        what, _, fix = message.partition("; ")
        if focus.startswith(EDGE_IRI):
            edge = edges[int(focus.removeprefix(EDGE_IRI))]
            name, field = _said(edge), where(edge.subject, edge.predicate, edge.object)
        else:
            name = curie_of(focus)
            field = where(name)
        yield Issue(level="error", code=f"shape-{path}", message=f"{name}: {what}", fix=fix, field=field)


def _said(edge: Edge) -> str:
    return f"{edge.subject} {edge.predicate} {edge.object}"


def _cross_checks(ontology: Ontology, graph: KnowledgeGraph | None, where: Where) -> Iterator[Issue]:
    def issue(level: Literal["error", "warning"], code: str, message: str, fix: str, *node: str) -> Issue:
        return Issue(level=level, code=code, message=message, fix=fix, field=where(*node))

    terms: dict[str, Any] = {}
    for term in ontology.terms:
        if term.curie in terms:
            other = terms[term.curie].name
            yield issue(
                "error",
                "duplicate-id",
                f"{term.curie} is defined twice ({other!r} and {term.name!r})",
                "give one of them another identifier, or merge them",
                term.curie,
            )
        terms.setdefault(term.curie, term)
        if (
            graph is not None
            and term.replaced_by
            and term.replaced_by not in terms
            and term.replaced_by not in graph
        ):
            yield issue(
                "warning",
                "unknown-term",
                f"{term.curie} is replaced by {term.replaced_by}, which nothing defines",
                "correct the identifier",
                term.curie,
            )
    own_prefixes = {curie.partition(":")[0] for curie in terms}
    yield from _edge_checks(ontology, terms, own_prefixes, graph, issue)
    owners: dict[str, set[str]] = {}
    for curie, text in [(t.curie, t.name) for t in terms.values() if not t.obsolete] + [
        (s.term, s.text) for s in ontology.synonyms if s.scope == "exact"
    ]:
        if text.strip():
            owners.setdefault(text.strip().casefold(), set()).add(curie)
    for text, curies in sorted(owners.items()):
        if len(curies) > 1:
            first, second, *_ = sorted(curies)
            yield issue(
                "warning",
                "ambiguous-name",
                f"{text!r} names both {first} and {second}",
                "drop it from one of them, or make it a broad or related synonym",
                second,
            )
    circle = _circle(ontology)
    if circle:
        yield issue(
            "error",
            "circle",
            f"is_a runs in a circle: {' -> '.join(circle)}",
            "remove one of these edges",
            circle[0],
        )


def _edge_checks(
    ontology: Ontology,
    terms: dict[str, Any],
    own_prefixes: set[str],
    graph: KnowledgeGraph | None,
    issue: Any,
) -> Iterator[Issue]:
    used: set[str] = set()
    with_findings: set[str] = set()
    for edge in ontology.edges:
        used.add(edge.object)
        if edge.predicate == "has_phenotype" and not edge.negated:
            with_findings.add(edge.subject)
        if edge.predicate == "is_a":
            used.add(edge.subject)
        for curie in (edge.subject, edge.object):
            if curie in terms:
                obsolete, instead = terms[curie].obsolete, terms[curie].replaced_by
            elif graph is not None and (curie in graph or graph.mapped(curie)):
                known = graph.term(curie) if curie in graph else None
                obsolete, instead = (known.obsolete, known.replaced_by) if known else (False, "")
            else:
                # Without a graph only identifiers of the ontology's own vocabulary can be judged.
                if graph is not None or curie.partition(":")[0] in own_prefixes:
                    near = graph.nearest(curie, 1) if graph is not None else ()
                    fix = f"define it, or correct it{f' (did you mean {near[0]}?)' if near else ''}"
                    message = f"{_said(edge)}: nothing defines {curie}"
                    yield issue(
                        "error", "unknown-term", message, fix, edge.subject, edge.predicate, edge.object
                    )
                continue
            if obsolete and edge.predicate != "is_a":
                fix = f"use {instead}" if instead else "use a current term"
                message = f"{_said(edge)}: {curie} is obsolete"
                yield issue(
                    "warning", "obsolete-term", message, fix, edge.subject, edge.predicate, edge.object
                )
    parents = {e.object for e in ontology.edges if e.predicate == "is_a"}
    if not with_findings:
        return  # a hierarchy or a list of names: nothing in it is meant to be a profile
    for curie, term in terms.items():
        if term.obsolete:
            continue
        if term.kind == "disease" and curie not in with_findings and curie not in parents:
            if graph is not None and any(True for _ in graph.edges(curie, "has_phenotype")):
                continue
            fix = "give it kgmed:hasPhenotype facts, else no finding can ever point to it"
            yield issue(
                "warning", "disease-without-finding", f"{curie} ({term.name}) has no finding", fix, curie
            )
        if term.kind == "finding" and curie not in used:
            fix = "use it in a fact, or place it under a known finding with is_a"
            yield issue("warning", "unused-finding", f"{curie} ({term.name}) is not used", fix, curie)


def _circle(ontology: Ontology) -> list[str]:
    import graphlib

    parents: dict[str, set[str]] = {}
    for edge in ontology.edges:
        if edge.predicate == "is_a" and not edge.negated:
            parents.setdefault(edge.subject, set()).add(edge.object)
    try:
        graphlib.TopologicalSorter(parents).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []
