"""Vigía's types to the payloads of wire.py, for one boot.

Promises:
- what is encoded, `wire.decode*` reads with the birth as it stood then, or a newer edition of it;
- a name that comes for the first time goes into the birth, and with it the edition grows;
- nothing is refused but an alert without a finite position: what is too long is cut, a number that does not fit is
  rounded to within 0.1 %.
"""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.publish import birth as births
from agent.publish import cbor, cose, kinematics
from agent.publish.birth import VERSION, Birth, Tables
from agent.publish.wire import (
    ALERT_STATES,
    HEALTH_MAX_BYTES,
    LIKELIHOODS,
    OTHER_REASON,
    SENSOR_STATES,
    SENTENCE_MAX_BYTES,
    SEVERITIES,
    Loss,
    topic,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.messages import Alert, SensorHealth, Track
    from agent.publish.cose import NodeKey

_SEQ_MAX = (1 << 32) - 1  # what is planned for: a message with a larger number has one counter less


class Encoder:
    """Vigía's types to payloads of one boot. `born_at_s` is logic time (`at_s`) at the birth."""

    def __init__(
        self, birth: Birth, born_at_s: float, key: NodeKey | None = None, mac_secret: bytes | None = None
    ) -> None:
        self.key = key
        self._mac_secret = mac_secret
        self.tables = Tables(birth)
        self.born_at_s = born_at_s
        self._birth = (0, b"")

    def birth(self) -> bytes:
        """The birth as it stands now."""
        if self._birth[0] != self.tables.edition:
            self._birth = (self.tables.edition, births.encode(self.tables.birth, self.key))
        return self._birth[1]

    def alert(self, alert: Alert, seq: int) -> bytes:
        """`[v, boot16, seq, t, label, id, revision, situation - id, rule, zone, why, track, k]`, and a MAC if it can.

        Raises:
            ProtocolError: the alert's track has no finite position.

        """
        tables = self.tables
        flags = (
            ALERT_STATES.index(alert.state)
            | SEVERITIES.index(alert.severity) << 2
            | LIKELIHOODS.index(alert.likelihood) << 4
            | alert.exercise << 6
        )
        reasons = (min(OTHER_REASON, tables.index("reasons", code)) for code in alert.reason_codes)
        row = [
            *self.head(seq, alert.at_s), alert.id, alert.revision, alert.situation - alert.id,
            tables.index("rules", (alert.rule, alert.rule_name)),
            None if alert.zone is None else tables.index("zones", alert.zone),
            bytes([flags, *reasons]), alert.track.id, self.kinematics(alert.track, alert.at_s),
        ]  # fmt: skip
        if self._mac_secret is None:
            return cbor.dumps(row)
        return cose.append_mac(row, self.topic("a").encode(), self._mac_secret)

    def tracks(self, tracks: Sequence[tuple[int, bytes]], seq: int, at_s: float, *, sign: bool = False) -> bytes:
        """`[v, boot16, seq, t, label, *(track, k)]` of (track id, its `kinematics`); null and a signature to `sign`."""
        row = [*self.head(seq, at_s), *(x for pair in tracks for x in pair)]
        if not sign or self.key is None:
            return cbor.dumps(row)
        return cose.append_signature([*row, None], self.topic("t").encode(), self.key)

    def kinematics(self, track: Track, at_s: float, *, identity: bool = True) -> bytes:
        """`k` of a track in a message of `at_s`; without `identity` its MMSI is left out."""
        class_index = None if track.class_ is None else self.tables.index("classes", track.class_)
        k = kinematics.from_track(
            track, dt_s=track.at_s - at_s, class_index=class_index, sources=self.tables.mask(track.sources)
        )
        return kinematics.pack(k if identity else _anonymous(k), self.tables.birth.ref_e5)

    def health(self, health: SensorHealth, seq: int, note: int | None = None) -> bytes:
        """`[v, boot16, seq, t, label, sensor, state, null, *(counter, value), null, note]`.

        `note` is the number of the sentence; a repeat leaves it out, with the null before it. As many counters as fit
        into `HEALTH_MAX_BYTES`, in their order.
        """
        end = [] if note is None else [None, note]
        start = [
            *self.head(seq, health.at_s), self.tables.index("sensors", health.source),
            SENSOR_STATES.index(health.state), None,
        ]  # fmt: skip
        payload = cbor.dumps(start + end)
        for pair in self._counters(health.counters):
            start += pair
            longer = cbor.dumps(start + end)
            if len(longer) > HEALTH_MAX_BYTES:
                break
            payload = longer
        return payload

    def left_out(self, health: SensorHealth, note: int) -> tuple[tuple[str, float], ...]:
        """Counters that may not have fitted into a health message."""
        row = cbor.loads(self.health(health, _SEQ_MAX, note))
        return health.counters[(row.index(None, 8) - 8) // 2 :]

    def note(self, health: SensorHealth, seq: int, note: int, *, told: bool = False) -> bytes:
        """`[v, boot16, seq, t, label, note, sentence, sensor, *(counter, value)]`; null for a `told` sentence."""
        return cbor.dumps([
            *self.head(seq, health.at_s), note, None if told else _clip(health.sentence),
            self.tables.index("sensors", health.source),
            *(x for pair in self._counters(self.left_out(health, note)) for x in pair),
        ])  # fmt: skip

    def _counters(self, counters: Sequence[tuple[str, float]]) -> list[list[Any]]:
        return [[self.tables.index("counters", name), _number(value)] for name, value in counters]

    def loss(self, loss: Loss, seq: int, at_s: float) -> bytes:
        """`[v, boot16, seq, t, label, lost boot, [*[from, to]], alerts, others]`."""
        return cbor.dumps([*self.head(seq, at_s), loss.boot, loss.ranges, loss.alerts, loss.others])

    def state(self, at_s: float, *, online: bool, by_picture: bool) -> bytes:
        """`[v, boot, t, online, who acknowledges]`: retained on `s1/<node>/u/s`."""
        return cbor.dumps([VERSION, self.tables.birth.boot, self._t_ds(at_s), int(online), int(by_picture)])

    def head(self, seq: int, at_s: float) -> tuple[int, int, int, int, int]:
        """`v, boot16, seq, t, label`: what every message starts with."""
        return VERSION, self.tables.birth.boot16, seq, self._t_ds(at_s), 0

    def topic(self, kind: str) -> str:
        """Where this node says a kind of thing."""
        return topic(self.tables.birth.node, "u", kind)

    def _t_ds(self, at_s: float) -> int:
        return round((at_s - self.born_at_s) * 10)


def _anonymous(k: kinematics.Kinematics) -> kinematics.Kinematics:
    return replace(k, mmsi=None)


def _clip(text: str) -> str:
    """At most `SENTENCE_MAX_BYTES` of UTF-8, cut between characters."""
    return text.encode(errors="replace")[:SENTENCE_MAX_BYTES].decode(errors="ignore")


def _number(value: float) -> float:
    """The shortest CBOR number within 0.1 %: an integer, else a half float, else a single one."""
    if not math.isfinite(value):
        return math.nan
    if value == int(value) and abs(value) < 1 << 31:
        return int(value)
    for fmt in (">e", ">f"):
        try:
            rounded: float = struct.unpack(fmt, struct.pack(fmt, value))[0]
        except OverflowError:
            continue
        if abs(rounded - value) <= 1e-3 * abs(value):
            return rounded
    return value
