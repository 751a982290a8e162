"""The gateway to TAK, read by takproto and pytak."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from agent.publish.ashore import cot
from agent.publish.ashore.server import Live, LiveServer
from support.peers import peer_python

VESSEL: dict[str, Any] = {
    "vessel": "v1", "lat": 36.51234, "lon": -6.20321, "cog_deg": 243.3, "sog_mps": 15.2, "at": 1_790_000_000.0,
    "status": "confirmed", "accuracy_m": 34.7, "mmsi": 224_123_456, "class": "panga",
    "members": [{"node": "tarifa-1", "track": 7, "sources": ["radar"]}],
}  # fmt: skip
ALERTS = [{"reasons": ["Entered <zone> & stayed."], "exercise": True}]
READ_PROTOBUF = """
import sys, json, takproto
m = takproto.parse_proto(bytearray(bytes.fromhex(sys.argv[1])))
e = m.cotEvent
print(json.dumps({"uid": e.uid, "type": e.type, "how": e.how, "lat": e.lat, "lon": e.lon, "ce": e.ce, "le": e.le,
    "hae": e.hae, "send": e.sendTime, "start": e.startTime, "stale": e.staleTime, "speed": e.detail.track.speed,
    "course": e.detail.track.course, "callsign": e.detail.contact.callsign, "xml": e.detail.xmlDetail}))
"""
READ_XML = """
import sys, json, warnings
warnings.simplefilter("ignore")
import takproto, xml.etree.ElementTree as ET
text = bytes.fromhex(sys.argv[1])
event = ET.fromstring(text)
message = takproto.parse_proto(bytearray(takproto.xml2proto(text)))
e = message.cotEvent
print(json.dumps({"uid": e.uid, "type": e.type, "lat": e.lat, "lon": e.lon, "stale": e.staleTime, "start": e.startTime,
    "course": e.detail.track.course, "remarks": event.findtext("detail/remarks")}))
"""
RECEIVE = """
import asyncio, sys, json, warnings
warnings.simplefilter("ignore")
import pytak, xml.etree.ElementTree as ET
class Reader(pytak.RXWorker):
    async def handle_data(self, data):
        pass
async def main(how):
    if how == "xml":
        come = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda reader, _writer: come.set_result(reader), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        source = await asyncio.wait_for(come, 30)
    else:
        source = await pytak.asyncio_dgram.bind(("127.0.0.1", 0))
        print(source.sockname[1], flush=True)
    events = asyncio.Queue()
    worker = Reader(events, {"TAK_PROTO": "1" if how == "protobuf" else "0"}, source)
    while len(told := list(events._queue)) < 2:
        await asyncio.wait_for(worker.run_once(), 30)
    if how == "xml":
        roots = [ET.fromstring(x) for x in told]
        rows = [[r.get("uid"), r.get("type"), float(r.find("point").get("lat"))] for r in roots]
    else:
        rows = [[m.cotEvent.uid, m.cotEvent.type, m.cotEvent.lat] for m in told]
    print(json.dumps(rows), flush=True)
asyncio.run(main(sys.argv[1]))
"""


def peer(script: str, data: bytes) -> Any:
    done = subprocess.run([peer_python("tak"), "-c", script, data.hex()], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("stream", [False, True])
def test_takproto_reads_the_protobuf(stream: bool) -> None:
    told = peer(READ_PROTOBUF, cot.event_protobuf(VESSEL, 1_790_000_005.0, 60.0, ALERTS, stream=stream))
    assert told == {
        "uid": "MMSI-224123456", "type": "a-u-S-X", "how": "m-f", "lat": 36.51234, "lon": -6.20321,
        "ce": pytest.approx(34.7 * 1.52), "le": 9999999.0, "hae": 9999999.0, "send": 1_790_000_005_000,
        "start": 1_790_000_000_000, "stale": 1_790_000_065_000, "speed": 15.2, "course": 243.3,
        "callsign": "224123456",
        "xml": "<remarks>panga; Entered &lt;zone&gt; &amp; stayed. EXERCISE; seen by tarifa-1</remarks>",
    }  # fmt: skip


def test_takproto_reads_the_xml() -> None:
    told = peer(READ_XML, cot.event_xml(VESSEL, 1_790_000_005.0, 60.0, ALERTS))
    assert (told["uid"], told["type"], told["lat"], told["lon"]) == ("MMSI-224123456", "a-u-S-X", 36.51234, -6.20321)
    assert told["course"] == 243.3
    assert told["remarks"] == "panga; Entered <zone> & stayed. EXERCISE; seen by tarifa-1"


def test_a_vessel_that_has_ended_is_stale_at_once_and_one_without_mmsi_has_a_name() -> None:
    vessel = {k: v for k, v in VESSEL.items() if k != "mmsi"} | {"status": "lost"}
    told = peer(READ_PROTOBUF, cot.event_protobuf(vessel, 1_790_000_005.0, 60.0))
    assert told["stale"] == told["send"]
    assert told["uid"] == "vigia-tarifa-1-7"


@pytest.mark.parametrize(("how", "scheme"), [("xml", "tcp"), ("protobuf", "udp")])
def test_pytak_reads_what_the_gateway_tells(how: str, scheme: str) -> None:
    """Two events in a row, by pytak's own reader: a stream of XML, and datagrams of protobuf."""
    live = Live()
    server = LiveServer(0, live)
    client = subprocess.Popen([peer_python("tak"), "-c", RECEIVE, how], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    port = int(client.stdout.readline())
    command = ["gateway", "cot", "--picture", f"127.0.0.1:{server.port}", "--to", f"{scheme}://127.0.0.1:{port}"]
    gateway = subprocess.Popen([sys.executable, "-m", "agent.cli.main", *command, "--format", how])
    for n in range(300):
        vessel = {**VESSEL, "at": time.time(), "lat": 36.51234 + 0.001 * (n % 2)}
        live.publish({"at": time.time(), "vessels": [vessel], "alerts": [], "n": n})
        if client.poll() is not None:
            break
        time.sleep(0.1)
    rows = json.loads(client.stdout.read())
    assert [row[:2] for row in rows] == [["MMSI-224123456", "a-u-S-X"]] * 2
    assert all(row[2] in (36.51234, 36.51334) for row in rows)
    client.stdout.close()
    client.wait(10)
    gateway.terminate()
    gateway.wait(10)
    server.close()
