"""A network camera's RTSP server: one H.264 stream at `/camera`, over the connection itself or over UDP, for several.

Promises:
- OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, TEARDOWN (RFC 2326); no login; one session a connection, which
  ends with it; packets go to the host that asked, never elsewhere;
- a picture is encoded once for all; a client begins with a key frame; one that is too slow misses pictures up to the
  next key frame, one that takes nothing for `patience_s` is cut off; the others notice nothing of it;
- what is no request is answered 400 and the connection closed; who says nothing for `idle_s` and gets nothing, too;
- while the stage is `frozen`, requests are answered and sessions stay, and neither pictures nor reports come.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from hardware_sim.devices import rtsp_message
from hardware_sim.devices.h264 import KEYS_AT_START
from hardware_sim.devices.rtsp_message import BadRequest, Request
from hardware_sim.devices.rtsp_session import Session, TcpOut, UdpOut
from hardware_sim.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from hardware_sim.devices.h264 import Encoder
    from hardware_sim.devices.mjpeg import Stage

LOOPBACK = "127.0.0.1"
PATH = "/camera"
TRACK = "track0"
MOST_CONNECTIONS = 32
MOST_HEAD_BYTES = 8192
MOST_BODY_BYTES = 4096
MOST_UNREAD_BYTES = 1 << 20
SEND_BUFFER_BYTES = 256 << 10


class RtspServer:
    """The server; its sockets are worked by one thread of its own.

    Raises:
        DeviceError: the port is taken.

    """

    def __init__(
        self,
        stage: Stage,
        encoder: Encoder,
        fps: float,
        port: int = 0,
        *,
        idle_s: float = 60.0,
        patience_s: float = 10.0,
    ) -> None:
        self.stage, self.encoder, self.fps = stage, encoder, fps
        self.idle_s, self.patience_s = idle_s, patience_s
        self.sessions: set[Session] = set()
        self.connections: set[asyncio.StreamWriter] = set()
        self._closing = False
        try:
            self._listener = socket.create_server((LOOPBACK, port), backlog=64)
        except OSError as error:
            raise DeviceError(f"port {port} of the camera's RTSP server: {error.strerror}") from error
        self.port = int(self._listener.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="rtsp", daemon=True)
        self._thread.start()

    def show(self, image: NDArray[np.uint8], ticks: int, unix_s: float) -> None:
        """A picture for everybody who plays, taken at `ticks` of 1/90,000 s on any scale that rises, and `unix_s`."""
        if self.stage.frozen:
            return
        unit = self.encoder.encode(image, ticks)

        def hand_out() -> None:
            for session in self.sessions:
                session.offer(unit, unix_s)

        self._loop.call_soon_threadsafe(hand_out)

    def close(self) -> None:
        """End all connections and stop listening; when this returns, nothing of it is left."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5.0)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, sock=self._listener, limit=MOST_HEAD_BYTES)
        )
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._finish())
        self._loop.close()

    async def _finish(self) -> None:
        """Hang up on everybody, and wait until each connection has noticed and tidied up behind itself."""
        self._closing = True
        for writer in self.connections:
            writer.transport.abort()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closing:
            writer.transport.abort()
            return
        if len(self.connections) >= MOST_CONNECTIONS:
            writer.write(rtsp_message.answer(503, ""))
            writer.close()
            return
        self.connections.add(writer)
        connection = _Connection(self, reader, writer)
        try:
            await connection.run()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # it left, or has to
        finally:
            self.connections.discard(writer)
            connection.drop_session()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class _Connection:
    """One client's connection."""

    def __init__(self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._session: Session | None = None
        host, port = writer.get_extra_info("sockname")[:2]
        self._base = f"rtsp://{host}:{port}{PATH}/"
        self._peer = str(writer.get_extra_info("peername")[0])
        writer.transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._methods: dict[str, Callable[[Request], bytes]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "GET_PARAMETER": self._get_parameter,
            "TEARDOWN": self._teardown,
        }

    async def run(self) -> None:
        """Answer until it leaves or has to.

        Raises:
            IncompleteReadError, ConnectionError: it left.
            TimeoutError: it says nothing more.

        """
        while True:
            try:
                asked = await self._next()
                if asked is None:
                    continue
                reply = self._answered(asked)
            except BadRequest as error:
                self._writer.write(rtsp_message.answer(error.code, ""))
                return
            self._writer.write(reply)
            if self._writer.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:  # it asks and never reads
                self._writer.transport.abort()
                return

    async def _next(self) -> Request | None:
        """The next request; None when something else came, or when it is silent but well."""
        try:
            first = await asyncio.wait_for(self._reader.readexactly(1), self._server.idle_s)
        except TimeoutError:
            if self._session is not None and self._session.alive(self._server.idle_s):
                return None
            raise
        return await asyncio.wait_for(self._rest(first), self._server.patience_s)

    async def _rest(self, first: bytes) -> Request | None:
        if first in (b"\r", b"\n"):
            return None
        if first == b"$":  # a client's report
            await self._reader.readexactly(int.from_bytes((await self._reader.readexactly(3))[1:], "big"))
            return None
        try:
            head = first + await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise BadRequest(413) from error
        asked = rtsp_message.request(head[:-4])
        if asked.body_bytes > MOST_BODY_BYTES:
            raise BadRequest(413)
        await self._reader.readexactly(asked.body_bytes)
        return asked

    def _answered(self, asked: Request) -> bytes:
        method = self._methods.get(asked.method)
        if method is None:
            return self._reply(asked, 405, Allow=", ".join(self._methods))
        if "require" in asked.headers:
            return self._reply(asked, 551, Unsupported=asked.headers["require"])
        if asked.path not in (PATH, f"{PATH}/{TRACK}") and not (asked.url == "*" or asked.method == "OPTIONS"):
            return self._reply(asked, 404)
        told = asked.headers.get("session")
        if told is not None and (self._session is None or told.partition(";")[0] != self._session.id):
            return self._reply(asked, 454)
        return method(asked)

    def _reply(self, asked: Request, code: int = 200, body: bytes = b"", **headers: str) -> bytes:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._session is not None and code == 200:
            named["Session"] = f"{self._session.id};timeout={round(self._server.idle_s)}"
        return rtsp_message.answer(code, asked.cseq, named, body)

    def _options(self, asked: Request) -> bytes:
        return self._reply(asked, Public=", ".join(self._methods))

    def _describe(self, asked: Request) -> bytes:
        if "application/sdp" not in asked.headers.get("accept", "application/sdp"):
            return self._reply(asked, 406)
        body = rtsp_message.description(self._server.encoder.parameter_sets(), self._server.fps, TRACK)
        return self._reply(asked, body=body, Content_Base=self._base, Content_Type="application/sdp")

    def _setup(self, asked: Request) -> bytes:
        if self._session is not None and self._session.playing:
            return self._reply(asked, 455)
        wish = rtsp_message.transport(asked.headers.get("transport", ""))
        if wish is None:
            return self._reply(asked, 461)
        self._server.encoder.parameter_sets()  # the encoder takes its time once, and not from the first picture
        self.drop_session()
        patience_s = self._server.patience_s
        out = TcpOut(self._writer, wish.pair, patience_s) if wish.tcp else UdpOut(self._peer, wish.pair)
        self._session = session = Session(out, self._server.stage)
        self._server.sessions.add(session)
        return self._reply(asked, Transport=f"{out.named};ssrc={session.ssrc:08X}")

    def _play(self, asked: Request) -> bytes:
        if self._session is None:
            return self._reply(asked, 455)
        self._session.play()
        self._server.encoder.keys_wanted = KEYS_AT_START
        info = f"url={self._base}{TRACK};seq={self._session.sequence & 0xFFFF}"
        return self._reply(asked, Range="npt=now-", RTP_Info=info)

    def _pause(self, asked: Request) -> bytes:
        if self._session is None or not self._session.playing:
            return self._reply(asked, 455)
        self._session.pause()
        return self._reply(asked)

    def _get_parameter(self, asked: Request) -> bytes:
        return self._reply(asked)

    def _teardown(self, asked: Request) -> bytes:
        if self._session is None:
            return self._reply(asked, 454)
        reply = self._reply(asked)
        self.drop_session()
        return reply

    def drop_session(self) -> None:
        """End its session, if it has one."""
        if self._session is not None:
            self._server.sessions.discard(self._session)
            self._session.close()
            self._session = None
