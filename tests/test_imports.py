"""What importing kgmed costs, and which way imports point."""

import ast
import subprocess
import sys
from pathlib import Path

import kgmed

PACKAGE = Path(kgmed.__file__).parent
HEAVY = {
    "torch",
    "transformers",
    "networkx",
    "rdflib",
    "torch_geometric",
    "spacy",
    "pandas",
    "pyarrow",
    "numpy",
    "fhir",
    "phenopackets",
    "typer",
    "rich",
}
# Lower numbers know nothing of higher ones.
LAYER = {
    "errors": 0,
    "resources": 1,
    "ontology": 1,
    "record": 1,
    "codes": 1,
    "config": 1,
    "metrics": 1,
    "columns": 2,
    "curated": 4,
    "measure": 2,
    "graph": 3,
    "result": 4,
    "read": 5,
    "intake": 5,
    "text": 5,
    "score": 5,
    "render": 5,
    "check": 5,
    "sparql": 6,
    "engine": 6,
    "build": 6,
    "interview": 7,
    "train": 7,
    "cli": 8,
    "__main__": 9,
}


def test_importing_kgmed_loads_no_other_package():
    code = "import sys, kgmed; print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(loaded.split())


def test_a_structured_diagnosis_loads_no_heavy_package():
    code = (
        "import sys, kgmed; kgmed.diagnose({'present': ['HP:0001166']})[0].explanation;"
        "print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "spacy", "pandas", "rdflib", "networkx", "fhir"} & set(
        loaded.split()
    )


def _module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """The kgmed modules that a file imports when it is loaded, not inside functions or for types only."""
    found = set()
    body = list(ast.parse(path.read_text(encoding="utf-8")).body)
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kgmed."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "kgmed":
            found.update(alias.name for alias in node.names if alias.name in LAYER)
    return found


def test_imports_point_down():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        module = _module(path)
        if module == "__init__":
            continue
        for other in _imported(path):
            if other != module and LAYER[other] >= LAYER[module] and module in LAYER:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert not wrong


def test_every_module_has_a_layer():
    modules = {_module(p) for p in PACKAGE.rglob("*.py")} - {"__init__", "ontologies"}
    assert modules == set(LAYER)


def test_the_public_surface_is_exact_and_documented():
    assert kgmed.__all__ == sorted(kgmed.__all__)
    for name in kgmed.__all__:
        value = getattr(kgmed, name)
        if name != "__version__":
            assert value.__doc__
