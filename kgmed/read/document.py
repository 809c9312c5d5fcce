"""One file on its way to becoming an `Ontology`: its bytes, and where its nodes stand."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from kgmed.errors import ParseError
from kgmed.ontology import Ontology, Source, TermKind
from kgmed.read.obographs import hpo_branches
from kgmed.record import Issue

__all__ = ["KINDS", "Document", "fill_kinds", "kind_by_prefix", "open_document", "parse_number"]

# No ontology comes near (MONDO in RDF/XML has 0.25 GB); a gzip bomb does.
MAX_BYTES = 2_000_000_000

KINDS: tuple[TermKind, ...] = (
    "finding",
    "disease",
    "gene",
    "drug",
    "onset",
    "inheritance",
    "modifier",
    "frequency",
    "other",
)

_KIND_BY_PREFIX: dict[str, TermKind] = {
    "HP": "finding",
    "SYMP": "finding",
    "MP": "finding",
    "MONDO": "disease",
    "OMIM": "disease",
    "ORPHA": "disease",
    "DOID": "disease",
    "DECIPHER": "disease",
    "NCBIGene": "gene",
    "HGNC": "gene",
    "RXNORM": "drug",
    "DRUGBANK": "drug",
    "ATC": "drug",
}


@dataclass(kw_only=True)
class Document:
    """A file being read.

    Attributes:
        path: The file.
        data: Its bytes, decompressed.
        source: Put on every fact that names no source of its own.
        ontology: What has been read so far.
        issues: What the reader left out or found odd.
        prefixes: Prefix to namespace, as the file declares them.
        lines: CURIE, or (subject, predicate, object), to 1-based line, where the
            reader knows it; `line_of` searches for the others.
    """

    path: Path
    data: bytes
    source: Source
    ontology: Ontology = field(default_factory=Ontology)
    issues: list[Issue] = field(default_factory=list)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    lines: dict[str | tuple[str, str, str], int] = field(default_factory=dict)
    # Which other spellings of a CURIE the file may use, to find its line.
    iris: dict[str, str] = field(default_factory=dict)
    # The further tables of a folder.
    parts: list[Document] = field(default_factory=list)

    def text(self) -> str:
        """The bytes as UTF-8.

        Raises:
            ParseError: With the line, if they are not UTF-8.
        """
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.data.count(b"\n", 0, error.start) + 1
            raise ParseError(
                "not UTF-8 text; save the file as UTF-8", path=str(self.path), line=line
            ) from None

    def error(self, message: str, line: int | None = None) -> ParseError:
        """A `ParseError` at a line of this file."""
        return ParseError(message, path=str(self.path), line=line)

    def where(self, *node: str) -> str:
        """`path:line` of a CURIE or of an edge, or the path alone when the line is not found."""
        line = self.line_of(*node)
        return f"{self.path}:{line}" if line else str(self.path)

    def line_of(self, *node: str) -> int | None:
        """1-based line at which a CURIE is defined, or an edge (subject, predicate, object) stated."""
        if len(node) == 3 and node in self.lines:
            return self.lines[node]
        known = self.lines.get(node[0])
        if known is None:
            known = self._search(node[0], 0, definition=True)
            if known is None:
                known = self._search(node[0], 0, definition=False)
        if len(node) == 3 and known is not None:
            return self._search(node[2], known - 1, definition=False) or known
        return known

    def _search(self, curie: str, start: int, *, definition: bool) -> int | None:
        iri = self.iris.get(curie, curie)
        names = {curie, iri, f"<{iri}>"}
        names |= {f"{p}:{iri.removeprefix(n)}" for p, n in self.prefixes.items() if n and iri.startswith(n)}
        word = (
            "(?:" + "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) + r")(?![\w-])"
        )
        # Turtle subjects begin a line; XML, OBO and JSON name what they define.
        begins = rf'\s*{word}|.*(?:rdf:about|rdf:ID)="#?{word}"|id:\s*{word}|.*"(?:@?id)"\s*:\s*"{word}"'
        pattern = re.compile(begins if definition else rf".*(?<![\w-]){word}")
        for number, line in enumerate(self._lines[start:], start + 1):
            if pattern.match(line):
                return number
        return None

    @cached_property
    def _lines(self) -> list[str]:
        return self.data.decode("utf-8", errors="replace").split("\n")

    def problem(
        self,
        level: Literal["error", "warning"],
        code: str,
        message: str,
        fix: str,
        *node: str,
        line: int | None = None,
    ) -> None:
        """Note something about a CURIE, an edge, or a line; an error makes `load_ontology` fail."""
        where = f"{self.path}:{line}" if line else (self.where(*node) if node else str(self.path))
        self.issues.append(Issue(level=level, code=code, message=message, fix=fix, field=where))


def open_document(path: Path) -> Document:
    """Read a file's bytes (gzip by its suffix) and give it a source named after the file.

    Raises:
        ParseError: If the file is missing, unreadable, not gzip, or larger than 2 GB unpacked.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ParseError(
            f"cannot be opened ({error.strerror or type(error).__name__})", path=str(path)
        ) from None
    except ValueError:
        raise ParseError("not a file name", path=str(path)) from None
    data = raw
    if path.suffix == ".gz":
        try:
            with gzip.open(path) as stream:
                data = stream.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ParseError(f"not a whole gzip file ({type(error).__name__})", path=str(path)) from None
    if len(data) > MAX_BYTES:
        raise ParseError("more than 2 GB unpacked; this is no ontology that kgmed can read", path=str(path))
    stem = path.name.split(".")[0] or path.name
    source = Source(
        id=stem,
        title=stem,
        release="not stated",
        licence="not stated",
        sha256=hashlib.sha256(raw).hexdigest(),
    )
    return Document(path=path, data=data, source=source)


