"""The label scheme of notes, and what the labels of other corpora mean in it.

Each corpus annotates a part of the scheme. A label of a corpus means one label of the scheme, or one
of several: the "Disease" of NCBI-disease and BC5CDR holds signs too, so it is a Disease or a Finding.
Labels that mean none of the scheme say nothing about the words that they cover.
"""

from __future__ import annotations

__all__ = ["CORPORA", "SCHEME", "meaning"]

SCHEME: tuple[str, ...] = (
    "Finding",
    "Disease",
    "Drug",
    "Dosage",
    "Schedule",
    "Procedure",
    "Measurement",
    "Value",
    "Severity",
    "Anatomy",
    "Age",
    "Sex",
    "Gene",
    "History",
    "Family_history",
)
"""Finding: sign or symptom. Schedule: route, frequency, duration. Measurement: what is measured or
imaged. Value: its result."""

CORPORA: dict[str, dict[str, tuple[str, ...]]] = {
    "ncbi_disease": {"Disease": ("Disease", "Finding")},
    "bc5cdr": {"Disease": ("Disease", "Finding"), "Chemical": ("Drug",)},
    "biored": {
        "DiseaseOrPhenotypicFeature": ("Disease", "Finding"),
        "ChemicalEntity": ("Drug",),
        "GeneOrGeneProduct": ("Gene",),
    },
    "maccrobat2020": {
        "Sign_symptom": ("Finding",),
        "Disease_disorder": ("Disease",),
        "Medication": ("Drug",),
        "Dosage": ("Dosage",),
        "Administration": ("Schedule",),
        "Frequency": ("Schedule",),
        "Duration": ("Schedule",),
        "Therapeutic_procedure": ("Procedure",),
        "Diagnostic_procedure": ("Measurement",),
        "Lab_value": ("Value",),
        "Distance": ("Value",),
        "Area": ("Value",),
        "Volume": ("Value",),
        "Mass": ("Value",),
        "Height": ("Value",),
        "Weight": ("Value",),
        "Severity": ("Severity",),
        "Biological_structure": ("Anatomy",),
        "Age": ("Age",),
        "Sex": ("Sex",),
        "History": ("History",),
        "Family_history": ("Family_history",),
    },
    "anatem": {"Anatomy": ("Anatomy",)},
    "bionlp13cg": {
        "Gene_or_gene_product": ("Gene",),
        "Cancer": ("Disease",),
        "Simple_chemical": ("Drug",),
        "Organ": ("Anatomy",),
        "Multi-tissue_structure": ("Anatomy",),
        "Tissue": ("Anatomy",),
        "Organism_subdivision": ("Anatomy",),
        "Anatomical_system": ("Anatomy",),
        "Immaterial_anatomical_entity": ("Anatomy",),
    },
    "bc2gm": {"GENE": ("Gene",)},
    "raredis": {
        "SIGN": ("Finding",),
        "SYMPTOM": ("Finding",),
        "DISEASE": ("Disease",),
        "RAREDISEASE": ("Disease",),
        "SKINRAREDISEASE": ("Disease",),
    },
}
"""By `source` of a note: what each of its labels means."""


def meaning(source: str, label: str) -> tuple[str, ...]:
    """The labels of the scheme that a label of a corpus may mean; empty for none.

    A corpus that is not listed is one of the user's, labelled in the scheme itself.

    >>> meaning("bc5cdr", "Disease"), meaning("mine", "Drug"), meaning("bc2gm", "Drug")
    (('Disease', 'Finding'), ('Drug',), ())
    """
    if source in CORPORA:
        return CORPORA[source].get(label, ())
    return (label,) if label in SCHEME else ()
