"""A note to findings, diseases, measurements, age and sex."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from kgmed.curated.vocabulary import ROOT_OF
from kgmed.errors import InputError, RecordError
from kgmed.graph import KnowledgeGraph
from kgmed.record import Context as When
from kgmed.record import Finding, Issue, KnownDisease, Measurement, Sex
from kgmed.text.combine import combined
from kgmed.text.context import Assertion, Context, Section, sections
from kgmed.text.encoder import default_encoder
from kgmed.text.lexicon import lexicon_of
from kgmed.text.match import DictionaryTagger, Mention
from kgmed.text.person import Onset, read_duration, read_onsets, read_person
from kgmed.text.signs import read_signs
from kgmed.text.similar import NameVectors, name_vectors, similar
from kgmed.text.values import read_values
from kgmed.text.words import read_list

__all__ = ["MAX_CHARACTERS", "Tagger", "TextReader", "TextReading"]

Tagger = Callable[[str], Iterable[Mention]]
"""What finds mentions in a text; `DictionaryTagger` is one."""

MAX_CHARACTERS = 1_000_000
"""A longer text is no note: a book has about this many characters."""

# "Possible" and its like: even odds. No source gives a number for the words doctors use.
_UNCERTAIN = 0.5
# Roots of what somebody was exposed to, takes, or has in the family.
_EXPOSURES = (ROOT_OF["exposure"], ROOT_OF["drug"], "HP:0032316")
_FAMILY_FORMS = ("family history of {}", "mother had {}")
# "Worse with coughing and sneezing" says what makes it worse, not that the patient coughs.
_TRIGGERED = re.compile(
    r"\b(?:exacerbated|worsened|worsens?|worse|aggravated|triggered|precipitated|provoked|increases)"
    r"\s(?:by|with|on|upon|after|when|while|during)\s"
    r"(?:(?:[\w-]+\s){0,2}[\w-]+(?:,\s?(?:and\s|or\s)?|\s(?:and|or)\s)){0,4}(?:[\w-]+\s){0,1}$",
    re.IGNORECASE,
)
_TRIGGER_REACH = 90  # characters
_NO_FINDINGS = frozenset({"medications", "allergies"})
_SECTION_CONTEXT: dict[str, When] = {"family_history": "family", "past_history": "historical"}
# Control characters that text has; more than one in a hundred of the others is a binary file.
_TEXT_CONTROLS = frozenset("\t\n\r\f\v\x1c\x1d\x1e\x85")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextReading:
    """What a text says.

    Attributes:
        findings: In order of their place, each with span, context and certainty.
        diseases: Diseases that the text names.
        measurements: Vital signs and laboratory values in canonical units.
        age_days: Age of the patient in days, or None.
        sex: `FEMALE`, `MALE` or `UNKNOWN`.
        duration_days: Time since the first symptom of this episode, or None.
        sections: The sections of the note; they cover the text.
        issues: What could not be used; field `text[a:b]` gives the place.
    """

    findings: tuple[Finding, ...] = ()
    diseases: tuple[KnownDisease, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    age_days: float | None = None
    sex: Sex = "UNKNOWN"
    duration_days: float | None = None
    sections: tuple[Section, ...] = ()
    issues: tuple[Issue, ...] = ()


class TextReader:
    """Reads notes with the names of a graph.

    Args:
        graph: Its findings and diseases are looked for. The lexicon that was stored
            with it (`compile_lexicon`) is used; without one, or when the word lists have
            changed since, it is compiled now, which takes some seconds for the default graph.
        tagger: Finds the mentions; the dictionary of the graph when None.
        similar: Whether to find also what is told in other words than any name
            (`kgmed.text.similar`), beside the dictionary.
    """

    def __init__(self, graph: KnowledgeGraph, *, tagger: Tagger | None = None, similar: bool = True) -> None:
        self.graph = graph
        self._similar = similar and tagger is None
        self._lexicon = lexicon_of(graph) if tagger is None else None
        if tagger is None:
            assert self._lexicon is not None
            tagger = DictionaryTagger(self._lexicon)
        self.tagger: Tagger = tagger

    def _told(self, mentions: Iterable[Mention]) -> Iterator[Mention]:
        """Mentions without those that a narrower one around them implies.

        "No sensorineural hearing loss" does not say that the patient hears.
        """
        open_ones: list[Mention] = []
        for mention in sorted(mentions, key=lambda m: (m.start, -m.end)):
            open_ones = [m for m in open_ones if m.end > mention.start]
            around = [m for m in open_ones if m.end >= mention.end]
            open_ones.append(mention)
            if not any(self._implies(m.term, mention.term) for m in around):
                yield mention

    @cached_property
    def _exposures(self) -> frozenset[str]:
        """Risk factors by their name: what was is what counts."""
        roots = [curie for curie in _EXPOSURES if curie in self.graph]
        return frozenset().union(*(self.graph.descendants(curie) for curie in roots))

    @cached_property
    def _names(self) -> NameVectors:
        return name_vectors(self.graph, default_encoder())

    def _of_family(self, text: str, mention: Mention) -> Mention | None:
        """The finding "family history of ..." of what a relative has, if the graph has one."""
        if self._lexicon is None or mention.term in self._exposures:
            return None
        for name in (text[mention.start : mention.end], self.graph.name(mention.term)):
            for form in _FAMILY_FORMS:
                term = self._lexicon.finding(form.format(name))
                if term in self._exposures:
                    return replace(mention, term=term, disease=False)
        return None

    def _implies(self, term: str, other: str) -> bool:
        return term != other and term in self.graph and other in self.graph.ancestors(term)

    def read(self, text: str, *, record_id: str = "") -> TextReading:
        """Read one note.

        Raises:
            InputError: If `text` is no string.
            RecordError: If it is binary, or longer than `MAX_CHARACTERS`.
        """
        _refuse(text, record_id)
        parts = sections(text)
        starts = [p.heading[0] if p.heading else p.start for p in parts]
        context = Context(text)
        person = read_person(text)
        onsets: dict[int, list[Onset]] = {}
        for onset_phrase in read_onsets(text):
            onsets.setdefault(context.sentence(onset_phrase.start), []).append(onset_phrase)
        values, issues = read_values(text, record_id=record_id)
        findings = []
        diseases = []
        mentions = list(self.tagger(text))
        if self._lexicon is not None:
            mentions += combined(text, self._lexicon, mentions, self._implies, self.graph.name)
            mentions += read_signs(text, self._lexicon)
        alike = (
            similar(text, self._names, default_encoder(), mentions, self._implies) if self._similar else []
        )
        mentions += alike
        for mention in self._told(mentions):
            kind = parts[bisect.bisect_right(starts, mention.start) - 1].kind
            exposure = mention.term in self._exposures
            if kind in _NO_FINDINGS and not exposure:
                continue
            before = text[max(0, mention.start - _TRIGGER_REACH) : mention.start]
            if not exposure and _TRIGGERED.search(before):
                continue
            said = context.assertion(mention.start, mention.end)
            if said.negated and mention in alike:
                continue  # what is denied in other words is not known well enough
            when = _when(said, kind)
            if when == "family" and not said.negated:
                told = self._of_family(text, mention)
                if told is not None:
                    mention, when = told, "current"
            if when in ("family", "historical") and mention.term in self._exposures:
                when = "current"  # an exposure or a past disease is told of the past by its nature
            span = (mention.start, mention.end)
            field = f"text[{mention.start}:{mention.end}]"
            if mention.disease:
                diseases.append(
                    KnownDisease(
                        term=mention.term,
                        name=self.graph.name(mention.term),
                        excluded=said.negated,
                        context=when,
                        span=span,
                        field=field,
                    )
                )
                continue
            onset = None
            if not said.negated and when in ("current", "historical"):
                near = onsets.get(context.sentence(mention.start), [])
                onset = _onset(near, mention, person.age_days)
            findings.append(
                Finding(
                    term=mention.term,
                    excluded=said.negated,
                    onset_days=onset,
                    span=span,
                    certainty=mention.score * (_UNCERTAIN if said.uncertain else 1.0),
                    severity=_severity(text, mention.start),
                    context=when,
                    origin="text",
                    field=field,
                )
            )
        return TextReading(
            findings=tuple(findings),
            diseases=tuple(diseases),
            measurements=tuple(values),
            age_days=person.age_days,
            sex=person.sex,
            duration_days=_lasting(text, person.age_days),
            sections=parts,
            issues=tuple(issues),
        )


def _lasting(text: str, age_days: float | None) -> float | None:
    days = read_duration(text)
    return days if days is None or age_days is None else min(days, age_days)


def _refuse(text: object, record_id: str) -> None:
    if not isinstance(text, str):
        raise InputError(f"a note must be a string, not {type(text).__name__}; decode it first")
    if len(text) > MAX_CHARACTERS:
        raise RecordError(
            f"{len(text):,} characters are more than a note may have ({MAX_CHARACTERS:,}); "
            "give one note at a time",
            record_id=record_id,
            field="text",
        )
    nul = text.find("\0")
    if nul >= 0:
        raise RecordError(
            f"NUL character at offset {nul}: this is a binary file, or text in another encoding; "
            "decode it first",
            record_id=record_id,
            field="text",
        )
    strange = sum(
        1 for c in text if (c < " " or "\x7f" <= c < "\xa0" or c == "\ufffd") and c not in _TEXT_CONTROLS
    )
    if strange * 100 > len(text) and strange > 1:
        raise RecordError(
            f"{strange} of {len(text):,} characters are control or replacement characters: "
            "this is a binary file, or text in another encoding; decode it first",
            record_id=record_id,
            field="text",
        )


def _when(said: Assertion, section: str) -> When:
    if said.family:
        return "family"
    if section in _SECTION_CONTEXT:
        return _SECTION_CONTEXT[section]
    if said.hypothetical:
        return "hypothetical"
    # "No history of seizures": that they never were holds now too.
    return "historical" if said.historical and not said.negated else "current"


def _onset(onsets: list[Onset], mention: Mention, age_days: float | None) -> float | None:
    """The age that the nearest phrase of the sentence gives, in days since birth."""
    after = bisect.bisect_left(onsets, mention.end, key=lambda onset: onset.start)
    near = onsets[max(after - 1, 0) : after + 1]
    if not near:
        return None
    onset = min(near, key=lambda o: (max(o.start - mention.end, mention.start - o.end, 0), o.start))
    if not onset.ago:
        return onset.days
    return None if age_days is None or onset.days > age_days else age_days - onset.days


def _severity(text: str, start: int) -> str | None:
    words = text[max(0, start - 20) : start].split()
    return read_list("words")["severity"].get(words[-1].lower()) if words else None
