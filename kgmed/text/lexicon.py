"""The names of a graph's findings and diseases, ready to be looked up in text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from kgmed.curated.vocabulary import ROOT_OF, TOLD
from kgmed.errors import GraphFileError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Term
from kgmed.resources import ontologies_folder
from kgmed.text.words import JOINER, STOP, read_list, root, split

__all__ = ["LEXICON_FILE", "Lexicon", "Name", "compile_lexicon", "lexicon_of", "load_lexicon"]

LEXICON_FILE = "lexicon.json"
"""Name under which a graph's folder holds its compiled lexicon."""

# One more whenever the names, their order or the columns that are stored change.
_FORMAT = 2
# Longer names are sentences; nobody writes them into a note.
_MAX_WORDS = 9
_ACRONYM = re.compile(r"(?=.*[A-Z].*[A-Z])[A-Z][A-Za-z0-9-]{1,6}")
# Roots of a hierarchy say nothing about a patient.
_TOO_GENERAL = frozenset(
    {"HP:0000001", "HP:0000118", "MONDO:0000001", "MONDO:0700096", "DOID:4", *ROOT_OF.values()}
)
# The better a name says what its term means, the lower; ties between terms go by it.
_LABEL, _PHRASE, _ABBREVIATION = 0, 5, 5
_SCOPES = {"exact": 1, "narrow": 2, "related": 3, "broad": 4}
_KINDS = ("finding", "disease")


@dataclass(frozen=True, slots=True)
class Name:
    """Names of one term that share their roots.

    `rank` says how well they stand for the term (0 is the preferred name); `words`
    holds the names, lower case, parted by `|`.
    """

    term: str
    disease: bool
    rank: int
    words: str

    @property
    def variants(self) -> list[str]:
        return self.words.split("|")


class Lexicon:
    """Names by the roots of their words, sorted; acronyms by their spelling.

    `names[key]` lists the names whose content words have these roots; `vocabulary`
    holds every root; `longest` is the number of content words of the longest name.
    """

    def __init__(
        self, names: dict[str, list[Name]], acronyms: dict[str, Name], vocabulary: frozenset[str]
    ) -> None:
        self.names = names
        self.acronyms = acronyms
        self.vocabulary = vocabulary
        self.longest = _MAX_WORDS

    def finding(self, name: str) -> str | None:
        """CURIE of the finding that has exactly this name, whatever its inflection and word order."""
        key = " ".join(sorted(content_roots(name)))
        found = [n for n in self.names.get(key, ()) if not n.disease]
        return min(found, key=lambda n: (n.rank, n.term)).term if found else None


def content_roots(name: str) -> list[str]:
    """Roots of the words of a name that carry meaning, in order."""
    words = split(name)
    return [
        root(word) for word, kind in zip(words.lower, words.kinds, strict=True) if kind not in (STOP, JOINER)
    ]


def _key(name: str) -> str:
    return " ".join(sorted(content_roots(name)))


def _names(graph: KnowledgeGraph) -> Iterator[tuple[Term, str, int]]:
    terms = {
        t.curie: t
        for kind in _KINDS
        for t in graph.terms(kind)
        if not t.obsolete and t.name and t.curie not in _TOO_GENERAL
    }
    for term in terms.values():
        yield term, term.name, _LABEL
    for synonym in graph.synonyms():
        found = terms.get(synonym.term)
        # What tells of a finding in other words is read by likeness, not word for word.
        if TOLD in synonym.tags:
            continue
        # A broad synonym of a disease says less than the disease: not a diagnosis.
        if found is not None and not (found.kind == "disease" and synonym.scope != "exact"):
            yield found, synonym.text, _SCOPES[synonym.scope]


def _variants(name: str) -> Iterator[str]:
    """A name, and the same without what only labels carry: `Seizure (disease)`, `Deafness, congenital`."""
    yield name
    bare = re.sub(r"\s*\([^()]*\)", "", name).strip()
    if bare != name and bare:
        yield bare


