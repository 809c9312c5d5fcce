"""SSSOM mapping tables and edge tables of MONDO to an `Ontology`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from kgmed.ontology import Edge, Mapping, Ontology, Source, Synonym, Term, TermKind
from kgmed.read.hpoa import read_rows

__all__ = ["read_kgx_edges", "read_sssom"]

# Prefixes as kgmed writes them.
_PREFIXES = {"Orphanet": "ORPHA", "mesh": "MESH", "icd11.foundation": "ICD11", "ORPHANET": "ORPHA"}


def normal(curie: str) -> str:
    """A CURIE with the prefix that kgmed uses.

    >>> normal("Orphanet:558")
    'ORPHA:558'
    """
    prefix, _, local = curie.partition(":")
    return f"{_PREFIXES.get(prefix, prefix)}:{local}"


def read_sssom(
    path: str | Path, *, source: Source, kind: TermKind = "disease", names_of: Collection[str] = ()
) -> Ontology:
    """Read exact matches: subjects become terms, objects mappings.

    Args:
        path: TSV, plain or gzip.
        source: Origin put on every fact.
        kind: Kind of the subjects.
        names_of: Prefixes whose labels are kept as synonyms of the subject.
    """
    ontology = Ontology(sources=[source])
    seen: set[str] = set()
    for _, row in read_rows(Path(path)):
        subject, other = normal(row["subject_id"]), normal(row["object_id"])
        if subject not in seen:
            seen.add(subject)
            name = row["subject_label"] or ""
            ontology.terms.append(
                Term(
                    curie=subject,
                    name=name.removeprefix("obsolete "),
                    kind=kind,
                    obsolete=name.startswith("obsolete "),
                    source=source.id,
                )
            )
        ontology.mappings.append(Mapping(term=subject, other=other, predicate="exact", source=source.id))
        label = row.get("object_label") or ""
        if (
            label
            and other.split(":")[0] in names_of
            and label.lower() != (row["subject_label"] or "").lower()
        ):
            ontology.synonyms.append(Synonym(term=subject, text=label, source=source.id))
    return ontology


def read_kgx_edges(path: str | Path, *, source: Source) -> Ontology:
    """Read `biolink:subclass_of` rows of a KGX edge table as is_a edges."""
    ontology = Ontology(sources=[source])
    for _, row in read_rows(Path(path)):
        if row["predicate"] == "biolink:subclass_of":
            ontology.edges.append(
                Edge(
                    subject=normal(row["subject"]),
                    predicate="is_a",
                    object=normal(row["object"]),
                    source=source.id,
                )
            )
    return ontology
