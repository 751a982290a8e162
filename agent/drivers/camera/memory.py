"""Memory of pictures that nobody looks at any more, for the next ones.

Promises:
- a picture that anybody still holds, or a part of it, is never written to;
- of what is free only one is kept, so that a camera that lagged once does not keep a second for ever.

Fresh memory for each picture has its price: 6 MB are 1,500 pages that the kernel clears and hands out one by one, in
more than a millisecond, and now and then in a hundred where free ones are short.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.drivers.camera.base import U8

_NOBODY = 3  # references to a picture here: the list's, the loop's, and the one that asks


class PictureMemory:
    """What a source's last pictures lie in. For one thread; pictures may be let go in any."""

    def __init__(self) -> None:
        self._lent: list[U8] = []

    def free(self) -> U8 | None:
        """A picture to write the next one over, if there is one that nobody holds."""
        found = None
        held = []
        for picture in self._lent:
            if sys.getrefcount(picture) > _NOBODY:
                held.append(picture)
            else:
                found = picture
        self._lent = held
        return found

    def lend(self, picture: U8) -> U8:
        """Hand `picture` out, and know it again when it comes back."""
        if picture.base is None:  # it owns its memory, so that parts of it hold it
            self._lent.append(picture)
        return picture
