"""Example: vigia setup -c /etc/vigia/vigia.toml.

Asks where the box stands, looks for what is plugged in, asks for the broker, writes a commented file into conf.d
(FILE itself where there is none), checks it and sends a test alert. Nothing is written before the last question; an
answer left empty takes what stands in brackets. The broker's password goes into --credentials, readable by root alone.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import probe_feeds as feeds
from agent.config.dropin import FOLDER
from agent.config.load import ConfigProblems
from agent.errors import SensorUnavailable, UsageError
from agent.runtime import configuration
from agent.runtime.exercise import send_test_alert

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

HELP = "The first start of a box, in the terminal: place, sensors, broker, a test alert."
NAME = "10-setup.toml"
PASSWORD = "vigia.mqtt-password"  # noqa: S105 - the credential's name
TEST_S = 20.0
LISTEN_S = 8.0
RADARS = {"Navico radar": "navico", "Garmin radar": "garmin", "Furuno radar": "furuno"}  # what `vigia probe` calls them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia setup`."""
    parser.add_argument("-c", "--config", type=Path, default=Path("/etc/vigia/vigia.toml"), metavar="FILE")
    parser.add_argument("--credentials", type=Path, default=Path("/etc/credstore"), metavar="DIR")
    parser.add_argument(
        "--line", type=Path, action="append", metavar="DEVICE", help="look at these serial lines instead of all"
    )


def run(args: argparse.Namespace) -> int:
    """Ask, write, check, test."""
    if not os.isatty(0):
        raise UsageError("vigia setup asks questions: run it in a terminal (or write the configuration by hand)")
    try:
        return _Setup(args).run()
    except EOFError as e:
        raise UsageError("setup ended before the last question; nothing was written") from e


class _Setup:
    def __init__(self, args: argparse.Namespace) -> None:
        self._config: Path = args.config
        self._credentials: Path = args.credentials
        self._lines: list[Path] | None = args.line
        self._password = ""

    def run(self) -> int:
        blocks = [self._site(), *self._sensors(), self._rule(), self._publish()]
        text = "\n".join(["# Written by `vigia setup`; edit it freely. Every key: configs/vigia.toml.", *blocks])
        target = self._config.parent / FOLDER / NAME if self._config.exists() else self._config
        print(f"\n{text}")
        if not _yes(f"Write this to {target}?"):
            print("Nothing was written.")
            return 0
        self._write(target, text)
        return self._check_and_test()

    def _site(self) -> str:
        print("Where does the box stand?")
        name = _ask("Name of the place", "My headland", lambda v: v if 0 < len(v) <= 64 else None)
        lat = _ask("Latitude, degrees north (south negative)", "", _between(-90.0, 90.0))
        lon = _ask("Longitude, degrees east (west negative)", "", _between(-180.0, 180.0))
        height = _ask("Height of the sensors above the sea, m", "20", _between(0.0, 3000.0))
        exercise = _yes("Mark every alert as an exercise until you change it?")
        return (
            f"[site]\nname = {_text(name)}\nlat = {lat}\nlon = {lon}\nheight_m = {height}\n"
            f"exercise = {'true' if exercise else 'false'}        # true: every alert says that it is an exercise\n"
        )

    def _sensors(self) -> list[str]:
        print("\nLooking for what is plugged in ...")
        blocks = []
        counts: dict[str, int] = {}
        for found in self._finds():
            driver = found.get("driver") or RADARS.get(found.get("what", ""))
            print(f"  {found.get('url') or found.get('device')}: {_evidence(found)}")
            if driver is None or "trouble" in found or not _yes(f"Use it as {driver}?"):
                continue
            kind = "radar" if found.get("what") in RADARS else driver.removeprefix("nmea-")
            number = counts[kind] = counts.get(kind, 0) + 1
            blocks.append(_sensor(found, driver, f"{kind}-{number}"))
        if not blocks:
            print("No sensor yet. Add [[sensor]] tables by hand: the example file shows them.")
        return blocks

    def _finds(self) -> Iterator[dict[str, Any]]:
        """What `vigia probe` finds; on the lines that --line names, and nowhere else, if it does."""
        if self._lines:
            yield from feeds.serial_ports([str(line) for line in self._lines], LISTEN_S)
            return
        yield from feeds.v4l2(Path("/dev"))
        yield from feeds.serial_ports(None, LISTEN_S)
        interfaces = feeds.interfaces(None)
        yield from feeds.network(feeds.places([]), interfaces, LISTEN_S)
        yield from feeds.onvif(interfaces, LISTEN_S)

    def _rule(self) -> str:
        if not _yes("Alert on every vessel without AIS?"):
            return ""
        metres = _ask("... nearer than, m", "8000", _between(100.0, 100_000.0))
        return (
            '[[rule]]\nname = "no AIS"\nkind = "dark-vessel"\n'
            f"max_range_m = {metres}\nais_wait_s = 300              # how long a vessel is watched for an AIS report\n"
        )

    def _publish(self) -> str:
        broker = _ask("\nBroker of the shared picture (mqtts://host:8883; empty: none yet)", "", _broker, empty=True)
        if not broker:
            return "# [publish]\n# broker = ...                 # none yet: alerts wait in the outbox\n"
        out = f"[publish]\nbroker = {_text(broker)}\n"
        if user := _ask("User name at the broker (empty: none)", "", lambda v: v, empty=True):
            self._password = getpass.getpass("Password (not shown): ")
            out += f'username = {_text(user)}\npassword_file = "${{CREDENTIALS_DIRECTORY}}/mqtt-password"\n'
        return out

    def _write(self, target: Path, text: str) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            _put(target, text, 0o640)
            shutil.chown(target, group=self._config.parent.stat().st_gid)  # who may read the one may read the other
            if self._password:
                self._credentials.mkdir(parents=True, exist_ok=True, mode=0o700)
                _put(self._credentials / PASSWORD, self._password, 0o600)
        except OSError as e:
            raise SensorUnavailable(
                f"{e.filename}: cannot be written: {e.strerror}; run as root: sudo vigia setup"
            ) from e

    def _check_and_test(self) -> int:
        os.environ.setdefault("CREDENTIALS_DIRECTORY", str(self._credentials))
        try:
            config = configuration.load(self._config).config
        except ConfigProblems as e:
            print(e)
            return e.exit_code
        print("The configuration is good.")
        if config.publish.broker and _yes("Send a test alert (marked as an exercise) now?"):
            if self._password:  # under systemd it is the credential mqtt-password
                password_file = str(self._credentials / PASSWORD)
                publish = config.publish.model_copy(update={"password_file": password_file})
                config = config.model_copy(update={"publish": publish})
            arrived, sentence = send_test_alert(config, TEST_S)
            print(f"{'Good' if arrived else 'Not yet'}: {sentence}.")
        print("Start it: systemctl enable --now vigia; then ask it: vigia status --indent")
        return 0


