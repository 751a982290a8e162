"""Says to one radar what its options ask for, tells the log each order, and says to health what stands in the way.

Promises:
- each order is one line of the log with what was sent where; of keep-alives the first, and the first after a failure,
  all of them counted (`keep_alives`, `orders`, `orders_failed`);
- an order that cannot be sent costs a count and a caution, never the radar;
- recordings are told nothing: a sensor that does not come by UDP is refused.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agent.drivers.radar.control import RadarControl
from agent.errors import ConfigError, SensorUnavailable
from agent.messages import SensorState
from agent.transport.orders import UdpOrders
from agent.transport.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.drivers.radar.control import ControlOptions, Order

LEFT = "somebody else put the radar into standby: it is not switched on again before a restart of vigia"


class RadarOrders:
    """One radar that may be told something. `counters` goes into the sensor's health."""

    def __init__(self, url: str, options: ControlOptions, log: Callable[[str], None]) -> None:
        if parse_url(url).scheme != "udp":
            raise ConfigError(f"{url}: transmit and keep_alive are for a radar on the network, not for a recording")
        self.counters: Counter[str] = Counter()
        self._control = RadarControl(options)
        self._place = options.control
        self._out = UdpOrders(options.control)
        self._log = log
        self._trouble = ""
        self._awake = False

    def step(self, now_s: float, counters: Counter[str], gauges: dict[str, float], *, resting: bool) -> None:
        """Send what is due."""
        if resting:
            self._control.rest(now_s)
        self._control.look(now_s, counters["spokes"], counters["reports"], gauges)
        for order in self._control.due(now_s):
            self._send(order)

    def note(self) -> tuple[SensorState, str] | None:
        """What a person has to know."""
        if self._trouble:
            return SensorState.DEGRADED, self._trouble
        return (SensorState.DEGRADED, LEFT) if self._control.left else None

    def end(self) -> None:
        """The last orders; keep-alives end with it."""
        for order in self._control.end():
            self._send(order)
        if self._awake:
            self._log("radar order: no more keep-alives")
        self._out.close()

    def _send(self, order: Order) -> None:
        try:
            self._out.send(order.datagrams)
        except SensorUnavailable as e:
            self.counters["orders_failed"] += 1
            if not self._trouble:
                self._log(f"radar order: {order.what}: {e}")
            self._trouble, self._awake = str(e), False
            return
        self._trouble = ""
        self.counters["keep_alives" if order.routine else "orders"] += 1
        if not (order.routine and self._awake):
            octets = " ".join(d.hex() for d in order.datagrams)
            again = ", again and again" if order.routine else ""
            self._log(f"radar order: {order.what}{again}: {octets} to {self._place}")
        self._awake |= order.routine
