"""A box whose disk takes nothing: what it still does, and how it comes back by itself.

Promises:
- sensors, core, status and page work; health goes to the picture from memory, and says that the disk refuses;
- an alert waits in the core until the disk takes it: what was sent without being stored could be numbered twice after a
  power cut, and the picture would take two vessels for one. None is lost but by a power cut meanwhile;
- the numbers of boots and alerts go on behind the outbox, which can still be read; commands are not taken.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agent.errors import VigiaError
from agent.publish.client import Publisher, random_boot
from agent.publish.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.messages import Alert

MEMORY_BYTES = 1_048_576  # of health that waits for a link


class MakePublisher(Protocol):
    """Makes a publisher of a kind on an outbox; `boot` None: its own choice."""

    def __call__(self, kind: type[Publisher], outbox: Outbox, boot: int | None) -> Publisher:
        """Make it."""


def disk_refuses(directory: Path) -> str:
    """Why 64 kB written, synced and read back there do not stay; empty when they do."""
    path, data = directory / "self-test", secrets.token_bytes(65_536)
    try:
        try:
            with path.open("wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            read = path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
    except OSError as e:
        return e.strerror or str(e)
    return "" if read == data else "what was read back is something else"


class Storage:
    """The outbox of a state directory, and what stands in for it while the disk takes nothing.

    `why` is the disk's refusal, empty while all is well.

    Raises:
        VigiaError: the outbox cannot be opened though the disk works, e.g. another process has it.

    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory, self._max_bytes = directory, max_bytes
        self._memory: Outbox | None = None
        self._disk: Outbox | None = None
        self.why = ""
        try:
            self._open()
        except VigiaError:
            self._refused_or_raise()

    @property
    def outbox(self) -> Outbox:
        """The one to send from."""
        if self.why or self._disk is None:
            self._memory = self._memory or Outbox(Path(":memory:"), max_bytes=MEMORY_BYTES)
            return self._memory
        return self._disk

    def newest_alert(self) -> int:
        """The highest alert id that was ever committed; 0 where that cannot be read."""
        return 0 if self._disk is None else self._disk.newest_alert()

    def publisher(self, make: MakePublisher) -> Publisher:
        """A publisher on the outbox; one that takes no alerts where the disk refuses even the start of a boot.

        Raises:
            VigiaError: it cannot be made for another reason.

        """
        if not self.why:
            try:
                return make(Publisher, self.outbox, None)
            except VigiaError:
                self._refused_or_raise()
        numbers = self._disk or self.outbox
        return make(EmergencyPublisher, self.outbox, numbers.free_boot(iter(random_boot, 0)))

    def works_again(self) -> bool:
        """Whether the disk has refused and does no longer; the outbox is then the disk's."""
        if not self.why or disk_refuses(self._directory):
            return False
        if self._disk is None:
            self._open()
        self.why = ""
        return True

    def close(self) -> None:
        """Release the files. Idempotent."""
        for outbox in (self._disk, self._memory):
            if outbox is not None:
                outbox.close()

    def sentence(self) -> str:
        """What does not work, for health."""
        return f"the disk of {self._directory} takes nothing ({self.why}): alerts wait in memory, unsent; free space"

    def _open(self) -> None:
        self._disk = Outbox(self._directory / "outbox.sqlite", max_bytes=self._max_bytes)

    def _refused_or_raise(self) -> None:
        """In an `except`: go on without the disk if it is to blame."""
        self.why = disk_refuses(self._directory)
        if not self.why:
            raise  # noqa: PLE0704 - the caller's


class EmergencyPublisher(Publisher):
    """A publisher that takes no alerts."""

    def submit_alerts(self, alerts: Sequence[Alert]) -> None:
        """Refuse, so that the core keeps them.

        Raises:
            VigiaError: always, where there are any.

        """
        if alerts:
            raise VigiaError("the disk takes nothing")
