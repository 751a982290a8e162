"""What the unit may open has to be known to the kernel before the service starts: systemd looks it up only then."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGISTERED_BY = {"video4linux": "videodev", "ttyUSB": "usbserial", "ttyACM": "cdc_acm", "ttyS": None}  # None: built in


def test_the_kernel_is_told_at_boot_of_every_kind_of_device_that_the_unit_may_open() -> None:
    kinds = re.findall(r"^DeviceAllow=char-(\w+)", (ROOT / "systemd/vigia.service").read_text(), re.MULTILINE)
    loaded = [x for x in (ROOT / "systemd/vigia.modules").read_text().splitlines() if not x.startswith("#")]
    assert sorted(loaded) == sorted(m for m in (REGISTERED_BY[kind] for kind in kinds) if m)
    assert 'systemd/vigia.modules "$root/usr/lib/modules-load.d/vigia.conf"' in (ROOT / "packaging/deb.sh").read_text()
