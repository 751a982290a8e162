"""A long link before the hub: TCP through a delay and a loss, as over a satellite.

Promises:
- every byte arrives once and in order; a lost segment holds up what is behind it by a retransmission time, as TCP does;
- while the fault is off, bytes go through at once; what is under way when it ends keeps its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

LOSS = 0.02
RETRANSMIT_S = 0.2  # on top of a round trip: Linux's smallest timeout
CHUNK = 1400  # about one segment


class SlowLink:
    """Listens on 127.0.0.1 and passes on to the hub. `there_and_back_s` may be changed while it runs."""

    def __init__(self, seed: int = 1) -> None:
        self.there_and_back_s = 0.0
        self.passed = self.lost = 0  # segments while it was slow
        self._random = random.Random(seed)
        self._target = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, target: int, port: int = 0) -> int:
        """Listen; returns the port."""
        self._target = target
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """End all connections and stop listening."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        self._tasks.add(task)
        try:
            near, far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # the broker is down: so is what lies behind the link
            writer.transport.abort()
            self._tasks.discard(task)
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, far))
                group.create_task(self._pass(near, writer))
        except* (ConnectionError, TimeoutError):
            pass  # one side has gone: both end
        finally:
            for w in (writer, far):
                w.transport.abort()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: a reader's queue and a writer that keeps every chunk its time."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)
        sender = asyncio.create_task(self._deliver(queue, writer))
        loop = asyncio.get_running_loop()
        not_before = 0.0
        try:
            while data := await reader.read(CHUNK):
                due = loop.time() + self.there_and_back_s / 2.0
                if self.there_and_back_s:
                    self.passed += 1
                    if self._random.random() < LOSS:
                        self.lost += 1
                        due += self.there_and_back_s + RETRANSMIT_S
                not_before = max(not_before, due)
                await queue.put((not_before, data))
            await queue.put((0.0, b""))
            await sender
            raise ConnectionResetError("end of stream")
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sender

    @staticmethod
    async def _deliver(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if not data:
                return
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(data)
            await writer.drain()
