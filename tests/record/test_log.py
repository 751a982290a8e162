from __future__ import annotations

import random
import resource
import signal
from pathlib import Path

import pytest

from agent.errors import InputError
from agent.messages import Nav, Tick
from agent.record.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from agent.record.log import EventLog, Position, ReadReport, read_log, segments


def fill(directory: Path, blocks: int = 20) -> list[tuple[float, Tick | Nav]]:
    log = EventLog(directory, 10**9)
    out: list[tuple[float, Tick | Nav]] = []
    for i in range(blocks):
        rows: list[tuple[float, Tick | Nav]] = [
            (i + 0.5, Tick(at_s=float(i))),
            (i + 0.6, Nav(at_s=i + 0.1, source="gps", lat=43.0 + i, lon=-8.0)),
        ]
        log.append(rows)
        out += rows
    log.close()
    return out


def test_round_trip_and_concatenation(tmp_path: Path) -> None:
    events = fill(tmp_path / "a")
    assert list(read_log(tmp_path / "a")) == events
    one = tmp_path / "one.log"
    data = b"".join(f.read_bytes() for f in segments(tmp_path / "a"))
    one.write_bytes(data + data)
    assert list(read_log(one)) == events * 2


@pytest.mark.parametrize("seed", range(20))
def test_a_broken_byte_costs_one_block(tmp_path: Path, seed: int) -> None:
    events = fill(tmp_path)
    file = segments(tmp_path)[0]
    data = bytearray(file.read_bytes())
    rng = random.Random(seed)
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    report = ReadReport()
    got = list(read_log(tmp_path, report=report))
    assert len(got) >= len(events) - 2
    assert report.broken >= 1
    assert all(e in events for e in got)


def test_torn_tail_gives_what_was_whole(tmp_path: Path) -> None:
    events = fill(tmp_path)
    file = segments(tmp_path)[0]
    file.write_bytes(file.read_bytes()[:-7])
    assert list(read_log(tmp_path)) == events[:-2]


def test_frequent_syncs_do_not_grow_the_file_each_time_and_what_is_prepared_is_no_damage(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "a", 10**9)
    sizes = set()
    for n in range(50):
        log.append([(0.0, Tick(at_s=float(n)))])
        log.sync()
        sizes.add(segments(tmp_path / "a")[0].stat().st_size)
    assert len(sizes) == 1
    whole = segments(tmp_path / "a")[0].read_bytes()  # as a power cut would leave it
    (tmp_path / "two.vlog").write_bytes(whole + whole)
    report = ReadReport()
    assert [e.at_s for _, e in read_log(tmp_path / "two.vlog", report=report)] == [float(n % 50) for n in range(100)]
    assert (report.broken, report.blocks) == (0, 100)
    here = log.position
    log.append([(0.0, Tick(at_s=50.0))])
    log.close()
    assert [e.at_s for _, e in read_log(tmp_path / "a", here)] == [50.0]
    closed = segments(tmp_path / "a")[0].read_bytes()
    assert closed[: here.offset] == whole[: here.offset]
    assert len(closed) < here.offset + 200, "what was prepared is given back"


def test_rare_syncs_prepare_nothing(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 10**9)
    for n in range(3):
        for k in range(600):
            log.append([(0.0, Nav(at_s=n + k / 1000.0, source=f"gps-{n}-{k}"))])
        log.sync()
        assert segments(tmp_path)[0].stat().st_size == log.position.offset
    log.close()


def test_a_picture_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff" + bytes(1000))
    with pytest.raises(InputError, match="no event log"):
        list(read_log(tmp_path / "x.jpg"))


def test_reading_goes_on_from_a_position(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 10**9)
    log.append([(0.0, Tick(at_s=1.0))])
    here = log.position
    log.append([(0.0, Tick(at_s=2.0))])
    log.append([(0.0, Tick(at_s=5000.0))])  # rolls to a new segment
    log.close()
    assert len(segments(tmp_path)) == 2
    assert [e.at_s for _, e in read_log(tmp_path, here)] == [2.0, 5000.0]


def test_segments_stand_in_the_order_of_writing_whatever_the_events_times(tmp_path: Path) -> None:
    """A run begins with an event of now and goes on with events of a moment ago; so may the next run."""
    positions = []
    for base_s in (1000.0, 999.0, 1000.5):
        log = EventLog(tmp_path, 10**9)
        log.append([(0.0, Tick(at_s=base_s))])
        positions.append(log.position)
        log.append([(0.0, Tick(at_s=base_s - 0.3))])
        log.close()
    assert len(segments(tmp_path)) == 3
    wanted = [1000.0, 999.7, 999.0, 998.7, 1000.5, 1000.2]
    assert [e.at_s for _, e in read_log(tmp_path)] == wanted
    for i, position in enumerate(positions):
        assert [e.at_s for _, e in read_log(tmp_path, position)] == wanted[2 * i + 1 :]


def test_old_segments_make_room(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 1)
    for hour in range(5):
        log.append([(0.0, Tick(at_s=hour * 3600.0))])
    log.close()
    assert [e.at_s for _, e in read_log(tmp_path)] == [4 * 3600.0]


def test_a_full_disk_refuses_and_leaves_a_whole_log(tmp_path: Path) -> None:
    log = EventLog(tmp_path, 10**9)
    log.append([(0.0, Tick(at_s=1.0))])
    before = log.position
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before.offset + 20, limit[1]))  # the next block fits only in part
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OSError, match="No space left|File too large"):
            log.append([(0.0, Tick(at_s=2.0)), (0.0, Nav(at_s=2.1, source="a-longer-name", lat=1.23456))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, old)
    assert log.position == before
    log.append([(0.0, Tick(at_s=3.0))])
    log.close()
    assert [e.at_s for _, e in read_log(tmp_path)] == [1.0, 3.0]


def test_checkpoint_is_whole_or_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "core.ckpt"
    c = Checkpoint(at_s=5.0, position=Position(segment="a", offset=7), digest="d", state=b"state")
    write_checkpoint(path, c)
    assert read_checkpoint(path) == c
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert read_checkpoint(path) is None
    assert path.with_suffix(".broken").exists()
    assert read_checkpoint(path) is None
