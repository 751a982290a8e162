"""`nightly`: many simulated days through a box's core, scenario after scenario, seed after seed, and a table of scores.

Promises:
- each run is `run --fast`, a process of `vigia replay`, and `score`, on files that anyone can make again from the
  scenario and seed in the table; simulator and box meet in those files only;
- the seeds are new ones from `--seed` on; scenarios take turns until the days are over;
- DIR/nightly.jsonl holds one line per run, DIR/nightly.md the tables; nothing is left out of either: a run that failed
  ends the night with its sentence;
- after `--minutes` no run begins any more: the table says how many days there were.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim import box, scenario
from hardware_sim.errors import DeviceError, UsageError
from hardware_sim.fast.run import write
from hardware_sim.score.report import score_files

if TYPE_CHECKING:
    import argparse

DAY_S = 86_400.0
HEAD = """\
{days:.2f} simulated days in {minutes:.1f} minutes ({speed:.0f} times real time), {runs} runs, the box judging every \
{tick:g} s.

| scenario | hours | expected | matched | missed | false | false/day | delay p50 s | p95 s | completeness | ambiguity \
| switches/h | GOSPA m | false tracks/h |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""
LISTED = 12
"""Missed and false alerts that the table names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run of the night."""

    scenario: str
    seed: int
    duration_s: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--days", type=float, default=30.0, help="simulated days (default 30)")
    parser.add_argument("--seed", type=int, default=1000, help="the first seed (default 1000)")
    parser.add_argument("--scenario", action="append", default=[], help="only these (default: all that come with it)")
    parser.add_argument("--tick", type=float, default=5.0, metavar="S", help="how often the box judges (default 5)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once (default 1)")
    parser.add_argument("--minutes", type=float, default=math.inf, metavar="M", help="begin no run later than this")
    parser.add_argument("--vigia", default="vigia", help="the box's program")
    parser.add_argument("--out", type=Path, default=Path("nightly-out"), metavar="DIR")
    parser.add_argument("--keep", action="store_true", help="keep every run's files")


