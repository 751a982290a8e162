"""What a radar is told, and when, where its operator has asked for it. Pure: what was heard goes in, orders come out.

Promises:
- nothing is said unless `transmit`, `keep_alive` or `select_range_m` says so, and then only to the address `control`:
  no beacon is followed, so that nobody on the network can send our orders elsewhere;
- a radar that transmits already is not told to, and is not put into standby at the end: somebody else has it on;
- a radar that somebody puts into standby stays there: a person may stand beside the antenna. One whose reports were
  silent as well (power, network) is asked anew; without its reports the two cannot be told apart, and it stays off;
- the range is selected once: who changes it later has the last word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import Field, model_validator

from agent.drivers.radar.video import VideoOptions
from agent.errors import ConfigError
from agent.transport.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

LISTEN_S = 3.0  # before the first order: whether it transmits already, and what its report says
ASK_AGAIN_S = 10.0
QUIET_S = 5.0  # no spoke for so long: it does not transmit
SILENT_S = 10.0  # nothing at all for so long: its power or the network was away

Datagrams = tuple[bytes, ...]


class ControlOptions(VideoOptions):
    """Options of a radar that can be told to transmit. All off: the driver listens only."""

    control: str = Field(default="", description="udp:// address where the radar takes orders; needed by the next ones")
    transmit: bool = Field(default=False, description="switch the radar on, where it is in standby")
    keep_alive: bool = Field(default=False, description="tell it again and again that somebody is watching")
    select_range_m: float | None = Field(default=None, ge=50.0, le=96_000.0, description="select this range, once")
    standby_at_end: bool = Field(
        default=False, description="back to standby when the driver stops, if it was the driver that switched it on"
    )

    @property
    def language(self) -> Language:
        """How this make is spoken to; each driver's own options say it."""
        raise NotImplementedError

    @property
    def orders(self) -> bool:
        """Whether anything is to be said at all."""
        return self.transmit or self.keep_alive or self.select_range_m is not None

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.orders and not self.control:
            raise ValueError('transmit, keep_alive and select_range_m need control = "udp://address:port" of the radar')
        if self.standby_at_end and not self.transmit:
            raise ValueError("standby_at_end needs transmit = true: only what was switched on is switched off")
        if self.select_range_m is not None and self.language.select_range is None:
            raise ValueError("select_range_m: the range of this make cannot be selected from here")
        if self.keep_alive and not self.language.keep_alive:
            raise ValueError("keep_alive: this make stays awake by itself")
        if self.control:
            try:
                url = parse_url(self.control)
            except ConfigError as e:
                raise ValueError(str(e)) from e
            address = url.address() if url.scheme == "udp" else None
            if address is None or address.version != 4:
                raise ValueError(f"{self.control}: orders go to an IPv4 address, as udp://236.6.9.52:7060?iface=eth1")
        return self


class Order(NamedTuple):
    """What is to be sent now. `routine`: a keep-alive, one of thousands."""

    what: str
    datagrams: Datagrams
    routine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How one make is spoken to. `standby_gauge`: (name, value) of the driver's gauge that reports standby."""

    transmit: Datagrams
    standby: Datagrams
    keep_alive: tuple[tuple[float, Datagrams], ...] = ()  # (every so many seconds, what)
    select_range: Callable[[float], Datagrams] | None = None
    standby_gauge: tuple[str, float] | None = None