def parse_number(text: str) -> float:
    """A frequency as people write it: `0.8`, `80%` or `8/10`.

    Raises:
        ValueError: If it is none of these, or not finite.

    >>> parse_number("8/10")
    0.8
    """
    text = text.strip()
    if "/" in text:
        above, below = (int(part) for part in text.split("/"))
        if below <= 0:
            raise ValueError(text)
        return above / below
    value = float(text[:-1]) / 100.0 if text.endswith("%") else float(text)
    if not -1e9 < value < 1e9:
        raise ValueError(text)
    return value


def kind_by_prefix(curie: str) -> TermKind | None:
    """Kind that the vocabulary of a CURIE implies, or None."""
    return _KIND_BY_PREFIX.get(curie.partition(":")[0])


def fill_kinds(ontology: Ontology, explicit: Mapping[str, TermKind]) -> None:
    """Give every term its kind.

    In this order: what the file states, the branch of HPO, the vocabulary of its
    prefix, its use in has_phenotype edges (subject: disease, object: finding), the
    kind of an is_a ancestor, `other`.
    """
    kinds: dict[str, TermKind] = {**hpo_branches(ontology.edges), **explicit}
    parents: dict[str, list[str]] = {}
    nodes = {term.curie for term in ontology.terms}
    for edge in ontology.edges:
        nodes.update((edge.subject, edge.object))
        if edge.predicate == "is_a":
            parents.setdefault(edge.subject, []).append(edge.object)
    for node in nodes - kinds.keys():
        kind = kind_by_prefix(node)
        if kind is not None:
            kinds[node] = kind
    for edge in ontology.edges:
        if edge.predicate == "has_phenotype":
            kinds.setdefault(edge.subject, "disease")
            kinds.setdefault(edge.object, "finding")
    children: dict[str, list[str]] = {}
    for child, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(child)
    stack = sorted(kinds)
    while stack:
        node = stack.pop()
        for child in children.get(node, ()):
            if child not in kinds:
                kinds[child] = kinds[node]
                stack.append(child)
    ontology.terms[:] = [replace(term, kind=kinds.get(term.curie, "other")) for term in ontology.terms]
