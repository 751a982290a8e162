"""The command `render`: pictures of a scenario as files, with truth, as fast as the machine makes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hardware_sim import scenario
from hardware_sim.errors import UsageError, sentences
from hardware_sim.faults import parse_fault

if TYPE_CHECKING:
    import argparse

    from hardware_sim.scenario import Scenario


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `render`."""
    parser.add_argument("scenario", help="a name that `list` shows, or a .toml file")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="NAME.mp4 or .mkv (video), NAME.jpg or .png (one picture), NAME.jsonl (truth alone), or a folder",
    )
    parser.add_argument("--seed", type=int, default=0, help="for everything random (default 0)")
    parser.add_argument("--from", dest="from_s", type=float, default=0.0, metavar="S", help="first picture (default 0)")
    parser.add_argument("--duration", type=float, default=10.0, metavar="S", help="how long (default 10)")
    parser.add_argument("--fps", type=float, help="pictures per second (default: the scenario's)")
    parser.add_argument("--detail", choices=("full", "live"), default="full", help="live: as `run` (default full)")
    parser.add_argument("--size", metavar="WxH", help="pixels (default: the scenario's)")
    parser.add_argument("--format", choices=("jpg", "png"), default="jpg", help="of pictures in a folder (default jpg)")
    parser.add_argument("--quality", type=int, metavar="N", help="of JPEG, 10 to 100 (default: the scenario's)")
    parser.add_argument(
        "--weather", action="append", default=[], metavar="KEY=VALUE", help="other [weather]: light=night"
    )
    parser.add_argument(
        "--look", action="append", default=[], metavar="KEY=VALUE", help="other [look]: foreground=fence, shake_px=3"
    )
    parser.add_argument("--fault", action="append", default=[], metavar="NAME@S[:S][=ARG]", help="of the picture")


def run(args: argparse.Namespace) -> None:
    """Render, and say as JSON what was written.

    Raises:
        SimError: something of it makes no sense.

    """
    from hardware_sim.devices import film  # noqa: PLC0415 - the other commands need no pictures
    from hardware_sim.world import World  # noqa: PLC0415 - as above

    faults = tuple(parse_fault(f) for f in args.fault)
    for fault in faults:
        if fault.name not in film.FAULTS:
            raise UsageError(f"the fault {fault.name} is not seen in a picture; these are: {', '.join(film.FAULTS)}")
    chosen = _changed(scenario.load(args.scenario), args)
    chosen = chosen.model_copy(update={"fault": (*chosen.fault, *faults)})
    options = film.Options(
        out=args.out,
        from_s=args.from_s,
        duration_s=args.duration,
        fps=chosen.camera.fps,
        detail=args.detail,
        suffix=f".{args.format}",
        quality=chosen.camera.jpeg_quality,
    )
    print(json.dumps(film.render(World(chosen, args.seed), options), ensure_ascii=False))


def _changed(loaded: Scenario, args: argparse.Namespace) -> Scenario:
    """The scenario with the camera, the weather and the look of the command line."""
    camera = loaded.camera.model_dump()
    if args.size is not None:
        size = re.fullmatch(r"(\d{2,5})x(\d{2,5})", args.size)
        if size is None:
            raise UsageError(f"--size {args.size}: write WIDTHxHEIGHT in pixels, such as 1280x720")
        camera |= {"width_px": int(size[1]), "height_px": int(size[2])}
    camera |= {k: v for k, v in (("fps", args.fps), ("jpeg_quality", args.quality)) if v is not None}
    weather = loaded.weather.model_dump() | _pairs("--weather", args.weather, "visibility_m=400")
    look = loaded.look.model_dump() | _pairs("--look", args.look, "foreground=fence")
    try:
        tables = {
            "camera": type(loaded.camera).model_validate(camera),
            "weather": type(loaded.weather).model_validate(weather),
            "look": type(loaded.look).model_validate(look),
        }
    except ValidationError as error:
        raise UsageError("; ".join(sentences(error))) from error
    return loaded.model_copy(update=tables)


def _pairs(option: str, texts: list[str], example: str) -> dict[str, str | list[str]]:
    """What `KEY=VALUE` says; text that is burnt in may come several times."""
    pairs: dict[str, str | list[str]] = {}
    burnt_in: list[str] = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{option} {text}: write KEY=VALUE, such as {example}")
        if key == "overlay_text":
            burnt_in.append(value)
            pairs[key] = burnt_in
        else:
            pairs[key] = value
    return pairs
