"""The table of drivers: a name in a configuration to a decoder's class, imported only when it is used.

Promises:
- a driver is one line here; a package outside of Vigía adds one by the entry point group `vigia.drivers`, whose value
  is the decoder's class (it runs as a thread);
- a driver whose library is missing is an error when that driver is used, never when Vigía starts.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from agent.errors import ConfigError, UnsupportedError

if TYPE_CHECKING:
    from agent.drivers.base import Decoder, DriverOptions

Runs = Literal["thread", "radar", "camera"]


@dataclass(frozen=True, slots=True)
class DriverSpec:
    """Where a driver is, and what runs it: a thread, or a child process for radar video or a camera.

    `decoder` is `module:Class`; a camera has none (it reads frames, not bytes) but only `options`.
    """

    runs: Runs
    help: str
    decoder: str | None = None
    options: str | None = None


DRIVERS: dict[str, DriverSpec] = {
    "nmea": DriverSpec("thread", "every sentence of one line or port", "agent.drivers.nmea_all:NmeaAllDecoder"),
    "nmea-radar": DriverSpec("thread", "radar targets: TTM, TLL", "agent.drivers.nmea_radar:NmeaRadarDecoder"),
    "ais": DriverSpec("thread", "AIS: AIVDM, AIVDO", "agent.drivers.ais:AisDecoder"),
    "nav": DriverSpec("thread", "position, heading, wind", "agent.drivers.nav:NavDecoder"),
    "navico": DriverSpec("radar", "Navico BR24, 3G, 4G, HALO", "agent.drivers.radar.navico:NavicoDecoder"),
    "asterix": DriverSpec(
        "thread",
        "ASTERIX plots and tracks: CAT010, 034, 048, 062",
        "agent.drivers.radar.asterix_targets:AsterixTargetDecoder",
    ),
    "cat240": DriverSpec("radar", "ASTERIX CAT240 radar video", "agent.drivers.radar.cat240:Cat240Decoder"),
    "garmin": DriverSpec("radar", "Garmin xHD", "agent.drivers.radar.garmin:GarminDecoder"),
    "raymarine": DriverSpec("radar", "Raymarine Quantum, RD", "agent.drivers.radar.raymarine:RaymarineDecoder"),
    "furuno": DriverSpec("radar", "Furuno DRS, FAR", "agent.drivers.radar.furuno:FurunoDecoder"),
    "camera": DriverSpec("camera", "RTSP, MJPEG, V4L2, clips", options="agent.drivers.camera.options:CameraOptions"),
}


def driver_spec(name: str) -> DriverSpec:
    """The driver's line in the table, or that of an installed package.

    Raises:
        ConfigError: there is no such driver.

    """
    if name in DRIVERS:
        return DRIVERS[name]
    outside = {e.name: e for e in entry_points(group="vigia.drivers")}
    if name in outside:
        return DriverSpec("thread", f"from {outside[name].value}", outside[name].value)
    known = sorted({*DRIVERS, *outside})
    close = difflib.get_close_matches(name, known, n=1)
    meant = f'did you mean "{close[0]}"? ' if close else ""
    raise ConfigError(f'there is no driver "{name}"; {meant}drivers: {", ".join(known)}')


def load_driver(name: str) -> type[Decoder[Any]]:
    """The decoder's class.

    Raises:
        ConfigError: there is no such driver, or it decodes no bytes.
        UnsupportedError: it needs a library that is not installed.

    """
    spec = driver_spec(name)
    if spec.decoder is None:
        raise ConfigError(f'driver "{name}" reads {spec.help}: it has frames, not bytes to decode')
    decoder: type[Decoder[Any]] = _load(name, spec.decoder)
    return decoder


def driver_options(name: str) -> type[DriverOptions]:
    """The model of the driver's own keys in its `[[sensor]]` table.

    Raises:
        ConfigError: there is no such driver.
        UnsupportedError: it needs a library that is not installed.

    """
    spec = driver_spec(name)
    if spec.options is None:
        return load_driver(name).Options
    options: type[DriverOptions] = _load(name, spec.options)
    return options


def _load(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as e:
        raise UnsupportedError(
            f'driver "{name}" needs a library that is not installed ({e.name or e}); install it'
        ) from e
    except AttributeError as e:
        raise UnsupportedError(
            f'driver "{name}" is broken: {module} has no {attribute}; mend or remove its package'
        ) from e
