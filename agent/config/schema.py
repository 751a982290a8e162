"""What an operator may write. Pure: types, units, bounds and defaults; no files, no devices.

Promises:
- unknown keys are refused; every value has a unit in its name and a bound where nonsense is possible;
- a default stands here and nowhere else (configs/vigia.toml shows them commented, tested to be the same);
- drivers and rules own their options: a `[[sensor]]` or `[[rule]]` table keeps what this schema does not name in
  `options`, and the driver's or rule's own model checks it (agent/config/load.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agent.messages import Severity

Latitude = Annotated[float, Field(ge=-90.0, le=90.0)]
Longitude = Annotated[float, Field(ge=-180.0, le=180.0)]
Bearing360 = Annotated[float, Field(ge=-360.0, le=360.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]


class Table(BaseModel):
    """Base of all tables: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(Table):
    """`[site]`: where the box stands. Sensors without a place of their own stand here."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    lat: Latitude
    lon: Longitude
    height_m: Annotated[float, Field(ge=0.0, le=3000.0)]
    node: Name | None = None  # name on the wire; from `name` when left out
    exercise: bool = False  # every alert carries the exercise flag

    @property
    def node_id(self) -> str:
        """The name on the wire."""
        return self.node or "".join(c if c.isalnum() else "-" for c in self.name.lower()).strip("-")[:32] or "node"


class Sensor(Table):
    """`[[sensor]]`: one transport times one decoder. The driver's own keys stand in the same table."""

    name: Name
    driver: str
    url: str
    enabled: bool = True
    stale_s: Positive = 15.0  # no data for this long is reported as stale
    options: dict[str, Any] = Field(default_factory=dict)


class Zone(Table):
    """`[[zone]]`: a polygon of (lat, lon) corners, closed by itself."""

    name: Annotated[str, Field(min_length=1, max_length=48)]
    polygon: Annotated[tuple[tuple[Latitude, Longitude], ...], Field(min_length=3, max_length=1000)]


class Rule(Table):
    """`[[rule]]`: one reason to alert. The kind's own keys stand in the same table."""

    name: Annotated[str, Field(min_length=1, max_length=48)]
    kind: str
    severity: Severity = Severity.MEDIUM
    enabled: bool = True
    options: dict[str, Any] = Field(default_factory=dict)


