"""Free text to findings, diseases, measurements, age and sex.

```python
reading = TextReader(graph).read("A 5-year-old girl with short stature, no seizures. Hb 9.2 g/dL.")
```

Each module is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgmed.text.context import Section as Section
    from kgmed.text.lexicon import LEXICON_FILE as LEXICON_FILE
    from kgmed.text.lexicon import compile_lexicon as compile_lexicon
    from kgmed.text.match import DictionaryTagger as DictionaryTagger
    from kgmed.text.match import Mention as Mention
    from kgmed.text.reader import Tagger as Tagger
    from kgmed.text.reader import TextReader as TextReader
    from kgmed.text.reader import TextReading as TextReading

_WHERE = {
    "DictionaryTagger": "match",
    "LEXICON_FILE": "lexicon",
    "Mention": "match",
    "Section": "context",
    "Tagger": "reader",
    "TextReader": "reader",
    "TextReading": "reader",
    "compile_lexicon": "lexicon",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'kgmed.text' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kgmed.text.{_WHERE[name]}"), name)