def _rows(
    graph: KnowledgeGraph,
) -> tuple[list[tuple[str, str, bool, int, str]], dict[str, tuple[str, bool, int]]]:
    lists = read_list("words")
    stop_names = {_key(n) for n in lists["stop_names"]["names"]}
    stop_acronyms = set(lists["stop_names"]["names"])
    rows: dict[tuple[str, str], tuple[str, str, bool, int, str]] = {}
    acronyms: dict[str, list[tuple[int, str, bool]]] = {}
    for term, full_name, own_rank in _names(graph):
        disease = term.kind == "disease"
        for name in _variants(full_name):
            rank = own_rank
            if _ACRONYM.fullmatch(name):
                if name in stop_acronyms:
                    continue
                acronyms.setdefault(name, []).append((rank, term.curie, disease))
                continue
            roots = content_roots(name)
            key = " ".join(sorted(roots))
            if not 1 <= len(roots) <= _MAX_WORDS or key in stop_names or len(key) < 3 or key.isdigit():
                continue
            words = name.lower().replace("|", " ")
            old = rows.get((key, term.curie))
            if old is not None:
                rank = min(rank, old[3])
                words = old[4] if words in old[4].split("|") else f"{old[4]}|{words}"
            rows[(key, term.curie)] = (key, term.curie, disease, rank, words)
    best: dict[str, tuple[str, bool, int]] = {}
    for name, candidates in acronyms.items():
        found = {(disease, curie) for _, curie, disease in candidates}
        # Two capitals mean too much; a longer acronym counts when only one term has it.
        findings = [curie for disease, curie in found if not disease]
        if len(name) > 2 and (len(found) == 1 or len(findings) == 1):
            disease, curie = min(found)
            best[name] = (curie, disease, _ABBREVIATION)
    by_key: dict[str, tuple[str, str, bool, int, str]] = {}
    for row in sorted(rows.values(), key=lambda r: (r[2], r[3], r[1])):
        by_key.setdefault(row[0], row)
    for phrase, full in (*lists["adjectives"].items(), *lists["phrases"].items()):
        meant, key = by_key.get(_key(full)), _key(phrase)
        # A name that the graph gives itself, and not only as a related one, stands.
        known = key in by_key and not by_key[key][2] and by_key[key][3] < _SCOPES["related"]
        if meant is None or meant[2]:
            continue
        old = rows.get((key, meant[1]))
        if old is not None:
            rows[(key, meant[1])] = (*old[:4], f"{old[4]}|{phrase}")
        elif not known:
            rows[(key, meant[1])] = (key, meant[1], False, _PHRASE, phrase)
    for short, long in lists["abbreviations"].items():
        meant = by_key.get(_key(long))
        if meant is not None:
            best[short] = (meant[1], meant[2], _ABBREVIATION)
        else:
            best.pop(short, None)
    return sorted(rows.values()), best


@cache
def _made_with() -> str:
    """What a lexicon depends on beside the graph: this code, the word lists and the stemmer."""
    words = (ontologies_folder() / "text" / "words.toml").read_bytes()
    return f"{_FORMAT} {hashlib.sha256(words).hexdigest()} {version('snowballstemmer')}"


def compile_lexicon(graph: KnowledgeGraph) -> bytes:
    """The lexicon of a graph's findings and diseases, as JSON.

    Store it beside the graph, `graph.save(folder, extra={LEXICON_FILE: compile_lexicon(graph)})`,
    and a `TextReader` of the loaded graph need not compile it again.
    """
    rows, acronyms = _rows(graph)
    columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    terms = list(dict.fromkeys(columns[1]))
    index = {curie: i for i, curie in enumerate(terms)}
    data = {
        "made_with": _made_with(),
        "terms": terms,
        "keys": columns[0],
        "term": [index[c] for c in columns[1]],
        "disease": [int(d) for d in columns[2]],
        "rank": columns[3],
        # The words are needed only where they differ from the key.
        "words": ["" if words == key else words for key, words in zip(columns[0], columns[4], strict=True)],
        "acronyms": acronyms,
        "vocabulary": sorted({word for key in columns[0] for word in key.split(" ")}),
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def load_lexicon(data: bytes) -> Lexicon:
    """Read what `compile_lexicon` wrote.

    Raises:
        GraphFileError: If it was made with other word lists, another stemmer or another
            release of this module: its names would not fit the words of a text.
    """
    table = json.loads(data)
    if not isinstance(table, dict) or table.get("made_with") != _made_with():
        raise GraphFileError(
            f"{LEXICON_FILE} was made with other word lists; build the graph again with `kgmed graph build`"
        )
    terms = table["terms"]
    names: dict[str, list[Name]] = {}
    columns = (table[c] for c in ("keys", "term", "disease", "rank", "words"))
    for key, term, disease, rank, words in zip(*columns, strict=True):
        name = Name(terms[term], bool(disease), rank, words or key)
        if key in names:
            names[key].append(name)
        else:
            names[key] = [name]
    acronyms = {
        short: Name(curie, disease, rank, short)
        for short, (curie, disease, rank) in table["acronyms"].items()
    }
    return Lexicon(names, acronyms, frozenset(table["vocabulary"]))


def lexicon_of(graph: KnowledgeGraph) -> Lexicon:
    """The lexicon that is stored with a graph; compiled now where there is none, or an outdated one."""
    stored = graph.file(LEXICON_FILE)
    if stored is not None:
        with suppress(GraphFileError):
            return load_lexicon(stored)
    return load_lexicon(compile_lexicon(graph))
