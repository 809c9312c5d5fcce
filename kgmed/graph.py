"""The knowledge graph: sourced facts, and walks over them.

A `KnowledgeGraph` is fixed once compiled. It is kept as columns (numpy arrays
and string tables), so that 300,000 edges open in a fraction of a second; `Edge`
and `Term` objects are made when someone looks at them. On disk it is a folder of
Parquet tables with a `manifest.json` that holds releases, licences and checksums.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from kgmed.columns import CODED, Coded, EdgeColumns, IntArray, TermColumns
from kgmed.errors import GraphFileError, InputError, UnknownTermError
from kgmed.ontology import Edge, Ontology, Source, Synonym, Term, TermKind
from kgmed.ontology import Mapping as TermMapping

if TYPE_CHECKING:
    import networkx
    import pandas

__all__ = [
    "FORMAT_VERSION",
    "HAS_PHENOTYPE",
    "HAS_RISK_FACTOR",
    "IS_A",
    "KnowledgeGraph",
    "Path",
    "write_atomically",
]

FORMAT_VERSION = 2
IS_A = "is_a"
HAS_PHENOTYPE = "has_phenotype"
HAS_RISK_FACTOR = "has_risk_factor"


@dataclass(frozen=True, slots=True)
class Path:
    """A walk: (edge, forward) pairs, each starting where the last one ended.

    `forward` is True when the edge is walked from subject to object.
    """

    steps: tuple[tuple[Edge, bool], ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[Edge, bool]]:
        return iter(self.steps)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The CURIEs visited, from start to end."""
        if not self.steps:
            return ()
        first, forward = self.steps[0]
        nodes = [first.subject if forward else first.object]
        nodes += [edge.object if forward else edge.subject for edge, forward in self.steps]
        return tuple(nodes)


