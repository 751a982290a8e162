"""Our hub in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Self

from hardware_sim.hub.broker import Faults, Hub


class Running:
    """Use as a context manager. `trouble`: what its loop met and nobody caught."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.trouble: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _loop, context: self.trouble.append(context))
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.hub = Hub(Faults())
        self.port = asyncio.run_coroutine_threadsafe(self.hub.start(), self.loop).result(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.hub.stop(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()
