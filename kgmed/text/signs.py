"""Findings that are written with a number: "the liver is palpated 3 cm below the costal margin".

The patterns are a list (`ontologies/text/signs.toml`); the names in it are looked up in the
lexicon, so a graph without a finding leaves its pattern out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from kgmed.text.lexicon import Lexicon
from kgmed.text.match import Mention
from kgmed.text.words import read_list

__all__ = ["read_signs"]


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (row["finding"], re.compile(row["pattern"], re.IGNORECASE)) for row in read_list("signs")["sign"]
    )


def read_signs(text: str, lexicon: Lexicon) -> Iterator[Mention]:
    """Mentions of the findings whose pattern the text holds."""
    for name, pattern in _patterns():
        term = lexicon.finding(name)
        if term is not None:
            for match in pattern.finditer(text):
                yield Mention(match.start(), match.end(), term)
