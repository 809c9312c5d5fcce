"""The finding vocabulary (`findings/*.tsv`) and the list of diseases (`diseases.tsv`)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from kgmed.errors import ParseError
from kgmed.graph import write_atomically

__all__ = [
    "DISEASE_COLUMNS",
    "FINDING_COLUMNS",
    "KINDS",
    "OWN_PREFIX",
    "ROOT_OF",
    "TOLD",
    "FindingRow",
    "ListedDisease",
    "ToldRow",
    "number_vocabulary",
    "read_list",
    "read_told",
    "read_vocabulary",
]

FINDING_COLUMNS = ("id", "name", "parents", "kind", "clinical", "lay", "codes", "base")
DISEASE_COLUMNS = ("chapter", "name", "mondo", "kgmed", "icd10cm", "settings", "reason", "note")
TOLD_COLUMNS = ("id", "name", "told")
KINDS = (
    "history",
    "exam",
    "vital",
    "lab",
    "imaging",
    "ecg",
    "test",
    "exposure",
    "drug",
    "course",
    "procedure",
)
"""`procedure` is a test itself, such as an electrocardiogram; the others are findings."""
TOLD = "told"
"""Tag of a synonym that is no name, but a phrase that tells of the finding in other words."""
OWN_PREFIX = "KGMED:"
ROOT_OF = {kind: f"{OWN_PREFIX}{number:07d}" for number, kind in enumerate(KINDS, 1)}
"""Kind to the root of its findings; `findings/roots.tsv` lists them."""
# Numbers of findings start behind those of the roots, and end before those of diseases.
_FIRST_NUMBER, _DISEASE_NUMBERS = 100, 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingRow:
    """One row of the vocabulary.

    Attributes:
        id: `HP:...` where HPO has the term, else `KGMED:...`; "" when not yet numbered.
        parents: Names or identifiers of broader terms, for own terms.
        kind: One of `KINDS`.
        clinical, lay: Synonyms.
        codes: Identifiers of the same concept elsewhere.
        base: Share of all patients seen in primary or emergency care who have it, 0..1, or None.
    """

    id: str
    name: str
    parents: tuple[str, ...] = ()
    kind: str
    clinical: tuple[str, ...] = ()
    lay: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    base: float | None = None
    path: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldRow:
    """Phrases in which somebody tells of a finding, in other words than its names."""

    id: str
    name: str
    told: tuple[str, ...]
    path: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedDisease:
    """One row of the list: the disease's identifier is its MONDO term, or our own where MONDO has none."""

    name: str
    id: str
    icd10cm: str
    chapter: str
    reason: str


def read_vocabulary(folder: Path) -> list[FindingRow]:
    """All rows of `folder/*.tsv`.

    Raises:
        ParseError: With path and line, for wrong columns, an unknown kind or a number out of range.
    """
    rows = []
    for path in sorted(folder.glob("*.tsv")):
        for line, cells in _table(path, FINDING_COLUMNS):
            if cells["kind"] not in KINDS:
                raise ParseError(
                    f"unknown kind {cells['kind']!r}; known: {', '.join(KINDS)}", path=path.name, line=line
                )
            if not cells["name"]:
                raise ParseError("a row without a name", path=path.name, line=line)
            rows.append(
                FindingRow(
                    id=cells["id"],
                    name=cells["name"],
                    parents=_list(cells["parents"]),
                    kind=cells["kind"],
                    clinical=_list(cells["clinical"]),
                    lay=_list(cells["lay"]),
                    codes=_list(cells["codes"]),
                    base=_percent(cells["base"], path.name, line),
                    path=path.name,
                    line=line,
                )
            )
    return rows


def read_list(path: Path) -> list[ListedDisease]:
    """The list of diseases.

    Raises:
        ParseError: With path and line, for wrong columns.
    """
    return [
        ListedDisease(
            name=cells["name"],
            id=cells["mondo"] or cells["kgmed"],
            icd10cm=cells["icd10cm"],
            chapter=cells["chapter"],
            reason=cells["reason"],
        )
        for _, cells in _table(path, DISEASE_COLUMNS)
    ]


def read_told(path: Path) -> list[ToldRow]:
    """The phrases that tell of findings; none where there is no such file.

    Raises:
        ParseError: With path and line, for wrong columns or a row without phrases.
    """
    rows = []
    for line, cells in _table(path, TOLD_COLUMNS) if path.is_file() else ():
        told = _list(cells["told"])
        if not told:
            raise ParseError("a row without phrases", path=path.name, line=line)
        rows.append(ToldRow(id=cells["id"], name=cells["name"], told=told, path=path.name, line=line))
    return rows


def _table(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParseError(f"cannot be read ({error})", path=str(path)) from None
    reader = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    if tuple(next(reader, [])) != columns:
        raise ParseError(f"the first line must be the columns {' '.join(columns)}", path=path.name, line=1)
    rows = []
    for cells in reader:
        if not any(cells):
            continue
        if len(cells) != len(columns):
            raise ParseError(
                f"{len(cells)} cells, expected {len(columns)}; separate them by one tab each",
                path=path.name,
                line=reader.line_num,
            )
        values = (cell.strip() for cell in cells)
        rows.append((reader.line_num, dict(zip(columns, values, strict=True))))
    return rows


def _list(cell: str) -> tuple[str, ...]:
    return tuple(part for piece in cell.split("|") if (part := piece.strip()))


def _percent(cell: str, path: str, line: int) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 100.0:
        raise ParseError("base must be a percentage from 0 to 100", path=path, line=line)
    return value / 100.0


def number_vocabulary(folder: Path) -> int:
    """Give every row without an identifier the next free `KGMED:` number; files are rewritten whole.

    Numbers are never given twice, so a row keeps its identifier for good.

    Returns:
        How many rows were numbered.

    Raises:
        ParseError: If a file is malformed.
    """
    rows = read_vocabulary(folder)
    taken = [int(r.id.removeprefix(OWN_PREFIX)) for r in rows if r.id.startswith(OWN_PREFIX)]
    following = max([_FIRST_NUMBER - 1, *(number for number in taken if number < _DISEASE_NUMBERS)]) + 1
    numbered = 0
    for path in sorted(folder.glob("*.tsv")):
        lines = path.read_text(encoding="utf-8").split("\n")
        for at, line in enumerate(lines[1:], 1):
            if line.startswith("\t"):
                lines[at] = f"{OWN_PREFIX}{following:07d}{line}"
                following += 1
                numbered += 1
        write_atomically(path, "\n".join(lines).encode())
    return numbered
