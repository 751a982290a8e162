"""NumPy arrays to plain values and back, for checkpoints.

Promises:
- every bit of a float survives (little-endian IEEE 754), so a restored state goes on exactly like its original;
- the same array gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from agent.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

_DTYPES = ("<f8", "<i8", "<u8", "|b1")


def compact(v: Ints) -> tuple[Ints, Ints]:
    """Values that occur, ascending, and for each of `v` (n,) which it is: np.unique for small numbers from 0 on."""
    there = np.bincount(v) > 0
    return there.nonzero()[0], (there.cumsum() - 1)[v]


def first_of_each(v: Ints) -> Bools:
    """Where a value stands for the first time, `v` (n,) being ascending."""
    first = np.empty(len(v), dtype=np.bool_)
    first[:1] = True
    np.not_equal(v[1:], v[:-1], out=first[1:])
    return first


def dump(a: npt.NDArray[Any]) -> list[Any]:
    """`[dtype, shape, bytes]` of a float64, int64, uint64 or bool array."""
    a = np.ascontiguousarray(a)
    return [a.dtype.newbyteorder("<").str, list(a.shape), a.tobytes()]


def load(row: Any) -> npt.NDArray[Any]:
    """The array that `dump` made `row` from: contiguous, writable, of its own memory.

    Raises:
        InputError: the row is no dumped array.

    """
    try:
        dtype, shape, data = row
        if dtype not in _DTYPES:
            raise ValueError(f"dtype {dtype!r}")
        return np.frombuffer(data, dtype=dtype).reshape(shape).copy()
    except (TypeError, ValueError) as e:
        raise InputError(f"the checkpoint holds a broken array ({e}): start without it") from e
