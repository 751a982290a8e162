"""Writes packaging/requirements.lock: what a box installs, each wheel of both architectures pinned by SHA-256.

    python packaging/lock.py            # asks pip to resolve pyproject.toml's dependencies for amd64 and arm64

Promises:
- one version per package on both architectures, or an error that names the package;
- nothing is installed; `pip install --require-hashes -r packaging/requirements.lock` refuses anything else than these.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Debian 12: glibc 2.36, Python 3.11; newest first, as pip wants every tag that may do
GLIBC = ("2_36", "2_34", "2_31", "2_28", "2_27", "2_24", "2_17")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def pip_target(machine: str) -> list[str]:
    """Give pip the options for wheels of Debian 12 on that machine (x86_64, aarch64), whatever this machine is."""
    tags = [f"manylinux_{g}_{machine}" for g in GLIBC] + [f"manylinux2014_{machine}"]
    platforms = [word for tag in tags for word in ("--platform", tag)]
    return [*platforms, "--implementation", "cp", "--python-version", "3.11", "--only-binary=:all:"]


def resolve(machine: str) -> dict[tuple[str, str], set[str]]:
    """(name, version) -> SHA-256 of the wheels that pip would install there."""
    with (HERE.parent / "pyproject.toml").open("rb") as f:
        wanted = tomllib.load(f)["project"]["dependencies"]
    command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", "--report", "-"]
    options = ["--target", "/nonexistent", *pip_target(machine)]
    done = subprocess.run(  # noqa: S603 - pip of this interpreter
        [*command, *options, *wanted],
        check=True,
        capture_output=True,
        text=True,
    )
    out: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in json.loads(done.stdout)["install"]:
        meta = item["metadata"]
        out[meta["name"].lower().replace("_", "-"), meta["version"]].add(
            item["download_info"]["archive_info"]["hashes"]["sha256"]
        )
    return out


def main() -> int:
    """Resolve for both machines and write the lock."""
    merged: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for machine in MACHINES.values():
        for (name, version), hashes in resolve(machine).items():
            merged[name][version] |= hashes
    lines = ["# Written by packaging/lock.py: the wheels of a box (Debian 12, Python 3.11, amd64 and arm64)."]
    for name, versions in sorted(merged.items()):
        if len(versions) != 1:
            print(f"{name}: amd64 and arm64 differ: {', '.join(sorted(versions))}; pin it", file=sys.stderr)
            return 1
        ((version, hashes),) = versions.items()
        lines.append(f"{name}=={version} \\\n    " + " \\\n    ".join(f"--hash=sha256:{h}" for h in sorted(hashes)))
    (HERE / "requirements.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
