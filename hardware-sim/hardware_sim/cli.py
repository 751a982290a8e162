"""The command line: `run`, `record`, `render`, `list`, `score`, `nightly`, `hub`.

JSON to stdout, words for people to stderr.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hardware_sim import box, nightly, scenario, traffic
from hardware_sim.devices import render_cli
from hardware_sim.errors import ScenarioError, SimError, UsageError
from hardware_sim.faults import FAULTS, parse_fault
from hardware_sim.hub import cli as hub
from hardware_sim.options import check_numbers, made_folder

if TYPE_CHECKING:
    from hardware_sim.faults import FaultTable
    from hardware_sim.scenario import Scenario

EXAMPLES = {
    "run": (
        "run harbour-mouth --duration 60 --out /tmp/run",
        "run harbour-mouth --fault ais-cut@20:10 --fault radar-unplugged@30:5",
        "run harbour-mouth --radar cat240,cat048 --no-camera",
        "run night-run --fast --seed 3 --out /tmp/night",
    ),
    "record": ("record harbour-mouth night.pcap --radar spokes,network --duration 30",),
    "render": (
        "render fog --seed 2 --from 600 --duration 5 --out clip.mp4",
        "render harbour-mouth --from 40 --weather light=night --out night.jpg",
        "render night-run --seed 3 --fps 0.1 --duration 3600 --detail live --out camera.jsonl",
    ),
    "list": ("list",),
    "score": (
        "score /tmp/run/truth.jsonl tracks.jsonl alerts.jsonl --out score.json",
        "score --camera /tmp/pictures/truth.jsonl --boxes boxes.jsonl",
    ),
    "nightly": ("nightly --days 1 --scenario storm --out /tmp/nightly",),
    "hub": ("hub --port 1883 --ack", "hub --fault broker-down@20:5 --fault link-slow@40:30=0.6"),
}
PROG = os.environ.get("HARDWARE_SIM_PROG", "python -m hardware_sim")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = _Parser(
        prog=PROG,
        description="Simulated devices of a coastal sensor box, and the score of what a box made of them.",
        epilog=_examples(*EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    run = _command(commands, "run", "run a scenario in real time")
    run.add_argument("scenario", help="a name that `list` shows, or a .toml file")
    run.add_argument("--seed", type=int, default=0, help="for everything random (default 0)")
    run.add_argument("--duration", type=float, metavar="S", help="seconds to run (default: until stopped)")
    run.add_argument("--out", type=Path, metavar="DIR", help="for truth.jsonl and device names (default: a new folder)")
    run.add_argument("--fps", type=float, help="pictures per second (default: the scenario's)")
    run.add_argument("--radar", metavar="NAME,NAME", help="what the radar gives, see `list` (default: the scenario's)")
    for device in ("camera", "radar", "ais", "nav"):
        run.add_argument(f"--no-{device}", action="store_true", help=f"run without {device}")
    run.add_argument("--fault", action="append", default=[], metavar="NAME@S[:S][=ARG]", help="a fault")
    run.add_argument("--disk", type=Path, metavar="DIR", help="what the fault disk-full fills: a small filesystem")
    run.add_argument(
        "--box-clock", type=Path, metavar="FILE", help="where the fault box-clock says what to add to the box's clock"
    )
    run.add_argument(
        "--multicast",
        metavar="ADDRESS",
        help="send the radar's datagrams to the real devices' groups, out of the interface with this address",
    )
    run.add_argument(
        "--radar-orders",
        action="store_true",
        help="the radar begins in standby and does what it is told, as a Navico HALO: transmit, standby, stay awake",
    )
    run.add_argument(
        "--fast", action="store_true", help="no devices: write DIR/events.jsonl and DIR/box.toml for `vigia replay`"
    )
    run.add_argument("--tick", type=float, default=1.0, metavar="S", help="with --fast: how often the box is to judge")
    run.add_argument("--wait", action="store_true", help="keep time at 0 until the line `go` comes on stdin")
    record = _command(commands, "record", "write what the radar sends into a file, as fast as it goes")
    record.add_argument("scenario", help="a name that `list` shows, or a .toml file")
    record.add_argument("file", type=Path, help="NAME.pcap: a capture; any other name: the bytes one after the other")
    record.add_argument("--radar", metavar="NAME,NAME", help="what to record, see `list` (default: the scenario's)")
    record.add_argument("--seed", type=int, default=0, help="for everything random (default 0)")
    record.add_argument(
        "--duration", type=float, default=10.0, metavar="S", help="seconds of the scenario (default 10)"
    )
    record.add_argument("--start", type=float, default=1_750_000_000.0, metavar="UNIX", help="when it plays")
    render_cli.add_arguments(_command(commands, "render", "write what the camera sees: video, pictures, truth"))
    _command(commands, "list", "scenarios, faults and what radars give, one JSON object per line")
    score = _command(commands, "score", "score tracks and alerts against the truth, or a detector's boxes, or all")
    score.add_argument("truth", type=Path, nargs="?", help="truth.jsonl of a run")
    score.add_argument("tracks", type=Path, nargs="?", help="tracks as `vigia watch --json` prints them")
    score.add_argument("alerts", type=Path, nargs="?", help="alerts, likewise")
    score.add_argument(
        "--camera", type=Path, metavar="FILE", help="what the camera showed: the truth that `render` wrote"
    )
    score.add_argument("--boxes", type=Path, metavar="FILE", help="what `vigia detect` printed about these pictures")
    score.add_argument("--out", type=Path, help="also write the score here")
    nightly.add_arguments(_command(commands, "nightly", "simulated days through a box's core, with a table"))
    hub.add_arguments(_command(commands, "hub", "the MQTT hub ashore"))
    return top


def _command(commands: Any, name: str, does: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=does,
        description=does[0].upper() + does[1:] + ".",
        epilog=_examples(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def _examples(*names: str) -> str:
    return "\n".join(("examples:", *(f"  {PROG} {line}" for name in names for line in EXAMPLES[name])))


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status follows sysexits."""
    try:
        args = parser().parse_args(argv)
        check_numbers(args)
        match args.command:
            case "run":
                _run(args)
            case "record":
                _record(args)
            case "render":
                render_cli.run(args)
            case "list":
                _list()
            case "hub":
                return hub.run(args)
            case "nightly":
                return nightly.run(args)
            case _:
                _score(args)
        sys.stdout.flush()
    except SystemExit:  # after --help
        return 0
    except SimError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `vigia sim list | head` is no error
    return 0


