"""Memory that lies idle is let go, and only that."""

from __future__ import annotations

import itertools
import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

from agent.runtime.leavings import AGAIN_S, FIRST_S, Leavings, unwritten

PAGE = mmap.PAGESIZE
SMAPS = """\
00400000-00452000 r-xp 00000000 08:02 173521 /usr/lib/a.so
Rss:                 320 kB
Anonymous:             0 kB
00652000-00653000 r--p 00052000 08:02 173521 /usr/lib/a.so
Rss:                   4 kB
Anonymous:             4 kB
00653000-00655000 rw-p 00053000 08:02 173521 /usr/lib/a.so
Anonymous:             0 kB
00655000-00656000 r--s 00000000 08:02 173522 /dev/shm/shared
Anonymous:             0 kB
00656000-00657000 r--p 00000000 08:02 173522                             /usr/lib/locale/names.somewhere
Anonymous:             0 kB
00657000-00658000 r--p 00000000 08:02 173522 /var/lib/model.onnx
Anonymous:             0 kB
00658000-00659000 r-xp 00000000 08:02 173525                             /usr/lib/b-1a.so.3.2
Anonymous:             0 kB
00e03000-00e24000 rw-p 00000000 00:00 0 [heap]
Anonymous:           132 kB
7f0000000000-7f0000002000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000004000-7f0000006000 r--p 00000000 08:02 173523 /usr/lib/with space.so (deleted)
Anonymous:             0 kB
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
"""


def test_only_pages_of_libraries_that_nobody_has_written_to() -> None:
    assert list(unwritten(SMAPS)) == [(0x400000, 0x52000), (0x658000, 0x1000), (0x7F0000004000, 0x2000)]
    assert list(unwritten("")) == []


CHILD = """
import json, mmap, sys
from agent.runtime.leavings import FIRST_S, Leavings
def resident(name):
    seen = 0
    for block in open("/proc/self/smaps").read().split("VmFlags")[:-1]:
        if name in block:
            seen += int(block.split("Rss:")[1].split()[0])
    return seen
names = [sys.argv[1], sys.argv[2]]
opened = [open(name, "rb") for name in names]
maps = [mmap.mmap(opened[0].fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)]
leavings, now_s, seen = Leavings(0.0), 0.0, []
for look in range(3):
    if look == 2:
        maps.append(mmap.mmap(opened[1].fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
    for m in maps:
        assert len(m[::1024]) == len(m) // 1024
    now_s += 2.0 ** look * FIRST_S
    leavings.step(now_s)
    seen.append([resident(n) for n in names])
print(json.dumps({"seen": seen, "same": all(m[:] == open(n, "rb").read() for m, n in zip(maps, names))}))
"""


def test_a_mapping_is_let_go_from_the_second_look_on_and_reads_the_same_afterwards(tmp_path: Path) -> None:
    files = [tmp_path / "first.so", tmp_path / "second.so.1"]
    for file in files:
        file.write_bytes(os.urandom(40 * PAGE))
    command = [sys.executable, "-c", CHILD, *map(str, files)]
    done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    full = 40 * PAGE // 1024
    assert done["seen"] == [[full, 0], [0, 0], [0, full]]
    assert done["same"]


def test_looks_come_at_growing_distances() -> None:
    looks: list[float] = []

    class Counted(Leavings):
        def look(self) -> None:
            looks.append(now_s)

    leavings, now_s = Counted(0.0), 0.0
    while now_s < 3000.0:
        now_s += 1.0
        leavings.step(now_s)
    gaps = [b - a for a, b in itertools.pairwise(looks)]
    assert looks[0] == FIRST_S
    assert gaps[:3] == [2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]
    assert gaps[-1] == AGAIN_S
