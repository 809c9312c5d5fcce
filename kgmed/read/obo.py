"""OBO 1.4 files to an `Ontology`, parsed by fastobo. Imports are listed, never followed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from kgmed.ontology import Edge, Mapping, Synonym, Term
from kgmed.read.common import xref
from kgmed.read.document import Document

__all__ = ["read_obo"]


def read_obo(document: Document) -> None:
    """Fill `document.ontology` from OBO; term frames only, relationships other than is_a counted.

    Raises:
        ParseError: With path and line, if it is not OBO.
    """
    import fastobo

    try:
        # fastobo panics at a comment on a line of its own inside a frame. Such lines are legal:
        # they are emptied, which keeps the numbers of the others.
        obo = fastobo.loads(re.sub(r"(?m)^[ \t]*!.*$", "", document.text()))
        frames = list(obo)
    except SyntaxError as error:
        raise document.error(f"not readable as OBO: {error.msg}", error.lineno) from None
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise document.error(f"not readable as OBO: {error}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # Rust's, which is no Exception
            raise
        raise document.error("not readable as OBO: the parser fastobo gave up on it") from None
    for clause in obo.header:
        tag, value = clause.raw_tag(), clause.raw_value()
        if tag == "data-version":
            document.source = replace(document.source, release=value)
        elif tag == "import":
            fix = "load that file as well and add it with with_ontology"
            document.problem("warning", "import-ignored", f"imports {value}, which is not followed", fix)
    document.ontology.sources = [document.source]
    ignored = 0
    for frame in frames:
        if type(frame).__name__ == "TermFrame":
            ignored += _add_frame(document, frame)
    if ignored:
        document.problem(
            "warning",
            "owl-axioms-ignored",
            f"{ignored} relationships and definitions beyond is_a are not used",
            "nothing to do, unless the hierarchy rests on them: then classify it with a reasoner first",
        )


def _add_frame(document: Document, frame: Any) -> int:
    ontology, source, ignored = document.ontology, document.source.id, 0
    curie = str(frame.id)
    name, obsolete, replaced_by = "", False, ""
    for clause in frame:
        match clause.raw_tag():
            case "name":
                name = clause.name
            case "is_obsolete":
                obsolete = clause.obsolete
            case "replaced_by":
                replaced_by = str(clause.term)
            case "is_a":
                ontology.edges.append(
                    Edge(subject=curie, predicate="is_a", object=str(clause.term), source=source)
                )
            case "synonym":
                synonym = clause.synonym
                tags = (str(synonym.type),) if synonym.type else ()
                scope = synonym.scope.lower()
                ontology.synonyms.append(
                    Synonym(term=curie, text=synonym.desc, scope=scope, tags=tags, source=source)
                )
            case "xref":
                mapping = xref(curie, str(clause.xref.id), source)
                if mapping is not None:
                    ontology.mappings.append(mapping)
            case "alt_id":
                other = str(clause.alt_id)
                ontology.mappings.append(
                    Mapping(term=curie, other=other, predicate="alternative", source=source)
                )
            case "relationship" | "intersection_of" | "union_of" | "disjoint_from" | "equivalent_to":
                ignored += 1
    if name or not obsolete:
        name = name.removeprefix("obsolete ") if obsolete else name
        ontology.terms.append(
            Term(curie=curie, name=name, obsolete=obsolete, replaced_by=replaced_by, source=source)
        )
    return ignored
