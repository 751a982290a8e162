"""Memory that a start has needed and the watch does not: let go a while after the start, and now and then.

Promises:
- only what can be had again unchanged is let go: free pieces of the heap, and pages of loaded libraries that nobody has
  written to. These stay in the system's cache of files, which it takes back first when memory is short, and come back
  one by one where they are needed;
- a page with a process' own changes (relocated tables of a library) is never touched, nor a mapping of another file or
  one that was not there at the look before: what comes and goes may have left its place to memory in use;
- a C library that does not offer it keeps its free heap; nothing else depends on it.

Of a camera's libraries a start runs through 74 MB of code and tables; what is needed from then on are 36.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST_S = 5.0  # after the start; the looks after it come at twice the distance each
AGAIN_S = 600.0  # up to this: what is used rarely comes back with it, and free memory in pieces grows
_MADV_DONTNEED = 4
_SMAPS = Path("/proc/self/smaps")
_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ *(.*)")
_LIBRARY = re.compile(r"/.*\.so[0-9.]*( \(deleted\))?")


class Leavings:
    """When to let go of what; times are seconds of any clock that does not jump."""

    def __init__(self, now_s: float) -> None:
        self._wait_s = FIRST_S
        self._due_s = now_s + FIRST_S
        self._seen: frozenset[tuple[int, int]] = frozenset()

    def step(self, now_s: float) -> None:
        """Let go, if it is time."""
        if now_s < self._due_s:
            return
        self._wait_s = min(AGAIN_S, 2.0 * self._wait_s)
        self._due_s = now_s + self._wait_s
        self.look()

    def look(self) -> None:
        """Let go of what was there at the look before, too."""
        found = frozenset(unwritten(_SMAPS.read_text(encoding="utf-8", errors="replace")))
        lasting, self._seen = found & self._seen, found
        _let_go(lasting)


def _let_go(places: Iterable[tuple[int, int]]) -> None:
    """Give the free heap and these pages back to the system; no other thread of Python loads a library meanwhile."""
    libc = ctypes.PyDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc's
        libc.malloc_trim(ctypes.c_size_t(0))
    for start, size in places:
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_DONTNEED)


def unwritten(smaps: str) -> Iterator[tuple[int, int]]:
    """(address, bytes) of private mappings of libraries that cannot be written and hold no page of the process' own."""
    found = None
    for line in smaps.splitlines():
        if (head := _HEAD.match(line)) is not None:
            start, end, rights = int(head[1], 16), int(head[2], 16), head[3]
            library = _LIBRARY.fullmatch(head[4]) is not None
            found = (start, end - start) if library and rights[1] == "-" and rights[3] == "p" else None
        elif found is not None and line.startswith("Anonymous:"):
            if int(line.split()[1]) == 0:
                yield found
            found = None
