"""What comes back: a `Ranking` of `Diagnosis`, each with its `Explanation`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from kgmed.graph import Path
from kgmed.record import Case, Finding

if TYPE_CHECKING:
    import networkx
    import pandas

__all__ = [
    "Diagnosis",
    "Evidence",
    "Explanation",
    "Failure",
    "Match",
    "Question",
    "Ranking",
    "RedFlag",
    "Score",
    "ScoreItem",
    "log10_odds",
    "posttest_probability",
]

_NO_PATH = Path()

Match = Literal[
    "exact",  # the disease is annotated with this very term
    "more_general",  # the finding is an ancestor of what the disease is annotated with
    "more_specific",  # the finding is a descendant of what the disease is annotated with
    "related",  # they share an informative ancestor
    "none",  # nothing in the disease accounts for the finding
    "excluded_in_disease",  # the disease is annotated as not having it
    "age",
    "tempo",
    "left_out",  # what a note says nothing of
    "sex",
    "prevalence",
    "alternatives",  # what the other diseases explain as well
    "rule",
    "learned",
]


def log10_odds(probability: float) -> float:
    """log10 of p / (1 - p); minus or plus infinity at 0 and 1.

    >>> log10_odds(0.5)
    0.0
    """
    if probability <= 0.0:
        return -math.inf
    if probability >= 1.0:
        return math.inf
    return math.log10(probability) - math.log10(1.0 - probability)


def posttest_probability(pretest: float, log10_lr: float) -> float:
    """Update a pretest probability by a log10 likelihood ratio.

    Works in log odds, so a long list of findings cannot overflow.

    Args:
        pretest: Probability of the disease before the findings, in (0, 1).
        log10_lr: Sum of the findings' log10 likelihood ratios.

    Returns:
        Probability of the disease after the findings, in [0, 1].

    Raises:
        InputError: If `pretest` is not strictly between 0 and 1.

    Example:
        A finding seen in 90% of patients and 2% of others (+1.653), and an
        excluded finding seen in 50% and 5% (-0.279):

        >>> round(posttest_probability(0.01, 1.653 - 0.279), 3)
        0.193
    """
    from kgmed.errors import InputError

    if not 0.0 < pretest < 1.0:
        raise InputError(f"pretest probability must be strictly between 0 and 1, not {pretest}")
    exponent = log10_odds(pretest) + log10_lr
    if exponent > 300:
        return 1.0
    if exponent < -300:
        return 0.0
    odds: float = 10.0**exponent
    return odds / (1.0 + odds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """One reason for or against one disease; number and reason from one choice.

    Attributes:
        finding: The finding that is weighed, or None (prevalence, age, sex,
            alternatives, rules).
        disease: CURIE of the disease.
        match: How they met (see `Match`).
        matched_term: The term of the disease that the finding met, or "".
        p_if_disease, p_if_not: Chance of this observation (present, or
            excluded) with and without the disease, 0..1; None where the line is
            not a ratio of two such chances.
        log10_lr: What the line adds to the log10 odds; +1 multiplies them by ten.
        path: The walk through the graph from the finding to the disease.
        scorer: Who says so (`likelihood`, `rules`, ...).
        calibrated: Whether the line moves the posttest probability.
        note: One plain sentence for a reader.
    """

    finding: Finding | None = None
    disease: str
    match: Match
    matched_term: str = ""
    p_if_disease: float | None = None
    p_if_not: float | None = None
    log10_lr: float
    path: Path = _NO_PATH
    scorer: str = "likelihood"
    calibrated: bool = True
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A finding worth asking or testing next.

    Attributes:
        term: CURIE of the finding.
        name: Its name.
        information_gain: Expected fall in the entropy of the differential, in bits.
        p_if_disease: Chance that it is present in the disease it stands beside, 0..1.
        p_overall: Chance that it is present given the whole differential, 0..1.
        found_by: How it is found: `history`, `exam`, `lab`, `imaging`, `test`, or "".
        cost: Relative cost of finding out (`kgmed.score.asking.COST`).
        disease: The disease that it speaks for most, as a CURIE.
    """

    term: str
    name: str
    information_gain: float
    p_if_disease: float
    p_overall: float
    found_by: str = ""
    cost: float = 1.0
    disease: str = ""


