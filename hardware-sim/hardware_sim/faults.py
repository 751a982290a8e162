"""Faults by name, on a timetable, and what they do to bytes.

Promises:
- whether a fault is on, and with what argument, is a pure function of time;
- garbled and truncated data depend on (seed, count) alone;
- every name says in `FAULTS` what it does, which argument it takes, and whether the devices or the hub do it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError, model_validator

from hardware_sim.errors import FaultError, sentences
from hardware_sim.tables import Positive, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault does, who does it, and its argument (None: it takes none)."""

    does: str
    by: Literal["devices", "hub"] = "devices"
    default: float | None = None
    unit: str = ""


FAULTS: dict[str, Kind] = {
    "radar-unplugged": Kind("the radar's serial line hangs up and its device name is gone; back under the same name"),
    "radar-standby": Kind(
        "the radar sends no video and no targets, its sockets and lines stay; beacons and reports go on and say so"
    ),
    "ttm-garbage": Kind("a third of the radar's sentences arrive with wrong, missing or foreign bytes"),
    "ttm-baud": Kind("the radar's sentences arrive as a wrong baud rate makes them", default=4800.0, unit="baud"),
    "spokes-truncated": Kind("half of the radar's datagrams end early"),
    "spokes-cut": Kind("no datagram of the radar arrives"),
    "camera-frozen": Kind("the camera's connections stay open and deliver nothing"),
    "camera-stuck": Kind("the camera repeats one picture"),
    "camera-killed": Kind("the camera refuses connections; back on the same port"),
    "camera-black": Kind("the picture is as dark as with a cap on the lens"),
    "camera-overexposed": Kind("the picture is burnt out"),
    "camera-salted": Kind("dried salt on the lens: bright, blurred, without contrast"),
    "camera-knocked": Kind("the camera looks elsewhere", default=5.0, unit="degrees to starboard"),
    "camera-clock": Kind("the times of the pictures are wrong", default=5.0, unit="seconds ahead"),
    "ais-cut": Kind("the AIS aerial is cut: nothing is received, the receivers' lines stay"),
    "ais-unplugged": Kind("the AIS receivers' lines hang up, TCP refuses, UDP is silent; back at the same places"),
    "ais-garbage": Kind("a third of the AIS sentences arrive with wrong, missing or foreign bytes"),
    "ais-baud": Kind(
        "the AIS sentences of a serial line arrive as a wrong baud rate makes them", default=4800.0, unit="baud"
    ),
    "nav-cut": Kind("position, heading and wind stop"),
    "nav-unplugged": Kind(
        "the line of position, heading and wind hangs up, TCP refuses, UDP is silent; back as it was"
    ),
    "nav-garbage": Kind("a third of the sentences of position, heading and wind arrive with wrong or missing bytes"),
    "nav-baud": Kind(
        "position, heading and wind on a serial line arrive as a wrong baud rate makes them",
        default=4800.0,
        unit="baud",
    ),
    "gnss-jump": Kind("the GNSS position is off", default=2000.0, unit="metres to the east"),
    "gnss-clock": Kind("the GNSS time is off", default=3600.0, unit="seconds ahead"),
    "ais-clock": Kind("the AIS base stations' time is off", default=3600.0, unit="seconds ahead"),
    "box-clock": Kind(
        "the box's own clock is off, for a box that takes it from the file given with --box-clock",
        default=3600.0,
        unit="seconds ahead",
    ),
    "broker-down": Kind("the broker is gone: connections break, new ones are refused", by="hub"),
    "broker-slow": Kind("the broker answers late", by="hub", default=2.0, unit="seconds"),
    "broker-drops-puback": Kind("the broker loses acknowledgements", by="hub", default=0.5, unit="share"),
    "broker-refuses": Kind("the broker refuses the user", by="hub"),
    "link-slow": Kind(
        "the link to the broker takes this long there and back, and loses 2 %", by="hub", default=0.6, unit="seconds"
    ),
    "disk-full": Kind("the filesystem of the folder given with --disk has no byte left"),
}


