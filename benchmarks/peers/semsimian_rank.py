"""Rank diseases with semsimian (runs in its own virtual environment; see `driver.py`).

semsimian brings no knowledge: the driver hands it the hierarchy and the OMIM
annotations that kgmed itself uses, as the SQLite tables that semsimian reads.
Two of its searches: `full` (best matches by information content) and `flat`
(Jaccard index over ancestors).
"""

from __future__ import annotations

import os
import sqlite3
import sys
from functools import partial

from protocol import serve
from semsimian import Semsimian

database = sys.argv[1]
with sqlite3.connect(database) as connection:
    curies = [row[0] for row in connection.execute("SELECT DISTINCT subject FROM term_association")]
    known = {row[0] for row in connection.execute("SELECT DISTINCT subject FROM entailed_edge")}

search = Semsimian(spo=None, predicates=["rdfs:subClassOf"], resource_path=database)


def rank(kind: str, terms: list[str]) -> dict[str, float]:
    found = search.associations_search(
        {"biolink:has_phenotype"},
        known.intersection(terms),
        False,
        kind,
        None,
        ["OMIM:"],
        "ancestor_information_content",
        len(curies),
        "bidirectional",
    )
    return {subject: score for score, _, subject in found}


# semsimian prints progress on standard output, where the answers go: give it standard error.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
serve(
    {"semsimian-full": partial(rank, "full"), "semsimian-flat": partial(rank, "flat")},
    curies,
    answers=answers,
)
