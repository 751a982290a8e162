"""What is wrong with a value, in words of whoever wrote it: the checks' own words are those of programmers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = "has to be a number"
_WHOLE = "has to be a whole number"
_TRUE = "has to be true or false, without quotes"
_TEXT = 'has to be a text in quotes, as "..."'
_LIST = "has to be a list, as [ ... ]"
_TABLE = "has to be a table of keys"
_WORDS = {
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be {ge} or more",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be {le} or less",
    "finite_number": "has to be a number that is not infinite",
    "too_short": "needs {min_length} entries at least, has {actual_length}",
    "too_long": "takes {max_length} entries at most, has {actual_length}",
    "string_too_short": "is too short: {min_length} characters at least",
    "string_too_long": "is too long: {max_length} characters at most",
    "string_pattern_mismatch": "does not have the form that is asked for: {pattern}",
    "literal_error": "has to be one of {expected}",
    "enum": "has to be one of {expected}",
    "float_type": _NUMBER, "float_parsing": _NUMBER, "int_type": _WHOLE, "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "bool_type": _TRUE, "bool_parsing": _TRUE, "string_type": _TEXT, "tuple_type": _LIST, "list_type": _LIST,
    "dict_type": _TABLE, "model_type": _TABLE, "model_attributes_type": _TABLE,
}  # fmt: skip
_PATTERNS = {  # those of agent/config/schema.py
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$": "has to be letters, digits, dots, dashes or underscores, 32 at most",
}


def plainly(kind: str, message: str, context: Mapping[str, Any], given: object) -> str:
    """A sentence's end after the key, from a failed check's type, own message, figures and the value."""
    words = _WORDS.get(kind)
    if kind == "string_pattern_mismatch":
        words = _PATTERNS.get(str(context.get("pattern")), words)
    if words is None:
        own = message.removeprefix("Value error, ")
        return own[:1].lower() + own[1:] + _shown(given)
    shown = "" if kind in ("too_short", "too_long") else _shown(given)
    return words.format(**{k: _figure(v) for k, v in context.items()}) + shown


def _shown(given: object) -> str:
    """The value, as it is written in TOML."""
    if isinstance(given, bool):
        return f", not {str(given).lower()}"
    if isinstance(given, str):
        return f', not "{given}"'
    return f", not {given!r}" if isinstance(given, int | float) else ""


def _figure(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
