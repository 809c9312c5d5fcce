"""Rank diagnoses for the vignettes of a clinic: free text, board questions, and structured patients.

    python benchmarks/vignettes.py --data DIR [--split test] [--no-peers] [--json out.json]

DIR holds `vignettes.jsonl.gz` (one vignette a line: `id`, `source`, `text`, `gold`, `triage`,
`split`) and `ddxplus.jsonl.gz` (structured patients). What is measured, and how, is in
`benchmarks/README.md`. A gold name is resolved to a disease by its name, its synonyms and
`vignette_golds.tsv`, an explicit table of equivalences that `--golds` prints.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"

import argparse
import csv
import gzip
import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from report import Report

import kgmed
import kgmed.config
import kgmed.resources
from kgmed.curated import simulated_table
from kgmed.curated.names import Names
from kgmed.curated.vocabulary import read_list
from kgmed.graph import write_atomically

DEFAULT = "default"
KS = (1, 3, 5, 10)
GOLDS = Path(__file__).parent / "vignette_golds.tsv"
NO_DISEASE = "no disease"
# The sets, by the prefix of `source`.
SETS = {"avey400": "avey400", "semigran45": "semigran45", "craftmd": "craftmd"}


@dataclass(frozen=True)
class Gold:
    """What a gold name stands for: CURIEs of the same concept, and those one step away."""

    concepts: frozenset[str]
    near: frozenset[str]
    how: str


@dataclass
class Vignette:
    """One case, and what kgmed makes of it."""

    id: str
    set: str
    text: str
    gold_name: str
    gold: Gold | None  # None: the name is no disease, or nothing that is known
    triage: str
    order: list[str] = field(default_factory=list)  # diseases, best first
    ranking: Any = None


class GoldNames:
    """Resolves gold names to diseases of the graph."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.names = Names()
        for term in graph.terms("disease"):
            if not term.obsolete:
                self.names.add(term.name, term.curie, 0)
        known = {t.curie for t in graph.terms("disease") if not t.obsolete}
        for synonym in graph.synonyms():
            if synonym.term in known:
                self.names.add(synonym.text, synonym.term, 1 if synonym.scope == "exact" else 2)
        self.table: dict[str, tuple[str, str]] = {}
        with GOLDS.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                self.table[_plain(row["gold"])] = (row["disease"], row["why"])

    def resolve(self, gold: str) -> Gold | str:
        """The disease, or a word that says why there is none: `no disease` or `unknown`."""
        means, why = self.table.get(_plain(gold), ("", ""))
        if means == NO_DISEASE:
            return NO_DISEASE
        plain = _plain(gold)
        wanted = [part.strip() for part in means.split("|")] if means else [gold, plain]
        # "Marfan" is Marfan syndrome, where no disease has the shorter name.
        wanted += [] if means else [f"{plain} syndrome", f"{plain} disease"]
        concepts: set[str] = set()
        for name in wanted:
            concepts.update(self.names.candidates(name))
            if not means and concepts:
                break
        if not concepts:
            return "unknown"
        near: set[str] = set()
        for concept in concepts:
            near.update(self.graph.parents(concept))
            near.update(self.graph.children(concept))
        return Gold(frozenset(concepts), frozenset(near - concepts), f"table: {why}" if means else "name")


def _plain(name: str) -> str:
    """A gold name without brackets, punctuation and case."""
    name = re.sub(r"\([^)]*\)", " ", name.casefold())
    return " ".join(re.sub(r"[^\w'/+-]", " ", name).split())


