"""The rule contract: one judgement about one vessel at one tick.

Promises of every rule:
- it owns no state: what it has to remember about a vessel stands in `memory`, numbers by name, which checkpoints keep;
- it judges what it is shown and decides nothing about raising, repeating or clearing: agent/alerts/book.py does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from agent.alerts.scene import Scene
    from agent.alerts.zones import Area, Memory
    from agent.config.schema import Rule as RuleTable
    from agent.fusion.picture import Known

NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class RuleOptions(BaseModel):
    """Keys that every rule has; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: str | None = None
    cooldown_s: NotNegative = 600.0  # after an alert is over, no new one of this rule about the same vessel


class SpeedBand(RuleOptions):
    """Rules that look at speed over ground as well."""

    min_mps: NotNegative | None = None
    max_mps: NotNegative | None = None

    def in_band(self, sog_mps: float, slack: float = 0.0) -> bool:
        """Whether the speed lies in the band, widened by a share of its limits."""
        low = self.min_mps is None or sog_mps >= self.min_mps * (1.0 - slack)
        return low and (self.max_mps is None or sog_mps <= self.max_mps * (1.0 + slack))

    def check_band(self) -> None:
        """Refuse a band that holds no speed."""
        if self.min_mps is not None and self.max_mps is not None and self.min_mps > self.max_mps:
            raise ValueError("has min_mps above max_mps: no speed would ever match")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`on`: the condition holds, does not hold, or (None) cannot be judged now.

    `blocked`: this vessel would be due, but a sensor that the judgement rests on cannot be relied on; says why.
    """

    on: bool | None
    reasons: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    blocked: str | None = None


UNKNOWN = Verdict(on=None)
OFF = Verdict(on=False)

O = TypeVar("O", bound=RuleOptions)  # noqa: E741 - the options of a kind of rule


class Rule(ABC, Generic[O]):
    """One configured rule. `kind` is its name in the configuration, `Options` the model of its keys."""

    kind: ClassVar[str]
    Options: ClassVar[type[RuleOptions]]

    def __init__(self, table: RuleTable, options: O, area: Area | None) -> None:
        self.name = table.name
        self.severity = table.severity
        self.options = options
        self.area = area

    @abstractmethod
    def judge(self, k: Known, scene: Scene, memory: Memory) -> Verdict:
        """The judgement now. Called at every tick for every vessel that alerts may be about, not for coasting ones."""

    def failure(self, scene: Scene) -> str | None:  # noqa: ARG002 - part of the contract
        """Why the rule cannot be relied on at all now; None when it can."""
        return None

    def health_needed(self) -> bool:
        """Whether the rule rests on a sensor whose health it reports."""
        return False


def without_ais_s(k: Known, scene: Scene, memory: Memory, within_m: float) -> float:
    """For how long the vessel has been seen with no AIS that may be its own; 0 while there is one."""
    if k.track.mmsi is not None or scene.ais_near(k, within_m):
        memory["since"] = scene.now_s
    return scene.now_s - memory.setdefault("since", scene.now_s)
