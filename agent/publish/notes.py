"""Which sentences of health the picture has been told, by number: each goes over the link once a boot.

Promises:
- a number stands for one sentence as long as the boot lasts; the newest `KEPT` sentences are known, an older one gets a
  new number;
- after anything was lost on the way (`forget`) every sentence is told again.
"""

from __future__ import annotations

from collections import OrderedDict

KEPT = 200


class Notes:
    """Numbers of sentences."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._made = 0

    def number(self, sentence: str) -> tuple[int, bool]:
        """The sentence's number, and whether it has been told."""
        if sentence in self._numbers:
            self._numbers.move_to_end(sentence)
            return self._numbers[sentence], True
        return self._made, False

    def told(self, sentence: str, number: int) -> None:
        """It is on the disk, on its way to the picture."""
        self._numbers[sentence] = number
        self._made = max(self._made, number + 1)
        while len(self._numbers) > KEPT:
            self._numbers.popitem(last=False)

    def forget(self) -> None:
        """Tell every sentence again, under the next numbers."""
        self._numbers.clear()