TriageLevel = Literal["self-care", "routine", "urgent", "emergency"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Triage:
    """How soon the patient needs to be seen.

    Attributes:
        level: `self-care`, `routine` (within days to weeks), `urgent` (today) or `emergency` (now).
        reason: What demands it, in words.
        diseases: The plausible diseases that demand it, likeliest first.
        red_flags: The red flags that demand it.
    """

    level: TriageLevel
    reason: str
    diseases: tuple[str, ...] = ()
    red_flags: tuple[RedFlag, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Together:
    """Two diseases that explain the findings better than any one does.

    Attributes:
        diseases: Their CURIEs, the likelier first.
        names: Their names.
        times_likelier: How much likelier than the likeliest single disease.
        explains: For each, the findings (CURIEs) that it explains and the other does not.
    """

    diseases: tuple[str, str]
    names: tuple[str, str]
    times_likelier: float
    explains: tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """All reasons for one diagnosis; iterates over `evidence`, strongest first.

    Attributes:
        evidence: Sorted by absolute `log10_lr`.
        unexplained: Present findings that nothing in the disease accounts for.
        worth_asking: What would tell most between this disease and the others.
    """

    evidence: tuple[Evidence, ...] = ()
    unexplained: tuple[Finding, ...] = ()
    worth_asking: tuple[Question, ...] = ()

    def __iter__(self) -> Iterator[Evidence]:
        return iter(self.evidence)

    def __len__(self) -> int:
        return len(self.evidence)

    @property
    def log10_lr(self) -> float:
        """Sum over the calibrated evidence: what moved the probability."""
        return math.fsum(e.log10_lr for e in self.evidence if e.calibrated)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One disease of the differential.

    `explanation` is worked out when first read and kept, since most callers read
    the first few only.

    Attributes:
        disease: MONDO CURIE where there is one.
        name: Its label.
        rank: 1-based; ties share a rank.
        pretest_probability, posttest_probability: 0..1, this disease against
            not this disease.
        mappings: The same disease elsewhere (OMIM, ORPHA, ICD-10-CM, ...).
    """

    disease: str
    name: str
    rank: int
    pretest_probability: float
    posttest_probability: float
    mappings: tuple[str, ...] = ()
    explain: Callable[[], Explanation] = field(repr=False, compare=False, default=Explanation)

    @property
    def explanation(self) -> Explanation:
        """The reasons, strongest first."""
        cached: Explanation | None = self.__dict__.get("_explanation")
        if cached is None:
            cached = self.explain()
            self.__dict__["_explanation"] = cached
        return cached


@dataclass(frozen=True, kw_only=True, slots=True)
class RedFlag:
    """A state that demands action whatever the diagnosis.

    Attributes:
        rule: Id of the rule that fired.
        name: What it is.
        urgency: `emergency` (now), `urgent` (today) or `soon` (days).
        action: What to do, one sentence.
        findings: What it rests on (findings; measurements become findings with
            origin `measurement`).
        source: Where the rule is published.
    """

    rule: str
    name: str
    urgency: Literal["emergency", "urgent", "soon"]
    action: str
    findings: tuple[Finding, ...] = ()
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreItem:
    """One line of a clinical score: `met` is None when it cannot be told."""

    name: str
    points: float
    met: bool | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A clinical score or a set of criteria worked out for this patient.

    Attributes:
        rule: Id of the rule.
        name: Name of the score.
        value: Points from the items that are known.
        at_most: Points if every unknown item were met.
        maximum: The highest possible value.
        meaning: What the value means, from the published bands; "" when the
            unknown items could change the band.
        items: Each line, with what it rests on.
        missing: Names of the items that could not be told.
        source: Where it is published.
    """

    rule: str
    name: str
    value: float
    at_most: float
    maximum: float
    meaning: str = ""
    items: tuple[ScoreItem, ...] = ()
    missing: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A record that could not be diagnosed, in its place among the results of a batch.

    Attributes:
        index: 0-based position in the input.
        record_id: The record, "" when it has no id or could not be read.
        error: Name of the error class.
        message: What is wrong, where and what to do; no patient text.
    """

    index: int
    record_id: str
    error: str
    message: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking(Sequence[Diagnosis]):
    """A differential diagnosis: a sequence, best first.

    Attributes:
        diagnoses: The diagnoses that were asked for.
        red_flags: What demands action now, most urgent first.
        scores: Clinical scores that could be worked out.
        triage: How soon the patient needs to be seen; None when nothing was ranked.
        case: The findings that were scored, those set aside, and the issues.
        provenance: Versions, releases, checksums and settings: enough to run it again.
        considered: How many diseases were ranked.
    """

    diagnoses: tuple[Diagnosis, ...]
    case: Case
    red_flags: tuple[RedFlag, ...] = ()
    scores: tuple[Score, ...] = ()
    triage: Triage | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    considered: int = 0
    names: Callable[[str], str] = field(repr=False, default=str)
    """CURIE to preferred name, for rendering."""
    combine: Callable[[], tuple[Together, ...]] = field(repr=False, default=tuple)
    """Works out `together`."""

    @property
    def together(self) -> tuple[Together, ...]:
        """Pairs of diseases that explain the findings better than any one; usually none."""
        return self.combine()

    def __len__(self) -> int:
        return len(self.diagnoses)

    @overload
    def __getitem__(self, index: int) -> Diagnosis: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Diagnosis, ...]: ...
    def __getitem__(self, index: int | slice) -> Diagnosis | tuple[Diagnosis, ...]:
        return self.diagnoses[index]

    def top(self, k: int) -> tuple[Diagnosis, ...]:
        """The first `k` diagnoses."""
        return self.diagnoses[:k]

    def get(self, curie: str) -> Diagnosis | None:
        """The diagnosis of one disease, by its CURIE or a mapped one, or None."""
        for diagnosis in self.diagnoses:
            if diagnosis.disease == curie or curie in diagnosis.mappings:
                return diagnosis
        return None

    def to_text(self, top: int = 5) -> str:
        """Plain text for a terminal."""
        from kgmed import render

        return render.to_text(self, top=top)

    def to_json(self, *, with_text: bool = False, indent: int | None = 2) -> str:
        """JSON by the schema in `ontologies/schemas/ranking.schema.json`.

        The note is left out unless `with_text`.
        """
        from kgmed import render

        return render.to_json(self, with_text=with_text, indent=indent)

    def to_markdown(self, top: int = 5) -> str:
        """A Markdown report."""
        from kgmed import render

        return render.to_markdown(self, top=top)

    def to_html(self, top: int = 10) -> str:
        """A self-contained HTML report with a chart and a drawing of the reasoning."""
        from kgmed import render

        return render.to_html(self, top=top)

    def to_networkx(self, top: int = 5) -> networkx.MultiDiGraph:
        """The findings, diseases and edges that the first `top` diagnoses rest on."""
        from kgmed import render

        return render.to_networkx(self, top=top)

    def to_frame(self) -> pandas.DataFrame:
        """One row per diagnosis: rank, disease, name, pretest and posttest probability."""
        import pandas

        return pandas.DataFrame(
            {
                "rank": [d.rank for d in self],
                "disease": [d.disease for d in self],
                "name": [d.name for d in self],
                "pretest_probability": [d.pretest_probability for d in self],
                "posttest_probability": [d.posttest_probability for d in self],
            }
        )
