"""The words and numbers that all renderings share."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import Any

from kgmed.graph import Path
from kgmed.ontology import Edge
from kgmed.record import Finding
from kgmed.result import (
    Diagnosis,
    Evidence,
    Match,
    Question,
    Ranking,
    RedFlag,
    Score,
    Together,
    TriageLevel,
    log10_odds,
)

__all__ = [
    "CURATED",
    "MATCH_WORDS",
    "NOTICE",
    "ROUNDED",
    "URGENCY",
    "Sum",
    "adding_up",
    "chance",
    "clean",
    "count",
    "edge_label",
    "evidence_name",
    "fact",
    "finding_name",
    "flags_head",
    "is_curated",
    "mappings",
    "missing",
    "origin",
    "path_words",
    "percent",
    "provenance_lines",
    "question_words",
    "relative",
    "runs",
    "score_meaning",
    "score_points",
    "score_words",
    "short_name",
    "signed",
    "title",
    "together_line",
    "triage_line",
]

NOTICE = (
    "Decision support, not a diagnosis. A clinician must judge every line; "
    "a disease that is not listed is not ruled out."
)
CURATED = "curated, not reviewed by a clinician"
ROUNDED = "log10 odds; rounded so that the printed lines add up"

URGENCY = {"emergency": "emergency: seek help now", "urgent": "urgent: today", "soon": "soon: within days"}

MATCH_WORDS: dict[Match, str] = {
    "exact": "exact",
    "more_general": "more general than the disease's term",
    "more_specific": "more specific than the disease's term",
    "related": "related",
    "none": "not explained by the disease",
    "excluded_in_disease": "known to be absent in the disease",
    "age": "age",
    "tempo": "time since the first symptom",
    "left_out": "what the note leaves out",
    "sex": "sex",
    "prevalence": "prevalence",
    "alternatives": "what other diseases explain as well",
    "rule": "rule",
    "learned": "learned",
}

_WITHOUT_FINDING: dict[Match, str] = {
    "age": "Age",
    "tempo": "Time since the first symptom",
    "left_out": "What the note leaves out",
    "sex": "Sex",
    "prevalence": "Prevalence",
    "alternatives": "Other diseases explain the findings as well",
    "rule": "Rule",
    "learned": "Learned score",
}

# The vocabularies a clinician knows come first.
_MAPPING_ORDER = (
    "OMIM",
    "OMIMPS",
    "ORPHA",
    "Orphanet",
    "ICD10CM",
    "ICD-10-CM",
    "ICD10WHO",
    "ICD11",
    "DECIPHER",
)


def clean(text: str) -> str:
    """One line of printable text.

    Names and identifiers come from ontologies and users: control characters could
    drive a terminal, and format characters could turn text round.

    >>> clean("Fe\\x1b[31mver\\nhigh")
    'Fe[31mver high'
    """
    kept = "".join(
        " " if c.isspace() else c
        for c in text
        if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
    )
    return " ".join(kept.split())


def percent(probability: float) -> str:
    """A probability as a reader expects it: percent, or one in so many when it is small.

    >>> percent(0.1234), percent(0.00012), percent(0.99999)
    ('12.3%', '1 in 8,330', '>99.9%')
    """
    if probability > 0.999:
        return ">99.9%"
    if probability >= 0.001:
        return f"{probability * 100:.1f}%"
    if probability < 1e-12:
        return "<1 in 10^12"
    whole = 1 / probability
    digits = 10 ** (math.floor(math.log10(whole)) - 2)
    return f"1 in {round(whole / digits) * digits:,.0f}"


def chance(probability: float | None) -> str:
    """A chance between 0 and 1 to two significant digits, `-` when there is none.

    >>> chance(0.6), chance(0.000123), chance(None)
    ('0.60', '0.00012', '-')
    """
    if probability is None:
        return "-"
    if probability == 0:
        return "0"
    if probability >= 0.995:
        return f"{probability:.3f}" if probability < 0.9995 else "1.00"
    if probability < 1e-6:
        return f"{probability:.1e}"
    return f"{probability:.{1 - math.floor(math.log10(probability))}f}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 finding`, `2 findings`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def signed(hundredths: int) -> str:
    """Hundredths as a signed decimal.

    >>> signed(-5), signed(165)
    ('-0.05', '+1.65')
    """
    return f"{'-' if hundredths < 0 else '+'}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sum:
    """One diagnosis in hundredths of log10 odds: pretest + counted lines = posttest.

    Attributes:
        pretest, posttest: log10 odds, in hundredths.
        lines: One number per evidence line, in the explanation's order. Those of
            evidence that is not calibrated are shown and take no part in the sum.
    """

    pretest: int
    posttest: int
    lines: tuple[int, ...]


def adding_up(diagnosis: Diagnosis) -> Sum:
    """Round a diagnosis so that the printed numbers add up exactly.

    Largest-remainder rounding: the total is rounded to the nearest hundredth, every
    part is rounded down, and the hundredths that are then missing go to the parts
    that lost most. Each printed number is less than 0.01 from the true one.
    """
    evidence = diagnosis.explanation.evidence
    counted = [i for i, e in enumerate(evidence) if e.calibrated]
    parts = [log10_odds(min(max(diagnosis.pretest_probability, 1e-300), 1 - 1e-16)) * 100]
    parts += [evidence[i].log10_lr * 100 for i in counted]
    rounded = [math.floor(p) for p in parts]
    total = round(math.fsum(parts))
    by_loss = sorted(range(len(parts)), key=lambda i: (rounded[i] - parts[i], i))
    for i in by_loss[: total - sum(rounded)]:
        rounded[i] += 1
    lines = [round(e.log10_lr * 100) for e in evidence]
    for i, value in zip(counted, rounded[1:], strict=True):
        lines[i] = value
    return Sum(pretest=rounded[0], posttest=total, lines=tuple(lines))


def short_name(ranking: Ranking, curie: str) -> str:
    """Preferred name of a CURIE, cleaned; a measured code is named as the record names it."""
    name = ranking.names(curie)
    if name in ("", curie):
        measured = (m.name for m in ranking.case.record.measurements if m.code == curie and m.name)
        name = next(measured, curie)
    return clean(name) or "(no name)"


def finding_name(ranking: Ranking, finding: Finding) -> str:
    """The finding's name; an excluded one says so."""
    name = short_name(ranking, finding.term)
    return f"excluded: {name}" if finding.excluded else name


