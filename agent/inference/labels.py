"""Names of classes: the two COCO lists, label files, and which names mean a vessel.

Promises:
- a label list is indexed by the class number that the model itself gives;
- `coco91` keeps the gaps of the TensorFlow numbering (boat = 9), `coco80` is the dense one (boat = 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import ConfigError
from agent.vocabulary import means_vessel

if TYPE_CHECKING:
    from pathlib import Path

_COCO80 = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
COCO80 = tuple(_COCO80.split(","))
_COCO91_GAPS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # numbers of the 2014 paper that the data set never used


def _coco91() -> tuple[str, ...]:
    dense = iter(COCO80)
    return tuple("" if number in _COCO91_GAPS else next(dense) for number in range(91))


COCO91 = _coco91()
KNOWN = {"coco80": COCO80, "coco91": COCO91}


def read_labels(name: str, beside: Path) -> tuple[str, ...]:
    """The list that `name` means: `coco80`, `coco91`, or a text file (one name a line), relative to folder `beside`.

    Raises:
        ConfigError: no such list or file.

    """
    if name in KNOWN:
        return KNOWN[name]
    path = beside / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(
            f"Labels {name!r}: neither coco80, coco91 nor a readable text file ({path}); give one name a line."
        ) from e
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise ConfigError(f"Labels {path}: the file is empty; give one class name a line.")
    return tuple(line.strip() for line in lines)


def numbered(count: int) -> tuple[str, ...]:
    """What a model without labels gets: COCO for 80 classes, its gappy numbering for 91, plain numbers otherwise."""
    for known in KNOWN.values():
        if count == len(known):
            return known
    return tuple(f"class-{i}" for i in range(count))


def vessels_among(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels that mean a vessel by their words; a model of one class means vessels by it."""
    named = tuple(label for label in labels if means_vessel(label))
    return named or (labels if len(labels) == 1 else ())
