"""Every error that kgmed raises on purpose.

```
KgmedError
  InputError(ValueError)              the caller's data is wrong
    RecordError                       with record id and field
    ParseError                        with path and line
    GraphFileError                    a compiled graph is missing, truncated or altered
  UnknownTermError(LookupError)       with the nearest known terms
  ConfigError(ValueError)             with the TOML key
  UnknownNameError(LookupError)       with the registered names
  MissingDependencyError(ImportError) with the pip extra to install
```

Messages say what is wrong, where, and what to do next. They never hold patient
text: a record is named by its id, a place by its field or character offsets.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "GraphFileError",
    "InputError",
    "KgmedError",
    "MissingDependencyError",
    "ParseError",
    "RecordError",
    "UnknownNameError",
    "UnknownTermError",
]


class KgmedError(Exception):
    """The root of kgmed's errors: catch this to catch them all."""


class InputError(KgmedError, ValueError):
    """The data or the arguments that the caller gave are wrong."""


class RecordError(InputError):
    """A patient record cannot be used.

    Attributes:
        record_id: Identifier of the record, or "" when it has none.
        field: Where in the record, for example `phenotypicFeatures[3].type.id`.
    """

    def __init__(self, message: str, *, record_id: str = "", field: str = "") -> None:
        self.record_id = record_id
        self.field = field
        where = f"record {record_id or '(no id)'}" + (f", field {field}" if field else "")
        super().__init__(f"{where}: {message}")


class ParseError(InputError):
    """A file is not what it should be.

    Attributes:
        path: The file, or "<input>".
        line: 1-based line, or None when it is not known.
    """

    def __init__(self, message: str, *, path: str = "<input>", line: int | None = None) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path}{f':{line}' if line is not None else ''}: {message}")


class GraphFileError(InputError):
    """A compiled graph is missing, truncated, altered, or of another format version."""


class UnknownTermError(KgmedError, LookupError):
    """An identifier or name that the graph does not hold.

    Attributes:
        term: What was asked for.
        nearest: The nearest known CURIEs, best first.
    """

    def __init__(self, term: str, nearest: tuple[str, ...] = ()) -> None:
        self.term = term
        self.nearest = nearest
        hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
        super().__init__(f"the graph holds no term {term!r}.{hint}")


class ConfigError(KgmedError, ValueError):
    """A setting is unknown or out of range; `key` is its TOML key."""

    def __init__(self, message: str, *, key: str = "") -> None:
        self.key = key
        super().__init__(f"{key}: {message}" if key else message)


class UnknownNameError(KgmedError, LookupError):
    """A component name that is not registered; the message lists those that are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"unknown name {name!r}; known: {', '.join(sorted(known))}")


class MissingDependencyError(KgmedError, ImportError):
    """An optional package is not installed; the message says which to install."""
