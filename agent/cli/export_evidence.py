"""Examples: vigia export-evidence --alert 4321; vigia export-evidence --alert 4321 --before 1800 --out case.tar.

Run on the box, beside the daemon or without it. The case is one tar file: the alert's steps, the sensors' events around
them (an event log, from `--before` seconds before the first step to `--after` behind the last), pictures, the
configuration they rest on without its secrets, a summary for people, and a manifest of digests signed with the box's
key. `vigia verify case.tar --keys boxes.keys` checks it anywhere; `tar xf case.tar` unpacks it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agent import __version__
from agent.config.schema import Site
from agent.errors import InputError
from agent.messages import Alert, ClockChange, ConfigChange, SensorHealth
from agent.publish import cose
from agent.record.case import context, make_case
from agent.record.log import Position, ReadReport, read_log, segments
from agent.record.output_json import alert_json
from agent.record.told import read_told
from agent.transport.url import mask_url

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.messages import Event
    from agent.record.told import Told

HELP = "Writes all that belongs to one alert into one signed file that `vigia verify` checks."
BEFORE_S, AFTER_S = 600.0, 60.0
_POSE = (
    "bearing_deg", "pitch_deg", "roll_deg", "hfov_deg", "height_m", "sigma_bearing_deg", "sigma_pitch_deg",
    "heading_deg", "bearing_bias_deg", "range_bias_m", "range_scale",
)  # fmt: skip
_MASKS = ("masks", "land", "blank_sectors")
_LATE_S = 60.0  # how far behind its time an event may stand in the log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia export-evidence`."""
    state = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/vigia").split(":")[0])
    parser.add_argument("--alert", type=int, required=True, metavar="N", help="the alert's number")
    parser.add_argument("--state", type=Path, default=state, metavar="DIR", help="the daemon's state directory")
    parser.add_argument("--before", type=float, default=BEFORE_S, metavar="S", help="events from so long before it on")
    parser.add_argument("--after", type=float, default=AFTER_S, metavar="S", help="... until so long behind it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new file (default: NODE-N.tar)")


def run(args: argparse.Namespace) -> int:
    """Gather, sign, write.

    Raises:
        InputError: the alert is not known here, or a file cannot be read or written.

    """
    told = read_told(args.state)
    steps = _steps(told, args.alert, args.state)
    begin_s, end_s = steps[0].at_s - args.before, steps[-1].at_s + args.after
    config = _in_force(told, steps[0], args.state)
    document = _document(config.toml)
    node = _node(document)
    events, broken = _events(args.state / "log", begin_s, end_s)
    pictures = {f"pictures/{p.name}": _bytes(p) for p in sorted((args.state / "evidence").glob(f"{args.alert}-*"))}
    key_file = args.state / "node.key"
    key = cose.load_or_make(key_file) if key_file.exists() else None
    facts: dict[str, Any] = {
        "node": node, "alert": args.alert, "situation": steps[0].situation, "made_at": round(time.time(), 1),
        "vigia": __version__, "key": None if key is None else key.public.hex(),
        "from_s": begin_s, "to_s": end_s, "broken_blocks": broken,
        "config_sha256": config.digest, "clock": _clock(told, steps[0]), "sensors": _sensors(document),
    }  # fmt: skip
    files = {
        "alert.jsonl": "".join(json.dumps(alert_json(a), ensure_ascii=False) + "\n" for a in steps).encode(),
        "config.toml": mask_url(config.toml).encode(),
        "summary.txt": _summary(facts, steps, events, sorted(pictures)).encode(),
        **pictures,
    }
    case = make_case(facts, files, events, None if key is None else lambda text: key.sign1(text, context(node)))
    out = args.out or Path(f"{node}-{args.alert}.tar")
    try:
        with out.open("xb") as f:
            f.write(case)
    except FileExistsError as e:
        raise InputError(f"{out} is there already: give another --out") from e
    except OSError as e:
        raise InputError(f"{out}: cannot be written: {e.strerror}; give --out FILE") from e
    digest = hashlib.sha256(case).hexdigest()
    print(json.dumps({
        "case": str(out), "bytes": len(case), "sha256": digest, "node": node, "alert": args.alert,
        "steps": len(steps), "events": len(events), "pictures": len(pictures), "signed": key is not None,
    }, ensure_ascii=False))  # fmt: skip
    return 0


def _steps(told: Sequence[Told], alert: int, state: Path) -> list[Alert]:
    """The alert's steps, each once, in their order."""
    steps = {a.revision: a for a in told if isinstance(a, Alert) and a.id == alert}
    if not steps:
        known = sorted({a.id for a in told if isinstance(a, Alert)})
        kept = f"it has alerts {known[0]} to {known[-1]}" if known else "it has none"
        raise InputError(f"alert {alert} is not in {state}: {kept}")
    return [steps[r] for r in sorted(steps)]


