"""OWL, RDF Schema, SKOS and kgmed's own RDF form (RDF/XML, Turtle, N-Triples, JSON-LD) to an `Ontology`.

Parsed by pyoxigraph. Nothing is ever fetched: imports are listed, never followed;
document type declarations and remote contexts are refused before parsing.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from kgmed.ontology import Edge, Mapping, Source, Synonym, Term, TermKind
from kgmed.read.common import SCOPES, add_edge, add_rules, xref
from kgmed.read.document import KINDS, Document, fill_kinds
from kgmed.read.obographs import SYNONYM_TAGS
from kgmed.read.vocabulary import (
    DC,
    DCTERMS,
    KGMED,
    OBO,
    OIO,
    OWL,
    QUALIFIERS,
    RDF,
    RDFS,
    RESERVED,
    SKOS,
    curie_of,
    predicate_name,
)

__all__ = ["RDF_FORMATS", "read_rdf"]

RDF_FORMATS = {"owl": "RDF_XML", "turtle": "TURTLE", "ntriples": "N_TRIPLES", "jsonld": "JSON_LD"}

_KINDS: dict[str, TermKind] = {KGMED + kind.capitalize(): kind for kind in KINDS}
_SCOPES: dict[str, Any] = {
    OIO + "hasExactSynonym": "exact",
    OIO + "hasBroadSynonym": "broad",
    OIO + "hasNarrowSynonym": "narrow",
    OIO + "hasRelatedSynonym": "related",
    SKOS + "altLabel": "exact",
    SKOS + "hiddenLabel": "related",
}
_MAPPINGS: dict[str, Any] = {
    SKOS + "exactMatch": "exact",
    SKOS + "closeMatch": "close",
    OIO + "hasDbXref": "close",
    OIO + "hasAlternativeId": "alternative",
}
_HIERARCHY = {RDFS + "subClassOf", SKOS + "broader", SKOS + "narrower"}
_LABELS = (SKOS + "prefLabel", RDFS + "label")
_CLASSES = {OWL + "Class", RDFS + "Class", SKOS + "Concept", *_KINDS}
OWL_THING = curie_of(OWL + "Thing")
_REPLACED_BY = (OBO + "IAO_0100001", DCTERMS + "isReplacedBy")
# OWL vocabulary that is read, or says nothing that a hierarchy of named classes would lose.
_OWL_READ = {OWL + name for name in ["deprecated", "imports", "versionInfo", "versionIRI"]}
_OWL_READ |= {OWL + name for name in ["annotatedSource", "annotatedProperty", "annotatedTarget"]}

Rows = list[tuple[str, Any]]


def read_rdf(document: Document, format: str) -> None:
    """Fill `document.ontology` from RDF.

    Args:
        document: The opened file.
        format: A key of `RDF_FORMATS`.

    Raises:
        ParseError: With path and line where known, if it is not of that format, or
            declares a document type or a remote context.
    """
    _Reader(document, _rows(document, format)).read()


def _rows(document: Document, format: str) -> dict[str, Rows]:
    """Subject (IRI, or `_:` and a label) to its (predicate IRI, object) pairs."""
    import pyoxigraph

    text = document.text()
    if format == "owl" and (found := re.search(r"<!\s*(DOCTYPE|ENTITY)", text)):
        line = text.count("\n", 0, found.start()) + 1
        raise document.error(
            f"declares <!{found[1]}, which can expand without end or fetch other files; "
            "save it without entities (in Protege: without 'use XML entities'), or as Turtle",
            line,
        )
    if format == "jsonld":
        _refuse_remote_contexts(document, text)
    rows: dict[str, Rows] = {}
    try:
        parser = pyoxigraph.parse(
            input=text.encode(),
            format=getattr(pyoxigraph.RdfFormat, RDF_FORMATS[format]),
            base_iri=document.path.resolve().as_uri(),
        )
        for quad in parser:
            rows.setdefault(_key(quad.subject), []).append((quad.predicate.value, quad.object))
        document.prefixes = dict(parser.prefixes)
    except SyntaxError as error:
        raise document.error(f"not readable as {format}: {error.msg}", error.lineno) from None
    except (ValueError, OSError) as error:
        raise document.error(f"not readable as {format}: {error}") from None
    return rows


def _refuse_remote_contexts(document: Document, text: str) -> None:
    try:
        content = json.loads(text)
    except RecursionError:
        raise document.error("nested too deeply") from None
    except ValueError as error:
        raise document.error(
            f"not JSON: {getattr(error, 'msg', error)}", getattr(error, "lineno", None)
        ) from None
    stack = [content]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            contexts = item.get("@context")
            for context in contexts if isinstance(contexts, list) else [contexts]:
                if isinstance(context, str) or (isinstance(context, dict) and "@import" in context):
                    raise document.error(
                        "has a remote @context, which is never fetched; write the context out in the file"
                    )
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _key(node: Any) -> str:
    value: str = getattr(node, "value", str(node))
    return f"_:{value}" if type(node).__name__ == "BlankNode" else value


def _is_literal(node: Any) -> bool:
    return hasattr(node, "datatype")


class _Reader:
    def __init__(self, document: Document, rows: dict[str, Rows]) -> None:
        self.document = document
        self.ontology = document.ontology
        self.rows = rows
        self.kinds: dict[str, TermKind] = {}
        self.tags: dict[tuple[str, str], list[str]] = {}
        # Facts stated as nodes, beside which plain triples may say the same.
        self._detailed: list[Edge] = []
        self._named: list[Synonym] = []
        self._mapped: list[Mapping] = []
        hung = {KGMED + name for name in ("association", "synonym", "mapping")}
        self._nodes = {_key(o) for pairs in rows.values() for p, o in pairs if p in hung}

    def read(self) -> None:
        self._header()
        self._synonym_types()
        for subject, rows in self.rows.items():
            if not subject.startswith("_:") and not self._is_detail(subject, rows):
                self._subject(subject, rows)
        self._drop_doubles()
        fill_kinds(self.ontology, self.kinds)

    def _is_detail(self, subject: str, rows: Rows) -> bool:
        """Whether a node says more about a fact, a name or a mapping, and is no term itself."""
        return subject in self._nodes or any(p == KGMED + "finding" for p, _ in rows)

    # ------------------------------------------------------------ the whole file

    def _header(self) -> None:
        document = self.document
        sources: list[Source] = []
        ignored = 0
        for subject, rows in self.rows.items():
            types = {_key(o) for p, o in rows if p == RDF + "type"}
            if KGMED + "Source" in types:
                sources.append(self._source(subject, rows))
            if OWL + "Ontology" in types or SKOS + "ConceptScheme" in types:
                self._describe(rows)
            for predicate, value in rows:
                if predicate == OWL + "imports":
                    document.problem(
                        "warning",
                        "import-ignored",
                        f"imports {_key(value)}, which is not followed",
                        "load that file as well and add it with with_ontology",
                        _key(value),
                    )
                elif predicate == KGMED + "rules":
                    add_rules(document, self._literal(value))
                elif (predicate.startswith(OWL) and predicate not in _OWL_READ) or (
                    predicate == RDFS + "subClassOf" and type(value).__name__ == "BlankNode"
                ):
                    ignored += 1
        if ignored:
            document.problem(
                "warning",
                "owl-axioms-ignored",
                f"{ignored} OWL axioms beyond a named superclass are not used",
                "nothing to do, unless the hierarchy rests on them: then classify it with a reasoner first",
            )
        self.ontology.sources = [document.source, *sources]

    def _describe(self, rows: Rows) -> None:
        """Title, release and licence of the ontology, where it states them."""
        found: dict[str, str] = {}
        for predicate, value in rows:
            if predicate in (DCTERMS + "title", DC + "title", RDFS + "label"):
                found.setdefault("title", self._literal(value))
            elif predicate == OWL + "versionInfo":
                found.setdefault("release", self._literal(value))
            elif predicate in (DCTERMS + "license", DC + "rights", DCTERMS + "rights"):
                found.setdefault("licence", self._literal(value))
        self.document.source = replace(self.document.source, **found)

    def _source(self, subject: str, rows: Rows) -> Source:
        values = {p.removeprefix(KGMED): self._literal(o) for p, o in rows if p.startswith(KGMED)}
        labels = [self._literal(o) for p, o in rows if p == RDFS + "label"]
        id_ = (
            values.get("id")
            or curie_of(subject, self.document.prefixes).rpartition(":")[2].rpartition("/")[2]
        )
        return Source(
            id=id_,
            title=values.get("title") or (labels[0] if labels else id_),
            release=values.get("release", "not stated"),
            licence=values.get("licence", "not stated"),
            url=values.get("url", ""),
            sha256=values.get("sha256", ""),
        )

    def _synonym_types(self) -> None:
        for rows in self.rows.values():
            if (RDF + "type", OWL + "Axiom") not in ((p, _key(o)) for p, o in rows):
                continue
            values: dict[str, list[str]] = {}
            for predicate, value in rows:
                values.setdefault(predicate, []).append(self._literal(value))
            for source in values.get(OWL + "annotatedSource", ()):
                for text in values.get(OWL + "annotatedTarget", ()):
                    for tag in values.get(OIO + "hasSynonymType", ()):
                        word = re.split("[#/]", tag)[-1]
                        self.tags.setdefault((source, text), []).append(SYNONYM_TAGS.get(word, word))

    def _literal(self, value: Any) -> str:
        """Text of a literal, or the CURIE of a node."""
        return str(value.value) if _is_literal(value) else self._curie(value)

    def _curie(self, node: Any) -> str:
        if not hasattr(node, "value"):  # a quoted triple
            return str(node)
        curie = curie_of(node.value, self.document.prefixes)
        self.document.iris.setdefault(curie, node.value)
        return curie

    def _drop_doubles(self) -> None:
        """A plain triple beside a node that says the same with more detail is one fact, not two."""
        ontology = self.ontology
        edges = {(e.subject, e.predicate, e.object) for e in self._detailed}
        names = {(s.term, s.text, s.scope) for s in self._named}
        mappings = {(m.term, m.other, m.predicate) for m in self._mapped}
        ontology.edges = [e for e in ontology.edges if (e.subject, e.predicate, e.object) not in edges]
        ontology.edges += self._detailed
        ontology.synonyms = [s for s in ontology.synonyms if (s.term, s.text, s.scope) not in names]
        ontology.synonyms += self._named
        ontology.mappings = [m for m in ontology.mappings if (m.term, m.other, m.predicate) not in mappings]
        ontology.mappings += self._mapped

    # ------------------------------------------------------------ one subject

    def _subject(self, subject: str, rows: Rows) -> None:
        types = [_key(o) for p, o in rows if p == RDF + "type"]
        if KGMED + "Source" in types or KGMED + "Association" in types or OWL + "Ontology" in types:
            return
        curie = curie_of(subject, self.document.prefixes)
        self.document.iris[curie] = subject
        source = next((self._source_id(o) for p, o in rows if p == KGMED + "source"), self.document.source.id)
        for type_ in types:
            if type_ in _KINDS:
                self.kinds[curie] = _KINDS[type_]
            elif type_.startswith(KGMED):
                self._unknown(
                    curie,
                    type_,
                    "kind",
                    "use kgmed:Disease, kgmed:Finding, kgmed:Drug or another kind of the guide",
                )
        for predicate, value in rows:
            if predicate == KGMED + "kind":
                self._kind(curie, self._literal(value))
        named = self._labels(curie, types, rows, source)
        for predicate, value in rows:
            self._fact(curie, predicate, value, source)
        if named is not None:
            self.ontology.terms.append(named)

    def _kind(self, curie: str, text: str) -> None:
        kind = _KINDS.get(KGMED + text.removeprefix("kgmed:").capitalize())
        if kind is None:
            self.document.problem(
                "error",
                "unknown-kind",
                f"{curie}: its kgmed:kind is none that kgmed knows",
                f"write one of {', '.join(_KINDS.values())}",
                curie,
            )
        else:
            self.kinds[curie] = kind

    def _source_id(self, node: Any) -> str:
        if _is_literal(node):
            return str(node.value)
        for predicate, value in self.rows.get(_key(node), ()):
            if predicate == KGMED + "id":
                return self._literal(value)
        return self._curie(node).rpartition(":")[2].rpartition("/")[2]

    def _labels(self, curie: str, types: list[str], rows: Rows, source: str) -> Term | None:
        """The term, with further names added as synonyms; None when the file only adds facts to it."""
        labels = [(p, o) for wanted in _LABELS for p, o in rows if p == wanted and _is_literal(o)]
        if not labels and not any(t in _KINDS for t in types):
            return None
        if _CLASSES.isdisjoint(types) and not any(p in _HIERARCHY or p.startswith(KGMED) for p, _ in rows):
            return None  # an annotation property, a person, ...
        # The English or untagged name, else the first.
        labels.sort(key=lambda row: (row[1].language or "en").split("-")[0].lower() != "en")
        names = list(dict.fromkeys((o.value, o.language or "") for _, o in labels))
        name = names[0][0] if names else ""
        for other, language in names[1:]:
            if other == name:
                continue
            if language in ("", names[0][1]):
                self.document.problem(
                    "warning",
                    "two-names",
                    f"{curie} has more than one preferred name; the first is used, the others are synonyms",
                    "give it one rdfs:label, and the others as skos:altLabel",
                    curie,
                )
            tags = (language,) if language else ()
            self.ontology.synonyms.append(Synonym(term=curie, text=other, tags=tags, source=source))
        obsolete = any(p == OWL + "deprecated" and self._literal(o).lower() in ("true", "1") for p, o in rows)
        replaced_by = next((self._literal(o) for p, o in rows if p in _REPLACED_BY), "")
        if "://" in replaced_by:
            replaced_by = curie_of(replaced_by, self.document.prefixes)
        return Term(
            curie=curie,
            name=name.removeprefix("obsolete ") if obsolete else name,
            obsolete=obsolete,
            replaced_by=replaced_by,
            source=source,
        )

    def _unknown(self, curie: str, iri: str, what: str, fix: str) -> None:
        name = "kgmed:" + iri.removeprefix(KGMED)
        self.document.problem(
            "error", f"unknown-{what}", f"{curie}: {name} is no {what} that kgmed knows", fix, curie
        )

    def _fact(self, curie: str, predicate: str, value: Any, source: str) -> None:
        ontology = self.ontology
        if predicate in _HIERARCHY:
            if _is_literal(value) or type(value).__name__ != "NamedNode":
                return
            other = self._curie(value)
            child, parent = (other, curie) if predicate == SKOS + "narrower" else (curie, other)
            if other != OWL_THING:
                edge = Edge(subject=child, predicate="is_a", object=parent, source=source)
                if edge not in ontology.edges[-8:]:
                    ontology.edges.append(edge)
        elif predicate in _SCOPES and _is_literal(value):
            tags = self.tags.get((curie, value.value), [])
            if value.language and not value.language.lower().startswith("en"):
                tags = [*tags, value.language]
            ontology.synonyms.append(
                Synonym(
                    term=curie,
                    text=value.value,
                    scope=_SCOPES[predicate],
                    tags=tuple(dict.fromkeys(tags)),
                    source=source,
                )
            )
        elif predicate in _MAPPINGS:
            text = self._literal(value)
            if predicate == OIO + "hasDbXref":
                mapping = xref(curie, text, source)
            else:
                other = curie_of(text, self.document.prefixes) if "://" in text else text
                mapping = Mapping(term=curie, other=other, predicate=_MAPPINGS[predicate], source=source)
            if mapping is not None:
                ontology.mappings.append(mapping)
        elif (
            predicate.startswith(KGMED)
            or predicate == OBO + "RO_0002200"
            or (predicate.startswith("https://kgmed.org/predicate/") and not _is_literal(value))
        ):
            self._own(curie, predicate, value, source)

    def _own(self, curie: str, predicate: str, value: Any, source: str) -> None:
        name = predicate_name(predicate, self.document.prefixes)
        if name in ("synonym", "mapping"):
            self._detail(curie, name, value, source)
        elif name == "association":
            self._association(curie, "", value, source)
        elif name in RESERVED and predicate.startswith(KGMED):
            if name not in ("source", "rules", "id", "kind"):
                self._unknown(
                    curie, predicate, "property", "put it inside kgmed:hasPhenotype [ ... ], not beside it"
                )
        elif _is_literal(value):
            self._unknown(curie, predicate, "property", "see docs/ontologies.md for the properties of a term")
        elif {KGMED + "finding", KGMED + "object"} & {p for p, _ in self.rows.get(_key(value), ())}:
            self._association(curie, name, value, source)
        elif type(value).__name__ == "NamedNode":
            self.ontology.edges.append(
                Edge(subject=curie, predicate=name, object=self._curie(value), source=source)
            )
        else:
            self._association(curie, name, value, source)

    def _association(self, curie: str, predicate: str, node: Any, source: str) -> None:
        fields: dict[str, list[str]] = {}
        for iri, value in self.rows.get(_key(node), ()) if not _is_literal(node) else ():
            if not iri.startswith(KGMED):
                continue
            name = predicate_name(iri)
            if name not in QUALIFIERS:
                self._unknown(
                    curie, iri, "property", f"a node of this kind knows: {', '.join(sorted(QUALIFIERS))}"
                )
                continue
            if name == "predicate":
                predicate = predicate_name(str(value.value), self.document.prefixes)
            elif name == "source":
                fields["source"] = [self._source_id(value)]
            else:
                fields.setdefault(name, []).append(self._literal(value))
        objects = [*fields.pop("finding", []), *fields.pop("object", [])]
        if not predicate or len(objects) != 1:
            self.document.problem(
                "error",
                "finding-missing" if not objects else "incomplete-fact",
                f"{curie}: a {predicate or 'kgmed:association'} node names {len(objects)} findings, not one",
                "write kgmed:hasPhenotype [ kgmed:finding obo:HP_0001945 ; kgmed:frequency 0.8 ]",
                curie,
            )
            return
        edge = add_edge(self.document, curie, predicate, objects[0], fields, source=source)
        if edge is not None:
            self._detailed.append(edge)

    def _detail(self, curie: str, name: str, node: Any, source: str) -> None:
        """A synonym or mapping written as a node: it has a source or tags of its own."""
        rows = self.rows.get(_key(node), ()) if not _is_literal(node) else ()
        values: dict[str, list[str]] = {}
        for p, o in rows:
            if p.startswith(KGMED):
                text = self._source_id(o) if p == KGMED + "source" else self._literal(o)
                values.setdefault(predicate_name(p), []).append(text)
        scope: Any = values.get("scope", ["exact"])[0]
        own = values.get("source", [source])[0]
        if name == "synonym" and "text" in values and scope in SCOPES:
            tags = tuple(values.get("tag", ()))
            self._named.append(
                Synonym(term=curie, text=values["text"][0], scope=scope, tags=tags, source=own)
            )
        elif name == "mapping" and "mapped" in values and scope in ("exact", "close", "alternative"):
            self._mapped.append(Mapping(term=curie, other=values["mapped"][0], predicate=scope, source=own))
        else:
            self._unknown(curie, KGMED + name, "property", "see docs/ontologies.md for such nodes")
