"""A clock that moves only when told to."""

from __future__ import annotations

from agent.messages import Stamp


class ManualClock:
    def __init__(self, t_s: float = 1_000.0) -> None:
        self.t_s = t_s
        self.wall_offset_s = 0.0

    def now(self) -> Stamp:
        return Stamp(t_s=self.t_s, wall_s=self.t_s + self.wall_offset_s)
