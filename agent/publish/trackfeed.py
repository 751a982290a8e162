"""The newest picture, thinned, as track messages.

Promises:
- only the newest picture is kept: what could not be sent in time is replaced, never queued;
- receivers are believed to know only what was handed to MQTT on this connection;
- a track that cannot be encoded is left out and told of; it does not stop the others.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from agent.errors import ProtocolError
from agent.publish.thinning import Thinner, Update
from agent.publish.wire import BATCH

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from agent.geo import LocalFrame
    from agent.messages import Track, TrackPicture
    from agent.publish.encoder import Encoder


class Tracks:
    """Implements the sender's `TrackFeed`. `monotonic()` gives the time of the batches' beat."""

    def __init__(
        self,
        encoder: Encoder,
        encoder_lock: threading.Lock,
        frame: LocalFrame,
        *,
        error_m: float,
        max_age_s: float,
        batch_s: float,
        monotonic: Callable[[], float],
        sign: bool = False,
    ) -> None:
        self._sign = sign
        self._encoder = encoder
        self._encoder_lock = encoder_lock
        self._thinner = Thinner(frame, error_m=error_m, max_age_s=max_age_s, horizon_s=batch_s)
        self._batch_s = batch_s
        self._monotonic = monotonic
        self._picture: TrackPicture | None = None
        self._judged_at_s = float("-inf")
        self._due: deque[Update] = deque()
        self._due_at_s = 0.0
        self._next_beat = 0.0
        self._seq = 0
        self.refused = 0  # tracks that could not be encoded

    def submit(self, picture: TrackPicture) -> None:
        """The newest picture; from any thread."""
        self._picture = picture

    def pace(self, *, error_m: float, max_age_s: float, batch_s: float) -> None:
        """Another link profile; belongs to the publisher's thread."""
        self._thinner.pace(error_m=error_m, max_age_s=max_age_s, horizon_s=batch_s)
        self._batch_s = batch_s

    def distrust(self) -> None:
        """A new connection: send everything again."""
        self._due.clear()
        self._judged_at_s = float("-inf")
        self._next_beat = 0.0
        self._thinner.distrust()

    def due_in(self, now: float) -> float:
        """Seconds until a picture that has come may be judged; long when there is none, or no room for what is due."""
        picture = self._picture
        if picture is None or picture.at_s <= self._judged_at_s:
            return 60.0
        return max(0.0, self._next_beat - now)

    def next_payload(self) -> bytes | None:
        """The next batch, or None when nothing is due."""
        self._judge()
        batch: list[tuple[int, bytes]] = []
        sent = []
        while self._due and len(batch) < BATCH:
            update = self._due.popleft()
            k = self._encode(update.track, identity=update.identity)
            if k is not None:
                batch.append((update.track.id, k))
                sent.append(update)
        if not batch:
            return None
        self._thinner.sent(sent)
        self._seq += 1
        return self._encoder.tracks(batch, self._seq, self._due_at_s, sign=self._sign)

    def _judge(self) -> None:
        picture, now = self._picture, self._monotonic()
        if picture is None or now < self._next_beat or picture.at_s <= self._judged_at_s:
            return
        self._next_beat = now + self._batch_s
        self._judged_at_s = self._due_at_s = picture.at_s
        self._due = deque(self._thinner.due(picture))

    def _encode(self, track: Track, *, identity: bool) -> bytes | None:
        try:
            with self._encoder_lock:
                return self._encoder.kinematics(track, self._due_at_s, identity=identity)
        except ProtocolError:
            self.refused += 1
            return None
