"""`vigia decode KIND FILE --register`: a recorded radar's bias against the AIS in the same recording.

Promises:
- one object per radar: range and bearing bias (radar less AIS) with standard errors, whether they can be trusted and
  why, and what leaving each ship out in turn leaves of its own offset;
- the radar stands where the recording's own position says (its middle fix).
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from agent.cli.decode import emit, parse_options
from agent.cli.recordings import is_sentence, recorded
from agent.drivers.table import load_driver
from agent.errors import InputError
from agent.fusion.registration import UNDER_WAY_MPS, Candidate, estimate, in_window, leave_one_out
from agent.geo import LocalFrame, enu_to_polar, wrap180
from agent.messages import Ais, Nav, Stamp
from agent.perception.radar.extract import PlotExtractor

if TYPE_CHECKING:
    import argparse

    from agent.messages import Scan

REPORT_S = 60.0  # a report is carried on for so long at most


def run_register(args: argparse.Namespace) -> int:
    """Estimate and print.

    Raises:
        InputError: the recording lacks plots, AIS of ships under way, or an own position.

    """
    scans = _scans(args)
    ships, frame = _sentences(args)
    if not scans:
        raise InputError(f"{args.file}: holds no whole turn of a {args.kind} radar: nothing to register")
    if frame is None:
        raise InputError(f"{args.file}: holds no own position (GGA, GLL, RMC): the radar's place is not known")
    if not ships:
        raise InputError(f"{args.file}: holds no AIS report of a ship under way: nothing to register against")
    for source in dict.fromkeys(s.source for s in scans):
        emit(_judged(source, _candidates([s for s in scans if s.source == source], ships, frame)))
    return 0


def _judged(source: str, candidates: list[Candidate]) -> dict[str, Any]:
    bias, left = estimate(candidates), leave_one_out(candidates)
    out: dict[str, Any] = {
        "radar": source, "trusted": bias.trusted, "evidence": bias.sentence, "ships": bias.ships,
        "candidates": len(dict.fromkeys(c.ship for c in candidates)),
    }  # fmt: skip
    if bias.ships:
        out |= {
            "range_m": round(bias.range_m, 1), "sigma_range_m": round(bias.sigma_range_m, 1),
            "bearing_deg": round(bias.bearing_deg, 3), "sigma_bearing_deg": round(bias.sigma_bearing_deg, 3),
        }  # fmt: skip
    if left:
        out["left_one_out"] = {
            "ships": len(left),
            "median_range_m": round(statistics.median(abs(r.off_m) for r in left), 1),
            "median_bearing_deg": round(statistics.median(abs(r.off_deg) for r in left), 3),
        }
    if bias.trusted:
        out["to_configure"] = {
            "range_bias_m": round(-bias.range_m, 1), "bearing_bias_deg": round(-bias.bearing_deg, 2)
        }  # fmt: skip
    return out


def _scans(args: argparse.Namespace) -> list[Scan]:
    driver = load_driver(args.kind)
    options = parse_options(args.option, driver.Options)
    decoder = driver(args.source or args.kind, options)
    extractors: dict[str, PlotExtractor] = {}
    out: list[Scan] = []
    for chunk in recorded(args.file, port=args.port, group=args.group):
        for spoke in decoder.decode(chunk.data, chunk.at, chunk.stream):
            if spoke.source not in extractors:
                extractors[spoke.source] = PlotExtractor(spoke.source, options.for_video(spoke.top_level))
            scan = extractors[spoke.source].feed(spoke)
            if scan is not None:
                out.append(scan)
    return out + [scan for e in extractors.values() if (scan := e.finish()) is not None]


def _sentences(args: argparse.Namespace) -> tuple[list[Ais], LocalFrame | None]:
    """Reports of ships under way, and the frame at the middle one of the recording's own positions."""
    decoders = []
    for name in ("ais", "nav"):
        driver = load_driver(name)
        decoders.append(driver(name, driver.Options()))
    ships: list[Ais] = []
    own: list[tuple[float, float]] = []
    at = Stamp(t_s=0.0, wall_s=0.0)
    for chunk in recorded(args.file, port=None, group=None, speaks=is_sentence):
        at = chunk.at
        for decoder in decoders:
            _sort(decoder.decode(chunk.data, chunk.at, chunk.stream), ships, own)
    for decoder in decoders:
        _sort(decoder.flush(at), ships, own)
    lat, lon = own[len(own) // 2] if own else (math.nan, math.nan)
    return ships, LocalFrame(lat=lat, lon=lon) if own else None


def _sort(measurements: Any, ships: list[Ais], own: list[tuple[float, float]]) -> None:
    for m in measurements:
        if isinstance(m, Ais):
            if m.kind in ("a", "b") and m.lat is not None and m.lon is not None and (m.sog_mps or 0.0) >= UNDER_WAY_MPS:
                ships.append(m)
        elif isinstance(m, Nav) and m.lat is not None and m.lon is not None:
            own.append((m.lat, m.lon))


def _candidates(scans: list[Scan], ships: list[Ais], frame: LocalFrame) -> list[Candidate]:
    """Every plot that may be a ship, with the ship carried on from its report nearest in time."""
    reports: dict[int, list[Ais]] = {}
    for m in ships:
        reports.setdefault(m.mmsi, []).append(m)
    out = []
    for scan in scans:
        for mmsi, mine in reports.items():
            m = min(mine, key=lambda r: abs(r.at_s - scan.at_s))
            dt = scan.at_s - m.at_s
            if abs(dt) > REPORT_S or m.lat is None or m.lon is None:
                continue
            east, north = frame.to_enu(m.lat, m.lon)
            course, speed = math.radians(m.cog_deg or 0.0), (m.sog_mps or 0.0) if m.cog_deg is not None else 0.0
            range_m, bearing = enu_to_polar(east + speed * dt * math.sin(course), north + speed * dt * math.cos(course))
            for p in scan.plots:
                off_m, off_deg = p.range_m - range_m, wrap180(p.bearing_deg - bearing)
                if in_window(off_m, off_deg, range_m):
                    out.append(Candidate(ship=mmsi, range_m=range_m, bearing_deg=bearing, off_m=off_m, off_deg=off_deg))
    return out
