"""Which tracks are worth sending: dead reckoning on both ends.

Promises:
- the box extrapolates the very numbers that the receiver got (quantised as sent), so it knows the receiver's error;
- an update goes out when that error would pass `error_m` before the next chance to send, when what was sent is older
  than `max_age_s`, and always when a track is new, has ended, or changed its class or MMSI;
- tentative tracks are not sent; a track that was sent and is gone is sent once more, as lost;
- only what was really sent counts: `sent` is called after the message went out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.messages import TrackStatus
from agent.publish import kinematics
from agent.publish.wire import NO_MMSI

if TYPE_CHECKING:
    from agent.geo import LocalFrame
    from agent.messages import Track, TrackPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A track to send. `identity`: with its MMSI, which receivers remember between updates."""

    track: Track
    identity: bool
    urgency: float  # predicted error over the limit; infinite for a beginning, an end or a change


@dataclass(frozen=True, slots=True, kw_only=True)
class _Belief:
    """What receivers know of a track."""

    track: Track
    lat: float
    lon: float
    cog_deg: float
    sog_mps: float
    at_s: float
    identified_s: float


class Thinner:
    """Keeps what receivers believe. `horizon_s` is the time until the next chance to send."""

    def __init__(self, frame: LocalFrame, *, error_m: float, max_age_s: float, horizon_s: float) -> None:
        self._frame = frame
        self._error_m = error_m
        self._max_age_s = max_age_s
        self._horizon_s = horizon_s
        self._beliefs: dict[int, _Belief] = {}

    def pace(self, *, error_m: float, max_age_s: float, horizon_s: float) -> None:
        """Other limits from now on."""
        self._error_m, self._max_age_s, self._horizon_s = error_m, max_age_s, horizon_s

    def due(self, picture: TrackPicture) -> list[Update]:
        """Tracks to send now, the most urgent first."""
        updates = []
        seen = set()
        for track in picture.tracks:
            seen.add(track.id)
            update = self._judge(track, picture.at_s)
            if update is not None:
                updates.append(update)
        for track_id, belief in self._beliefs.items():
            if track_id not in seen:
                updates.append(Update(track=_ended(belief, picture.at_s), identity=False, urgency=float("inf")))
        return sorted(updates, key=lambda u: -u.urgency)

    def sent(self, updates: list[Update]) -> None:
        """These have gone out."""
        for update in updates:
            track = update.track
            if track.status is TrackStatus.LOST:
                self._beliefs.pop(track.id, None)
                continue
            before = self._beliefs.get(track.id)
            k = kinematics.unpack(kinematics.pack(kinematics.from_track(track), (0, 0)), (0, 0))
            identified_s = track.at_s if update.identity or before is None else before.identified_s
            self._beliefs[track.id] = _Belief(
                track=track, lat=k.lat, lon=k.lon, cog_deg=k.cog_deg, sog_mps=k.sog_mps, at_s=track.at_s,
                identified_s=identified_s,
            )  # fmt: skip

    def distrust(self) -> None:
        """Receivers may have missed what was sent (a new connection): every track is due again, ends included."""
        never = float("-inf")
        self._beliefs = {i: replace(b, identified_s=never) for i, b in self._beliefs.items()}

    def _judge(self, track: Track, at_s: float) -> Update | None:
        belief = self._beliefs.get(track.id)
        if belief is None:
            if track.status in (TrackStatus.TENTATIVE, TrackStatus.LOST):
                return None
            return Update(track=track, identity=True, urgency=float("inf"))
        if track.mmsi is None and belief.track.mmsi:
            track = replace(track, mmsi=NO_MMSI)
        changed = track.class_ != belief.track.class_ or (track.mmsi or None) != (belief.track.mmsi or None)
        if changed or track.status is TrackStatus.LOST:
            return Update(track=track, identity=True, urgency=float("inf"))
        old = at_s - belief.at_s >= self._max_age_s - self._horizon_s
        unidentified = at_s - belief.identified_s >= self._max_age_s - self._horizon_s
        urgency = self._error(belief, track) / self._error_m
        if old or unidentified or urgency > 1.0:
            return Update(track=track, identity=unidentified or track.mmsi is None, urgency=max(urgency, 1.0))
        return None

    def _error(self, belief: _Belief, track: Track) -> float:
        """The receiver's error (m): now or at the next chance to send, whichever is larger."""
        worst = 0.0
        for ahead_s in (0.0, self._horizon_s):
            here = kinematics.extrapolate(track.lat, track.lon, track.cog_deg, track.sog_mps, ahead_s)
            there = kinematics.extrapolate(
                belief.lat, belief.lon, belief.cog_deg, belief.sog_mps, track.at_s + ahead_s - belief.at_s
            )
            east, north = self._frame.to_enu(*here)
            east0, north0 = self._frame.to_enu(*there)
            worst = max(worst, ((east - east0) ** 2 + (north - north0) ** 2) ** 0.5)
        return worst


def _ended(belief: _Belief, at_s: float) -> Track:
    lat, lon = kinematics.extrapolate(belief.lat, belief.lon, belief.cog_deg, belief.sog_mps, at_s - belief.at_s)
    return replace(belief.track, at_s=at_s, lat=lat, lon=lon, status=TrackStatus.LOST)
