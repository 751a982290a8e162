"""Random numbers that depend on the seed and on names, never on the order of calls between parts."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for (seed, names): the same ones always give the same numbers."""
    words = [n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names]
    return np.random.default_rng(np.random.SeedSequence([seed, *(w & 0xFFFFFFFF for w in words)]))
