"""Reason codes to sentences, at the receiving end.

Promises:
- every code gives a sentence: one that is not in the table below is spelled out as it stands;
- a sentence names the zone, the rule and the vessel's identity as far as the alert carries them.

An alert carries codes, never sentences: a sentence costs as much as the whole alert. The table is English; another
language is another table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.geo import KNOT_MPS

if TYPE_CHECKING:
    from collections.abc import Mapping

_SENTENCES = {
    "zone-enter": "Entered {zone}.",
    "zone-exit": "Left {zone}.",
    "zone-dwell": "Has stayed in {zone} for longer than allowed.",
    "zone-inside": "Is inside {zone}.",
    "zone-lost": "Was lost inside {zone}.",
    "lost-inside": "Was lost inside {zone}.",
    "no-ais": "No AIS answers at its position.",
    "ais-expected": "A vessel like this is expected to send AIS here.",
    "ais-healthy": "The box hears other vessels' AIS in that direction.",
    "ais-received": "Its AIS{mmsi} is received now.",
    "ais-silent": "Its AIS{mmsi} has gone silent.",
    "ais-gap": "Its AIS{mmsi} has gone silent.",
    "ais-mismatch": "Its AIS position{mmsi} does not agree with what the sensors see.",
    "spoof": "Its AIS position{mmsi} does not agree with what the sensors see.",
    "speed": "Its speed of {knots} kn is outside of what the rule allows.",
    "speed-high": "Faster than allowed: {knots} kn.",
    "speed-low": "Slower than expected: {knots} kn.",
    "speed-band": "Its speed of {knots} kn is in the band that is watched.",
    "loitering": "Has been loitering{in_zone}.",
    "rendezvous": "Stays close to another vessel{in_zone}.",
    "approach": "Approaches the coast: course {course} deg at {knots} kn.",
    "cpa": "Will pass closer than allowed: course {course} deg at {knots} kn.",
    "stopped": "Has stopped{in_zone}.",
    "drifting": "Is drifting at {knots} kn{in_zone}.",
    "night": "It is night.",
    "camera-confirmed": "A camera sees it.",
    "radar-confirmed": "Radar holds it.",
    "bearing-only": "Known by bearing only; its range is assumed.",
    "lost": "No sensor sees it any more.",
    "merged": "It has turned out to be a vessel that is already reported.",
    "over": "What was reported has ended.",
    "rule-removed": "The rule is not used any more.",
    "track-changed": "The vessel is followed under another track number now.",
    "sensor-sick": "A sensor that this rule depends on is sick.",
}


def sentence(code: str, alert: Mapping[str, Any]) -> str:
    """The sentence of one reason code of a decoded alert (field names of `wire.decode`)."""
    template = _SENTENCES.get(code)
    if template is None:
        return (code.replace("-", " ").replace("_", " ").strip().capitalize() or "Unnamed reason") + "."
    zone = alert.get("zone")
    mmsi = alert.get("mmsi")
    return template.format(
        zone=f"zone {zone}" if zone else "the zone",
        in_zone=f" in zone {zone}" if zone else "",
        mmsi=f" (MMSI {mmsi})" if mmsi else "",
        knots=f"{float(alert.get('sog_mps', 0.0)) / KNOT_MPS:.1f}",
        course=f"{float(alert.get('cog_deg', 0.0)):03.0f}",
    )
