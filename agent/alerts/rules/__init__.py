"""The kinds of rules, found by name, and the check of what an operator wrote for them.

Promises:
- a rule without criteria, of an unknown kind, or about a zone that does not exist is refused with one plain sentence;
- a new kind is one file with one `Rule` subclass and one entry in `_KINDS`.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agent.alerts.rules.dark_vessel import DarkVessel
from agent.alerts.rules.speed import Speed
from agent.alerts.rules.zone_enter import ZoneEnter
from agent.alerts.rules.zone_exit import ZoneExit
from agent.alerts.zones import Area
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.alerts.rules.base import Rule, RuleOptions
    from agent.config.schema import Config
    from agent.geo import LocalFrame

_KINDS: dict[str, type[Rule[Any]]] = {r.kind: r for r in (ZoneEnter, ZoneExit, Speed, DarkVessel)}


def rule_table() -> dict[str, type[RuleOptions]]:
    """The options' model of each kind of rule."""
    return {kind: rule.Options for kind, rule in _KINDS.items()}


def validate(kind: str, options: dict[str, Any]) -> RuleOptions:
    """The checked options of a rule.

    Raises:
        ValueError: one sentence that names the kind, the key and what to do.

    """
    rule = _KINDS.get(kind)
    if rule is None:
        raise ValueError(f"there is no rule of kind '{kind}'{_meant(kind, _KINDS)}; the kinds are {', '.join(_KINDS)}")
    try:
        return rule.Options.model_validate(options)
    except ValidationError as e:
        raise ValueError("; ".join(_sentence(kind, rule.Options, dict(err)) for err in e.errors())) from None


def make_rules(config: Config, frame: LocalFrame) -> list[Rule[Any]]:
    """The enabled rules of a configuration, in its order.

    Raises:
        ConfigError: a rule cannot work as it is written, or two have the same name.

    """
    areas = {z.name: Area(z, frame) for z in config.zone}
    made: dict[str, Rule[Any]] = {}
    for rule in config.rule:
        if not rule.enabled:
            continue
        if rule.name in made:
            raise ConfigError(f"two rules are named '{rule.name}': give one of them another name")
        try:
            options = validate(rule.kind, rule.options)
        except ValueError as e:
            raise ConfigError(f"rule '{rule.name}': {e}") from None
        zone = options.zone
        if zone is not None and zone not in areas:
            raise ConfigError(
                f"rule '{rule.name}' names the zone '{zone}', which is not defined{_meant(zone, areas)}: "
                "add a [[zone]] of that name or mend the rule"
            )
        made[rule.name] = _KINDS[rule.kind](rule, options, areas.get(zone) if zone is not None else None)
    return list(made.values())


def _sentence(kind: str, model: type[RuleOptions], err: dict[str, Any]) -> str:
    key = ".".join(str(k) for k in err["loc"])
    if err["type"] == "missing":
        return f"a {kind} rule needs '{key}': without it the rule has no criterion"
    if err["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields)
        return f"a {kind} rule has no key '{key}'{_meant(key, model.model_fields)}; its keys are {known}"
    text = str(err["msg"]).removeprefix("Value error, ")
    return f"{key} of a {kind} rule: {text}" if key else f"a {kind} rule {text}"


def _meant(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
