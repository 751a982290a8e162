"""Example: vigia run -c /etc/vigia/vigia.toml.

Signals: TERM and INT end it in order, HUP reloads the configuration, USR1 dumps all stacks to stderr.
"""

from __future__ import annotations

import faulthandler
import fcntl
import gc
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from agent.config.load import ConfigProblems
from agent.errors import ConfigError, InternalError, SensorUnavailable, VigiaError
from agent.messages import SensorState
from agent.runtime import configuration
from agent.runtime.journal import setup_logging

if TYPE_CHECKING:
    import argparse

    from agent.config.load import LoadedConfig
    from agent.runtime.supervisor import Agent

HELP = "The daemon: reads the sensors, tracks, alerts and publishes until it is told to stop."
log = logging.getLogger("vigia")
LAST_GOOD = "last-good.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia run`."""
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--state", type=Path, metavar="DIR", help="instead of [storage] directory")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--until-finished", action="store_true", help="end when all recordings are over")


def run(args: argparse.Namespace) -> int:
    """Run until stopped."""
    setup_logging(args.log_format, args.log_level)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    loaded, rejected = _load_or_last_good(args.config, args.state)
    directory = args.state or Path(loaded.config.storage.directory)
    lock = _lock(directory)
    stop, reload = threading.Event(), threading.Event()
    wake = threading.Event()
    _on_signals(stop, reload, wake)
    from agent.runtime.supervisor import Agent  # noqa: PLC0415 - a bad configuration is told before the costly imports

    try:
        agent = Agent(loaded, directory)
    except ConfigError as e:  # e.g. a key file that is not there
        if rejected is not None or not (directory / LAST_GOOD).exists():
            lock.close()
            raise
        log.error("%s cannot be used: %s; running on the last good configuration", args.config, e)  # noqa: TRY400 - as below
        rejected = str(e)
        agent = Agent(configuration.load(directory / LAST_GOOD), directory)
    try:
        agent.start()
        gc.collect()
        gc.freeze()  # a full collection, which comes in the middle of a tick, need not walk through all modules
        if rejected is None:
            _keep(directory / LAST_GOOD, loaded.text)
        else:
            agent.report("config", SensorState.DEGRADED, f"config_rejected: the last good one runs; {rejected}")
        while not stop.is_set():
            agent.feed_watchdog()
            agent.check_box()
            wake.wait(min(agent.watchdog_wait_s(), 0.5 if args.until_finished else 5.0))
            wake.clear()
            if reload.is_set():
                reload.clear()
                _reload(agent, args.config)
            if not agent.engine.alive():
                raise InternalError("the core has ended on an unexpected error, see above; ending, to be started anew")
            if args.until_finished and agent.finished():
                time.sleep(2.0)  # what the last bytes set off shall still reach the core
                break
    finally:
        agent.stop()
        lock.close()
    return 0


def _load_or_last_good(path: Path, state: Path | None) -> tuple[LoadedConfig, str | None]:
    """The configuration, or the last good one with the reason why the new one was refused.

    Raises:
        ConfigProblems: the configuration is bad and there is no last good one.

    """
    try:
        return configuration.load(path), None
    except ConfigProblems as e:
        directory = state or Path(os.environ.get("STATE_DIRECTORY", "/var/lib/vigia").split(":")[0])
        last_good = directory / LAST_GOOD
        if not last_good.exists():
            raise
        for problem in e.problems:
            log.error("%s", problem)  # noqa: TRY400 - the sentence is the point, not the trace
        log.error("%s is refused; running on the last good configuration %s", path, last_good)  # noqa: TRY400 - as above
        return configuration.load(last_good), str(e.problems[0])


def _reload(agent: Agent, path: Path) -> None:
    try:
        loaded = configuration.load(path)
    except VigiaError as e:
        log.error("reload refused, nothing changed: %s", e)  # noqa: TRY400 - the sentence is the point, not the trace
        agent.report("config", SensorState.DEGRADED, f"config_rejected: {str(e).splitlines()[0]}")
        return
    later = _not_before_a_start(agent.loaded, loaded)
    try:
        agent.reload(loaded)
    except VigiaError as e:
        log.error("reload refused, the old configuration goes on: %s", e)  # noqa: TRY400 - as above
        agent.report("config", SensorState.DEGRADED, f"config_rejected: {e}")
        return
    _keep(agent.directory / LAST_GOOD, loaded.text)
    if later:
        sentence = f"configuration reloaded; {', '.join(later)} will hold from the next start on"
        log.warning("%s: systemctl restart vigia", sentence)
        agent.report("config", SensorState.DEGRADED, sentence)
    else:
        agent.report("config", SensorState.OK, "configuration reloaded")


def _not_before_a_start(old: LoadedConfig, new: LoadedConfig) -> list[str]:
    """Changed keys that a running daemon cannot take up."""
    a, b = old.config, new.config
    pairs = {
        "tracking.tick_s": (a.tracking.tick_s, b.tracking.tick_s),
        "tracking.reorder_s": (a.tracking.reorder_s, b.tracking.reorder_s),
        "storage": (a.storage, b.storage), "web": (a.web, b.web), "metrics": (a.metrics, b.metrics),
        "publish.outbox_max_bytes": (a.publish.outbox_max_bytes, b.publish.outbox_max_bytes),
        "publish.sign": (a.publish.sign, b.publish.sign),
    }  # fmt: skip
    return [key for key, (before, after) in pairs.items() if before != after]


def _keep(path: Path, text: str) -> None:
    """Store the last good configuration, whole or not at all; a disk that refuses is no reason to stop the watch."""
    aside = path.with_suffix(".new")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as e:
        log.warning("%s cannot be written: %s; free space", path, e.strerror)


def _on_signals(stop: threading.Event, reload: threading.Event, wake: threading.Event) -> None:
    def end(*_: object) -> None:
        stop.set()
        wake.set()

    def again(*_: object) -> None:
        reload.set()
        wake.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, again)


def _lock(directory: Path) -> TextIO:
    """One daemon per state directory."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except OSError as e:
        raise SensorUnavailable(
            f"the state directory {directory} cannot be used: {e.strerror}; set [storage] directory or --state"
        ) from e
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        lock.close()
        raise SensorUnavailable(f"another vigia already runs on {directory}; stop it, or give --state DIR") from e
    return lock
