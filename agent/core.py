"""The core: tracking, fusion and alerts as one deterministic function of a configuration and a list of events.

Promises:
- pure: no clock, file, thread or randomness; time comes in events only; no result depends on how Python hashes strings;
- `Core.restore(config, core.state())` goes on exactly as `core` would have: byte-identical effects (same build, same
  kind of CPU), the same ids, nothing raised twice;
- `state()` is complete and versioned; the same history gives the same bytes;
- every `Tick` gives one `TrackPicture` (all live tracks predicted to it, tentative ones from their second look on) and
  then the alerts and rule health that follow from it; no other event gives effects.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import cbor2
import numpy as np

from agent.alerts.book import AlertBook
from agent.alerts.rules import make_rules
from agent.alerts.scene import Scene
from agent.errors import InputError
from agent.fusion.camera import Cameras
from agent.fusion.picture import AIS_FRESH_S, AIS_HEALTHY_S, Known, Picture
from agent.messages import (
    Ais,
    ClockChange,
    ConfigChange,
    Detections,
    Nav,
    Scan,
    SensorHealth,
    SensorState,
    Tick,
    TrackPicture,
    TrackReport,
    View,
)

if TYPE_CHECKING:
    from agent.config.schema import Config
    from agent.fusion.registration import Bias
    from agent.messages import Effect, Event

FORMAT = "vigia-core"
VERSION = 8
AIS_NEAR_S = AIS_FRESH_S + 60.0  # how long a station's extrapolated place still counts against "no AIS here"


class Core:
    """See the module.

    Raises:
        ConfigError: a rule of `config` cannot work as it is written.

    """

    def __init__(self, config: Config) -> None:
        self._gate_m = config.ais.gate_m
        self._origin = [config.site.lat, config.site.lon]  # where east and north of all tracks are counted from
        self._cameras = Cameras(config)
        self._picture = Picture(config)
        self._book = AlertBook(make_rules(config, self._picture.frame), exercise=config.site.exercise)
        self._sensors: dict[str, SensorState] = {}
        self._digest = ""
        self._now_s = 0.0

    @property
    def now_s(self) -> float:
        """The newest time that any event has told."""
        return self._now_s

    @property
    def newest_alert(self) -> int:
        """The highest alert id given so far; 0 for none."""
        return self._book.newest_alert

    @property
    def config_digest(self) -> str:
        """Digest in the last `ConfigChange`; empty before the first."""
        return self._digest

    @property
    def registrations(self) -> dict[str, tuple[Bias, float, float]]:
        """Each radar's bias as AIS ships show it, and the range (m) and bearing (deg) taken off its plots now."""
        r = self._picture.registrar
        return {source: (bias, *r.applied(source)) for source, bias in list(r.biases.items())}

    def step(self, event: Event) -> tuple[Effect, ...]:
        """Take in one event; what follows from it."""
        self._now_s = max(self._now_s, event.at_s)
        match event:
            case Tick():
                return self._tick(event.at_s)
            case Scan():
                self._picture.scan(event)
            case View():
                self._picture.view(event)
            case Detections():
                view = self._cameras.view(event)
                if view is not None:
                    self._picture.view(view)
            case TrackReport():
                self._picture.reports.hear(event)
            case Ais():
                self._picture.ais.hear(event, AIS_HEALTHY_S)
            case SensorHealth():
                self._sensors[event.source] = event.state
            case ClockChange():
                self._book.wall_offset_s = event.offset_s
            case ConfigChange():
                self._digest = event.digest
            case Nav():
                pass  # the site is fixed and its place configured: own position is evidence, not input
        return ()

    def _tick(self, now_s: float) -> tuple[Effect, ...]:
        known = self._picture.tick(now_s)
        merged = self._picture.take_merged()
        picture = TrackPicture(at_s=now_s, tracks=tuple(k.track for k in known))
        return (picture, *self._book.tick(known, merged, self._scene(known, now_s)))

    def _scene(self, known: list[Known], now_s: float) -> Scene:
        ais = self._picture.ais
        rows = [i for i, s in enumerate(self._picture.stations) if now_s - s.t_s <= AIS_NEAR_S]
        stations = [self._picture.stations[i] for i in rows]
        x = self._picture.stations_x[rows]
        kinds = {k.track.id: k.kinds for k in known}
        vessels = [self._picture.vessels.vessel_of(s.id) for s in stations]
        return Scene(
            now_s=now_s, receivers=tuple(ais.receivers.values()), ais_reach_m=ais.reach_m(now_s),
            ais_place=x[:, :2], ais_vessel=np.array(vessels, dtype=np.int64),
            ais_explained=np.array([kinds.get(v, 1) > 1 for v in vessels], dtype=np.bool_), ais_gate_m=self._gate_m,
            sensor_states=self._sensors,
        )  # fmt: skip

    def continue_ids(self, newest_alert: int) -> None:
        """Number alerts and situations from behind `newest_alert` on, if they do not stand there already."""
        self._book.continue_ids(newest_alert)

    def state(self) -> bytes:
        """The checkpoint: CBOR `[format, version, crc32, body]`."""
        body = cbor2.dumps([
            self._now_s, self._digest, [[n, s.value] for n, s in self._sensors.items()],
            self._picture.state(), self._book.state(), self._cameras.state(), self._origin,
        ])  # fmt: skip
        return cbor2.dumps([FORMAT, VERSION, zlib.crc32(body), body])

    @classmethod
    def restore(cls, config: Config, data: bytes) -> Core:
        """The core whose `state()` is `data`, under `config` (which may be another one than it was made under).

        Raises:
            InputError: the bytes are damaged, of another version, or of another place: start without them.
            ConfigError: a rule of `config` cannot work as it is written.

        """
        body = _body(data)
        core = cls(config)
        try:
            core._now_s, core._digest, sensors, picture, book, cameras, origin = cbor2.loads(body)
            if origin != core._origin:
                raise InputError("the checkpoint was made at another place: its tracks would stand where nobody is")
            # a sensor that has been taken out of the configuration says nothing any more, good or bad
            named = {s.name for s in config.sensor}
            core._sensors = {n: SensorState(s) for n, s in sensors if not named or n in named}
            core._picture.restore(picture)
            if named:
                core._picture.ais.keep(named)
            core._book.restore(book)
            core._cameras.restore(cameras)
        except (TypeError, ValueError, KeyError, IndexError, cbor2.CBORDecodeError) as e:
            raise InputError(
                f"the checkpoint does not fit this build ({e}): start from the event log without it"
            ) from e
        return core


def _body(data: bytes) -> bytes:
    try:
        row: Any = cbor2.loads(data)
        name, version, crc, body = row
    except (TypeError, ValueError, cbor2.CBORDecodeError) as e:
        raise InputError("the checkpoint is damaged: start from the event log without it") from e
    if name != FORMAT or version != VERSION:
        raise InputError(
            f"the checkpoint is {name!r} version {version!r}, this build reads {FORMAT!r} version {VERSION}"
        )
    if not isinstance(body, bytes) or zlib.crc32(body) != crc:
        raise InputError("the checkpoint is damaged (its checksum is wrong): start from the event log without it")
    return body
