"""Writes docs/faults.md from the results of a run: python tests/faults/table.py RESULTS > docs/faults.md."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

HEAD = """\
# The fault matrix

Written by `make faults` from its own run: every row is a whole box (agent, mosquitto, a picture that acknowledges, an
AIS receiver that brings a new vessel into a zone every second, and the sensor under test), one fault, and its mending.
*Reported* and *recovered* are seconds from the fault to the state that `vigia status` gives, and from its mending to
`ok`; `stale_s` is 3 in these runs. *At stake* are the alert steps that the outbox had committed; *lost* and *double*
compare them with what the picture wrote down. "-": there is no such moment. This run: {day}, {rows} faults,
{cores} cores at a load of {least:.0f} to {most:.0f} (its own is 1 to 2): the more, the longer the times.

| fault | report | reported, s | recovered, s | at stake | lost | double |
|---|---|---|---|---|---|---|
"""
PATH = re.compile(r"/[^\s:]*/pytest-[^\s:]*/")


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def main(folder: Path) -> int:
    """Print the table."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    loads = [row["load"] for row in rows]
    day, cores = max(row["day"] for row in rows), os.cpu_count()
    sys.stdout.write(HEAD.format(day=day, rows=len(rows), cores=cores, least=min(loads), most=max(loads)))
    for v in rows:
        report = PATH.sub(".../", v["report"]).replace("|", "/").replace("\n", " ")
        figures = (
            f"{number(v['reported_s'])} | {number(v['recovered_s'])} | {v['committed']} | {v['lost']} | {v['double']}"
        )
        print(f"| {v['fault']} | {report} | {figures} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
