"""Examples: vigia demo; vigia demo --duration 60 --headless --out DIR.

Starts the simulated coast, the hub, the agent and a picture that acknowledges; shows alerts as they reach the picture.
DIR then holds alerts.jsonl and tracks.jsonl (as the picture received them), truth.jsonl, score.json, config.toml,
events.log (for `vigia replay`) and the programs' logs. Everything stays on 127.0.0.1.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agent.errors import InputError, SensorUnavailable
from agent.record.log import segments
from agent.runtime.page import link
from agent.runtime.status import ask_status

if TYPE_CHECKING:
    import argparse

HELP = "The main job on embedded defaults: simulator, hub, agent and page; alerts are printed as the picture gets them."
OURS = ("alerts.jsonl", "tracks.jsonl", "truth.jsonl", "score.json", "config.toml", "events.log", "radar-ttm")
READY_S = 40.0
AIS_WAIT_S = 30.0

CONFIG = """\
# Written by `vigia demo` for one run on simulated devices.
[site]
name = "{site[name]}"
node = "demo"
lat = {site[lat]}
lon = {site[lon]}
height_m = {site[height_m]}
exercise = true                 # every alert says that it is an exercise

[[sensor]]
name = "radar-1"                # the radar's own video, HALO spokes
driver = "navico"
url = "{endpoints[radar_spokes]}"

[[sensor]]
name = "arpa-1"                 # the same radar's tracked targets, TTM on a serial line
driver = "nmea-radar"
url = "{endpoints[radar_ttm]}"
stale_s = 30

[[sensor]]
name = "camera-1"
driver = "camera"
url = "{endpoints[camera]}"
bearing_deg = {camera[bearing_deg]}
pitch_deg = {camera[pitch_deg]}
roll_deg = {camera[roll_deg]}
hfov_deg = {camera[hfov_deg]}
height_m = {camera[height_m]}
fps = 2

{receivers}[[sensor]]
name = "gnss-1"
driver = "nav"
url = "{endpoints[nav]}"

{zones}
[[rule]]
name = "no AIS"
kind = "dark-vessel"
severity = "medium"
ais_wait_s = {ais_wait_s}       # a demo is short; a coast would wait minutes

[publish]
broker = "{broker}"
track_batch_s = 1.0

[storage]
directory = "{state}"
checkpoint_s = 5.0

[web]
enabled = true
port = {port}
"""


RECEIVER = """\
[[sensor]]
name = "ais-{number}"
driver = "ais"
url = "{url}"
stale_s = 60

"""
ZONE = """\
[[zone]]
name = "{name}"
polygon = {polygon}

[[rule]]
name = "protected zone {name}"
kind = "zone-enter"
severity = "high"
zone = "{name}"
only_without_ais = true

"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia demo`."""
    parser.add_argument("--duration", type=float, metavar="S", help="end after so many seconds (default: at Ctrl-C)")
    parser.add_argument("--headless", action="store_true", help="open no browser")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR")
    parser.add_argument("--scenario", default="harbour-mouth")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=8480, help="of the page on 127.0.0.1; 0 takes any free one")


