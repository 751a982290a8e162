"""What is at sea: size, radar cross-section by aspect, limits of motion of every kind of vessel and thing.

Promises:
- `CLASSES` has a row for every kind that a scenario may name; `vessel` tells what a watch officer would call a vessel
  from what only gives echoes (buoys, rocks, birds, swimmers);
- `rcs_at` averages to `rcs_m2` over all aspects.

Sizes, speeds and freeboards: operators' descriptions of small craft (panga 6-12 m open GRP; go-fast to 17 m and 60 kn;
low-profile vessel 20 x 2 m at 20 kn with less than half a metre of freeboard). Radar cross-sections are means at
9.4 GHz: 1.4 m2 measured on a 5.2 m inflatable, 2.5 m2 for the 10 m boat without reflector of IMO MSC.192(79), 10 m2 for
a buoy with a reflector (ITU-R M.1176's small craft), a few 0.01 m2 for a gull, the others by the target classes of IALA
G1111. A beam is 6 to 10 dB brighter than a bow (Skolnik, Radar Handbook, ch. 14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class VesselClass:
    """One kind. `height_m` is the top above water, `radar_heights_m` where its echo comes from (lowest, highest).

    `aspect_db`: how much stronger than each other bow, beam and stern are (only differences count). `leeway` is the
    share of the wind's speed that it drifts with. `ship_type` is the AIS type code (ITU-R M.1371, table 53). `drawn` is
    the renderer's shape.
    """

    length_m: float
    beam_m: float
    height_m: float
    freeboard_m: float
    radar_heights_m: tuple[float, float]
    rcs_m2: float
    aspect_db: tuple[float, float, float]
    max_speed_mps: float
    max_turn_dps: float
    max_accel_mps2: float
    leeway: float
    ship_type: int
    vessel: bool
    drawn: str
    _scale: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        turn = np.arange(0.0, 360.0, 1.0)
        object.__setattr__(self, "_scale", float(1.0 / np.mean(10.0 ** (_shape_db(turn, self.aspect_db) / 10.0))))

    def aspect_gain(self, aspect_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """RCS against its mean, linear. Aspect 0: seen on the bow, 90: on the beam, 180: on the stern."""
        return self._scale * 10.0 ** (_shape_db(aspect_deg, self.aspect_db) / 10.0)

    def rcs_at(self, aspect_deg: float) -> float:
        """Mean RCS in square metres as seen from there."""
        return self.rcs_m2 * float(self.aspect_gain(np.array([aspect_deg]))[0])


def _shape_db(aspect_deg: NDArray[np.float64], db: tuple[float, float, float]) -> NDArray[np.float64]:
    along = np.cos(np.radians(aspect_deg))
    ends = np.where(along >= 0.0, db[0], db[2])
    return np.asarray(ends * along**2 + db[1] * (1.0 - along**2), dtype=np.float64)


_ROUND = (0.0, 0.0, 0.0)
_BOAT = (0.0, 6.0, 2.0)  # a transom and an outboard
_SHIP = (0.0, 10.0, 3.0)
_AS_NAMED = ""


def _kind(  # one row of the table below
    size: tuple[float, float, float, float],
    radar: tuple[float, float, float, tuple[float, float, float]],
    limits: tuple[float, float, float, float],
    ship_type: int,
    drawn: str = _AS_NAMED,
    *,
    vessel: bool = True,
) -> VesselClass:
    return VesselClass(
        length_m=size[0],
        beam_m=size[1],
        height_m=size[2],
        freeboard_m=size[3],
        radar_heights_m=(radar[0], radar[1]),
        rcs_m2=radar[2],
        aspect_db=radar[3],
        max_speed_mps=limits[0],
        max_turn_dps=limits[1],
        max_accel_mps2=limits[2],
        leeway=limits[3],
        ship_type=ship_type,
        vessel=vessel,
        drawn=drawn,
    )


#            length, beam, height, freeboard    echo from, to, m2, aspect        m/s, deg/s, m/s2, leeway    AIS type
CLASSES: dict[str, VesselClass] = {
    "panga": _kind((7.0, 1.9, 1.7, 0.7), (0.3, 1.5, 2.5, _BOAT), (16.0, 18.0, 1.5, 0.03), 0),
    "go-fast": _kind((12.0, 2.8, 1.8, 0.9), (0.4, 1.6, 3.0, _BOAT), (31.0, 14.0, 2.5, 0.03), 0),
    "lpv": _kind((20.0, 2.2, 1.2, 0.4), (0.2, 1.0, 1.5, _BOAT), (10.5, 5.0, 0.4, 0.01), 0),
    "inflatable": _kind((5.2, 2.1, 1.4, 0.5), (0.3, 1.2, 1.4, _BOAT), (18.0, 25.0, 2.0, 0.05), 0),
    "jetski": _kind((3.0, 1.2, 1.3, 0.4), (0.3, 1.1, 0.5, _ROUND), (26.0, 40.0, 3.0, 0.04), 37),
    "sailing": _kind((11.0, 3.6, 15.0, 1.1), (0.8, 6.0, 4.0, _BOAT), (5.0, 8.0, 0.3, 0.05), 36),
    "fishing": _kind((14.0, 4.8, 6.5, 1.4), (0.8, 4.5, 50.0, _BOAT), (6.0, 6.0, 0.4, 0.04), 30),
    "trawler": _kind((27.0, 7.6, 11.0, 2.4), (1.0, 8.0, 400.0, _SHIP), (7.0, 3.5, 0.25, 0.04), 30),
    "tug": _kind((28.0, 10.0, 13.0, 2.0), (1.0, 8.0, 300.0, _SHIP), (7.0, 6.0, 0.3, 0.03), 52),
    "barge": _kind((60.0, 16.0, 6.0, 3.0), (0.5, 5.0, 800.0, _SHIP), (7.0, 2.0, 0.1, 0.03), 0, "cargo"),
    "patrol": _kind((32.0, 6.8, 10.0, 2.2), (1.0, 7.0, 250.0, _SHIP), (15.0, 5.0, 0.8, 0.03), 55),
    "ferry": _kind((78.0, 16.0, 17.0, 5.0), (1.5, 13.0, 4000.0, _SHIP), (18.0, 1.5, 0.15, 0.03), 60),
    "cargo": _kind((145.0, 22.0, 28.0, 7.0), (2.0, 20.0, 15000.0, _SHIP), (10.0, 0.6, 0.05, 0.02), 70),
    "tanker": _kind((185.0, 30.0, 32.0, 6.0), (2.0, 22.0, 20000.0, _SHIP), (8.0, 0.5, 0.04, 0.02), 80),
    "buoy": _kind((2.5, 2.5, 4.0, 0.8), (1.0, 3.5, 10.0, _ROUND), (0.0, 1.0, 1.0, 0.0), 0, vessel=False),
    "rock": _kind((12.0, 8.0, 2.5, 2.5), (0.2, 2.5, 30.0, _ROUND), (0.0, 1.0, 1.0, 0.0), 0, vessel=False),
    "bird": _kind((0.6, 1.3, 0.3, 0.0), (5.0, 40.0, 0.05, _ROUND), (18.0, 30.0, 3.0, 0.3), 0, vessel=False),
    "swimmer": _kind((1.7, 0.5, 0.3, 0.2), (0.0, 0.3, 0.1, _ROUND), (1.5, 60.0, 0.5, 0.02), 0, vessel=False),
}


def drawn_as(kind: str) -> str:
    """The renderer's shape for a kind."""
    return CLASSES[kind].drawn or kind


def aspect_deg(east_m: float, north_m: float, heading_deg: float) -> float:
    """Under which angle from its bow a vessel there is seen from the site, 0..180."""
    towards = math.degrees(math.atan2(-east_m, -north_m))
    return abs((towards - heading_deg + 180.0) % 360.0 - 180.0)
