"""Findings that are told in other words than any name: phrases and names compared as vectors.

"My stream has got weak" names no finding of the graph, but its vector is near to that of "weak urinary
stream". A sentence is encoded (`kgmed.text.encoder`) and cut into phrases at punctuation and joining words;
the vector of a phrase is the mean of its word pieces, and the nearest name of a finding is taken where its
cosine is high enough and nothing speaks against it: another part of the body, an opposite ("sudden",
"gradual"), a number, a negation or a past that only one of the two has (`ontologies/text/similar.toml`).

Names of findings on disease cards, and those of ontologies that a user loads, are compared; the rest of HPO
is left to the dictionary, whose precision it needs more than this recall.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from kgmed.curated.vocabulary import TOLD
from kgmed.graph import KnowledgeGraph
from kgmed.resources import ontologies_folder
from kgmed.text.encoder import Encoder
from kgmed.text.match import Mention
from kgmed.text.words import read_list

__all__ = [
    "SIMILAR_FILE",
    "NameVectors",
    "compile_similar",
    "name_vectors",
    "names_of",
    "piece_weights",
    "similar",
]

SIMILAR_FILE = "similar.safetensors"
"""Name under which a graph's folder holds the vectors of its names."""

FloatArray = np.ndarray[Any, np.dtype[np.float32]]

# Least cosine of a phrase and a name, and of one whose phrase has a single word that says something.
# These constants were chosen on vignettes written for the purpose and on dev cases.
_LEAST, _LEAST_OF_ONE_WORD = 0.66, 0.84
# Least cosine where a mention already says the same less exactly: "headache", and not "daily headache".
_LEAST_NARROWER = 0.80
# Below this cosine a phrase must share that part of a name's telling words, by their first letters.
_SURE, _SHARED, _BEGINNING = 0.74, 0.5, 4
# Names looked at for a phrase, the nearest first, until one has nothing against it.
_NEAREST = 8
_FEWEST_WORDS, _MOST_WORDS = 2, 12
# A stretch of this many words is also looked at through windows of so many words, moved on by so many.
_LONG, _WINDOWS, _WINDOW_STEP = 6, (4, 7), 2
# Words that the encoder is given at once.
_MOST_ENCODED = 50
# A phrase of more digits than this is a measurement.
_DIGITS = 0.25
# Vectors are stored along their strongest directions; a name this near to another of its term adds nothing.
_STORED_DIMENSIONS = 256
_TWIN = 0.90
_FORMAT = 1

