"""What `vigia check` looks at beyond keys: recordings, key files, models, addresses, and the shapes of zones.

Promises:
- it works on a configuration that has other errors as well, so that all are told together;
- no device is opened and no network asked; models are loaded;
- a zone that crosses itself, has no area, or lies where no sensor of this place can see (often latitude and longitude
  the wrong way round) is told; the daemon would take it as it is.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config.load import Problem, closest
from agent.errors import VigiaError
from agent.geo import LocalFrame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAR_M = 200_000.0  # beyond it neither radar nor AIS from a coast sees a vessel
AREA_MIN_M2 = 100.0
CREDENTIALS = "/run/credentials/"
"""systemd shows what lies there to the service alone, not to the check before a reload."""
FILES = ("ca_file", "cert_file", "key_file", "mac_key_file", "password_file")

Key = tuple[str | int, ...]
Point = tuple[float, float]


def problems_of_places(document: Mapping[str, Any], places: Mapping[Key, tuple[str, int]], file: str) -> list[Problem]:
    """All that is wrong with what an expanded document (values may be of any type) points at."""
    out = []
    for key, message, hint in (*_sensors(document), *_files(document), *_zones(document)):
        where, line = closest(places, key, file)
        name = ".".join(str(k) if isinstance(k, str) else str(k + 1) for k in key)
        out.append(Problem(file=where, line=line, key=name, message=message, hint=hint))
    return out


def _sensors(document: Mapping[str, Any]) -> Iterator[tuple[Key, str, str]]:
    from agent.transport.url import parse_url  # noqa: PLC0415 - costs nothing for `--schema`

    for i, sensor in enumerate(_tables(document, "sensor")):
        url = sensor.get("url")
        if isinstance(url, str) and url:
            try:
                found = parse_url(url)
                if found.scheme == "file" and not Path(found.path).exists():
                    yield ("sensor", i, "url"), f"{found.path} is not there", "a recording has to be on this machine"
            except VigiaError as e:
                yield ("sensor", i, "url"), str(e), ""
        if sensor.get("driver") == "camera":
            yield from _model(i, {**sensor, **sensor.get("options", {})}.get("model"))


def _model(i: int, model: object) -> Iterator[tuple[Key, str, str]]:
    from agent.inference.load import load_detector  # noqa: PLC0415 - costs 0.1 s, only with cameras

    if model is not None and not isinstance(model, str):
        return  # told by its type
    try:
        load_detector(model)
    except VigiaError as e:
        yield ("sensor", i, "model"), str(e), ""


def _files(document: Mapping[str, Any]) -> Iterator[tuple[Key, str, str]]:
    publish = document.get("publish")
    if not isinstance(publish, dict):
        return
    for name in FILES:
        path = publish.get(name)
        if not isinstance(path, str) or not path or "${" in path or path.startswith(CREDENTIALS):
            continue
        if not Path(path).exists():
            yield ("publish", name), f"{path} is not there", ""


def _zones(document: Mapping[str, Any]) -> Iterator[tuple[Key, str, str]]:
    site = document.get("site")
    frame = None
    if isinstance(site, dict) and _is_place([site.get("lat"), site.get("lon")]):
        frame = LocalFrame(lat=float(site["lat"]), lon=float(site["lon"]))
    for i, zone in enumerate(_tables(document, "zone")):
        polygon = zone.get("polygon")
        if not isinstance(polygon, list) or len(polygon) < 3 or not all(_is_place(p) for p in polygon):
            continue  # told by its type
        corners = [(float(lat), float(lon)) for lat, lon in polygon]
        if corners[0] == corners[-1]:
            corners.pop()
        own = LocalFrame(lat=corners[0][0], lon=corners[0][1])
        local = [own.to_enu(lat, lon) for lat, lon in corners]
        key: Key = ("zone", i, "polygon")
        if crossing := _crossing(local):
            a, b = crossing
            yield key, f"crosses itself: the sides from corner {a + 1} and from corner {b + 1} meet", "mend the order"
        elif abs(_area_m2(local)) < AREA_MIN_M2:
            yield key, "encloses no area", ""
        if frame is not None:
            away_m = min(math.hypot(*frame.to_enu(lat, lon)) for lat, lon in corners)
            if away_m > FAR_M:
                hint = "a corner is [latitude, longitude], degrees; is the place right?"
                yield key, f"is {away_m / 1000.0:.0f} km from the place of the box, where nothing is seen", hint


def _crossing(corners: list[Point]) -> tuple[int, int] | None:
    """The first two sides (by their first corners) that meet anywhere but at a common corner."""
    n = len(corners)
    sides = [(corners[i], corners[(i + 1) % n]) for i in range(n)]
    for i, j in itertools.combinations(range(n), 2):
        if j - i in (1, n - 1):
            continue
        (a, b), (c, d) = sides[i], sides[j]
        if _turn(a, b, c) * _turn(a, b, d) <= 0.0 and _turn(c, d, a) * _turn(c, d, b) <= 0.0 and _near(a, b, c, d):
            return i, j
    return None


def _near(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the boxes around two sides overlap: sides on one line need not meet."""
    return all(max(min(a[k], b[k]), min(c[k], d[k])) <= min(max(a[k], b[k]), max(c[k], d[k])) for k in (0, 1))


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _area_m2(corners: list[Point]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, corners[1:] + corners[:1], strict=True)) / 2.0


def _is_place(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    lat, lon = value
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (lat, lon))
    return numbers and abs(lat) <= 90.0 and abs(lon) <= 180.0


def _tables(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = document.get(name)
    return rows if isinstance(rows, list) and all(isinstance(r, dict) for r in rows) else []
