"""The tagger: windows, tags, partial labels, and a small network that learns."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgmed.errors import ConfigError, InputError
from kgmed.resources import models_folder
from kgmed.train.labels import CORPORA, SCHEME
from kgmed.train.notes import LabelledNote, Span
from kgmed.train.settings import TaggerSettings
from kgmed.train.tagger import (
    SCHEME_HEAD,
    WORD,
    Tagger,
    Window,
    adapted,
    bio,
    counted,
    decode,
    score,
    spans_of,
    tags_of,
    train,
    windows,
)


def pieces(text: str) -> int:
    return len(WORD.findall(text))


def whole(text: str, *spans: Span, source: str = "mine") -> Window:
    return Window("n", source, text, 0, tuple(m.span() for m in WORD.finditer(text)), spans)


@given(st.text(alphabet="ab .\nA1", max_size=120), st.integers(3, 20))
def test_windows_are_the_note_and_no_longer_than_they_may(text: str, most: int) -> None:
    parts = list(windows(LabelledNote("n", text, ()), pieces, most))
    covered = "".join(p.text for p in parts)
    assert "".join(WORD.findall(covered)) == "".join(WORD.findall(text))
    assert all(text[p.offset : p.offset + len(p.text)] == p.text for p in parts)
    assert all(pieces(p.text) <= most for p in parts)


def test_tags_and_spans_are_each_others() -> None:
    text = "severe left-sided chest pain, no fever"
    spans = (Span(0, 6, "Severity"), Span(18, 28, "Finding"), Span(33, 38, "Finding"))
    window = whole(text, *spans)
    assert tuple(spans_of(tags_of(window), window.words)) == spans
    overlapping = whole(text, *spans, Span(18, 23, "Anatomy"))
    assert tags_of(overlapping) == tags_of(window)  # the longer one counts


@given(st.integers(1, 6), st.integers(0, 1000))
def test_decoded_tags_keep_the_rules_and_are_the_best_that_do(n: int, seed: int) -> None:
    tags = bio(["X", "Y"])
    logits = np.random.default_rng(seed).normal(size=(n, len(tags)))
    path = decode(logits, tags)

    def kept(ids: Any) -> bool:
        named = ["O", *(tags[i] for i in ids)]
        return all(b[0] != "I" or (a != "O" and a[2:] == b[2:]) for a, b in itertools.pairwise(named))

    def value(ids: Any) -> float:
        return float(sum(logits[i, t] for i, t in enumerate(ids)))

    assert kept(path)
    if n <= 4:
        best = max(value(ids) for ids in itertools.product(range(len(tags)), repeat=n) if kept(ids))
        assert value(path) == pytest.approx(best)


def test_scores_are_strict() -> None:
    gold = [[Span(0, 4, "A"), Span(6, 9, "B")]]
    found = [[Span(0, 4, "A"), Span(6, 8, "B"), Span(10, 12, "B")]]
    scores = score(gold, found)
    assert (scores[""].precision, scores[""].recall) == (pytest.approx(1 / 3), 0.5)
    assert scores["B"].f1 == 0.0 and scores["A"].f1 == 1.0
    assert score([[]], [[]])[""].f1 == 0.0


def small(heads: dict[str, tuple[str, ...]], labels: dict[str, set[str]] | None = None) -> Tagger:
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(models_folder() / "encoder" / "tokenizer.json"), pad_token="[PAD]"
    )
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return Tagger(BertModel(config, add_pooling_layer=False), tokenizer, heads, 0.0, labels or {})


def test_a_partial_label_leaves_open_what_its_corpus_does_not_annotate() -> None:
    tagger = small({SCHEME_HEAD: SCHEME})
    tags = tagger.tags[SCHEME_HEAD]
    possible = tagger._possible(whole("aspirin for gout", Span(12, 16, "Disease"), source="ncbi_disease"))
    allowed = [{tags[i] for i in np.flatnonzero(row)} for row in possible]
    assert allowed[2] == {"B-Disease", "B-Finding"}
    assert {"O", "B-Drug", "I-Gene"} <= allowed[0]
    assert not {"B-Disease", "I-Disease", "B-Finding", "I-Finding"} & allowed[0]


def test_a_corpus_of_ones_own_annotates_what_it_labels() -> None:
    tagger = small({SCHEME_HEAD: SCHEME}, {"ward": {"Drug", "Ward"}})
    tags = tagger.tags[SCHEME_HEAD]
    window = whole("aspirin on ward 3", Span(0, 7, "Drug"), Span(11, 17, "Ward"), source="ward")
    allowed = [{tags[i] for i in np.flatnonzero(row)} for row in tagger._possible(window)]
    assert allowed[0] == {"B-Drug"}
    assert "B-Finding" in allowed[1] and "B-Drug" not in allowed[1]
    assert allowed[2] == allowed[3] == set(tags)


DRUGS = ("aspirin", "heparin", "insulin", "lithium")
FRAMES = ("he takes {} daily", "we gave {} .", "no {} since", "{} was stopped")
NOTES = [
    whole(f.format(d), Span(f.index("{"), f.index("{") + len(d), "Drug"))
    for d, f in itertools.product(DRUGS, FRAMES)
]
QUICK = TaggerSettings(
    corpora=("x",),
    epochs=12,
    batch=8,
    most_pieces=32,
    learning_rate=3e-3,
    head_learning_rate=1e-2,
    dropout=0.0,
    warm_up=0.1,
    patience=0,
)


def test_it_learns_and_a_run_that_was_cut_off_goes_on_to_the_same_end(tmp_path: Path) -> None:
    def run(folder: str, epochs_first: int | None) -> tuple[list[dict[str, Any]], Tagger]:
        tagger = small({"mine": ("Drug",), SCHEME_HEAD: SCHEME})
        if epochs_first is not None:

            class CutOff(Exception):
                pass

            def stop(_: str) -> None:
                stops.append(1)
                if len(stops) > epochs_first:
                    raise CutOff

            stops: list[int] = []
            with pytest.raises(CutOff):
                train(tagger, NOTES, NOTES, QUICK, tmp_path / folder, say=stop)
            tagger = small({"mine": ("Drug",), SCHEME_HEAD: SCHEME})
        told: list[str] = []
        result = train(
            tagger, NOTES, NOTES, QUICK, tmp_path / folder, resume=epochs_first is not None, say=told.append
        )
        return result["history"], tagger

    straight, tagger = run("straight", None)
    assert straight[-1]["dev_f1"] > 0.9
    resumed, other = run("resumed", 4)
    assert [row["loss"] for row in resumed] == pytest.approx([row["loss"] for row in straight], rel=1e-3)
    assert other.predict(NOTES, "mine", 32) == tagger.predict(NOTES, "mine", 32)
    scheme = tagger.predict([whole("they gave heparin .")], SCHEME_HEAD, 32)
    assert scheme == [[Span(10, 17, "Drug")]]
    changed = dataclasses.replace(QUICK, seed=1)
    with pytest.raises(InputError, match="other settings"):
        train(tagger, NOTES, NOTES, changed, tmp_path / "straight", resume=True)


def test_the_scheme_is_scored_in_what_a_corpus_annotates() -> None:
    def compared(source: str, spans: list[Span], gold: bool) -> list[Span]:
        annotated = {label for means in CORPORA[source].values() for label in means}
        return counted(spans, source, annotated, gold=gold)

    # A finding is what "Disease" may mean there; that nobody marked the drug says nothing.
    gold = compared("ncbi_disease", [Span(0, 4, "Disease")], gold=True)
    assert compared("ncbi_disease", [Span(0, 4, "Finding"), Span(11, 18, "Drug")], gold=False) == gold
    assert compared("maccrobat2020", [Span(0, 4, "Finding")], gold=False) != gold
    assert compared("maccrobat2020", [Span(0, 4, "Date")], gold=True) == []


def test_a_run_for_the_scheme_alone_keeps_its_best_weights(tmp_path: Path) -> None:
    tagger = small({SCHEME_HEAD: SCHEME})
    history = train(tagger, NOTES, NOTES, QUICK, tmp_path, say=lambda _: None)
    assert history["best"]["dev_f1"] > 0.9


def test_lora_leaves_the_weights_below_it_as_they_are(tmp_path: Path) -> None:
    lora = dataclasses.replace(QUICK, method="lora", rank=4, epochs=1)
    tagger = small({"mine": ("Drug",)})
    tagger.encoder = adapted(tagger.encoder, lora)
    before = {name: value.clone() for name, value in tagger.state_dict().items()}
    train(tagger, NOTES, NOTES, lora, tmp_path, say=lambda _: None)
    changed = {n for n, value in tagger.state_dict().items() if not torch.equal(value, before[n])}
    assert changed and all("lora_" in n or n.startswith("heads.") for n in changed)
    assert any("lora_" in n for n in changed)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "cyclical", "constant"])
def test_every_schedule_warms_up_and_runs(tmp_path: Path, schedule: str) -> None:
    short = dataclasses.replace(QUICK, schedule=schedule, epochs=2, heads="corpus")
    history = train(small({"mine": ("Drug",)}), NOTES, NOTES, short, tmp_path, say=lambda _: None)["history"]
    assert history[1]["loss"] < history[0]["loss"]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('heads = "one"', "heads"),
        ("epochs = 0", "epochs"),
        ("epochs = true", "epochs"),
        ("dropout = 1.5", "dropout"),
        ("learning_rate = 0", "learning_rate"),
        ("lerning_rate = 1.0", "lerning_rate"),
        ("corpora = [1]", "corpora"),
        ("epochs =", "TOML"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, line: str, key: str) -> None:
    (tmp_path / "tagger.toml").write_text(line)
    with pytest.raises(ConfigError, match=key):
        TaggerSettings.load(tmp_path / "tagger.toml")


def test_the_settings_that_ship_are_read() -> None:
    assert TaggerSettings.load(Path(__file__).parents[2] / "pipelines" / "tagger.toml").corpora
