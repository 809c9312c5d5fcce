"""OBO Graphs JSON (`hp.json`, `mondo.json`) to an `Ontology`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from kgmed.errors import ParseError
from kgmed.ontology import Edge, Mapping, Ontology, Scope, Source, Synonym, Term, TermKind

__all__ = ["SYNONYM_TAGS", "curie_of", "hpo_branches", "read_obographs"]

_OBO = "http://purl.obolibrary.org/obo/"
_SCOPES: dict[str, Scope] = {
    "hasExactSynonym": "exact",
    "hasBroadSynonym": "broad",
    "hasNarrowSynonym": "narrow",
    "hasRelatedSynonym": "related",
}
# HPO tags kinds of synonyms by OMO terms in newer releases, by words in older ones.
SYNONYM_TAGS = {"OMO_0003000": "abbreviation", "OMO_0003003": "layperson", "OMO_0003005": "british"}
# Top-level branches of HPO that are not findings.
_HPO_BRANCHES: dict[str, TermKind] = {
    "HP:0000005": "inheritance",
    "HP:0012823": "modifier",
    "HP:0040279": "frequency",
    "HP:0031797": "onset",
    "HP:0040006": "onset",
    "HP:0032443": "other",  # past medical history
}


def curie_of(iri: str) -> str:
    """`http://purl.obolibrary.org/obo/HP_0001250` -> `HP:0001250`; others unchanged.

    >>> curie_of("http://purl.obolibrary.org/obo/HP_0001250")
    'HP:0001250'
    """
    if iri.startswith(_OBO):
        prefix, _, local = iri.removeprefix(_OBO).partition("_")
        return f"{prefix}:{local}"
    return iri


def read_obographs(path: str | Path, *, source: Source, kind: TermKind = "finding") -> Ontology:
    """Read terms, synonyms, is_a edges and cross-references; no definitions.

    Args:
        path: JSON file, plain or gzip.
        source: Origin, release and licence put on every fact.
        kind: Kind of the terms; HPO's side branches (inheritance, onset,
            modifiers, frequencies) get their own.

    Raises:
        ParseError: If the file is not OBO Graphs JSON.
    """
    file = Path(path)
    opener: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8") as stream:
            document = json.load(stream)
        nodes = [node for graph in document["graphs"] for node in graph.get("nodes", ())]
        edges = [edge for graph in document["graphs"] for edge in graph.get("edges", ())]
    except RecursionError:
        raise ParseError("nested too deeply", path=str(file)) from None
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg}", path=str(file), line=error.lineno) from None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, OSError) as error:
        raise ParseError(f"not OBO Graphs JSON ({type(error).__name__})", path=str(file)) from None

    ontology = Ontology(sources=[source])
    try:
        for edge in edges:
            if edge["pred"] == "is_a":
                ontology.edges.append(
                    Edge(
                        subject=curie_of(edge["sub"]),
                        predicate="is_a",
                        object=curie_of(edge["obj"]),
                        source=source.id,
                    )
                )
        kinds = hpo_branches(ontology.edges)
        for node in nodes:
            if node.get("type") == "CLASS" and node.get("lbl"):
                _add_node(ontology, node, kinds, kind, source)
    except (KeyError, TypeError, AttributeError) as error:
        raise ParseError(f"a node or edge is malformed ({error})", path=str(file)) from None
    return ontology


def _add_node(
    ontology: Ontology, node: dict[str, Any], kinds: dict[str, TermKind], default: TermKind, source: Source
) -> None:
    curie = curie_of(node["id"])
    meta = node.get("meta", {})
    properties = {
        p["pred"].rsplit("/", 1)[-1].rsplit("#", 1)[-1]: p["val"] for p in meta.get("basicPropertyValues", ())
    }
    replaced_by = curie_of(properties.get("IAO_0100001", ""))
    ontology.terms.append(
        Term(
            curie=curie,
            name=node["lbl"].removeprefix("obsolete "),
            kind=kinds.get(curie, default),
            obsolete=bool(meta.get("deprecated", False)),
            replaced_by=replaced_by,
            source=source.id,
        )
    )
    for synonym in meta.get("synonyms", ()):
        scope = _SCOPES.get(synonym["pred"])
        if scope is None:
            continue
        tag = synonym.get("synonymType", "").rsplit("#", 1)[-1].rsplit("/", 1)[-1]
        tag = SYNONYM_TAGS.get(tag, tag)
        ontology.synonyms.append(
            Synonym(
                term=curie, text=synonym["val"], scope=scope, tags=(tag,) if tag else (), source=source.id
            )
        )
    for xref in meta.get("xrefs", ()):
        if "://" not in xref["val"] and " " not in xref["val"] and ":" in xref["val"]:
            ontology.mappings.append(
                Mapping(
                    term=curie,
                    other=xref["val"].replace("SNOMEDCT_US:", "SCTID:"),
                    predicate="close",
                    source=source.id,
                )
            )
    for property_ in meta.get("basicPropertyValues", ()):
        if property_["pred"].endswith("#hasAlternativeId"):
            ontology.mappings.append(
                Mapping(
                    term=curie, other=curie_of(property_["val"]), predicate="alternative", source=source.id
                )
            )


def hpo_branches(edges: list[Edge]) -> dict[str, TermKind]:
    """Kinds of the terms of HPO that are not findings, by the top-level branch they are under."""
    children: dict[str, list[str]] = {}
    for edge in edges:
        if edge.predicate != "is_a":
            continue
        children.setdefault(edge.object, []).append(edge.subject)
    kinds: dict[str, TermKind] = {}
    for root, kind in _HPO_BRANCHES.items():
        stack = [root]
        while stack:
            term = stack.pop()
            if kinds.get(term) != kind:
                kinds[term] = kind
                stack.extend(children.get(term, ()))
    return kinds
