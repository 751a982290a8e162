"""The configuration that a scenario's operators would give their box: its place, its zones, its rules. TOML text.

Written from the configuration's documentation; nothing of the box is imported.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hardware_sim.geo import Site

if TYPE_CHECKING:
    from hardware_sim.scenario import Scenario


def config(scenario: Scenario, *, tick_s: float = 1.0) -> str:
    """A configuration for `vigia replay -c`; `tick_s` is how often the box judges."""
    site = Site(scenario.site.lat, scenario.site.lon)
    parts = [
        f"# Written from the scenario {scenario.name}.",
        "[site]",
        *_keys(
            name=scenario.site.name,
            node=re.sub("[^A-Za-z0-9_.-]", "-", scenario.name).lstrip("-_.")[:32] or "box",
            lat=scenario.site.lat,
            lon=scenario.site.lon,
            height_m=scenario.site.height_m,
            exercise=True,
        ),
        "",
        "[tracking]",
        *_keys(tick_s=tick_s),
    ]
    for zone in scenario.zone:
        corners = [[round(x, 7) for x in site.to_geo(*p)] for p in zone.polygon_m]
        parts += ["", "[[zone]]", *_keys(name=zone.name, polygon=corners)]
    for rule in scenario.rule:
        parts += ["", "[[rule]]", *_keys(name=rule.name, kind=rule.kind, severity=rule.severity, **rule.options)]
    return "\n".join(parts) + "\n"


def _keys(**values: Any) -> list[str]:
    """JSON's text, numbers, truths and lists are TOML's as well."""
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
