"""The places where `vigia probe` looks; each gives one dictionary per find.

Promises:
- listening takes nothing away from a running agent: a port that is in use is reported, not shared; a multicast group is
  joined beside it;
- what cannot be opened is a find with `trouble`, not an error of the command.
"""

from __future__ import annotations

import ipaddress
import selectors
import socket
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import serial
from serial.tools import list_ports

from agent.drivers.camera import onvif as ws
from agent.drivers.camera.v4l2 import video_devices
from agent.drivers.nmea import parse_sentence
from agent.drivers.radar import beacons
from agent.errors import ProtocolError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BAUDS = (38_400, 4_800, 9_600, 115_200)  # AIS, classic NMEA, then what else is met
_ENOUGH = 3  # good sentences that settle a baud rate
_AIS = frozenset({"VDM", "VDO"})
_RADAR = frozenset({"TTM", "TLL", "RSD", "OSD"})
_SIOCGIFADDR = 0x8915


class Place(NamedTuple):
    """A port to listen at, and the multicast group, empty for what is sent to this machine."""

    group: str
    port: int
    what: str


PLACES = (
    Place("", 10_110, "NMEA"), Place("", 2_000, "NMEA"), Place("", 10_111, "NMEA"),
    *(Place(f"239.192.0.{i}", 60_000 + i, "IEC 61162-450") for i in range(1, 9)),
    Place("236.6.7.8", 6_678, "Navico radar"), Place("236.6.7.9", 6_679, "Navico radar reports"),
    Place("239.254.2.0", 50_102, "Garmin radar"), Place("224.0.0.1", 5_800, "Raymarine beacons"),
    Place("239.255.0.2", 10_024, "Furuno radar"), Place("236.6.7.5", 6_878, "Navico beacons"),
    Place("236.6.7.4", 6_768, "Navico BR24 beacons"), Place("239.254.2.0", 50_100, "Garmin radar reports"),
)  # fmt: skip


def interfaces(names: list[str] | None) -> dict[str, str]:
    """IPv4 address of each interface: those named, or all that have one.

    Raises:
        UsageError: a named one is not there, or has no address.

    """
    found: dict[str, str] = {}
    for name in names or [n for _, n in socket.if_nameindex()]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                import fcntl  # noqa: PLC0415 - Linux only, as the agent is

                row = fcntl.ioctl(s.fileno(), _SIOCGIFADDR, name.encode()[:15].ljust(256, b"\0"))
                found[name] = socket.inet_ntoa(row[20:24])
            except OSError as e:
                if names:
                    raise UsageError(f"--iface {name}: no such interface with an IPv4 address ({e.strerror}).") from e
    return found


def places(extra: list[str]) -> list[Place]:
    """Where to listen: the usual places and those of `--udp`.

    Raises:
        UsageError: not a port, or not a multicast group.

    """
    out = list(PLACES)
    for text in extra:
        group, _, port = text.rpartition(":")
        try:
            good = port.isdecimal() and 0 < int(port) < 65_536
            good &= not group or ipaddress.IPv4Address(group).is_multicast
        except ValueError:
            good = False
        if not good:
            raise UsageError(f"--udp {text}: give a port, or an IPv4 multicast group and a port, as 239.192.0.4:60004.")
        out.append(Place(group, int(port), "asked for"))
    return out


def v4l2(dev: Path) -> Iterator[dict[str, Any]]:
    """Cameras on this machine."""
    for device in video_devices(dev):
        find = {"kind": "camera", "via": "v4l2", "url": f"v4l2://{device.path}", "driver": "camera"}
        yield {**find, **_said(name=device.name, bus=device.bus, trouble=device.trouble)}


def onvif(addresses: dict[str, str], seconds: float) -> Iterator[dict[str, Any]]:
    """Cameras that answer the WS-Discovery probe; their stream's path is the maker's secret, so the URL is a start."""
    seen: set[tuple[str, ...]] = set()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for name, address in addresses.items():
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
                sock.bind((address, 0))
                sock.sendto(ws.probe(uuid.uuid4()), (ws.GROUP, ws.PORT))
            except OSError:
                continue  # an interface without multicast, as the loopback often is
            selector.register(sock, selectors.EVENT_READ, name)
        for data, sender, name in _datagrams(selector, seconds):
            try:
                cameras = ws.answer(data)
            except ProtocolError:
                continue  # another device's business
            for camera in cameras:
                if camera.services not in seen:
                    seen.add(camera.services)
                    host = camera.host or sender
                    yield {
                        "kind": "camera", "via": "onvif", "url": f"rtsp://{host}:554/", "driver": "camera",
                        "iface": name, "services": list(camera.services),
                        **_said(name=camera.name, hardware=camera.hardware, location=camera.location),
                    }  # fmt: skip