def run(args: argparse.Namespace) -> int:
    """Run the whole chain until the time is over or Ctrl-C."""
    out = _fresh(args.out)
    _free(args.port)
    end = threading.Event()
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: end.set())
    with ExitStack() as stack:
        # a unix socket's path is short; the state is the agent's own and goes with the demo
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigia-demo-")))
        programs = _Programs(stack, out)
        hub = programs.start("hub", "hardware_sim", "hub", ready=True)
        sim_args = ["run", args.scenario, "--seed", str(args.seed), "--out", str(out), "--wait"]
        sim = programs.start("simulator", "hardware_sim", *sim_args, ready=True)
        config = _config(sim.ready, str(hub.ready["broker"]), state, args.port)
        (out / "config.toml").write_text(config, encoding="utf-8")
        watch = programs.start("watch", "agent.cli.main", "watch", "--broker", hub.ready["broker"], "--json", "--ack")
        picture = _Picture(watch, out)
        programs.start("agent", "agent.cli.main", "run", "-c", str(out / "config.toml"), "--state", str(state))
        status = _wait_ready(programs, state / "status.sock", end)
        _say(f"files go to {out}")
        if status.get("page"):
            page = link(status, state)
            _say(f"the page is at {page}")
            if not args.headless:
                webbrowser.open(page)
        sim.write("go\n")
        _live(programs, end, args.duration)
        _say("stopping")
        programs.stop("simulator")
        time.sleep(1.5)  # what was seen last may still reach the picture
        programs.stop("agent")
        time.sleep(0.5)
        programs.stop("watch")
        picture.finish()
        with (out / "events.log").open("wb") as log:
            for segment in segments(state / "log"):
                log.write(segment.read_bytes())
    return _summary(out)


def _fresh(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in OURS:
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / "logs", ignore_errors=True)
        (out / "logs").mkdir()
    except OSError as e:
        raise InputError(f"{out} cannot be used for the demo's files: {e.strerror}; give another --out DIR") from e
    return out.resolve()


def _free(port: int) -> None:
    """Refuse a port that another program has: its page would be taken for ours."""
    try:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as e:
        why = getattr(e, "strerror", None) or e
        raise SensorUnavailable(
            f"the page cannot use port {port} of 127.0.0.1: {why}; give another --port, or 0"
        ) from e


def _config(ready: dict[str, Any], broker: str, state: Path, port: int) -> str:
    zones = "".join(
        ZONE.format(name=z["name"], polygon=json.dumps([[round(a, 6) for a in p] for p in z["polygon"]]))
        for z in ready["zones"]
    )
    heard = [url for name, url in ready["endpoints"].items() if not name.startswith(("radar", "camera", "nav"))]
    receivers = "".join(RECEIVER.format(number=n, url=url) for n, url in enumerate(heard, 1))
    return CONFIG.format(
        site=ready["site"], endpoints=ready["endpoints"], camera=ready["camera"], receivers=receivers, zones=zones,
        broker=broker, state=state, ais_wait_s=AIS_WAIT_S, port=port,
    )  # fmt: skip


