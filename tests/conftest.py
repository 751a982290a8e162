"""Shared fixtures and the rule on skips.

`field_data` is the folder of recorded real sensors and models; without it, tests that need it skip. In CI a skip whose
reason is not on `ALLOWED_SKIPS` fails the run: a test that silently does not run is worse than one that is not there.
"""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("no deadline")

DEFAULT_FIELD_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
ALLOWED_SKIPS = (
    "network namespaces are not available here",  # an unprivileged CI cannot make them
    "mounts are not available here",  # nor these
    "this computer cannot boot a Debian in a container",  # a CI without root or without debootstrap
)
_unexpected: list[str] = []


@pytest.fixture(scope="session")
def field_data() -> Path:
    path = Path(os.environ.get("VIGIA_FIELD_DATA", str(DEFAULT_FIELD_DATA)))
    if not (path / "README.md").exists():
        pytest.skip("recorded sensors are not here: set VIGIA_FIELD_DATA to their folder")
    return path


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED_SKIPS):
            _unexpected.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") and _unexpected:
        print("\nskipped in CI without being expected to:\n  " + "\n  ".join(_unexpected))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
