"""GA4GH phenopackets, version 2 and (leniently) version 1, as JSON.

Each part is parsed by the message class that the `phenopackets` package (the
schema's own Python build) holds for it, part by part, so that one broken entry
becomes an issue and the rest is read. `interpretations` are never read: they hold
the answer of a solved case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kgmed.codes import tidy_curie
from kgmed.graph import KnowledgeGraph
from kgmed.intake.ages import ONSET_DAYS, days_between
from kgmed.intake.common import Notes, is_missing
from kgmed.intake.jsontext import safe_key
from kgmed.record import Finding, KnownDisease, Measurement, Medication, Record, Sex

__all__ = ["is_phenopacket", "read_phenopacket"]

_MARKS = ("phenotypicFeatures", "phenotypic_features", "metaData", "meta_data", "subject", "proband")
_PARTS = {
    "id",
    "subject",
    "phenotypicFeatures",
    "measurements",
    "diseases",
    "medicalActions",
    "metaData",
    "biosamples",
    "interpretations",
    "files",
    "htsFiles",
    "genes",
    "variants",
}
_NOT_READ = {"biosamples", "files", "htsFiles", "genes", "variants"}
# Fields that only version 1 has. Read with the version 2 class they would be unknown,
# and a `negated` finding would turn into a present one.
_V1_ONLY = {
    "negated",
    "ageOfOnset",
    "ageRangeOfOnset",
    "classOfOnset",
    "ageAtCollection",
    "ageRangeAtCollection",
}
# The numbers of the enum `Sex`, the same in both versions.
_SEX_NUMBERS = {0: "UNKNOWN", 1: "FEMALE", 2: "MALE", 3: "OTHER"}


def is_phenopacket(data: Mapping[Any, Any]) -> bool:
    """Whether a mapping looks like a phenopacket (or a family with a proband)."""
    return any(mark in data for mark in _MARKS)


def read_phenopacket(data: Mapping[Any, Any], *, graph: KnowledgeGraph | None = None) -> Record:
    """Read one phenopacket; of a family, its proband.

    Args:
        data: The JSON as a mapping, keys in camelCase or snake_case.
        graph: Not needed; taken so that all readers have one shape.
    """
    data = _camel_keys(data)
    notes = Notes()
    if isinstance(data.get("proband"), Mapping):
        notes.add(
            "family", "proband", "Only the proband of the family is read.", "Read relatives on their own."
        )
        data = _camel_keys(data["proband"])
    record_id = notes.identify(data.get("id"))
    for key in data:
        if key not in _PARTS:
            notes.add("unknown-field", safe_key(key), "A phenopacket has no such field; it is left out.")
        elif key in _NOT_READ and data[key]:
            notes.add("unread-field", key, "kgmed does not read this part.")
    reader = _Reader(notes)
    sex, age = reader.subject(data.get("subject"))
    findings = tuple(reader.findings(data.get("phenotypicFeatures")))
    diseases = tuple(reader.diseases(data.get("diseases")))
    return Record(
        id=record_id,
        findings=findings,
        measurements=tuple(reader.measurements(data.get("measurements"))),
        diseases=diseases,
        medications=tuple(reader.medications(data.get("medicalActions"))),
        age_days=age,
        onset_days=min(reader.disease_onsets, default=None),
        sex=sex,
        # What the format is exchanged for; `diagnose(..., setting=...)` says otherwise.
        setting="rare_disease",
        issues=tuple(notes.issues),
    )


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def _camel_keys(data: Mapping[Any, Any]) -> dict[Any, Any]:
    return {_camel(key) if isinstance(key, str) else key: value for key, value in data.items()}


class _Reader:
    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.born: Any = None
        self.disease_onsets: list[float] = []

    # -------------------------------------------------------- messages

    def _parse(self, kind: str, item: Any, where: str) -> Any:
        """The message of an entry, or None with an issue. Unknown fields are named and left out."""
        from google.protobuf import json_format
        from phenopackets.schema.v1 import base_pb2 as v1
        from phenopackets.schema.v2 import phenopackets_pb2  # noqa: F401 (registers the v2 messages)
        from phenopackets.schema.v2.core import (
            disease_pb2,
            individual_pb2,
            measurement_pb2,
            medical_action_pb2,
            phenotypic_feature_pb2,
        )

        v2 = {
            "Individual": individual_pb2.Individual,
            "PhenotypicFeature": phenotypic_feature_pb2.PhenotypicFeature,
            "Disease": disease_pb2.Disease,
            "Measurement": measurement_pb2.Measurement,
            "MedicalAction": medical_action_pb2.MedicalAction,
        }
        if not isinstance(item, Mapping):
            self._bad(where)
            return None
        item = dict(item)
        old = _V1_ONLY & set(_camel_keys(item))
        message_class = getattr(v1, kind) if old and hasattr(v1, kind) else v2[kind]
        item = self._known_fields(item, message_class.DESCRIPTOR, where)
        try:
            return json_format.ParseDict(item, message_class())
        except (json_format.ParseError, TypeError, ValueError, AttributeError, RecursionError, OverflowError):
            self._bad(where)
            return None

    def _known_fields(self, item: Mapping[Any, Any], descriptor: Any, where: str) -> dict[Any, Any]:
        """What the schema knows of an entry, at every depth; each other field is an issue."""
        fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
        out: dict[Any, Any] = {}
        for key, value in item.items():
            field = fields.get(key)
            place = f"{where}.{safe_key(key)}"
            if field is None:
                self.notes.add(
                    "unknown-field", place, "The phenopacket schema has no such field; it is left out."
                )
            elif field.message_type is None or field.message_type.file.package == "google.protobuf":
                out[key] = value
            elif isinstance(value, Mapping):
                out[key] = self._known_fields(value, field.message_type, place)
            elif isinstance(value, list):
                out[key] = [
                    self._known_fields(each, field.message_type, f"{place}[{i}]")
                    if isinstance(each, Mapping)
                    else each
                    for i, each in enumerate(value)
                ]
            else:
                out[key] = value
        return out

    def _bad(self, where: str) -> None:
        # The parser's own message repeats the value: it is not passed on.
        self.notes.add(
            "invalid-entry",
            where,
            "This does not fit the phenopacket schema; the entry is left out.",
            "Validate the phenopacket.",
            level="error",
        )

    def _list(self, kind: str, value: Any, key: str) -> Iterator[tuple[str, Any]]:
        if is_missing(value):
            return
        if not isinstance(value, list | tuple):
            self.notes.add("not-a-list", key, "This field must be a list; it is left out.", level="error")
            return
        for i, item in enumerate(value):
            message = self._parse(kind, item, f"{key}[{i}]")
            if message is not None:
                yield f"{key}[{i}]", message

    def _term(self, ontology_class: Any, where: str) -> str | None:
        curie = tidy_curie(ontology_class.id)
        if curie is None:
            self.notes.add(
                "no-term",
                f"{where}.id",
                "There is no CURIE here; the entry is left out.",
                "Give a CURIE such as HP:0001250.",
                level="error",
            )
        return curie

    # -------------------------------------------------------- times

    def _iso(self, text: str, where: str) -> float | None:
        return self.notes.age(text, where) if text else None

    def _date(self, timestamp: Any) -> Any:
        import datetime as dt

        try:
            return (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=timestamp.seconds)).date()
        except OverflowError:
            return None

    def _at(self, timestamp: Any, where: str) -> float | None:
        """Age at a point in time, which takes the date of birth."""
        day = self._date(timestamp)
        age = days_between(self.born, day) if self.born is not None and day is not None else None
        if age is None:
            self.notes.add("no-age", where, "No age can be told from this time and the date of birth.")
        return age

    def _middle(self, start: float | None, end: float | None) -> float | None:
        known = [days for days in (start, end) if days is not None]
        return sum(known) / len(known) if known else None

    def _time(self, element: Any, where: str) -> float | None:
        """Age of a version 2 TimeElement; ranges count as their middle, before birth as birth."""
        kind = element.WhichOneof("element")
        if kind == "age":
            return self._iso(element.age.iso8601duration, where)
        if kind == "age_range":
            return self._middle(
                self._iso(element.age_range.start.iso8601duration, where),
                self._iso(element.age_range.end.iso8601duration, where),
            )
        if kind == "ontology_class":
            return self._onset_class(element.ontology_class, where)
        if kind == "timestamp":
            return self._at(element.timestamp, where)
        if kind == "interval":
            return self._middle(
                self._at(element.interval.start, where), self._at(element.interval.end, where)
            )
        return 0.0 if kind == "gestational_age" else None

    def _onset_class(self, ontology_class: Any, where: str) -> float | None:
        days = ONSET_DAYS.get(tidy_curie(ontology_class.id) or "")
        if days is None:
            self.notes.add("unknown-onset", where, "This is not an onset class with an age; it is left out.")
        return days

    def _onset(self, message: Any, where: str) -> float | None:
        if hasattr(message, "onset"):  # absent from version 1 messages
            return self._time(message.onset, f"{where}.onset")
        if message.HasField("age_of_onset"):
            return self._iso(message.age_of_onset.age, f"{where}.ageOfOnset")
        if message.HasField("age_range_of_onset"):
            return self._middle(
                self._iso(message.age_range_of_onset.start.age, f"{where}.ageRangeOfOnset"),
                self._iso(message.age_range_of_onset.end.age, f"{where}.ageRangeOfOnset"),
            )
        if message.HasField("class_of_onset"):
            return self._onset_class(message.class_of_onset, f"{where}.classOfOnset")
        return None

    # -------------------------------------------------------- parts

    def subject(self, value: Any) -> tuple[Sex, float | None]:
        """Sex, and age at the last encounter in days."""
        if is_missing(value):
            return "UNKNOWN", None
        if not isinstance(value, Mapping):
            self._bad("subject")
            return "UNKNOWN", None
        value = dict(value)
        word = value.pop("sex", None)
        if type(word) is int:
            word = _SEX_NUMBERS.get(word, word)
        sex = self.notes.sex(word, "subject.sex")
        message = self._parse("Individual", value, "subject")
        if message is None:
            return sex, None
        if message.HasField("date_of_birth"):
            self.born = self._date(message.date_of_birth)
        if hasattr(message, "time_at_last_encounter"):
            return sex, self._time(message.time_at_last_encounter, "subject.timeAtLastEncounter")
        if message.HasField("age_at_collection"):
            return sex, self._iso(message.age_at_collection.age, "subject.ageAtCollection")
        if message.HasField("age_range_at_collection"):
            ages = message.age_range_at_collection
            where = "subject.ageRangeAtCollection"
            return sex, self._middle(self._iso(ages.start.age, where), self._iso(ages.end.age, where))
        return sex, None

    def findings(self, value: Any) -> Iterator[Finding]:
        for where, feature in self._list("PhenotypicFeature", value, "phenotypicFeatures"):
            term = self._term(feature.type, f"{where}.type")
            if term is None:
                continue
            resolved = hasattr(feature, "resolution") and feature.HasField("resolution")
            yield Finding(
                term=term,
                excluded=feature.negated if hasattr(feature, "negated") else feature.excluded,
                onset_days=self._onset(feature, where),
                severity=feature.severity.id or None,
                context="historical" if resolved else "current",
                field=where,
            )

    def diseases(self, value: Any) -> Iterator[KnownDisease]:
        for where, disease in self._list("Disease", value, "diseases"):
            term = self._term(disease.term, f"{where}.term")
            if term is None:
                continue
            excluded = bool(getattr(disease, "excluded", False))
            onset = self._onset(disease, where)
            if onset is not None and not excluded:
                self.disease_onsets.append(onset)
            resolved = hasattr(disease, "resolution") and disease.HasField("resolution")
            yield KnownDisease(
                term=term,
                name=disease.term.label,
                excluded=excluded,
                context="historical" if resolved else "current",
                field=where,
            )

    def measurements(self, value: Any) -> Iterator[Measurement]:
        for where, item in self._list("Measurement", value, "measurements"):
            kind = item.WhichOneof("measurement_value")
            age = self._time(item.time_observed, f"{where}.timeObserved")
            if kind == "value" and item.value.WhichOneof("value") == "quantity":
                pairs = [(where, item.assay, item.value.quantity)]
            elif kind == "complex_value":
                pairs = [
                    (f"{where}.complexValue.typedQuantities[{i}]", part.type, part.quantity)
                    for i, part in enumerate(item.complex_value.typed_quantities)
                ]
            else:
                self.notes.add(
                    "unread-value", where, "Only quantities are read; this measurement is left out."
                )
                continue
            for field, assay, quantity in pairs:
                measurement = self._measurement(field, assay, quantity, age)
                if measurement is not None:
                    yield measurement

    def _measurement(self, where: str, assay: Any, quantity: Any, age: float | None) -> Measurement | None:
        code = tidy_curie(assay.id) or ""
        number = self.notes.number(quantity.value, f"{where}.value")
        if not (code or assay.label):
            self._bad(f"{where}.assay")
            return None
        if number is None:
            return None
        low = high = None
        if quantity.HasField("reference_range"):
            low = self.notes.number(quantity.reference_range.low, f"{where}.referenceRange.low")
            high = self.notes.number(quantity.reference_range.high, f"{where}.referenceRange.high")
        unit = quantity.unit.id.removeprefix("UCUM:") or quantity.unit.label
        return Measurement(
            code=code,
            name=assay.label,
            value=number,
            unit=unit,
            low=low,
            high=high,
            age_days=age,
            field=where,
        )

    def medications(self, value: Any) -> Iterator[Medication]:
        for where, action in self._list("MedicalAction", value, "medicalActions"):
            if action.WhichOneof("action") != "treatment":
                self.notes.add("unread-field", where, "Only treatments with an agent are read.")
                continue
            agent = action.treatment.agent
            if not (agent.id or agent.label):
                self._bad(f"{where}.treatment.agent")
                continue
            doses = [i.quantity for i in action.treatment.dose_intervals if i.HasField("quantity")]
            dose = f"{doses[0].value:g} {doses[0].unit.label or doses[0].unit.id}".strip() if doses else ""
            yield Medication(code=tidy_curie(agent.id) or "", name=agent.label, dose=dose, field=where)
