"""The picture's side: storing, acknowledging, several consumers, one vessel for two boxes, verification, TAK."""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.config.schema import Publish, Site
from agent.errors import SensorUnavailable
from agent.messages import AlertState, SensorState, TrackPicture
from agent.publish import birth as births
from agent.publish import cose, records, wire
from agent.publish.ashore import cot
from agent.publish.ashore.retention import used_bytes
from agent.publish.ashore.server import Live, LiveServer, receive_texts
from agent.publish.ashore.situations import Situations
from agent.publish.ashore.store import PictureStore
from agent.publish.ashore.verify import verdicts
from agent.publish.ashore.vessels import Vessels
from agent.publish.client import Publisher
from agent.publish.outbox import Outbox
from agent.publish.trust import Trust
from agent.publish.wire import Encoder
from support.broker import Mosquitto
from support.peers import peer_python

from . import samples
from .test_delivery import QUICK

KEY = cose.key_of(bytes(range(32)))
TOPIC = "s1/tarifa-1/u/"


def alerts(count: int, first: int = 1) -> list[bytes]:
    encoder = Encoder(samples.BIRTH, samples.BORN_S)
    return [encoder.alert(samples.alert(4000 + i, 0), i) for i in range(first, first + count)]


def feed(store: PictureStore, *messages: tuple[str, bytes]) -> list[dict[str, Any]]:
    with store.batch() as new:
        for kind, payload in messages:
            store.feed(TOPIC + kind, payload, 1.0)
    return new


def acked(store: PictureStore) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    return [(a.contiguous, a.ranges) for a in (wire.decode_ack(p) for _, p in store.acknowledgements())]


def test_what_comes_before_its_birth_is_held_and_not_acknowledged(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "p.sqlite")
    assert feed(store, *(("a", p) for p in alerts(3))) == []
    assert acked(store) == []
    rows = feed(store, ("b", births.encode(samples.BIRTH)))
    assert [r["type"] for r in rows] == ["birth", "alert", "alert", "alert"]
    assert acked(store) == [(3, ())]
    store.close()


def test_two_consumers_share_one_store(tmp_path: Path) -> None:
    """Each hears half; both know all of it, nothing is there twice, and the holes are told."""
    one, two = PictureStore(tmp_path / "p.sqlite"), PictureStore(tmp_path / "p.sqlite")
    feed(one, ("b", births.encode(samples.BIRTH)))
    a = alerts(6)
    assert len(feed(two, ("a", a[0]), ("a", a[1]), ("a", a[3]))) == 3
    assert acked(two) == [(2, ((4, 4),))]
    assert len(feed(one, ("a", a[1]), ("a", a[2]), ("a", a[5]))) == 2
    assert acked(one) == [(4, ((6, 6),))]
    assert feed(two, ("a", a[5])) == []
    assert acked(two) == [(4, ((6, 6),))]
    loss = Encoder(samples.BIRTH, samples.BORN_S).loss(
        wire.Loss(boot=samples.BIRTH.boot, ranges=((5, 5),), alerts=1, others=0), 7, samples.BORN_S
    )
    feed(one, ("l", loss))
    assert acked(one) == [(7, ())]
    assert len(two.open_alerts()) == 5
    one.close()
    two.close()


@pytest.mark.parametrize("order", ["note first", "health first"])
def test_a_sensor_keeps_its_sentence_whichever_consumer_hears_it(tmp_path: Path, order: str) -> None:
    """Note and health go to different consumers; a repeat leaves the sentence, another state does not."""
    one, two = PictureStore(tmp_path / "p.sqlite"), PictureStore(tmp_path / "p.sqlite")
    encoder = Encoder(samples.BIRTH, samples.BORN_S)
    feed(one, ("b", encoder.birth()))
    note, health = encoder.note(samples.health(), 1, 0), encoder.health(samples.health(), 2, 0)
    if order == "note first":
        feed(one, ("n", note))
        feed(two, ("h", health))
    else:
        feed(two, ("h", health))
        assert one.nodes()[0]["health"]["radar-north"]["sentence"] is None
        feed(one, ("n", note))
    for store, (kind, payload) in ((one, ("h", encoder.health(samples.health(), 3))), (two, ("h", health))):
        feed(store, (kind, payload))
        shown = store.nodes()[0]["health"]["radar-north"]
        assert (shown["state"], shown["sentence"]) == ("degraded", samples.health().sentence)
    feed(two, ("h", encoder.health(samples.health(state=SensorState.OK), 4, 1)))
    feed(one, ("h", encoder.health(samples.health(at_s=samples.BORN_S), 5)))  # a later number is the later word
    assert one.nodes()[0]["health"]["radar-north"]["sentence"] is None
    assert acked(one)[-1][0] == 5
    one.close()
    two.close()


