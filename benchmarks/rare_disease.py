"""Rank the diseases of published, HPO-coded patients, beside pyhpo, hpo3 and semsimian.

    python benchmarks/rare_disease.py --data DIR [--split test] [--no-peers] [--json out.json]

DIR holds `phenopackets.jsonl.gz`: one patient a line, with `id`, `pmid`, `present`,
`excluded`, `sex`, `age`, `onset`, `diseases` and `split`. What is measured, and how,
is in `benchmarks/README.md`.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

# One core, one thread, for kgmed as for its peers: set before numpy starts its pool.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_pool] = "1"

import argparse
import cProfile
import gzip
import json
import math
import pstats
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from peers import driver
from report import Report

import kgmed
from kgmed import metrics
from kgmed.errors import UnknownTermError
from kgmed.graph import write_atomically
from kgmed.intake.ages import parse_age

PER_PMID = 2
SEED = 20250506
BINS = ((1, 3), (4, 8), (9, 10_000))  # number of present findings
KS = (1, 3, 10)
AS_PUBLISHED = "as_published"
OWN_REMOVED = "own_publication_removed"
DEFAULT = "default"

# Sources whose annotations name no publication. A case's own publication may be among
# them, so `own_publication_removed` drops them all for the disease of the case.
UNREFERENCED_SOURCES = frozenset({"hpo3"})

# Figures of others on the same store of patients, for orientation only: other releases,
# other selections of cases, and annotations with the case's own publication in them.
PUBLISHED = (
    "Exomiser, phenotypes only, 5,213 cases of the same store: top-1 0.355 (published elsewhere)",
    "best language model on the same 5,213 cases: top-1 0.236 (published elsewhere)",
)

# A made-up note of about 300 words.
NOTE = """
The patient is a 14-year-old boy who was referred because of tall stature and back pain. He was born at
term after an uneventful pregnancy with a length above the 97th percentile. Motor milestones were reached
in time and speech was normal. At the age of six years he began to wear glasses for myopia, and two years
later an ectopia lentis of both eyes was found. He has been treated for recurrent dislocation of the left
shoulder. His teachers describe him as attentive; there is no intellectual disability and no history of
seizures. He complains of fatigue on exertion and of occasional palpitations but denies chest pain and
syncope. His mother had a mitral valve prolapse and died of an aortic dissection at the age of 38 years;
a younger sister is well. On examination he was 193 cm tall with an arm span of 204 cm. The fingers were
long and thin, with arachnodactyly and a positive wrist sign. There was marked pectus excavatum, a
thoracic scoliosis of 25 degrees and joint hypermobility of the fingers and elbows. The palate was high
and narrow with dental crowding. The feet were flat. The skin showed striae over the lower back but was
neither hyperextensible nor fragile, and there were no atrophic scars. A late systolic murmur was heard
at the apex. The liver and the spleen were not enlarged. Reflexes, muscle strength and sensation were
normal and there was no ataxia. Echocardiography showed a dilatation of the aortic root of 43 mm, with
mild mitral regurgitation. The magnetic resonance imaging of the spine revealed dural ectasia. Laboratory
tests including homocysteine, blood count, kidney and liver function were normal. Hearing was normal. The
family was counselled and treatment with a beta blocker was begun; contact sports were discouraged.
""".strip()


@dataclass(frozen=True)
class BenchCase:
    """One patient: what kgmed is given, and the right answer."""

    record: kgmed.Record
    gold: str  # OMIM CURIE
    disease: str | None  # the same in the graph, None when it is not there
    annotated: bool  # the graph's HPO annotations describe it
    pmid: str

    @property
    def present(self) -> list[str]:
        return [f.term for f in self.record.findings if not f.excluded]

    def without_excluded(self) -> kgmed.Record:
        kept = tuple(f for f in self.record.findings if not f.excluded)
        return kgmed.Record(
            id=self.record.id,
            findings=kept,
            sex=self.record.sex,
            age_days=self.record.age_days,
            onset_days=self.record.onset_days,
        )


@dataclass
class Answers:
    """What one system answered to the cases: arrays of one length."""

    ranks: list[float] = field(default_factory=list)
    top1_posttest: list[float] = field(default_factory=list)
    top1_right: list[int] = field(default_factory=list)


# ---------------------------------------------------------------- cases


def read_cases(folder: Path, split: str, limit: int | None, graph: Any) -> list[BenchCase]:
    """The cases of a split: at most two per publication, the first two by id."""
    path = folder / "phenopackets.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        given = sorted((json.loads(line) for line in lines), key=lambda case: case["id"])
    taken: dict[str, int] = defaultdict(int)
    cases = []
    for case in given:
        # A publication has two cases whatever the split, so that "all" is "dev" and "test".
        taken[case["pmid"]] += 1
        if taken[case["pmid"]] <= PER_PMID and split in (case["split"], "all"):
            cases.append(case)
    if limit is not None and limit < len(cases):
        cases = random.Random(SEED).sample(cases, limit)
    annotated = annotated_diseases(graph)
    result = []
    for case in cases:
        gold = case["diseases"][0]
        disease = graph.resolve(gold)
        result.append(
            BenchCase(
                record=to_record(case),
                gold=gold,
                disease=disease,
                annotated=disease in annotated,
                pmid=case["pmid"],
            )
        )
    return result


def to_record(case: dict[str, Any]) -> kgmed.Record:
    """A patient as kgmed takes it; an age that is not stated stays None."""
    return kgmed.Record(
        id=case["id"],
        findings=tuple(
            kgmed.Finding(term=term, excluded=excluded)
            for key, excluded in (("present", False), ("excluded", True))
            for term in case[key]
        ),
        sex=case["sex"] if case["sex"] in ("FEMALE", "MALE") else "UNKNOWN",
        age_days=parse_age(case["age"]) if case["age"] else None,
        onset_days=parse_age(case["onset"]) if case["onset"] else None,
        setting="rare_disease",  # as kgmed reads a phenopacket
    )


def annotated_diseases(graph: Any) -> frozenset[str]:
    """Diseases with at least one finding in HPO's own annotations."""
    columns = graph.edge_columns
    rows = (columns.predicate.codes == columns.predicate.code("has_phenotype")) & (
        columns.source.codes == columns.source.code("hpoa")
    )
    return frozenset(graph.curie(int(node)) for node in np.unique(columns.subject[rows]))


