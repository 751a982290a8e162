"""The box's own health: heat, throttling, disk, memory, clock, certificates; and alarms before things break.

Promises:
- what a box does not have (a thermometer, a memory limit) is left out, never invented;
- a state is left only when the value is well back (`BACK`), so that it does not flap around a limit;
- everything is read from files, below `root`, so that a test can be any box.

Sources: sysfs ABI (thermal_zone*/temp in millidegrees; cpu*/thermal_throttle/core_throttle_count), Raspberry Pi
firmware's get_throttled bits, cgroup v2 (memory.current, memory.high), timesyncd's
/run/systemd/timesync/synchronized.
"""

from __future__ import annotations

import base64
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.clock import SYNCED_ERROR_MS
from agent.messages import SensorHealth, SensorState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.messages import Stamp

HOT_C = 80.0  # common processors throttle from 80 to 85 degrees
DISK_FREE_MIN = 256 * 1024**2
MEMORY_FREE_SHARE = 0.08
CERTIFICATE_DAYS = 30.0
BACK = 0.05  # how far inside the limit a value has to be before its alarm ends
UNSYNCED_S = 900.0  # a box that has just started may take a while to find its time servers
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was measured, by name with the unit; and what is wrong with it, one sentence each."""

    values: dict[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class BoxHealth:
    """Ask it now and then with `reports`."""

    def __init__(self, state: Path, certificates: Sequence[Path] = (), root: Path = Path("/")) -> None:
        self._state = state
        self._certificates = tuple(certificates)
        self._root = root
        self._bad: set[str] = set()
        self._throttles: float | None = None
        self._unsynced_since_s: float | None = None

    def reports(self, now: Stamp) -> tuple[SensorHealth, ...]:
        """Health of `box`, `clock` and, where there are any, `certificate`."""
        out = [_health("box", now, self.box()), _health("clock", now, self.clock(now))]
        if self._certificates:
            out.append(_health("certificate", now, self.certificates(now.wall_s)))
        return tuple(out)

    def box(self) -> Reading:
        """Heat, throttling, disk and memory."""
        values: dict[str, float] = {}
        problems = []
        if (heat := max(self._numbers("sys/class/thermal/thermal_zone*/temp"), default=None)) is not None:
            values["temperature_c"] = round(heat / 1000.0, 1)
            if self._beyond("hot", values["temperature_c"] / HOT_C):
                problems.append(
                    f"the processor is at {values['temperature_c']:.0f} degrees: shade and air, or less work"
                )
        problems += self._throttled(values)
        problems += self._disk(values)
        problems += self._memory(values)
        return Reading(values=values, problems=tuple(problems))

    def clock(self, now: Stamp) -> Reading:
        """Where the time comes from and how good it is."""
        synced = now.error_ms <= SYNCED_ERROR_MS
        if synced:
            self._unsynced_since_s = None
        elif self._unsynced_since_s is None:
            self._unsynced_since_s = now.t_s
        problems = []
        if self._unsynced_since_s is not None and now.t_s - self._unsynced_since_s >= UNSYNCED_S:
            problems.append("the clock is not set by any time server: times of alerts may be off; check NTP or GNSS")
        return Reading(values={"synced": float(synced), "error_ms": now.error_ms}, problems=tuple(problems))

    def certificates(self, wall_s: float) -> Reading:
        """Days until the first of the configured certificates runs out."""
        days: dict[Path, float] = {}
        problems = []
        for path in self._certificates:
            try:
                days[path] = (min(not_after(path.read_text(encoding="ascii"))) - wall_s) / 86_400.0
            except (OSError, ValueError) as e:
                problems.append(f"{path} cannot be read as a certificate: {e}")
        for path, left in days.items():
            if left < 0.0:
                problems.append(f"{path} ran out {-left:.0f} days ago: the broker will refuse the box; renew it")
            elif left < CERTIFICATE_DAYS:
                problems.append(f"{path} runs out in {left:.0f} days: renew it before")
        return Reading(values={"days": round(min(days.values()), 1)} if days else {}, problems=tuple(problems))

    def _throttled(self, values: dict[str, float]) -> Iterator[str]:
        """Intel's counter of throttlings grows; the Raspberry Pi says what it suffers from now."""
        count = sum(self._numbers("sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"))
        before, self._throttles = self._throttles, count
        if before is not None and count > before:
            values["throttlings"] = count - before
            yield f"the processor was slowed down {count - before:.0f} times because of heat"
        for path in self._root.glob("sys/devices/platform/soc/soc:firmware/get_throttled"):
            bits = int(path.read_text(encoding="ascii").strip(), 16)
            values["throttled_bits"] = float(bits)
            if bits & 0x1:
                yield "the supply voltage is too low: another power supply or a shorter cable"
            if bits & 0x6:
                yield "the processor is slowed down now"

    def _disk(self, values: dict[str, float]) -> Iterator[str]:
        try:
            disk = os.statvfs(self._state)
        except OSError as e:
            yield f"{self._state} cannot be looked at: {e.strerror}; mend the disk"
            return
        free = disk.f_bavail * disk.f_frsize
        values["disk_free_mb"] = round(free / 1e6)
        if self._beyond("disk", DISK_FREE_MIN / max(free, 1)):
            yield f"only {values['disk_free_mb']:.0f} MB are free in {self._state}: free space"
        if disk.f_files and self._beyond("inodes", 0.02 * disk.f_files / max(disk.f_favail, 0.01)):
            yield f"{self._state} has room for only {disk.f_favail} more files"

    def _memory(self, values: dict[str, float]) -> Iterator[str]:
        total, free = 0.0, 0.0
        try:
            for line in (self._root / "proc/meminfo").read_text(encoding="ascii").splitlines():
                name, _, rest = line.partition(":")
                if name in ("MemTotal", "MemAvailable"):
                    kib = float(rest.split()[0])
                    total, free = (kib, free) if name == "MemTotal" else (total, kib)
        except OSError:
            return
        values["memory_free_mb"] = round(free / 1e3)
        if total and self._beyond("memory", MEMORY_FREE_SHARE * total / max(free, 1.0)):
            yield f"only {values['memory_free_mb']:.0f} MB of memory are free"
        try:
            group = (self._root / "proc/self/cgroup").read_text(encoding="ascii").strip().rpartition("::/")[2]
            at = self._root / "sys/fs/cgroup" / group
            limit, used = (at / "memory.high").read_text(encoding="ascii"), (at / "memory.current").read_text("ascii")
        except OSError:
            return
        values["memory_used_mb"] = round(float(used) / 1e6)
        if limit.strip() != "max" and self._beyond("own memory", float(used) / float(limit)):
            yield f"the agent uses {values['memory_used_mb']:.0f} MB, its limit is {float(limit) / 1e6:.0f} MB"

    def _beyond(self, name: str, share: float) -> bool:
        """Whether a value is over its limit (`share` > 1), with some reluctance to come back."""
        bad = share >= (1.0 - BACK if name in self._bad else 1.0)
        (self._bad.add if bad else self._bad.discard)(name)
        return bad

    def _numbers(self, pattern: str) -> Iterator[float]:
        for path in self._root.glob(pattern):
            try:
                yield float(path.read_text(encoding="ascii"))
            except (OSError, ValueError):
                continue  # a thermometer that is switched off says so when it is read


