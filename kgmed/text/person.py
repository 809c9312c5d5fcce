"""Age and sex of the patient, and when findings began, as a note says them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kgmed.record import MAX_AGE_DAYS, Sex

__all__ = ["Onset", "Person", "read_duration", "read_onsets", "read_person"]

_DAYS = {"y": 365.25, "m": 30.4375, "w": 7.0, "d": 1.0, "h": 1 / 24}
_ONES = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBERS = (
    {word: i for i, word in enumerate(_ONES, 1)}
    | {word: 10 * i for i, word in enumerate(_TENS, 2)}
    | {f"{t}-{o}": 10 * i + j for i, t in enumerate(_TENS, 2) for j, o in enumerate(_ONES[:9], 1)}
)
_NUMBER = r"(?P<n>\d{1,3}(?:\.\d{1,2})?|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + ")"
_UNIT = r"(?P<u>years?|yrs?|y|months?|mos?|m|weeks?|wks?|w|days?|d|hours?|hrs?|h)"
_LONG_UNIT = r"(?P<u>years?|yrs?|months?|mos?|weeks?|wks?|days?|hours?|hrs?)"
_AGE = re.compile(
    rf"\b{_NUMBER}[\s-]*(?:{_LONG_UNIT}[\s-]*(?:old\b|of[\s-]age\b)|(?P<yo>y\.?\s?/?\s?o\b\.?)|(?P<mo>m/o\b)|(?P<sex>[MF])\b(?![-/]))"
    rf"|\b(?:aged?|AGED?|Aged?)\s*(?::|is|of)?\s*(?P<n2>\d{{1,3}})(?:\s*(?P<u2>years?|yrs?|months?|weeks?|days?)\b)?(?!\s*(?:%|mg|-\s?\d))",
)
_NEWBORN = re.compile(r"\b(?:newborn|neonate)\b", re.IGNORECASE)
# Somebody else, another time, or the age of a pregnancy.
_RELATIVES = (
    r"mother|father|brother|sister|sibling|parents?|mom|dad|aunt|uncle|cousin|grand\w+|son|daughter|husband|wife|twin|"
    r"nephew|niece"
)
_OTHERS = re.compile(
    rf"\W{{0,3}}(?:[\w-]+\W+){{0,3}}?(?:{_RELATIVES}|fetus|gestation|pregnancy)\b", re.IGNORECASE
)
_ANOTHER_TIME = re.compile(
    rf"(?:\b(?:when|until|since|by|at|before|after|from|gestational|gestation|maternal|paternal|{_RELATIVES})\b"
    r"(?:\W+(?:he|she|was|is|were|the|an?|about|approximately|of|who|his|her|to|age|healthy)\b){0,4}\W{0,3})$|"
    r"\bborn to (?:\w+\W+){0,4}$",
    re.IGNORECASE,
)
_SEX = re.compile(r"\b(?:(?P<f>woman|female|girl|lady|F)|(?P<m>man|male|boy|gentleman|M))\b", re.IGNORECASE)
_SHORT_SEX = re.compile(r"\s*/?\s*(?P<s>[MF])\b")
_STATED = re.compile(r"\b(?:sex|gender)\s*[:=]\s*(?P<s>female|male|f|m)\b", re.IGNORECASE)
_SUBJECT = re.compile(r"(?:^|[.!?]\s+)(?P<p>He|She)\b")
_SENTENCE = 120
_AT_AGE = re.compile(
    rf"\b(?:at|since|from|by|around|aged)\s+(?:the\s+)?(?:about\s+)?(?:an?\s+)?(?:age\s*(?:of)?\s*)?{_NUMBER}[\s-]*{_UNIT}?\b(?P<of>\s+of\s+age)?",
    re.IGNORECASE,
)
_SINCE_BIRTH = re.compile(r"\b(?:since|from|at) birth\b", re.IGNORECASE)
_LASTING = re.compile(
    rf"\b(?:(?:for|over|during|within|x|×)\s*(?:the\s+)?"
    rf"(?:past|last|about|approximately|previous|preceding)?\s*{_NUMBER}[\s-]*{_LONG_UNIT}\b"
    rf"|(?P<ago>{_NUMBER.replace('?P<n>', '?P<n2>')}[\s-]*{_LONG_UNIT.replace('?P<u>', '?P<u2>')}\s+ago\b)"
    rf"|{_NUMBER.replace('?P<n>', '?P<n3>')}[\s-]*{_LONG_UNIT.replace('?P<u>', '?P<u3>')}"
    r"['’]?s?[\s-]+history\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Age in days and sex of the patient, as far as the text says."""

    age_days: float | None = None
    sex: Sex = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Onset:
    """A phrase that says when something began: days since birth, or days ago."""

    start: int
    end: int
    days: float
    ago: bool


