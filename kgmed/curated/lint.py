"""What is wrong with the cards and the vocabulary, told so that it can be mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kgmed.curated.card import AGE_BANDS, FOUND_BY, SETTINGS, TEMPOS, TRIAGE, Card, Item
from kgmed.curated.compile import ROOTS
from kgmed.curated.library import Library
from kgmed.curated.names import Names, folded

__all__ = ["Lint", "lint"]

Level = Literal["error", "warning"]

_FEWEST, _MOST = 20, 60
_NEEDED = ("seen", "age", "sex", "tempo", "triage", "history", "confused with", "settled by")
_DISTRIBUTIONS = {"age": AGE_BANDS, "tempo": TEMPOS}
_SUM_TOLERANCE = 3.0  # percent: shares are rounded
_APART = 25.0  # points of frequency that a finding must differ by to tell two diseases apart
_HIGHEST_ODDS = 1000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lint:
    """One complaint: `where` is file:line, `card` the disease or ""."""

    level: Level
    code: str
    where: str
    card: str
    message: str

    def __str__(self) -> str:
        about = f"[{self.card}] " if self.card else ""
        return f"{self.where}: {self.level} {self.code}: {about}{self.message}"


def lint(library: Library, files: frozenset[str] = frozenset()) -> list[Lint]:
    """All complaints, in the order of files and lines.

    Args:
        library: What was read.
        files: Names of card files to check alone; then nothing is said about the
            vocabulary, the list as a whole or pairs of diseases.
    """
    found: list[Lint] = []
    for card in library.cards:
        if not files or card.path in files:
            found += _card(library, card)
    if not files:
        found += _vocabulary(library)
        found += _told(library)
        found += _coverage(library)
        found += _twin_diseases(library)
    return found


def _card(library: Library, card: Card) -> Iterator[Lint]:
    def say(level: Level, code: str, message: str, line: int = 0) -> Lint:
        return Lint(
            level=level,
            code=code,
            where=f"{card.path}:{line or card.line}",
            card=card.name,
            message=message,
        )

    if library.disease_of(card) is None:
        near = ", ".join(n for n in library.listed if folded(card.name)[:6] == n[:6])
        yield say("error", "unlisted", f"not in diseases.tsv{f'; did you mean {near}?' if near else ''}")
    for key in _NEEDED:
        if not card.get(key):
            yield say("error", "missing", f"has no `{key}:`")
    yield from (say(*complaint) for complaint in _numbers(card))
    number = len({folded(i.name) for i in card.findings})
    if not _FEWEST <= number <= _MOST:
        yield say("warning", "size", f"{number} findings; {_FEWEST} to {_MOST} are asked for")

    disease = library.disease_of(card)
    if disease and disease.id.startswith("KGMED:") and not card.get("parent"):
        yield say("error", "missing", "has no MONDO term, so it needs `parent:`")
    for key in ("parent", "confused with"):
        for item in card.get(key):
            if library.diseases.find(item.name) is None:
                level: Level = "error" if key == "parent" else "warning"
                yield say(level, "unknown-disease", _unknown(library.diseases, item), item.line)

    seen: dict[str, Item] = {}
    for key in ("risk", *FOUND_BY, "absent", "red flags", "settled by"):
        for item in card.get(key):
            term = library.findings.find(item.name)
            if term is None:
                yield say(
                    "error", "unknown-finding", f"{key}: " + _unknown(library.findings, item), item.line
                )
            elif key in FOUND_BY or key == "absent":
                if term in seen:
                    yield say(
                        "error",
                        "twice",
                        f"{item.name!r} and {seen[term].name!r} are one finding, given twice",
                        item.line,
                    )
                seen[term] = item
    yield from (say(*complaint) for complaint in _narrower_than_wider(library, seen))


def _unknown(names: Names, item: Item) -> str:
    candidates = names.candidates(item.name)
    if candidates:
        return f"{item.name!r} means {' or '.join(candidates)}; use the preferred name of one"
    near = names.nearest(item.name)
    return f"{item.name!r} is no known name" + (f"; near: {'; '.join(near)}" if near else "")


def _numbers(card: Card) -> Iterator[tuple[Level, str, str, int]]:
    for item in card.findings:
        if not 0.0 <= (item.number or 0.0) <= 100.0:
            yield "error", "impossible", f"{item.name!r}: {item.number} is no percentage", item.line
    for item in card.get("absent"):
        if (item.number or 0.0) > 20.0:
            yield "warning", "impossible", f"{item.name!r} is no absence at {item.number}%", item.line
    for item in card.get("risk"):
        if not 0.0 < (item.number or 0.0) <= _HIGHEST_ODDS:
            yield "error", "impossible", f"{item.name!r}: odds ratio {item.number}", item.line
    for key, allowed in (
        ("seen", SETTINGS),
        ("age", AGE_BANDS),
        ("tempo", TEMPOS),
        ("sex", ("female", "male")),
    ):
        for item in card.get(key):
            if item.name not in allowed:
                yield "error", "unknown-word", f"{key}: {item.name!r}; known: {', '.join(allowed)}", item.line
    for key in _DISTRIBUTIONS:
        total = sum(item.number or 0.0 for item in card.get(key))
        if card.get(key) and abs(total - 100.0) > _SUM_TOLERANCE:
            yield "error", "impossible", f"{key} adds up to {total:g}, not 100", card.get(key)[0].line
    for item in card.get("seen"):
        if not 0.0 <= (item.number or 0.0) <= 50_000.0:
            yield "error", "impossible", f"seen: {item.number} of 100,000", item.line
    for item in card.get("triage"):
        if item.name not in TRIAGE:
            yield "error", "unknown-word", f"triage: {item.name!r}; known: {', '.join(TRIAGE)}", item.line


def _narrower_than_wider(library: Library, seen: dict[str, Item]) -> Iterator[tuple[Level, str, str, int]]:
    """Whoever has the narrower finding has the wider one, so it cannot be the more frequent."""
    parents = {row.id: library.parent_of(row) for row in library.vocabulary if row.id}
    for term, item in seen.items():
        for parent in parents.get(term, ()):
            wider = seen.get(parent or "")
            if wider is not None and (item.number or 0.0) > (wider.number or 0.0):
                yield (
                    "error",
                    "impossible",
                    f"{item.name!r} {item.number:g} is more frequent than the wider "
                    f"{wider.name!r} {wider.number:g}",
                    item.line,
                )


def _vocabulary(library: Library) -> Iterator[Lint]:
    used = {
        library.findings.find(item.name)
        for card in library.cards
        for items in card.items.values()
        for item in items
        if item.key in ("risk", "absent", "red flags", "settled by", *FOUND_BY)
    }
    children = {parent for row in library.vocabulary for parent in library.parent_of(row)}
    ids = Counter(row.id for row in library.vocabulary if row.id)
    for row in library.vocabulary:
        where = f"{row.path}:{row.line}"

        def say(level: Level, code: str, message: str, where: str = where) -> Lint:
            return Lint(level=level, code=code, where=where, card="", message=message)

        if not row.id:
            yield say("error", "unnumbered", f"{row.name!r} has no number; run `kgmed curated number`")
            continue
        if ids[row.id] > 1 and row.id.startswith("KGMED:"):
            yield say("error", "twin", f"{row.id} is given {ids[row.id]} times")
        if row.id.startswith("KGMED:") and row.name not in ROOTS:
            if not row.parents:
                yield say("error", "orphan", f"{row.name!r} has no parent")
            for name, parent in zip(row.parents, library.parent_of(row), strict=True):
                if parent is None:
                    near = "; ".join(library.findings.nearest(name))
                    yield say("error", "unknown-parent", f"{row.name!r}: {name!r}; near: {near}")
        if row.id.startswith("KGMED:") and row.name not in ROOTS and not {row.id} & (used | children):
            yield say("warning", "unused", f"{row.name!r} is in no card")
        if row.kind in ("exposure", "drug") and row.base is None and row.name not in ROOTS:
            yield say("error", "no-base", f"{row.name!r} needs a base: odds become frequencies by it")
    for name, terms in library.findings.twins():
        if any(term.startswith("KGMED:") for term in terms):
            yield Lint(
                level="error",
                code="twin",
                where="findings",
                card="",
                message=f"{name!r} names {' and '.join(terms)}",
            )


def _told(library: Library) -> Iterator[Lint]:
    def say(code: str, message: str, where: str) -> Lint:
        return Lint(level="error", code=code, where=where, card="", message=message)

    owners: dict[str, set[str]] = {}
    for told in library.told:
        where = f"{told.path}:{told.line}"
        if library.findings.find(told.name) != told.id:
            yield say(
                "unknown-told", f"{told.name!r} is not {told.id}: give both as the vocabulary has them", where
            )
        for phrase in told.told:
            owners.setdefault(folded(phrase), set()).add(told.id)
            named = library.findings.find(phrase)
            if named not in (None, told.id):
                yield say("twin", f"{phrase!r} tells of {told.id}, and names {named}", where)
    for phrase, found in owners.items():
        if len(found) > 1:
            yield say("twin", f"{phrase!r} tells of {' and '.join(sorted(found))}", "told.tsv")


def _coverage(library: Library) -> Iterator[Lint]:
    written = Counter(folded(card.name) for card in library.cards)
    for card in library.cards:
        if written[folded(card.name)] > 1:
            yield Lint(
                level="error",
                code="twice",
                where=f"{card.path}:{card.line}",
                card=card.name,
                message="has two cards",
            )
    for name, disease in library.listed.items():
        if name not in written:
            yield Lint(
                level="warning",
                code="no-card",
                where="diseases.tsv",
                card=disease.name,
                message=f"listed under {disease.chapter}, but has no card",
            )


def _twin_diseases(library: Library) -> Iterator[Lint]:
    """Pairs that no finding, risk factor, age or sex separates."""
    profiles: list[tuple[Card, dict[str, float]]] = []
    for card in library.cards:
        profile = {library.findings.find(i.name) or i.name: i.number or 0.0 for i in card.findings}
        profile |= {f"age {name}": 100.0 * share for name, share in card.shares("age").items()}
        profile |= {f"sex {i.name}": i.number or 0.0 for i in card.get("sex")}
        profile |= {
            f"risk {library.findings.find(i.name) or i.name}": 10.0 * (i.number or 1.0)
            for i in card.get("risk")
        }
        profiles.append((card, profile))
    common = {id(card): frozenset(k for k, v in p.items() if v >= _APART) for card, p in profiles}
    for number, (card, profile) in enumerate(profiles):
        for other, theirs in profiles[number + 1 :]:
            # Most pairs differ in some frequent finding: no need to compare all.
            if common[id(card)] ^ common[id(other)] and any(
                abs(profile.get(k, 0.0) - theirs.get(k, 0.0)) >= _APART
                for k in common[id(card)] ^ common[id(other)]
            ):
                continue
            if all(
                abs(profile.get(k, 0.0) - theirs.get(k, 0.0)) < _APART
                for k in common[id(card)] | common[id(other)]
            ):
                yield Lint(
                    level="error",
                    code="inseparable",
                    where=f"{card.path}:{card.line}",
                    card=card.name,
                    message=f"no finding, age, sex or risk factor tells it from {other.name}",
                )
