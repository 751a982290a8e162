"""What flows through Vigía. Types only, no behaviour.

Promises:
- every type is a frozen, slotted, keyword-only dataclass of plain values (numbers, strings, tuples, other such types);
- SI units and frames stand in the field names; angles are degrees, bearings true and clockwise from north;
- `at_s` is logic time: seconds of the boot-time clock plus a constant chosen at start, so that it reads like Unix time
  but never steps (agent/clock.py). `ClockChange` carries what the wall clock does meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SensorState(StrEnum):
    """How far a sensor can be believed."""

    STARTING = "starting"
    OK = "ok"
    DEGRADED = "degraded"
    STALE = "stale"  # no data for longer than it should take
    UNAVAILABLE = "unavailable"  # cannot be opened
    UNSUPPORTED = "unsupported"  # opened, but not what it was configured as


class TrackStatus(StrEnum):
    """Life of a track. `ais`: known from AIS alone."""

    TENTATIVE = "tentative"
    CONFIRMED = "confirmed"
    COASTING = "coasting"
    AIS = "ais"
    LOST = "lost"


class AlertState(StrEnum):
    """Life of an alert."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Severity(StrEnum):
    """How soon somebody has to look (three levels, after EEMUA 191)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Likelihood(StrEnum):
    """How sure the box is, in four words."""

    POSSIBLE = "possible"
    LIKELY = "likely"
    VERY_LIKELY = "very-likely"
    CERTAIN = "certain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A moment: `t_s` for logic (never steps), `wall_s` (Unix UTC) for people, `error_ms` of the wall clock."""

    t_s: float
    wall_s: float
    error_ms: float = 0.0


