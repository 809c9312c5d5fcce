"""Terms and sourced facts as a reader hands them over, before they are compiled.

An `Ontology` is a plain bundle of facts: every reader (OBO, OBO Graphs, OWL,
Turtle, SKOS, CSV, HPO annotations) returns one, and `KnowledgeGraph` is compiled
from one or several.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Edge", "Mapping", "Ontology", "Scope", "Source", "Synonym", "Term", "TermKind"]

TermKind = Literal[
    "finding", "disease", "gene", "drug", "onset", "inheritance", "modifier", "frequency", "other"
]
Scope = Literal["exact", "broad", "narrow", "related"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where facts are from.

    Attributes:
        id: Short key used by terms and edges, for example `hpoa`.
        title: Full name.
        release: Release or date as its publisher writes it.
        licence: Short name of the licence, or its address.
        url: Where it can be had, or "".
        sha256: Checksum of the file that was compiled, or "".
    """

    id: str
    title: str
    release: str
    licence: str
    url: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One concept: CURIE, preferred name and kind.

    `replaced_by` is the CURIE that an obsolete term hands over to, or "".
    `source` is the `Source.id` that the term is from.
    """

    curie: str
    name: str
    kind: TermKind = "finding"
    obsolete: bool = False
    replaced_by: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Synonym:
    """Another name of a term. `tags` hold words such as `layperson` or `abbreviation`."""

    term: str
    text: str
    scope: Scope = "exact"
    tags: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapping:
    """`term` is the same concept as `other`, an identifier of another vocabulary.

    `predicate` is `exact` (skos:exactMatch), `close` (a database
    cross-reference), or `alternative` (an older identifier of the same term).
    """

    term: str
    other: str
    predicate: Literal["exact", "close", "alternative"] = "exact"
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """One sourced fact: subject, predicate, object.

    Attributes:
        subject, object: CURIEs, for example `MONDO:0007947` and `HP:0001166`.
        predicate: `is_a`, `has_phenotype`, `has_onset`, `has_inheritance`,
            `has_gene`, `has_risk_factor`, `treated_by`, or one of the user's own;
            those of curated diseases stand in `kgmed.curated.compile`.
        negated: True for "this disease does not have this finding".
        numerator, denominator: Patients with the finding and patients examined,
            or None. 0/12 is a fact worth keeping.
        frequency: 0..1 as stated, or the middle of a stated class, or None.
        frequency_term: CURIE of the stated class (`HP:0040281`), or "".
        onset: CURIE of the onset term that qualifies the fact, or "".
        sex: `FEMALE`, `MALE` or "".
        references: CURIEs of the publications, such as `PMID:30808312`.
        asserted_for: Identifier that the source wrote for the subject, where the
            graph joined it to another (`OMIM:154700` under `MONDO:0007947`), or "".
        source: `Source.id`.
        evidence: Evidence code as the source writes it (`PCS`, `TAS`, `curated`), or "".
        value: A number that is no frequency, or None: the odds ratio of a
            `has_risk_factor`, patients per 100,000 of a `seen_in`.
    """

    subject: str
    predicate: str
    object: str
    negated: bool = False
    numerator: int | None = None
    denominator: int | None = None
    frequency: float | None = None
    frequency_term: str = ""
    onset: str = ""
    sex: str = ""
    references: tuple[str, ...] = ()
    asserted_for: str = ""
    source: str = ""
    evidence: str = ""
    value: float | None = None


@dataclass(kw_only=True)
class Ontology:
    """A bundle of terms, names, edges, mappings, sources and rules.

    `rules` holds rule tables as read from the file (see `kgmed.score.rules`).
    Mutable on purpose: readers fill it; the compiled graph is what stays fixed.
    """

    sources: list[Source] = field(default_factory=list)
    terms: list[Term] = field(default_factory=list)
    synonyms: list[Synonym] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    mappings: list[Mapping] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Ontology) -> None:
        """Append everything that `other` holds."""
        for name in ("sources", "terms", "synonyms", "edges", "mappings", "rules"):
            getattr(self, name).extend(getattr(other, name))
