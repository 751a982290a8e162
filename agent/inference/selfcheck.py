"""Does a loaded model see what is there? Judged on a rendered picture of three vessels, large and near.

Promises:
- a model that is dead (no score above zero) or blind (no vessel seen) is told in one sentence with what to do;
- input values that nobody has named are the layout's usual ones, unless the model sees the vessels of the picture only
  with another usual preset: then that one is taken, and said;
- nothing that the operator, MODEL.toml or the metadata say is ever overridden.

Every real detector of the tests scores 0.55 or more on that picture with its own input, and next to nothing with a
wrong range of values.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.errors import InternalError
from agent.inference.detector import Detector
from agent.inference.spec import PRESETS

if TYPE_CHECKING:
    from agent.inference.letterbox import U8
    from agent.inference.session import Session
    from agent.messages import Box

_PICTURE = Path(__file__).parent / "models" / "selfcheck.jpg"
_SIZE = (640, 480)  # of the picture: what a model of free size is run at
_ALMOST_NOTHING = 1e-9
_USUAL = (
    "rgb01",
    "bgr255",
    "imagenet",
)  # in use; their ranges are far apart, their channel orders one picture cannot tell
_POOR, _GOOD = 0.2, 0.4  # best score of a vessel: below, the model is blind; above, it sees


def self_check(detector: Detector) -> str:
    """One sentence where the model does not see the vessels of the picture, else "".

    A model without any label that means a vessel is asked for any box.
    """
    with detector.giving_back():
        return _checked(detector)


def _checked(detector: Detector) -> str:
    path = detector.info.path
    boxes = _boxes_on_picture(detector)
    if not boxes:
        return f"{path}: the model gives no score above zero even on a picture of three boats: export it anew."
    best = _best(detector, boxes)
    if best < _POOR and not detector.unnamed:
        return (
            f"{path}: sees no vessel on a picture of three boats (best score {best:.2f}): correct `input`, `fit` or "
            "`labels` in MODEL.toml."
        )
    return detector.unnamed


def best_score(detector: Detector) -> float:
    """The best score of a vessel on the picture; 0 where there is none."""
    return _best(detector, _boxes_on_picture(detector))


def _boxes_on_picture(detector: Detector) -> tuple[Box, ...]:
    return detector.to_boxes(detector.find(check_picture(), min_score=_ALMOST_NOTHING, size=_SIZE))


def _best(detector: Detector, boxes: tuple[Box, ...]) -> float:
    vessels = detector.info.vessel_labels
    return max((b.score for b in boxes if not vessels or b.label in vessels), default=0.0)


def with_input_that_sees(detector: Detector, session: Session, nms_iou: float) -> Detector:
    """The detector itself, or one with the preset of input values with which it sees what it else does not."""
    info = detector.info
    if info.form.dtype == "uint8" or best_score(detector) >= _POOR:
        return detector
    others = {
        name: Detector(replace(info, form=replace(info.form, pixels=pixels)), session, nms_iou=nms_iou)
        for name in _USUAL
        if (pixels := PRESETS[name]) != info.form.pixels
    }
    name = max(others, key=lambda n: best_score(others[n]))
    if best_score(others[name]) < _GOOD:
        return detector
    said = (
        f'{info.path}: taken to want input = "{name}", since only with it does it see the boats of the self-check '
        "picture; write that into MODEL.toml."
    )
    chosen = replace(others[name].info, sentence=" ".join(filter(None, (info.sentence, said))))
    return Detector(chosen, session, nms_iou=nms_iou)


def check_picture() -> U8:
    """The self-check picture [480, 640, 3].

    Raises:
        InternalError: it is not in the package.

    """
    picture = cv2.imread(str(_PICTURE), cv2.IMREAD_COLOR)
    if picture is None:
        raise InternalError(f"{_PICTURE}: the self-check picture is missing; install Vigía again.")
    return np.asarray(picture, dtype=np.uint8)
