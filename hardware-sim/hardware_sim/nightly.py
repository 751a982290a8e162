"""`nightly`: many simulated days through a box's core, scenario after scenario, seed after seed, and a table of scores.

Promises:
- each run is `run --fast`, a process of `vigia replay`, and `score`, on files that anyone can make again from the
  scenario and seed in the table; simulator and box meet in those files only;
- the seeds are new ones from `--seed` on; scenarios take turns until the days are over;
- DIR/nightly.jsonl holds one line per run, DIR/nightly.md the tables; nothing is left out of either: a run that failed
  ends the night with its sentence;
- a run's CPU seconds (user and system, the box's process included) stand beside its wall seconds: they tell what a
  night costs on a machine that does other things as well;
- false alerts and false tracks a day come with the exact 95 % upper bound of a Poisson rate, so that few days or none
  false promise no more than they show;
- after `--minutes` no run begins any more: the table says how many days there were.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_sim import box, scenario
from hardware_sim.errors import DeviceError, UsageError
from hardware_sim.fast.run import write
from hardware_sim.options import made_folder
from hardware_sim.score.report import score_files

if TYPE_CHECKING:
    import argparse

DAY_S = 86_400.0
HEAD = """\
{days:.2f} simulated days in {minutes:.1f} minutes ({speed:.0f} times real time), {cpu:.1f} CPU-minutes, {runs} runs, \
the box judging every {tick:g} s.

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
    parser.add_argument("--vigia", default="vigia", help="the box's program (default: beside this, or on the PATH)")
    parser.add_argument("--out", type=Path, default=Path("nightly-out"), metavar="DIR")
    parser.add_argument("--keep", action="store_true", help="keep every run's files")


def run(args: argparse.Namespace) -> int:
    """The whole night."""
    program = _program(args.vigia)
    names = tuple(args.scenario) or scenario.names()
    if len({Path(name).stem for name in names}) < len(names):
        raise UsageError("two scenarios have one name; names are runs' folders and the table's rows, make them differ")
    tasks = plan(names, args.days, args.seed)
    made_folder(args.out)
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
    if not any(r["duration_s"] for r in rows):
        raise UsageError("the night was over before ten seconds were simulated; give more --days or --minutes")
    text = report(rows, time.monotonic() - began, args.tick)
    (args.out / "nightly.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def _program(name: str) -> str:
    """The box's program by its whole path, so that it is found from a run's folder: beside this Python, or on the PATH.

    Raises:
        UsageError: there is none.

    """
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    found = shutil.which(name, path=beside)
    if found is None:
        raise UsageError(f"{name}: no such program; give the box's with --vigia")
    return str(Path(found).absolute())


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
    spent = [_spent()]
    write(world, task.seed, task.duration_s, folder, tick_s)
    spent.append(_spent())
    _replay(program, folder)
    spent.append(_spent())
    score = score_files(*(folder / f"{name}.jsonl" for name in ("truth", "tracks", "alerts")))
    spent.append(_spent())
    (folder / "score.json").write_text(json.dumps(score, ensure_ascii=False), encoding="utf-8")
    del score["tracks"]["over_time"], score["tracks"]["first_tracked_s"]
    if not keep:
        shutil.rmtree(folder)
    steps = zip(("simulate", "replay", "score"), pairwise(spent), strict=True)
    took = {step: (after[0] - before[0], after[1] - before[1]) for step, (before, after) in steps}
    return {
        **score,
        **{f"{step}_s": round(wall_s, 3) for step, (wall_s, _) in took.items()},
        **{f"{step}_cpu_s": round(cpu_s, 3) for step, (_, cpu_s) in took.items()},
    }


def _spent() -> tuple[float, float]:
    """Seconds by the clock, and CPU seconds of this process and of all children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.monotonic(), sum(u.ru_utime + u.ru_stime for u in used)


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
    cpu = sum(r[f"{step}_cpu_s"] for r in rows for step in ("simulate", "replay", "score")) / 60.0
    speed = days * DAY_S / wall_s
    lines = [HEAD.format(days=days, minutes=wall_s / 60.0, speed=speed, cpu=cpu, runs=len(rows), tick=tick_s)]
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
    alerts = _a_day("alerts", sum(r["alerts"]["all"]["false"] for r in rows), days)
    tracks = _a_day("tracks", sum(r["tracks"]["false_tracks"] for r in rows), days)
    lines += ["", f"In {days:.2f} days {alerts}; {tracks}."]
    return "\n".join(lines) + "\n"


def _a_day(what: str, count: int, days: float) -> str:
    return f"{count} false {what}, {count / days:.2f} a day (95 % at most {poisson_upper(count) / days:.2f} a day)"


def poisson_upper(count: int) -> float:
    """The mean at which `count` events or fewer have a chance of 5 %: the exact one-sided upper bound of 95 %."""

    def chance(mean: float) -> float:
        return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))

    low, high = float(max(count, 1)), count + 10.0 * math.sqrt(count + 1.0) + 10.0
    for _ in range(60):  # halvings: to the last digit of a float
        middle = (low + high) / 2.0
        low, high = (middle, high) if chance(middle) > 0.05 else (low, middle)
    return high


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
