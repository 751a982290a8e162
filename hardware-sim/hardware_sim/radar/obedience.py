"""A Navico radar that does what it is told: orders read from the wire, and whether it is in standby. Pure.

An order is a datagram to the radar's send address, little endian: `00 C1 01` then `01 C1 vv` with vv 1 to transmit and
0 for standby, `03 C1` and u32 decimetres for the range, `A0 C1` to stay awake; `xx C2` go with the last and change
nothing here.

Promises:
- it begins in standby, and transmits only after both parts of the order;
- it falls back to standby when nobody has said `A0 C1` for `PATIENCE_S`, and then needs the order anew;
- other octets change nothing.

Source: the public clients' orders. How long a real radar waits for the next keep-alive is not known: `PATIENCE_S` is
ours. A selected range is only told; the video's range stays the scenario's.
"""

from __future__ import annotations

PATIENCE_S = 10.0
_POWER, _TRANSMIT, _RANGE, _AWAKE = 0x00C1, 0x01C1, 0x03C1, 0xA0C1


class Obedience:
    """The state of one radar."""

    def __init__(self) -> None:
        self._awake_s = 0.0
        self._powered = False
        self._on = False

    def take(self, t: float, data: bytes) -> str | None:
        """Obey one datagram; what it asked for in a word, None where nothing changes."""
        order, rest = int.from_bytes(data[:2], "big"), data[2:]
        if order == _AWAKE and not rest:
            self._awake_s = t
        elif order == _POWER and rest == b"\x01":
            self._powered = True
        elif order == _TRANSMIT and rest in (b"\x00", b"\x01") and self._powered:
            self._powered = False
            self._on = rest == b"\x01"
            self._awake_s = t  # who gives an order is there
            return "transmit" if self._on else "standby"
        elif order == _RANGE and len(rest) == 4:
            return f"range {int.from_bytes(rest, 'little') / 10:g} m"
        return None

    def fell_asleep(self, t: float) -> bool:
        """Whether it goes to standby now because nobody is there; true once."""
        if not self._on or t - self._awake_s <= PATIENCE_S:
            return False
        self._on = False
        return True

    @property
    def standby(self) -> bool:
        """Whether it is in standby."""
        return not self._on
