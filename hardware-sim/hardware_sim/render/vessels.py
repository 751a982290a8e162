"""The shapes of vessels and clutter, one function a kind.

Promises:
- every mesh fills length_m x beam_m x height_m (a mast reaches height_m), so a caller's sizes are the picture's sizes;
- what a seed decides is decoration: the same vessel and seed give the same mesh.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hardware_sim.render.meshes import (
    BLACK,
    BLUE,
    DARK,
    GLASS,
    GREY,
    ORANGE,
    RED,
    RUST,
    SKIN,
    WHITE,
    Light,
    Mesh,
    pick,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hardware_sim.render.types import Vessel


def _windows(m: Mesh, x: tuple[float, float], half: float, z: tuple[float, float]) -> None:
    """A dark band of glass around a wheelhouse."""
    e = 1.012
    mid, hx = (x[0] + x[1]) / 2, (x[1] - x[0]) / 2 * e
    m.box((mid - hx, mid + hx), (-half * e, half * e), z, GLASS, 0.3)


def _navigation(m: Mesh, v: Vessel, bridge_x: float, bridge_z: float, top: float) -> None:
    half = 0.45 * v.beam_m
    power = 6.0 if v.length_m < 20 else 40.0
    m.lamps += [
        Light((bridge_x, 0.0, top), (1.0, 1.0, 1.0), 3 * power, (-112.5, 112.5)),
        Light((bridge_x, -half, bridge_z), (0.1, 0.1, 1.0), power, (-112.5, 0.0)),
        Light((bridge_x, half, bridge_z), (0.4, 1.0, 0.15), power, (0.0, 112.5)),
        Light((-0.5 * v.length_m, 0.0, bridge_z * 0.6), (0.9, 1.0, 1.0), power, (112.5, 247.5)),
    ]


def _panga(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    side = min(0.55 * high, 0.9)
    colour = v.colour or pick(
        rng, [WHITE, (200, 190, 170), BLUE, (180, 120, 60), GREY, DARK, (90, 130, 90), (130, 170, 200)]
    )
    stripe = pick(rng, [BLUE, RED, (60, 120, 40), WHITE, DARK]) if rng.random() < 0.5 else None
    m.hull(length, beam, side * 1.35, colour, sheer=0.7, rake=0.14, fullness=2.0, stripe=stripe, inside=0.45, deck=GREY)
    for i in range(int(rng.integers(1, 3))):
        y = (i - 0.5) * 0.5 * beam
        m.box((-0.56 * length, -0.49 * length), (y - 0.2, y + 0.2), (0.1, side + 0.45), BLACK, 0.95, 0.8)
    count = int(rng.integers(1, 6))
    for i in range(count):
        x = length * (-0.38 + 0.68 * (i + rng.random() * 0.5) / count)
        tall = high - side * 0.5
        m.person(x, rng.uniform(-0.2, 0.2) * beam, max(min(high - 0.9, side * 0.5), 0.05), rng, sitting=tall < 1.5)
    if rng.random() < 0.4:
        m.box(
            (-0.1 * length, 0.2 * length),
            (-0.3 * beam, 0.3 * beam),
            (side * 0.5, side * 1.25),
            pick(rng, [BLUE, DARK, GREY, (60, 140, 190)]),
        )
    m.lamps.append(Light((-0.4 * length, 0.0, high), (0.9, 1.0, 1.0), 4.0))


def _go_fast(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [WHITE, BLUE, DARK, GREY, (60, 50, 40), (120, 100, 80)])
    m.hull(
        length,
        beam,
        0.75 * high,
        colour,
        sheer=0.35,
        rake=0.2,
        fullness=1.6,
        deck=pick(rng, [WHITE, GREY, DARK]),
        inside=0.15,
    )
    m.box((-0.25 * length, -0.02 * length), (-0.3 * beam, 0.3 * beam), (0.5 * high, 0.9 * high), GLASS, 0.4, 0.75)
    for y in np.linspace(-0.3, 0.3, int(rng.integers(2, 5))) * beam:
        m.box((-0.56 * length, -0.49 * length), (y - 0.18, y + 0.18), (0.1, 0.85 * high), BLACK, 1.0, 0.8)
    for i in range(int(rng.integers(1, 4))):
        m.person(-0.3 * length + 0.7 * i, rng.uniform(-0.2, 0.2) * beam, max(high - 0.85, 0.2), rng)
    _navigation(m, v, -0.1 * length, 0.8 * high, high)


def _lpv(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    """A low-profile vessel: a hull awash with a small house aft."""
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [(110, 85, 55), (95, 90, 80), (70, 80, 60), (60, 55, 50)])
    m.hull(length, beam, 0.4 * high, colour, sheer=0.5, rake=0.06, fullness=1.8)
    m.box((-0.33 * length, -0.18 * length), (-0.25 * beam, 0.25 * beam), (0.3 * high, 0.95 * high), colour, 0.6, 0.8)
    m.mast(-0.36 * length, (0.3 * high, high), 0.12, DARK)
    m.box((-0.45 * length, -0.38 * length), (-0.1 * beam, 0.1 * beam), (0.2 * high, 0.6 * high), DARK, 1.0)


def _inflatable(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [GREY, BLACK, (60, 60, 60), ORANGE, (30, 30, 140), (150, 150, 150)])
    tube = min(0.45, 0.4 * high)
    m.hull(length, beam, tube * 1.3, colour, sheer=0.4, rake=0.02, fullness=3.5, inside=0.5, deck=DARK)
    m.box((-0.53 * length, -0.46 * length), (-0.16, 0.16), (0.05, tube + 0.5), BLACK, 1.0, 0.8)
    rows = max(1, int(length / 0.9)) if rng.random() < 0.4 else 1
    for i in range(rows):
        for y in (-0.28, 0.28) if rows > 1 else (0.1,):
            m.person(length * (-0.38 + 0.7 * (i + 0.4) / rows), y * beam, max(min(tube, high - 0.85), 0.05), rng)
    m.lamps.append(Light((-0.4 * length, 0.0, high), (0.9, 1.0, 1.0), 3.0))


def _sailing(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    board = min(0.11 * length, 0.2 * high)
    colour = v.colour or pick(rng, [WHITE, WHITE, WHITE, BLUE, DARK, (60, 60, 120)])
    m.hull(
        length,
        beam,
        board * 1.2,
        colour,
        sheer=0.3,
        rake=0.12,
        fullness=1.7,
        deck=(200, 205, 205),
        stripe=pick(rng, [WHITE, BLUE, WHITE]),
    )
    m.box((-0.2 * length, 0.2 * length), (-0.25 * beam, 0.25 * beam), (board, board * 1.7), WHITE, taper=0.85)
    mast_x = 0.08 * length
    spar = pick(rng, [(190, 190, 190), (200, 200, 195), (70, 100, 140)])
    m.mast(mast_x, (board, high), max(0.16, 0.012 * length), spar)
    boom = board * 1.7 + 0.5
    set_sails = v.speed_mps > 0.8 and rng.random() < 0.8
    swing = rng.uniform(-0.35, 0.35) * length
    if set_sails:
        sail = pick(rng, [WHITE, (225, 230, 235), (200, 215, 225), (60, 60, 160), (120, 80, 50)])
        foot = (mast_x - 0.42 * length, swing * 0.5, boom)
        m.face([(mast_x, 0, boom), foot, (mast_x - 0.1 * length, swing * 0.1, high * 0.97), (mast_x, 0, high)], sail)
        m.face(
            [(0.48 * length, 0, board * 1.2), (mast_x - 0.05 * length, swing * 0.4, boom), (mast_x, 0, high * 0.85)],
            sail,
        )
    else:
        m.box(
            (mast_x - 0.42 * length, mast_x), (-0.12, 0.12), (boom - 0.12, boom + 0.18), pick(rng, [BLUE, WHITE, DARK])
        )
        m.spar((0.49 * length, 0, board * 1.2), (mast_x, 0, high * 0.95), 0.06, GREY)
        m.spar((-0.49 * length, 0, board * 1.2), (mast_x, 0, high), 0.05, GREY)
    _navigation(m, v, 0.4 * length, board * 1.3, high)


def _fishing(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [BLUE, WHITE, (60, 110, 40), RED, (170, 150, 60), DARK, (120, 60, 30)])
    side = 0.26 * high
    m.hull(
        length,
        beam,
        1.5 * side,
        colour,
        sheer=0.8,
        rake=0.14,
        fullness=2.3,
        stripe=pick(rng, [colour, WHITE, DARK]),
        inside=0.35,
        deck=(90, 110, 120),
    )
    house_x = rng.uniform(-0.3, 0.2) * length
    house = (house_x - 0.11 * length, house_x + 0.11 * length)
    m.box(house, (-0.33 * beam, 0.33 * beam), (0.6 * side, 0.62 * high), WHITE, 0.45)
    _windows(m, house, 0.33 * beam, (0.48 * high, 0.57 * high))
    m.mast(house_x, (0.6 * high, high), 0.14, GREY)
    if rng.random() < 0.6:
        m.mast(-0.38 * length, (side, 0.75 * high), 0.14, RUST)
        m.spar((-0.38 * length, 0, 0.7 * high), (-0.5 * length, 0, 0.5 * high), 0.1, RUST)
    if rng.random() < 0.4:
        for y in (-1, 1):
            m.spar((house_x, 0, 0.6 * high), (house_x - 0.1 * length, y * 1.2 * beam, high), 0.08, GREY)
    m.lamps.append(Light((house_x - 0.15 * length, 0.0, 0.7 * high), (0.8, 1.0, 1.0), 400.0))
    _navigation(m, v, house_x, 0.6 * high, high)


def _trawler(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    _fishing(m, v, rng)
    for x in (-0.48, -0.42):
        for y in (-0.4, 0.4):
            m.mast(x * length, (0.2 * high, 0.62 * high), 0.25, RUST, y * beam)
    m.box((-0.49 * length, -0.41 * length), (-0.42 * beam, 0.42 * beam), (0.56 * high, 0.62 * high), RUST)


def _tug(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [DARK, BLUE, RED, (60, 60, 60)])
    m.hull(length, beam, 0.3 * high, colour, sheer=0.8, rake=0.05, fullness=3.0, deck=(70, 90, 110), inside=0.2)
    m.box(
        (-0.12 * length, 0.28 * length),
        (-0.34 * beam, 0.34 * beam),
        (0.15 * high, 0.45 * high),
        pick(rng, [WHITE, ORANGE, (120, 190, 220)]),
    )
    m.box((0.0, 0.22 * length), (-0.28 * beam, 0.28 * beam), (0.45 * high, 0.7 * high), WHITE)
    _windows(m, (0.0, 0.22 * length), 0.28 * beam, (0.55 * high, 0.66 * high))
    m.box((-0.12 * length, -0.04 * length), (-0.1 * beam, 0.1 * beam), (0.45 * high, 0.75 * high), colour, 1.0)
    m.mast(0.08 * length, (0.7 * high, high), 0.3, GREY)
    _navigation(m, v, 0.1 * length, 0.6 * high, high)


def _patrol(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [GREY, WHITE, (150, 145, 135), ORANGE, DARK])
    m.hull(length, beam, 0.32 * high, colour, sheer=0.5, rake=0.16, fullness=1.9, inside=0.1)
    m.box((-0.22 * length, 0.14 * length), (-0.36 * beam, 0.36 * beam), (0.25 * high, 0.5 * high), colour, taper=0.92)
    m.box((-0.1 * length, 0.08 * length), (-0.28 * beam, 0.28 * beam), (0.5 * high, 0.68 * high), colour)
    _windows(m, (-0.1 * length, 0.08 * length), 0.28 * beam, (0.56 * high, 0.65 * high))
    m.box((-0.06 * length, 0.0), (-0.08 * beam, 0.08 * beam), (0.68 * high, 0.85 * high), colour, 0.6, 0.6)
    m.mast(-0.03 * length, (0.8 * high, high), 0.2, GREY)
    if rng.random() < 0.5:
        m.face(
            [
                (0.2 * length, 0.52 * beam, 0.02),
                (0.26 * length, 0.52 * beam, 0.02),
                (0.3 * length, 0.4 * beam, 0.3 * high),
                (0.24 * length, 0.45 * beam, 0.3 * high),
            ],
            pick(rng, [RED, BLUE, ORANGE]),
        )
    _navigation(m, v, 0.0, 0.6 * high, high)


def _ferry(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [WHITE, BLUE, WHITE, RED, (90, 60, 30)])
    m.hull(length, beam, 0.34 * high, colour, sheer=0.25, rake=0.08, fullness=3.5, stripe=pick(rng, [WHITE, BLUE, RED]))
    decks = int(rng.integers(2, 5))
    z = 0.3 * high
    tall = 0.45 * high / decks
    for i in range(decks):
        x = (length * (-0.47 + 0.03 * i), length * (0.38 - 0.05 * i))
        m.box(x, (-0.46 * beam, 0.46 * beam), (z, z + tall), WHITE, 0.45)
        _windows(m, x, 0.46 * beam, (z + 0.4 * tall, z + 0.72 * tall))
        m.lamps += [
            Light((x[0] + (x[1] - x[0]) * s, y * 0.47 * beam, z + 0.5 * tall), (0.65, 0.9, 1.0), 40.0)
            for s in (0.1, 0.35, 0.6, 0.85)
            for y in (-1, 1)
        ]
        z += tall
    m.box(
        (-0.3 * length, -0.2 * length),
        (-0.15 * beam, 0.15 * beam),
        (z, 0.95 * high),
        pick(rng, [BLUE, RED, WHITE]),
        1.0,
        0.8,
    )
    m.mast(0.15 * length, (z, high), 0.5, GREY)
    _navigation(m, v, 0.25 * length, z, high)


def _cargo(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [DARK, BLUE, RED, (60, 70, 60), (90, 60, 40), BLACK, (60, 40, 100)])
    board = rng.uniform(0.25, 0.4) * high
    m.hull(length, beam, board, colour, sheer=0.18, rake=0.04, fullness=5.0, deck=RUST)
    m.box((-0.47 * length, 0.44 * length), (-0.502 * beam, 0.502 * beam), (0.0, 0.12 * board), RUST)
    house = (-0.46 * length, -0.37 * length)
    m.box(house, (-0.45 * beam, 0.45 * beam), (0.8 * board, 0.85 * high), WHITE, 0.45)
    for level in np.linspace(board * 1.2, 0.8 * high, 5):
        _windows(m, house, 0.45 * beam, (level, level + 0.02 * high))
    m.box((-0.49 * length, -0.46 * length), (-0.1 * beam, 0.1 * beam), (board, 0.9 * high), colour, 1.0)
    m.mast(-0.42 * length, (0.85 * high, high), 0.8, GREY)
    style = rng.random()
    if style < 0.5:
        bays = max(3, int(length / 14))
        for i in range(bays):
            x0 = length * (-0.34 + 0.72 * i / bays)
            top = board + (0.72 * high - board) * rng.uniform(0.25, 1.0)
            shade = pick(rng, [RED, BLUE, RUST, (60, 110, 50), GREY, (50, 120, 190), WHITE, (110, 80, 50)])
            m.box((x0, x0 + 0.68 * length / bays), (-0.46 * beam, 0.46 * beam), (0.8 * board, top), shade)
    elif style < 0.8:
        for x in (-0.2, 0.02, 0.24):
            m.mast(x * length, (board, 0.8 * high), 1.6, pick(rng, [WHITE, (90, 170, 200), GREY]))
            m.spar((x * length, 0, 0.75 * high), ((x + 0.15) * length, 0, 0.6 * high), 1.0, GREY)
    else:
        m.box((-0.3 * length, 0.35 * length), (-0.35 * beam, 0.35 * beam), (0.8 * board, 1.15 * board), RUST)
    _ship_lights(m, v, board)


def _tanker(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [DARK, RED, BLUE, BLACK, (60, 60, 90), RUST])
    board = rng.uniform(0.18, 0.4) * high
    m.hull(length, beam, board, colour, sheer=0.12, rake=0.03, fullness=6.0, deck=pick(rng, [RUST, (60, 80, 60), GREY]))
    if board > 0.3 * high:
        m.box((-0.47 * length, 0.44 * length), (-0.502 * beam, 0.502 * beam), (0.0, 0.3 * board), RED)
    house = (-0.45 * length, -0.36 * length)
    m.box(house, (-0.42 * beam, 0.42 * beam), (0.8 * board, 0.82 * high), WHITE, 0.45)
    for level in np.linspace(board * 1.3, 0.78 * high, 4):
        _windows(m, house, 0.42 * beam, (level, level + 0.02 * high))
    m.box((-0.49 * length, -0.455 * length), (-0.12 * beam, 0.12 * beam), (board, 0.88 * high), colour, 1.0)
    m.mast(-0.4 * length, (0.82 * high, high), 0.8, GREY)
    m.mast(0.44 * length, (board, 0.5 * high), 0.8, GREY)
    m.mast(0.02 * length, (board, 0.48 * high), 1.2, GREY)
    m.box((-0.34 * length, 0.4 * length), (-0.04 * beam, 0.04 * beam), (board, board + 0.05 * high), RUST)
    _ship_lights(m, v, board)


def _ship_lights(m: Mesh, v: Vessel, board: float) -> None:
    _navigation(m, v, -0.42 * v.length_m, 0.75 * v.height_m, v.height_m)
    m.lamps.append(Light((0.42 * v.length_m, 0.0, 0.5 * v.height_m), (1.0, 1.0, 1.0), 120.0, (-112.5, 112.5)))
    for x in (-0.44, -0.38):
        for z in (0.5, 0.65):
            for y in (-0.45, 0.45):
                m.lamps.append(
                    Light((x * v.length_m, y * v.beam_m, z * v.height_m + 0.1 * board), (0.5, 0.85, 1.0), 60.0)
                )


def _jetski(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, beam, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [RED, WHITE, (40, 190, 220), BLUE, DARK])
    m.hull(length, beam, 0.45 * high, colour, sheer=0.4, rake=0.15, fullness=1.8)
    m.box((0.0, 0.2 * length), (-0.12 * beam, 0.12 * beam), (0.4 * high, 0.7 * high), DARK, 0.6)
    m.person(-0.1 * length, 0.0, max(high - 0.85, 0.1), rng)


def _buoy(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    r, high = v.beam_m / 2, v.height_m
    colour = v.colour or pick(rng, [RED, (50, 130, 40), (40, 200, 230), DARK, ORANGE, WHITE])
    if rng.random() < 0.4:
        m.box((-r, r), (-r, r), (0.0, high), colour, 0.4, 0.75)
    else:
        m.box((-r, r), (-r, r), (0.0, 0.3 * high), colour, 0.4)
        m.box((-0.6 * r, 0.6 * r), (-0.6 * r, 0.6 * r), (0.3 * high, 0.8 * high), colour, 0.35, 0.35)
        m.box((-0.35 * r, 0.35 * r), (-0.35 * r, 0.35 * r), (0.8 * high, high), pick(rng, [colour, DARK, RED]), 0.35)
    m.lamps.append(
        Light((0.0, 0.0, high), pick(rng, [(0.1, 0.1, 1.0), (0.3, 1.0, 0.2), (1.0, 1.0, 1.0), (0.2, 0.9, 1.0)]), 15.0)
    )


def _rock(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    colour = v.colour or pick(rng, [(60, 65, 70), (80, 90, 100), (45, 48, 50), (90, 100, 115)])
    n = 9
    ring = np.linspace(0.0, 2.0 * math.pi, n, endpoint=False)
    levels = [(1.0, 0.0), (0.8, 0.45), (0.45, 0.85), (0.12, 1.0)]
    points = []
    for scale, z in levels:
        wobble = scale * rng.uniform(0.7, 1.0, n)
        points.append(
            [
                (v.length_m / 2 * w * math.cos(a), v.beam_m / 2 * w * math.sin(a), v.height_m * z)
                for w, a in zip(wobble, ring, strict=True)
            ]
        )
    for low, top in pairwise(points):
        for i in range(n):
            j = (i + 1) % n
            tone = rng.uniform(0.8, 1.15)
            m.face([low[i], low[j], top[j], top[i]], (colour[0] * tone, colour[1] * tone, colour[2] * tone), 0.45)
    m.face(points[-1], colour, 0.45)


def _bird(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    length, span, high = v.length_m, v.beam_m, v.height_m
    colour = v.colour or pick(rng, [WHITE, (200, 200, 200), DARK, GREY])
    m.box((-0.5 * length, 0.5 * length), (-0.06 * span, 0.06 * span), (0.3 * high, 0.6 * high), colour, 0.8, 0.6)
    if v.up_m > 0.0:
        flap = rng.uniform(0.0, 1.0) * high
        tip = pick(rng, [DARK, colour])
        for side in (-1.0, 1.0):
            m.face(
                [
                    (0.2 * length, 0, 0.5 * high),
                    (-0.2 * length, 0, 0.5 * high),
                    (-0.15 * length, side * 0.3 * span, flap),
                    (0.15 * length, side * 0.3 * span, flap),
                ],
                colour,
            )
            m.face(
                [
                    (0.15 * length, side * 0.3 * span, flap),
                    (-0.15 * length, side * 0.3 * span, flap),
                    (-0.2 * length, side * 0.5 * span, 0.6 * flap),
                ],
                tip,
            )


def _swimmer(m: Mesh, v: Vessel, rng: np.random.Generator) -> None:
    high = v.height_m
    m.box((-0.11, 0.11), (-0.1, 0.1), (0.0, high), pick(rng, [SKIN, DARK, ORANGE, WHITE]), 0.95, 0.8)
    m.box((-0.5 * v.length_m, 0.0), (-0.5 * v.beam_m, 0.5 * v.beam_m), (0.0, 0.3 * high), SKIN, 0.8)


_BUILDERS: dict[str, Callable[[Mesh, Vessel, np.random.Generator], None]] = {
    "panga": _panga,
    "go-fast": _go_fast,
    "lpv": _lpv,
    "inflatable": _inflatable,
    "sailing": _sailing,
    "trawler": _trawler,
    "fishing": _fishing,
    "tug": _tug,
    "ferry": _ferry,
    "cargo": _cargo,
    "tanker": _tanker,
    "patrol": _patrol,
    "jetski": _jetski,
    "buoy": _buoy,
    "rock": _rock,
    "bird": _bird,
    "swimmer": _swimmer,
}


def build(vessel: Vessel, seed: int) -> Mesh:
    """The mesh of a vessel; ValueError for a kind that has none."""
    builder = _BUILDERS.get(vessel.kind)
    if builder is None:
        raise ValueError(f"vessel {vessel.id!r}: kind {vessel.kind!r} is not one of {', '.join(_BUILDERS)}")
    mesh = Mesh()
    builder(mesh, vessel, np.random.default_rng([seed, *vessel.id.encode()]))
    return mesh
