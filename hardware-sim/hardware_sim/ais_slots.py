"""The slots of the VHF data link: what is sent, and in which slot, by stations that listen before they speak.

Promises:
- a station does not send in a slot, on a channel, in which another that it can hear is on the air: it takes the next
  one that is free for it, as SOTDMA and carrier sense come to (ITU-R M.1371-5, annex 2, 3.3 and annex 7); and it never
  sends on both channels at once;
- two stations hear each other if they are within the radio horizon of both aerials; others do not know of each other
  and collide;
- what is `reserved` (a base station's slots, a SART's burst) was announced before: it stays where it is, others make
  room;
- a message of more than 168 bits takes two slots in a row;
- where no slot is free for it within `REACH` a message leaves in its own and collides: the channel is full;
- nothing is lost, the order is that of time, and what is kept in mind is bounded by `REACH`.
"""

from __future__ import annotations

import math
from heapq import merge
from typing import TYPE_CHECKING, NamedTuple

from hardware_sim import ais

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOT_S = 60.0 / 2250.0
VHF_K_M = 4.12e3
"""Metres per square root of a metre of aerial height, 4/3 earth."""
REACH = 75
"""Slots: 2 s, SOTDMA's selection interval of a station that reports every 10 s."""


class Transmission(NamedTuple):
    """One message on the air from `t`, the start of the `slot` of that number (since 1970), for so many `slots`.

    (`east_m`, `north_m`) is where its aerial really is. `build` makes the message, for whoever hears it. It is a tuple,
    not a dataclass, because it is made faster and a fast run makes fourteen for each simulated second.
    """

    t: float
    slot: int
    channel: str
    mmsi: int
    build: Callable[[], ais.Message]
    east_m: float
    north_m: float
    aerial_m: float
    slots: int = 1
    reserved: bool = False

    @property
    def sentences(self) -> bytes:
        """As VDM sentences."""
        return ais.vdm(ais.encoded(self.build()), self.channel, self.mmsi % 10)

    def overlaps(self, other: Transmission) -> bool:
        """Whether both are on the air at once, on one channel."""
        return (
            self.channel == other.channel
            and self.slot < other.slot + other.slots
            and other.slot < self.slot + self.slots
        )

    def hears(self, other: Transmission) -> bool:
        """Whether their stations are within each other's radio horizon."""
        reach_m = horizon_m(self.aerial_m, other.aerial_m)
        return math.hypot(self.east_m - other.east_m, self.north_m - other.north_m) <= reach_m


def horizon_m(one_m: float, other_m: float) -> float:
    """How far apart two aerials of those heights still see each other on VHF."""
    return VHF_K_M * (math.sqrt(one_m) + math.sqrt(other_m))


def first_slot(start_unix_s: float, t: float) -> tuple[int, float]:
    """The slot of the UTC minute's grid that begins `t` seconds after the start or next after it, and when."""
    slot = math.ceil((start_unix_s + max(0.0, t)) / SLOT_S)
    return slot, slot * SLOT_S - start_unix_s


def allotted(sources: list[Iterator[Transmission]], start_unix_s: float) -> Iterator[Transmission]:
    """What the sources want to send, each in order of time, in the slots that it really leaves in."""
    air: dict[int, list[Transmission]] = {}  # who is on the air in a slot, from `now` on
    now = None
    for x in merge(*sources, key=_asks):
        asks = _asks(x)
        for slot in range(asks if now is None else now, asks):
            if slot in air:
                for y in air.pop(slot):
                    if y.slot == slot:  # else it began in the one before
                        yield y
        now = asks
        if x.slots == 1 and x.slot not in air:  # most are alone
            air[x.slot] = [x]
            continue
        x = _moved(air, x, start_unix_s)  # noqa: PLW2901 - it is the same message
        for slot in range(x.slot, x.slot + x.slots):
            air.setdefault(slot, []).append(x)
    for slot in sorted(air):
        yield from (y for y in air[slot] if y.slot == slot)


def _asks(x: Transmission) -> int:
    """The slot at which it is decided; announced ones come before whoever could be moved there."""
    return x.slot - REACH - 1 if x.reserved else x.slot


def _moved(air: dict[int, list[Transmission]], x: Transmission, start_unix_s: float) -> Transmission:
    for slot in range(x.slot, x.slot + REACH):
        if not any(_barred(air[s], x) for s in range(slot, slot + x.slots) if s in air):
            return x if slot == x.slot else x._replace(slot=slot, t=slot * SLOT_S - start_unix_s)
    return x


def _barred(others: list[Transmission], x: Transmission) -> bool:
    return any((y.channel == x.channel or y.mmsi == x.mmsi) and x.hears(y) for y in others)
