from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.tracking.history import History, Policy

POLICY = Policy(confirm_hits=3, confirm_scans=5, delete_misses=3, delete_scans=6, window_s=1.0)
looks = st.lists(st.tuples(st.floats(0.05, 2.0), st.booleans(), st.booleans()), max_size=60)


@given(looks)
def test_whoever_is_active_has_an_age_and_a_newest_hit(steps: list[tuple[float, bool, bool]]) -> None:
    """Also where a sensor gives a track up and sees it again within one window."""
    history, at_s, rows = History.empty(1), 0.0, np.ones(1, dtype=np.bool_)
    for dt, hit, given_up in steps:
        at_s += dt
        history.record(rows & hit, at_s, POLICY)
        assert not history.active[0] or history.age[0] >= 1
        assert not hit or (history.active[0] and int(history.bits[0]) & 1)
        assert int(history.bits[0]).bit_length() <= int(history.age[0])
        if given_up:
            history.active[0] = False


def test_a_sensor_that_gave_a_track_up_starts_anew_with_its_next_hit() -> None:
    history, hit = History.empty(1), np.ones(1, dtype=np.bool_)
    for at_s in (0.0, 1.0, 2.0):
        history.record(hit, at_s, POLICY)
    history.active[0] = False
    history.record(hit, 2.1, POLICY)
    assert (int(history.age[0]), int(history.bits[0]), bool(history.active[0])) == (1, 1, True)
