"""What vessels are built of: flat faces with a colour and a warmth, in the vessel's own axes.

Promises:
- x forward, y to starboard, z up, metres; the origin is on the waterline amidships;
- faces need no winding: the renderer lights the side that is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

Bgr = tuple[float, float, float]

WHITE: Final[Bgr] = (235, 235, 232)
GREY: Final[Bgr] = (140, 138, 132)
DARK: Final[Bgr] = (40, 38, 36)
BLACK: Final[Bgr] = (18, 18, 18)
RED: Final[Bgr] = (45, 40, 170)
BLUE: Final[Bgr] = (150, 85, 35)
GLASS: Final[Bgr] = (60, 50, 42)
SKIN: Final[Bgr] = (70, 100, 150)
ORANGE: Final[Bgr] = (30, 95, 225)
RUST: Final[Bgr] = (45, 60, 105)


def pick(rng: np.random.Generator, choices: list[Bgr]) -> Bgr:
    """One of the colours."""
    return choices[int(rng.integers(len(choices)))]


@dataclass(slots=True)
class Light:
    """A lamp: place in vessel axes, colour BGR 0..1, candela, and the sector in which it shows (deg from the bow)."""

    at: tuple[float, float, float]
    colour: Bgr
    candela: float
    sector: tuple[float, float] = (-180.0, 180.0)


@dataclass(slots=True)
class Mesh:
    """Faces (each (N, 3)) with colours (BGR 0..255 reflectance), how warm each is (0..1, for thermal), and lamps."""

    faces: list[Points] = field(default_factory=list)
    colours: list[Bgr] = field(default_factory=list)
    heat: list[float] = field(default_factory=list)
    lamps: list[Light] = field(default_factory=list)

    def face(self, points: list[tuple[float, float, float]], colour: Bgr, heat: float = 0.35) -> None:
        """Add one flat polygon."""
        self.faces.append(np.array(points, dtype=np.float64))
        self.colours.append(colour)
        self.heat.append(heat)

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        colour: Bgr,
        heat: float = 0.35,
        taper: float = 1.0,
    ) -> None:
        """A block; `taper` shrinks its top."""
        (x0, x1), (y0, y1), (z0, z1) = x, y, z
        mx, my, hx, hy = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2 * taper, (y1 - y0) / 2 * taper
        low = [(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)]
        top = [(mx - hx, my - hy, z1), (mx + hx, my - hy, z1), (mx + hx, my + hy, z1), (mx - hx, my + hy, z1)]
        for i in range(4):
            j = (i + 1) % 4
            self.face([low[i], low[j], top[j], top[i]], colour, heat)
        self.face(top, colour, heat)

    def hull(
        self,
        length: float,
        beam: float,
        depth: float,
        colour: Bgr,
        *,
        sheer: float = 0.4,
        rake: float = 0.12,
        fullness: float = 2.5,
        stripe: Bgr | None = None,
        deck: Bgr | None = None,
        inside: float = 0.0,
    ) -> None:
        """A hull from transom to stem.

        `sheer` lifts the bow by that share of the depth, `fullness` is how late it narrows, `inside` sinks the deck by
        that share of the depth (an open boat).
        """
        stations = np.array([-0.5, -0.2, 0.1, 0.28, 0.4, 0.47, 0.5])
        half = 0.5 * beam * np.clip(1.0 - np.clip((stations + 0.1) / 0.6, 0.0, 1.0) ** fullness, 0.02, 1.0)
        high = depth * (1.0 + sheer * np.clip((stations + 0.2) / 0.7, 0.0, 1.0) ** 2) / (1.0 + sheer)
        x_low = stations * length * (1.0 - rake)
        x_top = stations * length
        low = 0.82
        for side in (-1.0, 1.0):
            for i in range(len(stations) - 1):
                j = i + 1
                split = [0.0, 0.62, 1.0] if stripe is not None else [0.0, 1.0]
                for a, b in pairwise(split):
                    quad = []
                    for s, part in ((i, a), (j, a), (j, b), (i, b)):
                        quad.append(
                            (
                                x_low[s] + (x_top[s] - x_low[s]) * part,
                                side * half[s] * (low + (1 - low) * part),
                                high[s] * part,
                            )
                        )
                    self.face(quad, stripe if stripe is not None and a > 0 else colour)
        self.face(
            [
                (x_low[0], -half[0] * low, 0),
                (x_low[0], half[0] * low, 0),
                (x_top[0], half[0], high[0]),
                (x_top[0], -half[0], high[0]),
            ],
            colour,
        )
        sunk = 1.0 - inside
        deck_colour = deck if deck is not None else (0.8 * colour[0], 0.8 * colour[1], 0.8 * colour[2])
        ring = [(x_top[i], -half[i] * 0.97, high[i] * sunk) for i in range(len(stations))]
        ring += [(x_top[i], half[i] * 0.97, high[i] * sunk) for i in range(len(stations) - 1, -1, -1)]
        self.face(ring, deck_colour)

    def person(self, x: float, y: float, z: float, rng: np.random.Generator, sitting: bool = True) -> None:
        """A person, sitting or standing on z."""
        tall = 0.85 if sitting else 1.65
        cloth = pick(rng, [DARK, (150, 60, 40), (50, 50, 160), WHITE, (40, 90, 60), ORANGE, (90, 90, 90)])
        self.box((x - 0.15, x + 0.15), (y - 0.22, y + 0.22), (z, z + 0.76 * tall), cloth, 0.75)
        self.box(
            (x - 0.1, x + 0.1), (y - 0.1, y + 0.1), (z + 0.76 * tall, z + tall), pick(rng, [SKIN, DARK, WHITE]), 0.95
        )

    def mast(self, x: float, z: tuple[float, float], width: float, colour: Bgr, y: float = 0.0) -> None:
        """A vertical pole, a crossed pair of plates."""
        w = width / 2
        self.face([(x - w, y, z[0]), (x + w, y, z[0]), (x + w, y, z[1]), (x - w, y, z[1])], colour)
        self.face([(x, y - w, z[0]), (x, y + w, z[0]), (x, y + w, z[1]), (x, y - w, z[1])], colour)

    def spar(self, a: tuple[float, float, float], b: tuple[float, float, float], width: float, colour: Bgr) -> None:
        """A thin straight piece between two points, drawn as a vertical plate."""
        w = width / 2
        self.face(
            [(a[0], a[1], a[2] - w), (b[0], b[1], b[2] - w), (b[0], b[1], b[2] + w), (a[0], a[1], a[2] + w)], colour
        )
