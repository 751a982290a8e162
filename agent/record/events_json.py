"""Events from JSON lines: how data from elsewhere is put through the core (`vigia replay --events`).

One object per line with `type`, `at` (seconds), `source` (not for ticks) and that type's fields as in `agent.messages`
(`class` for `class_`). Promises:
- events come out in order of `at`, those of equal time in the order of the file;
- plots of one source with the same `at` are one Scan, bearings one View, detections one Detections, wherever their
  lines stand; `scan`, `view` and `detections` lines carry them as a list and can be empty ("looked and saw nothing");
- a file without ticks gets one every `tracking.tick_s`, from its first event on to the first tick after its last;
- keys that a type does not know are passed over (recordings carry notes of their own); a missing or wrong value ends
  the reading with an `InputError` that names the line.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Union

from agent.errors import InputError
from agent.messages import (
    Ais,
    Bearing,
    Box,
    ClockChange,
    ConfigChange,
    Detections,
    Nav,
    Plot,
    Scan,
    SensorHealth,
    Tick,
    TrackReport,
    Unseen,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.config.schema import Config
    from agent.messages import Event

# Types that are events by themselves.
_ALONE: dict[str, type[Any]] = {
    "track_report": TrackReport, "ais": Ais, "nav": Nav, "sensor_health": SensorHealth, "health": SensorHealth,
    "tick": Tick, "clock_change": ClockChange, "config_change": ConfigChange,
}  # fmt: skip
# Types that lines of one source and time make together: one line's type -> (group's type, key of a list in one line).
_SINGLE = {"plot": "scan", "bearing": "view", "detection": "detections"}
_LISTS = {"scan": ("plots", Plot), "view": ("bearings", Bearing), "detections": ("boxes", Box)}
_DEFAULTS: dict[type[Any], dict[str, Any]] = {
    Ais: {"kind": "a", "msg_type": 1}, SensorHealth: {"sentence": ""}, TrackReport: {"status": "T"},
    Box: {"class_id": -1},
}  # fmt: skip
_FACTS = {"scan": ("period_s", "beam_deg"), "view": (), "detections": ("width_px", "height_px")}
_OPTIONAL: dict[str, tuple[str, ...]] = {"scan": (), "view": (), "detections": ("shift_px",)}
_TYPES = (*_SINGLE, *_LISTS, *_ALONE)
_WITHOUT_SOURCE = ("tick", "clock_change", "config_change")


def read_events(lines: Iterable[str], config: Config) -> Iterator[Event]:
    """The events in `lines`, in the order in which the core has to see them. Holds all of them in memory.

    Raises:
        InputError: a line is no JSON object, or lacks a value, or has one of the wrong kind; names the line.

    """
    rows: list[tuple[float, dict[str, Any], int]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            row = _object(line, number)
            rows.append((_time(row, number), row, number))
    rows.sort(key=lambda r: r[0])  # stable: equal times keep the order of the file
    events = _grouped(rows)
    if any(row["type"] == "tick" for _, row, _ in rows):
        yield from events
    else:
        yield from _ticked(events, config.tracking.tick_s)


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as e:
        raise InputError(f"line {number} is not JSON ({e})") from None
    if not isinstance(row, dict):
        raise InputError(f"line {number} is not a JSON object")
    kind = row.get("type")
    if kind not in _TYPES:
        raise InputError(f"line {number} has the type {kind!r}; the types are {', '.join(_TYPES)}")
    if kind not in _WITHOUT_SOURCE and not isinstance(row.get("source"), str):
        raise InputError(f"line {number}: a {kind} needs 'source', the name of its sensor")
    return row


def _time(row: dict[str, Any], number: int) -> float:
    at = row.get("at", row.get("at_s"))
    if isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at):
        raise InputError(f"line {number}: 'at' has to be a time in seconds, not {at!r}")
    return float(at)


def _grouped(rows: list[tuple[float, dict[str, Any], int]]) -> Iterator[Event]:
    start = 0
    while start < len(rows):
        stop = start
        while stop < len(rows) and rows[stop][0] == rows[start][0]:
            stop += 1
        yield from _instant(rows[start:stop])
        start = stop


def _instant(rows: list[tuple[float, dict[str, Any], int]]) -> Iterator[Event]:
    """Events of one moment: groups stand where their first line stands; ticks come last."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    order: list[Event | tuple[str, str]] = []
    ticks: list[Event] = []
    for at_s, row, number in rows:
        kind = _SINGLE.get(row["type"], row["type"])
        if kind == "tick":
            ticks.append(Tick(at_s=at_s))
        elif kind in _ALONE:
            order.append(_made(_ALONE[kind], {**row, "at_s": at_s}, number))
        else:
            key = (kind, row["source"])
            if key not in groups:
                groups[key] = {"at_s": at_s, "source": row["source"], _LISTS[kind][0]: []}
                order.append(key)
            _add(groups[key], kind, row, number)
    for item in order:
        yield _group(item[0], groups[item]) if isinstance(item, tuple) else item
    yield from ticks