def test_a_disk_that_refuses_acknowledges_nothing(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "p.sqlite")
    feed(store, ("b", births.encode(samples.BIRTH)))
    acked(store)

    def broken_batch() -> None:
        with store.batch():
            store.feed(TOPIC + "a", alerts(1)[0], 1.0)
            raise KeyError

    with pytest.raises(KeyError):
        broken_batch()
    assert acked(store) == []
    assert feed(store, ("a", alerts(1)[0])) != []
    assert acked(store) == [(1, ())]
    store.close()


# ---------------------------------------------------------------- one vessel, two boxes


def seen(node: str, track: int, east_m: float, north_m: float = 0.0, **more: Any) -> dict[str, Any]:
    lat, lon = samples.SITE.to_geo(east_m, north_m)
    return {
        "node": node, "id": track, "lat": lat, "lon": lon, "cog_deg": 90.0, "sog_mps": 8.0, "at": 100.0,
        "status": "confirmed", "sources": ["radar"], "accuracy_m": 40.0, **more,
    }  # fmt: skip


def groups(vessels: list[dict[str, Any]]) -> list[list[str]]:
    return sorted(sorted(f"{m['node']}{m['track']}" for m in v["members"]) for v in vessels)


def test_a_vessel_seen_by_two_boxes_is_shown_once() -> None:
    v = Vessels()
    assert groups(v.update([seen("a", 1, 0), seen("b", 7, 60), seen("b", 8, 2000)], 100.0)) == [["a1", "b7"], ["b8"]]


@pytest.mark.parametrize(
    "other",
    [
        seen("b", 7, 60, cog_deg=270.0),
        seen("b", 7, 900),
        seen("a", 2, 10),
        seen("b", 7, 10, mmsi=224_000_002),
        seen("b", 7, 10, bearing_deg=12.0),
    ],
)
def test_what_is_not_one_vessel(other: dict[str, Any]) -> None:
    """Another course, another place, the same box, another MMSI, or a bearing only."""
    mine = seen("a", 1, 0, mmsi=224_000_001)
    assert len(Vessels().update([mine, other], 100.0)) == 2


def test_one_mmsi_is_one_vessel_wherever_it_is() -> None:
    both = [seen("a", 1, 0, mmsi=224_000_001), seen("b", 7, 5000, mmsi=224_000_001)]
    assert groups(Vessels().update(both, 100.0)) == [["a1", "b7"]]


def test_times_are_brought_together_before_comparing() -> None:
    assert len(Vessels().update([seen("a", 1, 0), seen("b", 7, 480, at=160.0)], 160.0)) == 1


def test_a_vessel_keeps_its_name_and_does_not_flicker_at_the_gate() -> None:
    v = Vessels()
    name = v.update([seen("a", 1, 0), seen("b", 7, 100)], 100.0)[0]["vessel"]
    for apart in (150, 250, 260, 250):
        out = v.update([seen("a", 1, 0), seen("b", 7, apart)], 100.0)
        assert [x["vessel"] for x in out] == [name]
    assert v.update([seen("b", 7, 100)], 100.0)[0]["vessel"] == name
    assert len(v.update([seen("a", 1, 0), seen("b", 7, 1200)], 100.0)) == 2


