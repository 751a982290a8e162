"""A case: all that belongs to one alert, in one file that can be checked years later and far from the box.

Promises:
- a case is a plain tar file: `manifest.json` names every other file with its size and SHA-256, and has a digest of
  every event; `manifest.cose` is the box's signature of it; `events.vlog` is an event log that `vigia replay` takes;
- `verdicts` names each file and each event: `sealed`, `flipped` (changed), `removed`, `added`; one bit that differs
  anywhere in the file shows;
- the same content gives the same bytes; nothing of a case is ever unpacked to the disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

from agent.errors import InputError
from agent.record.log import HEADER, MAGIC, MAX_BLOCK, encode_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from agent.messages import Event

MANIFEST, SIGNATURE, EVENTS = "manifest.json", "manifest.cose", "events.vlog"
FORMAT, VERSION = "vigia-case", 1
MAX_BYTES = 4 << 30
_DIGEST_CHARS = 32  # 128 bits


def context(node: str) -> bytes:
    """What the signature of a case of `node` is made under."""
    return f"vigia/case/{node}".encode()


def make_case(
    facts: dict[str, Any],
    files: dict[str, bytes],
    events: Sequence[tuple[float, Event]],
    sign: Callable[[bytes], bytes] | None,
) -> bytes:
    """The bytes of a case. `facts` go into the manifest as they are; `made_at` (Unix s) among them."""
    blocks = [encode_block([row]) for row in events]
    contents = {**files, EVENTS: b"".join(blocks)}
    manifest = {
        "format": FORMAT, "version": VERSION, **facts,
        "files": {n: {"bytes": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in sorted(contents.items())},
        "events": [_digest(block) for block in blocks],
    }  # fmt: skip
    text = json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"
    signed = {} if sign is None else {SIGNATURE: sign(text)}
    return _tar({MANIFEST: text, **signed, **dict(sorted(contents.items()))}, int(facts["made_at"]))


def read_case(path: Path) -> tuple[dict[str, bytes], bytes]:
    """(files by name, the whole of it); what stands behind a broken head is not among the files.

    Raises:
        InputError: it cannot be read, or is no case.

    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: larger than any case; is it the right file?")
        whole = path.read_bytes()
        files = {}
        with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    files[member.name] = content.read()
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    except (tarfile.TarError, ValueError, EOFError) as e:
        raise InputError(f"{path}: is no case of Vigía ({e}), or its beginning was changed") from e
    if MANIFEST not in files:
        raise InputError(f"{path}: is no case of Vigía: it has no {MANIFEST}")
    return files, whole


def read_manifest(files: dict[str, bytes]) -> dict[str, Any] | None:
    """The manifest of a case; None where it is none."""
    try:
        manifest = json.loads(files[MANIFEST])
        if manifest["format"] != FORMAT or not isinstance(manifest["events"], list):
            return None
        return dict(manifest) if all({"bytes", "sha256"} <= set(f) for f in manifest["files"].values()) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def verdicts(files: dict[str, bytes], whole: bytes, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One object a file and an event: `file` or `event` (its number, from 1 on) and its `verdict`."""
    for name, said in manifest["files"].items():
        content = files.get(name)
        if content is None:
            yield {"file": name, "verdict": "removed"}
        else:
            same = hashlib.sha256(content).hexdigest() == said["sha256"]
            yield {"file": name, "verdict": "sealed" if same else "flipped"}
    for name in files.keys() - manifest["files"].keys() - {MANIFEST, SIGNATURE}:
        yield {"file": name, "verdict": "added"}
    yield from _of_events(manifest["events"], [_digest(b) for b in _blocks(files.get(EVENTS, b""))])
    if _tar(files, int(manifest.get("made_at", 0))) != whole:  # heads and padding of the container
        yield {"file": "the tar file around them", "verdict": "flipped"}


def _of_events(said: list[str], found: list[str]) -> Iterator[dict[str, Any]]:
    """Both lists side by side: what stands in the place of a missing one is that one, changed."""
    at = 0
    strange = 0  # found, and not known, since the last known one
    for digest in found:
        try:
            place = said.index(digest, at)
        except ValueError:
            strange += 1
            continue
        yield from _between(at, place, strange)
        yield {"event": place + 1, "verdict": "sealed"}
        at, strange = place + 1, 0
    yield from _between(at, len(said), strange)


def _between(first: int, last: int, strange: int) -> Iterator[dict[str, Any]]:
    for n in range(first, last):
        yield {"event": n + 1, "verdict": "flipped" if n - first < strange else "removed"}
    for _ in range(strange - (last - first)):
        yield {"event": None, "verdict": "added"}


def _blocks(log: bytes) -> Iterator[bytes]:
    """The log's pieces: blocks, and what lies between them where a head is broken."""
    at = 0
    while at < len(log):
        end = 0
        if len(log) - at >= HEADER.size:
            magic, length, crc = HEADER.unpack_from(log, at)
            if magic == MAGIC and length <= MAX_BLOCK and at + HEADER.size + length <= len(log):
                end = at + HEADER.size + length
                whole = zlib.crc32(log[at + HEADER.size : end]) == crc
                if not whole and end < len(log) and log[end : end + len(MAGIC)] != MAGIC:
                    end = 0  # a length that leads nowhere
        if not end:
            end = log.find(MAGIC, at + 1)
            end = len(log) if end < 0 else end
        yield log[at:end]
        at = end


def _digest(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()[:_DIGEST_CHARS]


def _tar(files: dict[str, bytes], made_s: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), max(0, made_s), 0o644
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