# ---------------------------------------------------------------- measurements (drivers and perception produce them)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One radar echo. Range is slant range from the antenna; sigmas are one standard deviation."""

    at_s: float
    source: str
    range_m: float
    bearing_deg: float
    sigma_range_m: float
    sigma_bearing_deg: float
    amplitude_db: float | None = None
    extent_m: float | None = None
    radial_mps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Where a turn did not look: clockwise from `from_deg` to `to_deg`, all around where these are equal.

    From `from_m` to `to_m` of range, None: without end. `share` (0..1] of it was not looked at: 1 where nothing was.
    """

    from_deg: float
    to_deg: float
    from_m: float = 0.0
    to_m: float | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """All plots of one antenna turn (one `at_s`): the unit that initiation, M-of-N and deletion count.

    `unseen`: spokes that did not come, sectors that are blanked: no plot from there is no miss. `beam_deg`: how wide an
    echo is, of which a part may have been seen.
    """

    at_s: float
    source: str
    plots: tuple[Plot, ...]
    period_s: float | None = None
    unseen: tuple[Unseen, ...] = ()
    beam_deg: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """A camera's view of one vessel: a true bearing, and a range only where the geometry allows one.

    `classes`: (label, share) over the looks at this vessel so far, the likeliest first.
    """

    at_s: float
    source: str
    bearing_deg: float
    sigma_bearing_deg: float
    range_m: float | None = None
    sigma_range_m: float | None = None
    class_: str | None = None
    confidence: float | None = None
    classes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All bearings of one camera frame (one `at_s`), including an empty frame: "looked and saw nothing"."""

    at_s: float
    source: str
    bearings: tuple[Bearing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One detection in a picture: corners in pixels of the original picture, x right, y down."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    class_id: int
    label: str


MOST_BOXES = 300  # so many vessels of one picture are looked at, the best ones: the work grows with their square


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """All boxes of one frame, also those below today's threshold: logged, so that a replay can lower it.

    `shift_px`: how much lower than usual the whole picture lay, by its horizon (a mast that swings).
    """

    at_s: float
    source: str
    width_px: int
    height_px: int
    boxes: tuple[Box, ...]
    shift_px: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackReport:
    """A target that a sensor tracks by itself (ARPA: TTM, TLL). Either polar or geographic, never both.

    `relative` marks speed and course as relative to own ship; `status` is Q (acquiring), T (tracking) or L (lost).
    """

    at_s: float
    source: str
    number: int
    status: str
    range_m: float | None = None
    bearing_deg: float | None = None
    lat: float | None = None
    lon: float | None = None
    sog_mps: float | None = None
    cog_deg: float | None = None
    relative: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ais:
    """What one AIS message says of one station. Fields that the message lacks are None.

    `kind`: "a" or "b" (class), "base", "aton", "sart", "sar". `length_m`, `beam_m` from the static report.
    """

    at_s: float
    source: str
    mmsi: int
    kind: str
    msg_type: int
    lat: float | None = None
    lon: float | None = None
    sog_mps: float | None = None
    cog_deg: float | None = None
    heading_deg: float | None = None
    nav_status: int | None = None
    accurate: bool | None = None
    ship_type: int | None = None
    name: str | None = None
    callsign: str | None = None
    length_m: float | None = None
    beam_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nav:
    """Own position, motion, heading or wind, as far as one sentence tells. `utc_s` is the receiver's Unix time.

    `satellites` are those that the fix uses, `signal_dbhz` is the mean carrier-to-noise ratio of the four best heard.
    """

    at_s: float
    source: str
    lat: float | None = None
    lon: float | None = None
    sog_mps: float | None = None
    cog_deg: float | None = None
    heading_deg: float | None = None
    heading_magnetic_deg: float | None = None
    wind_mps: float | None = None
    wind_from_deg: float | None = None
    wind_relative: bool | None = None
    utc_s: float | None = None
    fix_ok: bool | None = None
    satellites: int | None = None
    signal_dbhz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorHealth:
    """State of one sensor with its evidence, in one sentence for people and counters for machines."""

    at_s: float
    source: str
    state: SensorState
    sentence: str
    counters: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The core's heartbeat: time passes even when nothing is seen."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChange:
    """Wall clock minus logic time is `offset_s` from now on."""

    at_s: float
    offset_s: float
    error_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """The core runs on another configuration from here on: its digest, and its text for replay."""

    at_s: float
    digest: str
    toml: str = ""


Measurement = Scan | View | Detections | TrackReport | Ais | Nav | SensorHealth
Event = Measurement | Tick | ClockChange | ConfigChange


# ---------------------------------------------------------------- what the core gives back (effects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One vessel as known at `at_s` (predicted to it). East/north are metres in the local frame at the site.

    `cov` is the 4x4 covariance of (east_m, north_m, v_east_mps, v_north_mps) as row tuples. A contact known by bearing
    only has `bearing_deg`/`sigma_bearing_deg` set and no position claim: lat/lon then stand on its assumed range.
    """

    at_s: float
    id: int
    lat: float
    lon: float
    east_m: float
    north_m: float
    cog_deg: float
    sog_mps: float
    cov: tuple[tuple[float, ...], ...]
    status: TrackStatus
    sources: tuple[str, ...]
    mmsi: int | None = None
    name: str | None = None
    class_: str | None = None
    confidence: float = 0.0
    bearing_deg: float | None = None
    sigma_bearing_deg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One step in the life of one alert. (`id`, `revision`) never repeats on a box, also over restarts.

    `situation` is shared by all alerts about one vessel: people see one card. `reasons` are sentences; `reason_codes`
    the same for machines. `wall_s` is what the box's wall clock said (Unix UTC).
    """

    at_s: float
    wall_s: float
    id: int
    revision: int
    situation: int
    rule: str
    rule_name: str
    state: AlertState
    severity: Severity
    likelihood: Likelihood
    reasons: tuple[str, ...]
    reason_codes: tuple[str, ...]
    zone: str | None
    track: Track
    exercise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPicture:
    """Every live track at one tick."""

    at_s: float
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHealth:
    """Whether a rule can be relied on now; `suspended` names the sick sensor."""

    at_s: float
    rule_name: str
    suspended: bool
    sentence: str = ""


Effect = TrackPicture | Alert | RuleHealth
