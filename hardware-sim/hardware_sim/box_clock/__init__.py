"""The box's clock steps: what is added to it, in a file that the box's processes read (`sitecustomize.py`).

Promises:
- no clock of the machine is touched;
- the file holds one signed number of seconds and is replaced as a whole: no reader sees half of it;
- it says +0 from the start, after the fault, and when the run is over.
"""

from __future__ import annotations

from pathlib import Path

from hardware_sim.errors import DeviceError

FOLDER = Path(__file__).parent
VARIABLE = "HARDWARE_SIM_BOX_CLOCK"


class BoxClock:
    """That file, or nothing where there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def set(self, ahead_s: float) -> None:
        """Let the box's clock be so much ahead.

        Raises:
            DeviceError: the file cannot be written.

        """
        if self._path is None:
            return
        new = self._path.with_name(self._path.name + ".new")
        try:
            new.write_text(f"{ahead_s:+.3f}\n", encoding="ascii")
            new.replace(self._path)
        except OSError as error:
            raise DeviceError(f"--box-clock {self._path}: cannot be written: {error.strerror}") from error

    def environment(self) -> dict[str, str]:
        """What a box is to be started with."""
        return {} if self._path is None else {"PYTHONPATH": str(FOLDER), VARIABLE: str(self._path.resolve())}
