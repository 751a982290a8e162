"""Simulated days through one core that never ends: memory, handles, threads, disk.

    make soak ARGS="--simulated-days 7"

An hour of the scenario `night-run` (three vessels without AIS, alerts every night) comes again and again, its times
moved on: the first hour of each day in full, in the others the radar with every sixth turn, or a week would take half
an hour of CPU. Everything from the intake's door on is the box's own: event log, core, checkpoints, told log, and the
outbox, whose messages are acknowledged as they come. What is not here: sensors, children and the link, which real hours
have to show. Prints one JSON object; the slope is by least squares over what comes after the first day.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.messages import Alert, ClockChange, Event, Scan, SensorHealth, Tick, TrackPicture
from agent.publish.entries import RANK_HIGH, Entry
from agent.publish.outbox import Outbox
from agent.record.events_json import read_events
from agent.runtime import configuration
from agent.runtime.engine import Engine
from agent.runtime.intake import Intake
from support.clock import ManualClock

SCENARIO = "night-run"
TICK_S = 10.0
EVERY = 6  # turns of the radar, in all hours but the day's first
HOUR_S = 3600.0
DAY_S = 86_400.0
BOOT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """This process and its state directory after some simulated hours."""

    hours: int
    own_mb: float
    handles: int
    threads: int
    state_mb: float
    tracks: int


class Acknowledged:
    """Where the core's alerts go: the outbox, and out of it again as a picture would have it."""

    def __init__(self, path: Path) -> None:
        self.outbox = Outbox(path, max_bytes=10_000_000)
        self.outbox.start_boot(BOOT, b"birth", lambda _forced, _seq: b"loss")
        self.steps = 0

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        entries = [
            Entry(
                kind="a", rank=RANK_HIGH, key=(a.id, a.revision, round(a.at_s * 10)),
                encode=lambda _seq, a=a: json.dumps(a.reasons).encode(),  # type: ignore[misc] # bound at once
            )
            for a in alerts
        ]  # fmt: skip
        for message in self.outbox.append(entries).messages:
            self.steps += 1
            self.outbox.acknowledge(BOOT, message.seq)

    def submit_tracks(self, picture: TrackPicture) -> None:
        """The newest is the engine's to keep."""

    def submit_health(self, health: SensorHealth) -> None:
        if not health.source.startswith("rule:"):  # those say what they miss in this scenario
            raise AssertionError(f"the box is not well: {health.source}: {health.sentence}")

    def submit_clock(self, change: ClockChange) -> None:
        """Nothing is sent."""


def recording(folder: Path) -> list[Event]:
    """The scenario's hour, without its ticks: the intake makes its own."""
    command = [sys.executable, "-m", "hardware_sim", "run", SCENARIO, "--fast", "--tick", str(TICK_S)]
    subprocess.run([*command, "--duration", str(HOUR_S), "--out", str(folder)], check=True, stdout=subprocess.DEVNULL)
    config = configuration.load(folder / "box.toml").config
    with (folder / "events.jsonl").open(encoding="utf-8") as lines:
        return [e for e in read_events(lines, config) if not isinstance(e, Tick)]


def moved(event: Event, by_s: float) -> Event:
    if isinstance(event, Scan):
        plots = tuple(dataclasses.replace(p, at_s=p.at_s + by_s) for p in event.plots)
        return dataclasses.replace(event, at_s=event.at_s + by_s, plots=plots)
    return dataclasses.replace(event, at_s=event.at_s + by_s)


def hour(events: Sequence[Event], by_s: float, *, full: bool) -> Iterator[Event]:
    turn = 0
    for event in events:
        if isinstance(event, Scan):
            turn += 1
            if not full and turn % EVERY:
                continue
        yield moved(event, by_s)


def own_mb() -> float:
    """Anonymous memory of this process, swap included."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return (int(lines["Anonymous"].split()[0]) + int(lines["Swap"].split()[0])) / 1024.0


def sample(hours: int, state: Path, engine: Engine) -> Sample:
    return Sample(
        hours=hours,
        own_mb=own_mb(),
        handles=len(list(Path("/proc/self/fd").iterdir())),
        threads=len(list(Path("/proc/self/task").iterdir())),
        state_mb=sum(f.stat().st_blocks * 512 for f in state.rglob("*") if f.is_file()) / 1e6,
        tracks=0 if engine.picture is None else len(engine.picture.tracks),
    )


def run(days: float, folder: Path, tell: Callable[[Sample], None]) -> tuple[list[Sample], int]:
    """Samples, one an hour, each told as it is taken; and how many alert steps there were."""
    events = recording(folder)
    state = folder / "state"
    state.mkdir()
    engine = Engine(configuration.load(folder / "box.toml"), state)
    engine.recover()
    first_s = events[0].at_s
    clock = ManualClock(first_s - 1.0)
    intake, sink = Intake(clock, tick_s=TICK_S, reorder_s=0.3), Acknowledged(state / "outbox.sqlite")
    engine._thread.start = lambda: None  # type: ignore[method-assign] # turn by turn, by hand, as fast as it goes
    engine.start(clock, intake, sink)
    samples = []
    for n in range(round(days * 24.0)):
        for event in hour(events, n * HOUR_S, full=n % 24 == 0):
            while clock.t_s + TICK_S <= event.at_s:
                turn(engine, intake, clock, clock.t_s + TICK_S)
            intake.put("recording", event)
        turn(engine, intake, clock, first_s - 1.0 + (n + 1) * HOUR_S)
        samples.append(sample(n + 1, state, engine))
        tell(samples[-1])
    engine.stop()
    sink.outbox.close()
    return samples, sink.steps


def turn(engine: Engine, intake: Intake, clock: ManualClock, now_s: float) -> None:
    """What the core's thread does in one turn, with all that came up to now."""
    clock.t_s = now_s
    engine._turn(intake.take(0.0))
    if engine._checkpoint_due(now_s):
        engine._checkpoint()


def summary(samples: Sequence[Sample], steps: int, cpu_s: float) -> dict[str, float]:
    late = [s for s in samples if s.hours > 24] or samples
    slope = 0.0 if len(late) < 2 else float(np.polyfit([s.hours / 24.0 for s in late], [s.own_mb for s in late], 1)[0])
    return {
        "simulated_days": round(samples[-1].hours / 24.0, 2),
        "cpu_s": round(cpu_s, 1),
        "own_mb_first_day": late[0].own_mb,
        "own_mb_last": samples[-1].own_mb,
        "memory_mb_per_day": round(slope, 3),
        "handles_first": late[0].handles,
        "handles_last": samples[-1].handles,
        "threads_first": late[0].threads,
        "threads_last": samples[-1].threads,
        "state_mb_first_day": round(late[0].state_mb, 2),
        "state_mb_last": round(samples[-1].state_mb, 2),
        "alert_steps": steps,
    }


def main(days: float, folder: Path, out: Path | None) -> int:
    """Run, and print."""
    logging.getLogger("vigia").setLevel(logging.ERROR)  # a night's alerts are no news here
    began_s = time.process_time()
    with out.open("w", encoding="utf-8") if out else contextlib.nullcontext() as lines:

        def tell(s: Sample) -> None:
            if lines is not None:
                print(json.dumps(dataclasses.asdict(s)), file=lines, flush=True)

        samples, steps = run(days, folder, tell)
    print(json.dumps(summary(samples, steps, time.process_time() - began_s)))
    return 0
