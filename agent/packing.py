"""Messages to plain lists and back: one form for the event log, the children's channel and JSON.

Promises:
- `unpack(pack(m)) == m` for every type in `agent.messages` (property-tested);
- floats keep all their bits (CBOR float64; JSON by repr), so a replayed event is the event;
- what cannot be unpacked raises `ProtocolError` and never anything else.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import StrEnum
from typing import Any, Union

from agent import messages
from agent.errors import ProtocolError

# Order is part of the log's format: append only.
_TYPES: tuple[type[Any], ...] = (
    messages.Scan, messages.Plot, messages.View, messages.Bearing, messages.Detections, messages.Box,
    messages.TrackReport, messages.Ais, messages.Nav, messages.SensorHealth, messages.Tick, messages.ClockChange,
    messages.ConfigChange, messages.Track, messages.Alert, messages.TrackPicture, messages.RuleHealth,
    messages.Unseen,
)  # fmt: skip
_INDEX = {t: i for i, t in enumerate(_TYPES)}
_SPECS = {t: tuple(typing.get_type_hints(t).items()) for t in _TYPES}


def pack(message: Any) -> list[Any]:
    """`[type index, field, field, ...]`, nested messages as lists of their fields."""
    return [_INDEX[type(message)], *_fields(message)]


def unpack(row: Any) -> Any:
    """The message that `pack` made `row` from.

    Raises:
        ProtocolError: the row is no packed message (wrong type, index, number or kind of fields).

    """
    if not isinstance(row, list | tuple) or not row or not isinstance(row[0], int) or not 0 <= row[0] < len(_TYPES):
        raise ProtocolError(f"a packed message starts with its type's number, not with {str(row)[:40]!r}")
    return _build(_TYPES[row[0]], row[1:])


def to_json(message: Any) -> dict[str, Any]:
    """The message as a JSON object; `class_` becomes `class`, None fields are left out."""
    out: dict[str, Any] = {}
    for f in dataclasses.fields(message):
        v = getattr(message, f.name)
        if v is not None:
            out[f.name.rstrip("_")] = _json(v)
    return out


def _json(v: Any) -> Any:
    if dataclasses.is_dataclass(v):
        return to_json(v)
    if isinstance(v, tuple):
        return [_json(x) for x in v]
    return str(v) if isinstance(v, StrEnum) else v


def _fields(message: Any) -> list[Any]:
    return [_plain(getattr(message, f.name)) for f in dataclasses.fields(message)]


def _plain(v: Any) -> Any:
    if isinstance(v, StrEnum):
        return v.value
    if dataclasses.is_dataclass(v):
        return _fields(v)
    if isinstance(v, tuple):
        return [_plain(x) for x in v]
    return v


def _build(cls: type[Any], values: typing.Sequence[Any]) -> Any:
    specs = _SPECS[cls]
    if len(values) > len(specs):
        raise ProtocolError(f"{cls.__name__} has {len(specs)} fields, the record has {len(values)}")
    try:
        return cls(**{name: _value(hint, v) for (name, hint), v in zip(specs, values, strict=False)})
    except (TypeError, ValueError) as e:
        raise ProtocolError(f"a {cls.__name__} record does not fit: {e}") from e


def _value(hint: Any, v: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        args = typing.get_args(hint)
        if v is None and types.NoneType in args:
            return None
        return _value(next(a for a in args if a is not types.NoneType), v)
    if origin is tuple:
        if not isinstance(v, list | tuple):
            raise TypeError(f"expected a list, got {type(v).__name__}")
        args = typing.get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_value(args[0], x) for x in v)
        if len(v) != len(args):
            raise ValueError(f"expected {len(args)} values, got {len(v)}")
        return tuple(_value(a, x) for a, x in zip(args, v, strict=True))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(v)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, v)
    return _scalar(hint, v)


def _scalar(hint: Any, v: Any) -> Any:
    if hint is float and isinstance(v, int) and not isinstance(v, bool):
        return float(v)
    if isinstance(hint, type) and (not isinstance(v, hint) or (isinstance(v, bool) and hint is not bool)):
        raise TypeError(f"expected {hint.__name__}, got {type(v).__name__}")
    return v
