"""A client's session of the RTSP server: its queue of pictures, its packets, its reports.

Promises:
- a queue holds at most `QUEUE` pictures; what does not fit is left out up to the next key frame, and counted;
- a report goes before the first packet, every `REPORT_EVERY_S`, and as soon as the camera's clock jumps;
- packets over UDP leave in small bursts, so that a listener with an ordinary buffer gets all of a key frame.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hardware_sim.devices import rtp
from hardware_sim.devices.h264 import CLOCK_HZ

if TYPE_CHECKING:
    from hardware_sim.devices.h264 import Unit
    from hardware_sim.devices.mjpeg import Stage

QUEUE = 8
REPORT_EVERY_S = 5.0
CLOCK_JUMP_S = 0.5
BURST, BURST_PAUSE_S = 16, 0.001


class TcpOut:
    """Packets within the client's own connection."""

    def __init__(self, writer: asyncio.StreamWriter, channels: tuple[int, int], patience_s: float) -> None:
        self._writer, self._channels, self._patience_s = writer, channels, patience_s
        self.named = f"RTP/AVP/TCP;unicast;interleaved={channels[0]}-{channels[1]}"

    async def send(self, report: bytes, packets: list[bytes]) -> None:
        """Send, waiting while the client is slow; cut it off when it takes nothing at all."""
        block = rtp.interleaved(self._channels[1], report) if report else b""
        self._writer.write(block + b"".join(rtp.interleaved(self._channels[0], p) for p in packets))
        try:
            await asyncio.wait_for(self._writer.drain(), self._patience_s)
        except TimeoutError:
            self._writer.transport.abort()
        except ConnectionError:
            pass  # whoever reads from it notices, too, and ends the session

    def alive(self, idle_s: float) -> bool:  # noqa: ARG002 - the other one's
        """As long as it takes what it gets; `send` sees to that."""
        return True

    def close(self) -> None:
        """Nothing of its own to close."""


class UdpOut:
    """Datagrams to two ports of the client's host; its reports say that it lives."""

    def __init__(self, host: str, ports: tuple[int, int]) -> None:
        self._to = [(host, port) for port in ports]
        self._media, self._control = _pair_of_sockets()
        self._heard = time.monotonic()
        asyncio.get_running_loop().add_reader(self._control, self._hear)
        ours = [s.getsockname()[1] for s in (self._media, self._control)]
        self.named = f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]};server_port={ours[0]}-{ours[1]}"

    def _hear(self) -> None:
        try:
            _, sender = self._control.recvfrom(2048)
        except OSError:
            return
        if sender[0] == self._to[1][0]:
            self._heard = time.monotonic()

    async def send(self, report: bytes, packets: list[bytes]) -> None:
        """Send; what the kernel has no room for is lost, as on a wire."""
        if report:
            self._send(self._control, report, 1)
        for i, data in enumerate(packets):
            self._send(self._media, data, 0)
            if i % BURST == BURST - 1:
                await asyncio.sleep(BURST_PAUSE_S)

    def _send(self, s: socket.socket, data: bytes, which: int) -> None:
        try:
            s.sendto(data, self._to[which])
        except OSError:
            return

    def alive(self, idle_s: float) -> bool:
        """Whether it was heard of."""
        return time.monotonic() - self._heard < idle_s

    def close(self) -> None:
        """Release the ports."""
        asyncio.get_running_loop().remove_reader(self._control)
        self._media.close()
        self._control.close()


def _pair_of_sockets() -> tuple[socket.socket, socket.socket]:
    """An even port of the loopback and the next one."""
    while True:
        with ExitStack() as undo:
            first = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            second = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port % 2:
                continue
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            for s in (first, second):
                s.setblocking(False)
            undo.pop_all()
            return first, second


class Session:
    """One client's session. Lives in the server's loop."""

    def __init__(self, out: TcpOut | UdpOut, stage: Stage) -> None:
        self.id = secrets.token_hex(8)
        self.ssrc = secrets.randbits(32)
        self.sequence = secrets.randbits(15)
        self.missed = 0
        self._out, self._stage = out, stage
        self._offset = secrets.randbits(32)
        self._packets = self._octets = 0
        self._queue: asyncio.Queue[tuple[Unit, float]] = asyncio.Queue(QUEUE)
        self._needs_key = True
        self._reported: tuple[int, float] | None = None
        self._visit = ExitStack()
        self._sender: asyncio.Task[None] | None = None

    @property
    def playing(self) -> bool:
        """Whether it gets pictures."""
        return self._sender is not None

    def play(self) -> None:
        """From the next key frame on."""
        if self._sender is None:
            self._needs_key, self._reported = True, None
            self._visit.enter_context(self._stage.visit("h264"))
            self._sender = asyncio.get_running_loop().create_task(self._send_for_ever())

    def pause(self) -> None:
        """No pictures until `play`."""
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None
            self._visit.close()
            while not self._queue.empty():
                self._queue.get_nowait()

    def close(self) -> None:
        """For good."""
        self.pause()
        self._out.close()

    def alive(self, idle_s: float) -> bool:
        """Whether a client that asks for nothing more is still there."""
        return self.playing and self._out.alive(idle_s)

    def offer(self, unit: Unit, unix_s: float) -> None:
        """A picture, if it plays and has room for it."""
        if self._sender is None or (self._needs_key and not unit.key):
            return
        if self._queue.full():
            self._needs_key = True
            self.missed += 1
            return
        self._needs_key = False
        self._queue.put_nowait((unit, unix_s))

    async def _send_for_ever(self) -> None:
        while True:
            unit, unix_s = await self._queue.get()
            parts = rtp.payloads(unit.nals)
            ticks = unit.ticks + self._offset
            packets = [
                rtp.packet(part, sequence=self.sequence + i, ticks=ticks, ssrc=self.ssrc, marker=i == len(parts) - 1)
                for i, part in enumerate(parts)
            ]
            report = self._report(unit.ticks, unix_s)
            self.sequence += len(packets)
            self._packets += len(packets)
            self._octets += sum(map(len, parts))
            await self._out.send(report, packets)

    def _report(self, ticks: int, unix_s: float) -> bytes:
        """A report when one is due, else nothing."""
        if self._reported is not None:
            since_s = (ticks - self._reported[0]) / CLOCK_HZ
            if since_s < REPORT_EVERY_S and abs(unix_s - self._reported[1] - since_s) < CLOCK_JUMP_S:
                return b""
        self._reported = (ticks, unix_s)
        return rtp.sender_report(
            ssrc=self.ssrc,
            unix_s=unix_s,
            ticks=ticks + self._offset,
            packets=self._packets,
            octets=self._octets,
        )
