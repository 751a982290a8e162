"""What an AIS receiver hears of what is on the air.

Promises:
- a message is heard with the odds of its distance against the radio horizon of both aerials (4/3 earth): certain well
  inside, even at the horizon, nothing a third beyond it;
- of messages that share a slot and a channel the nearest is heard if it is nearer than half of every other's distance
  (the 10 dB and more by which an FM receiver captures), else none; a message of two slots has to stand out in both;
- what one receiver loses is independent of what another one loses.
"""

from __future__ import annotations

import math
from itertools import chain, count
from typing import TYPE_CHECKING

from hardware_sim.ais_slots import horizon_m
from hardware_sim.ais_station import transmissions
from hardware_sim.seeds import generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware_sim.ais_slots import Transmission
    from hardware_sim.tables import AisReceiverTable
    from hardware_sim.world import World

EDGE = 0.08
"""Width of the edge of coverage, a share of the horizon's distance."""
CAPTURE = 2.0


def sentences(world: World, receiver: AisReceiverTable, start_unix_s: float) -> Iterator[tuple[float, bytes]]:
    """(t, VDM sentences) that the receiver gives, for ever."""
    return ((x.t, x.sentences) for x in heard(world, receiver, start_unix_s))


def heard(world: World, receiver: AisReceiverTable, start_unix_s: float) -> Iterator[Transmission]:
    """What the receiver hears, in order of time, for ever."""
    rng = generator(world.seed, "ais-loss", receiver.name)
    height_m = receiver.height_m or world.scenario.site.height_m
    luck = chain.from_iterable(rng.uniform(size=1024).tolist() for _ in count())
    for together in _at_once(transmissions(world, start_unix_s)):
        for distance_m, x in captured([(_distance(receiver, x), x) for x in together]):
            if next(luck) < reception(distance_m, height_m, x.aerial_m, receiver.sensitivity):
                yield x


def _at_once(messages: Iterator[Transmission]) -> Iterator[list[Transmission]]:
    """Messages of which each begins before those before it have ended, on whichever channel."""
    together: list[Transmission] = []
    end = 0
    for x in messages:
        if x.slot >= end and together:
            yield together
            together = []
        together.append(x)
        end = max(end, x.slot + x.slots)
    if together:
        yield together


def captured(on_air: list[tuple[float, Transmission]]) -> list[tuple[float, Transmission]]:
    """Those of the messages on the air together, with their distances, that are not drowned by another."""
    if len(on_air) == 1:
        return on_air
    return [
        (distance_m, x)
        for distance_m, x in on_air
        if all(CAPTURE * distance_m < d for d, other in on_air if other is not x and other.overlaps(x))
    ]


def reception(distance_m: float, height_m: float, aerial_m: float, sensitivity: float = 1.0) -> float:
    """Odds that a message is heard over that distance."""
    beyond = (distance_m / (sensitivity * horizon_m(height_m, aerial_m)) - 1.0) / EDGE
    return 0.0 if beyond > 4.0 else 1.0 / (1.0 + math.exp(beyond))


def _distance(receiver: AisReceiverTable, x: Transmission) -> float:
    return math.hypot(x.east_m - receiver.east_m, x.north_m - receiver.north_m)
