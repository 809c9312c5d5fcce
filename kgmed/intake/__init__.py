"""Patient formats to `Record`: notes, dicts, phenopackets, FHIR bundles, tables.

```python
record = read_record({"id": "p1", "sex": "FEMALE", "present": ["HP:0001250"]})
record = read_record(Path("patient.json"))       # phenopacket, FHIR bundle or kgmed's dict
for record in iter_records(Path("cohort.csv")):  # a Record, or the error in its place
    ...
```

Nothing is fetched. The readers of the formats (and pandas, fhir.resources,
phenopackets) are loaded when one of theirs comes along.
"""

from __future__ import annotations

from kgmed.intake.native import record_to_dict
from kgmed.intake.source import FORMATS, iter_records, read_record, read_records

__all__ = ["FORMATS", "iter_records", "read_record", "read_records", "record_to_dict"]