class Test(Table):
    """`[[test]]`: recorded events, and the rules that have to alert on them; run by `vigia check`."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    events: str  # an event log, a folder of them, or .jsonl; relative to the configuration's folder
    raises: tuple[str, ...] = ()  # names of rules; no other may alert


class Tracking(Table):
    """`[tracking]`: how measurements become tracks."""

    tick_s: Annotated[float, Field(ge=0.1, le=10.0)] = 1.0
    reorder_s: Annotated[float, Field(ge=0.0, le=5.0)] = 0.3  # how long an event may be late and still be put in place
    confirm_hits: Annotated[int, Field(ge=2, le=20)] = 4  # M of ...
    confirm_scans: Annotated[int, Field(ge=2, le=30)] = 6  # ... N scans confirm a radar track
    false_tracks_per_day: Positive = 1.0  # per radar: where clutter is thick, more hits are asked for than M
    delete_misses: Annotated[int, Field(ge=2, le=30)] = 5  # misses of ...
    delete_scans: Annotated[int, Field(ge=2, le=60)] = 10  # ... scans end it (IMO: keep a target seen in 5 of 10)
    gate_chi2: Annotated[float, Field(gt=1.0, le=50.0)] = 11.8  # 2 degrees of freedom
    bearing_gate_chi2: Annotated[float, Field(gt=1.0, le=50.0)] = 9.0  # 1 degree of freedom
    acceleration_mps2: Positive = 0.3  # process noise: what a vessel's speed changes by, one sigma per second
    max_speed_mps: Positive = 40.0  # faster than any vessel: no track starts with it
    max_tracks: Annotated[int, Field(ge=10, le=5000)] = 1000
    coast_s: Positive = 30.0  # a track that its sensors have not fixed for this long (silent, not missing) ends
    camera_min_score: Annotated[float, Field(ge=0.0, le=1.0)] = 0.35
    camera_class_scores: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = {}  # the same for single labels
    camera_low_score: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2  # goes on with a confirmed track, starts none
    camera_standing_score: Annotated[float, Field(ge=0.0, le=1.0)] = 0.55  # mean that confirms what does not move
    camera_confirm_hits: Annotated[int, Field(ge=1, le=20)] = 3  # M of ...
    camera_confirm_looks: Annotated[int, Field(ge=1, le=30)] = 5  # ... N looks confirm a vessel in the picture
    camera_range_m: Positive = 3000.0  # beyond it a camera gives a bearing only
    static_after_s: Positive = 900.0  # a radar echo that has not moved for this long is a buoy or a rock, not a vessel

    @model_validator(mode="after")
    def _m_of_n(self) -> Tracking:
        if self.confirm_hits > self.confirm_scans:
            raise ValueError("confirm_hits cannot be more than confirm_scans: no track would ever be confirmed")
        if self.camera_confirm_hits > self.camera_confirm_looks:
            raise ValueError("camera_confirm_hits cannot be more than camera_confirm_looks: no camera would ever see")
        if self.delete_misses > self.delete_scans:
            raise ValueError("delete_misses cannot be more than delete_scans: no track would ever end")
        return self


class AisPolicy(Table):
    """`[ais]`: how AIS enters the picture."""

    associate_confirm: Annotated[int, Field(ge=1, le=20)] = 3
    associate_end: Annotated[int, Field(ge=1, le=20)] = 2
    gate_m: Positive = 300.0
    lost_after_s: Positive = 600.0  # an AIS track without a report for this long leaves the picture


# What a link can bear: values for the keys of `[publish]` that the operator has not set. "lte" is the defaults; "auto"
# begins with them and changes over to what agent/publish/meter.py measures.
LINK_PROFILES: dict[str, dict[str, Any]] = {
    "lan": {
        "keepalive_s": 30, "health_s": 30.0, "track_error_m": 20.0, "track_max_age_s": 30.0, "track_batch_s": 1.0,
    },
    "auto": {},
    "lte": {},
    "satellite": {
        "keepalive_s": 1200, "health_s": 3600.0, "track_error_m": 200.0, "track_max_age_s": 900.0,
        "track_batch_s": 30.0, "puback_timeout_s": 60.0, "retry_max_s": 600.0,
    },
    "metered": {
        "keepalive_s": 1200, "health_s": 86_400.0, "track_error_m": 500.0, "track_max_age_s": 3600.0,
        "track_batch_s": 60.0, "puback_timeout_s": 60.0, "retry_max_s": 1800.0, "session_every_s": 43_200.0,
    },
}  # fmt: skip


class Publish(Table):
    """`[publish]`: the way to the shared picture."""

    broker: str | None = None  # mqtt://host:1883 or mqtts://user:password@host:8883; none: keep in the outbox
    fallback_brokers: tuple[str, ...] = ()  # tried in this order when the one before does not let us in
    profile: Literal["auto", "lan", "lte", "satellite", "metered"] = "lte"  # sets what is not set below
    session_every_s: NotNegative = 0.0  # connect for a short while this often, and when there is an alert; 0: stay
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    acknowledge: Literal["picture", "broker"] = "picture"  # who may make the outbox forget a message
    keepalive_s: Annotated[int, Field(ge=5, le=65535)] = 300
    window: Annotated[int, Field(ge=1, le=20)] = 16  # messages in flight
    puback_timeout_s: Positive = 15.0
    retry_max_s: Positive = 120.0
    track_error_m: Positive = 50.0  # dead reckoning: send when the receiver would be off by more
    track_max_age_s: Positive = 120.0  # ... or after this long
    track_batch_s: Positive = 2.0
    health_s: Positive = 900.0
    health_expire_s: Positive = 86_400.0  # a report of health that could not be sent for this long is given up
    outbox_max_bytes: Annotated[int, Field(ge=65_536)] = 67_108_864
    sign: bool = True  # births, seals and replies, with a key that is made on the box
    sign_tracks: bool = False  # batches of tracks as well: 80 bytes each
    mac_key_file: str | None = None  # a secret shared with the picture: alerts carry an 8-byte MAC
    command_keys: tuple[str, ...] = ()  # public keys (64 hex digits) whose commands are obeyed
    commands: tuple[Literal["snapshot", "clip", "acknowledge", "reject", "profile"], ...] = ()  # which ones

    @model_validator(mode="before")
    @classmethod
    def _fill_from_profile(cls, values: Any) -> Any:
        if isinstance(values, dict):
            return {**LINK_PROFILES.get(str(values.get("profile")), {}), **values}
        return values

    def with_profile(self, name: str) -> Publish:
        """The same with another link profile; what the operator has set stays."""
        mine = {k: getattr(self, k) for k in self.model_fields_set}
        of_profile = LINK_PROFILES[self.profile]
        return Publish.model_validate({k: v for k, v in mine.items() if of_profile.get(k) != v} | {"profile": name})

    @field_validator("broker")
    @classmethod
    def _scheme(cls, v: str | None) -> str | None:
        if v is not None and not v.startswith(("mqtt://", "mqtts://")):
            raise ValueError("a broker is written mqtt://host:port or mqtts://host:port")
        return v

    @field_validator("fallback_brokers")
    @classmethod
    def _schemes(cls, v: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(url for url in v if cls._scheme(url))

    @field_validator("command_keys")
    @classmethod
    def _keys(cls, v: tuple[str, ...]) -> tuple[str, ...]:
        for key in v:
            if len(key) != 64 or any(c not in "0123456789abcdef" for c in key):
                raise ValueError(
                    "a command key is 64 hex digits in lower case, as `vigia picture --make-key` prints it"
                )
        return v


class Storage(Table):
    """`[storage]`: what the box keeps."""

    directory: str = "/var/lib/vigia"
    log_max_bytes: Annotated[int, Field(ge=1_048_576)] = 2_147_483_648
    log_max_age_days: NotNegative = 0.0  # 0: only the size counts
    evidence_max_bytes: Annotated[int, Field(ge=1_048_576)] = 268_435_456
    evidence_max_age_days: NotNegative = 90.0  # 0: only the size counts
    checkpoint_s: Positive = 10.0


class Power(Table):
    """`[power]`: how much the box works when it is hot, on battery or at night; budgets of processor and memory."""

    profile: Literal["normal", "saver"] = "normal"
    saver_at_night: bool = False
    battery_low_percent: Annotated[float, Field(ge=0.0, le=100.0)] = 30.0  # saves from here on down; 0: never
    battery_back_percent: Annotated[float, Field(ge=0.0, le=100.0)] = 40.0
    hot_c: Annotated[float, Field(ge=30.0, le=120.0)] = 78.0
    cool_c: Annotated[float, Field(ge=20.0, le=120.0)] = 72.0
    critical_c: Annotated[float, Field(ge=30.0, le=125.0)] = 88.0
    radar_on_s: Annotated[float, Field(ge=10.0, le=600.0)] = 20.0  # a track needs some turns to start
    radar_off_s: Annotated[float, Field(ge=0.0, le=600.0)] = 40.0
    camera_idle_fps: Annotated[float, Field(ge=0.1, le=60.0)] = 0.2
    cpu_cores: NotNegative = 0.0  # what the agent and its processes may use over a minute; 0: no limit
    child_memory_mb: Annotated[float, Field(ge=100.0)] = 450.0  # a camera or radar with more of its own is started anew
    thermal_path: str = "/sys/class/thermal"
    supply_path: str = "/sys/class/power_supply"

    @model_validator(mode="after")
    def _ways_back(self) -> Power:
        if not self.cool_c < self.hot_c < self.critical_c:
            raise ValueError("cool_c has to be below hot_c, and hot_c below critical_c")
        if 0.0 < self.radar_off_s < 15.0:
            raise ValueError("radar_off_s is 0 (never rest) or at least 15: a shorter rest only breaks turns")
        if self.battery_back_percent < self.battery_low_percent:
            raise ValueError("battery_back_percent cannot be below battery_low_percent: saving would never end")
        return self


class Web(Table):
    """`[web]`: the operator's page; loopback only."""

    enabled: bool = False
    port: Annotated[int, Field(ge=0, le=65535)] = 8480