# ---------------------------------------------------------------- accuracy


def ask(
    engine: Any, cases: Sequence[BenchCase], protocol: str, *, excluded: bool = True, pooled: bool = False
) -> Answers:
    """Rank the right disease of every case.

    With `pooled`, annotations that pool the case's publication with others are dropped too.
    """
    unreferenced = UNREFERENCED_SOURCES & set(engine.graph.sources)
    answers = Answers()
    for case in cases:
        record = case.record if excluded else case.without_excluded()
        dropped = frozenset({case.pmid, ""} if unreferenced else {case.pmid})
        if pooled and case.disease is not None:
            for edge in engine.graph.edges(case.disease, "has_phenotype"):
                if case.pmid in edge.references:
                    dropped |= set(edge.references)
        rank = None
        if case.disease is not None:
            try:
                rank = engine.rank_of(
                    record,
                    case.disease,
                    without_references=dropped if protocol == OWN_REMOVED else frozenset(),
                )
            except UnknownTermError:  # in the graph, but not among the diseases that are ranked
                rank = None
        if rank is None:
            first = engine.diagnose(record, top=1)
            answers.ranks.append(metrics.MISS)
            answers.top1_posttest.append(first[0].posttest_probability if len(first) else 0.0)
            answers.top1_right.append(0)
        else:
            answers.ranks.append(rank.rank)
            answers.top1_posttest.append(rank.top1_posttest)
            answers.top1_right.append(int(rank.top1 == case.disease))
    return answers


