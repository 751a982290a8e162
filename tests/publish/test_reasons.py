"""Every reason code that a rule can give has a sentence at the receiving end."""

from __future__ import annotations

import ast
from pathlib import Path

import agent.alerts
from agent.publish.reasons import sentence

ALERT = {"zone": "Reserve", "mmsi": 224000000, "sog_mps": 15.0, "cog_deg": 180.0, "rule": "speed", "class": "panga"}


def codes_in_the_rules() -> set[str]:
    found: set[str] = set()
    for path in Path(agent.alerts.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "codes" and isinstance(node.value, ast.Tuple):
                found |= {e.value for e in node.value.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)}
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "append"
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "codes"
            ):
                found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_close":
                tuples = [a for a in node.args if isinstance(a, ast.Tuple)]
                found |= {str(e.value) for t in tuples[1:2] for e in t.elts if isinstance(e, ast.Constant)}
    return found


def test_every_code_of_a_rule_has_a_sentence_of_its_own() -> None:
    codes = codes_in_the_rules()
    assert {"no-ais", "lost", "merged", "track-changed"} <= codes
    spelled_out = {c for c in codes if sentence(c, ALERT) == c.replace("-", " ").capitalize() + "."}
    assert spelled_out == set()
