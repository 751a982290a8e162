"""Prints the CycloneDX 1.5 bill of materials of a folder of installed packages: python sbom.py LIB VERSION.

Promises:
- every *.dist-info in the folder is a component with its name, version, package URL, licence and, where the lock pins
  it, the SHA-256 of its wheels; the same folder gives the same text.

Source: CycloneDX 1.5 JSON, https://cyclonedx.org/docs/1.5/json/ (components, licenses, hashes, purl).
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent / "requirements.lock"


def hashes() -> dict[str, list[str]]:
    """Package -> SHA-256 of its wheels, from the lock."""
    out: dict[str, list[str]] = {}
    name = ""
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([A-Za-z0-9_.-]+)==", line):
            name = found.group(1)
        out.setdefault(name, []).extend(re.findall(r"sha256:([0-9a-f]{64})", line))
    return out


def component(dist: Distribution, pinned: dict[str, list[str]]) -> dict[str, Any]:
    """One package."""
    name = dist.metadata["Name"].lower().replace("_", "-")
    out: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": dist.version,
        "purl": f"pkg:pypi/{name}@{dist.version}",
        "bom-ref": f"pkg:pypi/{name}@{dist.version}",
    }
    given = dist.metadata.json  # of PEP 566: only what the package says
    licence = str(given.get("license_expression") or given.get("license") or "").partition("\n")[0]
    if licence:
        out["licenses"] = [{"license": {"name": licence}}]
    if name in pinned:
        out["hashes"] = [{"alg": "SHA-256", "content": h} for h in pinned[name]]
    return out


def main(argv: list[str]) -> int:
    """Print the bill of materials."""
    lib, version = Path(argv[0]), argv[1]
    pinned = hashes()
    found = [component(PathDistribution(p), pinned) for p in sorted(lib.glob("*.dist-info"))]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "vigia", "version": version}},
        "components": [c for c in found if c["name"] != "vigia"],
    }
    print(json.dumps(bom, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
