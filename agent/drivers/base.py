"""The driver contract: a pure decoder from stamped bytes to measurements.

A driver is one file with one `Decoder` subclass, one line in `agent/drivers/table.py`, and one folder of recorded cases
under tests/cases/<driver>/. The conformance suite (tests/drivers/test_conformance.py) puts every driver of the table
through truncation, garbage, double close and its golden cases.

Promises of every decoder:
- pure: no clock, socket, file or thread; the same bytes with the same stamps give the same measurements;
- `decode` never raises on bad input: a broken unit raises `ProtocolError` inside `_decode_unit`, which the base counts
  keeping the last sentence for health; the stream goes on with the next unit;
- memory stays bounded whatever is fed in;
- `close()` may be called twice; a closed decoder yields nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from agent.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.messages import Stamp

T = TypeVar("T")  # what the decoder yields: a Measurement, or a Spoke of radar video
MAX_LINE = 1024  # a sentence is 82 characters by the standard; real ones with TAG blocks reach 200
MAX_STREAMS = 64  # partial lines that are kept, one per stream


class DriverOptions(BaseModel):
    """Options of one driver, flat in its `[[sensor]]` table. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(Counter[str]):
    """A Counter that counts in a third of the time: without its own `__delitem__`, a store need not look for one."""

    __delitem__ = dict.__delitem__  # type: ignore[assignment]  # typeshed: of any key


class Decoder(ABC, Generic[T]):
    """Bytes of one device protocol to measurements of one source.

    `datagrams`: feed whole datagrams; otherwise any split of the byte stream gives the same result. `stream` names
    where a datagram came in (`group:port`) and is empty for a byte stream.

    Counters of every decoder: `bytes`, `units` (what can be right or wrong on its own), `errors` (those that were).
    """

    Options: ClassVar[type[DriverOptions]] = DriverOptions
    datagrams: ClassVar[bool] = False

    def __init__(self, source: str, options: Any = None) -> None:
        self.source = source
        self.options = options if options is not None else self.Options()
        self.counters = Counts()
        self.last_error = ""
        self.closed = False

    def decode(self, data: bytes, at: Stamp, stream: str = "") -> Iterator[T]:
        """Measurements in `data` (one datagram, or the next piece of a stream). Never raises on bad input."""
        if self.closed:
            return iter(())
        self.counters["bytes"] += len(data)
        return self._decode_units(self._units(data, stream), at, stream)

    def _decode_units(self, units: Sequence[bytes], at: Stamp, stream: str) -> Iterator[T]:
        """Each unit on its own: a broken one is counted and its sentence kept, and the next one follows."""
        self.counters["units"] += len(units)
        for unit in units:
            try:
                yield from self._decode_unit(unit, at, stream)
            except ProtocolError as e:
                self._broken(e)

    def _broken(self, error: ProtocolError) -> None:
        """Count a broken unit."""
        self.counters["errors"] += 1
        self.last_error = str(error)

    def flush(self, at: Stamp) -> Iterator[T]:  # noqa: ARG002 - part of the contract
        """What is still held back at the end of a recording."""
        return iter(())

    def close(self) -> None:
        """No more measurements. Idempotent."""
        self.closed = True

    def _units(self, data: bytes, stream: str) -> Sequence[bytes]:  # noqa: ARG002 - part of the contract
        """Split into what can be right or wrong on its own: the datagram as it is, by default."""
        return (data,)

    @abstractmethod
    def _decode_unit(self, unit: bytes, at: Stamp, stream: str) -> Iterable[T]:
        """Measurements of one unit.

        Raises:
            ProtocolError: the unit is broken; one sentence.

        """


class LineDecoder(Decoder[T]):
    """Base of decoders whose unit is a text line ended by CR, LF or both; partial lines wait, bounded.

    A line of more than `MAX_LINE` bytes is one unit and one error however it arrives, and never decoded.
    """

    def __init__(self, source: str, options: Any = None) -> None:
        super().__init__(source, options)
        self._rest: dict[str, bytes] = {}

    def flush(self, at: Stamp) -> Iterator[T]:
        """A last line that a recording ends without ending."""
        for stream in tuple(self._rest):
            yield from self.decode(b"\n", at, stream)

    def close(self) -> None:
        """No more measurements. Idempotent."""
        super().close()
        self._rest.clear()

    def _units(self, data: bytes, stream: str) -> Sequence[bytes]:
        head = self._rest.pop(stream, b"")
        lines = (head + data).replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        if len(head) > MAX_LINE and lines:
            lines[0] = b""  # the end of a line that was counted when it became too long
        if len(rest) > MAX_LINE:
            if lines or len(head) <= MAX_LINE:
                self._too_long()
            rest = rest[: MAX_LINE + 1]  # enough to know, when its end comes, that this was too long
        if rest:
            if len(self._rest) >= MAX_STREAMS:  # a hostile sender cannot make us remember a million streams
                del self._rest[next(iter(self._rest))]
                self.counters["partial_dropped"] += 1
            self._rest[stream] = rest
        units = [line for line in lines if 0 < len(line) <= MAX_LINE]
        for line in lines:
            if len(line) > MAX_LINE:
                self._too_long()
        return units

    def _too_long(self) -> None:
        self.counters["units"] += 1
        self.counters["errors"] += 1
        self.last_error = f"more than {MAX_LINE} bytes without a line end: check the baud rate and that this is NMEA"
