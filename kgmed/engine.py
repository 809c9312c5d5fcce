"""`Engine`: joins the parts, adds the numbers up, and says why."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from kgmed.config import EngineConfig
from kgmed.errors import InputError, KgmedError, UnknownTermError
from kgmed.graph import KnowledgeGraph
from kgmed.ontology import Ontology
from kgmed.record import Case, Record, Setting
from kgmed.resources import ontologies_folder
from kgmed.result import (
    Diagnosis,
    Evidence,
    Explanation,
    Failure,
    Question,
    Ranking,
    RedFlag,
    Score,
    Together,
    Triage,
    log10_odds,
    posttest_probability,
)
from kgmed.score.asking import COST, Methods, allowed, gains
from kgmed.score.likelihood import LikelihoodIndex
from kgmed.score.profile import Profile
from kgmed.score.rules import RuleSet, load_rules
from kgmed.score.together import best_pairs
from kgmed.score.triage import TriageTable

if TYPE_CHECKING:
    from kgmed.text import TextReader

__all__ = ["Engine", "RankOf", "ask", "diagnose", "diagnose_many", "load_engine"]

# Two totals closer than this are a tie: float32 sums differ by less.
_TIE = 1e-6
# The differential that questions are chosen over: what lies below is too unlikely to ask about.
_ASK_OVER = 30
_QUESTIONS = 5
_PAIRS = 3
# A batch starts further processes only when it is longer than this: they take seconds to start.
_SERIAL = 64
# No differential is surer than one in a million: the graph does not know every disease.
_SUREST = 6.0
_HIGHEST = 1.0 - 10.0**-_SUREST
_CHUNK = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class RankOf:
    """Where one disease stands in a differential; for evaluation.

    Attributes:
        rank: 1-based; a tie counts as the mean of its ranks.
        posttest: Posttest probability of the disease, 0..1.
        top1: CURIE of the disease ranked first.
        top1_posttest: Its posttest probability.
    """

    rank: float
    posttest: float
    top1: str
    top1_posttest: float


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """A case scored against every disease, cut to the best; small enough to pass between processes."""

    case: Case
    columns: tuple[int, ...]
    ranks: tuple[int, ...]
    log10_odds: tuple[float, ...]
    red_flags: tuple[RedFlag, ...] = ()
    scores: tuple[Score, ...] = ()
    triage: Triage | None = None


class Engine:
    """A knowledge graph with reasoner, rules and readers.

    Made by `load_engine`; immutable, so `with_ontology` gives a new one.
    """

    def __init__(
        self,
        graph: KnowledgeGraph,
        *,
        config: EngineConfig | None = None,
        rules: RuleSet | None = None,
        overlays: tuple[Ontology, ...] = (),
    ) -> None:
        self.graph = graph
        self.config = config or EngineConfig()
        self.rules = rules if rules is not None else RuleSet.default().with_rules(list(graph.rules))
        self._overlays = overlays
        self._told: deque[tuple[Mapping[str, Sequence[Evidence]], Any, Any]] = deque(maxlen=8)

    @cached_property
    def index(self) -> LikelihoodIndex:
        """The compiled frequencies."""
        return LikelihoodIndex.load(self.graph, self.config.likelihood)

    @cached_property
    def methods(self) -> Methods:
        """How each finding is found, and what that costs."""
        return Methods(self.graph)

    @cached_property
    def _triage(self) -> TriageTable:
        return TriageTable(self.graph, self.index.diseases)

    @cached_property
    def text_reader(self) -> TextReader:
        """The reader of free text over this graph."""
        from kgmed.text import TextReader

        return TextReader(self.graph, similar=self.config.similar)

    def __repr__(self) -> str:
        return f"<Engine over {self.graph!r}, {len(self.rules)} rules>"

    def with_ontology(self, ontology: Ontology) -> Engine:
        """A new engine that also knows `ontology`: its terms and names, edges, mappings and rules.

        Terms of the same CURIE are overridden, edges of the same subject,
        predicate and object replaced.

        Raises:
            InputError: If the result has an `is_a` circle.
            ConfigError: If a rule is malformed.
        """
        return Engine(
            self.graph.with_ontology(ontology),
            config=self.config,
            rules=self.rules.with_rules(ontology.rules),
            overlays=(*self._overlays, ontology),
        )

    # ------------------------------------------------------------ record to case

    def read(self, source: Any, format: str | None = None) -> Record:
        """Read one record from anything that `kgmed.read_record` takes."""
        from kgmed.intake import read_record

        return read_record(source, format=format, graph=self.graph)

    def case(self, record: Record) -> Case:
        """Read the note, turn values into findings, and check them all.

        Structured data wins over what the note says: age and sex are taken from
        the text only when the record has none.
        """
        from kgmed.check import check

        if record.text:
            reading = self.text_reader.read(record.text, record_id=record.id)
            record = replace(
                record,
                findings=record.findings + reading.findings,
                diseases=record.diseases + reading.diseases,
                measurements=record.measurements + reading.measurements,
                issues=record.issues + reading.issues,
                age_days=record.age_days if record.age_days is not None else reading.age_days,
                duration_days=record.duration_days
                if record.duration_days is not None
                else reading.duration_days,
                sex=reading.sex if record.sex == "UNKNOWN" and reading.sex else record.sex,
            )
        if record.measurements:
            implied, issues = self.rules.implied(record, self.graph)
            record = replace(
                record, findings=record.findings + tuple(implied), issues=record.issues + tuple(issues)
            )
        return check(record, self.graph, policy=self.config.policy)

    # ------------------------------------------------------------ case to ranking

    def diagnose(
        self, source: Any, *, top: int = 10, format: str | None = None, setting: Setting | None = None
    ) -> Ranking:
        """Rank the diseases of the graph for one patient.

        Args:
            source: A `Record`, dict, phenopacket, FHIR bundle (dict, JSON or file
                path) or plain text.
            top: How many diagnoses to return.
            format: Name of the format when it should not be detected.
            setting: Where the patient is seen (`primary`, `emergency`, `hospital`,
                `rare_disease`, or "" for unknown), in place of what the record says. It
                decides how common each disease is before any finding.

        Returns:
            The differential. A record without a single usable finding gives no
            diagnoses and an `empty-record` issue, not a guess.

        Raises:
            InputError: If the record cannot be read.
        """
        record = self.read(source, format)
        if setting is not None:
            record = replace(record, setting=setting)
        return self._ranking(self._score(self.case(record), top))

    def scores(
        self, case: Case, rule_evidence: Mapping[str, Sequence[Evidence]] | None = None
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """log10 of the unnormalised posttest weight of every disease of `index`, shape (n_diseases,)."""
        pretest = self.index.population.log10_pretest(case.record) * self.config.likelihood.prevalence
        weights: np.ndarray[Any, np.dtype[np.float64]] = pretest + self.index.log10_lr(
            case
        ) * self.index.temperature(case)
        if rule_evidence:
            # Whole, whatever the number of findings: a rule is no finding that others overlap with.
            # Divided here, so that they are whole once `sureness` has been multiplied in.
            columns, ratios = self._rule_ratios(rule_evidence)
            weights[columns] += ratios / self.index.sureness(case)
        return weights

    def _rule_ratios(self, evidence: Mapping[str, Sequence[Evidence]]) -> tuple[Any, Any]:
        """Columns, and what the calibrated rules add to each.

        The rules hand out the same mapping of hundreds of exclusions for every
        patient of a sex, so the last few are remembered, by identity.
        """
        for known, columns, ratios in self._told:
            if known is evidence:
                return columns, ratios
        told = [
            (self.columns[disease], math.fsum(e.log10_lr for e in lines if e.calibrated))
            for disease, lines in evidence.items()
            if disease in self.columns
        ]
        columns = np.asarray([column for column, _ in told], dtype=np.intp)
        ratios = np.asarray([ratio for _, ratio in told], dtype=np.float64)
        self._told.append((evidence, columns, ratios))
        return columns, ratios

    @cached_property
    def columns(self) -> dict[str, int]:
        """Disease CURIE -> its column in the index."""
        return {self.graph.curie(int(node)): column for column, node in enumerate(self.index.diseases)}

    @cached_property
    def diseases(self) -> tuple[str, ...]:
        """Disease CURIE of each column."""
        return tuple(self.columns)

    def _score(self, case: Case, top: int) -> _Scored:
        told = self.rules.apply(case, self.graph)
        common: dict[str, Any] = {
            "case": case,
            "red_flags": tuple(told.red_flags),
            "scores": tuple(told.scores),
        }
        if not case.findings or not len(self.index):
            return _Scored(columns=(), ranks=(), log10_odds=(), **common)
        weights = self.scores(case, told.evidence)
        k = min(top, len(weights))
        if k <= 0:
            return _Scored(columns=(), ranks=(), log10_odds=(), **common)
        threshold = np.partition(weights, len(weights) - k)[len(weights) - k]
        candidates = np.flatnonzero(weights >= threshold - _TIE)
        # Ties keep the order of the CURIEs, so the answer never depends on chance.
        order = candidates[np.argsort(-np.round(weights[candidates] / _TIE), kind="stable")][:k].tolist()
        ordered = weights[order].tolist()
        ranks: list[int] = []
        for position, weight in enumerate(ordered):
            tied = position > 0 and ordered[position - 1] - weight <= _TIE
            ranks.append(ranks[-1] if tied else position + 1)
        weights = weights * self.index.sureness(case)
        odds = _log10_odds_among(weights, order)
        share = np.power(10.0, np.maximum(weights - weights.max(), -30.0))
        triage = self._triage.triage(share / share.sum(), self.diseases, common["red_flags"])
        return _Scored(
            columns=tuple(order), ranks=tuple(ranks), log10_odds=tuple(odds), triage=triage, **common
        )

    def _ranking(self, scored: _Scored) -> Ranking:
        asker = _Asker(self, scored.case)
        log10_pretest = self.index.population.log10_pretest(scored.case.record)

        def diagnosis(column: int, rank: int, odds: float) -> Diagnosis:
            disease = self.diseases[column]
            pretest = min(_HIGHEST, 10.0 ** float(log10_pretest[column]))
            return Diagnosis(
                disease=disease,
                name=self.graph.name(disease),
                rank=rank,
                pretest_probability=pretest,
                posttest_probability=posttest_probability(0.5, odds),
                mappings=self.graph.mappings(disease),
                explain=lambda: self._explain(scored.case, column, pretest, odds, asker),
            )

        return Ranking(
            diagnoses=tuple(map(diagnosis, scored.columns, scored.ranks, scored.log10_odds)),
            case=scored.case,
            red_flags=scored.red_flags,
            scores=scored.scores,
            triage=scored.triage,
            provenance=self.provenance,
            considered=len(self.index),
            names=self.graph.name,
            combine=lambda: self._together(scored.case),
        )

    def _together(self, case: Case) -> tuple[Together, ...]:
        if not case.findings or not len(self.index):
            return ()
        weights = self.scores(case, self.rules.apply(case, self.graph).evidence)
        likeliest = np.argsort(-weights, kind="stable")[:50].tolist()
        kin = {
            frozenset((a, b))
            for a in likeliest
            for b in likeliest
            if a != b and self.diseases[b] in self.graph.ancestors(self.diseases[a])
        }
        return tuple(
            Together(
                diseases=(self.diseases[a], self.diseases[b]),
                names=(self.graph.name(self.diseases[a]), self.graph.name(self.diseases[b])),
                times_likelier=10.0**gain,
                explains=(of_a, of_b),
            )
            for a, b, gain, of_a, of_b in best_pairs(self.index, case, weights, kin, _PAIRS)
        )

    def _explain(self, case: Case, column: int, pretest: float, odds: float, asker: _Asker) -> Explanation:
        disease = self.diseases[column]
        profile = Profile(self.index, disease)
        evidence = [*profile.evidence(case), *asker.rule_evidence.get(disease, ())]
        moved = math.fsum(e.log10_lr for e in evidence if e.calibrated)
        evidence.append(
            Evidence(
                disease=disease,
                match="alternatives",
                # What is left between the two ends: the other diseases explain the
                # findings too, and findings of one patient depend on one another.
                log10_lr=odds - log10_odds(pretest) - moved,
                note=(
                    "what other diseases explain as well, and the overlap among the "
                    f"{len(case.present)} present findings"
                ),
            )
        )
        evidence.sort(key=lambda e: (-abs(e.log10_lr), e.finding.term if e.finding else e.match))
        return Explanation(
            evidence=tuple(evidence),
            unexplained=tuple(
                e.finding
                for e in evidence
                if e.finding is not None
                and not e.finding.excluded
                and e.match in ("none", "excluded_in_disease")
            ),
            worth_asking=asker.questions(disease),
        )

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, releases, checksums and settings: enough to run it again."""
        from kgmed import __version__

        return {
            "kgmed": __version__,
            "graph": {
                "checksum": self.graph.checksum,
                "overlays": len(self._overlays),
                "sources": [
                    {"id": s.id, "title": s.title, "release": s.release, "licence": s.licence}
                    for s in self.graph.sources.values()
                ],
            },
            "rules": len(self.rules),
            "config": self.config.to_dict(),
            "seed": None,  # nothing is drawn by chance
        }

    # ------------------------------------------------------------ asking on

    def ask(
        self,
        source: Any,
        n: int = 5,
        *,
        methods: Collection[str] = (),
        skip: Collection[str] = (),
        among: Collection[str] = (),
        grouped: Mapping[str, str] | None = None,
        diseases: Collection[str] = (),
        format: str | None = None,
    ) -> tuple[Question, ...]:
        """What to ask or test next.

        Args:
            source: As for `diagnose`; a `Case` is taken as it is.
            n: How many questions.
            methods: Only findings found so: `history`, `exam`, `lab`, `imaging`, `test`; all when empty.
            skip: CURIEs of findings that nobody can tell, so they are not asked again.
            among: Only these findings, for a fixed questionnaire; all when empty.
            grouped: Finding -> the question that asks for it, where one question asks for several
                ("where does it hurt?"): such a question counts with the gains of all its findings
                together, and stands in the result with the finding that tells most.
            diseases: Only to tell these diseases apart; all when empty.
            format: Name of the format when it should not be detected.

        Returns:
            Findings by expected information gain over the likeliest diseases divided by
            the cost of finding out, best first; none when the record holds no finding.

        Raises:
            InputError: If the record cannot be read, or a method is unknown.
        """
        if unknown := sorted(set(methods) - set(COST)):
            raise InputError(f"unknown method {', '.join(unknown)}; known: {', '.join(COST)}")
        case = source if isinstance(source, Case) else self.case(self.read(source, format))
        if not case.findings or not len(self.index):
            return ()
        columns = [c for d in diseases if (c := self.columns.get(self.graph.resolve(d) or d)) is not None]
        return _Asker(self, case, columns).best(n, methods, skip, among, grouped or {})

    # ------------------------------------------------------------ evaluation

    def rank_of(
        self, record: Record, disease: str, *, without_references: Collection[str] = frozenset()
    ) -> RankOf:
        """Rank of one disease, for an evaluation against a known answer.

        Args:
            record: The patient.
            disease: CURIE of the answer, or one that maps to it.
            without_references: Annotations of that disease that rest on these
                publications alone, or on none that is named, are left out. A
                disease that has none left is ranked last.

        Raises:
            UnknownTermError: If the graph has no annotated disease of that CURIE.
        """
        column = self.columns.get(self.graph.resolve(disease) or disease)
        if column is None:
            raise UnknownTermError(disease)
        case = self.case(record)
        told = self.rules.apply(case, self.graph)
        weights = self.scores(case, told.evidence)
        if without_references:
            name = self.diseases[column]
            profile = Profile(self.index, name, without_references=without_references)
            if not profile.frequency and not profile.negative:
                weights[column] = -np.inf
            else:
                lr = math.fsum(e.log10_lr for e in profile.evidence(case))
                rules = math.fsum(e.log10_lr for e in told.evidence.get(name, ()) if e.calibrated)
                pretest = profile.log10_pretest(case) * self.config.likelihood.prevalence
                lr *= self.index.temperature(case)
                weights[column] = pretest + lr + rules / self.index.sureness(case)
        own = weights[column]
        others = np.delete(weights, column)
        rank = float((others > own + _TIE).sum() + 1 + (np.abs(others - own) <= _TIE).sum() / 2)
        if own == -np.inf:
            rank = float(len(weights))
        first = int(np.argmax(weights))
        sure = weights * self.index.sureness(case)
        first_odds, own_odds = _log10_odds_among(sure, [first, column])
        return RankOf(
            rank=rank,
            posttest=posttest_probability(0.5, own_odds) if own > -np.inf else 0.0,
            top1=self.diseases[first],
            top1_posttest=posttest_probability(0.5, first_odds),
        )

    # ------------------------------------------------------------ batch

    def diagnose_many(
        self, source: Any, *, top: int = 10, format: str | None = None, workers: int | None = None
    ) -> Iterator[Ranking | Failure]:
        """Diagnose records one after another; order kept, memory bounded, one bad record not fatal.

        Args:
            source: An iterable of anything that `diagnose` takes, a data frame, or
                a file of many records (CSV, JSON lines).
            top: How many diagnoses to return for each.
            format: Name of the format when it should not be detected.
            workers: Processes; None uses every core once the batch is longer than
                64 records, 1 stays in this process.

        Yields:
            A `Ranking`, or a `Failure` in the place of a record that cannot be used.
        """
        import os

        from kgmed.intake import iter_records

        records = enumerate(iter_records(source, format=format, graph=self.graph))
        workers = workers if workers is not None else os.cpu_count() or 1
        first = records if workers == 1 else itertools.islice(records, _SERIAL)
        for index, record in first:
            yield self._restore(self._attempt(index, record, top))
        if workers > 1 and (ahead := next(records, None)) is not None:
            yield from self._parallel(itertools.chain([ahead], records), top, workers)

    def _attempt(self, index: int, record: Record | KgmedError, top: int) -> _Scored | Failure:
        try:
            if isinstance(record, KgmedError):
                raise record
            return self._score(self.case(record), top)
        except KgmedError as error:
            record_id = record.id if isinstance(record, Record) else getattr(error, "record_id", "")
            return Failure(index=index, record_id=record_id, error=type(error).__name__, message=str(error))

    def _restore(self, result: _Scored | Failure) -> Ranking | Failure:
        return result if isinstance(result, Failure) else self._ranking(result)

    def _parallel(
        self, records: Iterable[tuple[int, Any]], top: int, workers: int
    ) -> Iterator[Ranking | Failure]:
        from loky import get_reusable_executor

        # loky starts clean processes without importing the caller's script again,
        # so a batch works from a script without a main guard.
        executor = get_reusable_executor(
            max_workers=workers, initializer=_start_worker, initargs=(self.config, self._overlays)
        )
        iterator = iter(records)
        waiting: deque[Any] = deque()
        while chunk := list(itertools.islice(iterator, _CHUNK)):
            waiting.append(executor.submit(_work, chunk, top))
            if len(waiting) >= 2 * workers:
                yield from map(self._restore, waiting.popleft().result())
        while waiting:
            yield from map(self._restore, waiting.popleft().result())