def _evidence(found: dict[str, Any]) -> str:
    """Why we think so, in one line."""
    if "trouble" in found:
        return str(found["trouble"])
    if sentences := found.get("sentences"):
        said = ", ".join(f"{n} {k}" for k, n in list(sentences.items())[:6])
        return f"{said} at {found['baud']} baud" if "baud" in found else said
    if found["kind"] == "serial":
        return f"{found['bytes']} bytes that are no NMEA sentences" if found.get("bytes") else "silent"
    if found["kind"] == "network":
        return f"{found['what']}, {found['datagrams']} datagrams"
    return " ".join(str(found[k]) for k in ("name", "hardware", "bus") if k in found) or "a camera"


def _sensor(found: dict[str, Any], driver: str, name: str) -> str:
    url = found["url"]
    if found.get("via") == "onvif":
        url = _ask("  Its stream (the path stands in its manual)", url, lambda v: v if "://" in v else None)
    out = f"[[sensor]]                    # {_evidence(found)}\n"
    out += f"name = {_text(name)}\ndriver = {_text(driver)}\nurl = {_text(url)}\n"
    if driver in RADARS.values():
        heading = _ask("  True heading of the antenna's zero mark, degrees", "0", _between(0.0, 359.999))
        out += f"heading_deg = {heading}\n"
    if driver == "camera":
        bearing = _ask("  True bearing of the picture's middle, degrees", "0", _between(-360.0, 360.0))
        hfov = _ask("  Horizontal field of view, degrees", "60", _between(0.6, 149.0))
        out += f"bearing_deg = {bearing}\nhfov_deg = {hfov}\n"
    return out


def _put(path: Path, text: str, mode: int) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    new.touch(mode=mode & 0o600, exist_ok=False)  # never readable by others, not even for a moment
    new.write_text(text, encoding="utf-8")
    new.chmod(mode)
    new.replace(path)


def _ask(question: str, default: str, take: Callable[[str], str | None], *, empty: bool = False) -> str:
    while True:
        shown = f" [{default}]" if default else ""
        answer = input(f"{question}{shown}: ").strip() or default
        if empty and not answer:
            return ""
        taken = take(answer) if answer else None
        if taken is not None:
            return taken
        print("  That does not fit; once more.")


def _yes(question: str) -> bool:
    return _ask(f"{question} (y/n)", "y", lambda v: v[0].lower() if v[0].lower() in "yn" else None) == "y"


def _between(low: float, high: float) -> Callable[[str], str | None]:
    def take(answer: str) -> str | None:
        try:
            value = float(answer.replace(",", "."))
        except ValueError:
            return None
        return str(value) if low <= value <= high else None

    return take


def _broker(answer: str) -> str | None:
    return answer if answer.startswith(("mqtt://", "mqtts://")) else None


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