class _Program:
    """One process of the demo, its log, and its ready line."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.process = process
        self.ready: dict[str, Any] = {}

    def write(self, text: str) -> None:
        assert self.process.stdin is not None  # noqa: S101 - opened as a pipe below
        self.process.stdin.write(text)
        self.process.stdin.flush()

    @property
    def stdout(self) -> IO[str]:
        assert self.process.stdout is not None  # noqa: S101 - opened as a pipe below
        return self.process.stdout


class _Programs:
    """Everything that was started; stopped in reverse order whatever happens."""

    def __init__(self, stack: ExitStack, out: Path) -> None:
        self._stack = stack
        self._out = out
        self.running: dict[str, _Program] = {}

    def start(self, name: str, module: str, *args: str, ready: bool = False) -> _Program:
        log = self._stack.enter_context((self._out / "logs" / f"{name}.log").open("w", encoding="utf-8"))
        process = subprocess.Popen(  # noqa: S603 - our own programs
            [sys.executable, "-m", module, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the demo, which ends its programs in order
        )
        program = self.running[name] = _Program(name, process)
        self._stack.callback(self.stop, name)
        if ready:
            line = program.stdout.readline()
            if not line:
                raise SensorUnavailable(f"the {name} did not start: {self.tail(name)}")
            program.ready = json.loads(line)
        return program

    def stop(self, name: str) -> None:
        """Ask a program to end; kill it if it does not."""
        process = self.running[name].process
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout) if name != "watch" else (process.stdin,):
            if pipe is not None:
                pipe.close()

    def dead(self) -> str | None:
        """A sentence on a program that ended by itself."""
        for p in self.running.values():
            if p.process.poll() is not None:
                return f"the {p.name} ended by itself (exit {p.process.returncode}): {self.tail(p.name)}"
        return None

    def tail(self, name: str) -> str:
        lines = (self._out / "logs" / f"{name}.log").read_text(encoding="utf-8").strip().splitlines()
        return lines[-1] if lines else f"see {self._out}/logs/{name}.log"


class _Picture:
    """Takes what `vigia watch` received: into the files, and alerts to the screen."""

    def __init__(self, watch: _Program, out: Path) -> None:
        self._watch = watch
        self._out = out
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        self._thread.join(5.0)
        self._watch.stdout.close()

    def _read(self) -> None:
        with (
            (self._out / "alerts.jsonl").open("w", encoding="utf-8", buffering=1) as alerts,
            (self._out / "tracks.jsonl").open("w", encoding="utf-8", buffering=1) as tracks,
        ):
            for line in self._watch.stdout:
                message = json.loads(line)
                if message["type"] == "track":
                    tracks.write(line)
                elif message["type"] == "alert":
                    alerts.write(line)
                    _show(message)


def _show(a: dict[str, Any]) -> None:
    at = time.strftime("%H:%M:%S", time.gmtime(a["received_at"]))
    flag = "EXERCISE " if a.get("exercise") else ""
    _say(
        f"{at} {flag}{a['state'].upper()} {a['rule']} ({a['severity']}, {a['likelihood']}) situation {a['situation']}, "
        f"track {a['track']} at {a['lat']:.4f} {a['lon']:.4f}: {'; '.join(a['reasons'])}"
    )


def _wait_ready(programs: _Programs, socket: Path, end: threading.Event) -> dict[str, Any]:
    """Until every sensor's process and thread runs, and the picture is connected; what the agent says then."""
    deadline = time.monotonic() + READY_S
    status: dict[str, Any] = {}
    while time.monotonic() < deadline and not end.is_set():
        if (why := programs.dead()) is not None:
            raise SensorUnavailable(why)
        try:
            status = ask_status(socket)
        except SensorUnavailable:
            time.sleep(0.2)
            continue
        camera = status["sensors"].get("camera-1", {}).get("state")
        if status["publish"]["connected"] and status["page"] and camera in ("ok", "degraded"):
            return status  # degraded: until `go` time stands still, and a picture that stands still is told as frozen
        time.sleep(0.2)
    if not end.is_set():
        raise SensorUnavailable(f"the agent is not ready after {READY_S:g} s: {programs.tail('agent')}; {status}")
    return status


def _live(programs: _Programs, end: threading.Event, duration_s: float | None) -> None:
    started = time.monotonic()
    while not end.wait(0.25):
        if (why := programs.dead()) is not None:
            raise SensorUnavailable(why)
        if duration_s is not None and time.monotonic() - started >= duration_s:
            return


def _summary(out: Path) -> int:
    files = [str(out / f) for f in ("truth.jsonl", "tracks.jsonl", "alerts.jsonl")]
    command = [sys.executable, "-m", "hardware_sim", "score", *files, "--out", str(out / "score.json")]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - our own program
    if done.returncode:
        return done.returncode
    score = json.loads((out / "score.json").read_text(encoding="utf-8"))
    alerts = [json.loads(line) for line in (out / "alerts.jsonl").read_text(encoding="utf-8").splitlines()]
    by_rule: dict[str, set[int]] = {}
    for a in alerts:
        by_rule.setdefault(a["rule"], set()).add(a["id"])
    counts = ", ".join(f"{rule} {len(ids)}" for rule, ids in sorted(by_rule.items())) or "none"
    _say(f"alerts by rule (distinct id): {counts}; situations: {len({a['situation'] for a in alerts})}")
    delays = score.get("alert_delays_s") or []
    if delays:
        _say(f"median time from simulated event to alert at the hub: {statistics.median(delays):.2f} s")
    else:
        _say("no expected alert reached the hub, so there is no time from event to alert")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