class _Asker:
    """What to ask next, worked out once for a ranking."""

    def __init__(self, engine: Engine, case: Case, columns: Sequence[int] = ()) -> None:
        self._engine = engine
        self._case = case
        self._columns = np.asarray(sorted(columns), dtype=np.intp)

    @cached_property
    def rule_evidence(self) -> Mapping[str, Sequence[Evidence]]:
        """What the rules say for or against each disease."""
        return self._engine.rules.apply(self._case, self._engine.graph).evidence

    @cached_property
    def _likeliest(self) -> tuple[Any, Any]:
        """Columns of the differential that questions are chosen over, and their probabilities."""
        index = self._engine.index
        weights = self._engine.scores(self._case, self.rule_evidence)
        if len(self._columns):
            order = self._columns[np.argsort(-weights[self._columns], kind="stable")]
        else:
            order = np.argsort(-weights, kind="stable")
        likeliest = order[:_ASK_OVER].astype(np.int32)
        share = np.power(10.0, (weights[likeliest] - weights[likeliest].max()) * index.sureness(self._case))
        return likeliest, share / share.sum()

    @cached_property
    def _gains(self) -> dict[int, tuple[float, float, int]]:
        """Finding row -> (information gain in bits, chance that it is present, column it speaks for)."""
        index = self._engine.index
        likeliest, share = self._likeliest
        known: set[int] = set()
        for finding in self._case.findings:
            if (row := index.row(finding.term)) is not None:
                # Whatever lies above a present finding is known; so is an excluded one.
                known.update(index.ancestors(row).tolist() if not finding.excluded else [row])
        rows = [row for row in index.annotated_rows(likeliest).tolist() if row not in known]
        if not rows:
            return {}
        table = np.stack([index.frequencies(row, likeliest) for row in rows], axis=1).astype(np.float64)
        gain, chance = gains(share, table)
        strongest = likeliest[np.argmax(share[:, None] * table, axis=0)]
        return {
            row: (float(g), float(c), int(d))
            for row, g, c, d in zip(rows, gain, chance, strongest, strict=True)
        }

    def _question(self, row: int, p_if_disease: float, disease: str) -> Question:
        graph, index, methods = self._engine.graph, self._engine.index, self._engine.methods
        curie = graph.curie(int(index.terms[row]))
        return Question(
            term=curie,
            name=graph.name(curie),
            information_gain=self._gains[row][0],
            p_if_disease=p_if_disease,
            p_overall=self._gains[row][1],
            found_by=methods[curie],
            cost=methods.cost(curie),
            disease=disease,
        )

    def questions(self, disease: str) -> tuple[Question, ...]:
        """The findings of a disease whose answer would tell most."""
        profile = Profile(self._engine.index, disease)
        candidates = [
            self._question(row, profile.anywhere[row][0], disease)
            for row in profile.frequency
            if row in self._gains
        ]
        candidates.sort(key=lambda q: (-q.information_gain, q.term))
        return tuple(candidates[:_QUESTIONS])

    def best(
        self,
        n: int,
        methods: Collection[str],
        skip: Collection[str],
        among: Collection[str],
        grouped: Mapping[str, str],
    ) -> tuple[Question, ...]:
        """The questions that tell most for their cost over the whole differential."""
        index, engine = self._engine.index, self._engine
        groups: dict[str, list[tuple[float, Question]]] = {}
        for row, (gain, _, column) in self._gains.items():
            curie = engine.graph.curie(int(index.terms[row]))
            if curie in skip or (among and curie not in among) or not allowed(engine.methods, curie, methods):
                continue
            p = float(index.frequencies(row, np.asarray([column], dtype=np.int32))[0])
            question = self._question(row, p, engine.diseases[column])
            groups.setdefault(grouped.get(curie, curie), []).append((gain, question))
        # The findings of one question are taken to tell of different things: their gains add up.
        ranked = []
        for members in groups.values():
            question = min((q for _, q in members), key=lambda q: (-q.information_gain / q.cost, q.term))
            ranked.append(replace(question, information_gain=math.fsum(gain for gain, _ in members)))
        ranked.sort(key=lambda q: (-q.information_gain / q.cost, q.term))
        return tuple(ranked[:n])