class RadarControl:
    """When to say what to one radar. Feed it with `look`, and `rest` while nothing is decoded; ask `due` and `end`."""

    def __init__(self, options: ControlOptions) -> None:
        self._options = options
        self._language = options.language
        self.left = False  # somebody else has put it into standby
        self._transmits = False
        self._asked = False
        self._ranged = False
        self._spokes = self._reports = 0
        self._began_s: float | None = None
        self._spoke_s = self._heard_s = -1e18
        self._next_ask_s = 0.0
        self._next_alive_s = [-1e18] * len(self._language.keep_alive)

    def look(self, now_s: float, spokes: int, reports: int, gauges: dict[str, float]) -> None:
        """Take in the driver's counters and gauges."""
        if self._began_s is None:
            self._began_s = now_s
            self._next_ask_s = max(self._next_ask_s, now_s + LISTEN_S)
        if spokes != self._spokes:
            self._spokes, self._spoke_s, self._heard_s = spokes, now_s, now_s
            self._transmits, self.left = True, False
        if reports != self._reports:
            self._reports, self._heard_s = reports, now_s
        gauge = self._language.standby_gauge
        standby = gauge is None or gauges.get(gauge[0]) == gauge[1]
        if not self._transmits:
            return
        if now_s - self._heard_s > SILENT_S:
            self._stopped(left=not self._reports, now_s=now_s)
        elif standby and now_s - self._spoke_s > QUIET_S and self._heard_s > self._spoke_s:
            self._stopped(left=True, now_s=now_s)

    def _stopped(self, *, left: bool, now_s: float) -> None:
        self._transmits, self.left, self._next_ask_s = False, left, now_s
        self._asked &= not left  # who switches it on next is not us

    def rest(self, now_s: float) -> None:
        """Nothing is decoded now: what was last heard counts as heard still, and before an order comes another look."""
        self._next_ask_s = max(self._next_ask_s, now_s + LISTEN_S)
        if self._transmits:
            self._spoke_s = self._heard_s = now_s

    def due(self, now_s: float) -> list[Order]:
        """What is to be sent now."""
        out = self._alive(now_s)
        if self._began_s is None or now_s < self._began_s + LISTEN_S:
            return out
        o, language = self._options, self._language
        if o.transmit and not self._transmits and not self.left and now_s >= self._next_ask_s:
            self._next_ask_s, self._asked = now_s + ASK_AGAIN_S, True
            out.append(Order("transmit", language.transmit))
        select = language.select_range if not self._ranged and (self._transmits or not o.transmit) else None
        if o.select_range_m is not None and select is not None:
            self._ranged = True
            out.append(Order(f"select the range {o.select_range_m:g} m", select(o.select_range_m)))
        return out

    def end(self) -> list[Order]:
        """What is to be sent last."""
        mine = self._options.standby_at_end and self._asked
        return [Order("go to standby", self._language.standby)] if mine else []

    def _alive(self, now_s: float) -> list[Order]:
        out = []
        for i, (every_s, datagrams) in enumerate(self._language.keep_alive if self._options.keep_alive else ()):
            if now_s >= self._next_alive_s[i]:
                self._next_alive_s[i] = now_s + every_s
                out.append(Order("stay awake", datagrams, routine=True))
        return out


# ---------------------------------------------------------------- languages


def _navico_range(range_m: float) -> Datagrams:
    """Decimetres, little endian."""
    return (b"\x03\xc1" + round(range_m * 10.0).to_bytes(4, "little"),)


def _garmin(kind: int, size: int, value: int) -> bytes:
    """A value in the layout of the radar's own reports."""
    return kind.to_bytes(4, "little") + size.to_bytes(4, "little") + value.to_bytes(size, "little")


# radar_pi and mayara agree on these; 05 C2 and 0A C2 are what a display sends as well
NAVICO = Language(
    transmit=(b"\x00\xc1\x01", b"\x01\xc1\x01"),
    standby=(b"\x00\xc1\x01", b"\x01\xc1\x00"),
    keep_alive=((1.0, (b"\xa0\xc1", b"\x03\xc2", b"\x04\xc2", b"\x05\xc2", b"\x0a\xc2")),),
    select_range=_navico_range,
    standby_gauge=("state", 1.0),
)
# it needs no keep-alive
GARMIN = Language(
    transmit=(_garmin(0x0919, 1, 1),),
    standby=(_garmin(0x0919, 1, 0),),
    select_range=lambda range_m: (_garmin(0x091E, 4, round(range_m)),),
    standby_gauge=("transmitting", 0.0),
)
# ranges are slots of the radar's own table: not selected from here
QUANTUM = Language(
    transmit=(bytes.fromhex("1000280001000000"),),
    standby=(bytes.fromhex("1000280000000000"),),
    keep_alive=(
        (1.0, (b"\x00\x00\x28\x00Radar\x00\x00\x00",)),
        (5.0, (bytes.fromhex("03892800") + bytes(20) + bytes.fromhex("9e030000b400000000000000"),)),
    ),
    standby_gauge=("state", 0.0),
)
RD = Language(
    transmit=(bytes.fromhex("0180010001000000"),),
    standby=(bytes.fromhex("0180010000000000"),),
    keep_alive=(
        (1.0, (b"\x00\x80\x01\x00RADAR\x00\x00\x00",)),
        (5.0, (bytes.fromhex("03890100") + bytes(16) + bytes.fromhex("680100009e030000b400000000000000"),)),
    ),
)
