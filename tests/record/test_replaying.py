"""A replay passes over what the daemon passes over, and goes on as if it had never come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.config.schema import Config, Site
from agent.core import Core
from agent.messages import Effect, Event, Nav, Plot, Scan, Tick
from agent.record import replaying
from agent.record.replaying import MOST, replayed

CONFIG = Config(site=Site(name="Cabo", lat=43.0, lon=-8.0, height_m=20.0))


def night(bad: Sequence[int] = ()) -> list[Event]:
    """A vessel that a radar sees for a minute, and positions between, some of which are poison."""
    events: list[Event] = []
    for i in range(60):
        at_s = 100.0 + i
        plot = Plot(
            at_s=at_s, source="radar", range_m=2000.0 - 5.0 * i, bearing_deg=40.0, sigma_range_m=10.0,
            sigma_bearing_deg=0.5,
        )  # fmt: skip
        events += [Scan(at_s=at_s, source="radar", plots=(plot,)), Nav(at_s=at_s, source="bad" if i in bad else "gps")]
        events.append(Tick(at_s=at_s + 0.5))
    return events


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Core.step

    def failing(self: Core, event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Nav) and event.source == "bad":
            self._now_s = 1e9  # half done
            raise ZeroDivisionError("division by zero")
        return step(self, event)

    monkeypatch.setattr(Core, "step", failing)


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_effects_are_those_of_the_events_without_the_poison(
    block: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replaying, "BLOCK", block)
    with_it = list(replayed(CONFIG, night(bad=(3, 4, 40))))
    without = list(replayed(CONFIG, [e for e in night(bad=(3, 4, 40)) if getattr(e, "source", "") != "bad"]))
    assert with_it == without
    assert sum(len(effects) for _, effects in without) >= 60
    assert caplog.text.count("makes the core fail (ZeroDivisionError: division by zero); it is passed over") == 3


@pytest.mark.usefixtures("poisoned")
def test_a_core_that_fails_again_and_again_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        list(replayed(CONFIG, night(bad=range(MOST + 1))))