class Metrics(Table):
    """`[metrics]`: figures for Prometheus; loopback only."""

    enabled: bool = False
    port: Annotated[int, Field(ge=0, le=65535)] = 9484


class Config(Table):
    """A whole configuration. `[site]` alone is enough for `vigia replay`."""

    site: Site
    sensor: tuple[Sensor, ...] = ()
    zone: tuple[Zone, ...] = ()
    rule: tuple[Rule, ...] = ()
    test: tuple[Test, ...] = ()
    tracking: Tracking = Tracking()
    ais: AisPolicy = AisPolicy()
    publish: Publish = Publish()
    storage: Storage = Storage()
    power: Power = Power()
    web: Web = Web()
    metrics: Metrics = Metrics()


class CameraPose(BaseModel):
    """How a camera looks; these keys stand flat in its `[[sensor]]` table. Pinhole, square pixels.

    `bearing_deg` of the optical axis (true), `pitch_deg` positive up, `roll_deg` clockwise positive, horizontal field
    of view, height above the sea (the site's when left out). The sigmas are what a technician's survey is good for.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    bearing_deg: Bearing360 = 0.0
    pitch_deg: Annotated[float, Field(ge=-45.0, le=45.0)] = 0.0
    roll_deg: Annotated[float, Field(ge=-45.0, le=45.0)] = 0.0
    hfov_deg: Annotated[float, Field(gt=0.5, lt=150.0)] = 60.0
    height_m: NotNegative | None = None
    sigma_bearing_deg: Positive = 0.3
    sigma_pitch_deg: Positive = 0.03  # 0.5 mrad, about what a horizon fix gives
