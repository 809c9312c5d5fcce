"""kgmed: clinical reasoning over a medical knowledge graph.

```python
ranking = kgmed.diagnose(record)              # Record, phenopacket, FHIR bundle, dict, or plain text
best = ranking[0]
print(best.name, best.posttest_probability)
for evidence in best.explanation:
    print(evidence.finding, evidence.match, evidence.log10_lr, evidence.path)
print(ranking.triage.level, ranking.triage.reason)
kgmed.ask(record)                             # what to ask or test next
```

Everything below is loaded when it is first used; `import kgmed` itself loads no
other package.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> module that holds it
_WHERE = {
    "Allergy": "record",
    "Case": "record",
    "ConfigError": "errors",
    "Diagnosis": "result",
    "Edge": "ontology",
    "Engine": "engine",
    "Evidence": "result",
    "Explanation": "result",
    "Failure": "result",
    "Finding": "record",
    "InputError": "errors",
    "Interview": "interview",
    "Issue": "record",
    "KgmedError": "errors",
    "KnowledgeGraph": "graph",
    "Measurement": "record",
    "Medication": "record",
    "Ontology": "ontology",
    "ParseError": "errors",
    "Path": "graph",
    "Ranking": "result",
    "Record": "record",
    "RecordError": "errors",
    "Term": "ontology",
    "UnknownTermError": "errors",
    "Question": "result",
    "Together": "result",
    "Triage": "result",
    "ask": "engine",
    "diagnose": "engine",
    "diagnose_many": "engine",
    "load_engine": "engine",
    "load_ontology": "read",
    "read_record": "intake",
    "read_records": "intake",
    "validate": "read",
}

__all__ = sorted([*_WHERE, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'kgmed' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"kgmed.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
