"""Findings and assertion in text, beside fenominal, negspacy, medspaCy and a plain dictionary.

    python benchmarks/text.py --data DIR [--split test] [--no-peers] [--json out.json]

DIR (or DIR/corpora) holds the annotated corpora as JSON lines: `gscplus_dev`, `gscplus_test`
and `id68` (findings, HPO) and `negex_context` (assertion), each `NAME.jsonl.gz`.

Strict mention F1: a mention counts when its span is exactly a gold span and its term one of
the gold terms; micro average. Document F1: sets of terms per document; micro average. Gold
identifiers are brought to the graph's release first. All gold mentions count, nested ones
too. GSC+ annotates nested mentions and ID-68 does not: `kgmed` is the default, which gives those that
are more than the finding without a degree, a side or a course; `kgmed outer` gives none
(`DictionaryTagger(..., nested=False)`). Only gscplus_dev was tuned on.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_pool] = "1"

import argparse
import gzip
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kgmed.graph import KnowledgeGraph, write_atomically
from kgmed.resources import ontologies_folder
from kgmed.text import DictionaryTagger, TextReader
from kgmed.text.context import Context

Row = dict[str, Any]
Mentions = set[tuple[int, int, str]]
System = Callable[[str], Mentions]

SETS = {"dev": ("gscplus_dev",), "test": ("gscplus_test", "id68", "negex_context")}
SETS["all"] = SETS["dev"] + SETS["test"]
KINDS = ("negated", "historical", "family")
MEDSPACY = Path(__file__).parent / "peers" / "medspacy_context.py"
REPEATS = 30
# Our own sentences; repeated to 300 words.
NOTE = """A 34-year-old woman presents with a 3-day history of fever, severe headache and neck stiffness.
She denies chest pain, dyspnea, nausea or vomiting. She has a history of asthma and migraine. Her mother
had epilepsy and hypothyroidism. On examination temperature is 38.9 C, BP 98/60 mmHg, heart rate 118 bpm,
respiratory rate 22 and SpO2 95%. There is photophobia, mild splenomegaly and a purpuric rash of both
lower limbs, without hepatomegaly or lymphadenopathy. Reflexes are brisk and the gait is ataxic. Possible
papilledema was noted. Laboratory results: Hb 9.8 g/dL, WBC 18,200/uL, platelets 88 x10^9/L, sodium 129
mmol/L, creatinine 1.6 mg/dL and CRP 182 mg/L. The thumbs are short and broad, the palate is high and
there is bilateral hearing loss since age 6. Hypoplasia of the corpus callosum was seen on MRI. """


def read(folder: Path, name: str, limit: int | None) -> list[Row]:
    for path in (folder / f"{name}.jsonl.gz", folder / "corpora" / f"{name}.jsonl.gz"):
        if path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as stream:
                return [json.loads(line) for line in stream][:limit]
    raise SystemExit(f"{folder} holds no {name}.jsonl.gz, nor does its folder corpora")


def f1(true: int, given: int, gold: int) -> tuple[float, float, float]:
    precision, recall = true / given if given else 0.0, true / gold if gold else 0.0
    return precision, recall, 2 * true / (given + gold) if given + gold else 0.0


def score_findings(graph: KnowledgeGraph, documents: list[Row], system: System) -> dict[str, float]:
    strict = [0, 0, 0]
    document_level = [0, 0, 0]
    for document in documents:
        gold: dict[tuple[int, int], set[str]] = {}
        for entity in document["entities"]:
            terms = {graph.resolve(c) or c for c in entity["concept_ids"]}
            gold.setdefault((entity["start"], entity["end"]), set()).update(terms)
        # The corpora are annotated with HPO; what kgmed's own vocabulary adds is not in them.
        found = {
            (a, b, graph.resolve(term) or term)
            for a, b, term in system(document["text"])
            if term.startswith("HP:")
        }
        hits = {(a, b) for a, b, term in found if term in gold.get((a, b), ())}
        given = {term for _, _, term in found}
        wanted = {term for terms in gold.values() for term in terms}
        counts = (len(hits), len(found), len(gold)), (len(given & wanted), len(given), len(wanted))
        for total, new in zip((strict, document_level), counts, strict=True):
            for i in range(3):
                total[i] += new[i]
    names = ("precision", "recall", "f1")
    out = {f"strict_{n}": v for n, v in zip(names, f1(*strict), strict=True)}
    return out | {f"document_{n}": v for n, v in zip(names, f1(*document_level), strict=True)}


def plain_dictionary(graph: KnowledgeGraph) -> System:
    """Longest match of lower-case names and synonyms, word for word, plural `s` aside."""
    word = re.compile(r"\w+")

    def key(text: str) -> tuple[str, ...]:
        words = (m.group().lower() for m in word.finditer(text))
        return tuple(w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words)

    names: dict[tuple[str, ...], str] = {}
    findings = {t.curie: t for t in graph.terms("finding") if not t.obsolete and len(t.name) > 3}
    for term in findings.values():
        names.setdefault(key(term.name), term.curie)
    for synonym in graph.synonyms():
        if synonym.term in findings and len(synonym.text) > 3:
            names.setdefault(key(synonym.text), synonym.term)
    longest = max(map(len, names))

    def system(text: str) -> Mentions:
        words = list(word.finditer(text))
        keys = [key(m.group())[0] for m in words]
        found: Mentions = set()
        at = 0
        while at < len(words):
            for size in range(min(longest, len(words) - at), 0, -1):
                term = names.get(tuple(keys[at : at + size]))
                if term is not None:
                    found.add((words[at].start(), words[at + size - 1].end(), term))
                    at += size - 1
                    break
            at += 1
        return found

    return system


def obographs(graph: KnowledgeGraph) -> dict[str, Any]:
    """The findings of a graph as an OBO Graphs document, for peers that read nothing else."""
    iri = {
        t.curie: "http://purl.obolibrary.org/obo/" + t.curie.replace(":", "_") for t in graph.terms("finding")
    }
    synonyms: dict[str, list[Row]] = {}
    for s in graph.synonyms():
        if s.term in iri:
            synonyms.setdefault(s.term, []).append({"pred": f"has{s.scope.title()}Synonym", "val": s.text})
    nodes = [
        {"id": iri[t.curie], "lbl": t.name, "type": "CLASS", "meta": {"synonyms": synonyms.get(t.curie, [])}}
        for t in graph.terms("finding")
        if not t.obsolete
    ]
    edges = [
        {"sub": iri[e.subject], "pred": "is_a", "obj": iri[e.object]}
        for e in graph.edges(predicate="is_a")
        if e.subject in iri and e.object in iri
    ]
    meta = {"version": "http://purl.obolibrary.org/obo/hp/releases/2025-05-06/hp.json"}
    document = {"id": "http://purl.obolibrary.org/obo/hp.json", "meta": meta, "nodes": nodes, "edges": edges}
    return {"graphs": [document]}


def fenominal_system(graph: KnowledgeGraph, data: Path) -> System:
    from fenominal import fenominal

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hp.json"
        given = sorted(data.glob("knowledge/hpo/hp*.json.gz"))
        path.write_bytes(
            gzip.decompress(given[-1].read_bytes()) if given else json.dumps(obographs(graph)).encode()
        )
        miner = fenominal.Fenominal(str(path))

    def system(text: str) -> Mentions:
        # Its offsets are bytes in some texts and characters in others: the peer is given
        # whichever cuts no word.
        offsets = {0: 0}
        at = 0
        for i, character in enumerate(text, 1):
            at += len(character.encode())
            offsets[at] = i

        def whole(start: int, end: int) -> bool:
            around = text[max(start - 1, 0) : start] + "|" + text[end : end + 1]
            return start < end and not any(c.isalnum() for c in around)

        found: Mentions = set()
        for row in json.loads(miner.map_text(text)):
            given = row["span"]["start"], row["span"]["end"]
            mapped = offsets.get(given[0], given[0]), offsets.get(given[1], given[1])
            start, end = mapped if whole(*mapped) or not whole(*given) else given
            found.add((start, end, row["termId"]))
        return found

    return system


def negspacy_nlp() -> Any:
    import spacy
    from negspacy.negation import Negex  # noqa: F401 (registers the component)
    from negspacy.termsets import termset

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe(
        "negex", config={"ent_types": ["MENTION"], "neg_termset": termset("en_clinical").get_patterns()}
    )
    return nlp


def negspacy_assertions(mentions: list[Row]) -> Iterable[Row]:
    nlp = negspacy_nlp()
    for mention in mentions:
        began = time.perf_counter()
        doc = nlp.make_doc(mention["text"])
        doc.ents = [doc.char_span(mention["start"], mention["end"], label="MENTION", alignment_mode="expand")]
        for _, component in nlp.pipeline:
            doc = component(doc)
        yield {"negated": doc.ents[0]._.negex, "seconds": time.perf_counter() - began}


def medspacy_assertions(mentions: list[Row], python: Path) -> Iterable[Row]:
    lines = "".join(json.dumps({k: m[k] for k in ("text", "start", "end")}) + "\n" for m in mentions)
    done = subprocess.run([python, MEDSPACY], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def kgmed_assertions(mentions: list[Row]) -> Iterable[Row]:
    for mention in mentions:
        began = time.perf_counter()
        said = Context(mention["text"]).assertion(mention["start"], mention["end"])
        yield {kind: getattr(said, kind) for kind in KINDS} | {"seconds": time.perf_counter() - began}


def score_assertions(mentions: list[Row], answers: list[Row]) -> dict[str, float]:
    out = {}
    for kind in KINDS:
        if kind in answers[0]:
            true = sum(m[kind] and a[kind] for m, a in zip(mentions, answers, strict=True))
            out[f"{kind}_f1"] = f1(true, sum(a[kind] for a in answers), sum(m[kind] for m in mentions))[2]
    return out | {"ms_per_sentence": 1000 * statistics.median(a["seconds"] for a in answers)}


def milliseconds(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the corpora, or with corpora/")
    parser.add_argument("--split", choices=sorted(SETS), default="all")
    parser.add_argument("--limit", type=int, help="documents per set")
    parser.add_argument("--graph", type=Path, default=ontologies_folder() / "default", help="compiled graph")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--peers-venv", type=Path, help="environment that has medspacy")
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()

    rows: list[Row] = []

    def report(name: str, protocol: str, system: str, values: dict[str, float], n: int) -> None:
        rows.extend(
            {"set": name, "protocol": protocol, "system": system, "metric": m, "value": v, "n": n}
            for m, v in values.items()
        )
        print(f"{name:14} {system:12} " + "  ".join(f"{m} {v:.3f}" for m, v in values.items()), flush=True)

    began = time.perf_counter()
    graph = KnowledgeGraph.load(arguments.graph)
    reader = TextReader(graph)
    print(f"graph and lexicon opened in {time.perf_counter() - began:.2f} s")
    assert isinstance(reader.tagger, DictionaryTagger)
    outer = DictionaryTagger(reader.tagger.lexicon, nested=False)
    systems: dict[str, System] = {
        "kgmed": lambda text: {(m.start, m.end, m.term) for m in reader.tagger(text) if not m.disease},
        "kgmed outer": lambda text: {(m.start, m.end, m.term) for m in outer(text) if not m.disease},
        "dictionary": plain_dictionary(graph),
    }
    if not arguments.no_peers:
        systems["fenominal"] = fenominal_system(graph, arguments.data)
    for name in SETS[arguments.split]:
        documents = read(arguments.data, name, arguments.limit)
        if name != "negex_context":
            for label, system in systems.items():
                report(name, "findings", label, score_findings(graph, documents, system), len(documents))
            continue
        mentions = [
            {
                "text": d["text"],
                "start": e["start"],
                "end": min(e["end"], len(d["text"])),
                "negated": e["assertion"] == "negated",
                "historical": e["temporality"] == "historical",
                "family": e["experiencer"] != "patient",
            }
            for d in documents
            for e in d["entities"]
            if e["start"] < len(d["text"])
        ]
        answers = {"kgmed": list(kgmed_assertions(mentions))}
        if not arguments.no_peers:
            answers["negspacy"] = list(negspacy_assertions(mentions))
            if arguments.peers_venv:
                python = arguments.peers_venv / "bin" / "python"
                answers["medspacy"] = list(medspacy_assertions(mentions, python))
            else:
                print("medspacy: left out, give --peers-venv")
        for label, given in answers.items():
            report(name, "assertion", label, score_assertions(mentions, given), len(mentions))

    note = " ".join((NOTE * 3).split()[:300])
    speed = {"kgmed": milliseconds(lambda: reader.read(note))}
    if not arguments.no_peers:
        speed["fenominal"] = milliseconds(lambda: systems["fenominal"](note))
        nlp = negspacy_nlp()
        spans = [(m.start, m.end) for m in reader.tagger(note)]

        def assert_all() -> None:
            doc = nlp.make_doc(note)
            found = (doc.char_span(a, b, label="MENTION", alignment_mode="expand") for a, b in spans)
            doc.ents = __import__("spacy").util.filter_spans([s for s in found if s is not None])
            for _, component in nlp.pipeline:
                doc = component(doc)

        speed["negspacy"] = milliseconds(assert_all)
    for label, value in speed.items():
        # fenominal only finds terms, negspacy only negates given mentions; kgmed reads the whole note.
        report(
            "note_300_words", "speed", label, {"ms": value, "ratio_to_kgmed": value / speed["kgmed"]}, REPEATS
        )
    if arguments.json:
        write_atomically(arguments.json, json.dumps(rows, indent=1).encode())


if __name__ == "__main__":
    sys.exit(main())
