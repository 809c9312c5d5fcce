"""Findings whose words are spread over a sentence.

"Chest pain for two days that is worse on lying flat and radiates to the jaw" names
three findings besides the pain, none of them in one piece. A symptom is put
together with words elsewhere in its sentence, or in the next when that goes on about
it ("It is relieved by rest"), and with what a verb such as "radiates" leads to; what
comes out counts when the graph has a name of these very words for something narrower
than the symptom, so nothing is made up.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache

from kgmed.text.lexicon import Lexicon, Name, content_roots
from kgmed.text.match import Mention
from kgmed.text.words import BREAK, COMMA, JOINER, STOP, Words, read_list, root, same_noun, split

__all__ = ["combined"]

# A verb leads to words no further than this many tokens behind it; one of place further than others.
_LED, _SPREAD_LED = 8, 14
# A symptom takes words from this many tokens before it and behind it.
_BEFORE, _BEHIND = 6, 20
_WINDOW = 3
# A verb and words that make a name without any symptom are this near each other.
_ALONE = 4
# Two symptoms this many tokens apart or less are told in one breath.
_JOINED = 2
# The next sentence goes on about the symptom when it begins with one of these.
_GOES_ON = frozenset({"it", "this", "these", "they", "pain", "the", "that", "which", "symptoms", "episodes"})
_SENTENCE = re.compile(r"[.!?;]\s|\n\s*\n|\n")
_PAIN = "HP:0012531"
_PAIN_ROOTS = (root("pain"),)
_SPREAD = root("radiating")
_TOWARDS = frozenset({"to", "into", "toward", "towards", "down", "through", "up", "across", "over", "from"})
# "This morning" is when it was, not when it is worse.
_ONCE = frozenset({"this", "last", "that", "next"})
# Behind one of these begins what is said of something else.
_NOT = frozenset(
    {"no", "not", "nor", "without", "denies", "denied", "deny", "never", "normal", "absent", "but", "except"}
)
# Words that narrow nothing by themselves: how long, how many, and what stands in every note.
_WEAK = frozenset(
    root(word)
    for word in (
        "year",
        "month",
        "week",
        "day",
        "hour",
        "minute",
        "time",
        "several",
        "any",
        "emergency",
        "department",
        "point",
        "position",
        "side",
        "sick",
        "worker",
        "report",
        "reports",
        "history",
        "patient",
        "old",
        "chest",
        "period",
        "presents",
        "began",
        "started",
        "noted",
        "",
    )
)

Narrower = Callable[[str, str], bool]
Label = Callable[[str], str]
# A mention, and the roots by which names may speak of it.
Symptom = tuple[Mention, tuple[tuple[str, ...], ...]]


@cache
def _verbs() -> dict[str, tuple[str, ...]]:
    """Root of a verb -> roots of the words that names use in its place."""
    out: dict[str, tuple[str, ...]] = {}
    for verb in read_list("words")["verbs"].values():
        names = tuple(root(word) for word in verb["names"])
        for word in verb["words"]:
            out[root(word)] = names
    return out


def combined(
    text: str, lexicon: Lexicon, mentions: Sequence[Mention], narrower: Narrower, label: Label
) -> list[Mention]:
    """Further mentions that are made of a symptom and words elsewhere.

    Args:
        text: The note.
        lexicon: Names of the graph.
        mentions: What has been found in one piece.
        narrower: Whether the first CURIE is a kind of the second.
        label: Preferred name of a CURIE.

    Returns:
        Mentions whose span is that of the words which narrow the symptom, so that a
        negation of these words alone is seen.
    """
    found: dict[tuple[int, int, str], Mention] = {}
    carried: list[Mention] = []
    for start, end in _sentences(text):
        heads = [m for m in mentions if start <= m.start < end and not m.disease]
        words = split(text[start:end])
        if not len(words):
            continue
        goes_on = words.lower[0] in _GOES_ON
        about = heads + (carried if goes_on or not heads else [])
        if any(narrower(m.term, _PAIN) for m in about):
            # "The pain" is the one whose place has been told.
            about = [m for m in about if m.term != _PAIN]
        symptoms = [(head, _own_roots(text, head, narrower, label)) for head in about]
        for mention in _of_sentence(words, start, symptoms, lexicon, narrower):
            if not any(m.term == mention.term and _overlap(m, mention) for m in mentions):
                found.setdefault((mention.start, mention.end, mention.term), mention)
        if heads:
            # The first symptom of a sentence is what the next one goes on about.
            carried = [m for m in about if m.term != _PAIN or len(about) == 1][:2]
    return list(found.values())


def _overlap(one: Mention, other: Mention) -> bool:
    return one.start < other.end and other.start < one.end


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _SENTENCE.finditer(text):
        if match.start() > start:
            yield start, match.start()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def _of_sentence(
    words: Words, offset: int, symptoms: Sequence[Symptom], lexicon: Lexicon, narrower: Narrower
) -> Iterator[Mention]:
    content = [i for i, kind in enumerate(words.kinds) if kind not in (STOP, JOINER)]
    roots = {i: root(words.lower[i]) for i in content}
    known = [i for i in content if roots[i] in lexicon.vocabulary or roots[i] in _verbs()]
    # Tokens of each symptom; none for one of the sentence before.
    covered = {
        head: [i for i in range(len(words)) if _within(words, i, offset, head)] for head, _ in symptoms
    }
    taken = {i for tokens in covered.values() for i in tokens}

    def mention(name: Name, used: Sequence[int]) -> Mention:
        return Mention(words.starts[used[0]] + offset, words.ends[used[-1]] + offset, name.term)

    windows = list(_windows(words, known))
    # Where a pain goes is not where it is.
    far = [i for i in known if roots[i] in _verbs() and _verbs()[roots[i]][0] == _SPREAD]
    for window in windows:
        if any(at <= window[-1] <= at + _SPREAD_LED for at in far) or taken & set(window):
            continue
        rest = [roots[i] for i in window]
        if _WEAK.issuperset(rest) or all(part.isdigit() for part in rest):
            continue
        for head, alternatives in symptoms:
            if not _said_of(words, window, covered[head], taken):
                continue
            for own in alternatives:
                name = _name(lexicon, [*own, *rest])
                if name is not None and narrower(name.term, head.term):
                    yield mention(name, window)
    for at in known:
        for window in _led(words, roots, at, windows):
            rest = [roots[i] for i in window]
            if _WEAK.issuperset(rest):
                continue
            alone = []
            told = False
            for lead in _verbs()[roots[at]]:
                # A name may speak of what leads and of nothing else: "relieved by rest".
                name = _name(lexicon, [lead, *rest]) if lead else None
                if name is not None and window[0] - at <= _ALONE and _spelt(words, window, name):
                    alone.append(mention(name, [at, *window]))
                for head, alternatives in symptoms:
                    for own in alternatives:
                        name = _name(lexicon, [*own, *filter(None, [lead]), *rest])
                        wanted = _PAIN if lead == _SPREAD and own == _PAIN_ROOTS else head.term
                        if name is not None and narrower(name.term, wanted):
                            told = True
                            yield mention(name, [at, *window])
            if not told:  # what is said of a symptom is not said a second time of none
                yield from alone


def _spelt(words: Words, window: Sequence[int], name: Name) -> bool:
    """Whether a name has these very words, not only words of their families (urine, urination)."""
    own = [word for variant in name.variants for word in variant.split()]
    return all(any(same_noun(words.lower[i], word) for word in own) for i in window)


def _within(words: Words, i: int, offset: int, head: Mention) -> bool:
    return words.starts[i] + offset < head.end and words.ends[i] + offset > head.start


def _said_of(words: Words, window: Sequence[int], head: Sequence[int], taken: Collection[int]) -> bool:
    """Whether the words of a window can be meant of a symptom: near it, with nothing else between."""
    first, last = window[0], window[-1]
    if not head:  # of the sentence before: until this one names a symptom of its own
        between, behind = range(first), True
        if first > _BEHIND:
            return False
    elif last < head[0]:
        between, behind = range(last + 1, head[0] + 1), False
        if head[0] - last > _BEFORE:
            return False
    elif first > head[-1]:
        between, behind = range(head[-1] + 1, first + 1), True
        if first - head[-1] > _BEHIND:
            return False
    else:
        between, behind = range(min(first, head[0]) + 1, max(last, head[-1])), True
    stops = (BREAK,) if behind else (BREAK, COMMA)
    if any(words.gaps[i] in stops for i in between) or any(words.lower[i] in _NOT for i in between):
        return False
    others = [i for i in between if i in taken and i not in head]
    # "Nausea and vomiting in the morning" is said of both.
    return not others or (behind and bool(head) and others[0] - head[-1] <= _JOINED)


def _led(words: Words, roots: dict[int, str], at: int, windows: Sequence[list[int]]) -> Iterator[list[int]]:
    """The windows that the verb at a place leads to: near behind it, before another verb."""
    verbs = _verbs()
    if roots[at] not in verbs:
        return
    spread = verbs[roots[at]][0] == _SPREAD
    reach = _SPREAD_LED if spread else _LED
    following = (i for i in range(at + 1, min(at + reach, len(words))) if roots.get(i) in verbs)
    end = next(following, at + reach)
    stops = (BREAK,) if spread else (BREAK, COMMA)
    for window in windows:
        if not (at < window[0] <= end and window[-1] <= at + reach):
            continue
        between = range(at + 1, window[0] + 1)
        if any(words.gaps[i] in stops for i in between) or any(words.lower[i] in _NOT for i in between):
            continue
        if not spread or any(words.lower[i] in _TOWARDS for i in between):
            yield window


def _own_roots(text: str, head: Mention, narrower: Narrower, label: Label) -> tuple[tuple[str, ...], ...]:
    """Roots by which names may speak of a symptom: as written, as labelled, and as a pain."""
    names = [text[head.start : head.end], label(head.term)]
    if head.term == _PAIN or narrower(head.term, _PAIN):
        names.append("pain")
    return tuple(dict.fromkeys(tuple(content_roots(name)) for name in names))


def _windows(words: Words, known: Sequence[int]) -> Iterator[list[int]]:
    """Runs of up to three known words with nothing but left-out words between them."""
    for first in range(len(known)):
        for size in range(1, _WINDOW + 1):
            run = list(known[first : first + size])
            if len(run) < size:
                break
            if any(words.gaps[i] == BREAK for i in range(run[0] + 1, run[-1] + 1)):
                break
            if any(b - a > 3 for a, b in itertools.pairwise(run)):
                break
            if run[0] and words.lower[run[0] - 1] in _ONCE:
                break
            yield run


def _name(lexicon: Lexicon, roots: Sequence[str]) -> Name | None:
    candidates = [n for n in lexicon.names.get(" ".join(sorted(roots)), ()) if not n.disease]
    return min(candidates, key=lambda n: (n.rank, n.term)) if candidates else None
