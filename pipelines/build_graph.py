"""Build the default graph: python pipelines/build_graph.py --data DIR [--out ontologies/default]."""

import argparse
from pathlib import Path

from kgmed.build import build_graph, compile_default

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, help="folder that holds the files named in the sources file")
parser.add_argument("--sources", type=Path, help="sources file (default: ontologies/sources.toml)")
parser.add_argument("--out", type=Path, default=Path("ontologies/default"), help="folder to write")
parser.add_argument("--download", action="store_true", help="fetch what is missing from its official address")
arguments = parser.parse_args()

graph = build_graph(arguments.data, sources=arguments.sources, download=arguments.download, report=print)
compile_default(graph, arguments.out)
print(f"{graph!r} written to {arguments.out}")
