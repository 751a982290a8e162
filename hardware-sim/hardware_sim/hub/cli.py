"""`python -m hardware_sim hub`: runs the hub until it is told to stop; one JSON line on stdout when it listens."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

from hardware_sim.hub.broker import Faults, Hub

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--drop-puback", type=float, default=0.0, metavar="SHARE", help="lose this share of PUBACKs")
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="answer every packet so much later")
    parser.add_argument("--kick-every", type=int, default=0, metavar="N", help="close the link at every Nth PUBLISH")
    parser.add_argument("--refuse", action="store_true", help="refuse every connection as not authorized")
    parser.add_argument("--only-311", action="store_true", help="be an old broker that knows MQTT 3.1.1 only")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(args))
    return 0


async def _serve(args: argparse.Namespace) -> None:
    faults = Faults(
        drop_puback=args.drop_puback,
        delay_s=args.delay,
        kick_every=args.kick_every,
        refuse=args.refuse,
        versions=(4,) if args.only_311 else (4, 5),
    )
    hub = Hub(faults)
    port = await hub.start(args.port)
    print(json.dumps({"ready": True, "broker": f"mqtt://127.0.0.1:{port}"}), flush=True)
    end = asyncio.Event()
    for s in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(s, end.set)
    await end.wait()
    await hub.stop()
