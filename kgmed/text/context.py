"""Who and when a mention is about: negated, uncertain, historical, of the family, hypothetical.

The rules are those of NegEx and ConText with cues kept as data
(`ontologies/text/context.toml`). negspacy (NegEx) and medspaCy (ConText) do the same
on spaCy documents. `benchmarks/text.py` runs all three on the NegEx sentences: negation F1 is
0.944 here, 0.939 with negspacy and 0.930 with medspaCy, which take several times and some fifty
times as long for a sentence.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from functools import cache

from kgmed.text.words import read_list

__all__ = ["Assertion", "Context", "Section", "sections"]

_KINDS = ("negated", "uncertain", "historical", "family", "hypothetical")
# Words that a cue reaches. NegEx took five or six, ConText the whole sentence; lists of
# denied symptoms need more than the first, and the second reaches too far.
_REACH_BEFORE = {"negated": 14, "uncertain": 14, "historical": 20, "family": 20, "hypothetical": 20}
_REACH_AFTER = {"negated": 6, "uncertain": 6, "historical": 10, "family": 20, "hypothetical": 6}
_TOKEN = re.compile(r"[^\W_]+(?:['’/&][^\W_]+)*")
# A sentence ends at . ! ? before a capital, a digit or a bracket, at a semicolon, at an
# empty line, or at a line break before what looks like a new item or heading.
_SENTENCE_END = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bvs)[.!?][\"')\]]*\s+(?=[A-Z0-9(\[\"'])|;|\n\s*\n|\n\s*(?=[-*•]|\d+[.)]|[A-Z])"
)
_HEADING = re.compile(
    r"^[ \t]*(?:#+ *|\*\* *)?([A-Za-z][A-Za-z /&-]{0,50}?)(?:\*\*)? *(:|-(?= )|\n|\Z)(?:\*\*)?", re.M
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """What the words around a mention say about it."""

    negated: bool = False
    uncertain: bool = False
    historical: bool = False
    family: bool = False
    hypothetical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of a note.

    Attributes:
        kind: Such as `past_history`; "" before the first heading.
        heading: (start, end) of the heading, or None.
        start, end: Character offsets of its body.
    """

    kind: str
    heading: tuple[int, int] | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Cue:
    kind: str
    place: str  # before, after, pseudo, stop


@cache
def _cues() -> tuple[dict[tuple[str, ...], tuple[_Cue, ...]], int]:
    """Cues by their words, and the words of the longest."""
    lists = read_list("context")
    out: dict[tuple[str, ...], list[_Cue]] = {}

    def add(phrase: str, kind: str, place: str) -> None:
        key = tuple(m.group().replace("’", "'") for m in _TOKEN.finditer(phrase))
        out.setdefault(key, []).append(_Cue(kind, place))

    for kind in _KINDS:
        for place in ("before", "after", "pseudo"):
            for phrase in lists[kind][place]:
                add(phrase, kind, place)
        for phrase in lists[kind].get("stops", ()):
            add(phrase, kind, "stop")
    for teller in lists["family"]["tellers"]:
        for verb in lists["family"]["telling"]:
            add(f"{teller} {verb}", "family", "pseudo")
    for phrase in lists["stops"]:
        for kind in _KINDS:
            add(phrase, kind, "stop")
    return {key: tuple(cues) for key, cues in out.items()}, max(map(len, out))


@cache
def _headings() -> dict[str, str]:
    return {name: kind for kind, names in read_list("context")["sections"].items() for name in names}


