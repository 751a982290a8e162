"""A whole box for hours: memory, file handles, threads, disk and written bytes over time; `make soak ARGS="--hours 2"`.

The box is the fault matrix's, with all its sensors at once: tracked targets on a serial line, AIS with a new vessel in
the zone every minute, GNSS, radar video and a camera; mosquitto and an acknowledging picture. Prints one JSON object:
`memory_mb_per_day` is the slope, by least squares over the second half of the run (the first one fills caches), of what
agent and children have for themselves (anonymous memory, swap included; PSS changes with who else runs), and
`written_gb_per_day` what all of them had the kernel write to disk (/proc/PID/io). `--own-disk` (root) gives the state
directory an ext4 of its own: `device_gb_per_day` is what came to its device, the file system's journal included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faults.devices import Camera, Nav, Radar, SerialRadar
from faults.rig import Rig
from soak import days

EVERY_S = 10.0
VESSEL_S = 60.0  # a busy harbour: a vessel a minute over the border of a zone
DAY_S = 86_400.0
DISK_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The box at one moment."""

    at_s: float
    pss_mb: float
    own_mb: float
    handles: int
    threads: int
    processes: int
    written_bytes: int
    written_by_parent: int
    device_bytes: int
    disk_mb: float
    cpu_s: float


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    out = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            out += family(int(child))
    return out


def figure(pid: int, file: str, key: str) -> int:
    """A number of a `key: value` file of /proc."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/{file} has no {key}")


def own_disk(rig: Rig) -> Path:
    """Mount an empty ext4 for the state; where its device counts what is written."""
    image = rig.folder / "disk.img"
    with image.open("wb") as f:
        f.truncate(DISK_BYTES)
    quick = "lazy_itable_init=0,lazy_journal_init=0"  # or the kernel does it later, and it would be counted
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", quick, str(image)], check=True)
    rig.mount("-o", "loop,noatime", str(image))
    (device,) = [m.split()[0] for m in Path("/proc/mounts").read_text().splitlines() if m.split()[1] == str(rig.state)]
    return Path("/sys/block") / Path(device).name / "stat"


def sample(rig: Rig, began_s: float, device: Path | None = None) -> Sample:
    assert rig.daemon is not None
    pids = family(rig.daemon.pid)
    stats = [Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split() for p in pids]
    return Sample(
        at_s=time.monotonic() - began_s,
        pss_mb=sum(figure(p, "smaps_rollup", "Pss") for p in pids) / 1024.0,
        own_mb=sum(figure(p, "smaps_rollup", "Anonymous") + figure(p, "smaps_rollup", "Swap") for p in pids) / 1024.0,
        handles=sum(len(list(Path(f"/proc/{p}/fd").iterdir())) for p in pids),
        threads=sum(figure(p, "status", "Threads") for p in pids),
        processes=len(pids),
        written_bytes=sum(figure(p, "io", "write_bytes") for p in pids),
        written_by_parent=figure(pids[0], "io", "write_bytes"),
        device_bytes=0 if device is None else int(device.read_text().split()[6]) * 512,
        disk_mb=sum(f.stat().st_blocks * 512 for f in rig.state.rglob("*") if f.is_file()) / 1e6,
        cpu_s=sum(int(s[11]) + int(s[12]) for s in stats) / 100.0,
    )


def summary(samples: list[Sample]) -> dict[str, float]:
    late = samples[len(samples) // 2 :]
    first, last = samples[0], samples[-1]
    seconds = last.at_s - first.at_s
    slope = float(np.polyfit([s.at_s for s in late], [s.own_mb for s in late], 1)[0])
    return {
        "hours": round(seconds / 3600.0, 3),
        "pss_mb": round(float(np.median([s.pss_mb for s in late])), 1),
        "own_mb": round(float(np.median([s.own_mb for s in late])), 1),
        "memory_mb_per_day": round(slope * DAY_S, 2),
        "handles_first": samples[len(samples) // 2].handles,
        "handles_last": last.handles,
        "threads_first": samples[len(samples) // 2].threads,
        "threads_last": last.threads,
        "processes": last.processes,
        "written_gb_per_day": round((last.written_bytes - first.written_bytes) / seconds * DAY_S / 1e9, 3),
        "of_it_by_parent": round((last.written_by_parent - first.written_by_parent) / seconds * DAY_S / 1e9, 3),
        "device_gb_per_day": round((last.device_bytes - first.device_bytes) / seconds * DAY_S / 1e9, 3),
        "state_mb_first": round(first.disk_mb, 2),
        "state_mb_last": round(last.disk_mb, 2),
        "cpu_percent": round((last.cpu_s - first.cpu_s) / seconds * 100.0, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument(
        "--vessel-s", type=float, default=VESSEL_S, help="a new vessel, and so an alert, every so often"
    )
    parser.add_argument("--ais-only", action="store_true", help="no other sensor than the AIS receiver")
    parser.add_argument("--own-disk", action="store_true", help="count what the disk gets, on one of its own (root)")
    parser.add_argument("--simulated-days", type=float, help="days of events through the core instead (days.py)")
    parser.add_argument("--out", type=Path, help="all samples, JSON lines")
    args = parser.parse_args()
    if args.simulated_days:
        with tempfile.TemporaryDirectory(prefix="vigia-soak-", dir="/var/tmp") as folder:
            return days.main(args.simulated_days, Path(folder), args.out)
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="vigia-soak-", dir="/var/tmp") as folder, Rig(Path(folder)) as rig:
        for kind in () if args.ais_only else (SerialRadar, Nav, Radar, Camera):
            device = kind(Path(folder))
            rig.devices[device.name] = device
        rig.checkpoint_s = 10  # the default
        rig.ais.every_s = args.vessel_s
        disk = own_disk(rig) if args.own_disk else None
        rig.start()
        began_s = time.monotonic()
        while time.monotonic() - began_s < args.hours * 3600.0:
            time.sleep(EVERY_S)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a child ended while we looked
                samples.append(sample(rig, began_s, disk))
        verdict = rig.finish("soak", "", None, None)
    if args.out:
        lines = [json.dumps({k: getattr(s, k) for k in Sample.__slots__}) for s in samples]
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = {**summary(samples), "committed": verdict.committed, "lost": verdict.lost, "double": verdict.double}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
