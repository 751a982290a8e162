"""ASTERIX blocks through two decoders of other people, each in an environment of its own (`make peers`).

Both answer one JSON object per record: {"category": n, "ITEM": {"SUBITEM": value}, ...}; items of bytes (the cells of
category 240) as hex. Names are in capitals without underscores; a value that one of the two leaves nameless is "".
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from support.peers import peer_python

ASTERIX_DECODER = """
import asterix, json, sys

def plain(name):
    return name.upper().replace("_", "")

for line in sys.stdin:
    out = []
    for r in asterix.parse(bytes.fromhex(line)):
        said = {"category": r["category"]}
        for name, item in r.items():
            if name.startswith("I") and isinstance(item, dict):
                said[name[1:]] = {plain(k): v["val"] for k, v in item.items() if isinstance(v, dict) and "val" in v}
                for k, v in item.items():
                    if isinstance(v, dict) and "val" not in v:
                        said[name[1:]].update({plain(k2): v2["val"] for k2, v2 in v.items() if isinstance(v2, dict)})
            elif name.startswith("I"):
                said[name[1:]] = "".join(str(list(x.values())[0]["val"]) for x in item)
        out.append(said)
    print(json.dumps(out))
"""

LIBASTERIX = """
import json, sys
from asterix.base import *
import asterix.generated as gen

SPECS = {240: gen.Cat_240_1_3, 48: gen.Cat_048_1_32, 34: gen.Cat_034_1_29, 10: gen.Cat_010_1_1}

def element(variation):
    content = variation.content
    return content.as_quantity() if isinstance(content, ContentQuantity) else variation.as_uint()

def read(variation):
    if isinstance(variation, Element):
        return {"": element(variation)}
    if isinstance(variation, Repetitive):
        return "".join(x.unparse().to_bytes().hex() for x in variation.get_list())
    found = {name: variation.get_item(name) for name in variation.cv_items_dict}
    return {name: element(x.variation) for name, x in found.items() if x is not None}

for line in sys.stdin:
    out = []
    for db in RawDatablock.parse(Bits.from_bytes(bytes.fromhex(line))):
        spec = SPECS[db.get_category()]
        for record in spec.cv_uap.parse(db.get_raw_records()):
            items = {name: record.get_item(name) for name in spec.cv_record.cv_items_dict}
            said = {name: read(x.variation) for name, x in items.items() if x is not None}
            out.append({"category": db.get_category(), **said})
    print(json.dumps(out))
"""


def decode_with(name: str, script: str, blocks: list[bytes]) -> list[list[dict[str, Any]]]:
    """Records of each of `blocks` as that peer reads them."""
    done = subprocess.run(
        [peer_python(name), "-c", script],
        input="\n".join(b.hex() for b in blocks), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]
