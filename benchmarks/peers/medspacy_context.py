"""medspaCy's ConText on mentions given as JSON lines (stdin), one answer a line (stdout).

Runs in an environment of its own: medspaCy pins spaCy 3.7 and numpy 1.
Input `{text, start, end}`; output `{negated, historical, family, seconds}`.
"""

import json
import sys
import time

import medspacy
from spacy.tokens import Span

nlp = medspacy.load(medspacy_enable=["medspacy_pyrush", "medspacy_context"])
nlp("Warm up.")
for line in sys.stdin:
    row = json.loads(line)
    began = time.perf_counter()
    doc = nlp.make_doc(row["text"])
    span = doc.char_span(row["start"], row["end"], label="MENTION", alignment_mode="expand")
    doc.ents = [Span(doc, span.start, span.end, label="MENTION")]
    for name in nlp.pipe_names:
        doc = nlp.get_pipe(name)(doc)
    found = doc.ents[0]._
    answer = {"negated": found.is_negated, "historical": found.is_historical, "family": found.is_family}
    print(json.dumps({**answer, "seconds": time.perf_counter() - began}), flush=True)
