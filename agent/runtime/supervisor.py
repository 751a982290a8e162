"""What runs, in one table: sensors, core, publisher, page, status socket; started in order, stopped in reverse.

Promises:
- READY is told to systemd when every configured sensor has been started (not: is healthy) and the outbox is open;
- the watchdog is fed only while core and publisher make progress; a cut sensor cable never restarts the box;
- a reload with a bad configuration changes nothing; with a good one, only the sensors that changed are restarted and
  the tracks are kept.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.clock import SystemClock
from agent.drivers.table import driver_spec
from agent.errors import VigiaError
from agent.messages import SensorHealth, SensorState
from agent.publish.client import Publisher
from agent.publish.cose import load_or_make
from agent.runtime.box import BoxHealth
from agent.runtime.children import ChildSensor
from agent.runtime.commands import Officer
from agent.runtime.coverage import Coverage
from agent.runtime.desk import CameraDesk
from agent.runtime.emergency import Storage
from agent.runtime.engine import Engine
from agent.runtime.gnss import GnssWatch
from agent.runtime.intake import Intake
from agent.runtime.metrics import MetricsServer
from agent.runtime.notify import notify, watchdog_period_s
from agent.runtime.page import Page
from agent.runtime.power import Governor
from agent.runtime.selftest import self_test
from agent.runtime.status import StatusServer
from agent.runtime.workers import LineSensor

if TYPE_CHECKING:
    from agent.config.load import LoadedConfig
    from agent.config.schema import Publish, Sensor
    from agent.messages import Measurement
    from agent.publish.outbox import Outbox

log = logging.getLogger("vigia")
BOX_S = 5.0  # between two looks at the box itself
BOX_REPORT_S = 60.0  # between two reports of the same
STALL_S = 20.0  # core or publisher without progress for this long: the watchdog is no longer fed


class Agent:
    """The daemon's parts, assembled from one checked configuration."""

    def __init__(self, loaded: LoadedConfig, directory: Path) -> None:
        self.loaded = loaded
        self.directory = directory
        config = loaded.config
        self.storage = Storage(directory, max_bytes=config.publish.outbox_max_bytes)
        try:
            self._assemble(loaded, directory)
        except VigiaError:
            self.storage.close()
            raise

    def _assemble(self, loaded: LoadedConfig, directory: Path) -> None:
        config = loaded.config
        self.engine = Engine(loaded, directory)
        log.info("recovery: %s", self.engine.recover(self.storage.newest_alert()))
        self.clock = SystemClock(not_before_s=self.engine.newest_s)
        self.intake = Intake(self.clock, tick_s=config.tracking.tick_s, reorder_s=config.tracking.reorder_s)
        self.key = load_or_make(directory / "node.key") if config.publish.sign else None
        self.officer = Officer(self)
        self.publisher = self._make_publisher(loaded)
        self.sensors: dict[str, LineSensor | ChildSensor] = {}
        self._desk = CameraDesk(self.engine, directory)
        self.page = Page(self) if config.web.enabled else None
        self.status_server = StatusServer(directory / "status.sock", self.status)
        self.metrics = MetricsServer(config.metrics.port, self.status) if config.metrics.enabled else None
        self._watch_the_box(loaded)
        self._box_s = float("-inf")
        self._box_said: dict[str, SensorHealth] = {}
        self._stopping = threading.Event()
        self._published = self.publisher.status()
        self._seen_progress: tuple[int, int] = (-1, -1)
        self._progress_s = time.monotonic()

    def start(self) -> None:
        """Start every part; tells systemd READY."""
        self.publisher.start()
        self.engine.start(self.clock, self.intake, self.publisher)
        for sensor in self.loaded.config.sensor:
            self._start_sensor(sensor)
        self.status_server.start()
        if self.page is not None:
            self.page.start()
        if self.metrics is not None:
            self.metrics.start()
        tested = self_test(self.directory, self.storage.outbox, self.publisher.boot, self.clock, self.engine.newest_s)
        self._emit(tested.source, tested)
        if self.storage.why:
            self.report("disk", SensorState.UNAVAILABLE, self.storage.sentence())
        notify("READY=1\nSTATUS=running")
        log.info(
            "vigia %s runs as node %s with %d sensors", __version__, self.loaded.config.site.node_id, len(self.sensors)
        )

    def stop(self) -> None:
        """Stop sensors first, then let core and publisher finish. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        notify("STOPPING=1")
        if self.page is not None:
            self.page.stop()
        if self.metrics is not None:
            self.metrics.stop()
        self.status_server.stop()
        self._stop_sensors(list(self.sensors))
        self.engine.stop()
        self.publisher.stop(5.0)
        self.storage.close()
        log.info("stopped")

    def finished(self) -> bool:
        """All sensors are recordings and all are over."""
        return bool(self.sensors) and all(s.finished for s in self.sensors.values())

    def reload(self, loaded: LoadedConfig) -> None:
        """Go on with another configuration.

        Raises:
            VigiaError: it cannot be used after all; the old one goes on.

        """
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            self._change_publisher(loaded)  # what can be refused comes first, while nothing has changed yet
        except VigiaError:
            with contextlib.suppress(VigiaError):  # a full disk: the old publisher is still there
                self._change_publisher(self.loaded)
            notify("READY=1")
            raise
        old = {s.name: s for s in self.loaded.config.sensor}
        new = {s.name: s for s in loaded.config.sensor}
        same_site = loaded.config.site == self.loaded.config.site
        lasting = {n for n in self.sensors if same_site and n in new and _same_but_model(old[n], new[n])}
        lasting -= {n for n in lasting if self._has_given_up(n)}
        self._stop_sensors([n for n in self.sensors if n not in lasting])
        for name in lasting:
            worker = self.sensors[name]
            if isinstance(worker, ChildSensor) and new[name].driver == "camera":
                worker.swap(new[name])
        self.loaded = loaded
        self._watch_the_box(loaded)
        self.engine.reconfigure(loaded)
        for sensor in loaded.config.sensor:
            if sensor.name not in self.sensors:
                self._start_sensor(sensor)
        notify("READY=1")
        log.info("configuration reloaded: %s", loaded.path)

    def _has_given_up(self, name: str) -> bool:
        """Whether the sensor waits for a person (a wrong model, file or option): a reload tries it again."""
        health = self.engine.health.get(name)
        return health is not None and health.state is SensorState.UNSUPPORTED

    def feed_watchdog(self) -> None:
        """Tell systemd that we live, if core and publisher do."""
        progress = (self.engine.progress, int(self._publisher_status()["progress"]))
        now_s = time.monotonic()
        if progress[0] != self._seen_progress[0] and progress[1] != self._seen_progress[1]:
            self._seen_progress, self._progress_s = progress, now_s
        if now_s - self._progress_s < STALL_S:
            notify("WATCHDOG=1")

    def check_box(self) -> None:
        """Look at the box and its sensors' reach; report changes, and the same now and then. For the main thread."""
        now = self.clock.now()
        if now.t_s - self._box_s < BOX_S:
            return
        self._box_s = now.t_s
        self._desk.sweep(now)
        if self.storage.works_again():
            self._change_publisher(self.loaded)
            self.status_server.start()
            self.report("disk", SensorState.OK, "it takes what is written again; alerts that waited are stored")
        children = [s.pid for s in self.sensors.values() if isinstance(s, ChildSensor) and s.pid is not None]
        reports = [*self.box.reports(now), self.governor.look(now, children)]
        if (heard := self.gnss.report(now)) is not None:
            reports.append(heard)
        for name, sentence in self.coverage.fallen(now.t_s).items():
            source = f"reach:{name}"
            reports.append(SensorHealth(at_s=now.t_s, source=source, state=SensorState.DEGRADED, sentence=sentence))
        for health in reports:
            last = self._box_said.get(health.source)
            if last is None or last.state is not health.state or now.t_s - last.at_s >= BOX_REPORT_S:
                self._box_said[health.source] = health
                self._emit(health.source, health)

    def watchdog_wait_s(self) -> float:
        """How long the main thread may sleep between two feedings."""
        return min(watchdog_period_s() or 5.0, 5.0)

    def report(self, source: str, state: SensorState, sentence: str) -> None:
        """A health report of the box itself, e.g. a configuration that was refused."""
        self._emit(source, SensorHealth(at_s=self.clock.now().t_s, source=source, state=state, sentence=sentence))

    def status(self) -> dict[str, Any]:
        """What `vigia status` prints."""
        engine = self.engine
        picture = engine.picture
        later_s = self.governor.delay_s() if any(isinstance(s, ChildSensor) for s in self.sensors.values()) else 0.0
        return {
            "node": self.loaded.config.site.node_id,
            "version": __version__,
            "pid": os.getpid(),
            "config": self.loaded.path,
            "config_digest": self.loaded.digest[:16],
            "sensors": {
                name: {"state": h.state.value, "evidence": h.sentence, "counters": dict(h.counters)}
                for name, h in sorted(engine.health.items())
            },
            "registration": {
                n: {
                    "trusted": b.trusted,
                    "evidence": b.sentence,
                    "range_m": round(b.range_m, 1),
                    "bearing_deg": round(b.bearing_deg, 3),
                    "taken_off_m": round(m, 1),
                    "taken_off_deg": round(d, 3),
                }
                for n, (b, m, d) in sorted(engine.core.registrations.items())
            },
            "rules": {
                n: {"suspended": r.suspended, "evidence": r.sentence, "delay_s": later_s}
                for n, r in sorted(engine.rules.items())
            },
            "power": {"delay_s": later_s, "evidence": self.governor.sentence(), **self.governor.values},
            "tracks": 0 if picture is None else len(picture.tracks),
            "open_alerts": len(engine.open_alerts),
            "events_dropped": dict(self.intake.dropped),
            "events_late": dict(self.intake.late),
            "coverage": self.coverage.polygons(),
            "page": self.page.url if self.page is not None else None,
            "publish": self._publisher_status(),
            "judgements": dict(self.officer.judgements),
        }

    def _publisher_status(self) -> dict[str, Any]:
        """The publisher's figures; the last ones with the reason when its outbox can no longer be read (a dead disk).

        Its thread then makes no progress, so that systemd starts the box anew after the watchdog's time.
        """
        try:
            self._published = self.publisher.status()
        except VigiaError as e:
            self._published = {**self._published, "connected": False, "last_error": str(e)}
        return self._published

    def set_link_profile(self, name: str) -> None:
        """Another link profile until the next reload or start."""
        publish = self.loaded.config.publish.with_profile(name)
        self._change_publisher(self.loaded, publish)
        log.info("the link profile is %s now", name)

    def _make_publisher(self, loaded: LoadedConfig, publish: Publish | None = None) -> Publisher:
        c = loaded.config

        def make(kind: type[Publisher], outbox: Outbox, boot: int | None) -> Publisher:
            return kind(
                publish or c.publish,
                c.site,
                outbox,
                self.clock,
                self._on_publish_health,
                boot=boot,
                sensors=[s.name for s in c.sensor],
                rules=[(r.kind, r.name) for r in c.rule],
                zones=[z.name for z in c.zone],
                key=self.key,
                carry_out=self.officer.carry_out if kind is Publisher else None,
            )

        return self.storage.publisher(make)

    def _change_publisher(self, loaded: LoadedConfig, publish: Publish | None = None) -> None:
        """One publisher is one boot with one birth: another configuration is another publisher on the same outbox."""
        old, self.publisher = self.publisher, self._make_publisher(loaded, publish)
        self.engine.sink = self.publisher
        old.stop(2.0)
        self.publisher.start()

    def _start_sensor(self, sensor: Sensor) -> None:
        if not sensor.enabled:
            return
        spec = driver_spec(sensor.driver)
        worker: LineSensor | ChildSensor
        if spec.runs == "thread":
            worker = LineSensor(sensor, self.clock, self._emit)
        else:
            height_m = self.loaded.config.site.height_m
            worker = ChildSensor(
                sensor, spec.runs, height_m, self.directory, self.clock, self._emit, self._desk, self._power
            )
        self.sensors[sensor.name] = worker
        worker.start()

    def _stop_sensors(self, names: list[str]) -> None:
        threads = [threading.Thread(target=self.sensors[n].stop) for n in names]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for n in names:
            del self.sensors[n]

    def _watch_the_box(self, loaded: LoadedConfig) -> None:
        publish = loaded.config.publish
        certificates = [Path(p) for p in (publish.cert_file, publish.ca_file) if p is not None]
        self.box = BoxHealth(self.directory, certificates)
        self.coverage = Coverage(loaded.config)
        self.gnss = GnssWatch(loaded.config.site)
        self.governor = Governor(loaded.config.power, loaded.config.site)

    def _power(self) -> Governor:
        """The governor, which knows what is in the picture now: asked by the children's threads."""
        self.governor.watch(self.clock.now().t_s, self.engine.picture, list(self.engine.open_alerts.values()))
        return self.governor

    def _emit(self, source: str, message: Measurement) -> None:
        self.coverage.take(source, message)
        self.gnss.take(message, self.clock.now())
        self.intake.put(source, message)

    def _on_publish_health(self, health: SensorHealth) -> None:
        self._emit(health.source, health)


def _same_but_model(old: Sensor, new: Sensor) -> bool:
    """Nothing differs but the model of a camera: it is swapped without closing the camera."""
    model_keys = {"model", "threads", "providers"}
    kept = [{k: v for k, v in s.options.items() if k not in model_keys} for s in (old, new)]
    same = kept[0] == kept[1] and old.model_copy(update={"options": {}}) == new.model_copy(update={"options": {}})
    return same and (old == new or new.driver == "camera")