def origin(finding: Finding) -> str:
    """Where a finding was stated: character offsets of the note, or the record's field."""
    parts = []
    if finding.span is not None:
        parts.append(f"text {finding.span[0]}-{finding.span[1]}")
    elif finding.field:
        parts.append(clean(finding.field))
    if finding.origin not in ("given", "text") or not parts:
        parts.insert(0, finding.origin)
    if finding.certainty < 1:
        parts.append(f"certainty {finding.certainty:.2f}")
    return ", ".join(parts)


def evidence_name(ranking: Ranking, evidence: Evidence) -> str:
    """What is weighed: the finding, or what stands in its place."""
    if evidence.finding is not None:
        return finding_name(ranking, evidence.finding)
    return _WITHOUT_FINDING.get(evidence.match, evidence.match)


def is_curated(edge: Edge) -> bool:
    """Whether the fact was written for kgmed rather than taken from a reviewed source."""
    return edge.evidence == "curated"


def _releases(ranking: Ranking) -> dict[str, str]:
    sources = (ranking.provenance.get("graph") or {}).get("sources") or ()
    return {str(s.get("id", "")): str(s.get("release", "")) for s in sources}


def _frequency(ranking: Ranking, edge: Edge) -> str:
    if edge.numerator is not None and edge.denominator is not None:
        return f"{edge.numerator}/{edge.denominator}"
    if edge.frequency_term:
        return short_name(ranking, edge.frequency_term)
    if edge.frequency is not None:
        return percent(edge.frequency) if edge.frequency else "0%"
    return ""