def _add(group: dict[str, Any], kind: str, row: dict[str, Any], number: int) -> None:
    field, part = _LISTS[kind]
    for fact in (*_FACTS[kind], *_OPTIONAL[kind]):
        if row.get(fact) is not None:
            group[fact] = row[fact]
    group["number"] = number
    if kind == "scan" and row.get("unseen") is not None:
        spans = _objects(row["unseen"], "unseen", kind, number)
        group["unseen"] = tuple(_made(Unseen, span, number) for span in spans)
    items = [row] if row["type"] in _SINGLE else row.get(field, [])
    for item in _objects(items, field, kind, number):
        full = {**item, "at_s": group["at_s"], "source": group["source"]}
        if part is Box:
            full = _corners(full, number)
        group[field].append(_made(part, full, number))


def _objects(items: Any, field: str, kind: str, number: int) -> list[dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
        raise InputError(f"line {number}: '{field}' of a {kind} has to be a list of objects")
    return items


def _corners(row: dict[str, Any], number: int) -> dict[str, Any]:
    box = row.get("box")
    if box is None:
        return {**row, "label": row.get("label", row.get("class"))}
    if not isinstance(box, list) or len(box) != 4:
        raise InputError(f"line {number}: 'box' of a detection has to be [x0, y0, x1, y1]")
    return {**row, **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)), "label": row.get("label", row.get("class"))}


def _group(kind: str, group: dict[str, Any]) -> Event:
    number = group.pop("number")
    field = _LISTS[kind][0]
    group[field] = tuple(group[field])
    if kind == "scan":
        return Scan(**_checked(group, ("period_s", "beam_deg"), number))
    if kind == "view":
        return View(**group)
    for fact in _FACTS[kind]:
        if fact not in group:
            raise InputError(f"line {number}: a detection needs '{fact}', the size of its picture")
    return Detections(**_checked(group, _OPTIONAL[kind], number))


def _checked(group: dict[str, Any], floats: tuple[str, ...], number: int) -> dict[str, Any]:
    for key, value in group.items():
        wanted = (int, float) if key in floats else int
        if key in (*floats, "width_px", "height_px") and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise InputError(f"line {number}: '{key}' has to be a number, not {value!r}")
    return group


def _made(cls: type[Any], row: dict[str, Any], number: int) -> Any:
    """The message of type `cls` from a line's values."""
    values: dict[str, Any] = {}
    for name, key, hint, default, needed in _FIELDS[cls]:
        value = row.get(name)
        if value is None and name is not key:
            value = row.get(key)
        if value is None:
            value = default
        if type(value) is hint and (hint is not float or math.isfinite(value)):  # nearly all there are
            values[name] = value
        elif hint is float and type(value) is int:
            values[name] = float(value)
        elif value is not None:
            values[name] = _value(hint, value, f"line {number}: '{key}' of a {_name(cls)}")
        elif needed:
            raise InputError(f"line {number}: a {_name(cls)} needs '{key}'")
    return cls(**values)


def _fields(cls: type[Any]) -> tuple[tuple[str, str, Any, Any, bool], ...]:
    """Of a message: (name, key of a line, type without None, value where a line has none, whether it is needed)."""
    hints = typing.get_type_hints(cls)
    out = []
    for f in dataclasses.fields(cls):
        hint = hints[f.name]
        if typing.get_origin(hint) in (Union, types.UnionType):
            hint = next(a for a in typing.get_args(hint) if a is not types.NoneType)
        default = _DEFAULTS.get(cls, {}).get(f.name)
        key = f.name.rstrip("_")
        out.append((f.name, f.name if key == f.name else key, hint, default, f.default is dataclasses.MISSING))
    return tuple(out)


_FIELDS = {c: _fields(c) for c in (*_ALONE.values(), *(part for _, part in _LISTS.values()), Unseen)}


def _value(hint: Any, value: Any, what: str) -> Any:
    if typing.get_origin(hint) is tuple:
        return _pairs(value, what)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError:
            raise InputError(f"{what} has to be one of {', '.join(hint)}, not {value!r}") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{what} has to be of type {hint.__name__}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{what} has to be a finite number")
    return value


def _pairs(value: Any, what: str) -> tuple[tuple[str, float], ...]:
    items = list(value.items()) if isinstance(value, dict) else value
    try:
        return tuple((str(k), float(v)) for k, v in items)
    except (TypeError, ValueError):
        raise InputError(f"{what} has to be names with numbers") from None


def _name(cls: type[Any]) -> str:
    return {Plot: "plot", Bearing: "bearing", Box: "detection", Ais: "ais", Nav: "nav", Unseen: "scan's unseen"}.get(
        cls, cls.__name__
    )


def _ticked(events: Iterator[Event], tick_s: float) -> Iterator[Event]:
    first = last = None
    n = 0
    for event in events:
        first = event.at_s if first is None else first
        last = event.at_s
        while first + n * tick_s < event.at_s:
            yield Tick(at_s=first + n * tick_s)
            n += 1
        yield event
    if first is not None and last is not None:
        while first + (n - 1) * tick_s < last or n == 0:
            yield Tick(at_s=first + n * tick_s)
            n += 1
