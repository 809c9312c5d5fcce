"""JSON and text from strangers: what is refused, and how it is said.

Refused with a `ParseError` that names the line and never the content: bytes that
are not UTF-8, NUL characters, NaN and infinite numbers, a key that stands twice
in one object, nesting too deep to walk, and more than `MAX_INPUT_BYTES`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from kgmed.errors import ParseError

__all__ = ["MAX_INPUT_BYTES", "MAX_TEXT_CHARACTERS", "decode", "load_json", "safe_key", "text_problem"]

MAX_INPUT_BYTES = 20_000_000
"""Largest record that is read: 20 MB. Larger ones are refused, not cut."""
MAX_TEXT_CHARACTERS = 1_000_000
"""Longest note: spaCy's own limit (`Language.max_length`), 1,000,000 characters."""

# A JSON text nested deeper than this is no patient record: FHIR and phenopackets stay below 30.
_MAX_DEPTH = 100
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]{0,39}", re.ASCII)


def safe_key(key: object) -> str:
    """A key that may be named in a message: it looks like a field name, not like prose."""
    return key if isinstance(key, str) and _KEY.fullmatch(key) else "(a key that is not a field name)"


def decode(data: bytes, *, path: str = "<input>") -> str:
    """Text of UTF-8 bytes, a byte order mark removed.

    Raises:
        ParseError: If it is too large, not UTF-8, or holds NUL characters.
    """
    if len(data) > MAX_INPUT_BYTES:
        raise ParseError(f"larger than {MAX_INPUT_BYTES:,} bytes; split it into records", path=path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(f"not UTF-8 text (byte {error.start}); save it as UTF-8", path=path) from None
    if "\0" in text:
        raise ParseError("binary data, not text (it holds NUL characters)", path=path)
    return text


def text_problem(text: str) -> str | None:
    """Why a note cannot be used, or None."""
    if len(text) > MAX_TEXT_CHARACTERS:
        return f"the text has more than {MAX_TEXT_CHARACTERS:,} characters; split it into notes"
    if "\0" in text:
        return "the text is binary (it holds NUL characters); give plain text"
    if not text.isascii() and re.search(r"[\ud800-\udfff]", text):
        return "the text holds broken characters (lone surrogates); save it as UTF-8"
    return None


class _Refused(Exception):
    """Raised inside the JSON hooks."""


def _constant(_: str) -> NoReturn:
    raise _Refused("NaN and infinite numbers are not allowed")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused("a number is too large")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"the key {safe_key(twice)} stands twice in one object; keep one")
    return out


def load_json(text: str, *, path: str = "<input>", line: int | None = None) -> Any:
    """Read one JSON value strictly.

    Args:
        text: The JSON.
        path: What to call it in errors.
        line: Line of the file that `text` is (JSON lines), or None when it is the file.

    Raises:
        ParseError: If it is malformed or refused (see the module).
    """
    if len(text) > MAX_INPUT_BYTES:
        raise ParseError(f"larger than {MAX_INPUT_BYTES:,} characters; split it into records", path=path)
    try:
        value = json.loads(text, parse_constant=_constant, parse_float=_float, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = line if line is not None else error.lineno
        raise ParseError(
            f"malformed JSON at column {error.colno}; check it with a JSON validator", path=path, line=where
        ) from None
    except _Refused as error:
        raise ParseError(str(error), path=path, line=line) from None
    except RecursionError:
        raise ParseError("nested too deeply", path=path, line=line) from None
    except ValueError:  # an integer of more digits than Python converts
        raise ParseError("a number has too many digits", path=path, line=line) from None
    if _deeper_than(value, _MAX_DEPTH):
        raise ParseError("nested too deeply", path=path, line=line)
    return value


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = (
            [
                child
                for item in level
                for child in (item.values() if isinstance(item, dict) else item)
                if isinstance(child, dict | list)
            ]
            if level and isinstance(level[0], dict | list)
            else []
        )
        if not level:
            return False
    return True
