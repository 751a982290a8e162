"""Pictures as files: the same bytes for the same scenario and seed, truth that fits, and files others can read."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from agent.clock import SystemClock
from agent.drivers.camera.open import open_camera
from agent.drivers.camera.options import CameraOptions
from agent.transport.base import EndOfData
from hardware_sim import scenario
from hardware_sim.cli import main
from hardware_sim.devices.view import View, conditions, drawn, rain_visibility_m
from hardware_sim.tables import TideTable
from hardware_sim.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.drivers.camera.base import FrameSource
    from hardware_sim.scenario import Scenario

SMALL = ("--size", "320x180", "--fps", "4", "--from", "40")


def render(out: Path, *args: str, name: str = "harbour-mouth") -> None:
    assert main(["render", name, "--out", str(out), *SMALL, *args]) == 0


def truth(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    header, *pictures = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return header, pictures


def picture(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, dtype=np.uint8)


def read_all(source: FrameSource, shapes: list[tuple[int, ...]]) -> None:
    while True:
        frame = source.read(1.0)
        if frame is not None:
            shapes.append(frame.image.shape)


def everything(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_the_same_scenario_and_seed_give_the_same_pictures_in_any_process(tmp_path: Path) -> None:
    options = ("--duration", "1", "--format", "png", "--weather", "rain_mm_h=5")
    render(tmp_path / "a", "--seed", "3", *options)
    subprocess.run(
        [sys.executable, "-m", "hardware_sim", "render", "harbour-mouth", "--out", str(tmp_path / "b"), *SMALL,
         "--seed", "3", *options],
        check=True, env={**os.environ, "PYTHONHASHSEED": "77"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    render(tmp_path / "c", "--seed", "4", *options)
    a, b, c = (everything(tmp_path / x) for x in "abc")
    assert list(a) == ["000000.png", "000001.png", "000002.png", "000003.png", "truth.jsonl"]
    assert a == b
    decoded = [picture(tmp_path / x / "000000.png") for x in "abc"]
    assert np.array_equal(decoded[0], decoded[1])
    assert not np.array_equal(decoded[0], decoded[2])
    assert all(a[name] != c[name] for name in a)


def test_a_picture_alone_is_the_one_of_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render(tmp_path / "all", "--duration", "0.5", "--detail", "live")
    render(tmp_path / "one.jpg", "--detail", "live")
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "all" / "000000.jpg").read_bytes()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    first = truth(tmp_path / "all" / "truth.jsonl")[1][0]
    assert told["truth"] == {**first, "file": "one.jpg"}


def test_truth_says_where_how_large_and_how_much_of_it_shows(tmp_path: Path) -> None:
    """The ferry at 40 s is 2,383 m away at 335.0 degrees: 5.0 to starboard of the camera's 330."""
    render(tmp_path / "d", "--duration", "0.25", "--size", "1280x720")
    header, (line,) = truth(tmp_path / "d" / "truth.jsonl")
    assert (header["seed"], header["fps"], header["detail"]) == (0, 4.0, "full")
    assert (line["file"], line["t"]) == ("000000.jpg", 40.0)
    ferry = next(b for b in line["boxes"] if b["id"] == "Ria Express")
    x0, y0, x1, y1 = ferry["box_px"]
    focal = 640.0 / np.tan(np.radians(20.0))
    assert ferry["size_px"] == pytest.approx([x1 - x0, y1 - y0], abs=0.02)
    assert (x0 + x1) / 2.0 == pytest.approx(640.0 + focal * np.tan(np.radians(ferry["bearing_deg"] - 330.0)), abs=3.0)
    assert (ferry["kind"], ferry["visible"]) == ("ferry", 1.0)
    assert ferry["range_m"] == pytest.approx(2383.0, abs=2.0)
    assert y0 < np.mean(line["horizon_px"]) < y1


