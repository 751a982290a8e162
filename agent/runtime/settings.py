"""Checked settings on their way to a child: the values of the parent's models under the same names, without the models.

Promises:
- the parent checks, with every default filled in; a camera's process believes it and does without pydantic, which would
  take 10 MB of its own memory and a tenth of a second of its start;
- what was a tuple is one again, also within another; `options` of a driver stay the table that its own model checks.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.config.schema import Sensor


def for_child(sensor: Sensor, kind: str, site_height_m: float) -> dict[str, Any]:
    """What a child of `kind` ("camera" or "radar") has to know of its sensor, as CBOR takes it.

    Raises:
        ValueError: options of a camera that are none; a checked configuration has none of these.

    """
    values = sensor.model_dump(mode="json")
    if kind == "camera":
        from agent.drivers.table import driver_options  # noqa: PLC0415 - a child needs the other half only

        options = driver_options(sensor.driver).model_validate(sensor.options).model_dump(mode="json")
        options["height_m"] = site_height_m if options["height_m"] is None else options["height_m"]
        values["options"] = options
    return values


def plain(values: dict[str, Any]) -> Any:
    """An object with these attributes, to be read like the model that they came from."""
    return SimpleNamespace(**{name: _tuples(value) for name, value in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
