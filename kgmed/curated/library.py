"""Cards, vocabulary and list read together, with their names resolved against the terms of other sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kgmed.curated.card import Card, read_cards
from kgmed.curated.names import Names, folded
from kgmed.curated.vocabulary import (
    FindingRow,
    ListedDisease,
    ToldRow,
    read_list,
    read_told,
    read_vocabulary,
)
from kgmed.ontology import Synonym, Term

__all__ = ["Library"]

_STANDING = {"exact": 1, "narrow": 2, "broad": 2, "related": 2}


@dataclass(kw_only=True)
class Library:
    """Everything under `ontologies/common/`.

    Attributes:
        cards: The disease cards.
        vocabulary: The finding vocabulary.
        told: Phrases that tell of findings in other words.
        listed: The list of diseases, by folded name.
        findings, diseases: Names to terms, those of other sources included.
    """

    cards: list[Card]
    vocabulary: list[FindingRow]
    told: list[ToldRow]
    listed: dict[str, ListedDisease]
    findings: Names
    diseases: Names

    @classmethod
    def read(cls, folder: Path, terms: Iterable[Term], synonyms: Iterable[Synonym]) -> Library:
        """Read the folder.

        Args:
            folder: Holds `diseases.tsv`, `findings/`, `diseases/` and, if any, `told.tsv`.
            terms, synonyms: What other sources name: HPO's findings, MONDO's diseases.

        Raises:
            ParseError: With path and line, if a file is malformed.
        """
        library = cls(
            cards=read_cards(folder / "diseases"),
            vocabulary=read_vocabulary(folder / "findings"),
            told=read_told(folder / "told.tsv"),
            listed={folded(d.name): d for d in read_list(folder / "diseases.tsv")},
            findings=Names(),
            diseases=Names(),
        )
        names = {"finding": library.findings, "disease": library.diseases}
        owner: dict[str, Names] = {}
        for term in terms:
            if term.kind in names and not term.obsolete:
                owner[term.curie] = names[term.kind]
                names[term.kind].add(term.name, term.curie, 0)
        for synonym in synonyms:
            if synonym.term in owner:
                owner[synonym.term].add(synonym.text, synonym.term, _STANDING[synonym.scope])
        for row in library.vocabulary:
            # A row that is not numbered yet can be used by name all the same.
            curie = row.id or f"new:{folded(row.name)}"
            library.findings.add(row.name, curie, 0)
            for name in (*row.clinical, *row.lay):
                library.findings.add(name, curie, 1)
        for disease in library.listed.values():
            # The list's own name for a disease stands above what others call by that name.
            library.diseases.add(disease.name, disease.id, -1)
        return library

    def disease_of(self, card: Card) -> ListedDisease | None:
        """The row of the list that a card fills, or None."""
        return self.listed.get(folded(card.name))

    def parent_of(self, row: FindingRow) -> tuple[str | None, ...]:
        """The terms that a row names as its parents; None for a name that is not known."""
        return tuple(p if p.startswith(("HP:", "KGMED:")) else self.findings.find(p) for p in row.parents)
