"""Tables of records: CSV, TSV and pandas data frames, turned into kgmed's dict format.

Wide form has one row per patient; `present`, `excluded`, `diseases`, `medications`
and `allergies` hold lists, or text split at `;` or `|`. Long form has one row per
finding, with the columns `id` and `term`; `onset`, `excluded` and the like then belong
to the finding. A column named like an analyte of
`kgmed.measure`, or with its LOINC CURIE, and its unit in brackets holds measurements:
`hemoglobin (g/dL)`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kgmed.errors import InputError, KgmedError, ParseError, RecordError
from kgmed.intake.common import is_missing
from kgmed.intake.jsontext import MAX_TEXT_CHARACTERS, load_json, safe_key
from kgmed.measure import analyte, named

__all__ = ["csv_dicts", "frame_dicts"]

_LISTS = ("present", "excluded", "findings", "measurements", "diseases", "medications", "allergies")
_ALSO = {
    "record_id": "id", "patient_id": "id", "patient": "id", "note": "text", "gender": "sex",
    "hpo": "present", "hpo_terms": "present", "phenotypes": "present", "hpo_id": "term", "finding": "term",
}  # fmt: skip
_OF_FINDING = ("term", "name", "excluded", "onset", "severity", "certainty", "context")
_OF_RECORD = ("text", "sex", "age", "age_days", "setting", "duration", "duration_days")
# What spreadsheets, R and pandas write into a cell that holds nothing.
_EMPTY = {"", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>"}
_WITH_UNIT = re.compile(r"(.*?)\s*[(\[]\s*(.*?)\s*[)\]]", re.DOTALL)

Row = Mapping[str, Any]


def csv_dicts(
    lines: Iterable[str], *, path: str = "<input>", tabs: bool = False
) -> Iterator[dict[str, Any] | KgmedError]:
    """Records of CSV (or tab-separated) lines, the first of which names the columns.

    Yields:
        A dict in kgmed's format, or a `ParseError` for a row that does not fit the header.

    Raises:
        ParseError: If there is no header, a column stands twice, or the quoting is broken.
    """
    # The limit is the module's own and can only be set for the whole process; the
    # default of 131,072 characters is shorter than a long note.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_TEXT_CHARACTERS))
    reader = csv.reader(lines, delimiter="\t" if tabs else ",", strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise ParseError("empty; the first line must name the columns", path=path)
        try:
            columns = _columns(header)
        except InputError as error:
            raise ParseError(str(error), path=path, line=1) from None
        yield from _dicts(_csv_rows(reader, columns, path), columns)
    except csv.Error:
        raise ParseError("malformed CSV; check the quotes", path=path, line=reader.line_num) from None


def _csv_rows(reader: Any, columns: list[str], path: str) -> Iterator[Row | KgmedError]:
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            yield ParseError(
                f"{len(cells)} cells where the header has {len(columns)}", path=path, line=reader.line_num
            )
            continue
        yield {
            column: cell if column == "text" else cell.strip()
            for column, cell in zip(columns, cells, strict=True)
            if cell.strip() not in _EMPTY
        }


def frame_dicts(frame: Any) -> Iterator[dict[str, Any] | KgmedError]:
    """Records of a pandas data frame; a named index is one more column.

    Raises:
        InputError: If a column stands twice.
    """
    if frame.index.name is not None and frame.index.name not in frame.columns:
        frame = frame.reset_index()
    columns = _columns(frame.columns)
    rows = (
        {column: _scalar(cell) for column, cell in zip(columns, cells, strict=True)}
        for cells in frame.itertuples(index=False, name=None)
    )
    return _dicts(rows, columns)


def _columns(header: Iterable[Any]) -> list[str]:
    """Column names in kgmed's spelling; others are kept."""
    columns = []
    for name in header:
        word = str(name).strip()
        key = word.lower().replace(" ", "_")
        columns.append(_ALSO.get(key, key if key in {*_LISTS, *_OF_FINDING, *_OF_RECORD, "id"} else word))
    if len(set(columns)) != len(columns):
        raise InputError("two columns have the same name or meaning; rename one")
    return columns


def _scalar(value: Any) -> Any:
    """numpy scalars as Python's own; a whole float is an integer (a column with gaps is float)."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    return value


def _dicts(rows: Iterable[Row | KgmedError], columns: list[str]) -> Iterator[dict[str, Any] | KgmedError]:
    if "term" in columns and "present" not in columns:
        return _long(rows)
    return _all_wide(rows)


def _id(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _all_wide(rows: Iterable[Row | KgmedError]) -> Iterator[dict[str, Any] | KgmedError]:
    for row in rows:
        try:
            yield row if isinstance(row, KgmedError) else _wide(row)
        except ParseError as error:  # a cell that starts as JSON and is not
            yield error


def _wide(row: Row) -> dict[str, Any]:
    out: dict[str, Any] = {}
    measurements: list[Any] = []
    for column, value in row.items():
        if is_missing(value) or (isinstance(value, str) and not value.strip()):
            continue
        if column == "id":
            out["id"] = _id(value)
        elif column in _LISTS:
            out[column] = _list(value)
        elif (measurement := _measurement(column, value)) is not None:
            measurements.append(measurement)
        else:
            out[column] = value
    if measurements:
        given = out.get("measurements", [])
        out["measurements"] = [*given, *measurements] if isinstance(given, list) else measurements
    return out


def _list(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(('["', "[{")):
        return load_json(value)
    return [part.strip() for part in re.split(r"[;|]", value) if part.strip()]


def _measurement(column: str, value: Any) -> dict[str, Any] | None:
    match = _WITH_UNIT.fullmatch(column)
    name, unit = match.groups() if match else (column, "")
    name = name.replace("_", " ").strip()
    if analyte(name) is not None:
        return {"code": name, "value": value, "unit": unit}
    found = named(name)
    if not found:
        return None
    # Of several (count or fraction) only the unit tells: the name is kept and the code left open.
    code = found[0].code if len(found) == 1 else ""
    return {"code": code, "name": name.lower(), "value": value, "unit": unit}


def _long(rows: Iterable[Row | KgmedError]) -> Iterator[dict[str, Any] | KgmedError]:
    """One row per finding: rows of one id are gathered, in the order of its first row."""
    records: dict[str, dict[str, Any]] = {}
    for row in rows:
        if isinstance(row, KgmedError):
            yield row
            continue
        key = _id(row.get("id"))
        if is_missing(key):
            yield RecordError("a row of a long table names no record; give each row an id", field="id")
            continue
        record = records.setdefault(str(key), {"id": key, "findings": [], "measurements": [], "issues": []})
        finding: dict[str, Any] = {}
        for column, value in row.items():
            if column == "id" or is_missing(value):
                continue
            if column in _OF_FINDING:
                finding[column] = value
            elif (measurement := _measurement(column, value)) is not None:
                if measurement not in record["measurements"]:
                    record["measurements"].append(measurement)
            elif not _same(record.setdefault(column, value), value):
                record["issues"].append(_conflict(str(key), column))
        if finding:
            record["findings"].append(finding)
    yield from records.values()


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)  # arrays have no plain equality


def _conflict(record_id: str, column: str) -> dict[str, Any]:
    return {
        "level": "warning", "code": "conflict", "record_id": record_id, "field": safe_key(column),
        "message": "Rows of the record differ here; the first is taken.", "fix": "Give one value.",
    }  # fmt: skip
