"""kgmed's own dict format (see `ontologies/schemas/record.schema.json`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from kgmed.graph import KnowledgeGraph
from kgmed.intake.common import Notes, is_missing, resolve_term
from kgmed.intake.jsontext import safe_key
from kgmed.record import (
    Allergy,
    Context,
    Finding,
    Issue,
    KnownDisease,
    Measurement,
    Medication,
    Origin,
    Record,
)

__all__ = ["KEYS", "read_dict", "record_to_dict"]

KEYS = frozenset(
    {
        "id",
        "text",
        "sex",
        "age",
        "age_days",
        "onset",
        "onset_days",
        "setting",
        "duration",
        "duration_days",
        "present",
        "excluded",
        "findings",
        "measurements",
        "diseases",
        "medications",
        "allergies",
        "issues",
    }
)
"""Keys of a record in the dict format."""

_FINDING = {
    "term",
    "name",
    "excluded",
    "onset",
    "severity",
    "certainty",
    "context",
    "origin",
    "span",
    "field",
}
_MEASUREMENT = {"code", "name", "value", "unit", "low", "high", "age", "span", "field"}
_DISEASE = {"term", "name", "excluded", "context", "span", "field"}
_MEDICATION = {"code", "name", "dose", "status", "span", "field"}
_ALLERGY = {"code", "name", "reaction", "excluded", "span", "field"}
_ISSUE = set(Issue.__dataclass_fields__)


def read_dict(data: Mapping[Any, Any], *, graph: KnowledgeGraph | None = None) -> Record:
    """Read a record in kgmed's dict format.

    Args:
        data: The record; unknown keys and unusable entries become issues.
        graph: Needed for terms given by name.
    """
    notes = Notes()
    record_id = notes.identify(data.get("id"))
    _unknown_keys(data, set(KEYS), "", notes)
    text = notes.text(data.get("text"))
    reader = _Reader(notes, graph, len(text))
    findings: list[Finding] = []
    for key in ("present", "excluded", "findings"):
        default = None if key == "findings" else key == "excluded"
        for where, item in _entries(data.get(key), key, notes):
            finding = reader.finding(item, where, default)
            if finding is not None:
                findings.append(finding)

    def read(key: str, entry: Any) -> tuple[Any, ...]:
        made = (entry(item, where) for where, item in _entries(data.get(key), key, notes))
        return tuple(item for item in made if item is not None)

    measurements = read("measurements", reader.measurement)
    diseases = read("diseases", reader.disease)
    medications = read("medications", reader.medication)
    allergies = read("allergies", reader.allergy)
    earlier = read("issues", reader.issue)
    return Record(
        id=record_id,
        text=text,
        findings=tuple(findings),
        measurements=measurements,
        diseases=diseases,
        medications=medications,
        allergies=allergies,
        age_days=_age(data, "age", notes),
        onset_days=_age(data, "onset", notes),
        sex=notes.sex(data.get("sex")),
        setting=notes.setting(data.get("setting")),
        duration_days=_age(data, "duration", notes),
        issues=(*earlier, *notes.issues),
    )


def _age(data: Mapping[Any, Any], key: str, notes: Notes) -> float | None:
    """`age`, or `age_days` as a plain number of days."""
    if not is_missing(data.get(key)):
        return notes.age(data[key], key)
    days = data.get(f"{key}_days")
    return None if is_missing(days) else notes.age({"days": days}, f"{key}_days")


def _unknown_keys(data: Mapping[Any, Any], known: set[str], where: str, notes: Notes) -> None:
    for key in data:
        if key not in known:
            field = f"{where}.{safe_key(key)}" if where else safe_key(key)
            notes.add(
                "unknown-field",
                field,
                "kgmed has no such field; it is left out.",
                f"Known fields: {', '.join(sorted(known))}.",
            )


def _entries(value: Any, key: str, notes: Notes) -> Iterator[tuple[str, Any]]:
    """Entries of a list field with their place; anything but a list is an issue."""
    if is_missing(value):
        return
    if not isinstance(value, list | tuple | set | frozenset) and type(value).__name__ != "ndarray":
        notes.add(
            "not-a-list", key, "This field must be a list; it is left out.", "Write a list.", level="error"
        )
        return
    items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
    for i, item in enumerate(items):
        yield f"{key}[{i}]", item


class _Reader:
    """Entries to types; each method returns None, with an issue, for what cannot be used."""

    def __init__(self, notes: Notes, graph: KnowledgeGraph | None, text_length: int) -> None:
        self.notes = notes
        self.graph = graph
        self.text_length = text_length

    def _mapping(self, item: Any, where: str, known: set[str]) -> Mapping[Any, Any] | None:
        if not isinstance(item, Mapping):
            self._drop("not-an-object", where, "This entry is neither a term nor an object.")
            return None
        _unknown_keys(item, known, where, self.notes)
        return item

    def _drop(self, code: str, where: str, message: str) -> None:
        self.notes.add(
            code, where, f"{message} The entry is left out.", "See docs/records.md.", level="error"
        )

    def _string(self, item: Mapping[Any, Any], key: str, where: str) -> str:
        value = item.get(key)
        if is_missing(value):
            return ""
        if not isinstance(value, str):
            self.notes.add(
                "not-text", f"{where}.{key}", "This must be a text; it is left out.", level="error"
            )
            return ""
        return value

    def _span(self, item: Mapping[Any, Any], where: str) -> tuple[int, int] | None:
        span = item.get("span")
        if is_missing(span):
            return None
        if (
            isinstance(span, list | tuple)
            and len(span) == 2
            and all(type(n) is int for n in span)
            and 0 <= span[0] <= span[1] <= self.text_length
        ):
            return (span[0], span[1])
        self.notes.add(
            "bad-span",
            f"{where}.span",
            "This is not a pair of character offsets within the text; it is left out.",
        )
        return None

    def _word(self, item: Mapping[Any, Any], key: str, where: str, allowed: tuple[str, ...]) -> str | None:
        """One of the allowed words, the first when missing, None (entry dropped) otherwise."""
        value = item.get(key)
        if is_missing(value):
            return allowed[0]
        if value in allowed:
            return str(value)
        self._drop("unknown-word", f"{where}.{key}", f"This must be one of {', '.join(allowed)}.")
        return None

    def finding(self, item: Any, where: str, excluded: bool | None) -> Finding | None:
        """`excluded` is what the list says, or None where each entry says it itself."""
        if isinstance(item, str):
            item = {"term": item}
        entry = self._mapping(item, where, _FINDING)
        if entry is None:
            return None
        name = "term" if not is_missing(entry.get("term")) else "name"
        term = resolve_term(entry.get(name), field=f"{where}.{name}", notes=self.notes, graph=self.graph)
        stated = self.notes.flag(entry.get("excluded"), f"{where}.excluded", default=bool(excluded))
        context = self._word(entry, "context", where, get_args(Context))
        origin = self._word(entry, "origin", where, get_args(Origin))
        if term is None or stated is None or context is None or origin is None:
            return None
        if excluded is not None and stated != excluded:
            self._drop(
                "contradiction", f"{where}.excluded", "The entry says the opposite of the list that it is in."
            )
            return None
        certainty = 1.0
        if not is_missing(entry.get("certainty")):
            number = self.notes.number(entry["certainty"], f"{where}.certainty")
            if number is None or not 0 <= number <= 1:
                self._drop("bad-certainty", f"{where}.certainty", "A certainty must lie between 0 and 1.")
                return None
            certainty = number
        return Finding(
            term=term,
            excluded=stated,
            onset_days=self.notes.age(entry.get("onset"), f"{where}.onset"),
            span=self._span(entry, where),
            certainty=certainty,
            severity=self._string(entry, "severity", where) or None,
            context=context,  # type: ignore[arg-type]
            origin=origin,  # type: ignore[arg-type]
            field=self._string(entry, "field", where) or where,
        )

    def measurement(self, item: Any, where: str) -> Measurement | None:
        entry = self._mapping(item, where, _MEASUREMENT)
        if entry is None:
            return None
        code, name = (self._string(entry, key, where) for key in ("code", "name"))
        if not (code.strip() or name.strip()):
            self._drop("no-code", where, "A measurement needs a LOINC code or a name.")
            return None
        value = entry.get("value")
        if is_missing(value):
            self._drop("no-value", f"{where}.value", "A measurement needs a value.")
            return None
        number = self.notes.number(value, f"{where}.value")
        if number is None:
            return None
        low, high = (
            None if is_missing(entry.get(key)) else self.notes.number(entry[key], f"{where}.{key}")
            for key in ("low", "high")
        )
        return Measurement(
            code=code,
            name=name,
            value=number,
            low=low,
            high=high,
            unit=self._string(entry, "unit", where),
            span=self._span(entry, where),
            age_days=self.notes.age(entry.get("age"), f"{where}.age"),
            field=self._string(entry, "field", where) or where,
        )

    def disease(self, item: Any, where: str) -> KnownDisease | None:
        if isinstance(item, str):
            item = {"term": item}
        entry = self._mapping(item, where, _DISEASE)
        if entry is None:
            return None
        name = self._string(entry, "name", where)
        term = resolve_term(
            entry.get("term") or name,
            field=f"{where}.term",
            notes=self.notes,
            graph=self.graph,
            kinds=("disease", "finding"),
        )
        stated = self.notes.flag(entry.get("excluded"), f"{where}.excluded")
        context = self._word(entry, "context", where, get_args(Context))
        if term is None or stated is None or context is None:
            return None
        return KnownDisease(
            term=term,
            name=name,
            excluded=stated,
            context=context,  # type: ignore[arg-type]
            span=self._span(entry, where),
            field=self._string(entry, "field", where) or where,
        )

    def _named(self, item: Any, where: str, known: set[str]) -> Mapping[Any, Any] | None:
        """A medication or allergy: a code, a name, or an object with either."""
        if isinstance(item, str):
            from kgmed.codes import tidy_curie

            code = tidy_curie(item)
            item = {"code": code} if code else {"name": item}
        entry = self._mapping(item, where, known)
        if entry is not None and not any(
            isinstance(entry.get(key), str) and entry[key].strip() for key in ("code", "name")
        ):
            self._drop("no-code", where, "The entry has neither a code nor a name.")
            return None
        return entry

    def medication(self, item: Any, where: str) -> Medication | None:
        entry = self._named(item, where, _MEDICATION)
        if entry is None:
            return None
        return Medication(
            code=self._string(entry, "code", where),
            name=self._string(entry, "name", where),
            dose=self._string(entry, "dose", where),
            status=self._string(entry, "status", where) or "active",
            span=self._span(entry, where),
            field=self._string(entry, "field", where) or where,
        )

    def allergy(self, item: Any, where: str) -> Allergy | None:
        entry = self._named(item, where, _ALLERGY)
        stated = None if entry is None else self.notes.flag(entry.get("excluded"), f"{where}.excluded")
        if entry is None or stated is None:
            return None
        return Allergy(
            code=self._string(entry, "code", where),
            name=self._string(entry, "name", where),
            reaction=self._string(entry, "reaction", where),
            excluded=stated,
            span=self._span(entry, where),
            field=self._string(entry, "field", where) or where,
        )

    def issue(self, item: Any, where: str) -> Issue | None:
        entry = self._mapping(item, where, _ISSUE)
        if entry is None:
            return None
        level = self._word(entry, "level", where, ("error", "warning"))
        if level is None:
            return None
        words = {
            key: self._string(entry, key, where) for key in ("code", "message", "fix", "record_id", "field")
        }
        return Issue(level=level, **words)  # type: ignore[arg-type]


def record_to_dict(record: Record) -> dict[str, Any]:
    """A record in kgmed's dict format; reading it back gives an equal record.

    Fields that hold nothing are left out. Ages are written in days.
    """
    out: dict[str, Any] = {}
    if record.id:
        out["id"] = record.id
    if record.text:
        out["text"] = record.text
    if record.sex != "UNKNOWN":
        out["sex"] = record.sex
    if record.setting:
        out["setting"] = record.setting
    for key, days in (
        ("age", record.age_days),
        ("onset", record.onset_days),
        ("duration", record.duration_days),
    ):
        if days is not None:
            out[key] = {"days": days}
    for key in ("findings", "measurements", "diseases", "medications", "allergies", "issues"):
        entries = [_entry(item, f"{key}[{i}]") for i, item in enumerate(getattr(record, key))]
        if entries:
            out[key] = entries
    return out


_AGES = {"onset_days": "onset", "age_days": "age"}
_ALWAYS = {"term", "value", "level", "code", "message"}


def _entry(item: Any, where: str) -> dict[str, Any]:
    """One entry; what has its default value is left out."""
    out: dict[str, Any] = {}
    for name, spec in type(item).__dataclass_fields__.items():
        value = getattr(item, name)
        if name == "field":
            if value and value != where:
                out[name] = value
        elif value == spec.default and not (name in _ALWAYS and value):
            continue
        elif name in _AGES:
            out[_AGES[name]] = {"days": value}
        else:
            out[name] = list(value) if isinstance(value, tuple) else value
    return out
