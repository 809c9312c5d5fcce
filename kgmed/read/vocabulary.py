"""Names of the RDF form: which IRI stands for which CURIE, kind and predicate.

`https://kgmed.org/ns#` is a plain identifier; nothing is ever fetched from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

__all__ = [
    "KGMED",
    "PREFIXES",
    "QUALIFIERS",
    "RESERVED",
    "curie_of",
    "iri_of",
    "kind_iri",
    "predicate_iri",
    "predicate_name",
    "source_iri",
]

KGMED = "https://kgmed.org/ns#"
OBO = "http://purl.obolibrary.org/obo/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
DCTERMS = "http://purl.org/dc/terms/"
DC = "http://purl.org/dc/elements/1.1/"
OIO = "http://www.geneontology.org/formats/oboInOwl#"
XSD = "http://www.w3.org/2001/XMLSchema#"

# Identifiers without an address of their own get one under here: base/PREFIX/local.
_OWN_IDS = "https://kgmed.org/id/"
_OWN_PREDICATES = "https://kgmed.org/predicate/"
_OWN_SOURCES = "https://kgmed.org/source/"

# Ontologies of the OBO library: their addresses are obo/PREFIX_local.
_OBO_PREFIXES = frozenset(
    [
        "BFO",
        "CHEBI",
        "CL",
        "CLO",
        "DOID",
        "ECO",
        "ENVO",
        "FMA",
        "GENO",
        "GO",
        "HP",
        "IAO",
        "IDO",
        "MAXO",
        "MONDO",
        "MP",
        "NCBITaxon",
        "NCIT",
        "OBI",
        "OGMS",
        "OMIT",
        "OMO",
        "PATO",
        "PR",
        "RO",
        "SO",
        "SYMP",
        "UBERON",
        "UO",
        "VO",
    ]
)
# Other vocabularies, by the address their publishers use.
_OTHER_PREFIXES = {
    "OMIM": "https://omim.org/entry/",
    "OMIMPS": "https://omim.org/phenotypicSeries/PS",
    "ORPHA": "http://www.orpha.net/ORDO/Orphanet_",
    "NCBIGene": "http://identifiers.org/ncbigene/",
    "HGNC": "http://identifiers.org/hgnc/",
    "PMID": "http://identifiers.org/pubmed/",
    "UMLS": "http://linkedlifedata.com/resource/umls/id/",
    "MESH": "http://id.nlm.nih.gov/mesh/",
    "MEDGEN": "http://identifiers.org/medgen/",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm/",
    "ICD11": "http://id.who.int/icd/entity/",
    "SCTID": "http://snomed.info/id/",
    "LOINC": "http://loinc.org/rdf/",
    "RXNORM": "http://purl.bioontology.org/ontology/RXNORM/",
    "ATC": "http://purl.bioontology.org/ontology/ATC/",
    "DRUGBANK": "http://identifiers.org/drugbank/",
}

QUALIFIERS = frozenset(
    [
        "asserted_for",
        "denominator",
        "evidence",
        "finding",
        "frequency",
        "frequency_class",
        "negated",
        "numerator",
        "object",
        "onset",
        "predicate",
        "reference",
        "sex",
        "source",
    ]
)
"""What a node of `kgmed:hasPhenotype` or `kgmed:association` may say."""

RESERVED = QUALIFIERS | frozenset(
    [
        "association",
        "id",
        "kind",
        "licence",
        "mapping",
        "mapped",
        "release",
        "replaced_by",
        "rules",
        "scope",
        "sha256",
        "synonym",
        "tag",
        "text",
        "title",
        "url",
    ]
)
"""Words of the namespace that describe a node, and so are never the predicate of an edge."""

PREFIXES: dict[str, str] = {
    "kgmed": KGMED,
    "obo": OBO,
    "rdf": RDF,
    "rdfs": RDFS,
    "owl": OWL,
    "skos": SKOS,
    "dcterms": DCTERMS,
    "oboInOwl": OIO,
    "xsd": XSD,
    **{prefix: f"{OBO}{prefix}_" for prefix in sorted(_OBO_PREFIXES)},
    **_OTHER_PREFIXES,
}
"""Prefixes that queries and exports may use without declaring them."""

_NAMESPACES = sorted(
    ((namespace, prefix) for prefix, namespace in PREFIXES.items() if prefix not in ("obo", "xsd")),
    key=lambda pair: -len(pair[0]),
)
_OBO_IRI = re.compile(re.escape(OBO) + r"([A-Za-z][A-Za-z0-9]*)_(.+)\Z")
# Addresses that every RDF parser takes; whatever else is written under _OWN_IDS.
_CHARACTERS = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*"
_IRI = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/{_CHARACTERS}(?:#{_CHARACTERS})?)?\Z"
)


@lru_cache(maxsize=1 << 17)  # an export asks for the same few terms millions of times
def iri_of(curie: str) -> str:
    """The IRI of a CURIE; an IRI stays as it is.

    >>> iri_of("HP:0001250")
    'http://purl.obolibrary.org/obo/HP_0001250'
    >>> iri_of("TOX:1")
    'https://kgmed.org/id/TOX/1'
    """
    prefix, colon, local = curie.partition(":")
    if local.startswith("//") and _IRI.match(curie):
        return curie
    namespace = PREFIXES.get(prefix) if colon else None
    if (
        namespace is not None
        and local
        and _IRI.match(namespace + local)
        and curie_of(namespace + local) == curie
    ):
        return namespace + local
    return (
        f"{_OWN_IDS}{quote(prefix, safe='')}/{quote(local, safe='')}"
        if colon
        else _OWN_IDS + quote(curie, safe="")
    )


def curie_of(iri: str, prefixes: Mapping[str, str] | None = None) -> str:
    """The CURIE of an IRI, by the known vocabularies, then by `prefixes` (prefix to namespace).

    An IRI that nothing shortens stays whole.

    >>> curie_of("http://example.org/tox/7", {"TOX": "http://example.org/tox/"})
    'TOX:7'
    """
    obo = _OBO_IRI.match(iri)
    if obo:
        return f"{obo[1]}:{obo[2]}"
    if iri.startswith(_OWN_IDS):
        prefix, slash, local = iri.removeprefix(_OWN_IDS).partition("/")
        return f"{unquote(prefix)}:{unquote(local)}" if slash else unquote(prefix)
    for namespace, prefix in _NAMESPACES:
        if iri.startswith(namespace) and len(iri) > len(namespace):
            return f"{prefix}:{iri[len(namespace) :]}"
    best = ("", "")
    for prefix, namespace in (prefixes or {}).items():
        local = iri.removeprefix(namespace)
        if (
            prefix
            and namespace
            and local
            and local != iri
            and not set("/#") & set(local)
            and len(namespace) > len(best[1])
        ):
            best = (prefix, namespace)
    return f"{best[0]}:{iri.removeprefix(best[1])}" if best[0] else iri


def kind_iri(kind: str) -> str:
    """`disease` -> `https://kgmed.org/ns#Disease`."""
    return KGMED + kind.capitalize()


def source_iri(source: str) -> str:
    """`hpoa` -> `https://kgmed.org/source/hpoa`."""
    return _OWN_SOURCES + quote(source, safe="")


def predicate_iri(predicate: str) -> str:
    """`has_phenotype` -> `https://kgmed.org/ns#has_phenotype`; `is_a` -> rdfs:subClassOf."""
    if predicate == "is_a":
        return RDFS + "subClassOf"
    if re.fullmatch(r"[a-z]+(_[a-z]+)*", predicate) and predicate not in RESERVED:
        return KGMED + predicate
    return _OWN_PREDICATES + quote(predicate, safe="")


def predicate_name(iri: str, prefixes: Mapping[str, str] | None = None) -> str:
    """The reverse of `predicate_iri`; `kgmed:hasPhenotype` is `has_phenotype` too."""
    if iri == RDFS + "subClassOf":
        return "is_a"
    if iri == OBO + "RO_0002200":
        return "has_phenotype"
    if iri.startswith(KGMED):
        return re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), iri.removeprefix(KGMED))
    if iri.startswith(_OWN_PREDICATES):
        return unquote(iri.removeprefix(_OWN_PREDICATES))
    return curie_of(iri, prefixes)
