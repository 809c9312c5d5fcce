"""Disease cards and vocabulary to an `Ontology`.

Predicates of a curated disease, beside `is_a` and `has_phenotype`:

| predicate | object | holds |
|---|---|---|
| `has_risk_factor` | finding | `value`: odds ratio; `frequency`: share of the patients who have it |
| `seen_in` | setting | `value`: patients per 100,000 who come to that setting with a new problem |
| `has_age` | age band | `frequency`: share of the patients |
| `has_sex` | sex | `frequency`: share of the patients |
| `presents_after` | tempo | `frequency`: share of the patients |
| `has_triage` | triage level | |
| `has_red_flag`, `settled_by` | finding or procedure | |
| `confused_with` | disease | |

and of a finding `found_by` (history, exam, lab, imaging, test) and `has_base`
(`frequency`: share of all patients of primary and emergency care).
"""

from __future__ import annotations

from collections import Counter

from kgmed.curated.card import AGE_BANDS, FOUND_BY, SETTINGS, TEMPOS, TRIAGE, Card, Item
from kgmed.curated.library import Library
from kgmed.curated.vocabulary import TOLD
from kgmed.ontology import Edge, Mapping, Ontology, Source, Synonym, Term

__all__ = ["CONSTANTS", "ROOTS", "compile_curated", "exposed_share"]

# Own terms that no file lists: distributions need something to point at.
_GROUPS = {
    "setting": ("KGMED:20000", SETTINGS),
    "age": ("KGMED:20001", AGE_BANDS),
    "sex": ("KGMED:20002", ("female", "male")),
    "tempo": ("KGMED:20003", TEMPOS),
    "triage": ("KGMED:20004", TRIAGE),
    "found by": ("KGMED:20005", FOUND_BY),
    "time": ("KGMED:20006", ("h", "d", "w", "m", "y", "late")),
}
CONSTANTS = {
    (group, name): f"{prefix}{number:02d}"
    for group, (prefix, names) in _GROUPS.items()
    for number, name in enumerate(names, 1)
}
"""(group, name) to CURIE: `("age", "80+")` is KGMED:2000109."""
_TIME_NAMES = {"h": "hours", "d": "days", "w": "weeks", "m": "months", "y": "years"}

ROOTS = (
    "Finding by history",
    "Finding on examination",
    "Vital sign finding",
    "Laboratory finding",
    "Imaging finding",
    "Electrocardiographic finding",
    "Other test finding",
    "Exposure or risk factor",
    "Drug taken",
    "Onset and course",
    "Procedure",
)
"""Names of the roots of the vocabulary: the only own findings without a parent."""

_FOUND_BY_KIND = {
    "history": "history",
    "exposure": "history",
    "drug": "history",
    "course": "history",
    "exam": "exam",
    "vital": "exam",
    "lab": "lab",
    "imaging": "imaging",
    "ecg": "test",
    "test": "test",
    "procedure": "test",
}


def exposed_share(odds_ratio: float, base: float) -> float:
    """Share of patients with a risk factor, from its odds ratio and its share among all.

    With odds b / (1 - b) outside the disease the odds among its patients are OR
    times that; rare-disease assumption (Rothman, Modern Epidemiology, ch. 4).

    >>> round(exposed_share(3.0, 0.2), 3)
    0.429
    """
    return odds_ratio * base / (1.0 - base + odds_ratio * base)


def compile_curated(library: Library, source: Source) -> Ontology:
    """All that can be resolved, as terms and edges; `lint` tells what cannot.

    Args:
        library: What was read.
        source: Recorded on every term and edge.
    """
    out = Ontology(sources=[source])
    for (group, name), curie in CONSTANTS.items():
        label = _TIME_NAMES.get(name, name) if group == "time" else name
        out.terms.append(Term(curie=curie, name=f"{group}: {label}", kind="other", source=source.id))
    _findings(library, source.id, out)
    base: dict[str, float] = {}
    for row in library.vocabulary:
        if row.base is not None:
            base.setdefault(row.id, row.base)
    used: dict[str, Counter[str]] = {}
    for card in library.cards:
        if library.disease_of(card) is not None:
            _disease(library, card, base, source.id, out)
            for item in card.findings:
                if item.key in FOUND_BY and (term := library.findings.find(item.name)):
                    used.setdefault(term, Counter())[item.key] += 1
    kinds = {row.id: _FOUND_BY_KIND[row.kind] for row in library.vocabulary}
    for term in sorted({*used, *kinds} - {""}):
        found_by = kinds.get(term) or used[term].most_common(1)[0][0]
        out.edges.append(_edge(term, "found_by", CONSTANTS["found by", found_by], source.id))
    return out


