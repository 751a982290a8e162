"""One MQTT connection, from dial to close, over paho-mqtt without its threads and queues.

Promises:
- a link lives for one connection: nothing that paho keeps survives into the next one, so nothing is resent behind the
  owner's back and no queue grows out of sight;
- `open_link` blocks (name lookup, TCP, TLS) for a bounded time; everything after that is `pump`, which returns within
  its timeout with what happened as a list of events;
- no exception of paho's leaves this module: a broker that talks nonsense is a `Closed` event with a sentence.

A link is used by one thread at a time. MQTT 5 and 3.1.1, QoS 1, no topic aliases.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.errors import SensorUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.publish.broker import Broker

CONNECT_TIMEOUT_S = 10.0
SESSION_EXPIRY_S = 7 * 86_400  # the broker keeps what is meant for a box that is offline
WILL_DELAY_S = 30  # a connection that comes back within it is no death
DEFAULT_RECEIVE_MAXIMUM = 65_535
_TCP_INFO_BYTES = 144
_READS = 200  # packets taken at one look at the socket
_UNSUPPORTED_VERSION = "Unsupported protocol version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The broker let us in. `receive_maximum`: how many unacknowledged messages it takes at once."""

    receive_maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """The broker's answer to a subscription; `refused` names why not."""

    refused: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """The broker has message `mid`, or (`refused`) will not have it; `code` is its MQTT 5 reason code."""

    mid: int
    code: int = 0
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message came. `retained`: from the broker's store, not just sent."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The connection is over. `refused`: the broker said no; `old_protocol`: it may understand MQTT 3.1.1 only."""

    sentence: str
    refused: bool = False
    old_protocol: bool = False


Event = Connected | Subscribed | Acked | Received | Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to connect. `session`: a session that outlives the connection, under `client_id`."""

    client_id: str
    keepalive_s: int = 60
    session: bool = False
    will_topic: str | None = None
    will_payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes of TCP payload and TCP segments, both ways; `resent`: segments of ours that were sent again."""

    bytes_up: int = 0
    bytes_down: int = 0
    segments: int = 0
    resent: int = 0

    def plus(self, other: Traffic) -> Traffic:
        """The sum."""
        return Traffic(
            bytes_up=self.bytes_up + other.bytes_up,
            bytes_down=self.bytes_down + other.bytes_down,
            segments=self.segments + other.segments,
            resent=self.resent + other.resent,
        )


def _traffic(sock: Any) -> Traffic:
    # struct tcp_info of linux/tcp.h: tcpi_total_retrans at byte 100, tcpi_bytes_acked and tcpi_bytes_received at 120,
    # tcpi_segs_out and _in at 136. A kernel of before 4.2, or an emulated one, tells less: then nothing is counted.
    info: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(info) < _TCP_INFO_BYTES:
        return Traffic()
    (resent,) = struct.unpack_from("=I", info, 100)
    acked, received, segments_out, segments_in = struct.unpack_from("=QQII", info, 120)
    return Traffic(bytes_up=acked, bytes_down=received, segments=segments_out + segments_in, resent=resent)