def read_vignettes(folder: Path, split: str, limit: int | None, golds: GoldNames) -> list[Vignette]:
    out = []
    with gzip.open(folder / "vignettes.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            if split != "all" and case["split"] != split:
                continue
            name = next(s for p, s in SETS.items() if case["source"].startswith(p))
            gold = golds.resolve(case["gold"])
            if gold == NO_DISEASE:
                name = f"{name} (no disease)"
            out.append(
                Vignette(
                    id=case["id"],
                    set=name,
                    text=case["text"],
                    gold_name=case["gold"],
                    gold=gold if isinstance(gold, Gold) else None,
                    triage=case["triage"] or "",
                )
            )
    if limit is not None:
        keep = np.random.default_rng(20251125).permutation(len(out))[:limit]
        out = [out[i] for i in sorted(keep)]
    return out


def right(vignette: Vignette, k: int, strict: bool) -> bool:
    if vignette.gold is None:
        return False
    accepted = vignette.gold.concepts if strict else vignette.gold.concepts | vignette.gold.near
    return any(disease in accepted for disease in vignette.order[:k])


def covered(engine: Any, vignette: Vignette) -> bool:
    """Whether the graph holds the diagnosis with findings."""
    return vignette.gold is not None and any(
        d in engine.columns for d in vignette.gold.concepts | vignette.gold.near
    )


# ---------------------------------------------------------------- vignettes


def rank(engine: Any, vignettes: Sequence[Vignette]) -> list[float]:
    """Rank every vignette from its text alone; milliseconds each."""
    times = []
    for vignette in vignettes:
        start = time.perf_counter()
        ranking = engine.diagnose(vignette.text, top=DEEP)
        times.append(1000.0 * (time.perf_counter() - start))
        vignette.ranking = ranking
        vignette.order = [d.disease for d in ranking]
    return times


def accuracy(
    report: Report, engine: Any, vignettes: Sequence[Vignette], split: str, system: str
) -> list[list[object]]:
    """Add the rows of the ranking that the vignettes hold now, and return the lines of the table."""
    lines = []
    for name in sorted({v.set for v in vignettes if "no disease" not in v.set}):
        ours = [v for v in vignettes if v.set == name]
        set_ = f"{name}-{split}"
        share = statistics.fmean(covered(engine, v) for v in ours)
        report.add(set_, DEFAULT, system, "coverage", share, len(ours))
        cells: list[object] = [set_, system, len(ours), f"{share:.3f}"]
        for strict in (False, True):
            for k in KS[:3]:
                value = statistics.fmean(right(v, k, strict) for v in ours)
                report.add(set_, DEFAULT, system, f"{'strict_' if strict else ''}top{k}", value, len(ours))
                cells.append(f"{value:.3f}")
        low, high = bootstrap([right(v, 1, False) for v in ours])
        cells.append(f"[{low:.3f}, {high:.3f}]")
        lines.append(cells)
    return lines


def show_accuracy(report: Report, vignettes: Sequence[Vignette], lines: list[list[object]]) -> None:
    report.heading("Diagnosis from the text as given (misses: not covered, or ranked lower)")
    lines = sorted(lines, key=lambda cells: str(cells[0]))
    report.table(
        [
            "set",
            "system",
            "n",
            "in the graph",
            "top-1",
            "top-3",
            "top-5",
            "strict 1",
            "3",
            "5",
            "95% of top-1",
        ],
        lines,
    )
    aside = Counter(v.set for v in vignettes if "no disease" in v.set)
    print("set aside since the answer is no disease:", dict(aside) or "none")
    print(
        "anchors: Avey 400, graded leniently: GPT-4o 0.61 / 0.84 / 0.88, MedAsk 0.68 / 0.85 / 0.91 "
        "(published elsewhere); Semigran 45: 23 symptom checkers 0.34 first, physicians 0.84 in three"
    )


def bootstrap(hits: Sequence[bool], draws: int = 2000) -> tuple[float, float]:
    """95% interval of a mean, by the percentile bootstrap."""
    values = np.asarray(hits, dtype=float)
    random = np.random.default_rng(20251125)
    means = values[random.integers(0, len(values), (draws, len(values)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def triage(report: Report, vignettes: Sequence[Vignette], split: str) -> None:
    """Semigran's three levels: emergency, non-emergency, self-care."""
    levels = {"emergency": "em", "urgent": "ne", "routine": "ne", "self-care": "sc"}
    ours = [v for v in vignettes if v.triage]
    if not ours:
        return
    told = [levels[v.ranking.triage.level] if v.ranking.triage else "ne" for v in ours]
    name = f"semigran45-{split}"
    share = statistics.fmean(t == v.triage for t, v in zip(told, ours, strict=True))
    missed = [v.id for t, v in zip(told, ours, strict=True) if v.triage == "em" and t != "em"]
    report.add(name, DEFAULT, "kgmed", "triage", share, len(ours))
    report.add(name, DEFAULT, "kgmed", "emergencies_missed", len(missed), sum(v.triage == "em" for v in ours))
    report.heading("Triage")
    report.table(
        ["set", "n", "right", "emergencies missed", "sent too high"],
        [
            [
                name,
                len(ours),
                f"{share:.3f}",
                len(missed),
                sum(
                    "sc ne em".index(t) > "sc ne em".index(v.triage) for t, v in zip(told, ours, strict=True)
                ),
            ]
        ],
    )
    print("anchors: 23 symptom checkers 0.57, MedAsk 0.88, o3 0.76 (published elsewhere)")


def misses(engine: Any, vignettes: Sequence[Vignette], shown: int) -> None:
    """The misses by cause, judged by a rule, with the worst ones."""
    table = []
    for vignette in vignettes:
        if vignette.gold is None or right(vignette, 1, False):
            continue
        place = next(
            (i for i, d in enumerate(vignette.order) if d in vignette.gold.concepts | vignette.gold.near),
            DEEP,
        )
        table.append((place, cause(engine, vignette), vignette))
    print("misses by cause:", dict(Counter(c for _, c, _ in table).most_common()))
    table.sort(key=lambda row: (-row[0], row[2].id))
    for place, why, vignette in table[:shown]:
        first = vignette.ranking[0].name if len(vignette.ranking) else "nothing"
        print(f"  {vignette.id}: {vignette.gold_name}: place {place + 1}, {why}; first was {first}")


def cause(engine: Any, vignette: Vignette) -> str:
    """Disease missing, finding not read, frequency wrong, or reasoner wrong.

    By rule: the disease has no findings in the graph; fewer than four findings were
    read; the disease explains fewer than half of what was read; else the reasoner.
    """
    if not covered(engine, vignette):
        return "disease missing"
    assert vignette.gold is not None
    present = [f for f in vignette.ranking.case.findings if not f.excluded]
    if len(present) < 4:
        return "finding not read"
    column = next(
        engine.columns[d]
        for d in sorted(vignette.gold.concepts) + sorted(vignette.gold.near)
        if d in engine.columns
    )
    explained = sum(
        float(engine.index.frequencies(row, np.asarray([column], dtype=np.int32))[0])
        > 1.5 * float(engine.index.background[row])
        for f in present
        if (row := engine.index.row(f.term)) is not None
    )
    return "frequency wrong" if explained < len(present) / 2 else "reasoner wrong"


def learning_curve(report: Report, engine: Any, vignettes: Sequence[Vignette], split: str) -> None:
    """Top-1 against the number of curated diseases, others hidden; the mean of three orders."""
    index = engine.index
    curated = np.flatnonzero(index.population.curated)
    ours = [v for v in vignettes if v.gold is not None]
    accepted = [
        np.asarray(
            [engine.columns[d] for d in v.gold.concepts | v.gold.near if v.gold and d in engine.columns],
            dtype=np.intp,
        )
        for v in ours
        if v.gold
    ]
    weights = []
    for vignette in ours:
        case = vignette.ranking.case
        told = engine.rules.apply(case, engine.graph)
        weights.append(engine.scores(case, told.evidence).astype(np.float32) if case.findings else None)
    sizes = [round(len(curated) * share) for share in (0.125, 0.25, 0.5, 0.75, 1.0)]
    hits = {(name, size): [] for name in {v.set for v in ours} for size in sizes}
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(curated)
        for size in sizes:
            hidden = order[size:]
            for vignette, columns, scores in zip(ours, accepted, weights, strict=True):
                first = -1
                if scores is not None:
                    left = scores.copy()
                    left[hidden] = -np.inf
                    first = int(np.argmax(left))
                hits[vignette.set, size].append(first in columns.tolist())
    report.heading("Learning curve: top-1 by number of curated diseases")
    names = sorted({v.set for v in ours})
    for name in names:
        for size in sizes:
            report.add(
                f"{name}-{split}",
                DEFAULT,
                f"kgmed-{size}-diseases",
                "top1",
                statistics.fmean(hits[name, size]),
                len(hits[name, size]) // 3,
            )
    report.table(
        ["curated diseases", *names],
        [[size, *(f"{statistics.fmean(hits[name, size]):.3f}" for name in names)] for size in sizes],
    )


# ---------------------------------------------------------------- DDXPlus


@dataclass(frozen=True)
class DdxCase:
    """A structured patient: record, gold column among the 49, gold differential.

    `told` and `asked` are the findings that the patient answers yes to, and the question
    that each askable finding belongs to.
    """

    id: str
    record: kgmed.Record
    initial: tuple[str, ...]
    told: frozenset[str]
    gold: str
    differential: frozenset[str]


class DdxMap:
    """DDXPlus's questions and conditions in terms of the graph, by the map that ships with kgmed."""

    def __init__(self, engine: Any) -> None:
        folder = kgmed.resources.ontologies_folder() / "common"
        names = Names()
        graph = engine.graph
        for term in graph.terms("finding"):
            if not term.obsolete:
                names.add(term.name, term.curie, 0)
        for synonym in graph.synonyms():
            if synonym.scope == "exact":
                names.add(synonym.text, synonym.term, 1)
        self.graph = graph
        self.findings: dict[tuple[str, str], str] = {}
        with (folder / "ddxplus.tsv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                found = names.candidates(row["finding"]) if row["finding"] else ()
                term = next((c for c in found if engine.index.row(c) is not None), None)
                if term is not None:
                    self.findings[row["question"], row["value"]] = term
        listed = {disease.name: disease.id for disease in read_list(folder / "diseases.tsv")}
        self.diseases: dict[str, str] = {}
        with (folder / "ddxplus_diseases.tsv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                disease = listed[row["disease"]]
                self.diseases[row["condition"]] = disease if disease in engine.columns else ""

    @cached_property
    def question(self) -> dict[str, str]:
        """Finding -> the question that asks for it; a question of several values asks for all of them."""
        return {term: question for (question, _), term in sorted(self.findings.items(), reverse=True)}

    @cached_property
    def answers(self) -> dict[str, list[str]]:
        """Question -> the findings that an answer to it tells of."""
        out: dict[str, list[str]] = {}
        for term, question in sorted(self.question.items()):
            out.setdefault(question, []).append(term)
        return out

    def known(self, told: frozenset[str]) -> frozenset[str]:
        """What somebody has who has the findings told: these, and all above them."""
        return frozenset(a for t in told for a in self.graph.ancestors(t)) | told

    def findings_of(self, told: frozenset[str], terms: Iterable[str]) -> list[kgmed.Finding]:
        """Answers to the questions for some findings, in order."""
        known = self.known(told)
        return [kgmed.Finding(term=t, excluded=t not in known) for t in sorted(set(terms))]

    def terms(self, evidence: str) -> list[str]:
        question, _, value = evidence.partition("_@_")
        found = self.findings.get((question, value)) or self.findings.get((question, ""))
        return [found] if found else []


def read_ddxplus(folder: Path, split: str, limit: int | None, mapped: DdxMap) -> list[DdxCase]:
    out = []
    with gzip.open(folder / "ddxplus.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            if split != "all" and case["split"] != split:
                continue
            told = frozenset(t for e in case["evidences"] for t in mapped.terms(e))
            # Every question was put: what is not among the answers is not there.
            findings = mapped.findings_of(told, {*mapped.question, *told})
            out.append(
                DdxCase(
                    id=case["id"],
                    record=kgmed.Record(
                        id=case["id"],
                        age_days=365.25 * (case["age"] + 0.5),
                        sex="MALE" if case["sex"] == "M" else "FEMALE",
                        setting="uniform",
                        findings=tuple(findings),
                    ),
                    initial=tuple(mapped.terms(case["initial"])),
                    told=told,
                    gold=mapped.diseases.get(case["gold"], ""),
                    differential=frozenset(
                        mapped.diseases.get(name, name)
                        for name, share in case["differential"]
                        if share >= IN_GOLD
                    ),
                )
            )
    return out if limit is None else out[:limit]


# A disease is in a differential from this share on (the published ones hold a long tail).
IN_GOLD = 0.01
IN_OURS = 0.01
QUESTIONS = 5


def measure_ddxplus(report: Report, engine: Any, folder: Path, split: str, limit: int | None) -> None:
    """kgmed as it is, and with the table that DDXPlus's patients were simulated from in place of reality."""
    mapped = DdxMap(engine)
    cases = read_ddxplus(folder, split, limit, mapped)
    if not cases:
        return
    report.heading(f"DDXPlus, {len(cases)} structured patients, among {len(mapped.diseases)} conditions")
    systems = {
        "kgmed": engine,
        "kgmed-ddxplus-table": engine.with_ontology(simulated_table(engine.graph)),
    }
    measured = {name: _ddxplus(report, name, e, mapped, cases, split) for name, e in systems.items()}
    report.table(
        ["metric", *systems],
        [[metric, *(f"{measured[name][metric]:.3f}" for name in systems)] for metric in measured["kgmed"]],
    )
    print(
        "anchors: naive Bayes with its own tables 0.99 top-1 on full evidence, trained DDxT F1 0.947 "
        "(published elsewhere)"
    )


def _ddxplus(
    report: Report, system: str, engine: Any, mapped: DdxMap, cases: list[DdxCase], split: str
) -> dict[str, float]:
    diseases = sorted(set(mapped.diseases.values()) - {""})
    columns = np.asarray([engine.columns[d] for d in diseases])
    f1, full, first, asked = [], [], [], []
    for case in cases:
        share = shares(engine, case.record, columns)
        ours = {d for d, p in zip(diseases, share, strict=True) if p >= IN_OURS}
        both = len(ours & case.differential)
        f1.append(2 * both / (len(ours) + len(case.differential)) if both else 0.0)
        full.append(diseases[int(np.argmax(share))] == case.gold)
        start, end = interview(engine, mapped, case, columns, diseases)
        first.append(start == case.gold)
        asked.append(end == case.gold)
    measured = {
        "differential_f1": statistics.fmean(f1),
        "top1": statistics.fmean(full),
        "top1_initial": statistics.fmean(first),
        "top1_interview5": statistics.fmean(asked),
    }
    for metric, value in measured.items():
        report.add(f"ddxplus-{split}", DEFAULT, system, metric, value, len(cases))
    return measured


def shares(engine: Any, record: kgmed.Record, columns: Any) -> Any:
    """Posttest probability of some diseases, among them, as a ranking states it."""
    case = engine.case(record)
    weights = engine.scores(case, engine.rules.apply(case, engine.graph).evidence)[columns]
    share = np.power(10.0, (weights - weights.max()) * engine.index.sureness(case))
    return share / share.sum()


def interview(
    engine: Any, mapped: DdxMap, case: DdxCase, columns: Any, diseases: list[str]
) -> tuple[str, str]:
    """The first disease from the initial complaint alone, and after five questions.

    The patient answers the whole question that the finding asked for belongs to: "where does
    it hurt" tells every place.
    """
    told = {t: kgmed.Finding(term=t) for t in case.initial}

    def record() -> kgmed.Record:
        return kgmed.Record(
            id=case.id,
            age_days=case.record.age_days,
            sex=case.record.sex,
            setting=case.record.setting,
            findings=tuple(told.values()),
        )

    start = diseases[int(np.argmax(shares(engine, record(), columns)))]
    for _ in range(QUESTIONS):
        questions = engine.ask(
            record(),
            1,
            among=set(mapped.question) - set(told),
            grouped=mapped.question,
            diseases=diseases,
        )
        if not questions:
            break
        answered = mapped.answers[mapped.question[questions[0].term]]
        told |= {f.term: f for f in mapped.findings_of(case.told, answered)}
    return start, diseases[int(np.argmax(shares(engine, record(), columns)))]


# ---------------------------------------------------------------- command


DEEP = 200


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with vignettes.jsonl.gz")
    parser.add_argument("--split", choices=("dev", "test", "all"), default="test")
    parser.add_argument("--limit", type=int, help="so many cases")
    parser.add_argument(
        "--no-peers",
        action="store_true",
        help="kgmed alone, without kgmed-dictionary (notes read by names only); no other peer runs offline",
    )
    parser.add_argument("--no-rare", action="store_true", help="leave the rare-disease figures out")
    parser.add_argument("--misses", type=int, default=10, help="how many misses to show (dev only)")
    parser.add_argument(
        "--golds", action="store_true", help="print how each gold name was resolved, and stop"
    )
    parser.add_argument("--graph", default="", help="folder of another compiled graph")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    report = Report(markdown=options.markdown)
    engine = kgmed.load_engine(kgmed.config.EngineConfig(graph=options.graph))
    golds = GoldNames(engine.graph)
    vignettes: list[Vignette] = []
    if (options.data / "vignettes.jsonl.gz").exists():
        vignettes = read_vignettes(options.data, options.split, options.limit, golds)
    if options.golds:
        for vignette in vignettes:
            gold = vignette.gold
            named = "; ".join(f"{c} {engine.graph.name(c)}" for c in sorted(gold.concepts)) if gold else "-"
            print(f"{vignette.set}\t{vignette.gold_name}\t{named}\t{gold.how if gold else 'not resolved'}")
        return
    if vignettes:
        lines = []
        if not options.no_peers:
            plain = kgmed.load_engine(kgmed.config.EngineConfig(graph=options.graph, similar=False))
            rank(plain, vignettes)
            lines += accuracy(report, plain, vignettes, options.split, "kgmed-dictionary")
        times = rank(engine, vignettes)
        lines += accuracy(report, engine, vignettes, options.split, "kgmed")
        show_accuracy(report, vignettes, lines)
        report.add(
            f"vignettes-{options.split}", DEFAULT, "kgmed", "ms_median", statistics.median(times), len(times)
        )
        triage(report, vignettes, options.split)
        if options.split == "dev":
            for name in SETS.values():
                print(f"\n{name}, ", end="")
                misses(engine, [v for v in vignettes if v.set == name], options.misses)
        learning_curve(report, engine, vignettes, options.split)
    if (options.data / "ddxplus.jsonl.gz").exists():
        measure_ddxplus(report, engine, options.data, options.split, options.limit)
    if not options.no_rare and (options.data / "phenopackets.jsonl.gz").exists():
        import rare_disease

        cases = rare_disease.read_cases(options.data, options.split, options.limit, engine.graph)
        rare_disease.measure_accuracy(report, engine, cases, f"phenopackets-{options.split}")
    if not report.rows:
        sys.exit(f"{options.data} holds no case of split {options.split!r}")
    if options.json:
        write_atomically(options.json, (json.dumps(report.rows, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
