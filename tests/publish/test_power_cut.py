"""Power cuts: the outbox on an ext4 in a file, the file copied in the middle of the work, and started from the copy.

What is in the file is what had reached the disk; what was in the page cache above it is not, as after a power cut. A
copy counts only when a second one is the same: nothing was written while it was made.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.publish.outbox import Outbox

CUTS = 6
SIZE = 24 << 20
BATCH = 5
# commits batches of five and says so; every third time the picture acknowledges what is there
WRITER = """
import sys
from pathlib import Path
from agent.publish.entries import RANK_HIGH, Entry
from agent.publish.outbox import Outbox
box = Outbox(Path(sys.argv[1]), max_bytes=1 << 30)
box.start_boot(1 << 16, b"birth", lambda _f, _s: b"")
for n in range(1 << 20):
    ids = range(5 * n + 1, 5 * n + 6)
    make = lambda s: s.to_bytes(4, "big") * 40
    box.append([Entry(kind="a", rank=RANK_HIGH, encode=make, key=(i, 0, i)) for i in ids])
    print(5 * n + 5, flush=True)
    if n % 3 == 2:
        box.acknowledge(1 << 16, 5 * n - 10)
"""


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True, capture_output=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True, capture_output=True)


def copy_at_rest(image: Path, copy: Path) -> None:
    again = copy.with_suffix(".again")
    for _ in range(50):
        shutil.copyfile(image, copy)
        shutil.copyfile(image, again)
        if copy.read_bytes() == again.read_bytes():
            again.unlink()
            return
        time.sleep(0.05)
    raise AssertionError("the disk did not come to rest for long enough to be copied")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or not Path("/dev/loop-control").exists():
        pytest.skip("mounts are not available here")
    path = tmp_path / "disk.ext4"
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True, capture_output=True)
    return path


def test_what_was_committed_survives_a_power_cut(image: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    cut_in_the_middle = 0
    with (
        mounted(image, tmp_path / "disk") as disk,
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(disk / "outbox.sqlite")], stdout=subprocess.PIPE, text=True
        ) as writer,
    ):
        assert writer.stdout is not None
        os.set_blocking(writer.stdout.fileno(), True)
        promised = int(writer.stdout.readline())
        for cut in range(CUTS):
            wanted = promised + BATCH * rng.randrange(5, 40)
            while promised < wanted:
                promised = int(writer.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.03))
            writer.send_signal(signal.SIGSTOP)
            copy = tmp_path / f"cut-{cut}.ext4"
            copy_at_rest(image, copy)
            writer.send_signal(signal.SIGCONT)
            cut_in_the_middle += check(copy, tmp_path / f"after-{cut}", promised)
        writer.kill()
    assert cut_in_the_middle > 0  # there was a log to be read again: else this test cuts nothing


def check(copy: Path, at: Path, promised: int) -> bool:
    """Everything promised is there, in whole batches; the outbox goes on with the next number."""
    with mounted(copy, at) as disk:
        log = disk / "outbox.sqlite-wal"
        had_log = log.exists() and log.stat().st_size > 0
        box = Outbox(disk / "outbox.sqlite", max_bytes=1 << 30)
        assert box.take_notes() == []
        there = box.pending(0, 1 << 20, health=False)
        assert all(m.payload == m.seq.to_bytes(4, "big") * 40 for m in there)
        last = there[-1].seq
        assert last >= promised
        assert last % BATCH == 0
        assert [m.seq for m in there] == list(range(there[0].seq, last + 1))
        assert box.newest_alert() == last
        box.start_boot(1 << 16, b"birth", lambda _f, _s: b"")
        box.close()
    return had_log
