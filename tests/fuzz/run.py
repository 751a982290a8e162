"""`make fuzz`: every driver and every decoder of the network in turn, seeded with recorded cases and golden messages.

One JSON line each, with what was run. A crash, a hang (5 s), a broken promise or more than 512 MB ends that run: its
input lies beside the log that the line names, in a folder of its name, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "hardware-sim")]

from fuzz import network  # noqa: E402 - after the paths
from fuzz.harness import NAMES, seeds  # noqa: E402 - after the paths

_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_LAST = re.compile(r"cov: (\d+) ft: (\d+).*rss: (\d+)Mb")
LIMITS = ("-timeout=5", "-rss_limit_mb=512", "-max_len=8192", "-verbosity=1", "-print_final_stats=0")


def fuzz(name: str, runs: int, seed: int, out: Path) -> dict[str, object]:
    """Run one driver; the figures of libFuzzer."""
    corpus = out / name
    corpus.mkdir(parents=True, exist_ok=True)
    for data in network.seeds(name) if name in network.TARGETS else seeds(name, ROOT / "tests" / "cases"):
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    command = [
        sys.executable, str(Path(__file__).with_name("one.py")), name, str(corpus), f"-runs={runs}", f"-seed={seed}",
        f"-artifact_prefix={corpus}/failed-", *LIMITS,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    log = done.stderr
    (out / f"{name}.log").write_text(log)
    finished, last = _DONE.search(log), _LAST.findall(log)
    return {
        "driver": name, "runs": int(finished[1]) if finished else 0, "seconds": int(finished[2]) if finished else None,
        "coverage": int(last[-1][0]) if last else 0, "features": int(last[-1][1]) if last else 0,
        "rss_mb": int(last[-1][2]) if last else 0, "ok": done.returncode == 0 and finished is not None,
        "log": str(out / f"{name}.log"),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*NAMES, *network.TARGETS)
    parser.add_argument("drivers", nargs="*", default=names, help=", ".join(names))
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "fuzz-out")
    args = parser.parse_args()
    ok = True
    for name in args.drivers:
        result = fuzz(name, args.runs, args.seed, args.out)
        print(json.dumps(result), flush=True)
        ok &= bool(result["ok"])
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
