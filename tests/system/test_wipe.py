"""`vigia wipe` on the state of a box that really ran."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

from agent.publish.cose import load_or_make
from system.conftest import Daemon

SITE = '[site]\nname = "Cabo"\nnode = "cabo-1"\nlat = 36.0\nlon = -5.6\nheight_m = 20\n'


def wipe(daemon: Daemon, *args: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    folder = daemon.folder
    command = [sys.executable, "-m", "agent.cli.main", "wipe", "--state", str(daemon.state), "-c", str(daemon.config)]
    command += ["--credentials", str(folder / "credstore"), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=stdin)


def lived(daemon: Daemon) -> str:
    """A box that has run, with evidence and secrets; its public key."""
    secret = daemon.folder / "mac.key"
    secret.write_text("ab" * 32)
    secret.chmod(0o600)
    daemon.start(SITE + f'[publish]\nmac_key_file = "{secret}"\n[web]\nenabled = true\nport = 0\n')
    daemon.wait(lambda s: s["page"] is not None)
    refused = wipe(daemon, "--yes")
    assert refused.returncode == 69
    assert "stop it first" in refused.stderr
    assert daemon.stop() == 0
    (daemon.state / "evidence").mkdir()
    (daemon.state / "evidence" / "7-cam.high.jpg").write_bytes(b"\xff\xd8 a face")
    (daemon.state / "log" / "notes.txt").write_text("a technician's")
    (daemon.folder / "conf.d").mkdir()
    (daemon.folder / "conf.d" / "10-setup.toml").write_text("[storage]\n")
    (daemon.folder / "credstore").mkdir()
    (daemon.folder / "credstore" / "vigia.mqtt-password").write_text("x")
    return load_or_make(daemon.state / "node.key").public.hex()


def test_a_box_is_wiped_with_a_receipt_and_what_is_not_vigias_stays(daemon: Daemon) -> None:
    key = lived(daemon)
    done = wipe(daemon, "--yes")
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)
    assert (receipt["node"], receipt["node_key"], receipt["configuration"]) == ("cabo-1", key, "removed")
    notes = daemon.state / "log" / "notes.txt"
    assert receipt["left"] == [str(notes)]
    assert [p for p in daemon.state.rglob("*") if p.is_file()] == [notes]
    assert not daemon.config.exists()
    assert [p.name for p in daemon.folder.rglob("*") if p.suffix in {".toml", ".key"} or "vigia." in p.name] == []
    assert receipt["files"] >= 9
    again = wipe(daemon, "--yes")
    assert again.returncode == 65, "there is nothing of Vigía's any more"


def test_a_configuration_can_be_kept_but_not_its_secrets(daemon: Daemon) -> None:
    lived(daemon)
    assert wipe(daemon, "--yes", "--keep-config").returncode == 0
    assert daemon.config.exists()
    assert (daemon.folder / "conf.d" / "10-setup.toml").exists()
    assert not (daemon.folder / "mac.key").exists()
    assert not (daemon.folder / "credstore" / "vigia.mqtt-password").exists()


def test_it_asks_and_takes_no_other_answer(daemon: Daemon) -> None:
    lived(daemon)
    before = sorted(daemon.folder.rglob("*"))
    assert wipe(daemon).returncode == 64, "nobody there to ask"
    for answer, code in ((b"yes\n", 64), (b"wipe\n", 0)):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        done = wipe(daemon, stdin=theirs)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == code, done.stderr
        assert (sorted(daemon.folder.rglob("*")) == before) == (code == 64)


def test_a_folder_that_is_no_state_directory_is_not_touched(daemon: Daemon) -> None:
    daemon.state.mkdir()
    (daemon.state / "thesis.jpg").touch()
    done = wipe(daemon, "--yes")
    assert done.returncode == 65
    assert sorted(p.name for p in daemon.state.iterdir()) == ["thesis.jpg"]