def _run(args: argparse.Namespace) -> None:
    loaded = scenario.load(args.scenario)
    faults = tuple(parse_fault(f) for f in args.fault)
    chosen = loaded.model_copy(update={"fault": (*loaded.fault, *faults)})
    if args.fast:
        _run_fast(args, chosen)
        return
    _check_faults(args.scenario, faults, loaded.fault, {"disk-full": args.disk, "box-clock": args.box_clock})
    from hardware_sim.run import Options, run  # noqa: PLC0415 - the other commands need no devices

    radar = () if args.no_radar else _emissions(args.radar, chosen.radar.emit)
    options = Options(
        seed=args.seed,
        duration_s=args.duration,
        out=made_folder(args.out) if args.out else Path(tempfile.mkdtemp(prefix="hardware-sim-")),
        fps=args.fps,
        camera=not args.no_camera,
        radar=radar,
        ais=not args.no_ais,
        nav=not args.no_nav,
        disk=args.disk,
        box_clock=args.box_clock,
        multicast=args.multicast,
        orders=args.radar_orders,
        wait=args.wait,
    )
    run(chosen, options)


def _emissions(asked: str | None, scenarios: tuple[str, ...]) -> tuple[str, ...]:
    """The radar's emissions by name.

    Raises:
        UsageError: one does not exist.
        ScenarioError: the same, of the scenario.

    """
    from hardware_sim.radar.emissions import EMISSIONS  # noqa: PLC0415 - the other commands need no radar

    wanted = scenarios if asked is None else tuple(asked.split(","))
    for name in wanted:
        if name not in EMISSIONS:
            kind = ScenarioError if asked is None else UsageError
            raise kind(f"a radar gives no {name!r}; there are {', '.join(EMISSIONS)}")
    return tuple(dict.fromkeys(wanted))