def _log10_odds_among(weights: np.ndarray[Any, Any], columns: Iterable[int]) -> list[float]:
    """log10 odds of some diseases against all others, from log10 weights, shape (n_diseases,)."""
    highest = float(weights.max())
    # Single precision is a tenth of the time, and a ten-millionth of an odds is nothing.
    linear = np.exp(((weights - highest) * math.log(10.0)).astype(np.float32))
    total = float(linear.sum(dtype=np.float64))
    odds = []
    for column in columns:
        own = float(weights[column]) - highest
        others = total - 10.0**own
        if others < 0.5 * total:
            # total - own has lost its digits: the others are added up without it.
            kept, linear[column] = linear[column], 0.0
            others = float(linear.sum(dtype=np.float64))
            linear[column] = kept
        if others > 0.0:
            odds.append(min(_SUREST, own - math.log10(others)))
        elif len(weights) > 1:  # below single precision: the strongest rival stands for all
            odds.append(min(_SUREST, float(weights[column]) - float(np.delete(weights, column).max())))
        else:  # the only disease of its graph has no other to be held against
            odds.append(_SUREST)
    return odds


# ---------------------------------------------------------------- module level

_default: Engine | None = None
_worker: Engine | None = None


def load_engine(config: EngineConfig | str | FilePath | None = None) -> Engine:
    """An engine over the graph that ships with kgmed, or the one that a TOML file names.

    Raises:
        ConfigError: If the file is malformed.
        GraphFileError: If the graph is missing or damaged.
    """
    if config is None:
        config = EngineConfig()
    elif not isinstance(config, EngineConfig):
        config = EngineConfig.load(config)
    folder = FilePath(config.graph) if config.graph else ontologies_folder() / "default"
    graph = KnowledgeGraph.load(folder)
    rules = None
    if config.rules:
        rules = load_rules(ontologies_folder() / "rules", *config.rules).with_rules(list(graph.rules))
    return Engine(graph, config=config, rules=rules)


