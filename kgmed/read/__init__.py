"""Ontology files of any common format to an `Ontology`, and what is wrong with them."""

from __future__ import annotations

from kgmed.read.load import FORMATS, load_ontology
from kgmed.read.validation import validate

__all__ = ["FORMATS", "load_ontology", "validate"]