def _findings(library: Library, source: str, out: Ontology) -> None:
    based: set[str] = set()
    for row in library.vocabulary:
        if not row.id:
            continue
        if row.id.startswith("KGMED:"):
            kind = "other" if row.kind == "procedure" else "finding"
            out.terms.append(Term(curie=row.id, name=row.name, kind=kind, source=source))  # type: ignore[arg-type]
        # A term of HPO keeps its own parents; what a row names stands beside them, as curated.
        out.edges += [_edge(row.id, "is_a", p, source) for p in library.parent_of(row) if p is not None]
        for tag, names in (("", row.clinical), ("layperson", row.lay)):
            out.synonyms += [
                Synonym(term=row.id, text=name, tags=(tag,) if tag else (), source=source) for name in names
            ]
        out.mappings += [
            Mapping(term=row.id, other=code, predicate="close", source=source)
            for code in row.codes
            if not code.startswith("SCTID:")  # needs the user's own licence
        ]
        if row.base is not None and row.id not in based:
            based.add(row.id)  # a term that two domains list: the first base stands
            out.edges.append(
                _edge(row.id, "has_base", CONSTANTS["setting", "primary"], source, frequency=row.base)
            )

    for told in library.told:
        if library.findings.find(told.name) == told.id:
            out.synonyms += [
                Synonym(term=told.id, text=phrase, scope="related", tags=(TOLD, "layperson"), source=source)
                for phrase in told.told
            ]


def _disease(library: Library, card: Card, base: dict[str, float], source: str, out: Ontology) -> None:
    listed = library.disease_of(card)
    assert listed is not None
    disease = listed.id
    own = disease.startswith("KGMED:")
    if own:
        out.terms.append(Term(curie=disease, name=card.name, kind="disease", source=source))
    out.synonyms += [
        Synonym(term=disease, text=name, source=source)
        for name in (card.name, *(item.name for item in card.get("names")))
    ]
    out.mappings.append(
        Mapping(term=disease, other=f"ICD10CM:{listed.icd10cm}", predicate="close", source=source)
    )

    def add(predicate: str, term: str | None, **fields: object) -> None:
        if term is not None:
            out.edges.append(_edge(disease, predicate, term, source, **fields))

    for item in card.get("parent"):
        parent = library.diseases.find(item.name)
        if parent != disease and (own or parent is not None):
            add("is_a", parent)
    for item in card.get("seen"):
        add("seen_in", CONSTANTS.get(("setting", item.name)), value=item.number, references=_of(item))
    for key, group, predicate in (("age", "age", "has_age"), ("tempo", "tempo", "presents_after")):
        for name, share in card.shares(key).items():
            add(predicate, CONSTANTS.get((group, name)), frequency=share)
    for item in card.get("sex"):
        share = (item.number or 0.0) / 100.0
        add("has_sex", CONSTANTS.get(("sex", item.name)), frequency=share)
        other = "male" if item.name == "female" else "female"
        add("has_sex", CONSTANTS["sex", other], frequency=1.0 - share)
    for item in card.get("triage"):
        add("has_triage", CONSTANTS.get(("triage", item.name)))
    for item in card.get("risk"):
        term = library.findings.find(item.name)
        share = exposed_share(item.number or 1.0, base.get(term or "", 0.01))
        add("has_risk_factor", term, value=item.number, frequency=share, references=_of(item))
    for item in card.findings:
        frequency = (item.number or 0.0) / 100.0
        onset = CONSTANTS.get(("time", item.onset.lstrip("0123456789")), "") if item.onset else ""
        term = library.findings.find(item.name)
        add("has_phenotype", term, frequency=frequency, onset=onset, references=_of(item))
    for key, predicate in (("red flags", "has_red_flag"), ("settled by", "settled_by")):
        for item in card.get(key):
            add(predicate, library.findings.find(item.name))
    for item in card.get("confused with"):
        other_disease = library.diseases.find(item.name)
        if other_disease != disease:
            add("confused_with", other_disease)


def _of(item: Item) -> tuple[str, ...]:
    return (item.source,) if item.source else ()


def _edge(subject: str, predicate: str, object_: str, source: str, **fields: object) -> Edge:
    return Edge(
        subject=subject,
        predicate=predicate,
        object=object_,
        source=source,
        evidence="curated",
        **fields,  # type: ignore[arg-type]
    )
