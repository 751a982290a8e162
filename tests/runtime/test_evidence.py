"""`vigia export-evidence` on what a core really told, and `vigia verify` on what became of the case on its way."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.messages import Ais, Alert, ClockChange, Event, SensorHealth, SensorState, Tick, TrackPicture
from agent.publish.cose import load_or_make
from agent.record.case import EVENTS, MANIFEST, SIGNATURE
from agent.record.log import read_log
from agent.runtime import configuration
from agent.runtime.engine import Engine
from agent.runtime.intake import Intake
from support.clock import ManualClock

CONFIG = """\
[site]
name = "Cabo"
lat = 43.38
lon = -8.40
height_m = 20.0
[[sensor]]
name = "cam"
driver = "camera"
url = "rtsp://guard:Swordfish@10.0.0.8/main"
bearing_deg = 330.0
masks = [[[0, 0], [0.2, 0], [0.2, 0.2]]]
[[sensor]]
name = "ais"
driver = "ais"
url = "udp://127.0.0.1:10110"
[[zone]]
name = "Reserve"
polygon = [[43.39, -8.42], [43.42, -8.42], [43.42, -8.38], [43.39, -8.38]]
[[rule]]
name = "nobody in the reserve"
kind = "zone-enter"
zone = "Reserve"
"""
BEGAN_S = 1_790_000_000.0


class Sink:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts

    def submit_tracks(self, picture: TrackPicture) -> None:
        assert picture is not None

    def submit_health(self, health: SensorHealth) -> None:
        assert health is not None

    def submit_clock(self, change: ClockChange) -> None:
        assert change is not None


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Alert]:
    """The state of a box that has seen one vessel come into its zone, and the alert's first step."""
    folder = tmp_path_factory.mktemp("box")
    config = folder / "c.toml"
    config.write_text(CONFIG)
    state, sink, clock = folder / "state", Sink(), ManualClock(BEGAN_S)
    state.mkdir()
    load_or_make(state / "node.key")
    engine = Engine(configuration.load(config), state)
    engine.recover()
    engine._thread.start = lambda: None  # type: ignore[method-assign] # turn by turn, by hand
    engine.start(clock, Intake(clock, tick_s=1.0, reorder_s=0.0), sink)
    for n in range(200):
        clock.t_s = at_s = BEGAN_S + n
        events: list[Event] = [Tick(at_s=at_s)]
        if n % 2 == 0:
            lat = 43.384 + n * 5.0 / 111_120.0
            events.append(
                Ais(at_s=at_s, source="ais", mmsi=224_000_001, kind="b", msg_type=18, lat=lat, lon=-8.40, sog_mps=5.0,
                    cog_deg=0.0)
            )  # fmt: skip
        if n % 30 == 0:
            events.append(SensorHealth(at_s=at_s, source="ais", state=SensorState.OK, sentence="reports arrive"))
        engine._turn([*engine._changes(), *((at_s, e) for e in events)])
    engine.stop()
    (state / "evidence").mkdir()
    first = next(a for a in sink.alerts if a.rule == "zone-enter")
    (state / "evidence" / f"{first.id}-cam.medium.jpg").write_bytes(b"\xff\xd8 a picture")
    return state, first


@pytest.fixture
def case(lived: tuple[Path, Alert], tmp_path: Path) -> Path:
    state, first = lived
    out = tmp_path / "case.tar"
    assert (
        main(["export-evidence", "--alert", str(first.id), "--state", str(state), "--before", "30", "--out", str(out)])
        == 0
    )
    return out


def contents(case: Path) -> dict[str, bytes]:
    with tarfile.open(case) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr] # they are files


def packed(files: dict[str, bytes], out: Path) -> Path:
    """The same files in a container of the same form: what a forger with tools would hand over."""
    made = json.loads(files[MANIFEST])["made_at"]
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), int(made)
            tar.addfile(info, io.BytesIO(content))
    return out


