"""Known advisories for what a box installs: packaging/requirements.lock against PyPI's own record of vulnerabilities.

    python packaging/audit.py           # `make audit`; needs a network

Promises:
- each locked package is asked for by name and version, nothing about the box or its operator leaves;
- exit 0 only when PyPI has answered for every locked version and knows no advisory; 1 with advisories, 69 where it did
  not answer for all: what was not asked is never called clean.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent / "requirements.lock"
INDEX = "https://pypi.org/pypi"
TIMEOUT_S = 30.0


def locked(text: str) -> list[tuple[str, str]]:
    """(name, version) of a lock."""
    return re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE)


def advisories(answer: dict[str, Any], version: str) -> list[str] | None:
    """What PyPI's answer says of that version: one line each; None where it speaks of another version."""
    if answer["info"]["version"] != version:
        return None
    return [sentence(v) for v in answer["vulnerabilities"] if not v.get("withdrawn")]


def sentence(v: dict[str, Any]) -> str:
    """One advisory."""
    others = f" ({', '.join(v['aliases'])})" if v.get("aliases") else ""
    what = v.get("summary") or v.get("details", "")[:120]
    return f"{v['id']}{others}: {what}; mended in {', '.join(v.get('fixed_in', [])) or 'no version'}"


def ask(address: str) -> dict[str, Any]:
    """PyPI's JSON at an address."""
    with urllib.request.urlopen(f"{INDEX}/{address}/json", timeout=TIMEOUT_S) as reply:  # noqa: S310 - https, fixed
        return dict(json.load(reply))


def look_up(name: str, version: str) -> tuple[list[str] | None, str]:
    """(advisories or None, why not)."""
    why = ""
    for address in (f"{name}/{version}", name):  # some mirrors have only the newest version's page
        try:
            answer = ask(address)
        except (OSError, urllib.error.URLError, ValueError) as e:
            why = str(e)
            continue
        if (found := advisories(answer, version)) is not None:
            return found, ""
        why = f"answers for {answer['info']['version']} only"
    return None, why


def main() -> int:
    """Ask for each package; a line each."""
    known = unknown = 0
    for name, version in locked(LOCK.read_text(encoding="utf-8")):
        found, why = look_up(name, version)
        if found is None:
            unknown += 1
            print(f"{name} {version}: not known: {why}")
        else:
            known += len(found)
            print(f"{name} {version}: {'; '.join(found) or 'no advisory'}")
    print(f"{known} advisories; {unknown} packages not known", file=sys.stderr)
    return 1 if known else 69 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