class KnowledgeGraph:
    """Terms, names, mappings and sourced edges, compiled and fixed.

    Made by `KnowledgeGraph.compile(ontology)` or `KnowledgeGraph.load(folder)`.
    """

    def __init__(
        self,
        *,
        terms: Iterable[Term],
        edges: EdgeColumns,
        synonyms: tuple[Synonym, ...] | None = None,
        mappings: tuple[TermMapping, ...] | None = None,
        sources: tuple[Source, ...] = (),
        rules: tuple[dict[str, Any], ...] = (),
        folder: FilePath | None = None,
        checksum: str = "",
    ) -> None:
        self._terms = terms if isinstance(terms, TermColumns) else TermColumns.of(terms)
        self._curies = self._terms.curies
        self._ids = {curie: i for i, curie in enumerate(self._curies)}
        self.edge_columns = edges
        self._synonyms_given = synonyms
        self._mappings_given = mappings
        self.sources = {source.id: source for source in sources}
        self.rules = rules
        self.folder = folder
        self.checksum = checksum
        # Asked for at every case; a few megabytes when every term has been asked for.
        self._ancestors: dict[str, frozenset[str]] = {}
        self._mappings_of: dict[str, tuple[str, ...]] = {}

    # ------------------------------------------------------------ compiling

    @classmethod
    def compile(cls, ontology: Ontology) -> KnowledgeGraph:
        """Compile a bundle of facts.

        A term given twice keeps its first definition. Edges, synonyms and mappings may
        name CURIEs that no term defines; those become nodes without a name: diseases and
        findings where `has_phenotype` uses them so, else of kind `other`.

        Raises:
            InputError: If `is_a` runs in a circle; the message names the circle.
        """
        terms: dict[str, Term] = {}
        for term in ontology.terms:
            terms.setdefault(term.curie, term)
        kinds = _kinds_by_use(ontology.edges)
        for curie, source in _mentioned(ontology.edges, ontology.synonyms, ontology.mappings):
            if curie not in terms:
                terms[curie] = Term(curie=curie, name="", kind=kinds.get(curie, "other"), source=source)
        ids = {curie: i for i, curie in enumerate(terms)}
        graph = cls(
            terms=terms.values(),
            edges=EdgeColumns.of(ontology.edges, ids).sorted(),
            synonyms=tuple(ontology.synonyms),
            mappings=tuple(ontology.mappings),
            sources=tuple(ontology.sources),
            rules=tuple(ontology.rules),
        )
        graph._refuse_circles()
        return graph

    def with_ontology(self, ontology: Ontology) -> KnowledgeGraph:
        """A new graph that holds `ontology` on top of this one.

        Terms of the same CURIE are overridden, edges of the same subject,
        predicate and object replaced; everything else is added. Where `ontology`
        names an identifier that it does not define, the graph's own term is meant:
        the MONDO disease of an OMIM number, the successor of an obsolete term.

        Raises:
            InputError: If the result has an `is_a` circle.
        """
        terms = list(self._terms)
        ids = dict(self._ids)
        for term in ontology.terms:
            if term.curie in ids:
                terms[ids[term.curie]] = term
            else:
                ids[term.curie] = len(terms)
                terms.append(term)
        defined = {term.curie for term in ontology.terms}
        meant: dict[str, str] = {}

        def mean(curie: str) -> str:
            if curie not in meant:
                meant[curie] = curie if curie in defined else (self.resolve(curie) or curie)
            return meant[curie]

        edges = [replace(e, subject=mean(e.subject), object=mean(e.object)) for e in ontology.edges]
        synonyms = [replace(s, term=mean(s.term)) for s in ontology.synonyms]
        mappings = [replace(m, term=mean(m.term)) for m in ontology.mappings]
        kinds = _kinds_by_use(edges)
        for curie, source in _mentioned(edges, synonyms, mappings):
            if curie not in ids:
                ids[curie] = len(terms)
                terms.append(Term(curie=curie, name="", kind=kinds.get(curie, "other"), source=source))
        overlay = EdgeColumns.of(edges, ids)
        base = self.edge_columns
        replaced = {(e.subject, e.predicate, e.object) for e in edges}
        keep = np.ones(len(base), dtype=bool)
        for subject, predicate, object_ in replaced:
            keep[self._rows(subject, predicate, object_)] = False
        merged = (base.take(np.flatnonzero(keep)) if not keep.all() else base).append(overlay).sorted()
        graph = KnowledgeGraph(
            terms=terms,
            edges=merged,
            synonyms=(*self._all_synonyms, *synonyms),
            mappings=(*self._all_mappings, *mappings),
            sources=(*self.sources.values(), *ontology.sources),
            rules=(*self.rules, *ontology.rules),
        )
        graph._refuse_circles()
        return graph

    def _refuse_circles(self) -> None:
        import graphlib

        parents: dict[int, list[int]] = {}
        columns = self.edge_columns
        is_a = (columns.predicate.codes == columns.predicate.code(IS_A)) & ~columns.negated
        for row in np.flatnonzero(is_a):
            parents.setdefault(int(columns.subject[row]), []).append(int(columns.object[row]))
        try:
            graphlib.TopologicalSorter(parents).prepare()
        except graphlib.CycleError as error:
            circle = " -> ".join(self._curies[i] for i in reversed(error.args[1]))
            raise InputError(f"is_a runs in a circle: {circle}; remove one of these edges") from None

    # ------------------------------------------------------------ terms

    def __len__(self) -> int:
        return len(self._terms)

    def __contains__(self, curie: object) -> bool:
        return curie in self._ids

    def __repr__(self) -> str:
        return f"<KnowledgeGraph: {len(self._terms):,} terms, {len(self.edge_columns):,} edges>"

    def terms(self, kind: str | None = None) -> Iterator[Term]:
        """All terms, or those of one kind."""
        return (t for t in self._terms if kind is None or t.kind == kind)

    def node_id(self, curie: str) -> int:
        """Row of a term in the graph's tables (internal order, stable within a graph)."""
        try:
            return self._ids[curie]
        except KeyError:
            raise UnknownTermError(curie, self.nearest(curie)) from None

    def curie(self, node: int) -> str:
        """CURIE of a row."""
        return self._curies[node]

    def term(self, curie: str) -> Term:
        """The term of a CURIE.

        Raises:
            UnknownTermError: If the graph does not hold it; the error lists the nearest.
        """
        return self._terms[self.node_id(curie)]

    def name(self, curie: str) -> str:
        """Preferred name, or the CURIE itself when the graph does not know it."""
        node = self._ids.get(curie)
        return (self._terms.columns["name"][node] or curie) if node is not None else curie

    def resolve(self, curie: str) -> str | None:
        """The current CURIE of what `curie` means: itself, its replacement, or what it maps to.

        None when the graph does not know it, or when it maps to more than one term.
        """
        seen: set[str] = set()
        while curie not in seen:
            seen.add(curie)
            node = self._ids.get(curie)
            if node is not None:
                term = self._terms[node]
                if not term.obsolete:
                    return curie
                if not term.replaced_by:
                    return None
                curie = term.replaced_by
                continue
            mapped = self.mapped(curie)
            if len(mapped) != 1:
                return None
            curie = mapped[0]
        return None

    def nearest(self, text: str, limit: int = 5) -> tuple[str, ...]:
        """CURIEs whose identifier or name is spelled most like `text`, best first."""
        from rapidfuzz import fuzz, process

        choices = self._spellings["curie" if ":" in text else "name"]
        found = process.extract(text.lower(), choices, scorer=fuzz.ratio, limit=limit)
        return tuple(self._current_curies[row] for _, score, row in found if score >= 60)

    @cached_property
    def _current_curies(self) -> list[str]:
        columns = self._terms.columns
        return [c for c, obsolete in zip(columns["curie"], columns["obsolete"], strict=True) if not obsolete]

    @cached_property
    def _spellings(self) -> dict[str, list[str]]:
        """Identifiers and names of the terms that are not obsolete, in lower case."""
        columns = self._terms.columns
        return {
            field: [
                text.lower()
                for text, obsolete in zip(columns[field], columns["obsolete"], strict=True)
                if not obsolete
            ]
            for field in ("curie", "name")
        }

    # ------------------------------------------------------------ names and mappings

    @cached_property
    def _all_synonyms(self) -> tuple[Synonym, ...]:
        if self._synonyms_given is not None:
            return self._synonyms_given
        table = self._read("synonyms")
        tags = [tuple(t.split("|")) if t else () for t in table["tags"]]
        rows = zip(table["term"], table["text"], table["scope"], tags, table["source"], strict=True)
        curies = self._curies
        return tuple(
            Synonym(term=curies[term], text=text, scope=scope, tags=tag, source=source)
            for term, text, scope, tag, source in rows
        )

    @cached_property
    def _all_mappings(self) -> tuple[TermMapping, ...]:
        if self._mappings_given is not None:
            return self._mappings_given
        table = self._read("mappings")
        curies = self._curies
        return tuple(
            TermMapping(term=curies[term], other=other, predicate=predicate, source=source)
            for term, other, predicate, source in zip(
                table["term"], table["other"], table["predicate"], table["source"], strict=True
            )
        )

    @cached_property
    def _mapped_from(self) -> dict[str, tuple[str, ...]]:
        """Other identifier -> terms. Built from the columns: the objects are not needed for it."""
        out: dict[str, list[str]] = {}
        if self._mappings_given is not None:
            pairs: Iterable[tuple[str, str]] = ((m.other, m.term) for m in self._mappings_given)
        else:
            table = self._read("mappings")
            curies = self._curies
            pairs = ((other, curies[term]) for other, term in zip(table["other"], table["term"], strict=True))
        for other, term in pairs:
            known = out.setdefault(other, [])
            if term not in known:
                known.append(term)
        return {other: tuple(terms) for other, terms in out.items()}

    @cached_property
    def _mapping_rows(self) -> tuple[IntArray, IntArray, Any]:
        """Nodes in ascending order, their rows in the mapping table, and the other identifiers."""
        if self._mappings_given is not None:
            node = np.asarray([self._ids[m.term] for m in self._mappings_given], dtype=np.int32)
            other: Any = [m.other for m in self._mappings_given]
        else:
            table = self._table("mappings")
            node = np.asarray(np.from_dlpack(table.column("term").combine_chunks()), dtype=np.int32)
            other = table.column("other").combine_chunks()
        order = np.argsort(node, kind="stable")
        return node[order], order, other

    def synonyms(self, curie: str | None = None) -> tuple[Synonym, ...]:
        """Synonyms of one term, or of all terms."""
        if curie is None:
            return self._all_synonyms
        return tuple(s for s in self._all_synonyms if s.term == curie)

    def mappings(self, curie: str) -> tuple[str, ...]:
        """Identifiers of the same concept elsewhere, sorted."""
        known = self._mappings_of.get(curie)
        if known is None:
            nodes, rows, other = self._mapping_rows
            node = self._ids.get(curie, -1)
            low, high = _run(nodes, node)
            known = tuple(sorted({str(other[i]) for i in rows[low:high].tolist()}))
            self._mappings_of[curie] = known
        return known

    def all_mappings(self) -> tuple[TermMapping, ...]:
        """Every mapping, with its predicate and source."""
        return self._all_mappings

    def mapped(self, other: str) -> tuple[str, ...]:
        """Terms of this graph that an outside identifier means."""
        return self._mapped_from.get(other, ())

    # ------------------------------------------------------------ edges

    def _rows(self, subject: str | None, predicate: str | None, object_: str | None) -> np.ndarray[Any, Any]:
        columns = self.edge_columns
        rows: np.ndarray[Any, Any]
        if subject is not None:
            node = self._ids.get(subject, -1)
            low, high = _run(columns.subject, node)
            rows = np.arange(low, high)
        elif object_ is not None:
            node = self._ids.get(object_, -1)
            low, high = _run(self._objects_sorted, node)
            rows = np.sort(self._by_object[low:high])
        else:
            rows = np.arange(len(columns))
        if subject is not None and object_ is not None:
            rows = rows[columns.object[rows] == self._ids.get(object_, -1)]
        if predicate is not None:
            rows = rows[columns.predicate.codes[rows] == columns.predicate.code(predicate)]
        return rows

    @cached_property
    def _by_object(self) -> np.ndarray[Any, Any]:
        return np.argsort(self.edge_columns.object, kind="stable")

    @cached_property
    def _objects_sorted(self) -> np.ndarray[Any, Any]:
        objects: IntArray = self.edge_columns.object[self._by_object]
        return objects

    def edge(self, row: int) -> Edge:
        """The edge of one row of the edge table."""
        c = self.edge_columns
        references = c.references[row]
        return Edge(
            subject=self._curies[c.subject[row]],
            predicate=c.predicate[row],
            object=self._curies[c.object[row]],
            negated=bool(c.negated[row]),
            numerator=int(c.numerator[row]) if c.numerator[row] >= 0 else None,
            denominator=int(c.denominator[row]) if c.denominator[row] >= 0 else None,
            # Single precision on disk: six digits give back what was written (0.9, not 0.899999976).
            frequency=round(float(c.frequency[row]), 6) if not np.isnan(c.frequency[row]) else None,
            frequency_term=c.frequency_term[row],
            onset=c.onset[row],
            sex=c.sex[row],
            references=tuple(references.split("|")) if references else (),
            asserted_for=c.asserted_for[row],
            source=c.source[row],
            evidence=c.evidence[row],
            value=round(float(c.value[row]), 6) if not np.isnan(c.value[row]) else None,
        )

    def edges(
        self, subject: str | None = None, predicate: str | None = None, object: str | None = None
    ) -> Iterator[Edge]:
        """Edges that fit the given parts; None fits all. An unknown CURIE fits none."""
        return (self.edge(int(row)) for row in self._rows(subject, predicate, object))

    @cached_property
    def _parents(self) -> dict[int, list[int]]:
        out: dict[int, list[int]] = {}
        c = self.edge_columns
        rows = np.flatnonzero((c.predicate.codes == c.predicate.code(IS_A)) & ~c.negated)
        for child, parent in zip(c.subject[rows].tolist(), c.object[rows].tolist(), strict=True):
            out.setdefault(child, []).append(parent)
        return out

    @cached_property
    def _children(self) -> dict[int, list[int]]:
        out: dict[int, list[int]] = {}
        for child, parents in self._parents.items():
            for parent in parents:
                out.setdefault(parent, []).append(child)
        return out

    def _closure(self, curie: str, step: dict[int, list[int]]) -> frozenset[str]:
        seen: set[int] = set()
        stack = [self.node_id(curie)]
        while stack:
            for node in step.get(stack.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        return frozenset(self._curies[node] for node in seen)

    def parents(self, curie: str) -> tuple[str, ...]:
        """Direct `is_a` parents."""
        return tuple(self._curies[n] for n in self._parents.get(self.node_id(curie), ()))

    def children(self, curie: str) -> tuple[str, ...]:
        """Direct `is_a` children."""
        return tuple(self._curies[n] for n in self._children.get(self.node_id(curie), ()))

    def ancestors(self, curie: str) -> frozenset[str]:
        """All `is_a` ancestors, the term itself not included."""
        known = self._ancestors.get(curie)
        if known is None:
            known = self._ancestors[curie] = self._closure(curie, self._parents)
        return known

    def descendants(self, curie: str) -> frozenset[str]:
        """All `is_a` descendants, the term itself not included."""
        return self._closure(curie, self._children)

    def path(self, start: str, end: str, *, predicates: Collection[str] | None = None) -> Path | None:
        """A shortest walk between two terms, edges taken in either direction, or None.

        Negated edges are not walked. Among equally short walks the one whose nodes
        come first in the graph is taken, so the answer is always the same.
        """
        source, target = self.node_id(start), self.node_id(end)
        if source == target:
            return Path()
        c = self.edge_columns
        allowed = ~c.negated
        if predicates is not None:
            codes = [c.predicate.code(p) for p in predicates]
            allowed &= np.isin(c.predicate.codes, codes)
        came: dict[int, tuple[int, bool]] = {source: (-1, True)}
        frontier = [source]
        while frontier and target not in came:
            following: list[int] = []
            for node in frontier:
                low, high = _run(c.subject, node)
                forward = np.arange(low, high)
                low, high = _run(self._objects_sorted, node)
                backward = self._by_object[low:high]
                for rows, others, is_forward in ((forward, c.object, True), (backward, c.subject, False)):
                    rows = rows[allowed[rows]]
                    for row, other in zip(rows.tolist(), others[rows].tolist(), strict=True):
                        if other not in came:
                            came[other] = (row, is_forward)
                            following.append(other)
            frontier = following
        if target not in came:
            return None
        steps: list[tuple[Edge, bool]] = []
        node = target
        while node != source:
            row, is_forward = came[node]
            steps.append((self.edge(row), is_forward))
            node = int(c.subject[row] if is_forward else c.object[row])
        return Path(tuple(reversed(steps)))

    @cached_property
    def risk_factors(self) -> frozenset[str]:
        """Findings that are a risk factor of some disease, and all narrower ones."""
        c = self.edge_columns
        rows = np.flatnonzero(c.predicate.codes == c.predicate.code(HAS_RISK_FACTOR))
        named = {self._curies[node] for node in np.unique(c.object[rows]).tolist()}
        return frozenset(named.union(*(self.descendants(curie) for curie in named)))

    def is_a_path(self, descendant: str, ancestor: str) -> Path:
        """The shortest walk up the hierarchy; empty when the two are the same.

        Raises:
            InputError: If `ancestor` is not above `descendant`.
        """
        start, target = self.node_id(descendant), self.node_id(ancestor)
        came: dict[int, int] = {start: -1}
        frontier = [start]
        while frontier and target not in came:
            following = []
            for node in frontier:
                for parent in self._parents.get(node, ()):
                    if parent not in came:
                        came[parent] = node
                        following.append(parent)
            frontier = following
        if target not in came:
            raise InputError(f"{ancestor} is not an ancestor of {descendant}")
        steps = []
        node = target
        while node != start:
            child = came[node]
            rows = self._rows(self._curies[child], IS_A, self._curies[node])
            steps.append((self.edge(int(rows[0])), True))
            node = child
        return Path(tuple(reversed(steps)))

    # ------------------------------------------------------------ views

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The whole graph for networkx: nodes keyed by CURIE, edges by predicate.

        Node attributes: name, kind, obsolete. Edge attributes: every field of `Edge`.
        """
        import networkx

        view = networkx.MultiDiGraph()
        for term in self._terms:
            view.add_node(term.curie, name=term.name, kind=term.kind, obsolete=term.obsolete)
        fields = [f for f in Edge.__dataclass_fields__ if f not in ("subject", "object")]
        for row in range(len(self.edge_columns)):
            edge = self.edge(row)
            view.add_edge(edge.subject, edge.object, **{f: getattr(edge, f) for f in fields})
        return view

    def to_frames(self) -> dict[str, pandas.DataFrame]:
        """The tables as pandas frames: `terms`, `synonyms`, `edges`, `mappings`."""
        import pandas

        return {name: pandas.DataFrame(columns) for name, columns in self._as_columns(curies=True).items()}

    # ------------------------------------------------------------ disk

    def _as_columns(self, *, curies: bool = False) -> dict[str, dict[str, Any]]:
        """The four tables as columns; nodes as row numbers, or as CURIEs."""

        def node(ids: list[int]) -> Any:
            return [self._curies[i] for i in ids] if curies else np.asarray(ids, dtype=np.int32)

        c = self.edge_columns
        edges: dict[str, Any] = {"subject": node(c.subject.tolist()), "object": node(c.object.tolist())}
        for name in ("negated", "numerator", "denominator", "frequency", "value"):
            edges[name] = getattr(c, name)
        for name in CODED:
            column = getattr(c, name)
            edges[name] = [column.values[i] for i in column.codes.tolist()]
        synonyms, mappings = self._all_synonyms, self._all_mappings
        return {
            "terms": dict(self._terms.columns),
            "synonyms": {
                "term": node([self._ids[s.term] for s in synonyms]),
                "text": [s.text for s in synonyms],
                "scope": [s.scope for s in synonyms],
                "tags": ["|".join(s.tags) for s in synonyms],
                "source": [s.source for s in synonyms],
            },
            "edges": edges,
            "mappings": {
                "term": node([self._ids[m.term] for m in mappings]),
                "other": [m.other for m in mappings],
                "predicate": [m.predicate for m in mappings],
                "source": [m.source for m in mappings],
            },
        }

    def save(self, folder: str | os.PathLike[str], *, extra: Mapping[str, bytes] | None = None) -> None:
        """Write the graph as a folder of Parquet tables with a manifest.

        The files are written beside the target and moved in one step each, the
        manifest last, so an interrupted run leaves the old graph or none.

        Args:
            folder: Target folder, made when missing.
            extra: Further files by name, whose checksums the manifest records
                (compiled indexes).
        """
        import io

        import pyarrow as pa
        import pyarrow.parquet as pq

        target = FilePath(folder)
        target.mkdir(parents=True, exist_ok=True)
        files: dict[str, bytes] = dict(extra or {})
        for name, columns in self._as_columns().items():
            if "negated" in columns:  # bytes, since bits cannot be opened in place
                columns["negated"] = columns["negated"].astype(np.uint8)
            buffer = io.BytesIO()
            # Dictionary pages and zstd: a quarter of the size of plain columns.
            pq.write_table(pa.table(columns), buffer, compression="zstd", compression_level=15)
            files[f"{name}.parquet"] = buffer.getvalue()
        manifest = {
            "format_version": FORMAT_VERSION,
            "terms": len(self._terms),
            "edges": len(self.edge_columns),
            "sources": [
                {f: getattr(s, f) for f in Source.__dataclass_fields__} for s in self.sources.values()
            ],
            "rules": list(self.rules),
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        }
        files["manifest.json"] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
        for name, data in files.items():  # the manifest is last
            write_atomically(target / name, data)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> KnowledgeGraph:
        """Open a compiled graph; every file is checked against its checksum.

        Raises:
            GraphFileError: If a file is missing, truncated, altered, or of
                another format version; the message names it and what to do.
        """
        root = FilePath(folder)
        raw = _read_checked(root / "manifest.json", None)
        try:
            manifest = json.loads(raw)
            version, checksums = manifest["format_version"], manifest["files"]
            sources = tuple(Source(**s) for s in manifest["sources"])
        except (ValueError, KeyError, TypeError) as error:
            raise GraphFileError(f"{root / 'manifest.json'} is not a graph manifest ({error})") from None
        if version != FORMAT_VERSION:
            raise GraphFileError(
                f"{root} has format version {version}, this kgmed reads {FORMAT_VERSION}; "
                "build it again with `kgmed graph build`"
            )
        graph = cls.__new__(cls)
        graph._checksums = checksums
        graph.folder = root
        terms = graph._read("terms")
        edges = graph._read_edges()
        graph.__init__(  # type: ignore[misc]
            terms=TermColumns(terms),
            edges=edges,
            sources=sources,
            rules=tuple(manifest.get("rules", ())),
            folder=root,
            checksum=hashlib.sha256(raw).hexdigest(),
        )
        return graph

    _checksums: dict[str, str]

    def file(self, name: str) -> bytes | None:
        """A further file of the graph's folder (a compiled index), checked, or None."""
        if self.folder is None or name not in self._checksums:
            return None
        return _read_checked(self.folder / name, self._checksums[name])

    def _table(self, name: str, *, coded: Sequence[str] = ()) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        assert self.folder is not None
        path = self.folder / f"{name}.parquet"
        data = _read_checked(path, self._checksums.get(path.name, ""))
        try:
            # Not pq.read_table: it imports pyarrow.dataset, which takes longer than the reading.
            file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(coded))
            return file.read(use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise GraphFileError(f"{path} is not a Parquet table ({error})") from None

    def _read(self, name: str) -> dict[str, list[Any]]:
        table = self._table(name)
        return {column: table.column(column).to_pylist() for column in table.column_names}

    def _read_edges(self) -> EdgeColumns:
        table = self._table("edges", coded=CODED)
        out: dict[str, Any] = {}
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            if name in CODED:
                out[name] = Coded(
                    np.from_dlpack(column.indices).astype(np.int32, copy=False),
                    tuple(column.dictionary.to_pylist()),
                )
            else:
                # Not column.to_numpy(): it imports pandas.
                out[name] = np.from_dlpack(column)
        out["negated"] = out["negated"].astype(np.bool_)
        return EdgeColumns(**out)


def _run(ascending: IntArray, node: int) -> tuple[int, int]:
    """Where `node` stands in an ascending column, as (first row, row after the last)."""
    # Of the column's own type: numpy would turn the whole column into the type of the wanted numbers.
    low, high = np.searchsorted(ascending, np.asarray([node, node + 1], dtype=ascending.dtype))
    return int(low), int(high)


def _mentioned(
    edges: Iterable[Edge], synonyms: Iterable[Synonym], mappings: Iterable[TermMapping]
) -> Iterator[tuple[str, str]]:
    """(CURIE, source) of everything that facts are about, whether or not a term defines it."""
    for edge in edges:
        yield edge.subject, edge.source
        yield edge.object, edge.source
    for synonym in synonyms:
        yield synonym.term, synonym.source
    for mapping in mappings:
        yield mapping.term, mapping.source


def _kinds_by_use(edges: Iterable[Edge]) -> dict[str, TermKind]:
    """What `has_phenotype` makes of its two ends."""
    kinds: dict[str, TermKind] = {}
    for edge in edges:
        if edge.predicate in (HAS_PHENOTYPE, HAS_RISK_FACTOR):
            kinds.setdefault(edge.subject, "disease")
            kinds.setdefault(edge.object, "finding")
    return kinds


def _read_checked(path: FilePath, sha256: str | None) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise GraphFileError(f"{path} is missing; install kgmed again or run `kgmed graph build`") from None
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise GraphFileError(
            f"{path} is truncated or was altered (checksum differs from the manifest); "
            "install kgmed again or run `kgmed graph build`"
        )
    return data


def write_atomically(path: FilePath, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        FilePath(name).chmod(0o644)
        FilePath(name).replace(path)
    except BaseException:
        FilePath(name).unlink()
        raise
