"""The parent's side of the camera process: start, command, kill, start again on the same port."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from hardware_sim.errors import DeviceError
from hardware_sim.process import parent_decides

if TYPE_CHECKING:
    from hardware_sim.scenario import Scenario

ENDING_S = 5.0


class Camera:
    """One camera device: MJPEG on `port`, RTSP on `rtsp_port` (None: it has none, `no_rtsp` says why).

    The thread that makes it also restarts it, and has to live as long as it.

    Raises:
        DeviceError: it cannot start; of every method that talks to it: it has ended by itself.

    """

    def __init__(self, scenario: Scenario, seed: int, fps: float) -> None:
        self._order = {"scenario": scenario.model_dump(mode="json"), "seed": seed, "fps": fps}
        self._start: str | None = None
        self._standing: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.rtsp_port: int | None = 0
        self.no_rtsp: str | None = None
        self.power_on()
        self._wait_until_it_serves()

    def power_on(self) -> None:
        """Start the process, if it does not run. It takes a second or two to boot, as cameras do."""
        if self._process is not None:
            return
        with parent_decides():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hardware_sim.devices.camera_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        ports = {"port": self.port, "rtsp_port": self.rtsp_port}
        self._say(json.dumps({**self._order, **ports, "standing": list(self._standing.values())}))
        if self._start is not None:
            self._say(self._start)

    def _wait_until_it_serves(self) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - just started
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        answer = process.stdout.readline()
        if not answer:
            raise DeviceError(f"the camera process ended with {process.wait(ENDING_S)} before it served; see above")
        told = json.loads(answer)
        self.port, self.rtsp_port, self.no_rtsp = told["port"], told.get("rtsp_port"), told.get("no_rtsp")

    def endpoints(self) -> dict[str, str]:
        """Where its pictures are; a missing RTSP is told on stderr."""
        out = {"camera": f"http://127.0.0.1:{self.port}/camera.mjpg"}
        if self.rtsp_port is None:
            print(f"the camera has no RTSP: {self.no_rtsp}", file=sys.stderr)
        else:
            out["camera_rtsp"] = f"rtsp://127.0.0.1:{self.rtsp_port}/camera"
        return out

    def start(self, mono_s: float, unix_s: float) -> None:
        """Tell it when t = 0 is."""
        self._start = f"start {mono_s!r} {unix_s!r}"
        self._say(self._start)

    def command(self, word: str) -> None:
        """`freeze`, `thaw`, `stick` or `unstick`; nothing while it is off."""
        if self._process is not None:
            self._say(word)

    def set(self, what: str, value: str) -> None:
        """`lens` (clear, black, overexposed, salted), `knock` (degrees) or `clock` (seconds); outlives a power cut."""
        self._standing[what] = f"{what} {value}"
        self._say(self._standing[what])

    def check(self) -> None:
        """Notice an end that nobody asked for.

        Raises:
            DeviceError: the process is gone.

        """
        if self._process is not None and self._process.poll() is not None:
            raise _ended(self._process)

    def power_off(self) -> None:
        """Kill it, as a power cut does."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(ENDING_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a word that it was already too dead to hear
                    pipe.close()
        self._process = None

    def close(self) -> None:
        """Same as power_off."""
        self.power_off()

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
            except BrokenPipeError as error:
                raise _ended(self._process) from error


def _ended(process: subprocess.Popen[str]) -> DeviceError:
    return DeviceError(f"the camera process ended by itself with {process.wait(ENDING_S)}; see above")
