"""What a peer's script and the driver say to each other: JSON lines, standard library only.

In: one line `{"seconds": S}`, then one line a case, `{"id", "present", "gold"}`.
Out: one line `{"ready": seconds to load}`, then `{"id", "system", "rank", "ms"}` (rank
null when the peer does not know the gold), and last `{"peak_mb"}`.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

STARTED = time.perf_counter()
Ranker = Callable[[list[str]], dict[str, float]]


def fractional_rank(scores: dict[str, float], gold: str, candidates: int) -> float:
    """Mean rank over ties; diseases without a score share the places after all others."""
    if gold not in scores:
        return len(scores) + (candidates - len(scores) + 1) / 2
    mine = scores[gold]
    better = sum(score > mine for score in scores.values())
    tied = sum(score == mine for score in scores.values())
    return better + (tied + 1) / 2


def peak_mb() -> float:
    """Peak resident memory of this process, MB.

    From /proc, because `getrusage` also counts what the parent held when it forked.
    """
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def serve(rankers: dict[str, Ranker], curies: list[str], *, answers: TextIO | None = None) -> None:
    """Answer every case, until each ranking has used up its share of the seconds."""
    out = answers or sys.stdout

    def say(**message: Any) -> None:
        print(json.dumps(message), file=out, flush=True)

    lines = iter(sys.stdin)
    seconds = json.loads(next(lines))["seconds"]
    cases = [json.loads(line) for line in lines]
    candidates = set(curies)
    say(ready=time.perf_counter() - STARTED)
    for system, ranker in rankers.items():
        if cases:
            ranker(cases[0]["present"])  # warm: fills the caches that the peer keeps
        end = time.perf_counter() + seconds / len(rankers)
        for case in cases:
            if time.perf_counter() > end:
                break
            start = time.perf_counter()
            scores = ranker(case["present"])
            ms = (time.perf_counter() - start) * 1000
            scores = {curie: s for curie, s in scores.items() if curie in candidates and not math.isnan(s)}
            known = case["gold"] in candidates
            rank = fractional_rank(scores, case["gold"], len(candidates)) if known else None
            say(id=case["id"], system=system, rank=rank, ms=ms)
    say(peak_mb=peak_mb())
