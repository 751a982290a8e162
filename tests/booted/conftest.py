"""The package, built once a session, and a machine that has it installed, one a module."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .machine import Machine, why_not

PROJECT = Path(__file__).resolve().parents[2]
SITE = '[site]\nname = "Cabo"\nlat = 43.38\nlon = -8.40\nheight_m = 20\n'


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, uncompressed; $VIGIA_DEB names one that is there already."""
    if why := why_not():
        pytest.skip(f"this computer cannot boot a Debian in a container: {why}")
    if given := os.environ.get("VIGIA_DEB"):
        return Path(given)
    out = tmp_path_factory.mktemp("deb")
    done = subprocess.run(
        [PROJECT / "packaging/deb.sh", "amd64"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": sys.executable, "COMPRESS": "none", "OUT": str(out)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip().splitlines()[-1])


def install(machine: Machine, deb: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """`dpkg -i`, without a network, and without forcing every file to the disk: no test takes the disk's power away."""
    target = machine.root / "root" / deb.name
    shutil.copyfile(deb, target)
    try:
        return machine.run("dpkg", "--force-unsafe-io", "-i", f"/root/{deb.name}", check=check, timeout_s=300.0)
    finally:
        target.unlink()


@pytest.fixture(scope="module")
def box(deb: Path) -> Iterator[Machine]:
    """A machine with the package installed; nothing started."""
    with Machine() as machine:
        install(machine, deb)
        yield machine
