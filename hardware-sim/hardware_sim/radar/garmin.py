"""Garmin xHD spokes and reports on the wire: one datagram a spoke or value, little endian.

A datagram is 36 octets and 8-bit samples, nearest first: u32 type 0x0998, u32 length of what follows, u16 1, u16 that
length again, u16 angle in eighths of a spoke (0..11512), u16, u32 selected range in metres, u32 range in metres of the
last sample, u16, u16 count of samples, u16, u32 the count again, u16. Angles are from the bow; a spoke has no heading.

A report (to 239.254.2.0:50100) is u32 type, u32 length, a value of 1, 2 or 4 octets: 0916 speed of the antenna, 0919
whether it transmits, 091e selected range in metres, 0930 alignment in 1/32 deg. Others exist and are not made here.

Source: a capture of an xHD at 2 NM and the public decoders' reading of it. What the unnamed fields mean is not known:
zeros.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPOKES_PER_TURN = 1440
SAMPLES = 695
SPOKE_TYPE = 0x0998
OVERSCAN = 1.125
"""The last sample lies beyond the selected range by that factor (4,167 m for 2 NM)."""
REPORT_PORT = 50_100
ANTENNA_SPEED, TRANSMITS, SELECTED_RANGE, ALIGNMENT = 0x0916, 0x0919, 0x091E, 0x0930
REPORTS = {ANTENNA_SPEED: 1, TRANSMITS: 1, SELECTED_RANGE: 4, ALIGNMENT: 4}
"""Octets of the value."""
_HEADER = struct.Struct("<IIHHHHIIHHHIH")


def spoke(samples: NDArray[np.uint8], number: int, range_m: int, last_m: int) -> bytes:
    """The datagram of one spoke; `number` 0..1439 from the bow, clockwise."""
    count = len(samples)
    follows = _HEADER.size - 8 + count
    head = (SPOKE_TYPE, follows, 1, follows, number * 8, 0, range_m, last_m, 0, count, 0, count, 0)
    return _HEADER.pack(*head) + samples.tobytes()


def report(kind: int, value: int) -> bytes:
    """One value that the radar tells; `kind` is of `REPORTS`."""
    size = REPORTS[kind]
    return struct.pack("<II", kind, size) + value.to_bytes(size, "little", signed=kind == ALIGNMENT)
