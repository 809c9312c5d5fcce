"""HPO annotations (`phenotype.hpoa`) and gene associations to an `Ontology`."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgmed.errors import ParseError
from kgmed.ontology import Edge, Ontology, Source, Synonym, Term

__all__ = ["FREQUENCY_CLASSES", "read_genes", "read_hpoa", "read_rows"]

FREQUENCY_CLASSES: dict[str, float] = {
    "HP:0040280": 1.0,  # Obligate: 100%
    "HP:0040281": 0.895,  # Very frequent: 80-99%
    "HP:0040282": 0.545,  # Frequent: 30-79%
    "HP:0040283": 0.17,  # Occasional: 5-29%
    "HP:0040284": 0.025,  # Very rare: 1-4%
    "HP:0040285": 0.0,  # Excluded: 0%
}
"""Middle of each HPO frequency class (bounds as HPO names them)."""

_PREDICATES = {
    "P": "has_phenotype",
    "I": "has_inheritance",
    "C": "has_onset",
    "M": "has_modifier",
    "H": "has_history",
}
_COLUMNS = (
    "database_id",
    "disease_name",
    "qualifier",
    "hpo_id",
    "reference",
    "evidence",
    "onset",
    "frequency",
    "sex",
    "modifier",
    "aspect",
)


def read_hpoa(path: str | Path, *, source: Source) -> Ontology:
    """Read disease annotations, one edge per row.

    A row is never merged with another: the reference, the counts and the sex or
    onset that qualify it stay readable.

    Raises:
        ParseError: With path and line, if a column is missing or a value is malformed.
    """
    file = Path(path)
    ontology = Ontology(sources=[source])
    names: dict[str, str] = {}
    for line, row in read_rows(file):
        if line == 0:
            missing = [c for c in _COLUMNS if c not in row]
            if missing:
                raise ParseError(f"columns missing: {', '.join(missing)}", path=str(file))
        predicate = _PREDICATES.get(row["aspect"])
        if predicate is None:
            raise ParseError(f"unknown aspect {row['aspect']!r}", path=str(file), line=line)
        frequency, numerator, denominator, frequency_term = _frequency(row["frequency"], file, line)
        negated = row["qualifier"] == "NOT"
        names.setdefault(row["database_id"], row["disease_name"])
        ontology.edges.append(
            Edge(
                subject=row["database_id"],
                predicate=predicate,
                object=row["hpo_id"],
                negated=negated,
                numerator=numerator,
                denominator=denominator,
                frequency=frequency,
                frequency_term=frequency_term,
                onset=row["onset"],
                sex=row["sex"].upper() if row["sex"].upper() in ("FEMALE", "MALE") else "",
                references=tuple(r for r in row["reference"].split(";") if r),
                source=source.id,
                evidence=row["evidence"],
            )
        )
    for curie, name in names.items():
        ontology.terms.append(Term(curie=curie, name=name, kind="disease", source=source.id))
        ontology.synonyms.append(Synonym(term=curie, text=name, source=source.id))
    return ontology


def read_genes(path: str | Path, *, source: Source) -> Ontology:
    """Read `genes_to_disease.txt`: disease has_gene gene.

    Raises:
        ParseError: If a column is missing.
    """
    ontology = Ontology(sources=[source])
    seen: set[str] = set()
    for line, row in read_rows(Path(path)):
        try:
            gene, symbol, disease, kind = (
                row[c] for c in ("ncbi_gene_id", "gene_symbol", "disease_id", "association_type")
            )
        except KeyError as error:
            raise ParseError(f"column {error} is missing", path=str(path), line=line) from None
        if gene not in seen:
            seen.add(gene)
            ontology.terms.append(Term(curie=gene, name=symbol, kind="gene", source=source.id))
        ontology.edges.append(
            Edge(subject=disease, predicate="has_gene", object=gene, source=source.id, evidence=kind)
        )
    return ontology


def read_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """0-based number and columns of each row of a tab-separated table; `#` lines are comments."""
    opener: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8", newline="") as stream:
            lines = (line for line in stream if not line.startswith("#"))
            yield from enumerate(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise ParseError(f"not a readable table ({type(error).__name__})", path=str(file)) from None


def _frequency(text: str, file: Path, line: int) -> tuple[float | None, int | None, int | None, str]:
    if not text:
        return None, None, None, ""
    if text in FREQUENCY_CLASSES:
        return FREQUENCY_CLASSES[text], None, None, text
    try:
        if text.endswith("%"):
            return min(1.0, float(text[:-1]) / 100.0), None, None, ""
        numerator, denominator = (int(part) for part in text.split("/"))
    except ValueError:
        raise ParseError(
            f"frequency {text!r} is not n/m, a percentage or an HPO class", path=str(file), line=line
        ) from None
    if denominator <= 0 or not 0 <= numerator <= denominator:
        # Known slips of the source (6/5): the count cannot be used, the fact can.
        return None, None, None, ""
    return numerator / denominator, numerator, denominator, ""
