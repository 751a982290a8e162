"""Signatures and MACs on the wire: COSE_Sign1 (RFC 9052) with Ed25519, and HMAC-SHA256 cut to eight bytes.

Promises:
- a node's key is made on the box, in a file that only its user reads (0600), and never leaves it;
- a signature covers the topic and the very bytes of the fields before it, so neither can be moved to another message;
- checking raises `ProtocolError` and nothing else, whatever the bytes.

Ed25519 comes from libsodium through PyNaCl: 1.6 MB of memory on the box, 0.05 ms a signature.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from agent.errors import ConfigError, ProtocolError
from agent.publish import cbor

KEY_BYTES = 32
MAC_BYTES = 8
_PROTECTED = bytes.fromhex("a10127")  # {1: -8}: algorithm EdDSA (RFC 9053, 2.2)
_TAG = 0xD2  # CBOR tag 18: COSE_Sign1


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKey:
    """A key that signs; `public` is its public half (32 bytes)."""

    public: bytes
    _secret: SigningKey

    def __repr__(self) -> str:
        return f"NodeKey({self.public.hex()})"

    def sign1(self, content: bytes, context: bytes, *, attach: bool = False) -> bytes:
        """A tagged COSE_Sign1 of `content` under `context`; with `attach` the content is in it, else beside it."""
        signature = self._secret.sign(_to_be_signed(content, context)).signature
        return bytes([_TAG]) + cbor.dumps([_PROTECTED, {}, content if attach else None, signature])


def make_key() -> NodeKey:
    """A new key in memory."""
    return key_of(os.urandom(KEY_BYTES))


def key_of(seed: bytes) -> NodeKey:
    """The key of a seed of 32 bytes."""
    secret = SigningKey(seed)
    return NodeKey(public=bytes(secret.verify_key), _secret=secret)


def load_or_make(path: Path) -> NodeKey:
    """The key in `path`; made there on first use.

    Raises:
        ConfigError: the file cannot be read or made, or is no key.

    """
    try:
        if not path.exists():  # a full disk would not take even a draft
            _make_file(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        seed = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as e:
        raise ConfigError(f"the key {path} cannot be used: {e}; move it away, and a new one is made.") from e
    if len(seed) != KEY_BYTES:
        raise ConfigError(f"the key {path} is not 64 hex digits; move it away, and a new one is made.")
    return key_of(seed)


def _make_file(path: Path) -> None:
    """A new key in `path`, whole or not at all, and never over one that is there."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, os.urandom(KEY_BYTES).hex().encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def append_signature(row: list[Any], context: bytes, key: NodeKey) -> bytes:
    """The array `row` with a detached COSE_Sign1 of its fields as one more field."""
    return cbor.dumps([*row, key.sign1(_fields(cbor.dumps(row)), context)])


def check_appended(payload: bytes, index: int, context: bytes, public: bytes) -> None:
    """Check the signature that stands at `index` of the array in `payload` and covers all fields before it.

    Raises:
        ProtocolError: there is none, or it is not this key's over this message.

    """
    signature = cbor.element(payload, index)
    if not isinstance(signature, bytes):
        raise ProtocolError("the message has no signature where one has to be")
    check(signature, cbor.elements_before(payload, index), context, public)


def check(message: bytes, content: bytes | None, context: bytes, public: bytes) -> bytes:
    """The content of a COSE_Sign1 (attached, or given as `content` where it is detached), if `public` signed it.

    Raises:
        ProtocolError: it is none, or not this key's.

    """
    row = cbor.loads(message[1:]) if message[:1] == bytes([_TAG]) else None
    if not isinstance(row, list) or len(row) != 4 or row[0] != _PROTECTED or not isinstance(row[3], bytes):
        raise ProtocolError("a signature is a COSE_Sign1 with Ed25519")
    if not isinstance(row[1], dict):  # nobody signs it, but what is no header is no COSE
        raise ProtocolError("a signature's unprotected header is a map")
    signed = content if row[2] is None else row[2]
    if not isinstance(signed, bytes):
        raise ProtocolError("a signature has nothing that it signs")
    try:
        VerifyKey(public).verify(_to_be_signed(signed, context), row[3])
    except (BadSignatureError, ValueError, TypeError) as e:
        raise ProtocolError(f"the signature is not that of key {public.hex()[:16]}...") from e
    return signed


def append_mac(row: list[Any], context: bytes, secret: bytes) -> bytes:
    """The array `row` with an 8-byte MAC of its fields as one more field."""
    return cbor.dumps([*row, _mac(_fields(cbor.dumps(row)), context, secret)])


def check_mac(payload: bytes, index: int, context: bytes, secret: bytes) -> None:
    """Check the MAC at `index` of the array in `payload`.

    Raises:
        ProtocolError: there is none, or it is wrong.

    """
    mac = cbor.element(payload, index)
    right = _mac(cbor.elements_before(payload, index), context, secret)
    if not isinstance(mac, bytes) or not hmac.compare_digest(mac, right):
        raise ProtocolError("the message's MAC is missing or wrong")


def read_secret(path: str) -> bytes:
    """The secret for MACs in a file of 64 hex digits.

    Raises:
        ConfigError: it is none.

    """
    try:
        secret = bytes.fromhex(Path(path).read_text(encoding="ascii").strip())
    except (OSError, ValueError) as e:
        raise ConfigError(
            f"the MAC key {path} cannot be read: {e}; it is 64 hex digits, see publish.mac_key_file"
        ) from e
    if len(secret) != KEY_BYTES:
        raise ConfigError(f"the MAC key {path} is not 64 hex digits; make one with: openssl rand -hex 32")
    return secret


def _mac(content: bytes, context: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, context + b"\0" + content, hashlib.sha256)[:MAC_BYTES]


def _to_be_signed(content: bytes, context: bytes) -> bytes:
    """The Sig_structure of RFC 9052, 4.4; `context` is its external_aad: the topic."""
    return cbor.dumps(["Signature1", _PROTECTED, context, content])


def _fields(array: bytes) -> bytes:
    """The encoded elements of an array without its head."""
    return array[cbor.head_bytes(array) :]
