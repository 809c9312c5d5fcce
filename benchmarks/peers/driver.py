"""Run the peers, each in a virtual environment of its own.

pyhpo and hpo3 install the same Python package `pyhpo` and overwrite each other, so
they cannot share one. The environments are made once, with pinned versions, in a
cache folder; making them is the only step that needs a network.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# Released versions, pinned so that two runs compare the same thing.
PEERS = {
    "hpo3": ("hpo3==1.5.1",),
    "pyhpo": ("pyhpo==4.0.0", "scipy==1.17.1"),
    "semsimian": ("semsimian==0.3.0",),
}


@dataclass
class PeerRun:
    """What one peer answered.

    Attributes:
        peer: Its name.
        ready: Seconds from the start of its script until it can rank.
        peak_mb: Peak resident memory, MB.
        ranks: system -> case id -> rank, or None when it does not know the disease.
        ms: system -> case id -> milliseconds.
    """

    peer: str
    ready: float = float("nan")
    peak_mb: float = float("nan")
    ranks: dict[str, dict[str, float | None]] = field(default_factory=dict)
    ms: dict[str, dict[str, float]] = field(default_factory=dict)


def default_folder() -> Path:
    """Where the environments are kept unless `--peers-dir` says otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "kgmed-benchmark-peers"


def install(peer: str, folder: Path) -> Path:
    """The Python of a peer's environment, made when it is not there yet."""
    pins = PEERS[peer]
    environment = folder / f"{peer}-{pins[0].split('==')[1]}-py{sys.version_info[0]}{sys.version_info[1]}"
    python = environment / "bin" / "python"
    done = environment / "installed"
    if done.exists():
        return python
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins], check=True
    )
    done.write_text("\n".join(pins) + "\n")
    return python


def one_core(command: Sequence[str]) -> list[str]:
    """The command, held to one core where the system can do that."""
    taskset = shutil.which("taskset")
    if not taskset or not hasattr(os, "sched_getaffinity"):
        return list(command)
    return [taskset, "-c", str(max(os.sched_getaffinity(0))), *command]


def one_thread() -> dict[str, str]:
    """The environment with every thread pool set to one thread."""
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(pools, "1")}


def run(peer: str, cases: Sequence[dict[str, Any]], *, folder: Path, seconds: float, graph: Any) -> PeerRun:
    """Rank `cases` (id, present, gold) with one peer, within about `seconds` of ranking."""
    python = install(peer, folder)
    result = PeerRun(peer)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = []
        if peer == "semsimian":
            database = Path(scratch) / "knowledge.db"
            write_semsimian(graph, database)
            arguments.append(str(database))
        command = one_core([str(python), str(HERE / f"{peer}_rank.py"), *arguments])
        lines = [json.dumps({"seconds": seconds}), *(json.dumps(case) for case in cases)]
        done = subprocess.run(
            command,
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            env=one_thread(),
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{peer} failed: {done.stderr[-2000:]}")
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        if "ready" in answer:
            result.ready = answer["ready"]
        elif "peak_mb" in answer:
            result.peak_mb = answer["peak_mb"]
        else:
            result.ranks.setdefault(answer["system"], {})[answer["id"]] = answer["rank"]
            result.ms.setdefault(answer["system"], {})[answer["id"]] = answer["ms"]
    return result


def sample(cases: Sequence[Any], limit: int, seed: int) -> list[Any]:
    """A random sample in random order: a peer that runs out of time has still seen one."""
    return random.Random(seed).sample(list(cases), min(limit, len(cases)))


def write_semsimian(graph: Any, path: Path) -> None:
    """The hierarchy and the OMIM annotations of `graph` as the SQLite tables semsimian reads."""
    terms = {t.curie for t in graph.terms("finding") if not t.obsolete and t.curie.startswith("HP:")}
    columns = graph.edge_columns
    annotations = set()
    wanted = columns.predicate.codes == columns.predicate.code("has_phenotype")
    for row in wanted.nonzero()[0]:
        asserted_for = columns.asserted_for[row]
        # 0 of m patients is no annotation for a peer that cannot use "not seen".
        if columns.negated[row] or columns.numerator[row] == 0 or not asserted_for.startswith("OMIM:"):
            continue
        annotations.add((asserted_for, graph.curie(int(columns.object[row]))))
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE statements (subject TEXT, predicate TEXT, object TEXT, value TEXT);
            CREATE TABLE entailed_edge (subject TEXT, predicate TEXT, object TEXT);
            CREATE TABLE term_association (
                id TEXT, subject TEXT, predicate TEXT, object TEXT,
                evidence_type TEXT, publication TEXT, source TEXT
            );
            """
        )
        connection.executemany(
            "INSERT INTO entailed_edge VALUES (?, 'rdfs:subClassOf', ?)",
            ((t, a) for t in sorted(terms) for a in sorted({t} | (graph.ancestors(t) & terms))),
        )
        connection.executemany(
            "INSERT INTO term_association VALUES ('', ?, 'biolink:has_phenotype', ?, '', '', '')",
            sorted(annotations),
        )
    connection.close()
