"""The outbox that is told well again, what stands in for it, and desks that leave no thread.

A whole box on a full disk is a row of the fault matrix (disk-full-start).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.config.schema import Publish, Site
from agent.errors import VigiaError
from agent.messages import SensorHealth, SensorState
from agent.publish import cose
from agent.publish.client import LOSS_TOLD_S, OUTBOX, Publisher
from agent.publish.commands import Command, Desk, encode
from agent.publish.outbox import Outbox
from agent.runtime import emergency
from agent.runtime.emergency import EmergencyPublisher, Storage
from publish.samples import alert

SITE = Site(name="Cabo", lat=43.0, lon=-8.0, height_m=20.0)


made: list[Publisher] = []


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:
    yield
    while made:
        made.pop().stop(0.1)


def publisher(kind: type[Publisher], outbox: Outbox, boot: int | None, said: list[SensorHealth]) -> Publisher:
    made.append(kind(Publish(), SITE, outbox, SystemClock(), said.append, boot=boot, monotonic=lambda: 1000.0))
    return made[-1]


def test_an_outbox_that_works_again_is_told_without_waiting_for_an_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[SensorHealth] = []
    outbox = Outbox(tmp_path / "outbox.sqlite", 1_000_000)
    p = publisher(Publisher, outbox, None, said)
    p._outbox_again(1000.0)
    assert said == [], "there is nothing to tell"
    with monkeypatch.context() as m:
        m.setattr(outbox, "try_to_write", lambda: (_ for _ in ()).throw(VigiaError("full")))
        p._report(OUTBOX, SensorState.UNAVAILABLE, "full")
        with pytest.raises(VigiaError):
            p._outbox_again(1001.0)
    p._outbox_again(1001.0)
    p._report(OUTBOX, SensorState.DEGRADED, "3 alerts were given up")
    p._outbox_again(1000.0 + LOSS_TOLD_S - 1.0)
    assert [h.state for h in said][-1] is SensorState.DEGRADED, "a loss stands long enough to be seen"
    p._outbox_again(1000.0 + LOSS_TOLD_S)
    bad, worse, ok = SensorState.DEGRADED, SensorState.UNAVAILABLE, SensorState.OK
    assert [h.state for h in said] == [worse, ok, bad, ok]
    outbox.close()


def test_a_disk_that_refuses_is_stood_in_for_until_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Outbox(tmp_path / "outbox.sqlite", 1_000_000)
    publisher(Publisher, first, 0x1234_0001, []).submit_alerts([alert(41)])
    first.close()
    why = ["No space left on device"]
    monkeypatch.setattr(emergency, "disk_refuses", lambda _: why[0])
    monkeypatch.setattr(Outbox, "start_boot", full_on(tmp_path, why))
    storage = Storage(tmp_path, 1_000_000)
    assert storage.newest_alert() == 41, "a full disk can be read"
    p = storage.publisher(lambda kind, outbox, boot: publisher(kind, outbox, boot, []))
    assert isinstance(p, EmergencyPublisher)
    assert p.boot & 0xFFFF != 1, "it takes no number that a boot on the disk has"
    with pytest.raises(VigiaError):
        p.submit_alerts([alert(42)])
    p.submit_alerts([])
    assert not storage.works_again()
    why[0] = ""
    assert storage.works_again()
    again = storage.publisher(lambda kind, outbox, boot: publisher(kind, outbox, boot, []))
    again.submit_alerts([alert(42)])
    assert not storage.works_again(), "told once"
    storage.close()
    last = Outbox(tmp_path / "outbox.sqlite", 1_000_000)
    assert last.newest_alert() == 42
    last.close()


def full_on(directory: Path, why: list[str]) -> Callable[..., None]:
    start = Outbox.start_boot

    def start_boot(self: Outbox, *args: object) -> None:
        if why[0] and self.path.parent == directory:
            raise VigiaError("the outbox did not take a write: database or disk is full")
        start(self, *args)  # type: ignore[arg-type]

    return start_boot


def test_another_process_on_the_outbox_is_no_full_disk(tmp_path: Path) -> None:
    first = Storage(tmp_path, 1_000_000)
    with pytest.raises(VigiaError, match="another agent"):
        Storage(tmp_path, 1_000_000)
    first.close()


def test_a_desk_that_is_stopped_leaves_no_thread(tmp_path: Path) -> None:
    outbox, key = Outbox(tmp_path / "outbox.sqlite", 1_000_000), cose.make_key()
    done = threading.Event()
    before = set(threading.enumerate())
    desk = Desk(
        node="cabo", keys=[key.public], allowed=["acknowledge"], outbox=outbox, wall=lambda: 100.0,
        carry_out=lambda _: "noted", reply=lambda *_: done.set(),
    )  # fmt: skip
    asked = Command(id=b"12345678", issued_s=99, expires_s=200, node="cabo", name="acknowledge", args={"alert": 1})
    desk.take(encode(asked, key), retained=False)
    assert done.wait(10.0)
    (thread,) = set(threading.enumerate()) - before
    desk.stop()
    desk.stop()
    thread.join(10.0)
    assert not thread.is_alive()
    outbox.close()
