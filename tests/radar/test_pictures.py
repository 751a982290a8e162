"""`vigia decode --ppi`: a picture that is asked for is drawn, whatever the recording lacks, or the command fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.cli.main import main
from radar.asterix_packer import video
from radar.captures import ethernet, ipv4, pcap, udp
from radar.yacht_packer import garmin_spoke

if TYPE_CHECKING:
    from pathlib import Path

CELLS = bytes(150) + bytes([200]) * 50
STEPS, DEG = 512, 128  # spokes of a turn, CAT240 units of each


def cat240(spokes: range, source: tuple[int, int] = (1, 7)) -> list[bytes]:
    return [video(CELLS, 200, number=n, azimuth=n * DEG % 65536, source=source) for n in spokes]


def seen(path: Path) -> list[bool]:
    """Whether the ring of echoes is lit at north-east, south-east, south-west, north-west."""
    image = cv2.imread(str(path))
    assert image is not None
    grey = image.max(axis=2)
    middle, off = grey.shape[0] // 2, int(grey.shape[0] / 2 * 0.94 * 0.7071)
    corners = ((-off, off), (off, off), (off, -off), (-off, -off))
    return [
        bool(np.median(grey[middle + y - 3 : middle + y + 4, middle + x - 3 : middle + x + 4]) > 100)
        for y, x in corners
    ]


def test_less_than_a_turn_is_drawn_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, picture = tmp_path / "cut.ast", tmp_path / "x.png"
    recording.write_bytes(b"".join(cat240(range(STEPS // 2))))
    options = ["--option", f"azimuths={STEPS}"]
    assert main(["decode", "cat240", str(recording), "--summary", "--ppi", str(picture), *options]) == 0
    assert seen(picture) == [True, True, False, False]
    assert f"{picture}: the picture shows 50.0% of a turn, which is all there is\n" in capsys.readouterr().err


@pytest.mark.parametrize("turns", [1, 2])
def test_without_a_heading_it_is_head_up(turns: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spokes = [garmin_spoke(CELLS, 8 * n) for _ in range(turns) for n in range(1440)]
    recording, picture = tmp_path / "a.pcap", tmp_path / "x.png"
    recording.write_bytes(pcap([(n / 576, ethernet(ipv4(udp(s, 50102)))) for n, s in enumerate(spokes)]))
    assert (
        main(["decode", "garmin", str(recording), "--plots", "--ppi", str(picture), "--option", "azimuths=1440"]) == 0
    )
    out, err = capsys.readouterr()
    assert seen(picture) == [True] * 4
    assert out == ""  # no plot has a bearing
    assert f"{picture}: the picture is head up, the spokes carry no heading\n" in err


def test_two_radars_are_two_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, picture = tmp_path / "two.ast", tmp_path / "x.png"
    recording.write_bytes(b"".join(cat240(range(STEPS + 1)) + cat240(range(STEPS // 4), (1, 8))))
    options = ["--option", f"azimuths={STEPS}"]
    assert main(["decode", "cat240", str(recording), "--summary", "--ppi", str(picture), *options]) == 0
    assert not picture.exists()
    assert seen(tmp_path / "x-cat240.png") == [True] * 4
    assert seen(tmp_path / "x-cat240-2.png") == [True, False, False, False]
    assert f"2 radars or ranges, a picture each: {tmp_path}/x-cat240.png, " in capsys.readouterr().err


def test_what_cannot_be_drawn_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, picture = tmp_path / "zero.ast", tmp_path / "x.png"
    recording.write_bytes(b"".join(video(CELLS, 200, number=n, azimuth=n * DEG, cell=0) for n in range(9)))
    assert main(["decode", "cat240", str(recording), "--summary", "--ppi", str(picture)]) == 65
    assert not picture.exists()
    assert f"{picture}: not drawn, no spoke tells its range" in capsys.readouterr().err