_SENTENCE = re.compile(r"[^.;:!?\n]+")
_CUT = re.compile(
    r",|\b(?:and|but|which|with|that|when|then|while|although|though|or|because|since|so)\b", re.IGNORECASE
)
_WORD = re.compile(r"[a-z]+(?:['/-][a-z]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9'/-]+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class NameVectors:
    """Names of findings as vectors.

    Attributes:
        names: The names, as the graph has them.
        terms: CURIE of each.
        vectors: Of length 1, shape (n_names, n_stored).
        projection: From the encoder's space to theirs, shape (n_dimensions, n_stored).
    """

    names: list[str]
    terms: list[str]
    vectors: FloatArray
    projection: FloatArray

    def to_stored(self, vectors: FloatArray) -> FloatArray:
        """Vectors of the encoder in the space of the names, of length 1."""
        return _unit(vectors @ self.projection)


@dataclass(frozen=True)
class _Words:
    """The lists of `similar.toml`."""

    filler: frozenset[str]
    generic: frozenset[str]
    opposites: dict[str, frozenset[str]]
    claims: dict[str, tuple[frozenset[str], ...]]
    unable: frozenset[str]
    negation: frozenset[str]
    past_names: frozenset[str]
    past_phrases: frozenset[str]
    part_of: dict[str, int]


@cache
def _lists() -> _Words:
    table = read_list("similar")
    opposites: dict[str, set[str]] = defaultdict(set)
    for one, other in table["opposites"]:
        opposites[one].add(other)
        opposites[other].add(one)
    claims: dict[str, list[frozenset[str]]] = defaultdict(list)
    for line in table["claims"]:
        for word in line.split():
            claims[word].append(frozenset(line.split()))
    return _Words(
        filler=frozenset(table["filler"].split()),
        generic=frozenset(word for key in ("generic", "measured", "setting") for word in table[key].split()),
        opposites={word: frozenset(others) for word, others in opposites.items()},
        claims={word: tuple(lines) for word, lines in claims.items()},
        unable=frozenset(table["unable"].split()),
        negation=frozenset(table["negation"].split()),
        past_names=frozenset(table["past_names"].split()),
        past_phrases=frozenset(table["past_phrases"].split()),
        part_of={word: i for i, line in enumerate(table["parts"]) for word in line.split()},
    )


def _bare(phrase: str) -> str:
    """A phrase without what says nothing."""
    filler = _lists().filler
    words = (word.strip(" ,.;:'\"()") for word in phrase.lower().split())
    return " ".join(word for word in words if word and word not in filler)


def _telling(text: str, pieces: Sequence[tuple[int, int]]) -> FloatArray:
    """Of each word piece 1, or 0 where it is of a word that says nothing."""
    filler = _lists().filler
    starts = [start for start, _ in pieces]
    out = np.ones(len(pieces), dtype=np.float32)
    for word in _TOKEN.finditer(text):
        if word.group().lower() in filler:
            out[bisect_left(starts, word.start()) : bisect_left(starts, word.end())] = 0.0
    return out


def piece_weights(
    text: str, pieces: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> FloatArray:
    """How much each word piece counts in the vector of each span, shape (n_spans, n_pieces); rows sum to 1.

    Args:
        text: What was encoded.
        pieces: Places of the word pieces; those of marks and padding are (0, 0).
        spans: Of phrases in the text. One that holds no piece has a row of 0.
    """
    rows = [row for row, (start, end) in enumerate(pieces) if end > start]
    starts = np.array([pieces[row][0] for row in rows])
    first, last = np.array(spans, dtype=np.int64).reshape(-1, 2, 1).transpose(1, 0, 2)
    inside = ((first <= starts) & (starts < last)).astype(np.float32)
    told = inside * _telling(text, [pieces[row] for row in rows])
    counted = np.where(told.any(axis=1, keepdims=True), told, inside)
    out = np.zeros((len(spans), len(pieces)), dtype=np.float32)
    out[:, rows] = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1.0)
    return out


def _vectors(
    encoder: Encoder, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
) -> FloatArray:
    """Of each span of each text the mean state of its word pieces but those of filler, of length 1."""
    out = [
        piece_weights(text, pieces, places) @ states
        for text, places, (states, pieces) in zip(texts, spans, encoder.states(texts), strict=True)
    ]
    return _unit(np.concatenate(out) if out else np.zeros((0, encoder.dimensions), dtype=np.float32))


def _of_names(encoder: Encoder, names: Sequence[str]) -> FloatArray:
    return _vectors(encoder, names, [[(0, len(name))] for name in names])


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def _unit(vectors: FloatArray) -> FloatArray:
    out: FloatArray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return out


# ---------------------------------------------------------------- names


def names_of(graph: KnowledgeGraph) -> Iterator[tuple[str, str, bool]]:
    """(name, term, whether it is a phrase that tells) of the findings that are compared."""
    on_cards = {
        edge.object
        for predicate in ("has_phenotype", "has_risk_factor")
        for edge in graph.edges(None, predicate)
        if edge.source == "curated"
    }
    terms = {
        term.curie
        for term in graph.terms("finding")
        if not term.obsolete and (term.curie in on_cards or term.source not in ("hp", "curated"))
    }
    for term in graph.terms("finding"):
        if term.curie in terms:
            yield term.name, term.curie, False
    for synonym in graph.synonyms():
        told = TOLD in synonym.tags
        if synonym.term in terms and (told or synonym.scope in ("exact", "narrow")):
            yield synonym.text, synonym.term, told


def _wanted(graph: KnowledgeGraph) -> Iterator[tuple[str, str]]:
    return ((name, term) for name, term, _ in names_of(graph))


def compile_similar(graph: KnowledgeGraph, encoder: Encoder) -> bytes:
    """The vectors of a graph's names, to be stored beside it as `SIMILAR_FILE`.

    They are projected to the directions in which the names differ most (a principal component
    analysis about zero) and kept as whole numbers of -127..127 with one factor a name.
    """
    names, terms = _distinct(_wanted(graph))
    vectors = _of_names(encoder, names)
    kept = _without_twins(vectors, terms)
    vectors = vectors[kept]
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    projection = np.ascontiguousarray(directions[:, ::-1][:, :_STORED_DIMENSIONS], dtype=np.float32)
    stored = _unit(vectors @ projection)
    scale = np.maximum(np.abs(stored).max(axis=1), 1e-9) / 127.0
    data: bytes = save(
        {
            "names": _packed(names[i] for i in kept),
            "terms": _packed(terms[i] for i in kept),
            "codes": np.round(stored / scale[:, None]).astype(np.int8),
            "projection": projection,
        },
        metadata={"made_with": f"{_FORMAT} {encoder.made_with}"},
    )
    return data


def name_vectors(graph: KnowledgeGraph, encoder: Encoder) -> NameVectors:
    """The vectors stored with a graph; for a changed one those of the default graph, and the rest now."""
    data = graph.file(SIMILAR_FILE)
    if data is not None and (stored := _load(data, encoder)) is not None:
        return stored
    default = ontologies_folder() / "default" / SIMILAR_FILE
    known = _load(default.read_bytes(), encoder) if default.is_file() else None
    names, terms = _distinct(_wanted(graph))
    if known is None:
        again = _load(compile_similar(graph, encoder), encoder)
        assert again is not None
        return again
    place = {pair: i for i, pair in enumerate(zip(known.names, known.terms, strict=True))}
    # A stored term whose name is not stored had a twin that is.
    covered = set(known.terms)
    old = [i for pair in zip(names, terms, strict=True) if (i := place.get(pair)) is not None]
    new = [i for i, term in enumerate(terms) if term not in covered]
    vectors = known.to_stored(_of_names(encoder, [names[i] for i in new]))
    return NameVectors(
        names=[known.names[i] for i in old] + [names[i] for i in new],
        terms=[known.terms[i] for i in old] + [terms[i] for i in new],
        vectors=np.concatenate([known.vectors[old], vectors]),
        projection=known.projection,
    )


def _distinct(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    kept = {(name, term): None for name, term in pairs if len(_bare(name)) > 3 and "\n" not in name}
    return [name for name, _ in kept], [term for _, term in kept]


def _without_twins(vectors: FloatArray, terms: Sequence[str]) -> list[int]:
    """Places of the names that are not near to an earlier one of the same term."""
    kept: dict[str, list[int]] = defaultdict(list)
    for i, term in enumerate(terms):
        if all(float(vectors[i] @ vectors[j]) <= _TWIN for j in kept[term]):
            kept[term].append(i)
    return sorted(i for places in kept.values() for i in places)


def _packed(lines: Iterable[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def _load(data: bytes, encoder: Encoder) -> NameVectors | None:
    """What `compile_similar` wrote; None if with another encoder or layout."""
    size = int.from_bytes(data[:8], "little")
    if f"{_FORMAT} {encoder.made_with}".encode() not in data[8 : 8 + size]:
        return None
    table = load(data)
    return NameVectors(
        names=table["names"].tobytes().decode().split("\n"),
        terms=table["terms"].tobytes().decode().split("\n"),
        vectors=_unit(table["codes"].astype(np.float32)),
        projection=table["projection"],
    )


# --------------------------------------------------------------- reading


def similar(
    text: str,
    names: NameVectors,
    encoder: Encoder,
    mentions: Sequence[Mention],
    implies: Callable[[str, str], bool],
) -> list[Mention]:
    """Findings told in other words, where no mention says the same already.

    Args:
        mentions: What was found by name.
        implies: Whether a term implies another one.

    Returns:
        Mentions whose score is the cosine.
    """
    taken = sorted((m.start, m.end) for m in mentions)
    told = {
        (first, last): [span for span in _phrases(text, first, last) if _says_more(text, *span, taken)]
        for first, last in _sentences(text)
    }
    told = {window: spans for window, spans in told.items() if spans}
    if not told or not names.names:
        return []
    phrases = [span for spans in told.values() for span in spans]
    within = [[(s - first, e - first) for s, e in spans] for (first, _), spans in told.items()]
    vectors = names.to_stored(_vectors(encoder, [text[a:b] for a, b in told], within))
    cosines = vectors @ names.vectors.T
    found = []
    for (start, end), row in zip(phrases, cosines, strict=True):
        best = _best(text[start:end], row, names)
        if best is not None:
            found.append((float(row[best]), start, end, names.terms[best]))
    out: list[Mention] = []
    placed: list[tuple[int, int]] = []
    for cosine, start, end, term in sorted(found, key=lambda f: (-f[0], f[1], f[2])):
        if any(start < e and s < end for s, e in placed):
            continue
        placed.append((start, end))
        inside = [m.term for m in mentions if m.start < end and start < m.end and not m.disease]
        narrower = any(implies(term, other) for other in inside)
        if narrower and cosine < _LEAST_NARROWER:
            continue
        if not any(other == term or implies(other, term) for other in inside):
            out.append(Mention(start=start, end=end, term=term, score=min(cosine, 1.0)))
    return out


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Spans of sentences; long ones in pieces that the encoder takes."""
    for sentence in _SENTENCE.finditer(text):
        first, last = sentence.span()
        words = [m.start() for m in re.finditer(r"\S+", text[first:last])]
        for i in range(0, len(words), _MOST_ENCODED):
            end = words[i + _MOST_ENCODED] if i + _MOST_ENCODED < len(words) else last - first
            yield first + words[i], first + end


def _phrases(text: str, first: int, last: int) -> list[tuple[int, int]]:
    """Spans between commas and joining words, of two neighbours, and of a few words of the longer ones."""
    out = set()
    cuts = [first, *(m.start() for m in _CUT.finditer(text, first, last)), last]
    spans = [(cuts[i], cuts[j]) for i in range(len(cuts)) for j in (i + 1, i + 2) if j < len(cuts)]
    for start, end in (*spans, (first, last)):
        phrase = text[start:end]
        if _FEWEST_WORDS <= len(phrase.split()) <= _MOST_WORDS:
            lead = len(phrase) - len(phrase.lstrip(" \t,"))
            out.add((start + lead, start + len(phrase.rstrip())))
    for start, end in itertools.pairwise(cuts):
        words = [(m.start(), m.end()) for m in _TOKEN.finditer(text, start, end)]
        for size in _WINDOWS if len(words) >= _LONG else ():
            out |= {
                (words[i][0], words[i + size - 1][1]) for i in range(0, len(words) - size + 1, _WINDOW_STEP)
            }
    return sorted(span for span in out if span[0] < span[1])


def _says_more(text: str, start: int, end: int, taken: list[tuple[int, int]]) -> bool:
    """Whether the phrase has a telling word outside the mentions."""
    phrase = text[start:end]
    if sum(c.isdigit() for c in phrase) > _DIGITS * len(phrase) or len(_bare(phrase)) <= 3:
        return False
    lists = _lists()
    for word in _WORD.finditer(phrase.lower()):
        if word.group() in lists.generic or word.group() in lists.filler:
            continue
        place = start + word.start()
        before = bisect_right(taken, (place, len(text)))
        if not any(s <= place < e for s, e in taken[max(0, before - 4) : before]):
            return True
    return False


def _best(phrase: str, cosines: FloatArray, names: NameVectors) -> int | None:
    lists = _lists()
    words = _words(phrase)
    if words & lists.negation:
        return None
    telling = words - lists.generic - lists.filler
    least = _LEAST if len(telling) > 1 else _LEAST_OF_ONE_WORD
    if not telling or float(cosines.max()) < least:
        return None
    nearest = np.arange(len(cosines))
    if len(cosines) > _NEAREST:
        nearest = np.argpartition(-cosines, _NEAREST)[:_NEAREST]
    for i in sorted(nearest.tolist(), key=lambda i: (-cosines[i], i)):
        if cosines[i] < least:
            return None
        if cosines[i] < _SURE and _shared(telling, names.names[i]) < _SHARED:
            continue
        if not _contradict(phrase, words, names.names[i]):
            return int(i)
    return None


def _shared(telling: frozenset[str], name: str) -> float:
    """Share of the telling words of a name whose beginning a word of the phrase has."""
    lists = _lists()
    named = _words(name) - lists.generic - lists.filler
    begun = {word[:_BEGINNING] for word in telling}
    return sum(word[:_BEGINNING] in begun for word in named) / max(len(named), 1)


def _contradict(phrase: str, words: frozenset[str], name: str) -> bool:
    lists = _lists()
    named = _words(name)
    if any(lists.opposites.get(w, frozenset()) & (named - words) for w in words - named):
        return True
    if bool(words & lists.unable) != bool(named & lists.unable):
        return True
    if any(not any(words & line for line in lists.claims[w]) for w in named - words if w in lists.claims):
        return True
    if not set(_NUMBER.findall(name)) <= set(_NUMBER.findall(phrase)):
        return True
    if named & lists.past_names and not words & lists.past_phrases:
        return True
    here = {lists.part_of[w] for w in words if w in lists.part_of}
    there = {lists.part_of[w] for w in named if w in lists.part_of}
    return bool(here and there and not here & there)
