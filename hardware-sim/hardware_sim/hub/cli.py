"""`python -m hardware_sim hub`: runs the hub until it is told to stop; one JSON line on stdout when it listens."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

from hardware_sim import scenario
from hardware_sim.errors import UsageError
from hardware_sim.faults import FAULTS, Change, parse_fault
from hardware_sim.faults import Faults as Timetable
from hardware_sim.hub.broker import Faults, Hub
from hardware_sim.hub.link import SlowLink
from hardware_sim.hub.picture import Picture

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
    parser.add_argument("--ack", action="store_true", help="be the picture, too: acknowledge what boxes send")
    parser.add_argument("--scenario", metavar="NAME", help="the hub's faults of this scenario as well")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME@S[:S][=ARG]",
        help="a fault, S seconds after the ready line",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SimError: a fault or a port that makes no sense, or a port that is taken.

    """
    tables = tuple(parse_fault(f) for f in args.fault)
    for table in tables:
        if FAULTS[table.name].by != "hub":
            raise UsageError(f"the fault {table.name} is the devices': give it to `run --fault`")
    if args.scenario is not None:
        tables += tuple(f for f in scenario.load(args.scenario).fault if FAULTS[f.name].by == "hub")
    asyncio.run(_serve(args, Timetable(tables)))
    return 0


async def _serve(args: argparse.Namespace, timetable: Timetable) -> None:
    faults = Faults(
        drop_puback=args.drop_puback,
        delay_s=args.delay,
        kick_every=args.kick_every,
        refuse=args.refuse,
        versions=(4,) if args.only_311 else (4, 5),
    )
    changes = list(timetable.changes("hub"))
    hub = Hub(faults)
    if args.ack:
        Picture(hub)
    link = SlowLink() if any(change.name == "link-slow" for _, change in changes) else None
    try:
        inner = await hub.start(0 if link is not None else args.port)
        port = inner if link is None else await link.start(inner, args.port)
    except OSError as error:
        says = f"--port {args.port}: cannot be listened on: {error.strerror}; give another one, or 0 for any free one"
        raise UsageError(says) from error
    end = asyncio.Event()
    for s in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(s, end.set)
    print(json.dumps({"ready": True, "broker": f"mqtt://127.0.0.1:{port}"}), flush=True)
    acting = asyncio.create_task(_act(hub, link, inner, changes, faults))
    await end.wait()
    acting.cancel()
    await asyncio.gather(acting, return_exceptions=True)
    if link is not None:
        await link.stop()
    await hub.stop()


async def _act(hub: Hub, link: SlowLink | None, port: int, changes: list[tuple[float, Change]], usual: Faults) -> None:
    """Let faults begin and end at their times; at an end the hub is what its other options made it."""
    delay_s, drop, refuse = usual.delay_s, usual.drop_puback, usual.refuse
    loop = asyncio.get_running_loop()
    began = loop.time()
    for t, change in changes:
        await asyncio.sleep(max(0.0, began + t - loop.time()))
        match change.name:
            case "broker-down" if change.on:
                await hub.stop()
            case "broker-down":
                await hub.start(port)
            case "broker-slow":
                hub.faults.delay_s = change.value if change.on else delay_s
            case "broker-drops-puback":
                hub.faults.drop_puback = change.value if change.on else drop
            case "broker-refuses":
                hub.faults.refuse = change.on or refuse
                if change.on:
                    hub.kick()
            case _ if link is not None:
                link.there_and_back_s = change.value
