"""Knowledge written by hand: disease cards and the finding vocabulary under `ontologies/common/`."""

from kgmed.curated.card import Card, Item, read_cards
from kgmed.curated.compile import compile_curated
from kgmed.curated.ddxplus import compile_ddxplus, simulated_table
from kgmed.curated.library import Library
from kgmed.curated.lint import Lint, lint
from kgmed.curated.names import Names
from kgmed.curated.vocabulary import FindingRow, ListedDisease, read_list, read_vocabulary

__all__ = [
    "Card",
    "FindingRow",
    "Item",
    "Library",
    "Lint",
    "ListedDisease",
    "Names",
    "compile_curated",
    "compile_ddxplus",
    "lint",
    "read_cards",
    "read_list",
    "read_vocabulary",
    "simulated_table",
]