def _default_engine() -> Engine:
    global _default
    if _default is None:
        _default = load_engine()
    return _default


def diagnose(
    source: Any,
    *,
    engine: Engine | None = None,
    top: int = 10,
    format: str | None = None,
    setting: Setting | None = None,
) -> Ranking:
    """Rank the diseases that explain one patient; see `Engine.diagnose`.

    With no engine named, the one over the graph that ships with kgmed is used.

    >>> import kgmed
    >>> ranking = kgmed.diagnose({"present": ["HP:0001083", "HP:0002616", "HP:0001166"], "sex": "MALE"})
    >>> ranking[0].name
    'Marfan syndrome'
    """
    return (engine or _default_engine()).diagnose(source, top=top, format=format, setting=setting)


def ask(
    source: Any,
    n: int = 5,
    *,
    engine: Engine | None = None,
    methods: Collection[str] = (),
    skip: Collection[str] = (),
    among: Collection[str] = (),
    grouped: Mapping[str, str] | None = None,
    diseases: Collection[str] = (),
    format: str | None = None,
) -> tuple[Question, ...]:
    """What to ask or test next; see `Engine.ask`."""
    return (engine or _default_engine()).ask(
        source, n, methods=methods, skip=skip, among=among, grouped=grouped, diseases=diseases, format=format
    )


def diagnose_many(
    source: Any,
    *,
    engine: Engine | None = None,
    top: int = 10,
    format: str | None = None,
    workers: int | None = None,
) -> Iterator[Ranking | Failure]:
    """Diagnose many records; see `Engine.diagnose_many`."""
    return (engine or _default_engine()).diagnose_many(source, top=top, format=format, workers=workers)


def _start_worker(config: EngineConfig, overlays: tuple[Ontology, ...]) -> None:
    global _worker
    _worker = load_engine(config)
    for overlay in overlays:
        _worker = _worker.with_ontology(overlay)


def _work(chunk: list[tuple[int, Any]], top: int) -> list[_Scored | Failure]:
    assert _worker is not None
    return [_worker._attempt(index, record, top) for index, record in chunk]