def _record(args: argparse.Namespace) -> None:
    from hardware_sim.radar.recording import record  # noqa: PLC0415 - as above
    from hardware_sim.world import World  # noqa: PLC0415 - as above

    chosen = scenario.load(args.scenario)
    names = _emissions(args.radar, chosen.radar.emit)
    try:
        count = record(World(chosen, args.seed), names, args.file, args.start, args.duration)
    except OSError as error:
        raise UsageError(
            f"{args.file}: cannot be written: {error.strerror}; give a file in a folder of yours"
        ) from error
    print(json.dumps({"file": str(args.file), "radar": names, "messages": count, "bytes": args.file.stat().st_size}))


def _check_faults(
    scenario_name: str,
    asked: tuple[FaultTable, ...],
    scenario_s: tuple[FaultTable, ...],
    means: dict[str, Path | None],
) -> None:
    """Refuse what cannot be done; say what somebody else has to do."""
    for fault in asked:
        if FAULTS[fault.name].by == "hub":
            raise UsageError(f"the fault {fault.name} is the hub's: give it to `hub --fault`")
    for fault in scenario_s:
        if FAULTS[fault.name].by == "hub":
            print(
                f"the scenario's fault {fault.name} is the hub's: `hub --scenario {scenario_name}` does it",
                file=sys.stderr,
            )
    needs = {"disk-full": "--disk DIR, a folder on a small filesystem of its own", "box-clock": "--box-clock FILE"}
    for name in sorted({f.name for f in (*asked, *scenario_s)} & needs.keys()):
        if means[name] is None:
            raise UsageError(f"the fault {name} needs {needs[name]}")


def _run_fast(args: argparse.Namespace, chosen: Scenario) -> None:
    from hardware_sim.fast.run import write  # noqa: PLC0415 - the other commands need no plots

    if args.out is None:
        raise UsageError("run --fast writes files: give --out DIR")
    duration_s = chosen.time.duration_s if args.duration is None else args.duration
    done = write(chosen, args.seed, duration_s, made_folder(args.out), args.tick)
    (args.out / "box.toml").write_text(box.config(chosen, tick_s=args.tick), encoding="utf-8")
    for name in done.not_shown:
        where = "run without --fast for it" if FAULTS[name].by == "devices" else "it is the hub's: `hub --fault`"
        print(f"fault {name} cannot be shown at plot level; {where}", file=sys.stderr)
    print(json.dumps(dataclasses.asdict(done), ensure_ascii=False))


def _list() -> None:
    from hardware_sim.radar.emissions import EMISSIONS  # noqa: PLC0415 - as above

    for name in scenario.names():
        s = scenario.load(name)
        crowds = (traffic.vessels(t, i, 0, s.time.duration_s) for i, t in enumerate(s.traffic))
        line: dict[str, Any] = {"scenario": name, "title": s.title, "duration_s": s.time.duration_s}
        print(json.dumps({**line, "vessels": len(s.vessel) + sum(map(len, crowds))}, ensure_ascii=False))
    for fault, kind in FAULTS.items():
        takes = None if kind.default is None else f"{kind.default:g} {kind.unit}"
        line = {"fault": fault, "does": kind.does, "by": kind.by, "argument": takes}
        print(json.dumps(line, ensure_ascii=False))
    for name, emission in EMISSIONS.items():
        print(json.dumps({"radar": name, "gives": emission.what}))


def _score(args: argparse.Namespace) -> None:
    from hardware_sim.score import score_boxes, score_files  # noqa: PLC0415 - the other commands need no score

    run = [x for x in (args.truth, args.tracks, args.alerts) if x is not None]
    if len(run) not in (0, 3) or not (run or args.boxes):
        raise UsageError("score wants TRUTH TRACKS ALERTS, or --camera FILE and --boxes FILE, or all of them")
    if args.boxes is not None and args.camera is None:
        raise UsageError(f"--boxes {args.boxes}: give --camera FILE as well, the truth of the pictures")
    scored = score_boxes(args.camera, args.boxes) if args.boxes is not None else {}
    if run:
        scored = {**score_files(args.truth, args.tracks, args.alerts, args.camera), **scored}
    result = json.dumps(scored, ensure_ascii=False)
    print(result)
    if args.out:
        try:
            args.out.write_text(result + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{args.out}: cannot be written: {error.strerror}; give another --out") from error
