"""Disease cards: a text format that a clinician reads and corrects, and its parser.

A file holds cards one after the other, each a name in brackets and lines `key: items`:

```
[Unstable angina]
names: crescendo angina; heart pain at rest
seen: primary 20; emergency 400; hospital 900
age: 30-44 6; 45-64 42; 65-79 38; 80+ 14
sex: male 62
tempo: minutes 10; hours 40; days 40; weeks 10
triage: emergency
risk: Smoking 2.5; Hypertension 2
history: Chest pain 90; Crushing chest pain 55; Rash 5 @3d [PMID:1]
```

Items are separated by `;`, a line that starts with blanks goes on with the key
above, `#` starts a comment. `docs/common.md` describes every key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kgmed.errors import ParseError

__all__ = [
    "AGE_BANDS",
    "FOUND_BY",
    "FREQUENCY_CLASSES",
    "SETTINGS",
    "TEMPOS",
    "TRIAGE",
    "Card",
    "Item",
    "parse_cards",
    "read_cards",
]

FOUND_BY = ("history", "exam", "lab", "imaging", "test")
"""The keys that list findings: how a finding is found in that disease."""
SETTINGS = ("primary", "emergency", "hospital")
AGE_BANDS = ("newborn", "infant", "1-4", "5-14", "15-29", "30-44", "45-64", "65-79", "80+")
"""Newborn is the first 28 days, infant the rest of the first year; the others are years."""
TEMPOS = ("minutes", "hours", "days", "weeks", "months", "years")
"""Time from the first symptom of this episode until care is sought."""
TRIAGE = ("self-care", "routine", "urgent", "emergency")
FREQUENCY_CLASSES = {
    # HPO's classes, at the middle of each range.
    "obligate": 100.0,
    "very_frequent": 90.0,
    "frequent": 55.0,
    "occasional": 17.0,
    "very_rare": 2.5,
}

_TEXTS = ("names", "parent", "confused with", "settled by", "red flags", "absent")
_KEYS = ("names", "codes", "parent", "seen", "age", "sex", "tempo", "triage", "risk", *FOUND_BY, *_TEXTS)
_ITEM = re.compile(
    r"(?P<name>.*?)\s+(?P<number>\d+(?:\.\d+)?|" + "|".join(FREQUENCY_CLASSES) + r")"
    r"(?:\s+@(?P<onset>\d*[hdwmy]|late))?(?:\s+\[(?P<source>[^\]]+)\])?$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One item of a card.

    Attributes:
        name: As written.
        number: Percent, odds ratio or patients per 100,000, by the key; None for plain names.
        key: The key of the card that it stands under.
        onset: Time after the first symptom, such as `3d`, or "".
        source: What the number is from, or "" when it was written here.
        line: 1-based line of the file.
    """

    name: str
    number: float | None = None
    key: str = ""
    onset: str = ""
    source: str = ""
    line: int = 0


@dataclass(kw_only=True)
class Card:
    """One disease as written.

    Attributes:
        name: Name of the disease, as in `ontologies/common/diseases.tsv`.
        path, line: Where its header stands.
        items: Key to items, in the order of the file.
    """

    name: str
    path: str
    line: int
    items: dict[str, list[Item]] = field(default_factory=dict)

    def get(self, key: str) -> list[Item]:
        """The items under a key, an empty list when the card lacks it."""
        return self.items.get(key, [])

    @property
    def findings(self) -> list[Item]:
        """All findings with a frequency, those under `absent` included."""
        return [item for key in (*FOUND_BY, "absent") for item in self.get(key)]

    def shares(self, key: str) -> dict[str, float]:
        """A distribution, for example over `age`, scaled to a sum of 1; {} when it is not given."""
        shares = {item.name: item.number or 0.0 for item in self.get(key)}
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()} if total else {}


def read_cards(path: Path) -> list[Card]:
    """The cards of a file, or of all `.txt` files of a folder.

    Raises:
        ParseError: With path and line, at the first line that cannot be read.
    """
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    cards = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ParseError(f"cannot be read ({error})", path=str(file)) from None
        cards += parse_cards(text, path=file.name)
    return cards


def parse_cards(text: str, *, path: str = "<input>") -> list[Card]:
    """The cards of a text.

    Raises:
        ParseError: With path and line, at the first line that cannot be read.

    >>> card, = parse_cards("[Croup]\\nhistory: Barking cough 95; Fever 60 @1d")
    >>> [(item.name, item.number, item.onset) for item in card.findings]
    [('Barking cough', 95.0, ''), ('Fever', 60.0, '1d')]
    """
    cards: list[Card] = []
    for number, key, value in _lines(text, path):
        if key == "[":
            cards.append(Card(name=value, path=path, line=number))
            continue
        if not cards:
            raise ParseError("a line before the first [name]", path=path, line=number)
        if key not in _KEYS:
            raise ParseError(f"unknown key {key!r}; known: {', '.join(_KEYS)}", path=path, line=number)
        items = cards[-1].items.setdefault(key, [])
        for text_of_item in filter(None, (part.strip() for part in value.split(";"))):
            items.append(_item(key, text_of_item, path, number))
    return cards


def _lines(text: str, path: str) -> Iterator[tuple[int, str, str]]:
    """(line, key, value) with "[" as the key of a header; continued lines come under their key."""
    key = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].rstrip()
        if not line:
            continue
        if line.startswith("["):
            if not line.endswith("]") or not line[1:-1].strip():
                raise ParseError("a header is a name in brackets", path=path, line=number)
            key = ""
            yield number, "[", line[1:-1].strip()
        elif line[0] in " \t":
            if not key:
                raise ParseError("nothing to go on with: no key above", path=path, line=number)
            yield number, key, line
        else:
            key, colon, value = line.partition(":")
            if not colon:
                raise ParseError(
                    "expected `key: items`; a continued line starts with blanks", path=path, line=number
                )
            key = key.strip().lower()
            yield number, key, value


def _item(key: str, text: str, path: str, line: int) -> Item:
    if key in ("names", "codes", "parent", "triage", "confused with", "settled by", "red flags"):
        return Item(name=text, key=key, line=line)
    match = _ITEM.fullmatch(text)
    if match is None:
        raise ParseError(f"{key}: {text!r} has no number at its end", path=path, line=line)
    written = match["number"]
    return Item(
        name=match["name"].strip(),
        number=FREQUENCY_CLASSES[written] if written in FREQUENCY_CLASSES else float(written),
        key=key,
        onset=match["onset"] or "",
        source=match["source"] or "",
        line=line,
    )
