"""What a radar learns of its false echoes, and what that does to new tracks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.schema import Tracking
from agent.messages import Plot, Scan
from agent.tracking import initiation
from agent.tracking.density import rings
from agent.tracking.echoes import MOST, STEP_DB, STRONG_DB, FalseEchoes
from agent.tracking.tracker import Ids, Tracker

RING = rings(np.array([[3000.0, 0.0]]))


def test_knowing_nothing_amplitude_says_nothing() -> None:
    assert FalseEchoes().brightness(np.repeat(RING, 3), np.array([-5.0, 30.0, np.nan])) == pytest.approx([0, 0, 0])


def test_what_is_stronger_than_the_false_echoes_is_likelier_a_vessel_within_bounds() -> None:
    echoes, rng = FalseEchoes(), np.random.default_rng(1)
    for _ in range(100):
        echoes.learn(np.repeat(RING, 30), rng.uniform(10.0, 13.9, 30))
    weak, bright, none = echoes.brightness(np.repeat(RING, 3), np.array([11.0, 24.0, np.nan]))
    assert weak < 0.0 < bright <= MOST
    assert none == 0.0


@settings(deadline=None, max_examples=50)
@given(
    false_db=st.lists(st.tuples(st.floats(-30.0, 90.0), st.integers(1, 300)), max_size=6),
    over_db=st.floats(STRONG_DB + STEP_DB, 80.0),
)  # fmt: skip
def test_a_strong_echo_never_counts_against_a_vessel(false_db: list[tuple[float, int]], over_db: float) -> None:
    """Not even where strong echoes that no track explained have been seen by the hundred."""
    echoes = FalseEchoes()
    for _ in range(10):
        echoes.learn(np.repeat(RING, 300), np.linspace(10.0, 12.0, 300))
        for db, n in false_db:
            echoes.learn(np.repeat(RING, n), np.full(n, max(db, 10.0)))
    assert echoes.brightness(RING, np.array([10.0 + over_db]))[0] >= 0.0


def test_false_echoes_that_come_again_are_told_from_chance() -> None:
    echoes = FalseEchoes()
    z = np.tile([3000.0, 0.0], (1000, 1))
    echoes.begun(rings(z), np.full(1000, 0.2))
    echoes.ended(z, np.arange(1000) < 300)
    assert echoes.again(RING)[0] == pytest.approx(0.1, abs=0.01)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(10.0, 9e4), st.floats(-200.0, 200.0), st.booleans()), max_size=20))
def test_a_restored_one_goes_on_the_same(rows: list[tuple[float, float, bool]]) -> None:
    z = np.array([(r, 10.0) for r, _, _ in rows]).reshape(-1, 2)
    db, again = np.array([a for _, a, _ in rows]), np.array([b for _, _, b in rows], dtype=np.bool_)
    a = FalseEchoes()
    ring = rings(z)
    a.learn(ring, db)
    a.begun(ring, np.full(len(z), 0.1))
    a.ended(z, again)
    b = FalseEchoes.restore(a.state())
    assert b.state() == a.state()
    assert b.brightness(ring, db).tobytes() == a.brightness(ring, db).tobytes()
    assert np.all((a.again(ring) > 0.0) & (a.again(ring) <= 0.5))


def test_echoes_thin_each_other_out() -> None:
    few, many = initiation.chance(np.array([0.01, 50.0]))
    assert few == pytest.approx(0.01, rel=0.05)
    assert many == pytest.approx(1.0 / 3.0, rel=0.01)


def turns_to_confirm(amplitude_db: float, strong_before: int = 0) -> int:
    """In a sea of weak echoes that the tracker has learned, for a boat that is seen in every turn.

    `strong_before`: turns in which an echo as strong showed somewhere, and never again.
    """
    rng, tracker = np.random.default_rng(3), Tracker(Tracking(), 0.0, Ids())
    for k in range(200):
        sea = [(r, b, a) for r, b, a in zip(
            6000.0 * np.sqrt(rng.random(30)) + 100.0, rng.uniform(0.0, 360.0, 30), rng.uniform(10.0, 12.0, 30),
            strict=True,
        )]  # fmt: skip
        if k < strong_before:
            sea.append((4000.0 + rng.uniform(-300.0, 300.0), rng.uniform(0.0, 360.0), amplitude_db))
        boat = [(4000.0 + 12.0 * k + rng.normal(0.0, 10.0), 45.0, amplitude_db)] if k >= 150 else []
        plots = tuple(
            Plot(at_s=2.5 * k, source="r", range_m=r, bearing_deg=b, sigma_range_m=15.0, sigma_bearing_deg=0.2,
                 amplitude_db=a) for r, b, a in sea + boat
        )  # fmt: skip
        tracker.scan(Scan(at_s=2.5 * k, source="r", plots=plots, period_s=2.5))
        if tracker.table.confirmed.any():
            return k - 150
    return 999


def test_a_strong_boat_is_believed_sooner_than_one_as_weak_as_the_sea() -> None:
    strong, weak = turns_to_confirm(22.0), turns_to_confirm(11.0)
    assert 3 <= strong < weak < 15


@pytest.mark.parametrize("strong_before", [0, 5, 150])
def test_a_ship_is_believed_no_later_than_a_boat_of_unknown_strength(strong_before: int) -> None:
    assert turns_to_confirm(55.0, strong_before) <= turns_to_confirm(np.nan, 0)
