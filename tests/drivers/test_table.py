"""Names to drivers: lazily, with a hint for typing errors, with packages from outside."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from agent.drivers.base import Decoder, DriverOptions
from agent.drivers.table import DRIVERS, DriverSpec, driver_options, driver_spec, load_driver
from agent.errors import ConfigError, UnsupportedError


@pytest.mark.parametrize("name", DRIVERS)
def test_every_line_of_the_table_leads_somewhere(name: str) -> None:
    assert issubclass(driver_options(name), DriverOptions)
    assert DRIVERS[name].help
    if DRIVERS[name].runs != "camera":
        assert issubclass(load_driver(name), Decoder)
        assert load_driver(name).Options is driver_options(name)


def test_the_table_imports_no_driver() -> None:
    code = (
        "import sys, agent.drivers.table;"
        "print(sorted(m for m in sys.modules if m in ('numpy', 'cv2', 'pyais', 'serial') "
        "or m.startswith('agent.drivers.') and m != 'agent.drivers.table'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("wrong", "meant"), [("navic", "navico"), ("nmea_radar", "nmea-radar"), ("AIS", None)])
def test_a_typing_error_gets_a_hint(wrong: str, meant: str | None) -> None:
    with pytest.raises(ConfigError, match=f'no driver "{wrong}"') as e:
        load_driver(wrong)
    assert meant is None or f'did you mean "{meant}"?' in str(e.value)
    assert "nav" in str(e.value)


def test_a_camera_decodes_no_bytes() -> None:
    with pytest.raises(ConfigError, match="not bytes"):
        load_driver("camera")


def test_a_missing_library_is_an_error_when_the_driver_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRIVERS, "vendor", DriverSpec("thread", "a vendor's radar", "no_such_vendor_library:Decoder"))
    with pytest.raises(UnsupportedError, match=r"no_such_vendor_library.*install"):
        load_driver("vendor")
    with pytest.raises(UnsupportedError):
        driver_options("vendor")


def test_a_package_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    points = metadata.EntryPoints(
        [
            metadata.EntryPoint("sonar", "agent.drivers.nav:NavDecoder", "vigia.drivers"),
            metadata.EntryPoint("broken", "agent.drivers.nav:NoSuchThing", "vigia.drivers"),
        ]
    )
    monkeypatch.setattr("agent.drivers.table.entry_points", lambda group: points.select(group=group))
    assert load_driver("sonar").__name__ == "NavDecoder"
    assert driver_spec("sonar").runs == "thread"
    with pytest.raises(ConfigError, match='did you mean "sonar"'):
        load_driver("sonarr")
    with pytest.raises(UnsupportedError, match="has no NoSuchThing"):
        load_driver("broken")
