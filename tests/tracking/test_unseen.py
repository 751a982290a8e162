"""A turn that did not look at a track's place is neither hit nor miss; being unseen for long still ends a track."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.schema import Config, Site, Tracking
from agent.core import Core
from agent.errors import InputError, ProtocolError
from agent.messages import Plot, Scan, Tick, Unseen
from agent.packing import pack, unpack
from agent.record.events_json import read_events
from agent.tracking.density import SECTORS, ClutterDensity
from agent.tracking.tracker import Ids, Tracker
from agent.tracking.unseen import exposure, looked_at

PERIOD_S = 2.5
CONFIG = Config(site=Site(name="Cabo", lat=43.0, lon=-8.0, height_m=0.0))
bearings = st.floats(0.0, 360.0)
spans = st.builds(
    Unseen, from_deg=bearings, to_deg=bearings, from_m=st.floats(0.0, 9000.0),
    to_m=st.none() | st.floats(100.0, 20_000.0), share=st.floats(0.01, 1.0),
)  # fmt: skip
lost_spans = st.builds(Unseen, from_deg=bearings, to_deg=bearings)
AROUND = (Unseen(from_deg=30.0, to_deg=60.0),)


def at(range_m: float, bearing_deg: float, sigma_m: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    b = math.radians(bearing_deg)
    x = np.array([[range_m * math.sin(b), range_m * math.cos(b), 0.0, 0.0]])
    return x, np.eye(4)[None] * sigma_m**2


def seen(unseen: tuple[Unseen, ...], range_m: float, bearing_deg: float, beam_deg: float = 0.0) -> float:
    return float(looked_at(unseen, *at(range_m, bearing_deg), beam_deg)[0])


# ---------------------------------------------------------------- how likely a place was looked at


@given(st.lists(spans, max_size=6).map(tuple), st.floats(100.0, 12_000.0), bearings, st.floats(0.0, 6.0))
def test_it_is_a_probability(unseen: tuple[Unseen, ...], range_m: float, bearing_deg: float, beam_deg: float) -> None:
    assert 0.0 <= seen(unseen, range_m, bearing_deg, beam_deg) <= 1.0


@given(lost_spans, bearings)
def test_well_inside_and_well_outside(span: Unseen, bearing_deg: float) -> None:
    width = (span.to_deg - span.from_deg) % 360.0 or 360.0
    into = (bearing_deg - span.from_deg) % 360.0
    if 3.0 < into < width - 3.0:
        assert seen((span,), 3000.0, bearing_deg, 1.2) < 0.02
    if width + 3.0 < into < 357.0:
        assert seen((span,), 3000.0, bearing_deg, 1.2) > 0.98


def test_a_part_of_the_beam_is_a_part_of_a_look() -> None:
    assert seen(AROUND, 3000.0, 60.0, 4.0) == pytest.approx(0.5, abs=0.01)
    assert 0.55 < seen(AROUND, 3000.0, 61.0, 4.0) < 0.95
    assert seen((replace(AROUND[0], share=0.2),), 3000.0, 45.0, 4.0) == pytest.approx(0.8, abs=0.01)
    narrow = (Unseen(from_deg=44.5, to_deg=45.5),)
    assert seen(narrow, 3000.0, 45.0, 4.0) > 0.6
    assert seen(narrow, 3000.0, 45.0, 0.3) < 0.1


def test_a_blank_sector_ends_where_its_ranges_end() -> None:
    blank = (Unseen(from_deg=350.0, to_deg=10.0, from_m=2000.0, to_m=4000.0),)
    assert [round(seen(blank, r, 1.0)) for r in (1500.0, 3000.0, 4500.0)] == [1, 0, 1]
    assert seen((Unseen(from_deg=0.0, to_deg=360.0),), 3000.0, 123.0) == 0.0


def test_the_radars_bias_is_in_what_it_did_not_see() -> None:
    assert looked_at(AROUND, *at(3000.0, 62.0), 0.0, 0.0, -5.0)[0] < 0.02
    near = (Unseen(from_deg=30.0, to_deg=60.0, from_m=0.0, to_m=3000.0),)
    assert looked_at(near, *at(3200.0, 45.0), 0.0, -500.0, 0.0)[0] < 0.02


def test_what_is_no_span_is_passed_over() -> None:
    rows = (
        Unseen(from_deg=math.nan, to_deg=60.0), Unseen(from_deg=30.0, to_deg=math.inf),
        Unseen(from_deg=30.0, to_deg=60.0, share=math.nan), Unseen(from_deg=30.0, to_deg=60.0, share=-1.0),
        Unseen(from_deg=30.0, to_deg=60.0, from_m=500.0, to_m=100.0),
    )  # fmt: skip
    assert seen(rows, 3000.0, 45.0, math.nan) == 1.0
    assert exposure(rows).tolist() == [1.0] * SECTORS


@given(lost_spans, st.floats(-180.0, 180.0))
def test_what_is_missing_of_the_sectors_is_what_is_missing(span: Unseen, off_deg: float) -> None:
    width = (span.to_deg - span.from_deg) % 360.0 or 360.0
    assert (1.0 - exposure((span,), off_deg)).sum() * 360.0 / SECTORS == pytest.approx(width, abs=1e-6)


def test_clutter_is_as_thick_as_where_it_was_looked_for() -> None:
    whole, half = ClutterDensity(), ClutterDensity()
    ring, sector = np.full(8, 5), np.full(8, 3)
    for _ in range(400):
        whole.learn(ring, sector, np.ones(SECTORS))
        half.learn(ring[:4], sector[:4], np.full(SECTORS, 0.5))
    assert half.at(ring, sector)[0] == pytest.approx(whole.at(ring, sector)[0], rel=0.01)


# ---------------------------------------------------------------- tracks


def scan(k: int, *, there: bool, unseen: tuple[Unseen, ...] = ()) -> Scan:
    """Turn `k`: a vessel that goes out at 6 m/s on a bearing of 45 degrees, with an echo or without."""
    t = PERIOD_S * k
    plot = Plot(
        at_s=t, source="r", range_m=3000.0 + 6.0 * t, bearing_deg=45.0, sigma_range_m=15.0, sigma_bearing_deg=0.2
    )
    return Scan(at_s=t, source="r", plots=(plot,) if there else (), period_s=PERIOD_S, unseen=unseen, beam_deg=1.2)


def followed(turns: Sequence[tuple[bool, tuple[Unseen, ...]]]) -> Tracker:
    tracker = Tracker(Tracking(), 0.0, Ids())
    for k, (there, unseen) in enumerate(turns):
        tracker.scan(scan(k, there=there, unseen=unseen))
        tracker.tick(PERIOD_S * k)
    return tracker


def test_a_track_in_a_lost_sector_lives_on_under_its_name_and_one_that_is_missed_does_not() -> None:
    seen_first, lost_then = [(True, ())] * 10, [(False, AROUND)] * 9
    blank = replace(AROUND[0], from_m=2000.0, to_m=5000.0)
    beyond, beside = replace(blank, from_m=5000.0, to_m=9000.0), Unseen(from_deg=60.0, to_deg=90.0)
    for unseen, alive in ((AROUND, 1), ((blank,), 1), ((), 0), ((beyond,), 0), ((beside,), 0)):
        tracker = followed(seen_first + [(False, unseen)] * 9)
        assert int(tracker.table.confirmed.sum()) == alive
    tracker = followed(seen_first + lost_then + [(True, ())])
    assert tracker.table.id.tolist() == [1]
    assert tracker.table.history("r").hits(64)[0] == tracker.table.history("r").age[0] == 11


def test_a_track_that_stays_unseen_ends_when_nobody_has_fixed_it_for_long() -> None:
    tracker = followed([(True, ())] * 10 + [(False, AROUND)] * 11)
    assert len(tracker.table) == 1
    tracker = followed([(True, ())] * 10 + [(False, AROUND)] * 14)
    assert len(tracker.table) == 0


def test_a_boat_is_believed_though_every_second_turn_did_not_look_at_it() -> None:
    every_second = [(k % 2 == 0, () if k % 2 == 0 else AROUND) for k in range(14)]
    assert followed(every_second).table.confirmed.tolist() == [True]
    assert not followed([(there, ()) for there, _ in every_second]).table.confirmed.any()


def test_half_of_a_look_weighs_half_of_a_miss() -> None:
    def score(unseen: tuple[Unseen, ...]) -> float:
        return float(followed([(True, ()), (True, ()), (False, unseen)]).table.score[0])

    gone, half, unseen = (score(u) for u in ((), (replace(AROUND[0], share=0.5),), AROUND))
    assert unseen - gone == pytest.approx(math.log(5.0), abs=1e-6)
    assert half - gone == pytest.approx(math.log(0.6 / 0.2), abs=1e-2)


# ---------------------------------------------------------------- on disk


@given(st.lists(spans, max_size=6).map(tuple), st.floats(0.0, 10.0))
def test_a_packed_turn_tells_it_and_an_old_one_tells_nothing(unseen: tuple[Unseen, ...], beam_deg: float) -> None:
    turn = replace(scan(1, there=True, unseen=unseen), beam_deg=beam_deg)
    row = pack(turn)
    assert unpack(row) == turn
    assert unpack(row[:5]) == replace(turn, unseen=(), beam_deg=0.0)
    if unseen:
        row[5][0][0] = "north"
        with pytest.raises(ProtocolError, match="Unseen"):
            unpack(row)


def test_a_line_of_json_tells_it_too() -> None:
    line = '{"type": "scan", "at": 1.0, "source": "r", "plots": [], "period_s": 2.5, "beam_deg": 4, "unseen": %s}'
    rows = '[{"from_deg": 10, "to_deg": 20.5}, {"from_deg": 350.0, "to_deg": 5.0, "to_m": 900.0, "share": 0.25}]'
    (turn, _) = read_events([line % rows], CONFIG)
    assert turn == Scan(
        at_s=1.0, source="r", plots=(), period_s=2.5, beam_deg=4.0,
        unseen=(Unseen(from_deg=10.0, to_deg=20.5), Unseen(from_deg=350.0, to_deg=5.0, to_m=900.0, share=0.25)),
    )  # fmt: skip
    with pytest.raises(InputError, match="'unseen' of a scan has to be a list"):
        list(read_events([line % "3"], CONFIG))
    with pytest.raises(InputError, match="needs 'to_deg'"):
        list(read_events([line % '[{"from_deg": 10}]'], CONFIG))


def test_a_core_goes_on_from_its_checkpoint_between_lost_turns() -> None:
    turns = [scan(k, there=k % 4 != 3, unseen=AROUND if k % 4 == 3 else ()) for k in range(24)]
    events = [e for s in turns for e in (s, Tick(at_s=s.at_s + 0.1))]
    whole = Core(CONFIG)
    effects = [pack(e) for event in events for e in whole.step(event)]
    first = Core(CONFIG)
    again = [pack(e) for event in events[:23] for e in first.step(event)]
    second = Core.restore(CONFIG, first.state())
    again += [pack(e) for event in events[23:] for e in second.step(event)]
    assert again == effects
    assert second.state() == whole.state()
