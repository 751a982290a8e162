"""What a turn did not look at, as its scan tells it."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.drivers.radar.video import VideoOptions
from agent.messages import Scan, Unseen
from agent.perception.radar.extract import PlotExtractor
from agent.perception.radar.unseen import MOST, lost

from .spokes import Target, picture, spokes

AZIMUTHS = 512
bins = st.lists(st.booleans(), min_size=90, max_size=700).map(lambda v: np.array(v, dtype=np.bool_))


def turn(levels: NDArray[np.uint8], missing: tuple[int, ...] = (), **options: object) -> Scan:
    """The second turn's scan, of which the spokes `missing` did not come."""
    extractor = PlotExtractor("radar", VideoOptions.model_validate({"azimuths": AZIMUTHS, **options}))
    got = []
    for k in range(3):
        for row, spoke in enumerate(spokes(levels, start_s=1000.0 + 2.5 * k)):
            if k != 1 or row not in missing:
                got.append(extractor.feed(spoke))
    return [scan for scan in got if scan is not None][1]


def covered(spans: tuple[Unseen, ...], n: int) -> NDArray[np.float64]:
    """Share of each bin that the spans cover, looked at in the bin's middle."""
    middle = (np.arange(n) + 0.5) * 360.0 / n
    out = np.zeros(n)
    for u in spans:
        width = (u.to_deg - u.from_deg) % 360.0 or 360.0
        out += np.where((middle - u.from_deg) % 360.0 < width, u.share, 0.0)
    return out


@given(bins)
def test_spans_tell_which_bins_are_missing_and_never_more_than_so_many(unseen: NDArray[np.bool_]) -> None:
    spans = lost(unseen)
    assert len(spans) <= MOST
    exact = np.count_nonzero(unseen & ~np.roll(unseen, 1)) <= MOST
    assert all(0.0 < u.share <= 1.0 for u in spans)
    if exact:
        assert np.array_equal(covered(spans, len(unseen)), unseen.astype(float))
    else:
        assert abs(covered(spans, len(unseen)).mean() - unseen.mean()) < 0.03
    assert (lost(unseen) == ()) == (not unseen.any())


def test_every_second_bin_missing_is_a_half_of_every_sector() -> None:
    spans = lost(np.arange(2048) % 2 == 0)
    assert len(spans) == MOST
    assert {u.share for u in spans} == {0.5}


def test_a_turn_tells_its_lost_spokes_and_its_blank_sectors_and_else_nothing() -> None:
    levels = picture([Target(range_m=3000.0, bearing_deg=80.0)])
    whole = turn(levels)
    assert (whole.unseen, whole.beam_deg) == ((), 4.0)
    (gap,) = turn(levels, tuple(range(200, 232))).unseen
    # the first three bins of a hole are filled
    assert (gap.from_deg * AZIMUTHS / 360.0, gap.to_deg * AZIMUTHS / 360.0) == (203.0, 232.0)
    assert (gap.from_m, gap.to_m, gap.share) == (0.0, None, 1.0)
    sectors = [(350.0, 15.0, 500.0, 4000.0), (90.0, 95.0, 0.0, math.inf)]
    assert turn(levels, blank_sectors=sectors).unseen == (
        Unseen(from_deg=350.0, to_deg=15.0, from_m=500.0, to_m=4000.0), Unseen(from_deg=90.0, to_deg=95.0),
    )  # fmt: skip


def test_single_spokes_that_do_not_come_leave_nothing_unseen() -> None:
    target = Target(range_m=3000.0, bearing_deg=80.0)
    scan = turn(picture([target]), tuple(range(0, 512, 5)))
    assert scan.unseen == ()
    assert [round(p.bearing_deg) for p in scan.plots] == [80]
