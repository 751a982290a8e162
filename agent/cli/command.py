"""Example: vigia command --broker mqtt://localhost --node tarifa-1 --key officer.key acknowledge alert=4321 by=Ana.

Commands: `snapshot sensor=NAME`, `clip sensor=NAME` (stays on the box), `acknowledge alert=N [by=..]`, `reject alert=N
reason=.. [by=..]`, `profile profile=lan|lte|satellite|metered`. The box obeys only keys and commands that its
configuration names. The reply comes as one JSON object; exit code 0 when it was done, 69 when it was refused or no
reply came.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import InputError, SensorUnavailable, UsageError, VigiaError
from agent.publish import broker as brokers
from agent.publish import commands, cose, wire
from agent.publish import link as links
from agent.publish.picture import PictureReceiver

if TYPE_CHECKING:
    import argparse

NAMES = ("snapshot", "clip", "acknowledge", "reject", "profile")
HELP = "Asks a box for something, signed, and prints its reply."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vigia command`."""
    parser.add_argument("--broker", required=True, metavar="URL")
    parser.add_argument("--node", required=True, metavar="NAME")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="made by `vigia picture --make-key`")
    parser.add_argument("--life", type=int, default=600, metavar="S", help="how long the command may wait for the box")
    parser.add_argument("--wait", type=float, default=30.0, metavar="S", help="how long to wait for the reply")
    parser.add_argument("--image", type=Path, metavar="FILE", help="where the picture of a snapshot goes")
    parser.add_argument("--username", metavar="NAME")
    parser.add_argument("--password-file", metavar="FILE")
    parser.add_argument("--ca-file", metavar="FILE")
    parser.add_argument("--cert-file", metavar="FILE")
    parser.add_argument("--key-file", metavar="FILE")
    parser.add_argument("name", choices=NAMES, help=", ".join(NAMES))
    parser.add_argument("arguments", nargs="*", metavar="NAME=VALUE")


def run(args: argparse.Namespace) -> int:
    """Send, and wait for the reply.

    Raises:
        SensorUnavailable: the broker cannot be reached.

    """
    if not args.key.exists():
        raise InputError(f"the key {args.key} is not there: make one with vigia picture --make-key {args.key}")
    given: dict[str, Any] = {}
    for text in args.arguments:
        name, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"an argument is NAME=VALUE, not {text!r}")
        given[name] = int(value) if value.lstrip("-").isdigit() else value
    try:
        broker = brokers.parse(
            args.broker, username=args.username, password_file=args.password_file, ca_file=args.ca_file,
            cert_file=args.cert_file, key_file=args.key_file,
        )  # fmt: skip
    except VigiaError as e:
        raise UsageError(str(e)) from e
    now = int(time.time())
    command = commands.Command(
        id=os.urandom(commands.ID_BYTES), issued_s=now, expires_s=now + args.life, node=args.node, name=args.name,
        args=given,
    )  # fmt: skip
    payload = commands.encode(command, cose.load_or_make(args.key))
    options = links.Options(client_id=f"vigia-command-{secrets.token_hex(4)}")
    link = links.open_link(broker, options, version5=True)
    try:
        return _talk(link, command, payload, args)
    finally:
        link.close()


def _talk(link: links.Link, command: commands.Command, payload: bytes, args: argparse.Namespace) -> int:
    receiver = PictureReceiver()
    deadline = time.monotonic() + args.wait
    image_wanted = args.image is not None
    done: bool | None = None
    while time.monotonic() < deadline and (done is None or (done and image_wanted)):
        for event in link.pump(max(0.0, min(0.5, deadline - time.monotonic()))):
            if isinstance(event, links.Connected):
                link.subscribe([wire.topic(args.node, "u", kind) for kind in ("b", "r", "i")])
            elif isinstance(event, links.Subscribed):
                link.publish(wire.topic(args.node, "d", "c"), payload)
            elif isinstance(event, links.Closed):
                raise SensorUnavailable(event.sentence)
            elif isinstance(event, links.Received):
                for row in receiver.feed(event.topic, event.payload, round(time.time(), 3)):
                    if row.get("command") != command.id.hex():
                        continue
                    if row["type"] == "reply":
                        done = row["done"]
                        print(json.dumps(row, ensure_ascii=False))
                    elif row["type"] == "image" and args.image is not None:
                        args.image.write_bytes(base64.b64decode(row["jpeg"]))
                        image_wanted = False
    if done is None:
        raise SensorUnavailable(f"{args.node} did not reply within {args.wait:g} s; the command lives on for a while")
    return 0 if done and not image_wanted else SensorUnavailable.exit_code
