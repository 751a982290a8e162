"""The installed service under a real systemd: start, watchdog, kill -9, reload, bad configurations, journal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import SITE
from .machine import Machine

pytestmark = [pytest.mark.booted, pytest.mark.timeout(600)]
CONFIG = "/etc/vigia/vigia.toml"
AIS = '[[sensor]]\nname = "ais"\ndriver = "ais"\nurl = "udp://127.0.0.1:10110"\n'


def status(box: Machine) -> dict[str, Any]:
    done = box.run("vigia", "status", check=False)
    answer: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"sensors": {}, "pid": 0}
    return answer


def fresh(box: Machine, config: str) -> None:
    """Start on an empty state."""
    box.sh("systemctl stop vigia; rm -rf /var/lib/vigia /etc/systemd/system/vigia.service.d; systemctl daemon-reload")
    box.put(CONFIG, config)
    box.run("systemctl", "start", "vigia")


def test_start_means_ready_and_says_so_in_the_journal(box: Machine) -> None:
    fresh(box, SITE)
    assert box.show("ActiveState") == "active"
    assert box.show("StatusText").startswith("running")
    entries = [json.loads(line) for line in box.journal("-o", "json").splitlines()]
    (running,) = [e for e in entries if "runs as node cabo" in e["MESSAGE"]]
    assert running["PRIORITY"] == "6"
    assert status(box)["pid"] == int(box.show("MainPID"))


def test_state_belongs_to_the_service_alone(box: Machine) -> None:
    fresh(box, SITE)
    assert box.sh("stat -c '%a %U' /var/lib/vigia").split() == ["700", "vigia"]
    assert box.sh("stat -c '%a %U:%G' /etc/vigia/vigia.toml").split() == ["640", "root:vigia"]
    readable = box.sh("find /var/lib/vigia /run/vigia -perm /077 -not -type d | head -1")
    assert readable == "", "group or others can read state"


def test_no_port_is_open_beyond_loopback(box: Machine) -> None:
    fresh(box, SITE + AIS)
    listening = box.sh("ss -Hlntup | grep -v mosquitto || true").splitlines()
    assert [line for line in listening if "127.0.0.1" not in line and "[::1]" not in line] == []


def test_kill_9_restarts_it(box: Machine) -> None:
    fresh(box, SITE)
    before = int(box.show("MainPID"))
    box.run("kill", "-9", str(before))
    box.until(lambda: status(box)["pid"] not in (0, before), 60.0, "another process answers")
    assert box.show("NRestarts") == "1"
    assert "recovery: checkpoint" in box.journal() or "recovery: no checkpoint" in box.journal()


def test_a_stopped_process_is_restarted_by_the_watchdog(box: Machine) -> None:
    fresh(box, SITE)
    assert box.show("WatchdogUSec") == "30s"
    box.put("/etc/systemd/system/vigia.service.d/short.conf", "[Service]\nWatchdogSec=4\n")
    box.sh("systemctl daemon-reload; systemctl restart vigia")
    before = int(box.show("MainPID"))
    box.run("kill", "-STOP", str(before))
    box.until(lambda: status(box)["pid"] not in (0, before), 90.0, "restarted by the watchdog")
    assert "Watchdog timeout" in box.journal()


def test_a_bad_reload_changes_nothing_and_a_good_one_keeps_the_process(box: Machine) -> None:
    fresh(box, SITE)
    before = status(box)
    box.put(CONFIG, SITE.replace("height_m", "heigth_m"))
    assert box.run("systemctl", "reload", "vigia", check=False).returncode != 0
    assert status(box)["config_digest"] == before["config_digest"]
    assert f'{CONFIG}:5: site.heigth_m: unknown key "heigth_m" (did you mean "height_m"?)' in box.journal()
    box.put(CONFIG, SITE + AIS)
    box.run("systemctl", "reload", "vigia")
    box.until(lambda: "ais" in status(box)["sensors"], 30.0, "the new sensor")
    assert status(box)["pid"] == before["pid"]


def test_a_drop_in_file_is_read_with_the_configuration(box: Machine) -> None:
    fresh(box, SITE)
    box.put("/etc/vigia/conf.d/20-ais.toml", AIS)
    box.sh("chgrp vigia /etc/vigia/conf.d/20-ais.toml")
    box.run("systemctl", "reload", "vigia")
    box.until(lambda: "ais" in status(box)["sensors"], 30.0, "the sensor of conf.d")
    box.put("/etc/vigia/conf.d/20-ais.toml", AIS.replace("driver", "drivr"))
    assert box.run("systemctl", "reload", "vigia", check=False).returncode != 0
    assert "/etc/vigia/conf.d/20-ais.toml:" in box.journal()
    box.sh("rm /etc/vigia/conf.d/20-ais.toml")


def test_a_bad_configuration_at_boot_runs_the_last_good_one(box: Machine) -> None:
    fresh(box, SITE)
    box.put(CONFIG, "[site]\nname = 5\n")
    box.run("systemctl", "restart", "vigia")
    box.until(lambda: "config" in status(box)["sensors"], 30.0, "the refusal in the status")
    assert "config_rejected" in status(box)["sensors"]["config"]["evidence"]


def test_a_bad_configuration_without_a_last_good_one_is_one_sentence_and_78(box: Machine) -> None:
    box.sh("systemctl stop vigia; rm -rf /var/lib/vigia")
    box.put(CONFIG, "[site]\nname = 5\n")
    assert box.run("systemctl", "start", "vigia", check=False).returncode != 0
    assert box.show("ExecMainStatus") == "78"
    assert f"{CONFIG}:2: site.name" in box.journal("-n", "20")
    assert "Traceback" not in box.journal()


def test_the_password_reaches_it_as_a_credential_and_no_log(box: Machine) -> None:
    box.sh("mkdir -p -m 700 /etc/credstore; umask 077; printf 'hunter2hunter2' > /etc/credstore/vigia.mqtt-password")
    fresh(
        box,
        SITE + '[publish]\nbroker = "mqtt://127.0.0.1:1"\nusername = "cabo"\n'
        'password_file = "${CREDENTIALS_DIRECTORY}/mqtt-password"\n',
    )
    box.run("systemctl", "reload", "vigia")
    box.until(lambda: "link" in status(box)["sensors"], 30.0, "the link's state")
    assert "hunter2" not in box.journal() + json.dumps(status(box))
    assert box.sh("grep -rl hunter2 /var/lib/vigia || true") == ""
    pid = box.show("MainPID")
    assert "hunter2" not in box.sh(f"tr '\\0' '\\n' < /proc/{pid}/environ; tr '\\0' ' ' < /proc/{pid}/cmdline")
    box.sh("rm /etc/credstore/vigia.mqtt-password")


def test_usr1_writes_every_stack_to_the_journal_and_goes_on(box: Machine) -> None:
    fresh(box, SITE)
    before = status(box)["pid"]
    box.run("systemctl", "kill", "-s", "USR1", "--kill-who=main", "vigia")
    box.until(lambda: "Current thread" in box.journal(), 20.0, "the stacks")
    assert "engine.py" in box.journal()
    assert status(box)["pid"] == before


def test_stop_ends_in_order(box: Machine) -> None:
    fresh(box, SITE + AIS)
    box.run("systemctl", "stop", "vigia")
    assert box.show("Result") == "success"
    assert box.show("ExecMainStatus") == "0"


def test_the_plug_is_pulled_and_it_comes_back_at_boot(box: Machine) -> None:
    fresh(box, SITE)
    box.run("systemctl", "enable", "vigia")
    box.power_off()
    box.boot()
    box.until(lambda: status(box)["pid"] != 0, 60.0, "the service after the boot")
    assert "recovery: " in box.journal("-b")
    box.run("systemctl", "disable", "vigia")
