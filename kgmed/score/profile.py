"""One disease: frequencies, and the evidence for and against it with its reasons."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import cached_property

from kgmed.curated.card import TEMPOS
from kgmed.curated.compile import CONSTANTS
from kgmed.graph import HAS_PHENOTYPE, HAS_RISK_FACTOR, Path
from kgmed.ontology import Edge
from kgmed.record import Case, Finding
from kgmed.result import Evidence, Match
from kgmed.score.frequency import MAX_FREQUENCY, MAX_NEGATIVE, counted, smoothed
from kgmed.score.likelihood import X_LINKED_RECESSIVE, LikelihoodIndex
from kgmed.score.onset import ONSET_STAGES, STAGE_OF_TERM, stage_distribution, stage_of_case
from kgmed.score.population import tempo_of_days

__all__ = ["Profile"]

# Of what a note leaves out so many are named, those that speak most against a disease first.
_SHOWN = 3


class Profile:
    """What is known of one disease: frequencies, and the edges that they rest on.

    Args:
        index: Compiled index, for background frequencies and the hierarchy.
        disease: CURIE.
        without_references: Edges whose only reference is one of these are left
            out, as are edges of sources that give no reference; curated knowledge stays. An evaluation uses
            it to take away the publication that a patient is from.
    """

    def __init__(
        self, index: LikelihoodIndex, disease: str, without_references: Collection[str] = ()
    ) -> None:
        self.index = index
        self.disease = disease
        graph, config = index.graph, index.config
        left_out = frozenset(without_references)

        def kept(edge: Edge) -> bool:
            curated = edge.evidence == "curated" and not edge.references
            return not left_out or curated or not left_out.issuperset(edge.references)

        # term row -> its edges; the counts of all edges of a term are added up
        edges: dict[int, list[Edge]] = {}
        for edge in (*graph.edges(disease, HAS_PHENOTYPE), *graph.edges(disease, HAS_RISK_FACTOR)):
            term = graph.resolve(edge.object)
            row = index.row(term) if term is not None else None
            if row is not None and kept(edge):
                edges.setdefault(row, []).append(edge)
        self.frequency: dict[int, float] = {}
        self.negative: dict[int, float] = {}
        self.edges = edges
        for row, rows_edges in edges.items():
            counts = [counted(edge, config) for edge in rows_edges]
            k, n = math.fsum(c[0] for c in counts), math.fsum(c[1] for c in counts)
            p = smoothed(k, n, config)
            if k > 0:
                self.frequency[row] = min(p, MAX_FREQUENCY)
            else:
                self.negative[row] = min(p, MAX_NEGATIVE)
        self.onset_edges = [
            e for e in graph.edges(disease, "has_onset") if e.object in STAGE_OF_TERM and kept(e)
        ]
        node = graph.node_id(disease)
        self.curated = node in index.column_of and bool(index.population.curated[index.column_of[node]])
        self.publications = len({e.references for rows_edges in edges.values() for e in rows_edges})

    @cached_property
    def anywhere(self) -> dict[int, tuple[float, int]]:
        """Finding row -> (frequency of it or anything below it, row of the annotation)."""
        out: dict[int, tuple[float, int]] = {}
        for row, p in sorted(self.frequency.items()):
            for ancestor in self.index.ancestors(row).tolist():
                # The term itself wins a tie against what is below it.
                if ancestor not in out or p > out[ancestor][0] or (p == out[ancestor][0] and row == ancestor):
                    out[ancestor] = p, row
        return out

    def present(self, finding: Finding) -> Evidence:
        """The evidence of a present finding."""
        index, config = self.index, self.index.config
        row = index.row(finding.term)
        assert row is not None
        background = float(index.background[row])
        best: tuple[float, Match, int, int] = (background, "none", -1, -1)
        if row in self.negative and row not in self.anywhere:
            p = min(self.negative[row], background)
            best = (p, "excluded_in_disease", row, row)
        else:
            for ancestor in index.ancestors(row).tolist():
                if ancestor not in self.anywhere:
                    continue
                p_above, annotated = self.anywhere[ancestor]
                if ancestor == row:
                    candidate: tuple[float, Match, int, int] = (
                        p_above,
                        "exact" if annotated == row else "more_general",
                        annotated,
                        row,
                    )
                    if candidate[0] > best[0]:
                        best = candidate
                    continue
                share = background / float(index.background[ancestor])
                p = p_above * share * 10.0**-config.related_penalty
                if p > best[0]:
                    best = (p, "related", annotated, ancestor)
                if ancestor in self.frequency:
                    p = self.frequency[ancestor] * share * 10.0**-config.specific_penalty
                    if p > best[0]:
                        best = (p, "more_specific", ancestor, ancestor)
        p, match, annotated, common = best
        return Evidence(
            finding=finding,
            disease=self.disease,
            match=match,
            matched_term=self._curie(annotated) if annotated >= 0 else "",
            p_if_disease=p,
            p_if_not=background,
            log10_lr=math.log10(p / background),
            path=self._path(finding.term, common, annotated) if annotated >= 0 else Path(),
            note=self._note(annotated),
        )

    def excluded(self, finding: Finding) -> Evidence:
        """The evidence of an excluded finding."""
        index = self.index
        row = index.row(finding.term)
        assert row is not None
        p_absent = 1.0 - float(index.background[row])
        p, match, annotated = p_absent, "none", -1
        if row in self.anywhere:
            p_present, annotated = self.anywhere[row]
            match = "exact" if annotated == row else "more_general"
            looked_for = 0.0 if self.curated else index.config.looked_for
            p = min(p_absent, (1.0 - p_present) * 10.0**looked_for)
        elif row in self.negative:
            match, annotated = "excluded_in_disease", row
        return Evidence(
            finding=finding,
            disease=self.disease,
            match=match,  # type: ignore[arg-type]
            matched_term=self._curie(annotated) if annotated >= 0 else "",
            p_if_disease=p,
            p_if_not=p_absent,
            log10_lr=math.log10(p / p_absent),
            path=self._path(finding.term, row, annotated) if annotated >= 0 else Path(),
            note=self._note(annotated),
        )

    def age(self, case: Case) -> Evidence | None:
        """The evidence of the age of onset, or of the age now."""
        age = stage_of_case(case)
        if age is None or not self.onset_edges or self.curated:
            return None
        stage, is_onset = age
        overall = self.index.onset_overall
        distribution = stage_distribution(self.onset_edges, overall, self.index.config)
        stages = slice(stage, stage + 1) if is_onset else slice(0, stage + 1)
        p, p_overall = float(distribution[stages].sum()), float(overall[stages].sum())
        stated = {i for e in self.onset_edges for i in STAGE_OF_TERM.get(e.object, ())}
        names = ", ".join(ONSET_STAGES[i][0] for i in sorted(stated))
        when = ONSET_STAGES[stage][0]
        return Evidence(
            disease=self.disease,
            match="age",
            p_if_disease=p,
            p_if_not=p_overall,
            log10_lr=math.log10(p / p_overall),
            path=Path(((self.onset_edges[0], False),)),
            note=f"{'onset' if is_onset else 'age now'} {when}; onset of the disease {names}",
        )

    def sex(self, case: Case) -> Evidence | None:
        """The evidence of the sex, for X-linked recessive diseases."""
        ratios = self.index.sex_ratios(case.record.sex)
        column = self.index.column_of.get(self.index.graph.node_id(self.disease))
        if ratios is None or column is None or not self.index.x_linked[column]:
            return None
        edge = next(e for e in self.index.graph.edges(self.disease, "has_inheritance", X_LINKED_RECESSIVE))
        return Evidence(
            disease=self.disease,
            match="sex",
            p_if_disease=ratios[0],
            p_if_not=ratios[1],
            log10_lr=ratios[2],
            path=Path(((edge, False),)),
            note="X-linked recessive inheritance",
        )

    def tempo(self, case: Case) -> Evidence | None:
        """The evidence of the time since the first symptom, for curated diseases."""
        days = case.record.duration_days
        column = self.index.column_of.get(self.index.graph.node_id(self.disease))
        if days is None or column is None or not self.curated:
            return None
        tempo = tempo_of_days(days)
        edges = list(self.index.graph.edges(self.disease, "presents_after"))
        wanted = CONSTANTS["tempo", TEMPOS[tempo]]
        edge = next((e for e in edges if e.object == wanted), edges[0] if edges else None)
        if edge is None:
            return None
        log10_lr = float(self.index.population.tempo[column, tempo]) * self.index.config.tempo_weight
        share = (edge.frequency or 0.0) if edge.object == wanted else 0.0
        return Evidence(
            disease=self.disease,
            match="tempo",
            p_if_disease=share,
            log10_lr=log10_lr,
            path=Path(((edge, False),)),
            note=f"sought care after {TEMPOS[tempo]}, as {share:.0%} of the patients do",
        )

    def left_out(self, case: Case) -> Evidence | None:
        """The evidence of what a note says nothing of."""
        sums = self.index.left_out(case)
        column = self.index.column_of.get(self.index.graph.node_id(self.disease))
        if sums is None or column is None or sums[column] == 0.0:
            return None
        told = set(self.index.told_rows(case).tolist())
        weighed = self.index.expected(column)
        missing = sorted((value, row) for row, value in weighed.items() if row not in told)[:_SHOWN]
        names = ", ".join(
            f"{self.index.graph.name(self._curie(row))} ({self.frequency.get(row, 0.0):.0%})"
            for _, row in missing
        )
        edges = [self.edges[row][0] for _, row in missing if row in self.edges]
        return Evidence(
            disease=self.disease,
            match="left_out",
            p_if_disease=10.0 ** float(sums[column]),
            p_if_not=1.0,
            log10_lr=float(sums[column]),
            path=Path(((edges[0], False),)) if edges else Path(),
            note=f"the note says nothing of {names}"
            if names
            else "as much as diseases with a card on average",
        )

    def evidence(self, case: Case) -> list[Evidence]:
        """All evidence of a case, in the order of its findings."""
        out = [
            self.excluded(f) if f.excluded else self.present(f)
            for f in case.findings
            if self.index.row(f.term) is not None
        ]
        others = (self.age(case), self.sex(case), self.tempo(case), self.left_out(case))
        out += [e for e in others if e is not None]
        return out

    def log10_pretest(self, case: Case) -> float:
        """log10 of the pretest weight, on the scale of `Population.log10_pretest`."""
        column = self.index.column_of[self.index.graph.node_id(self.disease)]
        pretest = float(self.index.population.log10_pretest(case.record)[column])
        if self.index.population.curated[column]:
            return pretest
        whole = len({e.references for e in self.index.graph.edges(self.disease, HAS_PHENOTYPE)})
        lost = self.index.config.attention * math.log10(max(self.publications, 1) / max(whole, 1))
        return pretest + lost

    # ------------------------------------------------------------ reasons

    def _curie(self, row: int) -> str:
        return self.index.graph.curie(int(self.index.terms[row]))

    def _path(self, finding: str, common: int, annotated: int) -> Path:
        """Up from the finding to the common term, down to the annotation, over to the disease."""
        graph = self.index.graph
        up = graph.is_a_path(finding, self._curie(common))
        down = graph.is_a_path(self._curie(annotated), self._curie(common))
        # The edge that speaks for most patients stands for its siblings; the note counts them.
        edge = max(
            self.edges[annotated],
            key=lambda e: (e.denominator or 0, e.frequency or 0.0, e.references, e.asserted_for),
        )
        back = tuple((e, not forward) for e, forward in reversed(down.steps))
        return Path((*up.steps, *back, (edge, False)))

    def _note(self, annotated: int) -> str:
        if annotated < 0:
            return ""
        edges = self.edges[annotated]
        counted = [e for e in edges if e.denominator]
        parts = []
        if counted:
            k, n = sum(e.numerator or 0 for e in counted), sum(e.denominator or 0 for e in counted)
            parts.append(f"{k} of {n} patients")
        parts += sorted({self.index.graph.name(e.frequency_term).lower() for e in edges if e.frequency_term})
        parts += sorted(
            {
                f"{e.frequency:.0%}"
                for e in edges
                if e.frequency is not None and not (e.denominator or e.frequency_term)
            }
        )
        if any(e.negated for e in edges):
            parts.append("stated as absent")
        references = len({r for e in edges for r in e.references})
        told = ", ".join(parts) or "frequency not stated"
        return f"{told} ({references} reference{'s' if references != 1 else ''})" if references else told
