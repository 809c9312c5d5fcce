"""Labelled notes in the formats that data teams have."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.errors import ParseError
from kgmed.train.labels import CORPORA, SCHEME, meaning
from kgmed.train.notes import LabelledNote, Span, read_notes

NOTE = {
    "id": "n1",
    "text": "Fever and cough, on ramipril.",
    "entities": [
        {"start": 0, "end": 5, "label": "Finding"},
        {"start": 10, "end": 15, "label": "Finding"},
        {"start": 20, "end": 28, "label": "Drug"},
    ],
}
SPANS = (Span(0, 5, "Finding"), Span(10, 15, "Finding"), Span(20, 28, "Drug"))


def words(note: LabelledNote) -> list[tuple[str, str]]:
    return [(note.text[s.start : s.end], s.label) for s in note.spans]


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(NOTE) + "\n\n").encode()))
    (note,) = read_notes(path)
    assert (note.id, note.spans, note.split) == ("n1", SPANS, "")


def test_iob(tmp_path: Path) -> None:
    path = tmp_path / "notes.conll"
    path.write_text("Acute B-Severity\nkidney B-Disease\ninjury I-Disease\n\nNo O\nfever B-Finding\n")
    assert [words(n) for n in read_notes(path)] == [
        [("Acute", "Severity"), ("kidney injury", "Disease")],
        [("fever", "Finding")],
    ]


def test_brat(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(NOTE["text"], encoding="utf-8")
    (tmp_path / "a.ann").write_text("T1\tFinding 0 5\tFever\nR1\tx Arg1:T1\nT2\tDrug 20 28\tramipril\n")
    (note,) = read_notes(tmp_path)
    assert words(note) == [("Fever", "Finding"), ("ramipril", "Drug")]


def test_docbin(tmp_path: Path) -> None:
    import spacy
    from spacy.tokens import DocBin

    doc = spacy.blank("en")(NOTE["text"])
    doc.ents = [doc.char_span(s.start, s.end, label=s.label) for s in SPANS]
    DocBin(docs=[doc]).to_disk(tmp_path / "notes.spacy")
    (note,) = read_notes(tmp_path / "notes.spacy")
    assert note.spans == SPANS


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is no JSON object"),
        ("[]", "needs a text"),
        ('{"text": "a", "entities": [{"start": 0, "end": 2, "label": "X"}]}', "lies outside the text"),
        ('{"text": "ab", "entities": [{"start": 1, "end": 1, "label": "X"}]}', "lies outside the text"),
        ('{"text": "ab", "entities": [{"start": true, "end": 1, "label": "X"}]}', "needs whole numbers"),
        ('{"text": "ab", "entities": [1]}', "must be an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text(json.dumps(NOTE) + "\n" + line + "\n")
    with pytest.raises(ParseError, match=says) as error:
        read_notes(path)
    assert error.value.line == 2


def test_an_unknown_kind_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    for name, says in (("notes.csv", "is none of"), ("notes.jsonl", "holds no notes")):
        (tmp_path / name).write_text("")
        with pytest.raises(ParseError, match=says):
            read_notes(tmp_path / name)


@given(st.binary(max_size=200), st.sampled_from([".jsonl", ".jsonl.gz", ".iob", ".spacy"]))
def test_damaged_files_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"notes{kind}"
    path.write_bytes(data)
    try:
        notes = read_notes(path)
    except ParseError as error:
        assert str(path) in str(error)
    else:
        assert all(0 <= s.start < s.end <= len(n.text) for n in notes for s in n.spans)


def test_every_label_means_labels_of_the_scheme() -> None:
    assert {m for labels in CORPORA.values() for means in labels.values() for m in means} <= set(SCHEME)
    assert meaning("a hospital", "Finding") == ("Finding",)
    assert meaning("maccrobat2020", "Date") == ()