def verified(case: Path, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = main(["verify", str(case), *args])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_case_says_what_the_box_told_and_what_it_rests_on(case: Path, lived: tuple[Path, Alert]) -> None:
    state, first = lived
    files = contents(case)
    steps = [json.loads(line) for line in files["alert.jsonl"].splitlines()]
    assert [s["revision"] for s in steps] == sorted({s["revision"] for s in steps})
    assert (steps[0]["id"], steps[0]["at"], steps[0]["reasons"]) == (first.id, first.at_s, list(first.reasons))
    manifest = json.loads(files[MANIFEST])
    assert manifest["node"] == "cabo"
    assert manifest["config_sha256"] == configuration.parse(CONFIG, "c").digest
    assert manifest["key"] == load_or_make(state / "node.key").public.hex()
    assert manifest["clock"]["error_ms"] == 0.0
    assert len({*(manifest["sensors"]["cam"].values())}) == 4
    summary = files["summary.txt"].decode()
    assert "nobody in the reserve" in summary
    assert "ais: ok; reports arrive" in summary
    assert f"pictures/{first.id}-cam.medium.jpg" in summary
    assert files[f"pictures/{first.id}-cam.medium.jpg"] == b"\xff\xd8 a picture"


def test_a_case_holds_no_password(case: Path) -> None:
    assert b"10.0.0.8" in contents(case)["config.toml"]
    assert b"Swordfish" not in b"".join(contents(case).values())
    log = case.with_name("x.vlog")
    log.write_bytes(contents(case)[EVENTS])
    assert not any("Swordfish" in repr(event) for _, event in read_log(log))


def test_its_events_are_those_of_the_window_and_replay_raises_the_alert_again(
    case: Path, lived: tuple[Path, Alert], capsys: pytest.CaptureFixture[str]
) -> None:
    _, first = lived
    log, config = case.with_name(EVENTS), case.with_name("config.toml")
    log.write_bytes(contents(case)[EVENTS])
    config.write_bytes(contents(case)["config.toml"])
    times = [event.at_s for _, event in read_log(log)]
    assert first.at_s - 30.0 <= min(times) <= first.at_s - 28.0
    assert max(times) > first.at_s
    capsys.readouterr()
    assert main(["replay", "-c", str(config), str(log)]) == 0
    (again,) = [a for a in map(json.loads, capsys.readouterr().out.splitlines()) if a["state"] == "raised"]
    assert (again["at"], again["rule_name"], again["zone"]) == (first.at_s, first.rule_name, first.zone)


def test_a_whole_case_verifies(case: Path, lived: tuple[Path, Alert], capsys: pytest.CaptureFixture[str]) -> None:
    keys = case.with_name("keys")
    keys.write_text(f"cabo {load_or_make(lived[0] / 'node.key').public.hex()}\n")
    for args in ((), ("--keys", str(keys))):
        code, rows = verified(case, capsys, *args)
        assert (code, rows[-1]["intact"], list(rows[-1]["summary"])) == (0, True, ["sealed"])
    keys.write_text(f"cabo {'00' * 32}\n")
    code, rows = verified(case, capsys, "--keys", str(keys))
    assert (code, rows[0]["file"], rows[0]["verdict"]) == (65, MANIFEST, "flipped")


def test_every_changed_removed_or_added_part_is_named(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = contents(case)
    blocks = [b"VGL1" + b for b in files[EVENTS].split(b"VGL1")[1:]]
    picture = next(n for n in files if n.startswith("pictures/"))
    flipped = bytearray(blocks[4])
    flipped[-1] ^= 1
    changes: dict[str, dict[str, bytes]] = {
        "event 5 flipped": {**files, EVENTS: b"".join([*blocks[:4], bytes(flipped), *blocks[5:]])},
        "event 5 removed": {**files, EVENTS: b"".join([*blocks[:4], *blocks[5:]])},
        "event None added": {**files, EVENTS: b"".join([*blocks[:4], blocks[0], *blocks[4:]])},
        f"file {picture} removed": {n: c for n, c in files.items() if n != picture},
        f"file {picture} flipped": {**files, picture: b"\xff\xd8 another"},
        "file more.txt added": {**files, "more.txt": b"x"},
        f"file {MANIFEST} flipped": {**files, MANIFEST: files[MANIFEST].replace(b'"cabo"', b'"capo"')},
    }
    for change, forged in changes.items():
        code, rows = verified(packed(forged, tmp_path / "forged.tar"), capsys)
        named = [
            f"{'event' if 'event' in r else 'file'} {r.get('event', r.get('file'))} {r['verdict']}" for r in rows[:-1]
        ]
        assert (code, rows[-1]["intact"]) == (65, False)
        expected = {change, f"file {EVENTS} flipped"} if change.startswith("event") else {change}
        assert set(named) == expected
    unsigned = {n: c for n, c in files.items() if n != SIGNATURE}
    assert verified(packed(unsigned, tmp_path / "forged.tar"), capsys)[0] == 65


def test_no_single_bit_goes_unnoticed(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = case.read_bytes()
    broken = tmp_path / "broken.tar"
    for place in range(0, len(whole), len(whole) // 60):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        broken.write_bytes(changed)
        assert main(["verify", str(broken)]) == 65, place
    broken.write_bytes(whole[: len(whole) // 2])
    assert main(["verify", str(broken)]) == 65


def test_what_cannot_be_exported_is_said(
    case: Path, lived: tuple[Path, Alert], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, first = lived
    command = ["export-evidence", "--state", str(state), "--alert"]
    assert main([*command, "99", "--out", str(tmp_path / "x.tar")]) == 65
    assert "it has alerts" in capsys.readouterr().err
    assert main([*command, str(first.id), "--out", str(case)]) == 65
    assert "there already" in capsys.readouterr().err
    assert main(["export-evidence", "--state", str(tmp_path / "nobody"), "--alert", "1"]) == 65
    (tmp_path / "other").write_text("no case")
    assert main(["verify", str(tmp_path / "other")]) == 65
