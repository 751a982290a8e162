"""Recorded events through a core, as the daemon would have taken them.

Promises:
- an event that makes the core fail is passed over, as the daemon passes over it after its restart: the core is as if it
  had never come, and it is told once; more than `MOST` of them are a core that does not work, and raise;
- effects come in the order of the events, in blocks: nothing of one is handed out before all of it has gone through.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

from agent.core import Core
from agent.errors import VigiaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.config.schema import Config
    from agent.messages import Effect, Event

log = logging.getLogger("vigia.replay")
BLOCK = 2000  # events between two states that one can go back to
MOST = 10


def replayed(config: Config, events: Iterable[Event]) -> Iterator[tuple[Event, tuple[Effect, ...]]]:
    """(event, what follows from it), without the events that the core fails on."""
    core, passed = Core(config), 0
    source = iter(events)
    while block := list(itertools.islice(source, BLOCK)):
        before = core.state()
        while True:
            done: list[tuple[Event, tuple[Effect, ...]]] = []
            try:
                _through(core, block, done)
                break
            except VigiaError:
                raise
            except Exception as e:
                passed += 1
                if passed > MOST:
                    raise
                at = len(done)
                log.warning(
                    "the %s at %.3f makes the core fail (%s: %s); it is passed over",
                    type(block[at]).__name__, block[at].at_s, type(e).__name__, e,
                )  # fmt: skip
                del block[at]
                core = Core.restore(config, before)
        yield from done


def _through(core: Core, block: Sequence[Event], done: list[tuple[Event, tuple[Effect, ...]]]) -> None:
    for event in block:
        done.append((event, core.step(event)))  # noqa: PERF401 - what was done before a failure has to stand there
