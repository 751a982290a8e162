"""Commands from the picture: who may say what, once, and for how long.

Promises:
- a command is carried out only if it is signed by a configured key for this node, is of an allowed kind, is neither
  from the future nor expired nor older than a day, was not retained, and has not been seen before (also over restarts);
- that it has been seen is on the disk before it is carried out: a crash in the middle never does it twice;
- whatever becomes of it is in the outbox' audit, and the sender hears of it; who cannot sign hears nothing;
- no command names a file, a program or an address.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.errors import ProtocolError, VigiaError
from agent.publish import cbor, cose
from agent.publish.birth import is_uint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.publish.cose import NodeKey
    from agent.publish.outbox import Outbox

log = logging.getLogger("vigia.commands")
LIFE_MAX_S = 86_400
SKEW_S = 120  # what the clocks of picture and box may differ by
ID_BYTES = 8
WAITING_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a picture asks of a box. Times are Unix seconds; `args` holds short texts and numbers."""

    id: bytes
    issued_s: int
    expires_s: int
    node: str
    name: str
    args: dict[str, Any]


def encode(command: Command, key: NodeKey) -> bytes:
    """The payload of `s1/<node>/d/c`: a COSE_Sign1 around `[v, id, issued, expires, node, name, args]`."""
    content = cbor.dumps([1, command.id, command.issued_s, command.expires_s, command.node, command.name, command.args])
    return key.sign1(content, _context(command.node), attach=True)


def decode(payload: bytes, node: str, keys: Sequence[bytes]) -> Command:
    """The command in a payload that one of `keys` signed for `node`.

    Raises:
        ProtocolError: it is none, or nobody who may has signed it.

    """
    content = None
    for public in keys:
        try:
            content = cose.check(payload, None, _context(node), public)
            break
        except ProtocolError:
            continue
    if content is None:
        raise ProtocolError("a command came that none of the configured keys has signed")
    row = cbor.loads(content)
    if not isinstance(row, list) or len(row) < 7 or not isinstance(row[1], bytes) or len(row[1]) != ID_BYTES:
        raise ProtocolError("a command is an array of seven fields at least, its id is eight bytes")
    if (
        not is_uint(row[2], 48)
        or not is_uint(row[3], 48)
        or not isinstance(row[5], str)
        or not isinstance(row[6], dict)
    ):
        raise ProtocolError("a command has two times, a name and arguments")
    if row[4] != node:
        raise ProtocolError(f"a command for {str(row[4])[:40]!r} came to {node!r}")
    args = {str(k): v for k, v in row[6].items() if isinstance(v, str | int) and len(str(v)) <= 200}
    return Command(id=row[1], issued_s=row[2], expires_s=row[3], node=node, name=row[5][:32], args=args)


def why_not(command: Command, now_s: float, allowed: Sequence[str]) -> str | None:
    """The sentence that refuses a command, or None."""
    if command.name not in allowed:
        return f"this box does not take the command {command.name!r}"
    if command.issued_s > now_s + SKEW_S:
        return "the command is from the future: the clock of the box or of the picture is wrong"
    if command.expires_s <= now_s:
        return "the command has expired"
    if command.expires_s - command.issued_s > LIFE_MAX_S:
        return "a command may live for a day at most"
    return None


class Desk:
    """Takes commands from the link's thread and carries them out, one by one, in its own.

    `carry_out(command)` does it and says what it did, or raises a `VigiaError`; `reply(id, done, sentence)` tells.
    """

    def __init__(
        self,
        *,
        node: str,
        keys: Sequence[bytes],
        allowed: Sequence[str],
        outbox: Outbox,
        wall: Callable[[], float],
        carry_out: Callable[[Command], str],
        reply: Callable[[bytes, bool, str], None],
    ) -> None:
        self._node, self._keys, self._allowed, self._outbox = node, keys, allowed, outbox
        self._wall, self._carry_out, self._reply = wall, carry_out, reply
        self._queue: queue.Queue[Command | None] = queue.Queue(WAITING_MAX)
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.refused = 0
        self.last_refusal = ""

    def take(self, payload: bytes, retained: bool) -> None:
        """A message on the command topic.

        Raises:
            VigiaError: the disk did not take its id.

        """
        try:
            if retained:
                raise ProtocolError("a command was retained by the broker: nobody knows when it was meant")
            command = decode(payload, self._node, self._keys)
        except ProtocolError as e:
            self._refuse(str(e))
            return
        now_s = self._wall()
        why = why_not(command, now_s, self._allowed)
        if not self._outbox.audit.claim(command.id, command.name, command.expires_s, int(now_s)):
            self._refuse(f"the command {command.name!r} came a second time")
        elif why is not None:
            self._refuse(why)
            self._finish(command, False, why)
        else:
            self._begin(command)

    def _begin(self, command: Command) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(command)
        except queue.Full:
            self._finish(command, False, "too many commands at once; ask again")

    def stop(self) -> None:
        """End the thread behind the command that it is at. Idempotent; does not wait."""
        self._stopping = True
        with contextlib.suppress(queue.Full):  # then it has something to wake up for
            self._queue.put_nowait(None)

    def _run(self) -> None:
        while not self._stopping:
            command = self._queue.get()
            if command is None:
                return
            try:
                self._finish(command, True, self._carry_out(command))
            except VigiaError as e:
                self._finish(command, False, str(e))
            except Exception as e:  # one command's surprise must not end the answering of all later ones
                log.exception("command %s has failed unexpectedly", command.name)
                self._finish(command, False, f"it failed unexpectedly ({type(e).__name__})")

    def _finish(self, command: Command, done: bool, sentence: str) -> None:
        log.info("command %s (%s): %s", command.name, command.id.hex(), sentence)
        try:
            self._outbox.audit.finish(command.id, ("done: " if done else "refused: ") + sentence)
            self._reply(command.id, done, sentence)
        except VigiaError as e:  # the disk is full or mended: the command is known as begun
            log.warning("what became of command %s cannot be written down: %s", command.id.hex(), e)

    def _refuse(self, why: str) -> None:
        self.refused += 1
        self.last_refusal = why
        log.warning("a command is refused: %s", why)


def _context(node: str) -> bytes:
    return f"s1/{node}/d/c".encode()
