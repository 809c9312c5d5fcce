"""Names of the graph found in text, whatever their inflection, word order and spelling.

A window of words matches a name when their content words have the same roots.
Commas, "and" and "or" inside a window are passed over only when the words also
stand in the order of the name. "Short and broad thumbs" gives both findings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from kgmed.text.lexicon import Lexicon, Name, content_roots
from kgmed.text.words import (
    BREAK,
    COMMA,
    JOINER,
    NONE,
    PLAIN,
    SOFT,
    STOP,
    Words,
    instead,
    plain,
    read_list,
    root,
    same_noun,
    split,
)

__all__ = ["DictionaryTagger", "Mention"]

# "Hypoplasia of the very small left thumb": this many left-out words may stand inside a mention.
_MAX_LEFT_OUT = 5
# Words of the longest series that is looked at: "ocular, nasal, oral and renal anomalies".
_MAX_SERIES = 16
# What a name must hold to be found across a comma, "and" or "or".
_SERIES = re.compile(r"[,/&]|\b(?:and|or)\b")
# Link a head to what it is about: "hypoplasia of the thumb".
_LINKS = frozenset({"of", "in", "on", "for", "to"})
# Between two words of a name these keep its order: "hands with short fingers" are no short hands.
_ORDERED = frozenset({"with", "a", "an", "by", "as", "has", "have", "had"})
# Left out of a name of one word without a change of meaning.
_WEIGHTLESS = frozenset({"a", "an", "the", "of", "morphology", "affecting", "involving"})
# Ranks from here on are names that say less, or more, than their term.
_VAGUE = 3
# How adjectives end that say what a noun is about.
_RELATIONAL = re.compile(r"(?:al|ar|ic|ary|ous)$")
# Words that a coordination leaves out: "short [fingers] and broad fingers".
_MAX_SHARED, _MAX_ELIDED = 3, 2


@dataclass(frozen=True, slots=True)
class Mention:
    """A name found in a text.

    Attributes:
        start, end: Character offsets, end not included.
        term: CURIE.
        disease: True for a disease, False for a finding.
        score: How sure the tagger is, 0..1.
    """

    start: int
    end: int
    term: str
    disease: bool = False
    score: float = 1.0


@dataclass(slots=True)
class _Hit:
    first: int
    last: int
    content: int
    name: Name
    literal: bool = True


class DictionaryTagger:
    """A tagger, `(text) -> list of Mention`, made of a lexicon.

    Args:
        lexicon: The names.
        nested: Give the findings of two or more words inside a longer one too, unless
            the longer one only adds a degree, a side or a course: "hearing loss" of
            "sensorineural hearing loss", not of "progressive hearing loss".
    """

    def __init__(self, lexicon: Lexicon, *, nested: bool = True) -> None:
        self.lexicon = lexicon
        self.nested = nested
        self.shorts = {
            short: tuple(content_roots(full))
            for part in ("abbreviations", "shorts")
            for short, full in read_list("words")[part].items()
        }
        self.fixed = {" ".join(sorted(content_roots(n))) for n in read_list("words")["fixed"]["names"]}

    def __call__(self, text: str) -> list[Mention]:
        """Mentions in order of their start; those of one start, longest first."""
        words = split(text)
        roots = [root(w) for w in words.lower]
        windows = self._windows(words, roots)
        findings = [h for h in windows if not h.name.disease]
        findings = [h for h in findings if _whole(words, h)]
        hits = _longest(findings)
        if self.nested:
            hits += _inside(words, findings, hits)
        hits += self._coordinated(words, roots, hits)
        hits += self._stacked(words, roots, hits)
        hits = _joined(hits, _longest([h for h in windows if h.name.disease]))
        found = {
            (words.starts[h.first], words.ends[h.last], h.name.term): Mention(
                words.starts[h.first], words.ends[h.last], h.name.term, h.name.disease
            )
            for h in hits
        }
        for mention in self._acronyms(text, words, list(found.values())):
            found.setdefault((mention.start, mention.end, mention.term), mention)
        return sorted(found.values(), key=lambda m: (m.start, -m.end, m.term))

    # ------------------------------------------------------------ contiguous names

    def _windows(self, words: Words, roots: list[str]) -> list[_Hit]:
        lexicon, kinds, gaps = self.lexicon, words.kinds, words.gaps
        vocabulary, names = lexicon.vocabulary, lexicon.names
        others = [instead(w) for w in words.lower]
        known = [r in vocabulary or bool(o) for r, o in zip(roots, others, strict=True)]
        tokens = [words.text[a:b] for a, b in zip(words.starts, words.ends, strict=True)]
        spelled = {i: self.shorts[token] for i, token in enumerate(tokens) if token in self.shorts}
        hits = []
        for first in range(len(words)):
            if kinds[first] in (STOP, JOINER) or not (known[first] or first in spelled):
                continue
            content: list[str] = []
            used: list[int] = []
            softless: list[str] = []
            left_out = 0
            in_order_only = in_order = False
            for last in range(first, len(words)):
                if last > first:
                    if gaps[last] == BREAK:
                        break
                    in_order_only |= gaps[last] == COMMA
                kind = kinds[last]
                if kind in (STOP, JOINER):
                    in_order_only |= kind == JOINER
                    in_order |= words.lower[last] in _ORDERED
                    left_out += 1
                    if left_out > _MAX_LEFT_OUT:
                        break
                    continue
                if last in spelled:
                    content.extend(spelled[last])
                    used.append(last)
                elif known[last]:
                    content.append(roots[last])
                    used.append(last)
                elif kind != SOFT:
                    break
                if kind == SOFT:
                    left_out += 1
                else:
                    softless.extend(spelled.get(last, (roots[last],)))
                if len(content) > lexicon.longest:
                    break
                if kind == SOFT and in_order_only and _goes_on(words, last):
                    continue
                if kind == SOFT and last > first:
                    candidates = names.get(" ".join(sorted(content)))
                    if candidates is None:
                        continue
                else:
                    candidates = names.get(" ".join(sorted(content)))
                    if candidates is None and len(softless) < len(content) and kinds[first] != SOFT:
                        candidates = names.get(" ".join(sorted(softless)))
                literal = candidates is not None
                if candidates is None and len(content) > 1 and kind != SOFT:
                    alike = [o for i in used for o in (others[i],) * len(spelled.get(i, "1"))]
                    candidates = self._instead(content, alike)
                if candidates is None:
                    continue
                for disease in (False, True):
                    name = _best(candidates, words, used, in_order_only, in_order, disease, first in spelled)
                    if name is not None:
                        hits.append(_Hit(first, last, len(content), name, literal))
        return hits

    def _instead(self, content: list[str], others: list[tuple[str, ...]]) -> list[Name] | None:
        """Findings whose name has another word for one of these."""
        if " ".join(sorted(content)) in self.fixed:
            return None
        for at, alike in enumerate(others):
            for other in alike:
                key = " ".join(sorted([*content[:at], other, *content[at + 1 :]]))
                names = [n for n in self.lexicon.names.get(key, ()) if not n.disease and n.rank < _VAGUE]
                if names:
                    return names
        return None

    # ------------------------------------------------------------ coordination

    def _coordinated(self, words: Words, roots: list[str], hits: list[_Hit]) -> list[_Hit]:
        """`A and B N` holds `A N` beside `B N`; `N of A and B` holds `N of B` beside `N of A`."""
        out: list[_Hit] = []
        taken = {(h.first, h.last) for h in hits}
        # What stands right before a joint, without a word that is left out.
        before = {h.last + 1: h for h in reversed(hits) if h.content == h.last - h.first + 1 > 1}
        terms_at: dict[int, set[str]] = {}
        for hit in hits:
            for at in range(hit.first, hit.last + 1):
                terms_at.setdefault(at, set()).add(hit.name.term)
        for joint in range(1, len(words) - 1):
            if words.kinds[joint] != JOINER or words.gaps[joint] == BREAK or words.gaps[joint + 1] == BREAK:
                continue
            for hit in (
                *self._shared_end(words, roots, joint),
                *self._shared_start(words, roots, joint),
                *self._shared_adjective(words, roots, joint, before.get(joint)),
            ):
                known = any(hit.name.term in terms_at.get(at, ()) for at in range(hit.first, hit.last + 1))
                if (hit.first, hit.last) not in taken and not known and _whole(words, hit):
                    taken.add((hit.first, hit.last))
                    out.append(hit)
        return out

    def _shared_end(self, words: Words, roots: list[str], joint: int) -> list[_Hit]:
        """`A1, A2 and B N`: each A with N. N is up to three words, B one or two."""
        right = _run(words, joint + 1)
        items = _items(words, joint)
        for elided in range(1, min(_MAX_ELIDED, len(right) - 1) + 1):
            for shared in range(min(_MAX_SHARED, len(right) - elided), 0, -1):
                noun = right[elided : elided + shared]
                found = []
                for item in items:
                    for size in range(min(_MAX_ELIDED, len(item)), 0, -1):
                        hit = self._lookup(words, roots, item[-size:] + noun)
                        if hit is not None:
                            found.append(hit)
                            break
                if found:
                    return found
        return []

    def _shared_start(self, words: Words, roots: list[str], joint: int) -> list[_Hit]:
        """`N of A1, A2 and B`: N with A2 and with B. N is up to three words, each A and B one or two."""
        items: list[list[int]] = [[]]
        of = joint - 1
        while of > max(joint - 1 - _MAX_SERIES, 0) and words.lower[of] not in _LINKS:
            if words.kinds[of] == JOINER or words.gaps[of] == BREAK:
                return []
            if words.kinds[of] == PLAIN:
                if items[0] and words.gaps[items[0][0]] == COMMA:
                    items.insert(0, [])
                items[0].insert(0, of)
            of -= 1
        if words.lower[of] not in _LINKS or any(not 1 <= len(item) <= _MAX_ELIDED for item in items):
            return []
        noun: list[int] = []
        while of > 0 and words.gaps[of] == NONE and len(noun) < _MAX_SHARED and words.kinds[of - 1] == PLAIN:
            of -= 1
            noun.insert(0, of)
        after = joint + 1
        while after < len(words) and words.kinds[after] == STOP and words.gaps[after] == NONE:
            after += 1
        out = []
        for item in (*items[1:], _run(words, after)):
            found = (
                self._lookup(words, roots, noun[begin:] + item[:size])
                for begin in range(len(noun))
                for size in range(min(_MAX_ELIDED, len(item)), 0, -1)
            )
            hit = next((h for h in found if h is not None), None)
            if hit is not None:
                out.append(hit)
        return out

    def _shared_adjective(self, words: Words, roots: list[str], joint: int, left: _Hit | None) -> list[_Hit]:
        """`A N1 and N2`, where `A N1` is a name: A with N2. A and N2 are one or two words."""
        after = joint + 1
        while after < len(words) and words.kinds[after] == STOP and words.gaps[after] == NONE:
            after += 1
        right = _run(words, after)
        if left is None or not right:
            return []
        for shared in range(min(_MAX_ELIDED, left.content - 1), 0, -1):
            for size in range(min(_MAX_ELIDED, len(right)), 0, -1):
                used = [*range(left.first, left.first + shared), *right[:size]]
                # "Short hands and broad thumbs": "broad" is not what is short.
                if size < len(right) and roots[right[size]] in self.lexicon.vocabulary:
                    continue
                hit = self._lookup(words, roots, used)
                if hit is not None:
                    return [hit]
        return []

    def _stacked(self, words: Words, roots: list[str], hits: list[_Hit]) -> list[_Hit]:
        """`A1 A2 N` and `A1, A2 N` hold `A1 N` beside `A2 N`: a long narrow face is long."""
        taken = {at for h in hits for at in range(h.first, h.last + 1)}
        out = []
        for hit in hits:
            adjectives = hit.content - 1
            if adjectives < 1 or hit.last - hit.first != adjectives or words.gaps[hit.first] == BREAK:
                continue
            before: list[int] = []
            for at in range(hit.first - 1, max(hit.first - 1 - _MAX_ELIDED, -1), -1):
                apart = at + 1 < hit.first and words.gaps[at + 1] != NONE
                if words.kinds[at] != PLAIN or at in taken or apart or words.lower[at].endswith("ly"):
                    break
                before.insert(0, at)
            for size in range(len(before), 0, -1):
                new = self._lookup(words, roots, [*before[-size:], hit.last])
                if new is not None and new.name.term != hit.name.term and new.name.rank < _VAGUE:
                    out.append(new)
                    break
        return out

    def _lookup(self, words: Words, roots: list[str], used: list[int]) -> _Hit | None:
        candidates = self.lexicon.names.get(" ".join(sorted(roots[i] for i in used)))
        name = _best(candidates, words, used, False, False, False) if candidates else None
        return None if name is None else _Hit(used[0], used[-1], len(used), name)

    # ------------------------------------------------------------ acronyms

    def _acronyms(self, text: str, words: Words, mentions: list[Mention]) -> list[Mention]:
        known = self.lexicon.acronyms
        covered = {i for m in mentions for i in range(m.start, m.end)}
        out = []
        for start, end in zip(words.starts, words.ends, strict=True):
            name = known.get(text[start:end])
            if name is not None and start not in covered:
                out.append(Mention(start, end, name.term, name.disease))
        return out


@lru_cache(maxsize=8192)
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(split(name).lower)


@lru_cache(maxsize=8192)
def _plain_of(name: str) -> frozenset[str]:
    return frozenset(plain(word) for word in _words_of(name))


@cache
def _light_nouns() -> frozenset[str]:
    return frozenset(read_list("words")["light_nouns"])


@cache
def _qualifiers() -> frozenset[str]:
    return frozenset(read_list("words")["qualifiers"])


def _best(
    candidates: list[Name],
    words: Words,
    used: list[int],
    series: bool,
    in_order: bool,
    disease: bool,
    short: bool = False,
) -> Name | None:
    """The finding (or disease) whose name fits the words best: same inflection, then better rank."""
    candidates = [n for n in candidates if n.disease == disease]
    if len(used) == 1 and not short:
        # One word alone must be the noun itself: "bleeding" is a finding, "bled" a verb.
        candidates = [n for n in candidates if any(_alone(words, used[0], v) for v in n.variants)]
    if series or in_order:
        roots = [root(words.lower[i]) for i in used]
        candidates = [
            n
            for n in candidates
            if any((not series or _SERIES.search(v)) and content_roots(v) == roots for v in n.variants)
        ]
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    forms = {plain(words.lower[i]) for i in used}

    def fit(name: Name) -> tuple[bool, int, int, str]:
        shared = max(len(forms & _plain_of(v)) for v in name.variants)
        return (name.rank > 2, -shared, name.rank, name.term)

    return min(candidates, key=fit)


def _alone(words: Words, at: int, name: str) -> bool:
    """Whether one word of the text says a name of one meaningful word.

    Left-out words of the name count here: "both eyes" is said by no "eyes" alone.
    """
    own = _words_of(name)
    if not any(same_noun(words.lower[at], w) for w in own):
        return False
    if len(own) == 1 or _WEIGHTLESS.issuperset(w for w in own if not same_noun(words.lower[at], w)):
        return True
    place = next(i for i, w in enumerate(own) if same_noun(words.lower[at], w))
    first, end = at - place, at - place + len(own)
    said = words.lower[first:end] if first >= 0 else []
    return len(said) == len(own) and all(same_noun(a, b) or a == b for a, b in zip(said, own, strict=True))


def _whole(words: Words, hit: _Hit) -> bool:
    """Whether a hit ends with its noun; one that a light noun completes is made longer.

    "Hyperplasia of the mandibular condyles" is no large mandible, "abnormal clavicular
    shape" is an abnormal clavicle.
    """
    last = words.lower[hit.last]
    after = hit.last + 1
    if hit.content < 2 or not _RELATIONAL.search(last) or after == len(words):
        return True
    if words.gaps[after] != NONE or words.kinds[after] != PLAIN:
        return True
    if any(last in _words_of(v) for v in hit.name.variants):
        return True
    if words.lower[after] in _light_nouns():
        hit.last = after
        return True
    return False


def _goes_on(words: Words, at: int) -> bool:
    """Whether a degree belongs to what follows: "developmental delay, severe hypotonia"."""
    after = at + 1
    return after < len(words) and words.gaps[after] == NONE


def _run(words: Words, first: int) -> list[int]:
    """Meaningful words from a place on that nothing but blanks and hyphens parts."""
    run: list[int] = []
    for at in range(first, len(words)):
        if words.kinds[at] != PLAIN or (at > first and words.gaps[at] != NONE):
            break
        run.append(at)
    return run


def _items(words: Words, joint: int) -> list[list[int]]:
    """The members of a series that ends with the joiner, nearest first: `a b, c, and` -> [c], [a, b]."""
    items: list[list[int]] = [[]]
    for at in range(joint - 1, max(joint - 1 - _MAX_SERIES, -1), -1):
        if words.kinds[at] != PLAIN:
            break
        # A comma right before the joiner parts no members.
        if at < joint - 1 and words.gaps[at + 1] == COMMA:
            items.append([])
        items[-1].insert(0, at)
        if words.gaps[at] == BREAK:
            break
    if words.gaps[joint] == COMMA and len(items) == 1:
        return []
    # Only the first member of a series may have words before it that are not its own.
    return [
        item for i, item in enumerate(items) if item and (len(item) <= _MAX_ELIDED or i == len(items) - 1)
    ]


def _longest(hits: list[_Hit]) -> list[_Hit]:
    """Those that overlap no longer one (content words, then fewer words in all, then the first)."""
    taken: set[int] = set()
    out = []
    order = sorted(hits, key=lambda h: (-h.content, h.last - h.first, h.first, h.name.term))
    for hit in order:
        if taken.isdisjoint(range(hit.first, hit.last + 1)):
            taken.update(range(hit.first, hit.last + 1))
            out.append(hit)
    return out


def _covering(hits: list[_Hit]) -> dict[int, list[_Hit]]:
    """Hits by the words that they cover."""
    out: dict[int, list[_Hit]] = {}
    for hit in hits:
        for at in range(hit.first, hit.last + 1):
            out.setdefault(at, []).append(hit)
    return out


def _inside(words: Words, hits: list[_Hit], longest: list[_Hit]) -> list[_Hit]:
    """Hits of two or more words inside a longer one that says more than a degree, a side or a course."""
    covering = _covering(longest)
    qualifiers = _qualifiers()
    out = []
    for hit in hits:
        if not hit.literal:
            continue
        for outer in covering.get(hit.first, ()):
            inside = outer.first <= hit.first and hit.last <= outer.last and 1 < hit.content < outer.content
            if not inside or hit.name.term == outer.name.term or not _stands_alone(words, hit):
                continue
            more = [*range(outer.first, hit.first), *range(hit.last + 1, outer.last + 1)]
            if any(words.kinds[i] == PLAIN and words.lower[i] not in qualifiers for i in more):
                out.append(hit)
    return out


def _stands_alone(words: Words, hit: _Hit) -> bool:
    """Whether neither a hyphen before nor a noun after a hit makes it a piece of a phrase."""
    if words.text[words.starts[hit.first] - 1 : words.starts[hit.first]] == "-":
        return False
    after = hit.last + 1
    return after == len(words) or words.kinds[after] != PLAIN or words.gaps[after] != NONE


def _joined(findings: list[_Hit], diseases: list[_Hit]) -> list[_Hit]:
    """Findings, and the diseases that no finding covers: a finding wins a tie.

    A finding inside the longer name of a disease stays: sickle cell anemia is an anemia.
    """
    covering = _covering(findings)
    return findings + [
        d
        for d in diseases
        if not any(f.first <= d.first and d.last <= f.last for f in covering.get(d.first, ()))
    ]
