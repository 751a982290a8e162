"""The operator's page, seen from the daemon: a process of its own, fed with a snapshot a second.

Promises:
- a page that is slow, dead or attacked costs the watch nothing: it gets what is newest when it can take it;
- pictures are asked of a camera only while somebody looks at them;
- its token is made on the box, in a file of the state directory that only its user reads (`page.token`, 0600).
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from agent.errors import ConfigError, SensorUnavailable, VigiaError
from agent.record.output_json import alert_json, track_json
from agent.runtime.channel import Channel, ChannelClosed
from agent.runtime.children import ChildSensor

if TYPE_CHECKING:
    from pathlib import Path

    from agent.runtime.supervisor import Agent

log = logging.getLogger("vigia.page")
RESTART_S = 5.0
TOKEN = "page.token"  # noqa: S105 - the file's name


class Page:
    """Starts the page's process and feeds it."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.url: str | None = None  # where it answers; None while it does not
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        """Start the page's process, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End it. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._serve(token_of(self._agent.directory))
            except ChannelClosed as e:
                log.warning("the page's process ended (%s); starting it again in %g s", e, RESTART_S)
            except VigiaError as e:
                log.warning("there is no page: %s", e)
            self._stop.wait(RESTART_S)

    def _serve(self, token: str) -> None:
        """One life of the process.

        Raises:
            ChannelClosed: it ended by itself.

        """
        ours, theirs = socket.socketpair()
        port = self._agent.loaded.config.web.port
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "agent.web.server", str(theirs.fileno()), str(port)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        channel = Channel(ours)
        try:
            channel.send(["token", token])
            self._feed(channel)
        finally:
            self.url = None
            channel.close()
            process.terminate()
            process.wait()

    def _feed(self, channel: Channel) -> None:
        sent: dict[str, float] = {}
        while not self._stop.is_set():
            channel.send(["snapshot", json.dumps(self._snapshot(), ensure_ascii=False)])
            for name, sensor in list(self._agent.sensors.items()):
                picture = sensor.picture() if isinstance(sensor, ChildSensor) else None
                if picture is not None and sent.get(name) != picture[0]:
                    sent[name] = picture[0]
                    channel.send(["picture", name, picture[1]])
            message = channel.recv(0.5)
            while message is not None:
                self._handle(message)
                message = channel.recv(0.01)

    def _handle(self, message: list[Any]) -> None:
        if message[0] == "ready":
            self.url = f"http://127.0.0.1:{message[1]}/"
            log.info("the page is at %s; `vigia status --page` gives the link with its token", self.url)
        elif message[0] == "want":
            sensor = self._agent.sensors.get(str(message[1]))
            if isinstance(sensor, ChildSensor):
                sensor.ask_picture()

    def _snapshot(self) -> dict[str, Any]:
        engine, config = self._agent.engine, self._agent.loaded.config
        tracks = engine.picture.tracks if engine.picture is not None else ()
        return {
            "site": config.site.model_dump(include={"name", "lat", "lon", "height_m", "exercise"}),
            "zones": [{"name": z.name, "polygon": z.polygon} for z in config.zone],
            "at": self._agent.clock.now().wall_s,
            "tracks": [track_json(t) for t in tracks],
            "alerts": [alert_json(a) for a in list(engine.open_alerts.values())],
            "cameras": [s.name for s in config.sensor if s.driver == "camera" and s.enabled],
            "status": self._agent.status(),
        }


def token_of(directory: Path) -> str:
    """The page's token; made on first use, or when its file is empty (a full disk).

    Raises:
        ConfigError: others may read the file.
        SensorUnavailable: it cannot be read or made.

    """
    path = directory / TOKEN
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "r+", encoding="ascii") as f:
            if os.fstat(handle).st_mode & 0o077:
                raise ConfigError(f"{path} is readable by others: chmod 600 {path}")
            if not (token := f.read().strip()):
                token = secrets.token_urlsafe(32)
                f.write(token + "\n")
    except OSError as e:
        raise SensorUnavailable(f"{path} cannot be used: {e.strerror}; mend it, or set [web] enabled = false") from e
    return token


def link(status: dict[str, Any], directory: Path) -> str:
    """The link that opens the page, from what the daemon says of itself and its token's file.

    Raises:
        SensorUnavailable: there is no page, or this user may not read the token.

    """
    if not (url := status.get("page")):
        raise SensorUnavailable("the page does not answer: set [web] enabled = true and start the daemon anew")
    try:
        return f"{url}?token={(directory / TOKEN).read_text(encoding='ascii').strip()}"
    except OSError as e:
        why = f"{e.filename} cannot be read: {e.strerror}"
        raise SensorUnavailable(f"{why}; ask as root: sudo vigia status --page") from e