def run(args: argparse.Namespace) -> int:
    """The whole night."""
    found = shutil.which(args.vigia)
    if found is None:
        raise UsageError(f"{args.vigia}: no such program; give the box's with --vigia")
    program = str(Path(found).absolute())
    names = tuple(args.scenario) or scenario.names()
    tasks = plan(names, args.days, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    until_s = began + 60.0 * args.minutes
    own = partial(_one, program=program, out=args.out, tick_s=args.tick, keep=args.keep, until_s=until_s)
    with (
        ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool,
        (args.out / "nightly.jsonl").open("w", encoding="utf-8") as file,
    ):
        for row in pool.map(own, tasks):
            if row is None:
                continue
            rows.append(row)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            print(f"{row['scenario']} seed {row['seed']}: {row['replay_s']:.1f} s", file=sys.stderr)
    text = report(rows, time.monotonic() - began, args.tick)
    (args.out / "nightly.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def plan(names: tuple[str, ...], days: float, first_seed: int) -> list[Task]:
    """Scenarios in turn, each turn with the next seed, until their times make up the days."""
    lasts = {name: scenario.load(name).time.duration_s for name in names}
    tasks: list[Task] = []
    left = days * DAY_S
    while left > 0.0:
        for name in names:
            if left <= 0.0:
                break
            duration_s = min(lasts[name], left)
            tasks.append(Task(scenario=name, seed=first_seed + len(tasks) // len(names), duration_s=duration_s))
            left -= duration_s
    return tasks


def _one(task: Task, *, program: str, out: Path, tick_s: float, keep: bool, until_s: float) -> dict[str, Any] | None:
    """One run, in a process that goes on to the next one: only the box starts anew. None after `until_s`."""
    if time.monotonic() > until_s:  # one clock for all processes of a machine
        return None
    folder = out / f"{Path(task.scenario).stem}-{task.seed}"
    folder.mkdir(exist_ok=True)
    world = scenario.load(task.scenario)
    (folder / "box.toml").write_text(box.config(world, tick_s=tick_s), encoding="utf-8")
    began = time.monotonic()
    write(world, task.seed, task.duration_s, folder, tick_s)
    simulated = time.monotonic()
    _replay(program, folder)
    replayed = time.monotonic()
    score = score_files(*(folder / f"{name}.jsonl" for name in ("truth", "tracks", "alerts")))
    scored = time.monotonic()
    (folder / "score.json").write_text(json.dumps(score, ensure_ascii=False), encoding="utf-8")
    del score["tracks"]["over_time"], score["tracks"]["first_tracked_s"]
    if not keep:
        shutil.rmtree(folder)
    took = {"simulate_s": simulated - began, "replay_s": replayed - simulated, "score_s": scored - replayed}
    return {**score, **{step: round(s, 3) for step, s in took.items()}}


def _replay(program: str, folder: Path) -> None:
    command = [program, "replay", "-c", "box.toml", "--events", "events.jsonl"]
    command += ["--tracks", "tracks.jsonl", "--alerts", "alerts.jsonl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - the box's program
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DeviceError(f"{' '.join(command[:3])} in {folder} ended with {done.returncode}: {said}")


def report(rows: list[dict[str, Any]], wall_s: float, tick_s: float) -> str:
    """The tables, as Markdown."""
    days = sum(r["duration_s"] for r in rows) / DAY_S
    lines = [HEAD.format(days=days, minutes=wall_s / 60.0, speed=days * DAY_S / wall_s, runs=len(rows), tick=tick_s)]
    names = sorted({r["scenario"] for r in rows})
    lines += [_line(name, [r for r in rows if r["scenario"] == name]) for name in names]
    lines += [
        _line("all", rows),
        "",
        "| rule | expected | matched | missed | duplicate | false |",
        "|---|" + "---:|" * 5,
    ]
    for rule in sorted({rule for r in rows for rule in r["alerts"]["by_rule"]}):
        counts = [r["alerts"]["by_rule"][rule] for r in rows if rule in r["alerts"]["by_rule"]]
        keys = ("expected", "matched", "missed", "duplicate", "false")
        lines.append(f"| {rule} | " + " | ".join(str(sum(c[k] for c in counts)) for k in keys) + " |")
    for what in ("missed", "false"):
        found = [(r["scenario"], r["seed"], x) for r in rows for x in r["alerts"][what]]
        if found:
            lines += ["", f"{what.capitalize()} (of {len(found)} the first {min(LISTED, len(found))}):"]
            lines += [
                f"- {name} seed {seed}: {x['rule']}, {x['vessel'] or 'nothing there'}"
                for name, seed, x in found[:LISTED]
            ]
    return "\n".join(lines) + "\n"


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    hours = sum(r["duration_s"] for r in rows) / 3600.0
    alerts = [r["alerts"]["all"] for r in rows]
    tracks = [r["tracks"] for r in rows]
    weights = [r["duration_s"] for r in rows]
    delays = [d for r in rows for d in r["alert_delays_s"]]
    p50, p95 = (f"{float(np.percentile(delays, q)):.1f}" for q in (50, 95)) if delays else ("-", "-")
    false = sum(a["false"] for a in alerts)
    switches = sum(t["identity_switches"] for t in tracks)
    false_tracks = sum(t["false_tracks"] for t in tracks)
    cells = [
        f"{hours:.1f}",
        *(str(sum(a[k] for a in alerts)) for k in ("expected", "matched", "missed")),
        str(false),
        f"{false / hours * 24.0:.2f}",
        p50,
        p95,
        _mean([t["completeness"] for t in tracks], weights, 3),
        _mean([t["siap"]["ambiguity"] for t in tracks], weights, 3),
        f"{switches / hours:.2f}",
        _mean([t["gospa_rms_m"] for t in tracks], weights, 0),
        f"{false_tracks / hours:.2f}",
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def _mean(values: list[float | None], weights: list[float], digits: int) -> str:
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    if not pairs:
        return "-"
    return f"{sum(v * w for v, w in pairs) / sum(w for _, w in pairs):.{digits}f}"
