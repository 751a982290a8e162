"""Run by the interpreter of the peer `asterix-decoder`: blocks in hex, one a line, to records as JSON, one a line."""

import json
import sys

import asterix  # type: ignore[import-not-found]  # lives in the peer's environment


def values(item: object) -> object:
    """The figures of an item without their explanations."""
    if isinstance(item, list):
        return [values(i) for i in item]
    if isinstance(item, dict):
        return item["val"] if "val" in item else {k: values(v) for k, v in item.items()}
    return item


for line in sys.stdin:
    records = [
        {"category": r["category"], **{k: values(v) for k, v in r.items() if k[0] == "I" and k[1:].isalnum()}}
        for r in asterix.parse(bytes.fromhex(line), verbose=False)
    ]
    print(json.dumps(records))
