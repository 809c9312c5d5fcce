"""Code systems and the CURIE prefixes that kgmed writes for them.

The one place that knows `http://snomed.info/sct` is `SCTID`, and which
identifiers may be named in a message: a code of a public vocabulary is not patient
text, anything else in the same place might be.
"""

from __future__ import annotations

import re

__all__ = ["PREFIXES", "curie_of", "is_public", "tidy_curie"]

# FHIR system address (without a trailing slash, lower case) -> CURIE prefix.
# From the HL7 terminology registry, https://terminology.hl7.org/external_terminologies.html
_SYSTEMS = {
    "http://human-phenotype-ontology.org": "HP",
    "http://www.human-phenotype-ontology.org": "HP",
    "http://purl.obolibrary.org/obo/hp.owl": "HP",
    "http://purl.obolibrary.org/obo/hp.fhir": "HP",
    "http://purl.obolibrary.org/obo/mondo.owl": "MONDO",
    "http://snomed.info/sct": "SCTID",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://id.who.int/icd/release/11/mms": "ICD11",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://loinc.org": "LOINC",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RXNORM",
    "http://www.whocc.no/atc": "ATC",
    "http://www.omim.org": "OMIM",
    "http://omim.org": "OMIM",
    "https://omim.org": "OMIM",
    "http://www.orpha.net": "ORPHA",
    "http://www.orphadata.org": "ORPHA",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://fdasis.nlm.nih.gov": "UNII",
    "http://ncimeta.nci.nih.gov": "NCIT",
    "http://www.nlm.nih.gov/research/umls": "UMLS",
    "http://unitsofmeasure.org": "UCUM",
    "urn:oid:2.16.840.1.113883.6.96": "SCTID",
    "urn:oid:2.16.840.1.113883.6.90": "ICD10CM",
    "urn:oid:2.16.840.1.113883.6.1": "LOINC",
    "urn:oid:2.16.840.1.113883.6.88": "RXNORM",
}

# Other spellings of a prefix -> ours.
_SPELLINGS = {
    "ORPHANET": "ORPHA",
    "SNOMED": "SCTID",
    "SNOMEDCT": "SCTID",
    "SCT": "SCTID",
    "ICD-10-CM": "ICD10CM",
    "MIM": "OMIM",
    "OMIMPS": "OMIMPS",
    "RXCUI": "RXNORM",
    "LNC": "LOINC",
}

PREFIXES = frozenset(
    {*_SYSTEMS.values(), "DECIPHER", "DOID", "MESH", "MEDGEN", "OMIMPS", "CHEBI", "DRUGBANK", "PATO", "SYMP"}
)
"""Prefixes of public vocabularies."""

_BODY = re.compile(r"[A-Z]{0,3}\d[\dA-Z.\-]{0,17}", re.ASCII)
_CURIE = re.compile(r"([A-Za-z][A-Za-z0-9.\-]{0,19})[:_]([A-Za-z0-9][A-Za-z0-9.\-]{0,63})", re.ASCII)


def tidy_curie(text: str) -> str | None:
    """The CURIE that `text` spells, in kgmed's spelling, or None when it is not one.

    A prefix in another case or under another name (`hp:0001250`, `HP_0001250`,
    `Orphanet:558`, an OBO address) becomes ours; unknown prefixes are kept.

    >>> tidy_curie("http://purl.obolibrary.org/obo/HP_0001250")
    'HP:0001250'
    >>> tidy_curie("Orphanet:558")
    'ORPHA:558'
    >>> tidy_curie("fever since 9:30")
    """
    text = text.strip().removeprefix("http://purl.obolibrary.org/obo/")
    match = _CURIE.fullmatch(text)
    if match is None:
        return None
    prefix, body = match.groups()
    known = _SPELLINGS.get(prefix.upper(), prefix.upper())
    if known in PREFIXES:
        return f"{known}:{body}"
    return f"{prefix}:{body}" if ":" in text else None


def curie_of(system: str, code: str) -> str | None:
    """CURIE of a FHIR coding, or None when the system is not one that kgmed knows.

    >>> curie_of("http://hl7.org/fhir/sid/icd-10-cm", "I10")
    'ICD10CM:I10'
    """
    prefix = _SYSTEMS.get(system.strip().lower().rstrip("/"))
    code = code.strip()
    if prefix is None or not code:
        return None
    for spelled in (f"{prefix}:", f"{prefix}_"):
        code = code.removeprefix(spelled)
    if prefix == "ORPHA":
        code = code.removeprefix("Orphanet:").removeprefix("Orphanet_")
    return f"{prefix}:{code}"


def is_public(curie: str) -> bool:
    """Whether a message may name this identifier: a code of a public vocabulary.

    >>> is_public("HP:0001250"), is_public("MRN:123456"), is_public("HP:Smith")
    (True, False, False)
    """
    prefix, _, body = curie.partition(":")
    return prefix in PREFIXES and _BODY.fullmatch(body) is not None
