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
Places = list[tuple[int, int]]

# Word pieces of the longest text; what stands behind them is cut off.
_MAX_PIECES = 98
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

    def states(self, texts: Sequence[str]) -> list[tuple[FloatArray, Places]]:
        """Word pieces of each text: their states, shape (n_pieces, dimensions), and places in the text.

        Pieces behind the 96th are left out.
        """
        encoded = self._tokenizer.encode_batch(list(texts))
        out: list[tuple[FloatArray, Places] | None] = [None] * len(encoded)
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            width = len(encoded[batch[-1]].ids)
            ids = np.zeros((len(batch), width), dtype=np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(encoded[i].ids)] = encoded[i].ids
                mask[row, : len(encoded[i].ids)] = 1
            states = self._network.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            for row, i in enumerate(batch):
                # Without the marks of beginning and end.
                last = len(encoded[i].ids) - 1
                out[i] = states[row, 1:last], encoded[i].offsets[1:last]
        return [found for found in out if found is not None]


@cache
def default_encoder() -> Encoder:
    """The encoder that ships with kgmed."""
    return Encoder(models_folder() / "encoder")
