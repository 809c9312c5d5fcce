"""FHIR R4 resources and bundles.

Each resource is validated by the model that `fhir.resources` has for it (R4B, which
agrees with R4 on every resource read here). Fields that do not validate are left
out with an issue; a resource that cannot be saved so is set aside with an issue, and
the rest is read. References are looked up inside the bundle and never fetched.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

from kgmed.codes import curie_of, is_public, tidy_curie
from kgmed.errors import InputError, RecordError
from kgmed.graph import KnowledgeGraph
from kgmed.intake.ages import DAYS_PER_MONTH, DAYS_PER_YEAR, days_between, parse_date
from kgmed.intake.common import Notes, find_by_name, shown
from kgmed.intake.jsontext import decode, safe_key
from kgmed.record import Allergy, Context, Finding, KnownDisease, Measurement, Medication, Record

__all__ = ["is_fhir", "read_bundle", "read_fhir"]

_READ = {
    "Patient",
    "Condition",
    "Observation",
    "MedicationStatement",
    "MedicationRequest",
    "AllergyIntolerance",
    "FamilyMemberHistory",
    "DiagnosticReport",
    "DocumentReference",
}
# Looked up from the resources above, or about the record rather than the patient.
_SUPPORTING = {"Bundle", "Medication", "Organization", "Practitioner", "PractitionerRole", "Location"}
_PRESENT = {
    "pos",
    "positive",
    "present",
    "yes",
    "y",
    "detected",
    "det",
    "10828004",
    "52101004",
    "LA9633-4",
    "LA33-6",
}
_ABSENT = {
    "neg",
    "negative",
    "absent",
    "no",
    "n",
    "not detected",
    "nd",
    "260385009",
    "2667000",
    "LA9634-2",
    "LA32-8",
}
# Age units of UCUM, in days.
_AGE_UNITS = {"a": DAYS_PER_YEAR, "mo": DAYS_PER_MONTH, "wk": 7.0, "d": 1.0, "h": 1 / 24, "min": 1 / 1440}
_AGE_WORDS = {
    "years": "a",
    "year": "a",
    "yr": "a",
    "y": "a",
    "months": "mo",
    "month": "mo",
    "weeks": "wk",
    "week": "wk",
    "days": "d",
    "day": "d",
    "hours": "h",
}
_UNSURE = {"provisional", "differential", "unconfirmed"}
_UNSURE_CERTAINTY = 0.5  # even odds: FHIR gives no number for "there is reason to think so"
_SNOMED_TAGS = ("(finding)", "(disorder)", "(situation)", "(morphologic abnormality)")


def is_fhir(data: Mapping[Any, Any]) -> bool:
    """Whether a mapping is a FHIR resource."""
    return isinstance(data.get("resourceType"), str)


def read_fhir(
    data: Mapping[Any, Any], *, graph: KnowledgeGraph | None = None, as_of: dt.date | None = None
) -> Record:
    """Read the one patient of a bundle, or a single resource.

    Args:
        data: The JSON as a mapping.
        graph: Maps codes to its terms. Without one the codes are kept as they are.
        as_of: The day on which the patient's age counts; by default the latest date
            in the bundle.

    Raises:
        RecordError: If the bundle holds several patients.
    """
    records = list(read_bundle(data, graph=graph, as_of=as_of))
    if len(records) > 1:
        raise RecordError(f"the bundle holds {len(records)} patients; use iter_records", field="entry")
    if isinstance(records[0], InputError):
        raise records[0]
    return records[0]


def read_bundle(
    data: Mapping[Any, Any], *, graph: KnowledgeGraph | None = None, as_of: dt.date | None = None
) -> Iterator[Record | InputError]:
    """One record per patient of a bundle; one record when it names no patient or one.

    Raises:
        RecordError: If it is no FHIR resource.
    """
    if not is_fhir(data):
        raise RecordError("this is no FHIR resource; it needs a resourceType", field="resourceType")
    entries, issues = _entries(data)
    patients = [e for e in entries if e.resource.get("resourceType") == "Patient"]
    for patient in patients or [None]:  # type: ignore[list-item]
        try:
            yield _Reader(entries, patient, len(patients), graph, as_of, issues).read()
        except InputError as error:
            yield error
        except RecursionError:
            yield RecordError("nested too deeply", field="entry")


class _Entry:
    """A resource with its place in the bundle and the names that references use for it."""

    def __init__(self, resource: Mapping[Any, Any], where: str, url: Any) -> None:
        self.resource = resource
        self.where = where
        kind, identity = resource.get("resourceType"), resource.get("id")
        self.names = {url} if isinstance(url, str) else set()
        if isinstance(identity, str):
            self.names.add(f"{kind}/{identity}")


def _entries(data: Mapping[Any, Any]) -> tuple[list[_Entry], list[tuple[str, str, str]]]:
    if data.get("resourceType") != "Bundle":
        return [_Entry(data, str(safe_key(data.get("resourceType"))), None)], []
    found = data.get("entry", [])
    if not isinstance(found, Sequence) or isinstance(found, str):
        return [], [("not-a-list", "entry", "The entries of the bundle are not a list.")]
    entries, issues, seen = [], [], set()
    for i, item in enumerate(found):
        resource = item.get("resource") if isinstance(item, Mapping) else None
        if not isinstance(resource, Mapping) or not isinstance(resource.get("resourceType"), str):
            issues.append(("invalid-resource", f"entry[{i}]", "The entry holds no resource."))
            continue
        kind = resource["resourceType"]
        entry = _Entry(resource, f"entry[{i}].{safe_key(kind)}", item.get("fullUrl"))
        twice = {name for name in entry.names if name in seen}
        if twice:
            issues.append(
                ("duplicate-id", entry.where, "Another resource of the bundle has this identifier.")
            )
        seen |= entry.names
        entries.append(entry)
    return entries, issues


class _Text(HTMLParser):
    """The words of an XHTML narrative; block elements end a line."""

    _BLOCKS = frozenset(
        {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol"}
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden += tag in ("script", "style")
        if tag in self._BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style") and self.hidden > 0
        if tag in self._BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def _strip_tags(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line)


def _codes(concept: Any) -> set[str]:
    """Plain codes of a CodeableConcept (statuses)."""
    return {str(c.code) for c in (concept.coding or ()) if c.code} if concept is not None else set()


def _label(concept: Any) -> str:
    if concept is None:
        return ""
    displays = [c.display for c in concept.coding or () if c.display]
    return str(concept.text or (displays[0] if displays else ""))


class _Reader:
    def __init__(
        self,
        entries: list[_Entry],
        patient: _Entry | None,
        patients: int,
        graph: KnowledgeGraph | None,
        as_of: dt.date | None,
        issues: list[tuple[str, str, str]],
    ) -> None:
        self.entries = entries
        self.patient = patient
        self.patients = patients
        self.graph = graph
        self.as_of = as_of
        self.notes = Notes()
        self.bundle_issues = issues
        self.born: dt.date | None = None
        self.dates: list[dt.date] = []
        self.findings: list[Finding] = []
        self.diseases: list[KnownDisease] = []
        self.measurements: list[tuple[dt.date | None, Measurement]] = []
        self.medications: list[Medication] = []
        self.allergies: list[Allergy] = []
        self.texts: list[str] = []

    # -------------------------------------------------------- the whole

    def read(self) -> Record:
        sex, record_id = "UNKNOWN", ""
        if self.patient is not None:
            record_id = self.notes.identify(self.patient.resource.get("id"))
            patient = self._validated(self.patient)
            if patient is not None:
                sex = self.notes.sex(patient.gender, f"{self.patient.where}.gender")
                self._birth(patient)
        for code, field, message in self.bundle_issues:
            self.notes.add(code, field, message, level="error" if code != "duplicate-id" else "warning")
        unread: Counter[str] = Counter()
        for entry in self.entries:
            kind = entry.resource["resourceType"]
            if kind == "Patient" or kind in _SUPPORTING:
                continue
            if kind not in _READ:
                unread[safe_key(kind)] += 1
                continue
            resource = self._validated(entry) if self._is_about_patient(entry) else None
            if resource is not None:
                getattr(self, f"_read_{kind.lower()}")(resource, entry.where)
        if unread:
            kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(unread.items()))
            self.notes.add("unread-resource", "entry", f"kgmed does not read these resources: {kinds}.")
        if self.patient is None and self.entries:
            self.notes.add("no-patient", "entry", "There is no Patient here; age and sex stay unknown.")
        self.measurements.sort(key=lambda pair: pair[0] or dt.date.min)
        return Record(
            id=record_id,
            text=self.notes.text("\n\n".join(self.texts)),
            findings=tuple(self.findings),
            measurements=tuple(m for _, m in self.measurements),
            diseases=tuple(self.diseases),
            medications=tuple(self.medications),
            allergies=tuple(self.allergies),
            age_days=self._age_now(),
            sex=sex,  # type: ignore[arg-type]
            issues=tuple(self.notes.issues),
        )

    def _is_about_patient(self, entry: _Entry) -> bool:
        """A resource about somebody else must not end up in this record."""
        subject = entry.resource.get("subject") or entry.resource.get("patient")
        reference = subject.get("reference") if isinstance(subject, Mapping) else None
        if not isinstance(reference, str) or self.patient is None:
            if self.patients <= 1:
                return True
            self.notes.add(
                "no-subject",
                entry.where,
                "The bundle holds several patients and this names none; it is left out.",
                level="error",
            )
            return False
        if any(reference == name or reference.endswith("/" + name) for name in self.patient.names):
            return True
        if self.patients == 1:
            self.notes.add(
                "other-patient",
                entry.where,
                "This is about somebody who is not the patient; it is left out.",
                "Check the subject reference.",
                level="error",
            )
        return False

    def _validated(self, entry: _Entry) -> Any:
        from fhir.resources.R4B import get_fhir_model_class
        from pydantic import ValidationError

        kind = entry.resource["resourceType"]
        data = dict(entry.resource)
        for _ in range(3):
            try:
                return get_fhir_model_class(kind).model_validate(data)
            except ValidationError as error:
                # Only places and kinds are used: the messages repeat the values.
                found = error.errors(include_input=False, include_url=False, include_context=False)
                bad = {str(e["loc"][0]) for e in found if e["loc"] and "missing" not in e["type"]}
                required = {
                    str(e["loc"][0])
                    for e in found
                    if e["loc"] and len(e["loc"]) == 1 and "missing" in e["type"]
                }
                bad |= {str(e["loc"][0]) for e in found if len(e["loc"]) > 1}
                removable = [key for key in data if key in bad and key not in required]
                if not removable or required:
                    break
                for key in removable:
                    self.notes.add(
                        "invalid-field",
                        f"{entry.where}.{safe_key(key)}",
                        "This does not fit FHIR R4; the field is left out.",
                        "Validate the resource.",
                        level="error",
                    )
                    del data[key]
            except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
                break
        self.notes.add(
            "invalid-resource",
            entry.where,
            "This does not fit FHIR R4; the resource is left out.",
            "Validate the resource.",
            level="error",
        )
        return None

    # -------------------------------------------------------- times

    def _birth(self, patient: Any) -> None:
        assert self.patient is not None
        found = parse_date(patient.birthDate)
        if found is not None:
            self.born, whole = found
            if not whole:
                self.notes.add(
                    "partial-date",
                    f"{self.patient.where}.birthDate",
                    "The date of birth lacks its day; the middle of the period is taken for ages.",
                )
        self._day(getattr(patient, "deceasedDateTime", None))

    def _day(self, value: Any) -> dt.date | None:
        """A date of the record; all of them together give the day the age counts on."""
        found = parse_date(value)
        if found is None:
            return None
        self.dates.append(found[0])
        return found[0]

    def _age_on(self, day: dt.date | None) -> float | None:
        return days_between(self.born, day) if self.born is not None and day is not None else None

    def _age_now(self) -> float | None:
        if self.born is None:
            return None
        assert self.patient is not None
        day = self.as_of or max(self.dates, default=None)
        if day is None:
            self.notes.add(
                "no-age",
                f"{self.patient.where}.birthDate",
                "No date says when the patient had which age.",
                "Pass as_of.",
            )
            return None
        age = self._age_on(day)
        if age is None:
            self.notes.add(
                "bad-age",
                f"{self.patient.where}.birthDate",
                "The date of birth does not fit the record's dates.",
                level="error",
            )
        return age

    def _onset(self, resource: Any, where: str) -> float | None:
        age = getattr(resource, "onsetAge", None)
        if age is not None:
            unit = str(age.code or age.unit or "").strip()
            days = _AGE_UNITS.get(_AGE_WORDS.get(unit.lower(), unit))
            if days is None or age.value is None:
                self.notes.add(
                    "bad-age", f"{where}.onsetAge", "This is not an age; the onset is taken as unknown."
                )
                return None
            return self.notes.age({"days": float(age.value) * days}, f"{where}.onsetAge")
        period = getattr(resource, "onsetPeriod", None)
        value = getattr(resource, "onsetDateTime", None) or (period.start if period is not None else None)
        return self._age_on(self._day(value))

    # -------------------------------------------------------- codes

    def _candidates(self, concept: Any) -> list[str]:
        """CURIEs of a concept's codings, in order; none where there is no concept."""
        curies = []
        for coding in (concept.coding if concept is not None else None) or ():
            if not coding.code:
                continue
            curie = (
                curie_of(str(coding.system), str(coding.code))
                if coding.system
                else tidy_curie(str(coding.code))
            )
            if curie is not None and tidy_curie(curie) is not None:
                curies.append(curie)
        return curies

    def _meaning(self, concept: Any, where: str) -> tuple[str, str] | None:
        """(CURIE, kind) of a coded statement: `finding`, `disease`, or "" where it cannot be told."""
        if concept is None:
            self.notes.add("no-code", where, "The statement has no code; it is left out.", level="error")
            return None
        curies = self._candidates(concept)
        if self.graph is None:
            # HPO first, since it is what is scored; other codes wait for a graph.
            for curie in curies:
                if curie.startswith("HP:"):
                    return curie, "finding"
            if curies:
                return curies[0], ""
        else:
            for curie in curies:
                term = self.graph.resolve(curie)
                if term is not None:
                    return term, self.graph.term(term).kind
                several = self.graph.mapped(curie)
                if len(several) > 1:
                    self.notes.add(
                        "ambiguous-code",
                        where,
                        f"{shown(curie)} means several terms: {', '.join(sorted(several)[:5])}.",
                        "Code one of them.",
                    )
            labels = [coding.display for coding in concept.coding or () if coding.display]
            for label in dict.fromkeys([*labels, *([concept.text] if concept.text else [])]):
                name = str(label)
                for tag in _SNOMED_TAGS:
                    name = name.removesuffix(tag)
                found = find_by_name(name, self.graph, ("finding", "disease")) if len(name) <= 300 else None
                if found is not None:
                    self.notes.add(
                        "matched-by-name",
                        where,
                        f"The graph does not know {self._systems(concept, curies)}; "
                        f"read by its name as {found}.",
                        "Load a mapping for the code system.",
                    )
                    return found, self.graph.term(found).kind
        self.notes.add(
            "unknown-code",
            where,
            f"The graph does not know {self._systems(concept, curies)}.",
            "Load a mapping for the code system, or code the statement in HPO.",
        )
        return (curies[0], "") if curies else None

    def _systems(self, concept: Any, curies: list[str]) -> str:
        public = [curie for curie in curies if is_public(curie)]
        if public:
            return ", ".join(public[:5])
        return "the code's system" if concept is not None and concept.coding else "a statement without a code"

    def _state(
        self,
        concept: Any,
        where: str,
        *,
        excluded: bool = False,
        context: Context = "current",
        onset: float | None = None,
        certainty: float = 1.0,
        severity: str | None = None,
        keep_unknown: bool = True,
    ) -> None:
        """Add a coded statement as a finding or a stated disease."""
        found = self._meaning(concept, where)
        if found is None:
            return
        term, kind = found
        if kind == "finding":
            self.findings.append(
                Finding(
                    term=term,
                    excluded=excluded,
                    context=context,
                    onset_days=onset,
                    certainty=certainty,
                    severity=severity,
                    field=where,
                )
            )
        elif kind or keep_unknown:
            if certainty < 1 and context == "current":
                context = "hypothetical"
            self.diseases.append(
                KnownDisease(term=term, name=_label(concept), excluded=excluded, context=context, field=where)
            )

    def _mistaken(self, statuses: set[str], where: str) -> bool:
        if statuses & {"entered-in-error", "cancelled", "not-done"}:
            self.notes.add("not-valid", where, "Its status says that it does not hold; it is left out.")
            return True
        return False

    # -------------------------------------------------------- resources

    def _read_condition(self, condition: Any, where: str) -> None:
        verification, clinical = _codes(condition.verificationStatus), _codes(condition.clinicalStatus)
        self._day(condition.recordedDate)
        if self._mistaken(verification, where):
            return
        ended = clinical & {"resolved", "inactive", "remission"} or (
            not clinical
            and any(
                getattr(condition, f"abatement{kind}", None) is not None
                for kind in ("DateTime", "Age", "String")
            )
        )
        severity = self._candidates(condition.severity)
        self._state(
            condition.code,
            where,
            excluded="refuted" in verification,
            context="historical" if ended else "current",
            onset=self._onset(condition, where),
            certainty=_UNSURE_CERTAINTY if verification & _UNSURE else 1.0,
            severity=severity[0] if severity else None,
        )

    def _read_observation(self, observation: Any, where: str) -> None:
        if self._mistaken({str(observation.status)}, where):
            return
        period = observation.effectivePeriod
        day = self._day(
            observation.effectiveDateTime
            or (period.start if period is not None else None)
            or observation.issued
        )
        self._observed(observation, observation.code, where, day)
        for i, component in enumerate(observation.component or ()):
            self._observed(component, component.code, f"{where}.component[{i}]", day)

    def _observed(self, item: Any, code: Any, where: str, day: dt.date | None) -> None:
        quantity = item.valueQuantity
        if quantity is not None or item.valueInteger is not None:
            self._measured(item, quantity, code, where, day)
            return
        if item.dataAbsentReason is not None:
            return  # nobody knows: such a finding is simply not listed
        answer = self._answer(item)
        curies = self._candidates(code)
        asks_finding = any(c.startswith("HP:") for c in curies) or (
            self.graph is not None
            and any(
                (t := self.graph.resolve(c)) is not None and self.graph.term(t).kind == "finding"
                for c in curies
            )
        )
        if item.valueCodeableConcept is not None and answer is None:
            # A coded answer that is a finding itself ("physical finding": "ataxia").
            self._state(item.valueCodeableConcept, f"{where}.valueCodeableConcept", keep_unknown=False)
        elif asks_finding and (answer is not None or not self._has_value(item)):
            self._state(code, where, excluded=answer is False)
        elif self._has_value(item) or not (
            getattr(item, "component", None) or getattr(item, "hasMember", None)
        ):
            self.notes.add(
                "unread-value", where, "kgmed cannot read this kind of value; the observation is left out."
            )

    def _has_value(self, item: Any) -> bool:
        kinds = (
            "CodeableConcept",
            "String",
            "Boolean",
            "Range",
            "Ratio",
            "SampledData",
            "Time",
            "DateTime",
            "Period",
        )
        return any(getattr(item, f"value{kind}", None) is not None for kind in kinds)

    def _answer(self, item: Any) -> bool | None:
        """Present or absent, where the value or the interpretation says so."""
        if item.valueBoolean is not None:
            return bool(item.valueBoolean)
        words: set[str] = set()
        for concept in (item.valueCodeableConcept, *(item.interpretation or ())):
            if concept is not None:
                words |= {w for code in _codes(concept) for w in (code, code.lower())} | {
                    _label(concept).strip().lower()
                }
        if item.valueString is not None:
            words.add(str(item.valueString).strip().lower())
        present, absent = bool(words & _PRESENT), bool(words & _ABSENT)
        return present if present != absent else None

    def _measured(self, item: Any, quantity: Any, code: Any, where: str, day: dt.date | None) -> None:
        if quantity is not None and quantity.value is None:
            self.notes.add("no-value", f"{where}.valueQuantity", "The quantity has no value; it is left out.")
            return
        value = self.notes.number(
            quantity.value if quantity is not None else item.valueInteger, f"{where}.value"
        )
        curies = self._candidates(code)
        loinc = next((c for c in curies if c.startswith("LOINC:")), curies[0] if curies else "")
        name = _label(code)
        if value is None:
            return
        if not (loinc or name.strip()):
            self.notes.add(
                "no-code", where, "The measurement has neither code nor name; it is left out.", level="error"
            )
            return
        if quantity is not None and quantity.comparator:
            self.notes.add(
                "comparator", f"{where}.valueQuantity", "The value is a limit (< or >); the limit is taken."
            )
        low = high = None
        for reference in item.referenceRange or ():
            if reference.type is None or "normal" in _codes(reference.type):
                low = self._limit(reference.low, quantity, f"{where}.referenceRange")
                high = self._limit(reference.high, quantity, f"{where}.referenceRange")
                break
        unit = str(quantity.code or quantity.unit or "") if quantity is not None else ""
        measurement = Measurement(
            code=loinc,
            name=name,
            value=value,
            unit=unit,
            low=low,
            high=high,
            age_days=self._age_on(day),
            field=where,
        )
        self.measurements.append((day, measurement))

    def _limit(self, limit: Any, quantity: Any, where: str) -> float | None:
        if limit is None or limit.value is None:
            return None
        unit, own = (q.code or q.unit if q is not None else None for q in (limit, quantity))
        if unit is not None and own is not None and unit != own:
            self.notes.add(
                "bad-range", where, "The reference range is in another unit than the value; it is left out."
            )
            return None
        return self.notes.number(limit.value, where)

    def _drug(self, resource: Any, where: str) -> tuple[str, str] | None:
        """Code and name of a medication, its reference looked up in the resource and the bundle."""
        concept = resource.medicationCodeableConcept
        if concept is None and resource.medicationReference is not None:
            reference = str(resource.medicationReference.reference or "")
            for contained in resource.contained or ():
                if reference == f"#{contained.id}":
                    concept = getattr(contained, "code", None)
            for entry in self.entries:
                if (
                    concept is None
                    and entry.resource["resourceType"] == "Medication"
                    and reference in entry.names
                ):
                    medication = self._validated(entry)
                    concept = medication.code if medication is not None else None
            if concept is None and resource.medicationReference.display:
                return "", str(resource.medicationReference.display)
        curies = self._candidates(concept)
        name = _label(concept)
        if not (curies or name):
            self.notes.add("no-code", where, "The drug cannot be told; it is left out.", level="error")
            return None
        return next(
            (c for c in curies if c.startswith(("RXNORM:", "ATC:"))), curies[0] if curies else ""
        ), name

    def _medication(self, resource: Any, dosages: Any, where: str) -> None:
        if self._mistaken({str(resource.status)}, where):
            return
        drug = self._drug(resource, where)
        if drug is not None:
            dose = next((str(d.text) for d in dosages or () if d.text), "")
            self.medications.append(
                Medication(
                    code=drug[0],
                    name=drug[1],
                    dose=dose,
                    status=str(resource.status or "active"),
                    field=where,
                )
            )

    def _read_medicationstatement(self, statement: Any, where: str) -> None:
        self._day(statement.dateAsserted)
        self._medication(statement, statement.dosage, where)

    def _read_medicationrequest(self, request: Any, where: str) -> None:
        self._day(request.authoredOn)
        if getattr(request, "doNotPerform", None):
            self.notes.add("not-valid", where, "The request says not to give the drug; it is left out.")
            return
        self._medication(request, request.dosageInstruction, where)

    def _read_allergyintolerance(self, allergy: Any, where: str) -> None:
        verification = _codes(allergy.verificationStatus)
        self._day(allergy.recordedDate)
        if self._mistaken(verification, where):
            return
        curies = self._candidates(allergy.code)
        name = _label(allergy.code)
        if not (curies or name):
            self.notes.add(
                "no-code", where, "The allergy has neither code nor name; it is left out.", level="error"
            )
            return
        reactions = [_label(m) for reaction in allergy.reaction or () for m in reaction.manifestation or ()]
        self.allergies.append(
            Allergy(
                code=curies[0] if curies else "",
                name=name,
                reaction="; ".join(r for r in reactions if r),
                excluded="refuted" in verification,
                field=where,
            )
        )

    def _read_familymemberhistory(self, history: Any, where: str) -> None:
        self._day(history.date)
        if self._mistaken({str(history.status)}, where):
            return
        for i, condition in enumerate(history.condition or ()):
            # The onset is the relative's age: it says nothing of the patient's.
            self._state(condition.code, f"{where}.condition[{i}]", context="family")

    def _read_diagnosticreport(self, report: Any, where: str) -> None:
        if self._mistaken({str(report.status)}, where):
            return
        self._day(report.effectiveDateTime or report.issued)
        parts = [
            self._attached(form, f"{where}.presentedForm[{i}]")
            for i, form in enumerate(report.presentedForm or ())
        ]
        parts.append(str(report.conclusion or ""))
        if not any(parts) and report.text is not None:
            parts = [_strip_tags(str(report.text.div or ""))]
        self._add_text(parts, where)
        for i, concept in enumerate(report.conclusionCode or ()):
            self._state(concept, f"{where}.conclusionCode[{i}]")

    def _read_documentreference(self, document: Any, where: str) -> None:
        if self._mistaken({str(document.status)}, where):
            return
        self._day(document.date)
        self._add_text(
            [
                self._attached(c.attachment, f"{where}.content[{i}].attachment")
                for i, c in enumerate(document.content or ())
            ],
            where,
        )

    def _add_text(self, parts: list[str], where: str) -> None:
        for part in dict.fromkeys(part.strip() for part in parts):
            text = self.notes.text(part, where) if part else ""
            if text and text not in self.texts:
                self.texts.append(text)

    def _attached(self, attachment: Any, where: str) -> str:
        """Text of an attachment that is held in the bundle; an address is never followed."""
        kind = str(attachment.contentType or "").partition(";")[0].strip().lower()
        if attachment.data is None or kind not in ("text/plain", "text/html", "application/xhtml+xml", ""):
            self.notes.add("unread-text", where, "Only text that is held in the bundle is read.")
            return ""
        try:
            text = decode(attachment.data, path=where)  # fhir.resources has undone the base64
        except InputError:
            self.notes.add(
                "bad-text",
                where,
                "The attachment is not UTF-8 text; it is left out.",
                level="error",
            )
            return ""
        return text if kind == "text/plain" else _strip_tags(text)
