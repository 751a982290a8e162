"""The lock fits pyproject.toml and pins every wheel by hash for both architectures; the bill of materials says so."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import cbor2
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[2]
LOCK = (PROJECT / "packaging/requirements.lock").read_text(encoding="utf-8")
PINNED = dict(re.findall(r"^([a-z0-9.-]+)==(\S+) \\$", LOCK, re.MULTILINE))


def test_every_dependency_is_pinned_to_a_version_that_fits() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as f:
        wanted = [Requirement(r) for r in tomllib.load(f)["project"]["dependencies"]]
    assert len(wanted) > 5
    for requirement in wanted:
        assert requirement.specifier.contains(PINNED[requirement.name]), requirement


def test_every_package_has_a_hash_and_compiled_ones_one_for_each_architecture() -> None:
    blocks = re.split(r"^(?=[a-z0-9.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    hashes = {b.partition("==")[0]: re.findall(r"--hash=sha256:[0-9a-f]{64}\b", b) for b in blocks}
    assert set(hashes) == set(PINNED)
    assert all(hashes.values())
    for compiled in ("numpy", "onnxruntime", "opencv-python-headless", "lap", "cbor2", "pydantic-core"):
        assert len(hashes[compiled]) == 2, compiled


def test_wheels_of_a_box_are_asked_for_by_its_python_and_libc() -> None:
    spec = importlib.util.spec_from_file_location("lock", PROJECT / "packaging/lock.py")
    assert spec is not None
    assert spec.loader is not None
    lock = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lock)
    options = lock.pip_target("aarch64")
    assert "--only-binary=:all:" in options
    assert options[options.index("--python-version") + 1] == "3.11"
    assert "manylinux_2_28_aarch64" in options
    assert not any(o.startswith("manylinux_2_4") for o in options), "newer than Debian 12's glibc 2.36"


def test_the_bill_of_materials_names_each_package_with_its_hash() -> None:
    site = Path(cbor2.__file__).resolve().parents[1]
    command = [sys.executable, str(PROJECT / "packaging/sbom.py"), str(site), "1.2.3"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    bom = json.loads(done.stdout)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    found = {c["name"]: c for c in bom["components"]}
    assert found["cbor2"]["purl"].startswith("pkg:pypi/cbor2@")
    assert re.fullmatch(r"[0-9a-f]{64}", found["cbor2"]["hashes"][0]["content"])
    assert "vigia" not in found
    assert len({c["bom-ref"] for c in bom["components"]}) == len(bom["components"])
