"""How sure the box is that a vessel is there and is what the alert says, in four words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.messages import Likelihood

if TYPE_CHECKING:
    from agent.fusion.picture import Known

STEADY_HITS = 10
STEADY_SHARE = 0.7
WEAK_SHARE = 0.5


def likelihood(k: Known) -> Likelihood:
    """Certain: two independent kinds of sensor agree on a steady track. Possible: it is missed as often as seen."""
    if k.ais_reports >= STEADY_HITS or (k.ais_reports and k.kinds > 1):
        return Likelihood.CERTAIN
    if k.ais_reports:
        return Likelihood.VERY_LIKELY
    if k.hits >= STEADY_HITS and k.share >= STEADY_SHARE:
        return Likelihood.CERTAIN if k.kinds > 1 else Likelihood.VERY_LIKELY
    return Likelihood.LIKELY if k.share > WEAK_SHARE else Likelihood.POSSIBLE