def serial_ports(devices: list[str] | None, seconds: float) -> Iterator[dict[str, Any]]:
    """Serial ports, at the baud rate at which they send good sentences."""
    if devices is None:
        ports = [(p.device, p.description or "") for p in list_ports.comports(include_links=True)]
        linked = [p for p in ports if p[0].startswith("/dev/serial/by-id/")]
        plain = [p for p in ports if not p[0].startswith("/dev/") or "/serial/" not in p[0]]
        devices_named = linked + [p for p in plain if p[0] not in {d for d, _ in linked}]
    else:
        devices_named = [(d, "") for d in devices]
    for device, description in devices_named:
        yield {
            "kind": "serial",
            "device": device,
            **_said(description=description.removeprefix("n/a")),
            **_sentences_of(device, seconds),
        }


def _sentences_of(device: str, seconds: float) -> dict[str, Any]:
    best: tuple[Counter[str], int, int] = (Counter(), 0, 0)
    for baud in BAUDS:
        try:
            with serial.Serial(device, baud, timeout=0.1, exclusive=True) as port:
                data = bytearray()
                end = time.monotonic() + seconds / len(BAUDS)
                while time.monotonic() < end and _good(bytes(data)).total() < _ENOUGH:
                    data += port.read(4096)
        except (serial.SerialException, OSError, ValueError) as e:
            return {"trouble": f"cannot be opened: {e}"}
        good = _good(bytes(data))
        best = max(best, (good, baud, len(data)), key=lambda b: (b[0].total(), b[2]))
        if good.total() >= _ENOUGH:
            break
    good, baud, octets = best
    if good:
        return {"url": f"serial://{device}?baud={baud}", "driver": _driver(good), "baud": baud, "sentences": dict(good)}
    return {"bytes": octets, "sentences": {}}


def network(listen: list[Place], addresses: dict[str, str], seconds: float) -> Iterator[dict[str, Any]]:
    """UDP feeds, by where they come in and what they are; radars, by what their beacons say."""
    radars: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    heard: dict[tuple[str, int], tuple[Counter[str], Counter[str], str]] = {}
    busy: list[dict[str, Any]] = []
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for place in listen:
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                _listen(sock, place, addresses)
            except OSError as e:
                url = _url(place)
                busy.append({"kind": "network", "url": url, "what": place.what, "trouble": f"{e.strerror}"})
                continue
            selector.register(sock, selectors.EVENT_READ, place)
        for data, sender, place in _datagrams(selector, seconds):
            sentences, senders, _ = heard.setdefault((place.group, place.port), (Counter(), Counter(), place.what))
            sentences.update(_good(data))
            senders[sender] += 1
            for found in beacons.radars(data):
                radars.setdefault(found.url, _radar(found, sender))
            if (named := beacons.raymarine_name(data)) is not None:
                names[named[0]] = named[1]
    for find in radars.values():
        yield find | _said(name=names.get(find["identity"], ""))
    for (group, port), (sentences, senders, what) in heard.items():
        feed: dict[str, Any] = {"kind": "network", "url": _url(Place(group, port, what)), "what": what}
        if sentences:
            feed |= {"driver": _driver(sentences), "sentences": dict(sentences)}
        yield {**feed, "datagrams": senders.total(), "senders": sorted(senders)}
    yield from (b for b in busy if "in use" in b["trouble"])


def _radar(found: beacons.Found, sender: str) -> dict[str, Any]:
    facts = {"kind": "radar", "via": "beacon", "url": found.url, "driver": found.driver, "identity": found.identity}
    return facts | {"also": list(found.also), "sender": sender} | _said(range=found.range_name, control=found.control)


def _listen(sock: socket.socket, place: Place, addresses: dict[str, str]) -> None:
    if place.group:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((place.group, place.port))
        for address in addresses.values():
            member = socket.inet_aton(place.group) + socket.inet_aton(address)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    else:
        sock.bind(("", place.port))


def _datagrams(selector: selectors.BaseSelector, seconds: float) -> Iterator[tuple[bytes, str, Any]]:
    """(data, sender's address, what the socket was registered with) for some seconds."""
    end = time.monotonic() + seconds
    while selector.get_map() and (left := end - time.monotonic()) > 0.0:
        for key, _ in selector.select(left):
            assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - nothing else is registered
            data, sender = key.fileobj.recvfrom(65_535)
            yield data, str(sender[0]), key.data


def _good(data: bytes) -> Counter[str]:
    """Sentences with a right checksum, by their type; what follows a TAG block or `UdPbC` counts as well."""
    out: Counter[str] = Counter()
    for line in data.replace(b"\0", b"\n").replace(b"\r", b"\n").split(b"\n"):
        start = max(line.rfind(b"$"), line.rfind(b"!"))
        if start < 0:
            continue
        try:
            out[parse_sentence(line[start:]).formatter] += 1
        except ProtocolError:
            continue
    return out


def _driver(sentences: Counter[str]) -> str:
    kinds = set(sentences)
    if kinds <= _AIS:
        return "ais"
    return "nmea-radar" if kinds <= _RADAR else "nmea" if kinds & (_AIS | _RADAR) else "nav"


def _url(place: Place) -> str:
    return f"udp://{place.group or '0.0.0.0'}:{place.port}"  # noqa: S104 - the URL of "whatever comes in here"


def _said(**facts: str) -> dict[str, str]:
    """Those that are not empty."""
    return {k: v for k, v in facts.items() if v}
