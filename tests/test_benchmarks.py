"""The rare disease benchmark on a handful of made-up patients."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
}
MARFAN, STICKLER, NEWER = "OMIM:154700", "OMIM:108300", "OMIM:999999"

# Made up: textbook signs of Marfan and Stickler syndrome, and a disease no graph holds.
PATIENTS = [
    ("a1", "PMID:1", MARFAN, ["HP:0001166", "HP:0001083", "HP:0002616"], ["HP:0000407"], "test"),
    ("a2", "PMID:1", MARFAN, ["HP:0001166", "HP:0001083", "HP:0000768"], [], "test"),
    ("a3", "PMID:1", MARFAN, ["HP:0001166"], [], "test"),
    ("b1", "PMID:2", STICKLER, ["HP:0000545", "HP:0000541", "HP:0000175", "HP:0000201"], [], "test"),
    ("c1", "PMID:3", NEWER, ["HP:0001250", "HP:0001263"], ["HP:0001166"], "test"),
    ("d1", "PMID:4", STICKLER, ["HP:0000541"], [], "dev"),
]


def write_cases(folder: Path) -> None:
    lines = [
        json.dumps(
            {
                "id": id_,
                "pmid": pmid,
                "present": present,
                "excluded": excluded,
                "sex": "FEMALE",
                "age": "P12Y",
                "onset": None,
                "diseases": [gold],
                "split": split,
            }
        )
        for id_, pmid, gold, present, excluded, split in PATIENTS
    ]
    (folder / "phenopackets.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    out = folder / "rows.json"
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "rare_disease.py"),
            *("--data", str(folder), "--split", "test", "--no-peers", "--no-speed", "--json", str(out)),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


def value(rows: list[dict[str, Any]], *key: str) -> dict[str, Any]:
    found = [r for r in rows if (r["set"], r["protocol"], r["system"], r["metric"]) == key]
    assert len(found) == 1
    return found[0]


def test_rows_have_one_shape_and_no_key_twice(run: tuple[str, list[dict[str, Any]]]) -> None:
    _, rows = run
    keys = [(r["set"], r["protocol"], r["system"], r["metric"]) for r in rows]
    assert len(keys) == len(set(keys))
    assert all(set(r) == {"set", "protocol", "system", "metric", "value", "n"} for r in rows)
    assert {r["protocol"] for r in rows} == {"as_published", "own_publication_removed"}


def test_two_cases_a_publication_and_newer_diseases_count_as_misses(
    run: tuple[str, list[dict[str, Any]]],
) -> None:
    _, rows = run
    every = value(rows, "phenopackets-test/all", "as_published", "kgmed", "top10")
    known = value(rows, "phenopackets-test/annotated", "as_published", "kgmed", "top10")
    assert (every["n"], known["n"]) == (4, 3)
    assert every["value"] == pytest.approx(known["value"] * 3 / 4, abs=1e-5)
    coverage = value(rows, "phenopackets-test/all", "as_published", "kgmed", "coverage")
    assert coverage["value"] == pytest.approx(3 / 4)


def test_textbook_patients_are_found_and_every_figure_lies_in_its_interval(
    run: tuple[str, list[dict[str, Any]]],
) -> None:
    text, rows = run
    assert value(rows, "phenopackets-test/annotated", "as_published", "kgmed", "top10")["value"] > 0.6
    for set_ in ("phenopackets-test/all", "phenopackets-test/annotated"):
        for metric in ("top1", "mrr", "macro_top1", "macro_mrr"):
            key = (set_, "own_publication_removed", "kgmed")
            middle, low, high = (value(rows, *key, metric + end)["value"] for end in ("", "_low", "_high"))
            assert low <= middle <= high
    assert "own_publication_removed" in text
    assert "expected calibration error" in text


def test_a_folder_without_cases_of_the_split_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "phenopackets.jsonl.gz").write_bytes(gzip.compress(b""))
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "rare_disease.py"),
            *("--data", str(tmp_path), "--no-peers", "--no-speed"),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "holds no case of split 'test'" in done.stderr