def _readable(sock: Any) -> bool:
    """Whether there is something to be read at once."""
    if sock is None or sock.fileno() < 0:
        return False
    if isinstance(sock, ssl.SSLSocket) and sock.pending() > 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Link:
    """An open connection; made by `open_link`."""

    def __init__(self, broker: Broker, options: Options, *, version5: bool) -> None:
        self.version5 = version5
        self._name = broker.name
        self._events: list[Event] = []
        self._let_in = False
        self._refused: str | None = None
        self._closed = False
        self._traffic = Traffic()
        self._client = self._make_client(broker, options)

    def fileno(self) -> int:
        """The socket's descriptor, for who waits on many links; -1 where there is none any more."""
        sock = self._client.socket()
        return -1 if sock is None else int(sock.fileno())

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for topics at QoS 1; the answer is a `Subscribed` event."""
        self._client.subscribe([(t, 1) for t in topics])

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send at QoS 1; returns the number that `Acked` will carry."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is published inside goes out in as few TCP segments as it fits into."""
        sock: Any = self._client.socket()  # paho's type of it lacks the options of TCP
        try:
            if sock is not None:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            yield
        finally:
            with contextlib.suppress(OSError):  # it has been closed meanwhile
                if sock is not None:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def pump(self, timeout_s: float, wake: socket.socket | None = None) -> list[Event]:
        """Read and write for at most `timeout_s`, less when something happens or a byte comes on `wake`."""
        with contextlib.suppress(OSError, ValueError):  # the socket went away meanwhile: `Closed` is in the events
            self._wait(0.0 if self._events else timeout_s, wake)
        try:
            self._client.loop_misc()
        except Exception as e:  # noqa: BLE001 - paho raises whatever its parser trips over; none of it is ours to crash on
            self._fail(f"{self._name} sent something that is not MQTT: {e}")
        self.traffic()  # while there is a socket to ask
        events, self._events = self._events, []
        return events

    def traffic(self) -> Traffic:
        """What has gone over the socket so far, TLS records included, as the kernel counts it (TCP_INFO)."""
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                self._traffic = _traffic(sock)
        return self._traffic

    def close(self) -> None:
        """Say goodbye (no last will is sent) and release the socket. Idempotent."""
        self._closed = True
        with contextlib.suppress(Exception):  # whatever is wrong with it, it is over
            self._client.disconnect()
        self._drop()

    def abort(self) -> None:
        """Release the socket without a goodbye: the broker sends the last will. Idempotent."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        self.traffic()
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    def _wait(self, timeout_s: float, wake: socket.socket | None) -> None:
        sock = self._client.socket()
        if sock is None:
            if not self._closed:
                self._fail(f"{self._name} closed the connection.")
            return
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        if wake is not None:
            poll.register(wake.fileno(), select.POLLIN)
        buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        ready = dict(poll.poll(0 if buffered else timeout_s * 1000))
        mine = ready.get(sock.fileno(), 0)
        if wake is not None and wake.fileno() in ready:
            wake.recv(4096)
        self._work(read=buffered or bool(mine & ~select.POLLOUT), write=bool(mine & select.POLLOUT))

    def _work(self, *, read: bool, write: bool) -> None:
        try:
            if write:
                self._client.loop_write()
            for _ in range(_READS if read else 0):
                self._client.loop_read()
                if not _readable(self._client.socket()):
                    break
        except Exception as e:  # noqa: BLE001 - paho raises whatever its parser trips over; none of it is ours to crash on
            self._fail(f"{self._name} sent something that is not MQTT: {e}")

    def _fail(self, sentence: str) -> None:
        if not self._closed:
            self._closed = True
            self._drop()
            refused = self._refused
            unknown_version = refused is None or _UNSUPPORTED_VERSION in refused
            self._events.append(
                Closed(
                    sentence=sentence if refused is None else refused,
                    refused=not unknown_version,
                    old_protocol=self.version5 and not self._let_in and unknown_version,
                )
            )

    # ------------------------------------------------------------------ paho

    def _make_client(self, broker: Broker, options: Options) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self.version5 else MQTTProtocolVersion.MQTTv311,
            clean_session=None if self.version5 else not options.session,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(DEFAULT_RECEIVE_MAXIMUM)  # the window is its owner's business, see Sender
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        if options.will_topic is not None:
            properties = None
            if self.version5:
                properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]  # paho has no types here
                properties.WillDelayInterval = WILL_DELAY_S
            client.will_set(options.will_topic, options.will_payload, qos=1, retain=True, properties=properties)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def dial(self, broker: Broker, options: Options) -> None:
        """Connect the socket and send CONNECT; blocking. Part of `open_link`."""
        if not self.version5:
            self._client.connect(broker.host, broker.port, options.keepalive_s)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
        properties.SessionExpiryInterval = SESSION_EXPIRY_S if options.session else 0
        self._client.connect(
            broker.host, broker.port, options.keepalive_s, clean_start=not options.session, properties=properties
        )

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refused = f"{self._name} refuses this box: {reason}; check user name, password and certificate."
            return
        self._let_in = True
        receive_maximum = getattr(properties, "ReceiveMaximum", DEFAULT_RECEIVE_MAXIMUM)
        self._events.append(Connected(receive_maximum=receive_maximum))

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        bad = [str(r) for r in reasons if r.is_failure]
        self._events.append(Subscribed(refused=bad[0] if bad else None))

    def _on_publish(self, _client: Client, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._events.append(Acked(mid=mid, code=reason.value, refused=str(reason)))
        else:
            self._events.append(Acked(mid=mid))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._events.append(
            Received(topic=message.topic, payload=bytes(message.payload), retained=bool(message.retain))
        )

    def _on_disconnect(self, _client: Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        said = f": {reason}" if flags.is_disconnect_packet_from_server or reason.is_failure else ""
        self._fail(f"{self._name} closed the connection{said}.")


def open_link(broker: Broker, options: Options, *, version5: bool) -> Link:
    """Dial the broker; the first event is `Connected` or `Closed`.

    Raises:
        SensorUnavailable: it cannot be reached, or its certificate is not to be trusted; one sentence.

    """
    link = Link(broker, options, version5=version5)
    try:
        link.dial(broker, options)
    except ssl.SSLCertVerificationError as e:
        raise SensorUnavailable(
            f"the certificate of {broker.name} is not to be trusted: {e.verify_message}; check publish.ca_file."
        ) from e
    except socket.gaierror as e:
        raise SensorUnavailable(f"the host of {broker.name} cannot be found: {e.strerror}; check name and DNS.") from e
    except (OSError, ValueError) as e:
        link.abort()
        why = e.strerror if isinstance(e, OSError) and e.strerror else str(e) or type(e).__name__
        raise SensorUnavailable(f"{broker.name} cannot be reached: {why}.") from e
    return link