def not_after(pem: str) -> list[float]:
    """When each certificate of a PEM text runs out, Unix s.

    Raises:
        ValueError: there is none, or it is not X.509 (RFC 5280, section 4.1: the second time of Validity).

    """
    found = [_validity(base64.b64decode(body)) for body in _PEM.findall(pem)]
    if not found:
        raise ValueError("there is no certificate in it")
    return found


def _validity(der: bytes) -> float:
    try:
        _, certificate, _ = _element(der, 0)
        _, body, _ = _element(certificate, 0)
        at = 0
        tag, _, after = _element(body, at)
        at = after if tag == 0xA0 else 0  # [0] version, where it is given
        for _ in range(3):  # serial number, signature algorithm, issuer
            _, _, at = _element(body, at)
        _, validity, _ = _element(body, at)
        _, _, at = _element(validity, 0)
        tag, text, _ = _element(validity, at)
        form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
        parsed = time.strptime(text.decode("ascii"), form)
    except (IndexError, ValueError) as e:
        raise ValueError("not an X.509 certificate") from e
    return float(_utc(parsed))


def _utc(t: time.struct_time) -> int:
    import calendar  # noqa: PLC0415 - only where there are certificates

    return calendar.timegm(t)


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """(tag, content, where the next one begins) of a DER element; IndexError beyond the end."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    if start + length > len(data):
        raise IndexError
    return tag, data[start : start + length], start + length


def _health(source: str, now: Stamp, reading: Reading) -> SensorHealth:
    state = SensorState.DEGRADED if reading.problems else SensorState.OK
    sentence = "; ".join(reading.problems) or "good"
    return SensorHealth(
        at_s=now.t_s, source=source, state=state, sentence=sentence, counters=tuple(sorted(reading.values.items()))
    )
