"""The camera's score by hand, and of the shipped detector on rendered pictures, in files from end to end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agent.cli.main import main as vigia
from hardware_sim import sight
from hardware_sim.cli import main
from hardware_sim.errors import ScoreError
from hardware_sim.score import score_boxes, score_files

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {
    "type": "header", "scenario": "made-up", "seed": 3,
    "camera": {"bearing_deg": 0.0, "hfov_deg": 40.0, "width_px": 1280, "height_px": 720},
}  # fmt: skip


def there(id_: str, kind: str, box: list[float], **other: float) -> dict[str, Any]:
    told = {"visible": 1.0, "contrast": 30.0, "grain": 1.0, "range_m": 1500.0, **other}
    return {"id": id_, "kind": kind, "box_px": box, **told}


def saw(label: str, box: list[float], score: float) -> dict[str, Any]:
    return {"label": label, "class": 0, "score": score, "box": box}


def look(image: str, *detections: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"image": image, "width": 1280, "height": 720, "detections": list(detections), **other}


PICTURES = [
    {"type": "picture", "file": "000000.jpg", "t": 0.0, "boxes": [
        there("boat", "panga", [100, 100, 110, 104], range_m=900.0),
        there("ship", "ferry", [200, 100, 290, 120], range_m=2500.0),
        there("mark", "buoy", [400, 100, 404, 106]),
        there("covered", "cargo", [500, 90, 600, 110], visible=0.1),
        there("head", "swimmer", [700, 200, 703, 203]),
        there("stone", "rock", [800, 200, 820, 206]),
    ]},
    {"type": "picture", "file": "000001.jpg", "t": 0.5, "boxes": [there("boat", "panga", [100, 100, 110, 104])]},
    {"type": "picture", "file": "000002.jpg", "t": 1.0, "boxes": [
        there("boat", "panga", [100, 100, 110, 104], contrast=3.0),
    ]},
]  # fmt: skip
FIRST = look(
    "elsewhere/000000.jpg",
    saw("small-craft", [101, 100, 111, 104], 0.8),  # a second box on the panga
    saw("sailing", [100, 100, 110, 104], 0.9),  # the panga, of another kind
    saw("small-craft", [400, 100, 404, 106], 0.7),  # the buoy
    saw("buoy", [400, 100, 404, 106], 0.6),
    saw("large-ship", [510, 92, 600, 110], 0.9),  # of what is hidden nobody is asked
    saw("small-craft", [700, 200, 703, 203], 0.9),
    saw("small-craft", [801, 200, 821, 206], 0.9),  # the rock
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Where the camera's truth and the boxes are."""
    camera, boxes = tmp_path / "camera.jsonl", tmp_path / "boxes.jsonl"
    write(camera, [HEADER, *PICTURES])
    return camera, boxes


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")


def test_boxes_are_counted_as_by_hand(files: tuple[Path, Path]) -> None:
    camera, boxes = files
    write(boxes, [FIRST, look("000002.jpg")])
    got = score_boxes(camera, boxes)["camera"]
    recall = got.pop("recall")
    assert got == {
        "min_iou": 0.2, "pictures": 2, "not_looked_at": 1, "vessels": 2, "found": 1, "unseen": 2,
        "boxes": 4, "false_boxes": 3, "precision": 0.25, "false_boxes_per_picture": 1.5,
    }  # fmt: skip
    one, none = {"recall": 1.0, "of": 1}, {"recall": 0.0, "of": 1}
    assert recall == {
        "all": 0.5,
        "by_class": {"ferry": none, "panga": one},
        "by_range_m": {"0-1000": one, "2000-4000": none},
        "by_height_px": {"4-8": one, "16-32": none},
        "by_width_px": {"8-16": one, "64-128": none},
    }


