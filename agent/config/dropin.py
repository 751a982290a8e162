"""A configuration in several files: vigia.toml, then conf.d/*.toml beside it in the order of their names.

Promises:
- a key of a later file wins over the same key of an earlier one; [[sensor]], [[zone]], [[rule]] tables add up;
- every table and key remembers its file and line, so that an error points to where it was written;
- several files become one TOML text (`dump`): it is what runs, is logged for replay and is kept as the last good one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    KeyPath = tuple[str | int, ...]
    Places = dict[KeyPath, tuple[str, int]]

FOLDER = "conf.d"
_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+|\"[^\"]*\")(?:\.[A-Za-z0-9_.\-]+)?\s*=")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def files(path: Path) -> tuple[Path, ...]:
    """The configuration's file and its drop-ins, in the order in which they are read."""
    return (path, *sorted((path.parent / FOLDER).glob("*.toml")))


def locate(text: str) -> dict[KeyPath, int]:
    """Line of each table and key, by path: ("sensor", 0, "url") -> 12. Good enough to point a finger."""
    lines: dict[KeyPath, int] = {}
    counts: dict[str, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header.group(2).strip("\"' ")
            if header.group(1) == "[[":
                index = counts[name] = counts.get(name, -1) + 1
                table = (name, index)
            else:
                table = _sub_table(name, counts)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, key.group(1).strip('"')), number)
    return lines


def merge(parts: Iterable[tuple[str, str, dict[str, Any]]]) -> tuple[dict[str, Any], Places]:
    """(file, text, parsed) of each file -> one document, and where each of its keys was written."""
    document: dict[str, Any] = {}
    places: Places = {}
    for file, text, parsed in parts:
        first = {k: len(document[k]) for k, v in parsed.items() if _is_tables(v) and _is_tables(document.get(k))}
        for path, line in locate(text).items():
            places[_moved(path, first)] = (file, line)
        _into(document, parsed)
    return document, places


def dump(document: dict[str, Any]) -> str:
    """A TOML text that reads back as `document` (texts, numbers, booleans, lists and tables)."""
    return "\n".join(_table(document, ())) + "\n"


def _moved(path: KeyPath, first: dict[str, int]) -> KeyPath:
    """The place of a [[table]] behind those of earlier files."""
    match path:
        case (str(name), int(index), *rest):
            return (name, index + first.get(name, 0), *rest)
    return path


def _sub_table(name: str, counts: dict[str, int]) -> KeyPath:
    parts = name.split(".")
    if len(parts) > 1 and parts[0] in counts:
        return (parts[0], counts[parts[0]], *parts[1:])
    return tuple(parts)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _into(document: dict[str, Any], parsed: dict[str, Any]) -> None:
    for key, value in parsed.items():
        have = document.get(key)
        if isinstance(have, dict) and isinstance(value, dict):
            _into(have, value)
        elif _is_tables(have) and _is_tables(value):
            document[key] = [*document[key], *value]
        else:
            document[key] = value


def _table(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    later = {k: v for k, v in table.items() if isinstance(v, dict) or _is_tables(v)}
    for key, value in table.items():
        if key not in later:
            yield f"{_name(key)} = {_value(value)}"
    for key, value in later.items():
        inner = (*path, key)
        header = ".".join(_name(p) for p in inner)
        for one in [value] if isinstance(value, dict) else value:
            yield f"[{header}]" if isinstance(value, dict) else f"[[{header}]]"
            yield from _table(one, inner)


def _name(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # else JSON's escapes are TOML's
    return str(value)  # integers, floats (inf, nan as TOML writes them), dates as ISO 8601
