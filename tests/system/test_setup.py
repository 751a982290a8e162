"""`vigia setup` as a technician meets it: on a terminal (a pty), with a serial line and a broker that are real."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtime import configuration
from support.broker import Mosquitto, free_port

from .test_bad_input import sentence

TTM = "$RATTM,11,1.4,13.6,T,7.0,20.0,T,0.0,0.0,N,,T,,154125.82,A"


class Terminal:
    """A person's end of the terminal: waits for a question, then answers it."""

    def __init__(self, *args: str) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "agent.cli.main", "setup", *args])  # noqa: S606 - no shell
        self.seen = ""

    def answer(self, question: str, text: str) -> None:
        self.until(question)
        os.write(self._fd, text.encode() + b"\n")

    def until(self, words: str, timeout_s: float = 60.0) -> None:
        """Read until the words are on the screen, and forget what came before them."""
        deadline = time.monotonic() + timeout_s
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._fd], [], [], 0.2)[0]:
                self.seen += self._read()
        self.seen = self.seen[self.seen.index(words) + len(words) :]

    def end(self) -> int:
        """The rest of what it says; the exit code."""
        while text := self._read():
            self.seen += text
        _, status = os.waitpid(self._pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> str:
        try:
            return os.read(self._fd, 4096).decode(errors="replace")
        except OSError:  # Linux says so when the other end has closed
            return ""


@pytest.fixture
def radar_line() -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(master)
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.2):
            os.write(master, sentence(TTM))

    thread = threading.Thread(target=talk)
    thread.start()
    yield os.ttyname(slave)
    stop.set()
    thread.join()
    os.close(master)
    os.close(slave)


def test_from_questions_to_an_alert_at_the_picture(tmp_path: Path, radar_line: str) -> None:
    (tmp_path / "m").mkdir()
    broker = Mosquitto(tmp_path / "m", users={"cabo": "s3cret-word"})
    broker.start()
    picture_password = tmp_path / "picture"
    picture_password.write_text("s3cret-word")
    config = tmp_path / "etc" / "vigia.toml"
    config.parent.mkdir()
    config.write_text('[site]\nname = "example"\nlat = 0\nlon = 0\nheight_m = 0\n')
    url = broker.url.replace("mqtt://", "mqtt://cabo:s3cret-word@")
    picture = subprocess.Popen(
        [sys.executable, "-m", "agent.cli.main", "watch", "--broker", url, "--json", "--ack"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        t = Terminal("-c", str(config), "--credentials", str(tmp_path / "cred"), "--line", radar_line)
        t.answer("Name of the place", "Cabo Home")
        t.answer("Latitude", "north of here")
        t.answer("does not fit; once more", "42,25")
        t.answer("Longitude", "-8.87")
        t.answer("Height", "")
        t.answer("exercise", "y")
        t.answer(f"{radar_line}?baud=38400: ", "y")
        t.answer("without AIS?", "y")
        t.answer("nearer than", "")
        t.answer("Broker", broker.url)
        t.answer("User name", "cabo")
        t.answer("Password", "s3cret-word")
        t.answer("Write this to", "y")
        t.answer("test alert", "y")
        t.until("Good: the picture has acknowledged the test alert.")
        assert t.end() == 0
    finally:
        picture.terminate()
        received = picture.communicate(timeout=20)[0]
        broker.stop()
    (alert,) = [row for row in map(json.loads, received.splitlines()) if row["type"] == "alert"]
    assert (alert["node"], alert["rule"], alert["exercise"]) == ("cabo-home", "test", True)

    os.environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "cred")
    loaded = configuration.load(config).config
    assert (loaded.site.name, loaded.site.lat, loaded.site.height_m) == ("Cabo Home", 42.25, 20.0)
    (sensor,) = loaded.sensor
    assert (sensor.driver, sensor.url) == ("nmea-radar", f"serial://{radar_line}?baud=38400")
    written = (config.parent / "conf.d/10-setup.toml").read_text()
    assert "s3cret-word" not in written
    assert re.search(r"^# Written by", written)
    secret = tmp_path / "cred" / "vigia.mqtt-password"
    assert secret.read_text() == "s3cret-word"
    assert secret.stat().st_mode & 0o777 == 0o600


def test_no_to_the_last_question_writes_nothing(tmp_path: Path) -> None:
    t = Terminal("-c", str(tmp_path / "vigia.toml"), "--line", str(tmp_path / "no-such-line"))
    for question, text in (("Name", ""), ("Latitude", "1"), ("Longitude", "2"), ("Height", ""), ("exercise", "n")):
        t.answer(question, text)
    t.until("cannot be opened")
    for question, text in (("without AIS", "n"), ("Broker", ""), ("Write this to", "n")):
        t.answer(question, text)
    assert t.end() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    t = Terminal("-c", str(tmp_path / "vigia.toml"), "--line", str(tmp_path / "no-such-line"))
    for question, text in (("Name", "X"), ("Latitude", "1"), ("Longitude", "2"), ("Height", ""), ("exercise", "n")):
        t.answer(question, text)
    for question, text in (("without AIS", "n"), ("Broker", f"mqtt://127.0.0.1:{free_port()}"), ("User name", "")):
        t.answer(question, text)
    t.answer("Write this to", "y")
    t.answer("test alert", "y")
    t.until("Not yet: the test alert did not leave the box")
    assert t.end() == 0
    assert "Traceback" not in t.seen


def test_without_a_terminal_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "setup"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 64
    assert "terminal" in done.stderr
