"""The kinds of vessels that sail here: size, radar cross-section, limits of motion.

Sizes, speeds and freeboards: operators' descriptions of small craft (panga 6-12 m open GRP; go-fast to 17 m and 60 kn;
low-profile vessel 20 x 2 m at 20 kn with less than half a metre of freeboard). Radar cross-sections are means at
9.4 GHz: 1.4 m2 measured on a 5.2 m inflatable, 2.5 m2 for the 10 m boat without reflector of IMO MSC.192(79), the
others by the target classes of IALA G1111. All of them fluctuate as Swerling I (small craft by 20 dB and more).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VesselClass:
    """One kind. `height_m` is the top above water, `radar_heights_m` where its echo comes from (lowest, highest).

    `ship_type` is the AIS type code (ITU-R M.1371, table 53).
    """

    length_m: float
    beam_m: float
    height_m: float
    freeboard_m: float
    radar_heights_m: tuple[float, float]
    rcs_m2: float
    max_speed_mps: float
    max_turn_dps: float
    max_accel_mps2: float
    ship_type: int


def _kind(  # one row of the table below
    size: tuple[float, float, float, float],
    radar: tuple[float, float, float],
    limits: tuple[float, float, float],
    ship_type: int,
) -> VesselClass:
    return VesselClass(
        length_m=size[0],
        beam_m=size[1],
        height_m=size[2],
        freeboard_m=size[3],
        radar_heights_m=(radar[0], radar[1]),
        rcs_m2=radar[2],
        max_speed_mps=limits[0],
        max_turn_dps=limits[1],
        max_accel_mps2=limits[2],
        ship_type=ship_type,
    )


#            length, beam, height, freeboard    echo from, to, m2      m/s, deg/s, m/s2    AIS type
CLASSES: dict[str, VesselClass] = {
    "panga": _kind((7.0, 1.9, 1.7, 0.7), (0.3, 1.5, 2.5), (16.0, 18.0, 1.5), 0),
    "go-fast": _kind((12.0, 2.8, 1.8, 0.9), (0.4, 1.6, 3.0), (31.0, 14.0, 2.5), 0),
    "lpv": _kind((20.0, 2.2, 1.2, 0.4), (0.2, 1.0, 1.5), (10.5, 5.0, 0.4), 0),
    "inflatable": _kind((5.2, 2.1, 1.4, 0.5), (0.3, 1.2, 1.4), (18.0, 25.0, 2.0), 0),
    "jetski": _kind((3.0, 1.2, 1.3, 0.4), (0.3, 1.1, 0.5), (26.0, 40.0, 3.0), 0),
    "sailing": _kind((11.0, 3.6, 15.0, 1.1), (0.8, 6.0, 4.0), (5.0, 8.0, 0.3), 36),
    "fishing": _kind((14.0, 4.8, 6.5, 1.4), (0.8, 4.5, 50.0), (6.0, 6.0, 0.4), 30),
    "trawler": _kind((27.0, 7.6, 11.0, 2.4), (1.0, 8.0, 400.0), (7.0, 3.5, 0.25), 30),
    "tug": _kind((28.0, 10.0, 13.0, 2.0), (1.0, 8.0, 300.0), (7.0, 6.0, 0.3), 52),
    "patrol": _kind((32.0, 6.8, 10.0, 2.2), (1.0, 7.0, 250.0), (15.0, 5.0, 0.8), 55),
    "ferry": _kind((78.0, 16.0, 17.0, 5.0), (1.5, 13.0, 4000.0), (18.0, 1.5, 0.15), 60),
    "cargo": _kind((145.0, 22.0, 28.0, 7.0), (2.0, 20.0, 15000.0), (10.0, 0.6, 0.05), 70),
    "tanker": _kind((185.0, 30.0, 32.0, 6.0), (2.0, 22.0, 20000.0), (8.0, 0.5, 0.04), 80),
}
