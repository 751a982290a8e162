"""What this box does when the picture asks for it, after agent/publish/commands.py has found that it may.

Promises:
- `carry_out` says in one sentence what it did, or raises a `VigiaError` that says why not; it may take seconds;
- nothing here changes what the core sees: a judgement of an alert is kept and shown, the alert goes its own way.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from agent.config.schema import LINK_PROFILES
from agent.errors import ProtocolError, SensorUnavailable
from agent.messages import Severity
from agent.record.retention import evidence_name
from agent.runtime.children import ChildSensor

if TYPE_CHECKING:
    from agent.publish.commands import Command
    from agent.runtime.supervisor import Agent

JUDGEMENTS_KEPT = 200
PICTURE_S = 8.0
CLIP_AFTER_S = 10.0  # where the camera does not say otherwise
PROFILE_AFTER_S = 1.0  # the reply goes out under the old profile: the new one is a new boot
_PAST = {"acknowledge": "acknowledged", "reject": "rejected"}


class Officer:
    """Carries commands out on an agent. `judgements` are what the picture's people said of alerts, by alert id."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.judgements: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def carry_out(self, command: Command) -> str:
        """Do it.

        Raises:
            ProtocolError: an argument is missing or wrong.
            SensorUnavailable: the camera does not give a picture.

        """
        if command.name == "snapshot":
            return self._snapshot(command)
        if command.name == "clip":
            return self._clip(command)
        if command.name == "profile":
            return self._profile(str(command.args.get("profile", "")))
        return self._judge(command)

    def _camera(self, command: Command) -> tuple[str, ChildSensor]:
        name = str(command.args.get("sensor", ""))
        sensor = self._agent.sensors.get(name)
        if not isinstance(sensor, ChildSensor) or sensor.sensor.driver != "camera":
            raise ProtocolError(f"this box has no camera {name!r}")
        return name, sensor

    def _clip(self, command: Command) -> str:
        """A clip around now; it stays on the box: nobody waits for megabytes on a box's link."""
        name, sensor = self._camera(command)
        file = evidence_name(f"asked-{command.id.hex()}", name, Severity.HIGH, "mp4")
        sensor.ask_clip(file)
        wait_s = PICTURE_S + float(sensor.sensor.options.get("clip_after_s", CLIP_AFTER_S))
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if file in sensor.clips:
                size, sentence = sensor.clips[file]
                if size:
                    return f"evidence/{file} on the box: {sentence}, {size} bytes"
                raise SensorUnavailable(f"{name}: {sentence}")
            time.sleep(0.1)
        raise SensorUnavailable(f"the camera {name} made no clip within {wait_s:g} s")

    def _snapshot(self, command: Command) -> str:
        name, sensor = self._camera(command)
        before = sensor.picture()
        sensor.ask_picture()
        deadline = time.monotonic() + PICTURE_S
        while time.monotonic() < deadline:
            picture = sensor.picture()
            if picture is not None and picture != before:
                self._agent.publisher.send_image(name, command.id, picture[1])
                return f"a picture of {len(picture[1])} bytes is on its way"
            time.sleep(0.1)
        raise SensorUnavailable(f"the camera {name} gave no picture within {PICTURE_S:g} s")

    def _profile(self, name: str) -> str:
        if name not in LINK_PROFILES:
            raise ProtocolError(f"there is no link profile {name!r}: {', '.join(LINK_PROFILES)}")
        change = threading.Timer(PROFILE_AFTER_S, self._agent.set_link_profile, [name])
        change.daemon = True
        change.start()
        return f"the link profile is {name} until the next reload or start"

    def _judge(self, command: Command) -> str:
        alert_id = command.args.get("alert")
        if not isinstance(alert_id, int):
            raise ProtocolError("a judgement names the alert by its number")
        judgement = {"verdict": command.name, "by": str(command.args.get("by", "")), "at": command.issued_s}
        reason = str(command.args.get("reason", ""))
        self.judgements[alert_id] = {**judgement, "reason": reason} if reason else judgement
        while len(self.judgements) > JUDGEMENTS_KEPT:
            self.judgements.popitem(last=False)
        known = alert_id in self._agent.engine.open_alerts
        return f"alert {alert_id} is noted as {_PAST[command.name]}" + ("" if known else "; it is not open any more")
