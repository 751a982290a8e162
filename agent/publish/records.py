"""Messages about messages: seals, replies to commands, images. Their layout is in docs/wire.cddl.

Promises:
- as in wire.py: `decode` raises `ProtocolError` and nothing else; fields after the known ones are ignored;
- a seal and a reply are signed where the box has a key; a seal says of every message of a run what its bytes were.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from agent.errors import ProtocolError
from agent.publish import cbor, cose
from agent.publish.birth import is_int, is_uint
from agent.publish.entries import DIGEST_BYTES

if TYPE_CHECKING:
    from agent.publish.birth import Birth
    from agent.publish.cose import NodeKey
    from agent.publish.entries import Run

SEAL_SIGNATURE = 8  # place of the signature
REPLY_SIGNATURE = 8
IMAGE_MAX_BYTES = 1 << 20
TEXT_MAX = 160


def encode_seal(head: tuple[int, ...], run: Run, topic: str, key: NodeKey) -> bytes:
    """`[v, boot16, seq, t, label, sealed boot, first seq, digests, signature]`."""
    return cose.append_signature([*head, run.boot, run.first, run.digests], topic.encode(), key)


def encode_reply(head: tuple[int, ...], command: bytes, text: str, topic: str, key: NodeKey, *, done: bool) -> bytes:
    """`[v, boot16, seq, t, label, command id, done, text, signature]`."""
    return cose.append_signature([*head, command, int(done), text[:TEXT_MAX]], topic.encode(), key)


def encode_image(head: tuple[int, ...], sensor: int, command: bytes, jpeg: bytes) -> bytes:
    """`[v, boot16, n, t, label, sensor, command id, JPEG]`; not durable: who asked asks again."""
    return cbor.dumps([*head, sensor, command, jpeg])


def decode(kind: str, row: list[Any], birth: Birth, base: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of a seal (v), a reply (r) or an image (i; its bytes in base64 under `jpeg`).

    Raises:
        ProtocolError: the payload is broken.

    """
    if len(row) < 8:
        raise ProtocolError("a seal, a reply or an image has eight fields at least")
    if kind == "v":
        boot, first, digests = row[5:8]
        fits = is_uint(boot, 32) and is_uint(first) and isinstance(digests, bytes)
        if not fits or len(digests) % DIGEST_BYTES or len(digests) > cbor.MAX_BYTES // 2:
            raise ProtocolError("a seal names a boot, a first number and digests of eight bytes each")
        pieces = [digests[i : i + DIGEST_BYTES].hex() for i in range(0, len(digests), DIGEST_BYTES)]
        return {"type": "seal", **base, "sealed_boot": boot, "first": first, "digests": pieces}
    if kind == "r":
        if not isinstance(row[5], bytes) or row[6] not in (0, 1) or not isinstance(row[7], str):
            raise ProtocolError("a reply names a command, whether it was done, and says so in a sentence")
        return {"type": "reply", **base, "command": row[5].hex(), "done": row[6] == 1, "sentence": row[7]}
    if not is_int(row[5]) or not 0 <= row[5] < len(birth.sensors) or not isinstance(row[6], bytes):
        raise ProtocolError("an image names a sensor of the birth and the command that asked for it")
    if not isinstance(row[7], bytes):
        raise ProtocolError("an image is a byte string")
    jpeg = base64.b64encode(row[7]).decode()
    return {"type": "image", **base, "sensor": birth.sensors[row[5]], "command": row[6].hex(), "jpeg": jpeg}
