"""Words of a text and of a name, brought to one form.

Inflection goes through the Snowball stemmer (package `snowballstemmer`); British
spelling, medical plurals and word families are rules and lists on top of it
(`ontologies/text/words.toml`).
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from kgmed.resources import ontologies_folder

__all__ = [
    "BREAK",
    "COMMA",
    "JOINER",
    "NONE",
    "PLAIN",
    "SOFT",
    "STOP",
    "Words",
    "instead",
    "plain",
    "read_list",
    "root",
    "same_noun",
    "split",
]

# What kind of word it is.
PLAIN, STOP, SOFT, JOINER = 0, 1, 2, 3
# What stands between a word and the one before it.
NONE, COMMA, BREAK = 0, 1, 2

_WORD = re.compile(r"[^\W_]+(?:['’](?!s\b)[^\W\d_]+)?")
_HARD = re.compile(r"[.;:()\[\]{}!?|•=<>]|\n\s*[^a-z\s]|\n\s*\n")
_SUFFIXES = (
    (re.compile(r"plastic$"), "plasia"),
    (re.compile(r"trophied$"), "trophy"),
    (re.compile(r"otic$"), "osis"),
    (re.compile(r"ytic$"), "ysis"),
    (re.compile(r"istic$"), "ism"),
    (re.compile(r"eptic$"), "epsy"),
    (re.compile(r"mata$"), "ma"),
)
_PLURALS = (
    (re.compile(r"mata$"), "ma"),
    (re.compile(r"ies$"), "y"),
    (re.compile(r"ses$"), "sis"),
    (re.compile(r"(?<=[xh])es$"), ""),
    (re.compile(r"(?<![sui])s$"), ""),
)
# Prefixes that are written with and without a hyphen.
_PREFIXES = frozenset(
    (
        "pre", "post", "sub", "supra", "infra", "hyper", "hypo", "micro", "macro", "inter",
        "intra", "peri", "para", "poly", "oligo", "hemi", "semi", "multi", "anti", "retro",
        "brachy", "dys", "pan", "epi", "ante", "extra", "trans", "re", "non",
    )
)  # fmt: skip
# A stem must keep this many letters when a further ending is taken off.
_SHORTEST_ROOT = 4


@cache
def read_list(name: str) -> dict[str, Any]:
    """One of the word lists under `ontologies/text/`."""
    with (ontologies_folder() / "text" / f"{name}.toml").open("rb") as stream:
        return tomllib.load(stream)


@cache
def _adjectives() -> dict[str, str]:
    """Adjectives of one word that name a finding, and its noun."""
    return {word: noun for word, noun in read_list("words")["adjectives"].items() if " " not in noun}


@cache
def _lists() -> tuple[dict[str, int], dict[str, str], dict[str, str]]:
    """Kind of each special word; irregular plurals; word to the head of its family."""
    lists = read_list("words")
    kinds = dict.fromkeys(lists["stop"], STOP)
    kinds |= dict.fromkeys(lists["joiners"], JOINER)
    kinds |= dict.fromkeys(lists["soft"], SOFT)
    families = {}
    for head, words in lists["same"].items():
        for word in (head, *words):
            families[_stem(_spell(word))] = _stem(_spell(head))
    for adjective, noun in _adjectives().items():
        families.setdefault(_stem(_spell(adjective)), families.get(_stem(_spell(noun)), _stem(_spell(noun))))
    return kinds, dict(lists["irregular"]), families


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


def _spell(word: str) -> str:
    """Fold British and American spelling together (the result need not be a word)."""
    if len(word) > 4:
        word = word.replace("ae", "e").replace("oe", "e")
        word = re.sub(r"our(s|ed|al|ing|less)?$", r"or\1", word)
        word = re.sub(r"is(e|ed|es|ing|ation|ations)$", r"iz\1", word)
        word = word.replace("sulph", "sulf").replace("leuco", "leuko")
        if word.endswith(("tre", "bre")):
            word = word[:-2] + "er"
    return word


def _stem(word: str) -> str:
    for pattern, replacement in _SUFFIXES:
        word, count = pattern.subn(replacement, word)
        if count:
            break
    # The stemmer would take the whole ending off: gingivitis is not gingival.
    if word.endswith("itis"):
        return word
    stem: str = _stemmer().stemWord(word)
    # hypotonia, hypotonic -> hypoton; microcephaly, microcephalic -> microcephal
    for ending in ("ia", "i", "a"):
        if stem.endswith(ending):
            return stem[: -len(ending)] if len(stem) - len(ending) >= _SHORTEST_ROOT else stem
    return stem


@lru_cache(maxsize=65536)
def plain(word: str) -> str:
    """A word without case, accents, possessive and inflection.

    >>> plain("Oedematous") == plain("edematous"), plain("ataxic") == plain("ataxia")
    (True, True)
    """
    word = word.lower()
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    word = _lists()[1].get(word, word)
    return _stem(_spell(word))


@lru_cache(maxsize=65536)
def root(word: str) -> str:
    """The head of a word's family: `renal` and `kidneys` have the same root."""
    form = plain(word)
    return _lists()[2].get(form, form)