def test_a_vessel_half_outside_is_half_visible(tmp_path: Path) -> None:
    """Knocked so far that the ferry leaves the picture at its side."""
    shares = []
    for knock in ("0", "23.5", "25.0", "26.5"):
        out = tmp_path / knock.replace(".", "_")
        render(out, "--duration", "0.25", "--size", "1280x720", "--fault", f"camera-knocked@0={knock}")
        boxes = truth(out / "truth.jsonl")[1][0]["boxes"]
        shares.append(next((b["visible"] for b in boxes if b["id"] == "Ria Express"), 0.0))
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert any(0.02 < s < 0.98 for s in shares)
    assert shares[-1] == 0.0


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_video_holds_the_pictures_at_their_times(tmp_path: Path, suffix: str) -> None:
    render(tmp_path / "d", "--duration", "1.5", "--format", "png")
    render(tmp_path / f"v.{suffix}", "--duration", "1.5")
    with av.open(str(tmp_path / f"v.{suffix}")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        frames = list(container.decode(stream))
    assert [f.time for f in frames] == pytest.approx([k / 4.0 for k in range(6)], abs=0.002)
    for k, frame in enumerate(frames):
        original = picture(tmp_path / "d" / f"{k:06d}.png")
        assert cv2.PSNR(frame.to_ndarray(format="bgr24"), original) > 30.0
    lines = truth(tmp_path / "v.jsonl")[1]
    pictures = truth(tmp_path / "d" / "truth.jsonl")[1]
    assert [{**x, "file": ""} for x in lines] == [{**x, "file": ""} for x in pictures]
    render(tmp_path / "alone.jsonl", "--duration", "1.5")
    assert truth(tmp_path / "alone.jsonl")[1] == [{**x, "file": None} for x in pictures]


def test_the_box_reads_the_folder_and_the_video(tmp_path: Path) -> None:
    render(tmp_path / "d", "--duration", "1")
    render(tmp_path / "v.mp4", "--duration", "1")
    for url in (f"file://{tmp_path}/d/?pace=fast&fps=4", f"file://{tmp_path}/v.mp4?pace=fast"):
        source = open_camera(url, CameraOptions(fps=60.0), SystemClock())
        shapes: list[tuple[int, ...]] = []
        with pytest.raises(EndOfData):
            read_all(source, shapes)
        source.close()
        assert shapes == [(180, 320, 3)] * 4


def test_faults_of_the_picture_act_for_their_time(tmp_path: Path) -> None:
    faults = ("camera-black@40.2:0.3", "camera-stuck@40.7:0.6", "camera-overexposed@41.4:0.3")
    render(tmp_path / "d", "--duration", "1.75", "--format", "png", *(x for f in faults for x in ("--fault", f)))
    files = [tmp_path / "d" / f"{k:06d}.png" for k in range(7)]
    means = [float(picture(f).mean()) for f in files]
    assert [m < 10.0 for m in means] == [False, True, False, False, False, False, False]
    assert means[6] > 240.0
    pictures = [f.read_bytes() for f in files]
    assert pictures[2] == pictures[3] == pictures[4] == pictures[5]
    assert pictures[0] != pictures[2]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--out", "x.avi"), "NAME.mp4"),
        (("--out", "full"), "not empty"),
        (("--out", "full/old.mp4"), "exists"),
        (("--out", "no/such/x.png"), "x.png"),
        (("--out", "y.mp4", "--size", "321x180"), "even"),
        (("--out", "y", "--size", "big"), "1280x720"),
        (("--out", "y", "--size", "10x10"), "width_px"),
        (("--out", "y", "--fps", "0"), "fps"),
        (("--out", "y", "--duration", "-1"), "negative"),
        (("--out", "y", "--weather", "light=blue"), "light"),
        (("--out", "y", "--weather", "snow=1"), "snow"),
        (("--out", "y", "--weather", "light"), "KEY=VALUE"),
        (("--out", "y", "--look", "foreground=tree"), "foreground: "),
        (("--out", "y", "--look", "sepia=1"), "sepia: is no key of this table"),
        (("--out", "y", "--fault", "camera-frozen@1"), "not seen in a picture"),
        (("--out", "y", "--fault", "gremlins@1"), "gremlins"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old.mp4").write_bytes(b"kept")
    assert main(["render", "harbour-mouth", *args]) == 64
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert (tmp_path / "full" / "old.mp4").read_bytes() == b"kept"


# ---------------------------------------------------------------- weather


def weathered(**weather: Any) -> Scenario:
    base = scenario.load("harbour-mouth")
    return base.model_copy(update={"weather": base.weather.model_copy(update=weather)})


def test_rain_shortens_the_view_closes_the_sky_and_streaks_the_picture() -> None:
    dry, wet, wetter = (conditions(weathered(rain_mm_h=r), 0) for r in (0.0, 5.0, 50.0))
    assert (dry.rain, dry.lens_drops, dry.light, dry.visibility_m) == (0.0, 0.0, "day", 20_000.0)
    assert 0.0 < wet.rain < wetter.rain <= 1.0
    assert wet.light == "overcast"
    assert wetter.visibility_m < wet.visibility_m < dry.visibility_m
    assert conditions(weathered(rain_mm_h=5.0, light="night"), 0).light == "night"


def test_the_view_through_rain_is_that_of_the_formula() -> None:
    """25 mm/h: 1.076 * 25^0.67 = 9.30 dB/km, 2.14 nepers/km, 3.912 / 2.14 = 1.83 km."""
    assert rain_visibility_m(weathered(rain_mm_h=25.0).weather) == pytest.approx(1827.0, abs=5.0)
    assert conditions(weathered(rain_mm_h=25.0, visibility_m=400.0), 0).visibility_m == 400.0


def test_in_fog_the_ferry_is_gone_and_the_sky_is_even(tmp_path: Path) -> None:
    ferries, skies = [], []
    for visibility in ("20000", "800"):
        out = tmp_path / visibility
        weather = ("--weather", "light=overcast", "--weather", f"visibility_m={visibility}", "--weather", "clouds=0.8")
        render(out, "--duration", "0.25", "--size", "640x360", *weather)
        boxes = truth(out / "truth.jsonl")[1][0]["boxes"]
        ferries.append(next(b["contrast"] for b in boxes if b["id"] == "Ria Express"))
        sky = cv2.imread(str(out / "000000.jpg"), cv2.IMREAD_GRAYSCALE)
        assert sky is not None
        shapes = cv2.GaussianBlur(sky, (0, 0), 4.0).astype(float) - cv2.GaussianBlur(sky, (0, 0), 20.0)
        skies.append(float(shapes[:100].std()))
    assert ferries[1] < 0.2 * ferries[0]
    assert skies[1] < 0.5 * skies[0]


def test_light_changes_the_picture_as_it_should(tmp_path: Path) -> None:
    pictures = {}
    for light in ("day", "dusk", "night", "thermal"):
        render(tmp_path / f"{light}.png", "--weather", f"light={light}", "--weather", "sun_elevation_deg=1")
        pictures[light] = picture(tmp_path / f"{light}.png").astype(float)
    assert pictures["night"].mean() < 0.5 * pictures["day"].mean()
    assert np.ptp(pictures["thermal"], axis=2).max() == 0.0, "one channel"
    assert pictures["dusk"][:60, :, 2].mean() > 1.1 * pictures["dusk"][:60, :, 0].mean(), "a red sky"


# ---------------------------------------------------------------- look


@pytest.mark.parametrize(
    "look",
    [
        "foreground=fence", "overlay_text=CAM 01", "crosshair=true", "salt=0.7", "lens_drops=0.8", "defocus_px=4",
        "motion_blur_px=9", "shake_px=6", "noise=12", "vignette=0.9", "blockiness=0.9", "swell_m=3",
    ],
)  # fmt: skip
def test_the_look_of_a_scenario_is_in_the_live_picture(tmp_path: Path, look: str) -> None:
    live = ("--detail", "live", "--size", "480x270", "--from", "40")
    render(tmp_path / "plain.png", *live)
    render(tmp_path / "looks.png", *live, "--look", look)
    plain, looks = picture(tmp_path / "plain.png").astype(float), picture(tmp_path / "looks.png").astype(float)
    assert np.abs(looks - plain).max() > 20.0


@pytest.mark.parametrize("look", ["urban=1", "ridge=1", "ridge_layers=4", "land_range_m=4000", "cloud_layers=5"])
def test_shore_and_sky_of_a_scenario_are_in_the_live_picture(tmp_path: Path, look: str) -> None:
    live = ("--detail", "live", "--size", "480x270", "--weather", "land=1", "--weather", "clouds=0.9")
    render(tmp_path / "plain.png", *live)
    render(tmp_path / "looks.png", *live, "--look", look)
    plain, looks = picture(tmp_path / "plain.png").astype(float), picture(tmp_path / "looks.png").astype(float)
    assert np.abs(looks - plain).max() > 10.0


def test_a_foreground_hides_what_is_behind_it(tmp_path: Path) -> None:
    covered = ("--look", "foreground=plants", "--look", "foreground_amount=1")
    visible = []
    for name, look in (("free", ()), ("covered", covered)):
        render(tmp_path / name, "--detail", "live", "--from", "40", "--duration", "0.2", "--fps", "5", *look)
        visible.append(sum(b["visible"] for b in truth(tmp_path / name / "truth.jsonl")[1][0]["boxes"]))
    assert visible[1] < visible[0]


def test_the_burnt_in_clock_is_the_scenario_s_utc_and_runs(tmp_path: Path) -> None:
    """night-run starts at 01:30:00; with strftime's codes the text is what the hand would write for that picture."""
    clock, name = ("--look", "overlay_text=%Y-%m-%d %H:%M:%S UTC"), "night-run"
    render(tmp_path / "run", "--duration", "1.75", "--format", "png", "--from", "59.25", *clock, name=name)
    for number, second in enumerate(("01:30:59",) * 3 + ("01:31:00",) * 4):
        still = ("--look", f"overlay_text=2025-11-20 {second} UTC", "--from", str(59.25 + 0.25 * number))
        render(tmp_path / "one.png", *still, name=name)
        assert (tmp_path / "run" / f"{number:06d}.png").read_bytes() == (tmp_path / "one.png").read_bytes()


def test_a_camera_whose_clock_is_wrong_burns_in_the_wrong_time(tmp_path: Path) -> None:
    render(tmp_path / "wrong.png", "--look", "overlay_text=%H:%M", "--fault", "camera-clock@40=-7200", name="night-run")
    render(tmp_path / "same.png", "--look", "overlay_text=23:30", name="night-run")
    assert (tmp_path / "wrong.png").read_bytes() == (tmp_path / "same.png").read_bytes()


def test_birds_fly_in_the_picture() -> None:
    gulls = next(v for v in drawn(World(scenario.load("quiet-day"), 0), 30.0) if v.kind == "bird")
    assert gulls.up_m > 5.0


def test_at_low_water_the_camera_stands_higher_over_the_sea() -> None:
    """4 m of tide under a mast of 20: what floats 1 km off lies 0.24 degrees lower in the picture."""
    base = scenario.load("harbour-mouth")
    buoy = base.vessel[0].model_copy(update={"kind": "ferry", "route_m": ((-500.0, 866.0),), "speed_mps": 0.0})
    tide = TideTable(range_m=4.0, high_water_s=0.0)
    update: dict[str, Any] = {"vessel": (buoy,), "tide": tide, "expect": (), "forbid": ()}
    view = View(World(base.model_copy(update=update), 1))
    low_water_s = 12.4206 * 1800.0
    (high,), (low,) = (view.picture(t).boxes for t in (0.0, low_water_s))
    c = base.camera
    px_per_rad = c.width_px / 2.0 / math.tan(math.radians(c.hfov_deg / 2.0))
    assert low.y1 - high.y1 == pytest.approx(px_per_rad * 4.0 / 1000.0, rel=0.15)


def test_swell_goes_with_the_sea_state_unless_it_is_told() -> None:
    calm, storm = (conditions(scenario.load(name), 1).swell_m for name in ("quiet-day", "storm"))
    assert calm < 0.1
    assert storm > 1.5
    look = scenario.load("storm").look.model_copy(update={"swell_m": 0.2})
    assert conditions(scenario.load("storm").model_copy(update={"look": look}), 1).swell_m == 0.2


def test_who_shows_no_lights_is_drawn_without_them() -> None:
    lit = {v.id: v.lights for v in drawn(World(scenario.load("night-run"), 1), 600.0)}
    assert lit == {"Panga": False, "Santa Marta": True, "Rompiente": True}
