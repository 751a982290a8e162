"""A short run of `vigia bench outbox-chaos`; the long one is a command whose result stands in docs/delivery.md."""

from __future__ import annotations

from agent.cli import bench_outbox_chaos
from support.broker import find_mosquitto


def test_kill_9_loses_nothing_and_raises_nothing_twice() -> None:
    assert find_mosquitto() is not None
    figures = bench_outbox_chaos.measure(rounds=8, seed=11)
    assert figures["rounds"] == 8
    assert figures["rounds_broker_down"] == 4
    assert figures["clock_steps"] >= 1
    assert figures["rounds_with_the_hub"] >= 1
    assert sum(n for k, n in figures.items() if k.startswith("kills_at_")) == 8
    assert figures["durable"] >= 40
    wrong = {
        k: figures[k]
        for k in ("lost", "double", "reordered", "raised_again", "repeats_that_differ", "undone_by_power_cuts")
    }
    assert wrong == dict.fromkeys(wrong, 0)
