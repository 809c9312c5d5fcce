"""Phrases to vectors: a BERT encoder of six layers (all-MiniLM-L6-v2), run by ONNX Runtime in int8.

The weights ship with kgmed (`models/encoder/`); `pipelines/build_encoder.py` makes them. Two phrases
that mean the same have vectors of a cosine near 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kgmed.errors import GraphFileError
from kgmed.resources import models_folder

__all__ = ["Encoder", "default_encoder"]

FloatArray = np.ndarray[Any, np.dtype[np.float32]]

# Word pieces of the longest phrase; what stands behind them is cut off.
_MAX_PIECES = 40
# Phrases of about one length go through the network together.
_BATCH = 16


class Encoder:
    """A network of `folder`: `model.onnx`, `tokenizer.json` and `card.json`.

    Attributes:
        dimensions: Length of a vector.
        made_with: Checksum of the network, to tell vectors of another one.

    Raises:
        GraphFileError: If a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        for name in ("model.onnx", "tokenizer.json", "card.json"):
            if not (folder / name).is_file():
                raise GraphFileError(f"{folder / name} is missing; install kgmed again")
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        self.dimensions: int = card["dimensions"]
        self.made_with: str = card["sha256"]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_PIECES)
        options = onnxruntime.SessionOptions()
        # One thread: the same sums in the same order, and other records beside it.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._network = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def encode(self, phrases: Sequence[str]) -> FloatArray:
        """Vectors of length 1, shape (n_phrases, dimensions)."""
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch(list(phrases))]
        vectors = np.zeros((len(pieces), self.dimensions), dtype=np.float32)
        order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            width = len(pieces[batch[-1]])
            ids = np.zeros((len(batch), width), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(pieces[i])] = pieces[i]
                mask[row, : len(pieces[i])] = 1
            vectors[batch] = self._network.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors


@cache
def default_encoder() -> Encoder:
    """The encoder that ships with kgmed."""
    return Encoder(models_folder() / "encoder")
