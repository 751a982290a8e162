"""Which pictures are converted before the reader asks: by times alone, nothing waits."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from agent.drivers.camera.pace import Pace

PERIOD_S = 0.04
JITTER = st.lists(st.floats(0.0, 0.02), min_size=30, max_size=30)


@dataclass
class Reader:
    """One that is busy for so long with each picture of a steady camera, which comes `PERIOD_S` after the last."""

    fps: float
    waits_s: list[float] = field(default_factory=list)  # until a picture is there, each time it wants one
    ages_s: list[float] = field(default_factory=list)  # of the picture then
    converted: int = 0

    def follow(self, busy_s: list[float], phase_s: float) -> None:
        pace = Pace(self.fps)
        came, slot = 0, None
        now = phase_s

        def picture() -> float:
            nonlocal came
            at = came * PERIOD_S
            came += 1
            pace.came(at)
            return at

        while came * PERIOD_S <= now:
            picture()
        for busy in busy_s:
            pace.asked(now)
            if pace.due_s > now:
                slot = None
            wanted = max(now, pace.due_s)
            while came * PERIOD_S <= wanted:
                picture()
            if slot is None:
                slot = picture()
                self.converted += 1
            got = max(wanted, slot)
            self.waits_s.append(got - wanted)
            self.ages_s.append(got - slot)
            pace.handed(got)
            slot, now = None, got + busy
            while came * PERIOD_S <= now:
                at = picture()
                if pace.ahead(at):
                    slot = at
                    self.converted += 1


@given(busy_s=st.floats(0.1, 1.0), jitter=JITTER, phase=st.floats(0, 1))
def test_a_reader_that_lags_finds_a_picture_of_the_last_period_and_needs_no_wait(
    busy_s: float, jitter: list[float], phase: float
) -> None:
    reader = Reader(fps=60.0)
    busy = [busy_s + j for j in jitter]
    reader.follow(busy, phase)
    for i in range(9, len(busy)):  # what it is busy for is known after a few
        assert reader.waits_s[i] == 0.0 or busy[i - 1] < min(busy[i - 9 : i - 1]), "back sooner than ever of late"
    assert all(a <= PERIOD_S + 1e-9 for a in reader.ages_s)
    assert reader.converted <= 2 * len(jitter) + 1, "at most one beside each that is taken"


@given(busy_s=st.floats(0.0, 0.2), jitter=JITTER, phase=st.floats(0, 1))
def test_a_reader_that_keeps_its_rate_gets_only_fresh_pictures_and_none_is_converted_in_vain(
    busy_s: float, jitter: list[float], phase: float
) -> None:
    reader = Reader(fps=4.0)
    reader.follow([busy_s + j for j in jitter], phase)
    assert max(reader.ages_s) == 0.0
    assert reader.converted == len(jitter)


def test_nothing_is_known_at_first_and_a_reader_that_asked_is_not_away() -> None:
    pace = Pace(60.0)

    def ahead(at_s: float) -> bool:
        pace.came(at_s)
        return pace.ahead(at_s)

    pace.asked(0.0)
    assert not ahead(0.01)
    pace.handed(0.01)
    assert not any(ahead(t) for t in (0.05, 0.09, 0.13)), "how long it is busy is not known yet"
    pace.asked(0.16)
    assert not ahead(0.17)
    pace.asked(0.21)  # it waited, and asks again: this is not how long it was busy
    assert not ahead(0.21)
    pace.handed(0.21)
    assert [ahead(t) for t in (0.25, 0.29, 0.33, 0.37)] == [False, False, True, True]
