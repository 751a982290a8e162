"""Whom the picture believes: node keys, pinned by hand or at first sight, and MACs where a secret is shared.

Promises:
- a node whose key is known is believed only with births and seals signed by it: a birth without, or of another key, is
  refused, and then nothing of that boot is decoded or acknowledged;
- with `strict`, a node whose key is not known is refused; without, its first signed birth pins it;
- where there is a MAC secret, every alert has to carry its MAC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import InputError, ProtocolError
from agent.publish import birth as births
from agent.publish import cose
from agent.publish.records import REPLY_SIGNATURE, SEAL_SIGNATURE

if TYPE_CHECKING:
    from pathlib import Path

    from agent.publish.birth import Birth

ALERT_MAC = 13  # its place in the array
_SIGNED = {"v": SEAL_SIGNATURE, "r": REPLY_SIGNATURE}


class Trust:
    """`keys` by node, as far as they are known; grows by what is pinned."""

    def __init__(
        self, keys: dict[str, bytes] | None = None, *, strict: bool = False, mac_secret: bytes | None = None
    ) -> None:
        self.keys = dict(keys or {})
        self._strict = strict
        self._mac_secret = mac_secret

    def check_birth(self, payload: bytes, birth: Birth) -> None:
        """A birth is this node's own.

        Raises:
            ProtocolError: it is not.

        """
        known = self.keys.get(birth.node)
        if known is None and self._strict:
            raise ProtocolError(f"the key of node {birth.node[:40]!r} is not known here: add it to the file of keys")
        if known is None and not birth.key:
            return  # a box that does not sign, and nobody has said that it should
        births.check_signature(payload, birth)
        if known is not None and known != birth.key:
            raise ProtocolError(
                f"the birth of {birth.node[:40]!r} is signed by another key ({birth.key.hex()[:16]}...) than is known: "
                "if the box was set up anew, remove its old key"
            )
        self.keys[birth.node] = birth.key

    def check_message(self, node: str, kind: str, payload: bytes, birth: Birth) -> None:
        """A message's own signature or MAC, where it has to have one.

        Raises:
            ProtocolError: it is missing or wrong.

        """
        context = f"s1/{node}/u/{kind}".encode()
        if kind in _SIGNED and birth.key:
            cose.check_appended(payload, _SIGNED[kind], context, birth.key)
        elif kind == "a" and self._mac_secret is not None:
            cose.check_mac(payload, ALERT_MAC, context, self._mac_secret)


def read_keys(path: Path) -> dict[str, bytes]:
    """Keys by node from a file of lines `NODE HEX`; # begins a comment.

    Raises:
        InputError: it cannot be read, or a line is none.

    """
    keys = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split("#", 1)[0].split()
            if not words:
                continue
            if len(words) != 2 or len(words[1]) != 2 * cose.KEY_BYTES:
                raise InputError(f"{path}:{number}: a line is the node's name and its key of 64 hex digits")
            keys[words[0]] = bytes.fromhex(words[1])
    except (OSError, ValueError) as e:
        raise InputError(f"the file of keys {path} cannot be read: {e}") from e
    return keys
