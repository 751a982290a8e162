"""`vigia decode alert`: a caught message as hex, base64 or bytes, alone with its birth or among others with topics."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest

from agent.cli.main import main

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))["messages"]
BIRTH, ALERT = GOLDEN["birth"]["hex"], GOLDEN["alert"]["hex"]


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("form", ["argument", "bytes", "hex", "base64"])
def test_one_alert_in_every_form(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, birth = tmp_path / "message", tmp_path / "birth"
    birth.write_bytes(bytes.fromhex(BIRTH))
    raw = bytes.fromhex(ALERT)
    file.write_bytes({"bytes": raw, "hex": ALERT.encode() + b"\n", "base64": base64.b64encode(raw)}.get(form, b""))
    assert main(["decode", "alert", ALERT if form == "argument" else str(file), "--birth", str(birth)]) == 0
    assert told(capsys) == GOLDEN["alert"]["json"]


def test_lines_with_topics_carry_their_births(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["alert", "tracks", "health-changed", "note", "seal", "birth", "state"]  # the birth need not come first
    lines = [f"s1/tarifa-1/u/{GOLDEN[n]['topic']} {GOLDEN[n]['hex']}" for n in names]
    stdin = io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["decode", "alert", "-"]) == 0
    rows = told(capsys)
    assert rows[:-1] == [row for n in names[:-1] for row in GOLDEN[n]["json"]]
    assert (rows[-1]["type"], rows[-1]["node"]) == ("state", "tarifa-1")


def test_without_its_birth_it_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "alert", ALERT]) == 65
    assert "--birth FILE" in capsys.readouterr().err


def test_a_broken_line_costs_that_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "night.txt"
    file.write_text(f"s1/tarifa-1/u/b {BIRTH}\ns1/tarifa-1/u/a {ALERT[:-20]}\ns1/tarifa-1/u/a {ALERT}\n")
    assert main(["decode", "alert", str(file)]) == 0
    out = capsys.readouterr()
    assert [json.loads(x)["type"] for x in out.out.splitlines()] == ["birth", "alert"]
    assert f"{file}:2:" in out.err


@pytest.mark.parametrize("text", ["", "s1/a/u/a zz zz\n", "nonsense!\n"])
def test_what_holds_no_message_is_an_error(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x"
    file.write_text(text)
    assert main(["decode", "alert", str(file)]) == 65
    assert str(file) in capsys.readouterr().err
    assert main(["decode", "alert", str(tmp_path / "missing")]) == 65
