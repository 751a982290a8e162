"""Run in a network namespace of its own by test_multicast.py: two interfaces, groups joined on one of them.

Prints one JSON object of findings. Not a test by itself: outside a namespace it would touch the machine's network.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from agent.clock import SystemClock
from agent.errors import SensorUnavailable
from agent.transport import open_transport
from agent.transport.base import Transport
from agent.transport.orders import UdpOrders

GROUP, GROUP6, PORT = "239.192.0.2", "ff15::5", 60002


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def send(data: bytes, interface: str, group: str = GROUP) -> None:
    """Out of `interface`, looped back to who joined there."""
    six = ":" in group
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as s:
        index = socket.if_nametoindex(interface)
        if six:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            request = bytes(8) + index.to_bytes(4, sys.byteorder)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        s.sendto(data, (group, PORT))


def heard(transport: Transport) -> list[list[str]]:
    out = []
    while (chunk := transport.read(0.3)) is not None:
        out.append([chunk.data.decode(), chunk.stream])
    return out


def both(transport: Transport, group: str = GROUP) -> list[list[str]]:
    send(b"radar", "radar0", group)
    send(b"office", "office0", group)
    return heard(transport)


def main() -> None:
    for name, address in (("radar0", "10.9.1.1"), ("office0", "10.9.2.1")):
        ip("link", "add", name, "type", "veth", "peer", "name", name + "peer")
        ip("address", "add", f"{address}/24", "dev", name)
        ip("-6", "address", "add", f"fd00:{address.split('.')[2]}::1/64", "dev", name, "nodad")
        ip("link", "set", name, "up")
        ip("link", "set", name + "peer", "up")
    ip("link", "set", "lo", "up")
    clock = SystemClock()
    found: dict[str, object] = {}
    others = open_transport(f"udp://{GROUP}:{PORT}?iface=office0", clock)  # another program's interest in the group
    for key, iface in (("by_name", "radar0"), ("by_address", "10.9.1.1")):
        transport = open_transport(f"udp://{GROUP}:{PORT}?iface={iface}", clock)
        found[key] = both(transport)
        for orders in (f"udp://{GROUP}:{PORT}?iface={iface}", f"udp://{GROUP}:{PORT}?iface=office0"):
            out = UdpOrders(orders)
            out.send([b"order"])
            out.close()
        found[f"orders_{key}"] = heard(transport)
        transport.close()
    found["other_interface"] = heard(others)
    others.close()
    six = open_transport(f"udp://[{GROUP6}]:{PORT}?iface=radar0", clock)
    found["ipv6"] = both(six, GROUP6)
    six.close()
    gone = open_transport(f"udp://{GROUP}:{PORT}?iface=radar0", clock)
    ip("link", "delete", "radar0")
    try:
        found["gone"] = heard(gone)
    except SensorUnavailable as e:
        found["gone"] = str(e)
    gone.close()
    try:
        open_transport(f"udp://{GROUP}:{PORT}?iface=radar0", clock)
    except SensorUnavailable as e:
        found["missing"] = str(e)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
