"""Run in a network namespace of its own by test_probe.py: a camera, feeds, simulated radars, and `vigia probe`.

Prints what the command printed. Not a test by itself: outside a namespace it would touch the machine's network.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from typing import Any
from xml.etree import ElementTree as ET

from agent.clock import SystemClock
from agent.drivers.table import driver_options, load_driver
from agent.transport import open_transport

CAMERA, OFFICE = "10.9.1.1", "10.9.2.1"
VDM = b"!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24\r\n"
MTW = b"$IIMTW,17.9,C*1C\r\n"
ANSWER = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">
<s:Header><a:RelatesTo>{id}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches><d:ProbeMatch>
<d:Scopes>onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Sea%20View
 onvif://www.onvif.org/hardware/X-100 http://elsewhere.example/name/wrong</d:Scopes>
<d:XAddrs>http://10.9.1.77/onvif/device_service http://[fe80::1]/onvif/device_service</d:XAddrs>
</d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def answer_probes(sock: socket.socket) -> None:
    while True:
        data, sender = sock.recvfrom(65_535)
        root = ET.fromstring(data)  # noqa: S314 - our own probe
        ids = [e.text for e in root.iter() if e.tag.endswith("MessageID")]
        wanted = [e.text for e in root.iter() if e.tag.endswith("Types")]
        assert wanted == ["n:NetworkVideoTransmitter"]
        sock.sendto(b"<not xml", sender)
        for _ in range(2):  # cameras answer once an address: the same twice is one camera
            sock.sendto(ANSWER.format(id=ids[0]).encode(), sender)


def send_for_ever(ended: threading.Event) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(CAMERA))
        while not ended.wait(0.1):
            s.sendto(b"UdPbC\0\\s:AI0001*09\\" + VDM, ("239.192.0.4", 60_004))
            s.sendto(VDM + MTW, ("127.0.0.1", 10_110))
            s.sendto(bytes(600), ("236.6.7.8", 6_678))
            with contextlib.suppress(OSError):
                s.sendto(MTW, ("239.192.7.7", 61_111))


def start_radars() -> subprocess.Popen[str]:
    """Three simulated radars as they are on a real network: in their own groups, out of one interface."""
    radars = "halo-beacon,halo-reports,spokes,raymarine-beacon,raymarine,garmin,garmin-reports"
    command = [sys.executable, "-m", "hardware_sim", "run", "harbour-mouth", "--radar", radars, "--multicast", CAMERA]
    process = subprocess.Popen(
        [*command, "--no-camera", "--no-ais", "--no-nav"], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline()  # ready
    return process


def follow(find: dict[str, Any]) -> dict[str, Any]:
    """What the driver makes of the first datagrams at the address that was found."""
    transport = open_transport(f"{find['url']}?iface=cam0", SystemClock())
    decoder = load_driver(find["driver"])("radar", driver_options(find["driver"])())
    spokes = 0
    while spokes < 100 and (chunk := transport.read(5.0)) is not None:
        spokes += len(list(decoder.decode(chunk.data, chunk.at, chunk.stream)))
    transport.close()
    return {"kind": "followed", "url": find["url"], "spokes": spokes, "errors": decoder.counters["errors"]}


def main() -> None:
    ip("link", "set", "lo", "up")
    for name, address in (("cam0", CAMERA), ("office0", OFFICE)):
        ip("link", "add", name, "type", "veth", "peer", "name", name + "peer")
        ip("address", "add", f"{address}/24", "dev", name)
        ip("link", "set", name, "up")
        ip("link", "set", name + "peer", "up")
    camera = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    camera.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    camera.bind(("239.255.255.250", 3702))
    member = socket.inet_aton("239.255.255.250") + socket.inet_aton(CAMERA)
    camera.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    threading.Thread(target=answer_probes, args=(camera,), daemon=True).start()
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("", 2000))
    ended = threading.Event()
    threading.Thread(target=send_for_ever, args=(ended,), daemon=True).start()
    radars = start_radars()
    command = [sys.executable, "-m", "agent.cli.main", "probe", "--seconds", "5", "--only", "onvif,network"]
    done = subprocess.run(
        [*command, "--udp", "239.192.7.7:61111"], check=True, capture_output=True, text=True, env=dict(os.environ)
    )
    print(done.stdout)
    for find in map(json.loads, done.stdout.splitlines()):
        if find["kind"] == "radar" and find.get("range") != "b":
            print(json.dumps(follow(find)))
    radars.kill()
    radars.communicate()
    ended.set()


if __name__ == "__main__":
    main()