def accuracy(
    report: Report, set_: str, protocol: str, system: str, ranks: Sequence[float], golds: Sequence[str]
) -> list[str]:
    """Rows of one system on one population; returns the cells of its table line."""
    n = len(ranks)
    measures: dict[str, Any] = {f"top{k}": metrics.top_k(ranks, k) for k in KS}
    measures["mrr"] = metrics.reciprocal_rank(ranks)
    cells = {"micro": [], "macro": []}
    for kind, groups in (("micro", None), ("macro", golds)):
        prefix = "" if groups is None else "macro_"
        for name, values in measures.items():
            interval = metrics.bootstrap_interval(values, groups=groups, seed=SEED)
            report.add(set_, protocol, system, prefix + name, interval.value, n)
            report.add(set_, protocol, system, f"{prefix}{name}_low", interval.low, n)
            report.add(set_, protocol, system, f"{prefix}{name}_high", interval.high, n)
            wide = name in ("top1", "top10")
            cells[kind].append(str(interval) if wide else f"{interval.value:.3f}")
    return [f"{n} / {len(set(golds))}", *cells["micro"], *cells["macro"]]


HEADER = (
    "cases / diseases",
    "top-1 [95%]",
    "top-3",
    "top-10 [95%]",
    "MRR",
    "macro top-1 [95%]",
    "macro top-3",
    "macro top-10 [95%]",
    "macro MRR",
)


def measure_accuracy(
    report: Report, engine: Any, cases: Sequence[BenchCase], name: str
) -> dict[str, Answers]:
    """Both protocols, with and without excluded findings; returns kgmed's answers by protocol."""
    golds = [case.gold for case in cases]
    inside = [i for i, case in enumerate(cases) if case.annotated]
    populations = {"all": list(range(len(cases))), "annotated": inside}
    answers: dict[tuple[str, str], Answers] = {}
    for protocol in (AS_PUBLISHED, OWN_REMOVED):
        answers[protocol, "kgmed"] = ask(engine, cases, protocol)
        answers[protocol, "kgmed-no-excluded"] = ask(engine, cases, protocol, excluded=False)
    answers[OWN_REMOVED, "kgmed-pooled-dropped"] = ask(engine, cases, OWN_REMOVED, pooled=True)
    unknown = [replace(case, record=replace(case.record, setting="")) for case in cases]
    for protocol in (AS_PUBLISHED, OWN_REMOVED):
        answers[protocol, "kgmed-setting-unknown"] = ask(engine, unknown, protocol)

    for population, kept in populations.items():
        if not kept:
            continue
        missing = len(cases) - len(kept)
        what = (
            f"all cases, {len(cases) - len(inside)} of them with a disease that the HPO release lacks"
            if population == "all"
            else f"without the {missing} cases whose disease the HPO release lacks"
        )
        report.heading(f"Accuracy, {name}, {what}")
        lines = []
        for (protocol, system), given in answers.items():
            cells = accuracy(
                report,
                f"{name}/{population}",
                protocol,
                system,
                [given.ranks[i] for i in kept],
                [golds[i] for i in kept],
            )
            lines.append((protocol, system, *cells))
        report.table(("protocol", "system", *HEADER), lines)

    for protocol in (AS_PUBLISHED, OWN_REMOVED):
        ranks = answers[protocol, "kgmed"].ranks
        share = sum(math.isfinite(rank) for rank in ranks) / len(ranks)
        report.add(f"{name}/all", protocol, "kgmed", "coverage", share, len(ranks))
    ablation(report, answers, inside, name)
    by_findings(report, answers, cases, inside, name)
    for protocol in (AS_PUBLISHED, OWN_REMOVED):
        calibration(report, answers[protocol, "kgmed"], protocol, name, inside)
    return {protocol: answers[protocol, "kgmed"] for protocol in (AS_PUBLISHED, OWN_REMOVED)}