def fact(ranking: Ranking, edge: Edge) -> str:
    """Predicate, frequency, references, source with its release, and review of one edge."""
    parts = [f"{'not ' if edge.negated else ''}{edge.predicate} {_frequency(ranking, edge)}".strip()]
    parts += edge.references[:3]
    if len(edge.references) > 3:
        parts.append(f"{len(edge.references) - 3} more")
    # An is_a step is the ontology's own: the release at each step would drown the walk.
    if edge.predicate != "is_a":
        parts.append(f"{edge.source} {_releases(ranking).get(edge.source, '')}".strip())
    parts.append(CURATED if is_curated(edge) else "")
    return clean(", ".join(p for p in parts if p))


def edge_label(ranking: Ranking, edge: Edge) -> tuple[str, str]:
    """Two short lines for a drawing: the predicate, then frequency and source."""
    below = (_frequency(ranking, edge), edge.source, "not reviewed" if is_curated(edge) else "")
    return clean(f"{'not ' if edge.negated else ''}{edge.predicate}"), clean(", ".join(p for p in below if p))


def path_words(ranking: Ranking, path: Path, *, joined: bool = False) -> str:
    """The walk as `Finding -[is_a]-> X <-[has_phenotype 5/8, PMID:1, hpoa 2025-05-06]- Disease`.

    Args:
        ranking: Gives the releases and names.
        path: The walk.
        joined: Write several `is_a` steps in one direction as `-[is_a x3]->`.
    """
    nodes = path.nodes
    if not nodes:
        return ""
    words = short_name(ranking, nodes[0])
    if joined:
        walk = [(end, steps) for _, end, steps in runs(path)]
    else:
        walk = [(end, [step]) for end, step in zip(nodes[1:], path, strict=True)]
    for end, steps in walk:
        edge, forward = steps[0]
        label = fact(ranking, edge) + (f" x{len(steps)}" if len(steps) > 1 else "")
        words += f" -[{label}]-> " if forward else f" <-[{label}]- "
        words += short_name(ranking, end)
    return words


def runs(path: Path) -> list[tuple[str, str, list[tuple[Edge, bool]]]]:
    """The walk with `is_a` steps in one direction joined: (from, to, steps)."""
    nodes = path.nodes
    out: list[tuple[str, str, list[tuple[Edge, bool]]]] = []
    for i, (edge, forward) in enumerate(path):
        if out and edge.predicate == "is_a":
            start, _, steps = out[-1]
            if steps[-1][0].predicate == "is_a" and steps[-1][1] == forward:
                out[-1] = (start, nodes[i + 1], [*steps, (edge, forward)])
                continue
        out.append((nodes[i], nodes[i + 1], [(edge, forward)]))
    return out


def mappings(diagnosis: Diagnosis, limit: int) -> str:
    """The first identifiers elsewhere, best known vocabularies first."""

    def key(curie: str) -> tuple[int, str]:
        prefix = curie.partition(":")[0]
        known = prefix in _MAPPING_ORDER
        return (_MAPPING_ORDER.index(prefix) if known else len(_MAPPING_ORDER), curie)

    ordered = sorted(diagnosis.mappings, key=key)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return clean(", ".join(ordered[:limit])) + more


def question_words(question: Question) -> str:
    """A question with what it would tell."""
    return (
        f"{clean(question.name)} ({clean(question.term)}): {question.information_gain:.2f} bits; "
        f"present in {chance(question.p_if_disease)} of this disease, "
        f"{chance(question.p_overall)} over the differential"
    )


def score_words(value: float) -> str:
    """Points without a trailing `.0`."""
    return f"{value:g}"


