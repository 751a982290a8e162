"""Light line sensors (NMEA, AIS, radar targets): a thread of the parent each. Transport x Decoder -> intake.

Promises:
- an absent device is reported and reopened with growing delays, never waited for; the other sensors do not notice;
- an error of one unit is counted by the decoder; an error that nobody expected restarts this sensor and says so;
- `stop` returns soon whatever the device does.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from agent.drivers.table import load_driver
from agent.errors import SensorUnavailable, VigiaError
from agent.runtime.backoff import Backoff
from agent.runtime.health import HealthTracker
from agent.transport import open_transport
from agent.transport.base import Chunk, EndOfData, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.clock import Clock
    from agent.config.schema import Sensor
    from agent.drivers.base import Decoder
    from agent.messages import Measurement

log = logging.getLogger("vigia.sensor")
READ_S = 0.5


class LineSensor:
    """One line sensor; `emit(source, message)` takes measurements and health reports."""

    def __init__(self, sensor: Sensor, clock: Clock, emit: Callable[[str, Measurement], None]) -> None:
        self.sensor = sensor
        self.name = sensor.name
        self._clock = clock
        self._emit = emit
        self._stop = threading.Event()
        self._transport: Transport | None = None
        self._health = HealthTracker(sensor.name, sensor.stale_s, clock.now().t_s)
        self._thread = threading.Thread(target=self._run, name=f"sensor-{sensor.name}", daemon=True)
        self.finished = False

    def start(self) -> None:
        """Begin to open and read, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the device. Idempotent."""
        self._stop.set()
        if (transport := self._transport) is not None:
            transport.close()
        if self._thread.is_alive():
            self._thread.join(3.0)

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stop.is_set():
            try:
                driver = load_driver(self.sensor.driver)
                decoder = driver(self.name, driver.Options.model_validate(self.sensor.options))
                self._read(decoder, backoff)
            except EndOfData:
                self._down("the recording is over")
                self.finished = True
                return
            except SensorUnavailable as e:
                self._down(str(e))
            except VigiaError as e:
                self._down(str(e), unsupported=True)
                self.finished = True  # nothing that waiting mends
                return
            except Exception as e:  # one sensor's surprise must not end the others; said with its trace
                log.exception("sensor %s stopped on an unexpected error and will be restarted", self.name)
                self._down(f"internal error {type(e).__name__}: {e}; the sensor is being restarted")
            self._stop.wait(backoff.failure(self._clock.now().t_s))

    def _read(self, decoder: Decoder[Measurement], backoff: Backoff) -> None:
        transport = self._transport = open_transport(self.sensor.url, self._clock)
        try:
            self._health.opened(self._clock.now().t_s)
            while not self._stop.is_set():
                try:
                    chunk = transport.read(READ_S)
                except EndOfData:
                    for m in decoder.flush(self._clock.now()):
                        self._emit(self.name, m)
                    self._report(decoder, self._clock.now().t_s)
                    raise
                now_s = self._clock.now().t_s
                if chunk is not None:
                    self._decode(decoder, chunk, now_s)
                    backoff.success(now_s)
                self._report(decoder, now_s)
        finally:
            decoder.close()
            transport.close()
            self._transport = None

    def _decode(self, decoder: Decoder[Measurement], chunk: Chunk, now_s: float) -> None:
        for m in decoder.decode(chunk.data, chunk.at, chunk.stream):
            self._health.data(now_s)
            self._emit(self.name, m)

    def _report(self, decoder: Decoder[Measurement], now_s: float) -> None:
        report = self._health.judge(now_s, decoder.counters, decoder.last_error)
        if report is not None:
            self._emit(self.name, report)

    def _down(self, sentence: str, *, unsupported: bool = False) -> None:
        if self._stop.is_set():
            return
        self._health.unavailable(sentence, unsupported=unsupported)
        report = self._health.judge(self._clock.now().t_s, {})
        if report is not None:
            self._emit(self.name, report)
