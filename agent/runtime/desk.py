"""What the parent asks of its cameras: where to look, and the best view of what an alert is about.

Promises:
- cues are the live tracks as bearings from the site, at most `MAX_CUES` nearest ones, once a second;
- an alert of `clip_severity` or more in a camera's field of view gets one clip of it (`.mp4`), where it keeps any;
- each alert that is raised gets one small JPEG per camera that has seen its vessel
  (`evidence/ALERT-CAMERA.SEVERITY.jpg`); what is kept is agent/record/retention.py's matter, and a full disk costs the
  evidence, never the alert.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from agent.clock import SYNCED_ERROR_MS
from agent.config.schema import CameraPose
from agent.geo import enu_to_polar, wrap180
from agent.messages import Severity
from agent.record.retention import Receipts, evidence_name, sweep_evidence

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.schema import Sensor
    from agent.messages import Stamp, Track
    from agent.runtime.engine import Engine

log = logging.getLogger("vigia.evidence")
MAX_CUES = 64
KEEP_KNOWN = 2000  # alerts whose pictures are there, remembered
SWEEP_S = 600.0
CLIP_FOR_S = 5.0  # later its beginning has gone
ASK_FOR_S = 60.0  # after an alert was raised, a camera may still get to see its vessel
_RANK = {str(severity): rank for rank, severity in enumerate(Severity)}  # low first
_WITHIN_DEG = 1.0  # beside three sigmas of the track's bearing: survey of camera and site


class CameraDesk:
    """Asked by each camera's thread once a second; used by several threads, each with its own camera's name."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self._folder = directory / "evidence"
        self._done: dict[tuple[str, int], bool] = {}
        self._clips: dict[tuple[str, int], bool] = {}  # asked for
        self._severity: dict[int, str] = {}  # of the alerts whose pictures are asked for
        self._receipts = Receipts(directory)
        self._swept_s = -math.inf

    def orders(self, camera: str, now_s: float) -> list[list[Any]]:
        """Messages for one camera's process."""
        picture = self._engine.picture
        tracks = () if picture is None else picture.tracks
        cues = sorted((_cue(t) for t in tracks), key=lambda c: c[2] if c[2] is not None else math.inf)
        orders: list[list[Any]] = [["cues", now_s, cues[:MAX_CUES]]]
        for alert in list(self._engine.open_alerts.values()):
            if (camera, alert.id) not in self._done and now_s - alert.at_s <= ASK_FOR_S:
                bearing_deg, sigma_deg, _ = _cue(alert.track)
                self._severity[alert.id] = alert.severity.value
                _bound(self._severity)
                orders.append(["crop", alert.id, bearing_deg, _WITHIN_DEG + 3.0 * sigma_deg])
        return orders

    def clip_orders(self, camera: Sensor, now_s: float) -> list[list[Any]]:
        """Clips that one camera's process shall make, each once."""
        options = camera.options
        if not options.get("clip_before_s"):
            return []
        least = _RANK[str(options.get("clip_severity", Severity.HIGH))]
        middle_deg = float(options.get("bearing_deg", CameraPose.model_fields["bearing_deg"].default))
        half_deg = float(options.get("hfov_deg", CameraPose.model_fields["hfov_deg"].default)) / 2.0
        orders: list[list[Any]] = []
        for alert in list(self._engine.open_alerts.values()):
            key = (camera.name, alert.id)
            bearing_deg, sigma_deg, _ = _cue(alert.track)
            away_deg = abs(wrap180(bearing_deg - middle_deg)) - half_deg
            seen = away_deg <= _WITHIN_DEG + 3.0 * sigma_deg
            if key in self._clips or _RANK[alert.severity] < least or now_s - alert.at_s > CLIP_FOR_S or not seen:
                continue
            self._clips[key] = True
            _bound(self._clips)
            orders.append(["clip", evidence_name(alert.id, camera.name, alert.severity, "mp4"), alert.at_s])
        return orders

    def sweep(self, now: Stamp) -> None:
        """Keep the evidence within its bounds; looks once in `SWEEP_S`. For one thread."""
        if now.t_s - self._swept_s < SWEEP_S:
            return
        self._swept_s = now.t_s
        storage = self._engine.loaded.config.storage
        try:
            sweep_evidence(
                self._folder, now.wall_s, max_bytes=storage.evidence_max_bytes,
                max_age_days=storage.evidence_max_age_days, time_known=now.error_ms <= SYNCED_ERROR_MS,
                receipts=self._receipts,
            )  # fmt: skip
        except OSError as e:
            log.warning("%s cannot be looked at: %s; mend the disk", self._folder, e.strerror)

    def crop(self, camera: str, alert_id: int, jpeg: bytes) -> None:
        """A camera's answer to "crop"; an empty one means that it has not seen the vessel yet."""
        if not jpeg or (camera, alert_id) in self._done:
            return
        self._done[(camera, alert_id)] = True
        _bound(self._done)
        name = evidence_name(alert_id, camera, self._severity.get(alert_id, Severity.MEDIUM))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_bytes(jpeg)
        except OSError as e:
            log.warning("the picture of alert %d from %s cannot be kept: %s", alert_id, camera, e)


def _bound(known: dict[Any, Any]) -> None:
    while len(known) > KEEP_KNOWN:
        del known[next(iter(known))]


def _cue(track: Track) -> tuple[float, float, float | None]:
    """(true bearing, its sigma, range or None) of a track from the site; degrees, metres."""
    if track.bearing_deg is not None:
        return track.bearing_deg, track.sigma_bearing_deg or 1.0, None
    range_m, bearing_deg = enu_to_polar(track.east_m, track.north_m)
    sin, cos = math.sin(math.radians(bearing_deg)), math.cos(math.radians(bearing_deg))
    ee, en, nn = track.cov[0][0], track.cov[0][1], track.cov[1][1]
    across = math.sqrt(max(0.0, ee * cos * cos - 2.0 * en * sin * cos + nn * sin * sin))
    return bearing_deg, math.degrees(math.atan2(across, max(range_m, 1.0))), range_m