def test_many_tracks_of_many_boxes_pair_up() -> None:
    tracks = [seen(f"n{i % 40}", i, (i // 2) * 1000.0 + (i % 2) * 50.0) for i in range(2000)]
    out = Vessels().update(tracks, 100.0)
    assert len(out) == 1000
    assert all(len(x["members"]) == 2 for x in out)


# ---------------------------------------------------------------- verification


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A signed run of 100 alerts over two boots, as a picture has stored it."""
    store = PictureStore(tmp_path / "run.sqlite", Trust())
    box = Outbox(tmp_path / "outbox.sqlite", max_bytes=10_000_000)
    for boot in (0x11110001, 0x22220002):
        birth = replace(samples.BIRTH, boot=boot, previous=box.previous_boot())
        encoder = Encoder(birth, samples.BORN_S, KEY)

        def seal(run_: Any, seq: int, encoder: Encoder = encoder) -> bytes:
            from agent.publish import records  # noqa: PLC0415 - only here

            return records.encode_seal(encoder.head(seq, samples.BORN_S), run_, TOPIC + "v", KEY)

        box.start_boot(boot, encoder.birth(), lambda _f, _s: b"", seal)
        for i in range(50):
            alert = samples.alert(boot % 1000 + i, 0)
            entry = encode_entry(encoder, alert)
            box.append([entry], birth=encoder.birth)
        feed(store, ("b", encoder.birth()), *((m.kind, m.payload) for m in box.pending(0, 1000, health=False)))
        box.acknowledge(boot, 40)
    box.close()
    store.close()
    return tmp_path / "run.sqlite"


def encode_entry(encoder: Encoder, alert: Any) -> Any:
    from agent.publish.outbox import Entry  # noqa: PLC0415 - only here

    key = (alert.id, alert.revision, round(alert.at_s * 10))
    return Entry(kind="a", rank=1, encode=lambda seq: encoder.alert(alert, seq), key=key)


def bad(path: Path, keys: dict[str, bytes] | None = None) -> list[tuple[int, int | None, str]]:
    rows = verdicts(path, keys)
    return [(r["boot"], r.get("seq"), r["verdict"]) for r in rows if r["verdict"] in ("flipped", "removed")]


def test_an_untouched_run_is_intact(run: Path) -> None:
    assert bad(run, {"tarifa-1": KEY.public}) == []
    counts = [r["verdict"] for r in verdicts(run)]
    assert counts.count("sealed") == 2 + 51 + 32  # births, the first boot with its seal, the second up to its seal
    assert counts.count("unsealed") == 52 - 32


@pytest.mark.parametrize("seq", [1, 7, 32, 33, 34, 50])
def test_a_flipped_record_is_named(run: Path, seq: int) -> None:
    with sqlite3.connect(run) as db:
        payload = bytearray(
            db.execute("SELECT payload FROM messages WHERE boot=? AND seq=?", (0x11110001, seq)).fetchone()[0]
        )
        payload[-3] ^= 4
        db.execute("UPDATE messages SET payload=? WHERE boot=? AND seq=?", (bytes(payload), 0x11110001, seq))
    db.close()
    assert (0x11110001, seq, "flipped") in bad(run)
    assert len(bad(run)) == 1


@pytest.mark.parametrize("seq", [1, 20, 33, 51])
def test_a_removed_record_is_named(run: Path, seq: int) -> None:
    with sqlite3.connect(run) as db:
        db.execute("DELETE FROM messages WHERE boot=? AND seq=?", (0x11110001, seq))
    db.close()
    assert bad(run) == [(0x11110001, seq, "removed")]


def test_a_removed_boot_is_named(run: Path) -> None:
    with sqlite3.connect(run) as db:
        db.execute("DELETE FROM messages WHERE boot=?", (0x11110001,))
        db.execute("DELETE FROM births WHERE boot=?", (0x11110001,))
    db.close()
    assert bad(run) == [(0x11110001, None, "removed")]


def later_picture(run: Path, boot: int, since: int, path: Path) -> None:
    """A second picture, which began when the box was at number `since` of a boot."""
    first, second = sqlite3.connect(run), PictureStore(path, Trust())
    births_ = first.execute("SELECT boot, payload FROM births ORDER BY n").fetchall()
    rows = first.execute("SELECT boot, seq, kind, payload FROM messages ORDER BY n").fetchall()
    with second.batch():
        for number, payload in births_[[b for b, _ in births_].index(boot) :]:
            second.feed(TOPIC + "b", payload, 1.0)
            for b, seq, kind, message in rows:
                if b == number and (b != boot or seq >= since):
                    second.feed(TOPIC + kind, message, 1.0)
    first.close()
    second.close()


def test_what_is_older_than_the_picture_was_not_removed(run: Path, tmp_path: Path) -> None:
    """Two boots: the picture began in the middle of the second, or of the first; what goes later was removed."""
    late = tmp_path / "late.sqlite"
    later_picture(run, 0x22220002, 20, late)
    told = [(r["boot"], r.get("seq"), r["verdict"]) for r in verdicts(late) if r["verdict"] == "before"]
    assert told == [(0x11110001, None, "before"), *((0x22220002, n, "before") for n in range(1, 20))]
    assert bad(late) == []
    with sqlite3.connect(late) as db:
        db.execute("DELETE FROM messages WHERE seq IN (20, 21, 30)")
    db.close()
    assert bad(late) == [(0x22220002, n, "removed") for n in (20, 21, 30)]
    early = tmp_path / "early.sqlite"
    later_picture(run, 0x11110001, 45, early)
    assert bad(early) == []
    with sqlite3.connect(early) as db:
        db.execute("DELETE FROM messages WHERE boot=?", (0x11110001,))
        db.execute("DELETE FROM births WHERE boot=?", (0x11110001,))
    db.close()
    assert bad(early) == [(0x11110001, None, "removed")]


# ---------------------------------------------------------------- retention


def test_the_oldest_go_first_and_stay_acknowledged(run: Path) -> None:
    """By age: the messages of before, in order; the box hears the same as before, and nothing counts as removed."""
    store = PictureStore(run, Trust())
    before = dict(store.acknowledgements(everything=True))
    store.close()
    with sqlite3.connect(run) as db:
        db.execute("UPDATE messages SET received_at = n")
        oldest = db.execute("SELECT boot, seq, kind, payload FROM messages ORDER BY n LIMIT 60").fetchall()
    db.close()
    store = PictureStore(run, Trust())
    with store.batch():
        assert store.retire(60.5) == 60
        assert store.retire(60.5) == 0
    assert dict(store.acknowledgements(everything=True)) == {t: p for t, p in before.items() if t}
    assert feed(store, *((kind, payload) for _, _, kind, payload in oldest[-5:])) == []
    assert store.repeats == 5
    store.close()
    assert bad(run) == []
    assert [(r["boot"], r["seq"]) for r in verdicts(run) if r["verdict"] == "retired" and "seq" in r] == [
        (b, n) for b, n, _, _ in oldest if b != 0x11110001
    ]
    assert [r["boot"] for r in verdicts(run) if r["verdict"] == "retired" and r["kind"] == "boot"] == [0x11110001]


def test_a_full_store_gives_up_pictures_and_then_the_oldest(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "p.sqlite")
    encoder = Encoder(samples.BIRTH, samples.BORN_S)
    feed(store, ("b", encoder.birth()))
    head = encoder.head(1, samples.BORN_S)
    feed(store, *(("i", records.encode_image(head, 1, bytes(8), bytes(50_000))) for _ in range(10)))
    ended = (samples.alert(4000 + i, 0, state=AlertState.CLEARED) for i in range(1, 1001))
    feed(store, *(("a", encoder.alert(a, a.id - 4000)) for a in ended))
    most = 600_000
    while True:
        with store.batch():
            gone = store.retire(0.0, most)
        if not gone:
            break
    count = store.counts()["messages"]
    store.close()
    with sqlite3.connect(tmp_path / "p.sqlite") as db:
        assert used_bytes(db) <= most
        assert db.execute("SELECT count(*) FROM images").fetchone()[0] == 0
        assert db.execute("SELECT min(seq) FROM messages").fetchone()[0] == 1001 - count
        assert 1 < 1001 - count <= 800
    db.close()


# ---------------------------------------------------------------- situations


def open_alert(node: str, number: int, track: int, situation: int, **more: Any) -> dict[str, Any]:
    return {
        "node": node, "id": number, "track": track, "situation": situation, "at": float(number), "rule": "dark-vessel",
        "rule_name": "dark", "severity": "low", "likelihood": "likely", **more,
    }  # fmt: skip


def cards(situations: list[dict[str, Any]]) -> list[list[str]]:
    return [[f"{a['node']}{a['id']}" for a in s["alerts"]] for s in situations]


def test_alerts_of_two_boxes_about_one_vessel_are_one_situation() -> None:
    v, s = Vessels(), Situations()
    alerts_ = [
        open_alert("a", 1, 1, 1), open_alert("a", 2, 1, 1, severity="high"), open_alert("b", 3, 7, 3),
        open_alert("b", 4, 8, 4), open_alert("c", 5, 99, 5),
    ]  # fmt: skip
    both = [seen("a", 1, 0), seen("b", 7, 60), seen("b", 8, 2000)]
    told = s.update(alerts_, v.update(both, 100.0))
    assert cards(told) == [["a1", "a2", "b3"], ["b4"], ["c5"]]
    assert (told[0]["situation"], told[0]["severity"], told[0]["nodes"]) == ("a/1", "high", ["a", "b"])
    assert (told[0]["vessel"] is None, told[2]["vessel"]) == (False, None)
    # the tracks end, the first alert is cleared: what was one stays one as long as any of it is open
    assert cards(s.update(alerts_, [])) == [["a1", "a2", "b3"], ["b4"], ["c5"]]
    assert cards(s.update(alerts_[1:], [])) == [["a2", "b3"], ["b4"], ["c5"]]
    assert cards(s.update(alerts_[2:], [])) == [["b3"], ["b4"], ["c5"]]


def test_three_boxes_stay_one_when_the_middle_one_ends() -> None:
    s = Situations()
    vessel = [{"vessel": "v1", "members": [{"node": n, "track": 1} for n in "abc"]}]
    alerts_ = [open_alert(n, i, 1, i) for i, n in enumerate("abc")]
    assert len(s.update(alerts_, vessel)) == 1
    assert cards(s.update([alerts_[0], alerts_[2]], [])) == [["a0", "c2"]]
    assert s.update([], []) == []


def test_a_run_signed_anew_does_not_fit_the_known_key(run: Path) -> None:
    other = cose.key_of(bytes(32))
    assert bad(run, {"tarifa-1": other.public})


def test_vigia_verify_tells_by_its_exit_code(run: Path) -> None:
    def verify(*args: str) -> tuple[int, list[dict[str, Any]]]:
        command = [sys.executable, "-m", "agent.cli.main", "verify", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, [json.loads(x) for x in done.stdout.splitlines()]

    code, rows = verify(str(run))
    assert (code, rows[-1]["intact"]) == (0, True)
    with sqlite3.connect(run) as db:
        db.execute("DELETE FROM messages WHERE seq=5")
    db.close()
    code, rows = verify(str(run))
    assert (code, rows[-1]["intact"]) == (65, False)
    assert {r["seq"] for r in rows[:-1]} == {5}
    assert verify("nothing.sqlite")[0] == 65


# ---------------------------------------------------------------- the whole way


class Consumer:
    """`vigia picture` as a process."""

    def __init__(self, url: str, store: Path, *args: str) -> None:
        command = ["picture", "--broker", url, "--store", str(store), "--port", "0", *args]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.main", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return json.loads(body)

    def wait(self, done: Callable[[dict[str, Any]], bool], timeout_s: float = 20.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        state: dict[str, Any] = {}
        while time.monotonic() < deadline:
            state = self.get("/state.json")
            if state and done(state):
                return state
            time.sleep(0.1)
        raise AssertionError(state)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class SignedBox:
    def __init__(self, folder: Path, name: str, url: str) -> None:
        folder.mkdir()
        self.clock = SystemClock()
        self.outbox = Outbox(folder / "outbox.sqlite", max_bytes=10_000_000)
        site = Site(name=name, node=name, lat=36.01234, lon=-5.60321, height_m=20.0)
        config = Publish(broker=url, retry_max_s=0.5, track_batch_s=0.2)
        key = cose.load_or_make(folder / "node.key")
        self.publisher = Publisher(config, site, self.outbox, self.clock, lambda _h: None, tuning=QUICK, key=key)
        self.publisher.start()

    def stop(self) -> None:
        self.publisher.stop(3.0)
        self.outbox.close()


def test_two_boxes_three_consumers_one_of_them_killed(
    tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]
) -> None:
    """Alerts reach the store once, whoever receives them; one vessel of two boxes is shown once; the run verifies."""
    store = tmp_path / "picture.sqlite"
    consumers = [Consumer(mosquitto.url, store, "--group", "watch") for _ in range(3)]
    stop_all += consumers
    boxes = [SignedBox(tmp_path / n, n, mosquitto.url) for n in ("north", "south")]
    stop_all += boxes
    for k in range(20):
        for box in boxes:
            now = box.clock.now().t_s
            box.publisher.submit_alerts([samples.alert(100 * k + i, 0, now, state=AlertState.RAISED) for i in range(5)])
            vessel = samples.track(7, now, mmsi=None, sources=("radar",), class_=None)
            box.publisher.submit_tracks(TrackPicture(at_s=now, tracks=(vessel,)))
        if k == 10:
            consumers[0].stop()
        time.sleep(0.05)
    state = consumers[1].wait(lambda s: len(s["alerts"]) == 200)
    assert len({(a["node"], a["id"]) for a in state["alerts"]}) == 200
    state = consumers[1].wait(lambda s: [len(v["members"]) for v in s["vessels"]] == [2])
    assert consumers[2].get("/tracks.geojson")["features"][0]["geometry"]["type"] == "Point"
    for box in boxes:
        deadline = time.monotonic() + 20.0
        while box.publisher.status()["queued"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert box.publisher.status()["queued"] == 0
    for consumer in consumers[1:]:
        consumer.stop()
    assert [r for r in verdicts(store) if r["verdict"] in ("flipped", "removed")] == []
    assert sum(r["verdict"] == "sealed" for r in verdicts(store)) > 100


def test_the_live_picture_ends_with_its_consumer(tmp_path: Path, mosquitto: Mosquitto, stop_all: list[Any]) -> None:
    consumer = Consumer(mosquitto.url, tmp_path / "picture.sqlite")
    stop_all.append(consumer)
    assert consumer.wait(lambda s: s["counts"].get("repeats") == 0)["vessels"] == []
    command = ["picture", "--broker", mosquitto.url, "--store", str(tmp_path / "p"), "--port", str(consumer.port)]
    second = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *command], capture_output=True, text=True, check=False
    )
    assert (second.returncode, second.stderr.count("\n")) == (SensorUnavailable.exit_code, 1)
    assert "cannot be listened on" in second.stderr
    consumer.process.kill()
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", consumer.port)):
                return
        time.sleep(0.1)
    raise AssertionError("it is still served")


def test_the_websocket_sends_what_changes_and_refuses_strangers() -> None:
    live = Live()
    server = LiveServer(0, live)
    live.publish({"vessels": [], "n": 1})
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        texts = receive_texts(s, f"127.0.0.1:{server.port}")
        assert json.loads(next(texts))["n"] == 1
        live.publish({"vessels": [], "n": 2, "text": "x" * 70_000})
        assert json.loads(next(texts))["n"] == 2
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/state.json", headers=headers)
        assert connection.getresponse().status == 403
        connection.close()
    server.close()


# ---------------------------------------------------------------- TAK

VESSEL = {
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