def score_points(score: Score) -> str:
    """`3 of 7`; the value of a formula alone, since it has no maximum."""
    added = math.fsum(item.points for item in score.items if item.met)
    if score.value == score.maximum and not math.isclose(added, score.value):
        return score_words(score.value)
    return f"{score_words(score.value)} of {score_words(score.maximum)}"


def score_meaning(score: Score) -> str:
    """What the value means, or why that cannot be said."""
    if score.meaning or not score.missing:
        return clean(score.meaning)
    return "the missing items could change its meaning"


def flags_head(flags: tuple[RedFlag, ...]) -> str:
    """The heading over the red flags: help is sought as fast as the worst of them demands."""
    return "SEEK HELP NOW" if any(f.urgency == "emergency" for f in flags) else "RED FLAGS"


TRIAGE_WORDS: dict[TriageLevel, str] = {
    "emergency": "emergency: seek help now",
    "urgent": "urgent: to be seen today",
    "routine": "routine: to be seen within days to weeks",
    "self-care": "self-care, unless it lasts or gets worse",
}


def triage_line(ranking: Ranking) -> str:
    """How soon the patient needs to be seen and why, or "" when nothing was ranked."""
    triage = ranking.triage
    return f"Triage: {TRIAGE_WORDS[triage.level]} ({clean(triage.reason)})" if triage else ""


def together_line(ranking: Ranking, pair: Together) -> str:
    """A pair of diseases in words."""
    told = [
        f"{clean(name)} ({', '.join(clean(ranking.names(c)) for c in of[:4])})"
        for name, of in zip(pair.names, pair.explains, strict=True)
    ]
    return (
        f"Perhaps two at once: {' with '.join(told)}, {pair.times_likelier:.1f} times as likely as "
        "the likeliest disease alone"
    )


def title(ranking: Ranking) -> str:
    """Heading of a report; the record is named by its id alone."""
    return f"Differential diagnosis: record {clean(ranking.case.record.id) or '(no id)'}"


def relative(ranking: Ranking) -> str:
    """How the probabilities are to be read."""
    known = (
        f"the {count(ranking.considered, 'disease')} ranked" if ranking.considered else "the diseases ranked"
    )
    return (
        "Each probability is of that disease against not that disease, relative to the diseases the graph "
        f"knows ({known}), as if the patient had exactly one of them."
    )


def missing(ranking: Ranking) -> tuple[str, ...]:
    """What the record does not say and the result would have used."""
    record = ranking.case.record
    out = []
    if record.age_days is None:
        out.append("age is not known")
    if record.sex == "UNKNOWN":
        out.append("sex is not known")
    if not ranking.case.present:
        out.append("no present finding could be used")
    if not ranking.case.excluded:
        out.append("no finding is stated as excluded")
    for score in ranking.scores:
        if score.missing:
            out.append(f"{clean(score.name)}: {clean(', '.join(score.missing))}")
    return tuple(out)


def provenance_lines(ranking: Ranking) -> tuple[tuple[str, str], ...]:
    """(what, which) pairs: versions, releases, licences, checksum, seed."""
    provenance: dict[str, Any] = ranking.provenance
    graph = provenance.get("graph") or {}
    out = []
    if provenance.get("kgmed"):
        out.append(("kgmed", clean(str(provenance["kgmed"]))))
    if graph.get("checksum"):
        out.append(("graph", f"sha256 {clean(str(graph['checksum']))}"))
    if provenance.get("rules"):
        out.append(("rules", f"{provenance['rules']} clinical rules, curated, not reviewed by a clinician"))
    alike: dict[str, list[str]] = {}
    for source in graph.get("sources") or ():
        which = clean(f"release {source.get('release', '')}, licence {source.get('licence', '')}")
        alike.setdefault(which, []).append(clean(str(source.get("id", ""))))
    out += [(", ".join(ids), which) for which, ids in alike.items()]
    if provenance.get("seed") is not None:
        out.append(("seed", clean(str(provenance["seed"]))))
    return tuple(out)
