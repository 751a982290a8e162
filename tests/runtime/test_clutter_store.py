"""A learned clutter map outlives its process; a damaged one is set aside."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agent.drivers.radar.video import VideoOptions
from agent.perception.radar.extract import PlotExtractor
from agent.runtime.clutter_store import ClutterStore
from radar.spokes import Target, picture, spokes


def learned(store: ClutterStore, turns: int) -> PlotExtractor:
    extractor = PlotExtractor("radar-1/b", VideoOptions(azimuths=512))
    store.restore(extractor)
    levels = picture([Target(range_m=2500.0, bearing_deg=40.0)], noise=2.0)
    for turn in range(turns):
        for spoke in spokes(levels, start_s=1000.0 + 2.5 * turn):
            extractor.feed(spoke)
    return extractor


def test_a_map_goes_over_a_restart(tmp_path: Path) -> None:
    store = ClutterStore(tmp_path)
    first = learned(store, 4)
    store.save([first], 1000.0, at_once=True)
    assert [p.name for p in tmp_path.iterdir()] == ["clutter-radar-1~b.map"]
    again = learned(ClutterStore(tmp_path), 0)
    assert again.state() == first.state()


def test_saved_ever_less_often(tmp_path: Path) -> None:
    store = ClutterStore(tmp_path)
    extractor = learned(store, 3)
    saved = []
    for at_s in range(0, 4 * 3600, 60):
        store.save([extractor], 1000.0 + at_s)
        for path in tmp_path.iterdir():
            path.unlink()
            saved.append(at_s)
    assert saved == [300, 900, 2100, 4500, 8100, 11700]
    store.save([extractor], 1001.0 + at_s, at_once=True)
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "bit", "none"])
def test_a_damaged_map_is_set_aside(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    store = ClutterStore(tmp_path)
    store.save([learned(store, 3)], 1000.0, at_once=True)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "bit":
        data[len(data) // 2] ^= 16
    else:
        data = bytearray(b"not a map")
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        extractor = learned(ClutterStore(tmp_path), 3)
    assert extractor.counters["scans"] == 2
    assert "learns a new one" in caplog.text
    assert [p.suffix for p in tmp_path.iterdir()] == [".broken"]


def test_a_disk_that_refuses_is_no_reason_to_stop_looking(tmp_path: Path) -> None:
    class Learned:
        source = "radar"

        def state(self) -> bytes:
            return b"map"

    store = ClutterStore(tmp_path / "not-there")
    store.save([Learned()], 1.0, at_once=True)  # type: ignore[list-item] # what the store asks of an extractor
    (tmp_path / "not-there").mkdir()
    store.save([Learned()], 2.0, at_once=True)  # type: ignore[list-item] # as above
    assert [p.read_bytes() for p in (tmp_path / "not-there").iterdir()] == [b"map"]
