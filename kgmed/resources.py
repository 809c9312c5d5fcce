"""Where the data that ships with kgmed lies."""

from __future__ import annotations

from pathlib import Path

from kgmed.errors import GraphFileError

__all__ = ["ontologies_folder"]


def ontologies_folder() -> Path:
    """The folder `ontologies/`: inside the installed package, or beside it in a checkout.

    Raises:
        GraphFileError: If neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "ontologies", package.parent / "ontologies"):
        if folder.is_dir():
            return folder
    raise GraphFileError("the ontologies folder is missing from this installation; install kgmed again")
