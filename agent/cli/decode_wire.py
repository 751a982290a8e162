"""`vigia decode alert`: messages of the wire, as they were caught, to JSON objects.

Promises:
- FILE holds one message as it is, or lines of text: a message in hex or base64, with its topic before it or without
  (`mosquitto_sub -t 's1/#' -F '%t %x'` writes such lines); FILE may also be `-` or the message itself in hex;
- with topics every kind of message is read, with the births among the lines; without one a message is an alert, and
  its birth comes from `--birth`;
- a line that cannot be read costs that line and is told with its number; nothing readable at all is an error.
"""

from __future__ import annotations

import base64
import binascii
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.cli.decode import emit
from agent.errors import InputError, ProtocolError
from agent.publish import birth as births
from agent.publish import wire

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from agent.publish.birth import Birth

MAX_BYTES = 64 << 20
_Births = dict[tuple[str, int], "Birth"]  # by node ("" where no topic names one) and half boot id


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """One message: where it stands in the input, its topic ("" where none is given), its bytes."""

    place: str
    topic: str
    payload: bytes


def run_wire(args: argparse.Namespace) -> int:
    """Decode and print."""
    caught = list(_caught(args.file, "FILE"))
    born: _Births = {}
    if args.birth is not None:
        for c in _caught(args.birth, "--birth"):
            if c.topic and not c.topic.endswith("/b"):
                continue
            try:
                birth = births.decode(c.payload)
            except ProtocolError as e:
                raise InputError(
                    f"{c.place}: is no birth of a box ({e}); give the retained message of s1/NODE/u/b"
                ) from e
            born["", birth.boot16] = born[birth.node, birth.boot16] = birth
    good, wrong = 0, []
    for c in caught:
        try:
            _learn(c, born)
        except ProtocolError as e:
            wrong.append(f"{c.place}: {e}")
    for c in caught:
        try:
            for row in _rows(c, born):
                emit(row)
                good += 1
        except ProtocolError as e:
            wrong.append(f"{c.place}: {e}")
    if not good:
        raise InputError(wrong[0] if wrong else f"{args.file}: holds no message")
    for sentence in dict.fromkeys(wrong):
        print(sentence, file=sys.stderr)
    return 0


def _learn(c: Caught, born: _Births) -> None:
    parts = c.topic.split("/")
    if len(parts) == 4 and parts[3] == "b":
        birth = births.decode(c.payload)
        born[parts[1], birth.boot16] = birth


def _rows(c: Caught, born: _Births) -> list[dict[str, Any]]:
    node, kind = "", "a"
    if c.topic:
        parts = c.topic.split("/")
        if len(parts) != 4 or parts[0] != wire.TOPIC_MAJOR or parts[2] != "u":
            raise ProtocolError(f"{c.topic[:60]} is no topic on which a box speaks ({wire.TOPIC_MAJOR}/NODE/u/KIND)")
        node, kind = parts[1], parts[3]
    if kind == "b":
        return [wire.decode_birth(c.payload)]
    if kind == "s":
        return [{"node": node, **wire.decode_state(c.payload)}]
    boot16 = wire.head(c.payload).boot16
    birth = born.get((node, boot16)) or born.get(("", boot16))
    if birth is None:
        where = "among the lines, or give it with --birth FILE" if c.topic else "with --birth FILE"
        raise ProtocolError(
            f"it belongs to a boot whose id ends in {boot16:04x} and can be read only with that boot's birth: put the "
            f"retained message of {wire.topic(node or 'NODE', 'u', 'b')} {where}"
        )
    return wire.decode(kind, c.payload, birth)


def _caught(path: Path, what: str) -> Iterator[Caught]:
    """The messages of a file, of the standard input, or of the argument itself.

    Raises:
        InputError: there is no such file and it is no hex either, or it is empty or far too large.

    """
    name = str(path)
    if name == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        try:
            with path.open("rb") as f:
                data = f.read(MAX_BYTES + 1)
        except OSError as e:
            if (literal := _hex(name)) is not None:
                yield Caught(place=what, topic="", payload=literal)
                return
            raise InputError(f"{path}: cannot be read ({e.strerror}), and is no message in hex either") from e
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: more than {MAX_BYTES >> 20} MB; give a part of it")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        yield Caught(place=name, topic="", payload=data)  # a message begins with a byte that no text begins with
        return
    for n, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        payload = _hex(words[-1]) or _base64(words[-1])
        if payload is None or len(words) > 2:
            raise InputError(f"{path}:{n}: is no message in hex or base64, with or without its topic before it")
        yield Caught(place=f"{path}:{n}", topic=words[0] if len(words) == 2 else "", payload=payload)


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None
