"""The live picture in a process of its own: making it takes a second of a large one's CPU, and receiving goes on.

Promises:
- it is made from the store, so what other consumers took is in it; once a second, in a fifth of the time at most;
- the process ends with the consumer that started it, however that one ends;
- what it cannot do is one sentence of the consumer's.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from agent.errors import SensorUnavailable, VigiaError
from agent.publish.ashore.server import Live, LiveServer
from agent.publish.ashore.situations import Situations
from agent.publish.ashore.store import PictureStore
from agent.publish.ashore.vessels import Vessels

_END_S = 10.0


class Showing:
    """The consumer's end: starts the process; `port` is where it serves.

    Raises:
        SensorUnavailable: it cannot serve there.

    """

    def __init__(self, store: Path, port: int, track_age_s: float) -> None:
        command = [sys.executable, "-m", __name__, str(store), str(port), str(track_age_s)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
        answer = {} if self._process.stdout is None else json.loads(self._process.stdout.readline() or "{}")
        if "port" not in answer:
            self.close()
            raise SensorUnavailable(answer.get("error", "the process that shows the live picture did not start"))
        self.port = int(answer["port"])

    def tell(self, counts: dict[str, int]) -> None:
        """What the consumer has counted, to be shown beside what the store knows.

        Raises:
            SensorUnavailable: the process has ended.

        """
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(counts) + "\n")
                self._process.stdin.flush()
        except BrokenPipeError as e:
            raise SensorUnavailable(
                f"the process that shows the live picture has ended with {self._process.wait()}; start again"
            ) from e

    def close(self) -> None:
        """End the process. Idempotent."""
        try:
            self._process.communicate(timeout=_END_S)  # closes its standard input, which is its sign to end
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def main(path: Path, port: int, track_age_s: float) -> int:
    """Serve until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the consumer, whose end is this one's
    try:
        store, live = PictureStore(path), Live()
        server = LiveServer(port, live)
    except VigiaError as e:
        print(json.dumps({"error": str(e)}))
        return e.exit_code
    print(json.dumps({"port": server.port}), flush=True)
    counts: dict[str, int] = {}
    ended = threading.Event()
    threading.Thread(target=_listen, args=(counts, ended), daemon=True).start()
    vessels, situations = Vessels(), Situations()
    pause_s = 0.0
    while not ended.wait(pause_s):
        began, now = time.monotonic(), time.time()
        shown = vessels.update(store.tracks(now - track_age_s), now)
        alerts = store.open_alerts()
        live.publish({
            "at": round(now, 1), "vessels": shown, "situations": situations.update(alerts, shown),
            "alerts": alerts, "nodes": store.nodes(), "counts": {**store.counts(), **counts},
        })  # fmt: skip
        took_s = time.monotonic() - began
        pause_s = max(1.0 - took_s, 4.0 * took_s)  # the others on this machine want to work as well
    server.close()
    store.close()
    return 0


def _listen(counts: dict[str, int], ended: threading.Event) -> None:
    for line in sys.stdin:
        counts.update(json.loads(line))
    ended.set()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
