"""What several readers of ontology files share: edges from text fields, cross-references, rule tables."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping as Fields
from collections.abc import Sequence
from typing import Any

from kgmed.ontology import Edge, Mapping
from kgmed.read.document import Document, parse_number
from kgmed.read.hpoa import FREQUENCY_CLASSES

__all__ = ["SCOPES", "add_edge", "add_rules", "xref"]

SCOPES = ("exact", "broad", "narrow", "related")
_PREFIXES = {"SNOMEDCT_US": "SCTID", "MSH": "MESH", "Orphanet": "ORPHA", "ICD-10": "ICD10CM"}
_LARGEST_COUNT = 2**31 - 1  # counts are 32-bit numbers in the compiled graph


def xref(term: str, text: str, source: str) -> Mapping | None:
    """A database cross-reference as a close mapping; None when it is an address or not an identifier."""
    prefix, colon, local = text.partition(":")
    if not colon or not local or "://" in text or " " in text:
        return None
    return Mapping(
        term=term, other=f"{_PREFIXES.get(prefix, prefix)}:{local}", predicate="close", source=source
    )


def add_rules(document: Document, text: str) -> None:
    """Append the `[[rule]]` tables of a TOML text, or a JSON list of them."""
    try:
        tables: Any = json.loads(text)
    except RecursionError:
        tables = None
    except ValueError:
        try:
            tables = tomllib.loads(text).get("rule", [])
        except RecursionError:
            tables = None
        except tomllib.TOMLDecodeError as error:
            document.problem(
                "error", "bad-rule", f"rules are not TOML: {error}", "see docs/rules.md for the format"
            )
            return
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        document.problem(
            "error", "bad-rule", "rules are not [[rule]] tables", "see docs/rules.md for the format"
        )
        return
    document.ontology.rules.extend(tables)


def add_edge(
    document: Document,
    subject: str,
    predicate: str,
    object_: str,
    fields: Fields[str, Sequence[str]],
    *,
    source: str,
    line: int | None = None,
) -> Edge | None:
    """An edge from text fields; a value that cannot be read becomes an error of the document.

    Fields: frequency (`0.8`, `80%`, `8/10`, or a class such as HP:0040281), frequency_class,
    numerator, denominator, onset, sex, reference (several), negated, evidence, asserted_for.
    """
    known = len(document.issues)

    def problem(code: str, message: str, fix: str) -> None:
        document.problem(
            "error",
            code,
            f"{subject} {predicate} {object_}: {message}",
            fix,
            subject,
            predicate,
            object_,
            line=line,
        )

    def one(name: str) -> str:
        values = [v.strip() for v in fields.get(name, ()) if v.strip()]
        if len(set(values)) > 1:
            problem("two-values", f"{name} is given {len(values)} times", "keep one, or state the fact twice")
        return values[0] if values else ""

    def count(name: str) -> int | None:
        text = one(name)
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > _LARGEST_COUNT:
            problem("bad-number", f"{name} is not a count of patients", "write a whole number such as 8")
            return None
        return int(text)

    def number(name: str, how: str) -> float | None:
        text = one(name)
        try:
            return parse_number(text) if text else None
        except ValueError:
            problem("bad-number", f"{name} is not a number", how)
            return None

    numerator, denominator = count("numerator"), count("denominator")
    frequency_term, text, frequency = one("frequency_class"), one("frequency"), None
    if text in FREQUENCY_CLASSES:
        frequency_term, text = text, ""
    if text:
        frequency = number("frequency", "write 0.8, 80%, 8/10 or a class such as HP:0040281")
        above, slash, below = text.partition("/")
        if slash and frequency is not None and numerator is None and denominator is None:
            numerator, denominator = int(above), int(below)
    elif frequency_term:
        frequency = FREQUENCY_CLASSES.get(frequency_term)
        if frequency is None:
            problem(
                "bad-class",
                f"{frequency_term} is not a frequency class of HPO",
                "use HP:0040280 to HP:0040285",
            )
    elif numerator is not None and denominator:
        frequency = numerator / denominator
    value = number("value", "write an odds ratio such as 2.5")
    sex = {"F": "FEMALE", "M": "MALE"}.get(one("sex").upper(), one("sex").upper())
    if sex not in ("", "FEMALE", "MALE"):
        problem("bad-sex", "sex is neither FEMALE nor MALE", "write FEMALE or MALE, or leave it out")
    negated = one("negated").lower()
    if negated not in ("", "true", "false", "1", "0"):
        problem("bad-boolean", "negated is neither true nor false", "write true or false")
    if len(document.issues) > known:
        return None
    return Edge(
        subject=subject,
        predicate=predicate,
        object=object_,
        negated=negated in ("true", "1"),
        numerator=numerator,
        denominator=denominator,
        frequency=frequency,
        frequency_term=frequency_term,
        onset=one("onset"),
        sex=sex,
        references=tuple(v for v in fields.get("reference", ()) if v),
        asserted_for=one("asserted_for"),
        source=one("source") or source,
        evidence=one("evidence"),
        value=value,
    )
