"""The package's life in a booted Debian: from nothing to alerts at a broker, upgrades, a failed upgrade, purge."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import SITE, install
from .machine import Machine

pytestmark = [pytest.mark.booted, pytest.mark.timeout(900)]
SIM = "/root/sim.json"


def rebuilt(deb: Path, folder: Path, version: str, broken: str = "") -> Path:
    """The same package under another version; `broken` is put at the end of the daemon's module."""
    tree = folder / version
    subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], check=True)
    for part in ("cv2", "opencv_python_headless.libs", "onnxruntime"):  # two thirds of it, and no camera in these tests
        shutil.rmtree(tree / "opt/vigia/lib" / part)
    control = tree / "DEBIAN/control"
    control.write_text("".join(
        f"Version: {version}\n" if line.startswith("Version:") else line
        for line in control.read_text().splitlines(keepends=True)
    ))  # fmt: skip
    init = tree / "opt/vigia/lib/agent/__init__.py"
    init.write_text(init.read_text() + f'\n__version__ = "{version}"\n')
    if broken:
        module = tree / "opt/vigia/lib/agent/cli/run.py"
        module.write_text(module.read_text() + broken)
    out = folder / f"vigia_{version}_amd64.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(out)], check=True, capture_output=True
    )
    shutil.rmtree(tree)
    return out


def every_file(machine: Machine) -> set[str]:
    return set(machine.sh("find / -xdev -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/*'").splitlines())


def version(machine: Machine) -> str:
    done = machine.run("vigia", "status", check=False)
    return str(json.loads(done.stdout)["version"]) if done.returncode == 0 else ""


def test_from_a_bare_debian_to_alerts_at_a_broker(deb: Path) -> None:
    """Simulated radar video, AIS and GNSS; mosquitto; alerts as `vigia watch` receives them."""
    with Machine() as machine:
        install(machine, deb)
        machine.run("systemctl", "start", "mosquitto")
        sim = "vigia sim run harbour-mouth --seed 1 --radar spokes --no-camera --out /root/sim"
        machine.sh(f"systemd-run -q --unit=sim -p StandardOutput=truncate:{SIM} {sim}")
        machine.until(lambda: "endpoints" in machine.sh(f"cat {SIM}"), 60.0, "the simulator")
        ready = json.loads(machine.sh(f"head -1 {SIM}"))
        zone = ready["zones"][0]
        site, ends = ready["site"], ready["endpoints"]
        machine.put("/etc/vigia/vigia.toml", f"""\
[site]
name = "{site["name"]}"
lat = {site["lat"]}
lon = {site["lon"]}
height_m = {site["height_m"]}
exercise = true
[[sensor]]
name = "radar-1"
driver = "navico"
url = "{ends["radar_spokes"]}"
[[sensor]]
name = "ais-1"
driver = "ais"
url = "{ends["ais"]}"
[[sensor]]
name = "gnss-1"
driver = "nav"
url = "{ends["nav"]}"
[[zone]]
name = "Z"
polygon = {json.dumps(zone["polygon"])}
[[rule]]
name = "zone"
kind = "zone-enter"
zone = "Z"
only_without_ais = true
[[rule]]
name = "no AIS"
kind = "dark-vessel"
ais_wait_s = 10
[publish]
broker = "mqtt://127.0.0.1:1883"
""")  # fmt: skip
        watch = "vigia watch --broker mqtt://127.0.0.1:1883 --json --ack"
        machine.sh(f"systemd-run -q --unit=picture -p StandardOutput=truncate:/root/alerts {watch}")
        machine.run("systemctl", "start", "vigia")
        machine.until(lambda: '"type":"alert"' in machine.sh("cat /root/alerts"), 240.0, "an alert at the broker")
        alert = next(a for a in map(json.loads, machine.sh("cat /root/alerts").splitlines()) if a["type"] == "alert")
        assert alert["rule"] in ("dark-vessel", "zone-enter")
        assert alert["exercise"] is True


def test_upgrade_keeps_state_and_configuration_a_failed_one_is_rolled_back_and_purge_leaves_nothing(
    deb: Path, tmp_path: Path
) -> None:
    with Machine() as machine:
        before = every_file(machine)
        install(machine, deb)
        assert machine.show("ActiveState") == "inactive", "a box that was not told where it stands starts nothing"
        machine.put("/etc/vigia/vigia.toml", SITE + "# mine\n")
        machine.put("/etc/vigia/conf.d/10-mine.toml", "[ais]\ngate_m = 250\n")
        machine.sh("chgrp vigia /etc/vigia/conf.d/10-mine.toml; systemctl enable -q --now vigia")
        machine.sh("touch -d 2001-01-01 /var/lib/vigia/kept; chown vigia /var/lib/vigia/kept")
        digest = json.loads(machine.run("vigia", "status").stdout)["config_digest"]

        install(machine, rebuilt(deb, tmp_path, "0.1.1"))
        assert version(machine) == "0.1.1"
        status = json.loads(machine.run("vigia", "status").stdout)
        assert status["config_digest"] == digest
        assert "# mine" in machine.sh("cat /etc/vigia/vigia.toml; test -e /var/lib/vigia/kept")
        assert machine.show("UnitFileState") == "enabled"

        failed = install(machine, rebuilt(deb, tmp_path, "0.1.2", "\nraise RuntimeError('a bad build')\n"), check=False)
        assert failed.returncode != 0
        assert "going back to 0.1.1" in failed.stderr
        assert version(machine) == "0.1.1", "the old version has to run"
        again = machine.run("dpkg", "--configure", "-a", check=False)
        assert again.returncode != 0, "dpkg must not call a version configured that does not run"

        install(machine, rebuilt(deb, tmp_path, "0.1.3"))
        assert version(machine) == "0.1.3"

        machine.run("dpkg", "-r", "vigia")
        assert machine.sh("test -e /var/lib/vigia/kept; test -e /etc/vigia/vigia.toml; ls -d /opt; ls /opt") == "/opt\n"
        machine.run("dpkg", "-P", "vigia")
        after = every_file(machine)
        left = {p for p in after - before if "vigia" in p.lower()}
        assert left == set()
        assert machine.run("getent", "passwd", "vigia", check=False).stdout == ""
        assert machine.run("getent", "group", "vigia", check=False).stdout == ""


def test_an_interrupted_unpack_leaves_the_old_version_running(deb: Path, tmp_path: Path) -> None:
    """The archive is cut in the middle: dpkg gives up, and the box goes on with what it had."""
    with Machine() as machine:
        install(machine, deb)
        machine.put("/etc/vigia/vigia.toml", SITE)
        machine.run("systemctl", "start", "vigia")
        whole = rebuilt(deb, tmp_path, "0.1.1")
        with whole.open("r+b") as f:
            f.truncate(whole.stat().st_size // 2)
        assert install(machine, whole, check=False).returncode != 0
        machine.until(lambda: version(machine) == "0.1.0", 60.0, "the old version again")
