"""The list of common and dangerous diseases: well formed, without duplicates, known to the graph."""

import csv
import re
from collections import Counter

import pytest

from kgmed.graph import KnowledgeGraph
from kgmed.resources import ontologies_folder

COLUMNS = ["chapter", "name", "mondo", "kgmed", "icd10cm", "settings", "reason", "note"]
SETTINGS = {
    "primary",
    "emergency",
    "hospital",
    "paediatrics",
    "obstetrics",
    "dermatology",
    "psychiatry",
    "ophthalmology",
    "ent",
}
REASONS = {"common", "dangerous", "common+dangerous", "mimic", "treatable-rare"}
CHAPTER = re.compile(r"([A-Z]\d[0-9A-Z])-([A-Z]\d[0-9A-Z]) \S.*")
ICD10CM = re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    path = ontologies_folder() / "common" / "diseases.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found = list(reader)
    assert reader.fieldnames == COLUMNS
    return found


def test_every_row_has_all_columns_and_known_words(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert None not in row and None not in row.values(), row
        assert all(value == value.strip() for value in row.values()), row
        assert row["name"] and row["reason"] in REASONS, row
        settings = row["settings"].split(",")
        assert set(settings) <= SETTINGS and len(set(settings)) == len(settings), row
        assert len(row["note"].split()) <= 5, row


def test_codes_are_well_formed_and_lie_in_their_chapter(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert ICD10CM.fullmatch(row["icd10cm"]), row
        chapter = CHAPTER.fullmatch(row["chapter"])
        assert chapter is not None, row
        assert chapter[1] <= row["icd10cm"][:3] <= chapter[2], row


def test_no_name_and_no_mondo_term_appears_twice(rows: list[dict[str, str]]) -> None:
    for column in ("name", "mondo", "kgmed"):
        seen = Counter(row[column].casefold() for row in rows if row[column])
        assert [value for value, count in seen.items() if count > 1] == []


def test_rows_are_sorted_by_chapter_and_name(rows: list[dict[str, str]]) -> None:
    keys = [(row["chapter"], row["name"].casefold()) for row in rows]
    assert keys == sorted(keys)


def test_mondo_terms_are_current_diseases_of_the_graph(
    rows: list[dict[str, str]], graph: KnowledgeGraph
) -> None:
    for row in rows:
        if row["mondo"]:
            term = graph.term(row["mondo"])
            assert row["mondo"].startswith("MONDO:") and term.kind == "disease" and not term.obsolete, row


def test_the_list_is_long_and_covers_every_setting(rows: list[dict[str, str]]) -> None:
    assert len(rows) >= 1200
    counts = Counter(setting for row in rows for setting in row["settings"].split(","))
    assert {setting for setting in SETTINGS if counts[setting] < 60} == set()