def ablation(report: Report, answers: dict[tuple[str, str], Answers], kept: Sequence[int], name: str) -> None:
    """What excluded findings add: paired differences over the same cases."""
    if not kept:
        return
    report.heading("What excluded findings add (with minus without, paired, [95%])")
    lines = []
    for protocol in (AS_PUBLISHED, OWN_REMOVED):
        pair = [
            [answers[protocol, system].ranks[i] for i in kept] for system in ("kgmed", "kgmed-no-excluded")
        ]
        cells = []
        measures: dict[str, Callable[[Any], Any]] = {
            "top1": lambda ranks: metrics.top_k(ranks, 1),
            "top10": lambda ranks: metrics.top_k(ranks, 10),
            "mrr": metrics.reciprocal_rank,
        }
        for metric, measure in measures.items():
            gain = metrics.bootstrap_interval(measure(pair[0]) - measure(pair[1]), seed=SEED)
            system = "kgmed-minus-no-excluded"
            report.add(f"{name}/annotated", protocol, system, metric, gain.value, len(kept))
            report.add(f"{name}/annotated", protocol, system, f"{metric}_low", gain.low, len(kept))
            report.add(f"{name}/annotated", protocol, system, f"{metric}_high", gain.high, len(kept))
            cells.append(f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")
        lines.append((protocol, *cells))
    report.table(("protocol", "top-1", "top-10", "MRR"), lines)


def by_findings(
    report: Report,
    answers: dict[tuple[str, str], Answers],
    cases: Sequence[BenchCase],
    kept: Sequence[int],
    name: str,
) -> None:
    """Accuracy by the number of present findings, over annotated diseases."""
    report.heading("By number of present findings (annotated diseases)")
    lines = []
    for low, high in BINS:
        label = f"{low}-{high}" if high < BINS[-1][1] else f"{low}+"
        chosen = [i for i in kept if low <= len(cases[i].present) <= high]
        if not chosen:
            continue
        for protocol in (AS_PUBLISHED, OWN_REMOVED):
            ranks = [answers[protocol, "kgmed"].ranks[i] for i in chosen]
            values = {f"top{k}": float(metrics.top_k(ranks, k).mean()) for k in KS}
            values["mrr"] = float(metrics.reciprocal_rank(ranks).mean())
            for metric, value in values.items():
                report.add(f"{name}/findings={label}", protocol, "kgmed", metric, value, len(chosen))
            lines.append((label, protocol, len(chosen), *(f"{v:.3f}" for v in values.values())))
    report.table(("findings", "protocol", "cases", "top-1", "top-3", "top-10", "MRR"), lines)


def calibration(report: Report, given: Answers, protocol: str, name: str, inside: Sequence[int]) -> None:
    """Is the posttest probability of the first diagnosis what it says? The table is over all cases."""
    n = len(given.ranks)
    if inside:
        pairs = [(given.top1_posttest[i], given.top1_right[i]) for i in inside]
        known = metrics.expected_calibration_error(*zip(*pairs, strict=True))
        report.add(f"{name}/annotated", protocol, "kgmed", "ece", known, len(inside))
    error = metrics.expected_calibration_error(given.top1_posttest, given.top1_right)
    brier = metrics.brier_score(given.top1_posttest, given.top1_right)
    report.add(f"{name}/all", protocol, "kgmed", "ece", error, n)
    report.add(f"{name}/all", protocol, "kgmed", "brier", brier, n)
    report.heading(
        f"Calibration of the first diagnosis, {protocol}: "
        f"expected calibration error {error:.3f}, Brier score {brier:.3f}"
    )
    lines = []
    for line in metrics.reliability_table(given.top1_posttest, given.top1_right):
        if line.n:
            edge = f"reliability_{line.high:.1f}"
            report.add(f"{name}/all", protocol, "kgmed", f"{edge}_predicted", line.mean_probability, line.n)
            report.add(f"{name}/all", protocol, "kgmed", f"{edge}_observed", line.observed, line.n)
            span = f"{line.low:.1f}-{line.high:.1f}"
            lines.append((span, line.n, f"{line.mean_probability:.3f}", f"{line.observed:.3f}"))
    report.table(("posttest", "cases", "mean predicted", "observed right"), lines)


# ---------------------------------------------------------------- speed


def timed(call: Callable[[Any], object], arguments: Iterable[Any]) -> list[float]:
    """Milliseconds of each call."""
    times = []
    for argument in arguments:
        start = time.perf_counter()
        call(argument)
        times.append((time.perf_counter() - start) * 1000)
    return times


def measure_speed(report: Report, engine: Any, cases: Sequence[BenchCase], name: str) -> None:
    """Warm and cold times, peak memory, and the floor that memory traffic sets."""
    records = [case.record for case in cases]
    note = kgmed.Record(id="note", text=NOTE)
    timed(engine.diagnose, [*records[:20], note])  # warm

    lines: list[tuple[object, ...]] = []

    def show(what: str, metric: str, times: Sequence[float], goal: str) -> None:
        median, late = statistics.median(times), float(np.percentile(times, 95))
        report.add(name, DEFAULT, "kgmed", f"{metric}_median", median, len(times))
        report.add(name, DEFAULT, "kgmed", f"{metric}_p95", late, len(times))
        lines.append((what, len(times), f"{median:.2f}", f"{late:.2f}", goal))

    warm = timed(engine.diagnose, records)
    show("structured record, warm", "ms", warm, "2 ms")
    explained = timed(lambda record: engine.diagnose(record)[0].explanation, records)
    show("the same, first diagnosis explained", "explained_ms", explained, "")
    show(f"note of {len(NOTE.split())} words, warm", "note_ms", timed(engine.diagnose, [note] * 50), "30 ms")
    names_alone = kgmed.Engine(engine.graph, config=replace(engine.config, similar=False))
    names_alone.diagnose(note)
    show("the same, by names alone", "note_names_ms", timed(names_alone.diagnose, [note] * 50), "")
    for what, metric, (times, peaks) in (
        ("cold start in Python, process start included", "cold", cold_start(cases[0])),
        ("cold start of the command, process start included", "cold_command", cold_command(cases[0])),
    ):
        if times:
            show(what, f"{metric}_ms", times, "1500 ms")
        if peaks:
            peak = statistics.median(peaks)
            report.add(name, DEFAULT, "kgmed", "peak_mb", peak, len(peaks))
            lines.append(("peak memory of that process, MB", len(peaks), f"{peak:.0f}", "", "600 MB"))
    show("import kgmed, in a fresh process", "import_ms", timed_inside("", "import kgmed"), "200 ms")
    setup = "from pathlib import Path; from kgmed.graph import KnowledgeGraph"
    setup += "; from kgmed.resources import ontologies_folder"
    opening = timed_inside(setup, "KnowledgeGraph.load(ontologies_folder() / 'default')")
    show("opening the graph, in a fresh process", "open_ms", opening, "500 ms")
    report.heading("Speed on one core (ms; median and 95th percentile)")
    report.table(("what", "runs", "median", "95%", "goal"), lines)

    bandwidth = copy_bandwidth()
    diseases = engine.diagnose(records[0], top=1).considered
    findings = statistics.median(len(record.findings) for record in records)
    floor_ms = memory_floor_bytes(findings, diseases) / bandwidth * 1000
    median = statistics.median(warm)
    report.add(name, DEFAULT, "kgmed", "memory_floor_ms", floor_ms, len(records))
    report.heading("The floor of memory traffic, and what stands above it")
    print(
        f"{findings:g} findings x {diseases:,} diseases x 4 bytes read, and one score of 8 bytes written a "
        f"disease,\nat {bandwidth / 1e9:.1f} GB/s (numpy copy): {floor_ms:.3f} ms; "
        f"measured {median:.2f} ms, {median / floor_ms:.0f} times the floor. Own time by function:"
    )
    report.table(("function", "calls a case", "share of the time"), own_time(engine, records[:200]))


def timed_inside(setup: str, statement: str, runs: int = 5) -> list[float]:
    """Milliseconds of a statement in fresh processes, their start and `setup` not included."""
    program = (
        f"import time\n{setup}\nstart = time.perf_counter()\n{statement}\n"
        "print((time.perf_counter() - start) * 1000)"
    )
    command = [sys.executable, "-c", program]
    return [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(runs)
    ]


def cold_start(case: BenchCase, runs: int = 5) -> tuple[list[float], list[float]]:
    """Milliseconds, and peak MB, of a fresh Python that diagnoses one structured record."""
    program = (
        f"import kgmed; assert kgmed.diagnose({phenopacket(case)!r})[0].name\n"
        "try: print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])\n"
        "except OSError: pass"
    )
    times, peaks = [], []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        times.append((time.perf_counter() - start) * 1000)
        if done.stdout.strip():  # kB; empty where the system has no /proc
            peaks.append(int(done.stdout) / 1024)
    return times, peaks


def cold_command(case: BenchCase, runs: int = 5) -> tuple[list[float], list[float]]:
    """Milliseconds of `kgmed diagnose FILE` in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.json"
        path.write_text(json.dumps(phenopacket(case)), encoding="utf-8")
        command = [sys.executable, "-c", "from kgmed.cli import app; app()", "diagnose", str(path)]

        def run(_: int) -> None:
            subprocess.run(command, capture_output=True, check=True)

        return timed(run, range(runs)), []


def phenopacket(case: BenchCase) -> dict[str, Any]:
    """The case as a GA4GH phenopacket (version 2), JSON."""
    features = [{"type": {"id": f.term}, "excluded": f.excluded} for f in case.record.findings]
    return {
        "id": case.record.id,
        "subject": {"id": case.record.id, "sex": case.record.sex},
        "phenotypicFeatures": features,
        "metaData": {"phenopacketSchemaVersion": "2.0"},
    }


def copy_bandwidth() -> float:
    """Bytes a second that this core reads and writes when it copies 64 MB."""
    source = np.ones(8_000_000)
    target = np.empty_like(source)
    best = min(timed(lambda _: np.copyto(target, source), range(7))) / 1000
    return 2 * source.nbytes / best


def memory_floor_bytes(findings: float, diseases: int) -> float:
    """Least traffic of one case: a 4-byte likelihood ratio per finding and disease, one score out."""
    return findings * diseases * 4 + diseases * 8


def own_time(engine: Any, records: Sequence[kgmed.Record], first: int = 8) -> list[tuple[str, str, str]]:
    """The functions that take the most time of their own (under a profiler, which slows calls down)."""
    profile = cProfile.Profile()
    profile.enable()
    for record in records:
        engine.diagnose(record)
    profile.disable()
    rows = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(row[2] for row in rows.values())
    lines = []
    for (file, _, function), row in sorted(rows.items(), key=lambda item: -item[1][2])[:first]:
        where = f"{Path(file).stem}.{function}" if file != "~" else function
        lines.append((where, f"{row[1] / len(records):.1f}", f"{row[2] / total:.0%}"))
    return lines


# ---------------------------------------------------------------- peers


def measure_peers(
    report: Report, engine: Any, cases: Sequence[BenchCase], answers: Answers, name: str, options: Any
) -> None:
    """The peers on a random sample of the annotated cases, kgmed on the same ones beside each."""
    by_id = {case.record.id: case for case in cases}
    rank_of = {case.record.id: rank for case, rank in zip(cases, answers.ranks, strict=True)}
    chosen = driver.sample([c for c in cases if c.annotated and c.present], options.peer_limit, SEED)
    asked = [{"id": c.record.id, "present": c.present, "gold": c.gold} for c in chosen]
    accuracy_lines, time_lines = [], []
    for peer in options.peers:
        print(f"running {peer} ...", file=sys.stderr, flush=True)
        run = driver.run(
            peer,
            asked,
            folder=options.peers_dir,
            seconds=options.peer_seconds,
            graph=engine.graph,
        )
        ready_ms = run.ready * 1000
        report.add(name, DEFAULT, peer, "ready_ms", ready_ms, 1)
        report.add(name, DEFAULT, peer, "peak_mb", run.peak_mb, 1)
        for system, ranks in run.ranks.items():
            done = [by_id[i] for i in ranks]
            golds = [case.gold for case in done]
            set_ = f"{name}/peers={system}"
            theirs = [metrics.MISS if rank is None else rank for rank in ranks.values()]
            ours = [rank_of[i] for i in ranks]
            accuracy_lines += [
                (system, *accuracy(report, set_, AS_PUBLISHED, system, theirs, golds)),
                ("  kgmed", *accuracy(report, set_, AS_PUBLISHED, "kgmed", ours, golds)),
            ]
            known = sum(rank is not None for rank in ranks.values()) / len(ranks)
            report.add(set_, AS_PUBLISHED, system, "coverage", known, len(ranks))
            their_ms = statistics.median(run.ms[system].values())
            records = [case.record for case in done]
            timed(engine.diagnose, records)  # warm again after the minutes that the peer took
            our_ms = statistics.median(timed(engine.diagnose, records))
            for metric, value in (("ms_median", their_ms), ("times_slower_than_kgmed", their_ms / our_ms)):
                report.add(set_, DEFAULT, system, metric, value, len(ranks))
            report.add(set_, DEFAULT, "kgmed", "ms_median", our_ms, len(ranks))
            time_lines.append(
                (
                    system,
                    len(ranks),
                    f"{their_ms:.1f}",
                    f"{our_ms:.2f}",
                    f"{their_ms / our_ms:.0f}",
                    f"{run.ready:.1f}",
                    f"{run.peak_mb:.0f}",
                )
            )
    report.heading("Beside its peers: the same cases, present findings, annotations as published")
    report.table(("system", *HEADER), accuracy_lines)
    report.heading("Time a case on one core, same machine, same run (ms, median)")
    report.table(("system", "cases", "peer", "kgmed", "times slower", "loaded in s", "peak MB"), time_lines)
    print()
    for line in PUBLISHED:
        print(line)


# ---------------------------------------------------------------- command


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with phenopackets.jsonl.gz")
    parser.add_argument("--split", choices=("dev", "test", "all"), default="test")
    parser.add_argument("--limit", type=int, help="a random sample of so many cases")
    parser.add_argument("--no-peers", action="store_true", help="kgmed alone")
    parser.add_argument("--no-speed", action="store_true", help="accuracy and calibration alone")
    parser.add_argument("--peers", nargs="+", choices=sorted(driver.PEERS), default=sorted(driver.PEERS))
    parser.add_argument("--peers-dir", type=Path, default=driver.default_folder())
    parser.add_argument("--peer-limit", type=int, default=100, help="cases that the peers are given")
    parser.add_argument("--peer-seconds", type=float, default=300.0, help="ranking time for each peer")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    report = Report(markdown=options.markdown)
    engine = kgmed.load_engine()
    cases = read_cases(options.data, options.split, options.limit, engine.graph)
    if not cases:
        sys.exit(f"{options.data} holds no case of split {options.split!r}")
    name = f"phenopackets-{options.split}"
    answers = measure_accuracy(report, engine, cases, name)
    if not options.no_speed:
        measure_speed(report, engine, cases, name)
    if not options.no_peers:
        measure_peers(report, engine, cases, answers[AS_PUBLISHED], name, options)
    if options.json:
        write_atomically(options.json, (json.dumps(report.rows, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