def _number(written: str) -> float:
    return float(_NUMBERS.get(written.lower(), 0) or written)


def _days(number: str, unit: str) -> float:
    return _number(number) * _DAYS[unit[0].lower()]


def read_person(text: str) -> Person:
    """Age and sex of the patient: the first age that is not a relative's or a past one's."""
    for match in _AGE.finditer(text):
        before = text[max(0, match.start() - 60) : match.start()]
        if _ANOTHER_TIME.search(before) or _OTHERS.match(text, match.end()):
            continue
        if match["n2"]:
            days = _days(match["n2"], match["u2"] or "year")
        else:
            days = _days(match["n"], match["u"] or ("m" if match["mo"] else "y"))
        if days <= MAX_AGE_DAYS:
            return Person(days, _letter(match["sex"]) or _sex_after(text, match.end()) or _sex(text))
    newborn = _NEWBORN.search(text)
    # "Newborn screening was normal" tells no age.
    if newborn and not re.match(r"\W+(?:screen|period|hearing|nursery|intensive)", text[newborn.end() :]):
        return Person(0.0, _sex_after(text, newborn.end()) or _sex(text))
    return Person(None, _sex(text))


def _letter(letter: str | None) -> Sex | None:
    if not letter:
        return None
    return "FEMALE" if letter[0] in "Ff" else "MALE"


def _sex_after(text: str, start: int) -> Sex | None:
    short = _SHORT_SEX.match(text, start)
    if short:
        return _letter(short["s"])
    end = text.find(".", start)
    near = text[start : min(end if end >= 0 else len(text), start + _SENTENCE)]
    for match in _SEX.finditer(near):
        if len(match.group()) > 1:
            return "FEMALE" if match["f"] else "MALE"
    return None


def _sex(text: str) -> Sex:
    stated = _STATED.search(text)
    if stated:
        return _letter(stated["s"]) or "UNKNOWN"
    said = {m["p"] for m in _SUBJECT.finditer(text)}
    if len(said) == 1:
        return "MALE" if said == {"He"} else "FEMALE"
    opening = re.match(
        r"\W*(?:An?|The|This)\s+(?:[\w-]+\s+){0,3}?(man|male|boy|woman|female|girl|lady|gentleman)\b", text
    )
    if opening:
        return "FEMALE" if opening[1] in ("woman", "female", "girl", "lady") else "MALE"
    return "UNKNOWN"


def read_onsets(text: str) -> list[Onset]:
    """Phrases that say when something began, in order."""
    out = [Onset(m.start(), m.end(), 0.0, False) for m in _SINCE_BIRTH.finditer(text)]
    for match in _AT_AGE.finditer(text):
        phrase = match.group().lower()
        # "at 39 weeks" is a gestation, "from 3 days" anything: only what names an age counts.
        if "age" in phrase:
            days = _days(match["n"], match["u"] or "year")
            if days <= MAX_AGE_DAYS:
                out.append(Onset(match.start(), match.end(), days, False))
    for match in _LASTING.finditer(text):
        for n, u in (("n", "u"), ("n2", "u2"), ("n3", "u3")):
            if match[n]:
                out.append(Onset(match.start(), match.end(), _days(match[n], match[u]), True))
    return sorted(out, key=lambda o: o.start)