class Context:
    """The cues of one text, found once; `assertion(start, end)` then tells of each mention."""

    def __init__(self, text: str) -> None:
        self._ends = [m.start() for m in _SENTENCE_END.finditer(text)] + [len(text)]
        starts = [0] + [m.end() for m in _SENTENCE_END.finditer(text)]
        # Per sentence, per kind: stretches of characters that a cue acts on.
        self._reach: list[dict[str, list[tuple[int, int]]]] = [
            _scopes(text, start, end) for start, end in zip(starts, self._ends, strict=True)
        ]

    def sentence(self, offset: int) -> int:
        """Number of the sentence that holds a character."""
        return min(bisect.bisect_left(self._ends, offset), len(self._ends) - 1)

    def assertion(self, start: int, end: int) -> Assertion:
        """What is said of the characters `start` to `end`."""
        reach = self._reach[self.sentence(start)]

        def reached(stretches: list[tuple[int, int]]) -> bool:
            # They do not overlap and are in order.
            at = bisect.bisect_right(stretches, start, key=lambda stretch: stretch[0]) - 1
            return at >= 0 and start < stretches[at][1]

        return Assertion(**{kind: reached(reach.get(kind, [])) for kind in _KINDS})


def _scopes(text: str, start: int, end: int) -> dict[str, list[tuple[int, int]]]:
    table, longest = _cues()
    tokens = [(m.group().lower().replace("’", "'"), *m.span()) for m in _TOKEN.finditer(text, start, end)]
    words = [token[0] for token in tokens]
    found: dict[str, list[tuple[str, int, int]]] = {}
    # Per kind the longest phrase at a place counts, and uses its words up.
    used: dict[str, int] = {}
    for at in range(len(words)):
        for size in range(min(longest, len(words) - at), 0, -1):
            for cue in table.get(tuple(words[at : at + size]), ()):
                if used.get(cue.kind, 0) <= at or (
                    used[cue.kind] == at + size and found[cue.kind][-1][1] == at
                ):
                    used[cue.kind] = at + size
                    found.setdefault(cue.kind, []).append((cue.place, at, at + size))
    reach: dict[str, list[tuple[int, int]]] = {}
    for kind, cues in found.items():
        # Cues of one kind do not overlap, so both columns are in order.
        stops = [(first, past) for place, first, past in cues if place == "stop"]
        begins, ends = [first for first, _ in stops], [past for _, past in stops]
        stretches = []
        for place, first, past in cues:
            if place == "before":
                last = min(past + _REACH_BEFORE[kind], len(tokens)) - 1
                stop = bisect.bisect_left(begins, past)
                stopped = stop < len(begins) and begins[stop] <= last
                stretches.append(
                    (tokens[past - 1][2], tokens[begins[stop]][1] if stopped else tokens[last][2])
                )
            elif place == "after" and not _begins_anew(text, tokens[first][1], tokens[past - 1][2]):
                furthest = max(first - _REACH_AFTER[kind], 0)
                stop = bisect.bisect_right(ends, first) - 1
                stopped = stop >= 0 and ends[stop] > furthest
                stretches.append(
                    (tokens[ends[stop] - 1][2] if stopped else tokens[furthest][1], tokens[first][1])
                )
        reach[kind] = _merged(stretches)
    return reach


def _begins_anew(text: str, start: int, end: int) -> bool:
    """Whether a cue begins what follows instead of ending what stands before: "Absent: fever", "... None"."""
    return text[end : end + 1] == ":" or (
        text[start].isupper() and text[start:end] != text[start:end].upper()
    )


def _merged(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same characters as stretches that do not overlap, in order."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(stretches):
        if out and low <= out[-1][1]:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return out


def sections(text: str) -> tuple[Section, ...]:
    """The sections of a note, by known headings at the start of a line; they cover the text."""
    known = _headings()
    marks: list[tuple[str, tuple[int, int] | None, int]] = [("", None, 0)]
    for match in _HEADING.finditer(text):
        kind = known.get(" ".join(match.group(1).lower().split()))
        if kind is not None:
            marks.append((kind, match.span(1), match.end()))
    out = []
    for number, (kind, heading, start) in enumerate(marks):
        following = marks[number + 1][1] if number + 1 < len(marks) else None
        end = following[0] if following else len(text)
        if end > start or heading:
            out.append(Section(kind=kind, heading=heading, start=min(start, end), end=end))
    return tuple(out)