class FaultTable(Table):
    """A fault from `at_s` on, for `duration_s` or to the end. `arg` of those that take one, see `FAULTS`."""

    name: str
    at_s: float = Field(ge=0.0)
    duration_s: Positive | None = None
    arg: float | None = None

    @model_validator(mode="after")
    def _known(self) -> FaultTable:
        if self.name not in FAULTS:
            raise ValueError(f"unknown fault {self.name!r}; one of {', '.join(FAULTS)}")
        if self.arg is not None and FAULTS[self.name].default is None:
            raise ValueError(f"fault {self.name!r} takes no argument")
        return self

    @property
    def value(self) -> float:
        """Its argument, or what it does without one; 0 for those that take none."""
        return self.arg if self.arg is not None else FAULTS[self.name].default or 0.0

    def on(self, t_s: float) -> bool:
        """Whether it is on at `t_s`."""
        return self.at_s <= t_s and (self.duration_s is None or t_s < self.at_s + self.duration_s)


def parse_fault(text: str) -> FaultTable:
    """A fault from the command line: NAME@AT[:SECONDS][=ARG].

    Raises:
        FaultError: it cannot be read.

    """
    timed, _, arg = text.partition("=")
    name, _, timing = timed.partition("@")
    at, _, duration = timing.partition(":")
    try:
        return FaultTable(
            name=name,
            at_s=float(at),
            duration_s=float(duration) if duration else None,
            arg=float(arg) if arg else None,
        )
    except ValidationError as error:
        raise FaultError(f"fault {text!r}: {'; '.join(sentences(error))}") from error
    except ValueError as error:
        raise FaultError(f"fault {text!r}: write NAME@SECONDS[:DURATION][=ARGUMENT]") from error


@dataclass(frozen=True, slots=True)
class Change:
    """A fault begins (`on`) or ends."""

    name: str
    on: bool
    value: float = 0.0


class Faults:
    """All faults of a run."""

    def __init__(self, tables: tuple[FaultTable, ...]) -> None:
        self._tables = tables

    def active(self, name: str, t_s: float) -> bool:
        """Whether that fault is on at `t_s`."""
        return any(f.name == name and f.on(t_s) for f in self._tables)

    def value(self, name: str, t_s: float) -> float:
        """The argument of that fault while it is on, else 0."""
        return next((f.value for f in self._tables if f.name == name and f.on(t_s)), 0.0)

    def changes(self, by: str = "devices") -> Iterator[tuple[float, Change]]:
        """(t, change) in order of time, of those that the devices do, or the hub."""
        times: list[tuple[float, Change]] = []
        for f in self._tables:
            if FAULTS[f.name].by != by:
                continue
            times.append((f.at_s, Change(f.name, on=True, value=f.value)))
            if f.duration_s is not None:
                times.append((f.at_s + f.duration_s, Change(f.name, on=False)))
        yield from sorted(times, key=lambda item: item[0])


def garble(line: bytes, rng: np.random.Generator) -> bytes:
    """One sentence in three spoiled: bits flipped, bytes lost, or foreign bytes in the middle."""
    if rng.uniform() > 1.0 / 3.0:
        return line
    data = bytearray(line)
    at = int(rng.integers(1, len(data) - 2))
    match int(rng.integers(3)):
        case 0:
            data[at] ^= 1 << int(rng.integers(7))
        case 1:
            del data[at : at + int(rng.integers(1, 12))]
        case _:
            data[at:at] = rng.bytes(int(rng.integers(1, 8)))
    return bytes(data)


def misread(data: bytes, sent_baud: float, read_baud: float) -> bytes:
    """What a UART set to `read_baud` makes of bytes sent at `sent_baud`, both 8 data bits, no parity, one stop bit.

    The receiver waits for a falling edge, samples the middle of each bit by its own clock, and gives the byte even when
    the stop bit is wrong, as Linux does without PARMRK. The line rests high before and after.
    """
    bits: list[int] = []
    for byte in data:
        bits += [0, *(byte >> i & 1 for i in range(8)), 1]
    per_bit = sent_baud / read_baud  # sent bits in one read bit
    out = bytearray()
    at = 0.0  # in sent bits
    while True:
        start = next(
            (i for i in range(math.ceil(at - 1e-9), len(bits)) if bits[i] == 0 and (i == 0 or bits[i - 1])), None
        )
        if start is None:
            return bytes(out)
        values = [_level(bits, start + (k + 1.5) * per_bit) for k in range(8)]
        out.append(sum(v << i for i, v in enumerate(values)))
        at = start + 9.5 * per_bit


def _level(bits: list[int], at: float) -> int:
    return bits[int(at)] if at < len(bits) else 1


def truncate(block: bytes, rng: np.random.Generator) -> bytes:
    """One datagram in two cut at a random place."""
    return block if rng.uniform() < 0.5 else block[: int(rng.integers(1, len(block)))]