# How long "a few" and the like are, in units: order of magnitude is all that is used.
_VAGUE = dict.fromkeys(("a", "an", "the past", "the last"), 1.0)
_VAGUE |= dict.fromkeys(("couple of", "a couple of"), 2.0)
_VAGUE |= dict.fromkeys(("few", "a few", "several", "many", "some", "multiple"), 4.0)
_WORDS = "|".join(sorted({*_NUMBERS, *_VAGUE}, key=len, reverse=True))
_ANY_NUMBER = rf"(?P<n>\d{{1,3}}(?:\.\d{{1,2}})?(?:\s*(?:-|to|or)\s*\d{{1,3}})?|{_WORDS})"
_LEAD = r"(?:for|over|during|within|since|x|×|lasting|past|last|previous|preceding)"
_ABOUT = r"(?:past|last|about|approximately|previous|preceding|almost|nearly|around|at least)"
_EPISODE = re.compile(
    rf"\b(?P<lead>{_LEAD}\s+(?:the\s+)?{_ABOUT}?\s*)?{_ANY_NUMBER}[\s-]*(?:full\s+)?{_LONG_UNIT}\b(?:['’]s?|s['’])?"
    rf"(?P<how>[\s-]+(?:ago|history|hx|duration|prior|before|earlier|of|after\s+(?:the\s+)?onset)\b)?",
    re.IGNORECASE,
)
_LATELY = re.compile(
    r"\b(?P<h>this (?:morning|afternoon|evening)|today|tonight|last night|overnight|hours ago|an hour ago"
    r"|minutes ago|just now|awoke|woke up with)\b|\b(?P<d>yesterday|since yesterday|days ago)\b"
    r"|\b(?P<y>since childhood|since birth|for years|all (?:his|her|my) life|lifelong|long-?standing)\b",
    re.IGNORECASE,
)
# Durations of something else than the complaint: habits, old diagnoses, drugs, pregnancies, other people.
_ELSEWHERE = re.compile(
    r"\b(?:smok\w*|pack\w*|cigarettes?|alcohol|drink\w*|diagnosed|surgery|operat\w+|\w+ectomy|married"
    r"|work(?:s|ed|ing)?|employed|retired|pregnan\w+|gestation|diabet\w+|hypertens\w+|medications?"
    r"|tak(?:es|ing)|treated|therapy|controlled|vaccin\w+|period|menstrua\w+|LMP|until|return|follow|every"
    rf"|each|per|similar\s+episodes?|previous\s+episodes?|weigh\w*|lost|trip|travel\w*|{_RELATIVES})\b",
    re.IGNORECASE,
)
_AGED = re.compile(r"[\s-]*(?:old|of[\s-]age)\b", re.IGNORECASE)
_PAST = re.compile(r"\b(?:ago|prior|before|earlier)\b", re.IGNORECASE)
_BEGAN = re.compile(
    r"\b(?:start\w*|beg[ai]n\w*|onset|develop\w*|notic\w*|appear\w*|since|came on|set in|woke)\b",
    re.IGNORECASE,
)
_NEAR = 45  # characters


_YEARS_DAYS = 5 * 365.25
"""What "for years" stands for."""


def read_duration(text: str) -> float | None:
    """Days since the first symptom of this episode, as the first statement of a complaint's duration says.

    Durations of habits, known diseases, treatments and relatives are passed over. What
    happened some time ago counts only when nothing else is said, unless it is a beginning.

    >>> read_duration("A 61-year-old man, a smoker for 30 years, has had a cough for 4 days.")
    4.0
    """
    once: float | None = None
    vague: float | None = None
    for match in sorted((*_EPISODE.finditer(text), *_LATELY.finditer(text)), key=lambda m: m.start()):
        start = max(text.rfind(stop, 0, match.start()) for stop in (". ", "; ", "\n", ", "))
        ends = [e for stop in (". ", "; ", ", ", "\n") if (e := text.find(stop, match.end())) >= 0]
        before = text[max(start + 1, match.start() - _NEAR) : match.start()]
        after = text[match.end() : min([*ends, match.end() + _NEAR])]
        if _ELSEWHERE.search(f"{before} {after}") or _AGED.match(after):
            continue
        if match.re is _LATELY:
            if match["y"]:  # "long-standing asthma" is told before "two days of fever" is
                vague = _YEARS_DAYS
                continue
            return 0.4 if match["h"] else 1.5
        if not (match["how"] or match["lead"]):
            continue
        written = match["n"].lower()
        first = re.split(r"\s*(?:-|to|or)\s*", written)[-1] if written[0].isdigit() else written
        number = _VAGUE.get(first) or _number(first)
        days = number * _DAYS[match["u"][0].lower()]
        if not 0 < days <= MAX_AGE_DAYS:
            continue
        if _PAST.search(match["how"] or "") and not _BEGAN.search(before):
            once = days if once is None else once
        else:
            return days
    return once if vague is None else vague
