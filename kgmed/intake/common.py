"""What all readers share: the list of issues, the words for sex, names to CURIEs."""

from __future__ import annotations

import math
from typing import Any, Literal
from weakref import WeakKeyDictionary

from kgmed.codes import is_public, tidy_curie
from kgmed.errors import InputError
from kgmed.graph import KnowledgeGraph
from kgmed.intake.ages import parse_age
from kgmed.intake.jsontext import text_problem
from kgmed.ontology import TermKind
from kgmed.record import SETTINGS, Issue, Setting, Sex

__all__ = ["Notes", "find_by_name", "is_missing", "number_of", "resolve_term"]

_SEX_WORDS: dict[str, Sex] = {
    **dict.fromkeys(("f", "female", "woman", "girl"), "FEMALE"),
    **dict.fromkeys(("m", "male", "man", "boy"), "MALE"),
    # HL7 v3 "UN" is "undifferentiated".
    **dict.fromkeys(("o", "other", "other_sex", "un", "undifferentiated", "intersex"), "OTHER"),
    **dict.fromkeys(("", "u", "unk", "unknown", "unknown_sex", "asku", "nan", "none"), "UNKNOWN"),
}

_MAX_ID = 256
_NEAREST_PER_RECORD = 5  # a spelling search over the whole graph is slower than a diagnosis


class Notes:
    """The issues of one record while it is read.

    Everything that cannot be used is added here with its field, so that nothing
    is lost without a word.
    """

    def __init__(self, record_id: str = "") -> None:
        self.record_id = record_id
        self.issues: list[Issue] = []
        self.searches_left = _NEAREST_PER_RECORD

    def add(
        self,
        code: str,
        field: str,
        message: str,
        fix: str = "",
        *,
        level: Literal["error", "warning"] = "warning",
    ) -> None:
        """Add an issue; `message` and `fix` are full sentences without patient text."""
        self.issues.append(
            Issue(level=level, code=code, message=message, fix=fix, record_id=self.record_id, field=field)
        )

    def identify(self, value: Any) -> str:
        """Take the record's id: text or a whole number; anything else is an issue and ""."""
        if is_missing(value):
            return ""
        if isinstance(value, int) and not isinstance(value, bool):
            # A float frame column of whole numbers is handled by `rows`.
            value = str(value) if abs(value) < 10**_MAX_ID else ""
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_ID or not value.isprintable():
            self.add(
                "bad-id",
                "id",
                f"The id is not a printable text of at most {_MAX_ID} characters.",
                "Give a short text as the id.",
                level="error",
            )
            return ""
        self.record_id = value
        return value

    def sex(self, value: Any, field: str = "sex") -> Sex:
        """One of the four words; an unknown word is an issue and UNKNOWN."""
        if is_missing(value):
            return "UNKNOWN"
        word = _SEX_WORDS.get(value.strip().lower()) if isinstance(value, str) else None
        if word is None:
            self.add(
                "unknown-sex",
                field,
                "This is not a word for sex that kgmed knows; sex is taken as unknown.",
                "Write FEMALE, MALE, OTHER or UNKNOWN.",
            )
            return "UNKNOWN"
        return word

    def setting(self, value: Any, field: str = "setting") -> Setting:
        """Where the patient is seen; an unknown word is an issue and ""."""
        if is_missing(value):
            return ""
        word = value.strip().lower() if isinstance(value, str) else None
        for known in SETTINGS:
            if word == known:
                return known
        self.add(
            "unknown-setting",
            field,
            "This is not a setting that kgmed knows; it is taken as unknown.",
            f"Write {', '.join(filter(None, SETTINGS))}, or leave it out.",
        )
        return ""

    def age(self, value: Any, field: str) -> float | None:
        """An age in days, or None with an issue."""
        if is_missing(value):
            return None
        try:
            return parse_age(value)
        except InputError as error:
            self.add(
                "bad-age",
                field,
                f"The age cannot be used: {error}.",
                "It is taken as unknown.",
                level="error",
            )
            return None

    def text(self, value: Any, field: str = "text") -> str:
        """A note, or "" with an issue."""
        if is_missing(value):
            return ""
        problem = text_problem(value) if isinstance(value, str) else "it is not a text"
        if problem is not None:
            self.add(
                "bad-text", field, f"The text cannot be used: {problem}.", "It is left out.", level="error"
            )
            return ""
        return str(value)

    def number(self, value: Any, field: str) -> float | None:
        """A finite number, or None with an issue unless it is simply missing."""
        number = number_of(value)
        if number is None and value is not None:
            self.add(
                "not-a-number",
                field,
                "This is not a finite number; it is left out.",
                "Give a number without a unit.",
                level="error",
            )
        return number

    def flag(self, value: Any, field: str, *, default: bool = False) -> bool | None:
        """True or False; None with an issue when it is neither (a guess could turn a finding round)."""
        if is_missing(value):
            return default
        if isinstance(value, str):
            word = value.strip().lower()
            if word in ("true", "yes", "y", "1"):
                return True
            if word in ("false", "no", "n", "0"):
                return False
        elif type(value).__name__ in ("bool", "bool_") or number_of(value) in (0.0, 1.0):
            return bool(value)
        self.add(
            "not-a-flag",
            field,
            "This is neither true nor false; the entry is left out.",
            "Write true or false.",
            level="error",
        )
        return None


