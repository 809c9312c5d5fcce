"""Where the data that ships with kgmed lies."""

from __future__ import annotations

from pathlib import Path

from kgmed.errors import GraphFileError

__all__ = ["models_folder", "ontologies_folder"]


def ontologies_folder() -> Path:
    """The folder `ontologies/`: inside the installed package, or beside it in a checkout.

    Raises:
        GraphFileError: If neither is there.
    """
    return _folder("ontologies")


def models_folder() -> Path:
    """The folder `models/` of the networks' weights, likewise.

    Raises:
        GraphFileError: If it is not there.
    """
    return _folder("models")


def _folder(name: str) -> Path:
    package = Path(__file__).resolve().parent
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise GraphFileError(f"the folder {name} is missing from this installation; install kgmed again")
