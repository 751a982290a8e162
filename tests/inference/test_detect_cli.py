"""`vigia detect` on pictures written here, with a real (tiny) model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.cli import detect
from agent.errors import ConfigError, InputError, UsageError
from inference.blob_model import blob_model


def vigia_detect(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    detect.add_arguments(parser)
    return detect.run(parser.parse_args([str(a) for a in arguments]))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return blob_model(tmp_path / "blobs.onnx", strides=(4, 8, 16))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = np.zeros((256, 320, 3), dtype=np.uint8)
    image[96:112, 160:176] = 255
    path = tmp_path / "sea.png"
    cv2.imwrite(str(path), image)
    return path


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_object_a_picture_in_its_pixels(model: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vigia_detect("--model", model, "--min-score", "0.9", picture, picture) == 0
    first, second = lines(capsys)
    assert first == second
    assert {k: first[k] for k in ("image", "width", "height")} == {"image": str(picture), "width": 320, "height": 256}
    assert set(first["detections"][0]) == {"label", "class", "score", "box"}
    assert [160, 96, 176, 112] in [[round(v) for v in d["box"]] for d in first["detections"]]
    scores = [d["score"] for d in first["detections"]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("tiles", ["auto", "off", "160x128"])
def test_tiles(model: Path, picture: Path, tiles: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vigia_detect("--model", model, "--min-score", "0.9", "--tiles", tiles, picture) == 0
    boxes = [[round(v) for v in d["box"]] for d in lines(capsys)[0]["detections"]]
    assert boxes.count([160, 96, 176, 112]) == 1


def test_annotated_pictures_are_written_without_overwriting(model: Path, picture: Path, tmp_path: Path) -> None:
    vigia_detect("--model", model, "--annotate", tmp_path / "out", picture, picture)
    written = sorted((tmp_path / "out").iterdir())
    assert len(written) == 2
    drawn = cv2.imread(str(written[0]))
    assert drawn is not None
    assert drawn.shape == (256, 320, 3)
    assert (drawn[..., 2].astype(int) - drawn[..., 0] > 100).any(), "no amber box in it"


def test_what_cannot_be_read_is_named_after_the_rest_was_done(
    model: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    with pytest.raises(InputError, match="text.jpg.*not a picture or video.*nix.jpg.*no such file"):
        vigia_detect("--model", model, text, tmp_path / "nix.jpg", picture)
    assert len(lines(capsys)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--min-score", "3"),
        ("--tiles", "big"),
        ("--tiles", "1x1"),
        ("--input", "yuv"),
        ("--input", "std=0"),
        ("--annotate", "/dev/null/x"),
    ],
)
def test_wrong_usage(model: Path, picture: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        vigia_detect("--model", model, *arguments, picture)


def test_labels_from_a_file_are_meant_from_the_working_directory(
    model: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "names.txt").write_text("panga\n")
    monkeypatch.chdir(elsewhere)
    vigia_detect("--model", model, "--labels", "names.txt", picture)
    assert lines(capsys)[0]["detections"][0]["label"] == "panga"
    with pytest.raises(ConfigError, match="nix.txt"):
        vigia_detect("--model", model, "--labels", "nix.txt", picture)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten pictures at ten a second: a square that moves right by 16 pixels each."""
    path = tmp_path / "a clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (320, 256))
    for i in range(10):
        image = np.zeros((256, 320, 3), dtype=np.uint8)
        image[96:112, 32 + 16 * i : 48 + 16 * i] = 255
        writer.write(image)
    writer.release()
    return path


def test_a_video_gives_a_line_a_picture_and_an_annotated_video(
    model: Path, video: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert vigia_detect("--model", model, "--min-score", "0.8", "--annotate", out, video, picture) == 0
    *frames, still = lines(capsys)
    assert [f["frame"] for f in frames] == list(range(10))
    assert [f["at_s"] for f in frames] == pytest.approx([i / 10 for i in range(10)])
    for i, f in enumerate(frames):
        assert any(abs(d["box"][0] - (32 + 16 * i)) < 3 for d in f["detections"])
    assert "frame" not in still
    read = cv2.VideoCapture(str(out / "a clip.mp4"))
    assert (read.get(cv2.CAP_PROP_FRAME_COUNT), read.get(cv2.CAP_PROP_FPS)) == (10, 10)
    good, drawn = read.read()
    assert good
    assert (drawn[..., 2].astype(int) - drawn[..., 0] > 80).any(), "no amber box in it"


def test_a_video_looked_at_now_and_then(model: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vigia_detect("--model", model, "--fps", "2", video) == 0
    assert [f["frame"] for f in lines(capsys)] == [0, 5]
    with pytest.raises(UsageError, match="--fps 0"):
        vigia_detect("--model", model, "--fps", "0", video)


@pytest.mark.field
def test_a_foreign_model_on_a_photograph_with_no_option_but_the_model(
    field_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = json.loads((field_data / "images" / "consensus.json").read_text())["images"]
    photographs = [field_data / "images" / name for name in truth]
    assert vigia_detect("--model", field_data / "models" / "yolox_nano_416.onnx", *photographs) == 0
    for line in lines(capsys):
        boats = [d for d in line["detections"] if d["label"] == "boat" and d["score"] > 0.45]
        expected = truth[Path(line["image"]).name]
        assert [d["class"] for d in boats] == [8] * len(expected)
        assert boats[0]["box"] == pytest.approx(expected[0]["box"], abs=3.0)
