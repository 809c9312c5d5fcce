"""From the names that cards use to terms of the graph."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Names", "folded"]


def folded(name: str) -> str:
    """A name without case, hyphens and double blanks.

    >>> folded("Pseudo-membranous  Colitis")
    'pseudo membranous colitis'
    """
    return " ".join(name.casefold().replace("-", " ").replace("’", "'").split())


class Names:
    """Names and synonyms of terms, looked up without case.

    A preferred name beats an exact synonym, which beats the rest; two terms of the
    same standing leave a name ambiguous.
    """

    def __init__(self) -> None:
        self._terms: dict[str, dict[str, int]] = {}

    def add(self, name: str, term: str, standing: int) -> None:
        """Add a name: standing 0 for the preferred name, 1 for an exact synonym, 2 for others.

        -1 stands above all, for names that the list gives.
        """
        known = self._terms.setdefault(folded(name), {})
        known[term] = min(standing, known.get(term, standing))

    def find(self, name: str) -> str | None:
        """The one term of that name, or None when there is none or more than one."""
        terms = self.candidates(name)
        return terms[0] if len(terms) == 1 else None

    def candidates(self, name: str) -> tuple[str, ...]:
        """All terms of the best standing that the name has."""
        known = self._terms.get(folded(name), {})
        best = min(known.values(), default=0)
        return tuple(sorted(term for term, standing in known.items() if standing == best))

    def nearest(self, name: str, limit: int = 3) -> tuple[str, ...]:
        """Known names that are spelled most like it, best first."""
        from rapidfuzz import fuzz, process

        found = process.extract(
            folded(name), list(self._terms), scorer=fuzz.token_sort_ratio, limit=limit, score_cutoff=70
        )
        return tuple(match[0] for match in found)

    def twins(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        """Names that lead to more than one term: preferred names or exact synonyms of the same standing."""
        for name, known in self._terms.items():
            terms = self.candidates(name)
            if len(terms) > 1 and min(known.values()) <= 1:
                yield name, terms
