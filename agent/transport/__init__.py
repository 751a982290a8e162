"""Transports: a URL in, stamped bytes out. `open_transport` is the only door.

serial:///dev/serial/by-id/...?baud=38400[&parity=none|even|odd][&stopbits=1|2]
udp://239.192.0.2:60002?iface=eth1      a group is joined; any other host is the local address to listen on
tcp://10.0.0.7:10110
file:///path or file://relative/path    raw bytes, pcap or pcapng, .gz;
                                        ?pace=real|fast &loop=1 &port= &group= &rate_bps=
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import ConfigError
from agent.transport.url import carries_bytes, check_url, mask_url, parse_url

if TYPE_CHECKING:
    from agent.clock import Clock
    from agent.transport.base import Transport

__all__ = ["check_url", "mask_url", "open_transport"]


def open_transport(url: str, clock: Clock, *, timeout_s: float = 5.0) -> Transport:
    """Open `url`; `timeout_s` is how long a server may take to answer.

    Raises:
        ConfigError: the URL is wrong.
        InputError: a file is not the recording that it should be.
        SensorUnavailable: the URL is right, but there is nothing there now.

    """
    u = parse_url(url)
    if not carries_bytes(u.scheme):
        raise ConfigError(f"{u.shown}: is a camera's address; this driver reads serial://, udp://, tcp:// or file://")
    # imported when used: a box with one UDP radar does without pyserial and the capture reader
    if u.scheme == "udp":
        from agent.transport.udp import UdpTransport  # noqa: PLC0415 - see above

        return UdpTransport(u, clock)
    if u.scheme == "tcp":
        from agent.transport.tcp import TcpTransport  # noqa: PLC0415 - see above

        return TcpTransport(u, clock, timeout_s)
    if u.scheme == "serial":
        from agent.transport.serial_line import SerialTransport  # noqa: PLC0415 - see above

        return SerialTransport(u, clock)
    from agent.transport.file import open_file  # noqa: PLC0415 - see above

    return open_file(u, clock)