def _in_force(told: Sequence[Told], first: Alert, state: Path) -> ConfigChange:
    """The configuration that the alert rests on; where that has been retired, the last one that started."""
    before = [c for c in told if isinstance(c, ConfigChange) and c.at_s <= first.at_s]
    if before:
        return before[-1]
    text = _bytes(state / "last-good.toml").decode("utf-8", "replace")
    return ConfigChange(at_s=first.at_s, digest=hashlib.sha256(text.encode()).hexdigest(), toml=text)


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise InputError(f"the configuration that the alert rests on cannot be read: {e}") from e


def _node(document: dict[str, Any]) -> str:
    try:
        return Site.model_validate(document.get("site", {})).node_id
    except ValidationError as e:
        raise InputError(
            f"the configuration that the alert rests on has no usable [site]: {e.errors()[0]['msg']}"
        ) from e


def _events(folder: Path, begin_s: float, end_s: float) -> tuple[list[tuple[float, Event]], int]:
    """Events of the window as the log has them, and how many of its blocks were broken."""
    files = segments(folder)
    starts = [f for f in files if int(f.stem) / 1000.0 <= begin_s]
    start = Position(segment=starts[-1].name, offset=0) if starts else None
    report, out = ReadReport(), []
    for seen_s, event in read_log(folder, start, report) if files else ():
        if event.at_s > end_s + _LATE_S:
            break
        if begin_s <= event.at_s <= end_s:
            # its text may hold a password; the file config.toml has it without
            out.append((seen_s, replace(event, toml="") if isinstance(event, ConfigChange) else event))
    return out, report.broken


def _clock(told: Sequence[Told], first: Alert) -> dict[str, float] | None:
    """What the box's clock was worth when the alert was raised."""
    known = [c for c in told if isinstance(c, ClockChange) and c.at_s <= first.at_s]
    return {"wall_minus_logic_s": known[-1].offset_s, "error_ms": known[-1].error_ms} if known else None


def _sensors(document: dict[str, Any]) -> dict[str, Any]:
    """Digests of what each sensor's measurements rest on: pose and calibration, masks, and the model as it is now."""
    out = {}
    for table in document.get("sensor", []):
        facts = {"driver": table.get("driver")}
        facts["calibration_sha256"] = _digest({k: table[k] for k in _POSE if k in table})
        facts["masks_sha256"] = _digest({k: table[k] for k in _MASKS if k in table})
        if table.get("driver") == "camera":
            facts["model_sha256_at_export"] = _model(table.get("model"))
        out[str(table.get("name"))] = facts
    return out


def _model(named: str | None) -> str | None:
    from agent.inference.load import default_model_path  # noqa: PLC0415 - loads OpenCV and the runtime, for cameras only

    path = Path(named) if named is not None else default_model_path()
    return hashlib.sha256(_bytes(path)).hexdigest() if path.is_file() else None


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}; run as root") from e


def _summary(
    facts: dict[str, Any], steps: Sequence[Alert], events: Sequence[tuple[float, Event]], pictures: Sequence[str]
) -> str:
    first = steps[0]
    clock = facts["clock"]
    health = {e.source: e for _, e in events if isinstance(e, SensorHealth) and e.at_s <= first.at_s}
    lines = [
        f"Alert {first.id} of {facts['node']}" + (" (EXERCISE)" if first.exercise else ""),
        f"Rule: {first.rule_name} ({first.rule})" + (f", zone {first.zone}" if first.zone else ""),
        f"Situation: {first.situation}",
        "",
        "What was told (UTC by the box's clock):",
        *(
            f"  {_utc(a.wall_s)}  {a.state}, {a.severity}, {a.likelihood}: track {a.track.id} at {a.track.lat:.5f} "
            f"{a.track.lon:.5f}, {a.track.sog_mps:.1f} m/s on {a.track.cog_deg:03.0f}, by {', '.join(a.track.sources)}"
            f": {'; '.join(a.reasons)}"
            for a in steps
        ),
        "",
        "Clock: " + ("not told" if clock is None else f"may have been off by {clock['error_ms']:g} ms"),
        f"Configuration: SHA-256 {facts['config_sha256']}",
        "Sensors when it was raised, as far as they had spoken since the events begin:",
        *(f"  {h.source}: {h.state}{'; ' + h.sentence if h.sentence else ''}" for _, h in sorted(health.items())),
        "",
        f"Events: {len(events)}, logic time {facts['from_s']:.1f} to {facts['to_s']:.1f} (events.vlog; vigia replay)",
        f"Pictures: {', '.join(pictures) or 'none'}",
        f"Signed by: {facts['key'] or 'nobody, the box has no key'}",
        "",
    ]
    return "\n".join(lines)


def _utc(wall_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(wall_s))