@lru_cache(maxsize=65536)
def same_noun(word: str, other: str) -> bool:
    """Whether two words are one noun, or an adjective in -ic and its noun in -ia or -y.

    >>> same_noun("tumours", "tumor"), same_noun("ataxic", "ataxia"), same_noun("bruised", "bruise")
    (True, True, False)
    """
    if _singular(word) == _singular(other):
        return True
    if plain(_adjectives().get(word, "")) == plain(other):
        return True
    return word.endswith("ic") and other.endswith(("ia", "y")) and plain(word) == plain(other)


def _singular(word: str) -> str:
    word = word.lower()
    word = _spell(_lists()[1].get(word, word))
    for pattern, replacement in _PLURALS:
        singular, count = pattern.subn(replacement, word)
        if count:
            return singular
    return word


@cache
def _instead() -> dict[str, tuple[str, ...]]:
    table = read_list("words")["instead"]
    return {_singular(word): tuple(root(other) for other in others) for word, others in table.items()}


@lru_cache(maxsize=65536)
def instead(word: str) -> tuple[str, ...]:
    """Roots of the words that may stand in a name where the text has `word`, best first."""
    return _instead().get(_singular(word), ())


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, as columns of equal length.

    Attributes:
        text: The text.
        starts, ends: Character offsets of each word.
        lower: Each word in lower case.
        kinds: PLAIN, STOP, SOFT or JOINER.
        gaps: What stands before each word: NONE, COMMA or BREAK.
    """

    text: str
    starts: list[int]
    ends: list[int]
    lower: list[str]
    kinds: list[int]
    gaps: list[int]

    def __len__(self) -> int:
        return len(self.starts)


def split(text: str) -> Words:
    """Split a text into words.

    A word is a run of letters and digits; hyphens part words unless a prefix stands
    before them (`pre-auricular`), `'s` is left off.
    """
    kinds_of = _lists()[0]
    words = Words(text, [], [], [], [], [])
    last = 0
    for match in _WORD.finditer(text):
        start, end = match.span()
        lower = match.group().lower()
        if lower == "s" and text[start - 1 : start] in ("'", "’"):
            continue
        between = text[last:start]
        if (
            between == "-"
            and words.lower
            and words.lower[-1] in _PREFIXES
            and lower.isalpha()
            and len(lower) > 3
        ):
            words.lower[-1] += lower
            words.ends[-1] = last = end
            words.kinds[-1] = PLAIN
            continue
        words.starts.append(start)
        words.ends.append(end)
        words.lower.append(lower)
        words.kinds.append(kinds_of.get(lower, PLAIN))
        if between in (" ", "-", ""):
            gap = NONE
        elif _HARD.search(text, last, start + 1):
            gap = BREAK
        else:
            gap = COMMA if "," in between or "/" in between else NONE
        words.gaps.append(gap)
        last = end
    return words