def is_missing(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT: nothing was recorded."""
    if value is None:
        return True
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def number_of(value: Any) -> float | None:
    """A finite float of a real number or of text that spells one, else None."""
    if isinstance(value, bool):
        return None
    if not isinstance(value, str) and not hasattr(type(value), "__float__"):
        return None
    if isinstance(value, str) and ("_" in value or len(value) > 40):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


_names: WeakKeyDictionary[KnowledgeGraph, dict[str, dict[str, None]]] = WeakKeyDictionary()


def find_by_name(name: str, graph: KnowledgeGraph, kinds: tuple[TermKind, ...]) -> str | None:
    """The one current term whose name or exact synonym is `name`, in any case.

    A preferred name wins over a synonym, an earlier kind over a later one; None
    when nothing fits or two do equally.
    """
    index = _names.get(graph)
    if index is None:
        index = {}
        # Two tables in one: "=name" for preferred names, "~name" for exact synonyms.
        for term in graph.terms():
            if not term.obsolete and term.name:
                index.setdefault("=" + term.name.casefold(), {})[term.curie] = None
        for synonym in graph.synonyms():
            if synonym.scope == "exact":
                index.setdefault("~" + synonym.text.casefold(), {})[synonym.term] = None
        _names[graph] = index
    key = " ".join(name.split()).casefold()
    for table in "=~":
        found = [graph.term(curie) for curie in index.get(table + key, ())]
        for kind in kinds:
            fitting = [term.curie for term in found if term.kind == kind and not term.obsolete]
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                return None
    return None


def resolve_term(
    value: Any,
    *,
    field: str,
    notes: Notes,
    graph: KnowledgeGraph | None,
    kinds: tuple[TermKind, ...] = ("finding", "disease"),
) -> str | None:
    """CURIE of a term given as a CURIE or, with a graph, by its name; None with an issue.

    CURIEs are only tidied here; whether the graph knows them is for `kgmed.check`.
    """
    if not isinstance(value, str) or not value.strip():
        notes.add(
            "no-term", field, "There is no term here; the entry is left out.", "Give a CURIE.", level="error"
        )
        return None
    curie = tidy_curie(value)
    if curie is not None:
        return curie
    if graph is None:
        notes.add(
            "name-without-graph",
            field,
            "This is not a CURIE, and names need a graph; the entry is left out.",
            "Give a CURIE such as HP:0001250, or read the record with a graph.",
            level="error",
        )
        return None
    if len(value) <= 300:
        found = find_by_name(value, graph, kinds)
        if found is not None:
            return found
    notes.add(
        "unknown-name",
        field,
        "No term has this name, or more than one has; the entry is left out.",
        nearest_terms(value, graph, notes),
        level="error",
    )
    return None


def nearest_terms(text: str, graph: KnowledgeGraph, notes: Notes) -> str:
    """A sentence that offers the nearest terms, for the first few unknown names of a record."""
    if notes.searches_left and 0 < len(text) <= 100:
        notes.searches_left -= 1
        nearest = graph.nearest(text, limit=3)
        if nearest:
            return "Nearest: " + ", ".join(f"{c} ({graph.name(c)})" for c in nearest) + "."
    return "Give a CURIE such as HP:0001250."


def shown(curie: str) -> str:
    """The CURIE when a message may name it, else words that say nothing of it."""
    return curie if is_public(curie) else "an identifier of no public vocabulary"