@pytest.mark.parametrize("whole", ["v.mp4", "folder"])
def test_of_what_was_looked_at_as_a_whole_pictures_go_by_number(files: tuple[Path, Path], whole: str) -> None:
    camera, boxes = files
    if whole == "v.mp4":
        write(camera, [HEADER, *({**p, "file": whole} for p in PICTURES)])
    else:
        whole = camera.parent.name
    write(boxes, [look(f"elsewhere/{whole}", saw("boat", [100, 100, 110, 104], 0.5), frame=1, at_s=0.5)])
    got = score_boxes(camera, boxes)["camera"]
    assert (got["pictures"], got["vessels"], got["found"], got["false_boxes"]) == (1, 1, 1, 0)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([look("000009.jpg")], "000009.jpg is no picture of"),
        ([look("v.mp4", frame=0)], "v.mp4 is no picture of"),
        ([look("000000.jpg"), look("x/000000.jpg")], "twice about one picture"),
        ([look("000000.jpg") | {"width": 640}], "has 640 x 720 pixels, the camera"),
        ([look("000000.jpg", {"label": "boat", "score": 0.5})], "lacks `box`"),
        ([look("000000.jpg", saw("boat", [1, 2, 3], 0.5))], "is four numbers"),
        ([look("000000.jpg") | {"detections": "many"}], "is a list of objects, not 'many'"),
    ],
)
def test_boxes_that_cannot_be_scored(files: tuple[Path, Path], lines: list[dict[str, Any]], says: str) -> None:
    camera, boxes = files
    write(boxes, lines)
    with pytest.raises(ScoreError, match=says):
        score_boxes(camera, boxes)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "does not begin with a header"),
        ([HEADER], "no picture in it"),
        ([HEADER, {"type": "target", "at": 0}], "a line is no picture"),
        ([HEADER | {"camera": {}}, *PICTURES], "lacks `bearing_deg`"),
        ([HEADER, PICTURES[0] | {"boxes": [there("x", "ufo", [0, 0, 1, 1])]}], "no kind 'ufo'"),
        ([HEADER, PICTURES[0] | {"boxes": [{"id": "x"}]}], "a box x lacks `kind`"),
    ],
)
def test_a_camera_s_truth_that_is_none(files: tuple[Path, Path], lines: list[dict[str, Any]], says: str) -> None:
    camera, boxes = files
    write(camera, lines)
    write(boxes, [FIRST])
    with pytest.raises(ScoreError, match=says):
        score_boxes(camera, boxes)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "score wants TRUTH TRACKS ALERTS, or --camera"),
        (("a", "b"), "score wants TRUTH TRACKS ALERTS"),
        (("--camera", "c"), "score wants TRUTH TRACKS ALERTS"),
        (("--boxes", "b"), "give --camera FILE as well"),
    ],
)
def test_what_score_needs(args: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", *args]) == 64
    assert says in capsys.readouterr().err


def test_noise_and_what_is_hidden_or_tiny_is_not_asked_for() -> None:
    """In 8 px noise alone gives an RMS up to 1.73 of its own: 5^2 + 6^2 * 3 is 11.5^2."""
    boxes = np.array([[0, 0, 4, 2]] * 4 + [[0, 0, 1.9, 1.9]], np.float32)
    visible = np.array([1.0, 1.0, 0.34, 1.0, 1.0], np.float32)
    contrast = np.array([11.6, 11.4, 50.0, 5.1, 50.0], np.float32)
    grains = np.array([6.0, 6.0, 0.0, 0.0, 0.0], np.float32)
    assert sight.seen(boxes, visible, contrast, grains).tolist() == [True, False, False, True, False]


def test_the_shipped_detector_on_rendered_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`render`, `vigia detect`, `score`: the same two moments as pictures and as a video."""
    args = ("--seed", "5", "--from", "40", "--fps", "0.5", "--duration", "4", "--size", "1280x720", "--detail", "live")
    folder, video = tmp_path / "pictures", tmp_path / "video.mp4"
    assert main(["render", "harbour-mouth", "--out", str(folder), *args]) == 0
    assert main(["render", "harbour-mouth", "--out", str(video), *args]) == 0
    scores = []
    for camera, images in (
        (folder / "truth.jsonl", sorted(folder.glob("*.jpg"))),
        (video.with_suffix(".jsonl"), [video]),
    ):
        capsys.readouterr()
        assert vigia(["detect", *map(str, images)]) == 0
        (tmp_path / "boxes.jsonl").write_text(capsys.readouterr().out, encoding="utf-8")
        assert main(["score", "--camera", str(camera), "--boxes", str(tmp_path / "boxes.jsonl")]) == 0
        scores.append(json.loads(capsys.readouterr().out)["camera"])
    for got in scores:
        assert (got["pictures"], got["not_looked_at"], got["vessels"]) == (2, 0, 6)
        for kind in ("ferry", "fishing"):  # at least 0.90 and 0.68, where 0.53 is asked for
            assert got["recall"]["by_class"][kind] == {"recall": 1.0, "of": 2}
        assert got["false_boxes"] == got["boxes"] - got["found"]
        assert got["false_boxes_per_picture"] <= 0.5  # these give 0


def test_tracks_by_size_in_the_picture_and_unseen_in_fog(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fast run, its box, and what the camera showed at the truth's moments, by day and in fog."""
    assert main(["run", "harbour-mouth", "--fast", "--seed", "5", "--duration", "30", "--out", str(tmp_path)]) == 0
    box, events, tracks, alerts = (tmp_path / x for x in ("box.toml", "events.jsonl", "tracks.jsonl", "alerts.jsonl"))
    replay = ["replay", "-c", str(box), "--events", str(events), "--tracks", str(tracks), "--alerts", str(alerts)]
    assert vigia(replay) == 0
    args = ("--seed", "5", "--fps", "0.1", "--duration", "30", "--size", "640x360", "--detail", "live")
    fog = ("--weather", "light=overcast", "--weather", "visibility_m=700")
    recalls = []
    for name, weather in (("day", ()), ("fog", fog)):
        camera = tmp_path / f"{name}.jsonl"
        assert main(["render", "harbour-mouth", "--out", str(camera), *args, *weather]) == 0
        capsys.readouterr()
        run = [str(tmp_path / "truth.jsonl"), str(tracks), str(alerts)]
        assert main(["score", *run, "--camera", str(camera)]) == 0
        recalls.append(json.loads(capsys.readouterr().out)["tracks"]["recall"])
    day, fogged = recalls
    assert sum(x["of"] for x in day["by_height_px"].values()) == 9  # three vessels at 0, 10 and 20 s; 30 has no picture
    assert "unseen" not in day["by_height_px"]
    assert list(fogged["by_height_px"]) == ["unseen"]
    assert fogged["by_height_px"]["unseen"]["of"] == 9
    assert day["by_class"] == fogged["by_class"]
    assert main(["render", "harbour-mouth", "--out", str(tmp_path / "other.jsonl"), *args, "--seed", "6"]) == 0
    with pytest.raises(ScoreError, match="with seed 6, .* with seed 5; render the same one"):
        score_files(tmp_path / "truth.jsonl", tracks, alerts, tmp_path / "other.jsonl")
