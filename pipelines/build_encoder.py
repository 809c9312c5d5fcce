"""Make the encoder that ships with kgmed: an ONNX network in int8 of what `train_encoder.py` has trained.

    pip install onnx onnxscript
    python pipelines/build_encoder.py --weights runs/encoder [--out models/encoder]

The network takes word pieces and gives their last states. Prints how near the int8 states are to those of
the original.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from kgmed.graph import write_atomically
from kgmed.text.encoder import Encoder

SAMPLES = (
    "weak urinary stream",
    "can't catch my breath",
    "tearing pain to the back",
    "Increased circulating ferritin concentration",
    "rash that spreads from the trunk outward",
)


class States(torch.nn.Module):
    """Word pieces to their last states."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.network(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=torch.zeros_like(input_ids)
        ).last_hidden_state


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True, help="folder that train_encoder.py wrote")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "models" / "encoder")
    options = parser.parse_args()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    tokenizer = AutoTokenizer.from_pretrained(options.weights, local_files_only=True)
    network = AutoModel.from_pretrained(
        options.weights, local_files_only=True, attn_implementation="eager"
    ).eval()
    pieces = tokenizer(list(SAMPLES), padding=True, return_tensors="pt")
    inputs = (pieces["input_ids"], pieces["attention_mask"])
    with torch.no_grad():  # before the export, which leaves the network changed
        exact = States(network)(*inputs).numpy()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        torch.onnx.export(
            States(network),
            inputs,
            str(whole),
            input_names=["input_ids", "attention_mask"],
            output_names=["states"],
            dynamic_axes={
                "input_ids": {0: "phrase", 1: "piece"},
                "attention_mask": {0: "phrase", 1: "piece"},
                "states": {0: "phrase", 1: "piece"},
            },
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(whole, small, weight_type=QuantType.QInt8, per_channel=True)
        write_atomically(options.out / "model.onnx", small.read_bytes())
    shutil.copy(options.weights / "tokenizer.json", options.out / "tokenizer.json")
    card = {
        "name": "all-MiniLM-L6-v2, fine-tuned on the names of findings",
        "licence": "Apache-2.0",
        "training": json.loads((options.weights / "training.json").read_text(encoding="utf-8")),
        "layers": network.config.num_hidden_layers,
        "dimensions": network.config.hidden_size,
        "weights": "int8, per channel; states in fp32",
        "sha256": hashlib.sha256((options.out / "model.onnx").read_bytes()).hexdigest(),
    }
    write_atomically(options.out / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    nearness = []
    for sample, original, mask in zip(SAMPLES, exact, inputs[1].numpy(), strict=True):
        ((states, _),) = Encoder(options.out).states([sample])
        one, other = states.mean(axis=0), original[1 : mask.sum() - 1].mean(axis=0)
        nearness.append(float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    print(f"cosine of int8 and fp32 vectors: least {min(nearness):.3f}, mean {np.mean(nearness):.3f}")


if __name__ == "__main__":
    main()
