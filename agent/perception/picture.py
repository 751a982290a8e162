"""Is the picture worth looking at? Black, blinded, frozen, blurred: simple measures of each picture over time.

Promises:
- every judgement rests on a number that stands in its sentence and its counters;
- one odd picture changes nothing: a fault must last (`FROZEN_S`, `LASTING_S`), and goes as soon as it is over;
- sharpness is compared with what this camera showed in its better hours, not with a constant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LASTING_S = 10.0
FROZEN_S = 10.0  # not one of the sampled pixels changed
NEARLY_FROZEN_S = 60.0  # nothing changed but a patch the size of a burnt-in clock
DARK_FROZEN_S = 900.0  # the same where it is dark: a calm night shows little life, the less after a codec
BLURRED_S = 60.0
_WIDTH = 640  # measures are taken on the picture reduced to this width
_STEP = 4  # one sample in so many, each way, is compared between pictures
_DARK_MEAN = 40.0
_BLACK_MEAN, _BLACK_P99 = 14.0, 40.0  # grey levels of 255
_WHITE_LEVEL, _WHITE_SHARE = 250, 0.6
_CHANGE_LEVEL = 3  # grey levels: above what a codec does to a still picture
_CLOCK_SHARE = 0.004  # of the pixels: a clock's digits
_BLUR_RATIO = 0.3
_LEARN_PICTURES = 30
_BASELINE_HALF_LIFE_S = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureState:
    """What is wrong with the picture (empty `fault`: nothing), for people and machines.

    `changed`: share of pixels that differ from an earlier picture. `sharpness`: variance of the Laplacian.
    """

    fault: str  # "", black, overexposed, frozen, blurred
    sentence: str
    mean: float
    white_share: float
    changed: float
    sharpness: float
    baseline: float


@dataclass(slots=True)
class _Since:
    """For how long a condition has held without a break."""

    start_s: float | None = None

    def held_s(self, at_s: float, holds: bool) -> float:
        if not holds:
            self.start_s = None
            return -1.0
        if self.start_s is None:
            self.start_s = at_s
        return at_s - self.start_s


@dataclass(slots=True)
class PictureWatch:
    """Follows one camera's pictures."""

    state: PictureState | None = None
    _last: NDArray[np.uint8] | None = None
    _anchor: NDArray[np.uint8] | None = None
    _anchor_s: float = 0.0
    _last_s: float = 0.0
    _baseline: float = 0.0
    _seen: int = 0
    _dark: _Since = field(default_factory=_Since)
    _bright: _Since = field(default_factory=_Since)
    _still: _Since = field(default_factory=_Since)
    _soft: _Since = field(default_factory=_Since)

    def look(self, image: NDArray[np.uint8], at_s: float) -> PictureState:
        """Judge a BGR picture [H, W, 3] taken at `at_s`."""
        height, width = image.shape[:2]
        scale = min(1.0, _WIDTH / width)
        small = cv2.resize(image, (max(8, round(width * scale)), max(8, round(height * scale))))
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        sample = image[::_STEP, ::_STEP, 1].copy()  # unreduced: reducing would average the noise of life away
        changed, same = self._compare(sample, at_s)
        sharpness = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1].item()) ** 2
        up_to = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256])) / grey.size
        mean, p99 = cv2.mean(grey)[0], float(np.searchsorted(up_to, 0.99))
        white = 1.0 - float(up_to[_WHITE_LEVEL - 1])
        dark_s = self._dark.held_s(at_s, mean < _BLACK_MEAN and p99 < _BLACK_P99)
        bright_s = self._bright.held_s(at_s, white > _WHITE_SHARE)
        still_s = self._still.held_s(at_s, same)
        nearly_s = at_s - self._anchor_s
        soft_s = self._soft.held_s(
            at_s, self._seen >= _LEARN_PICTURES and sharpness < _BLUR_RATIO * self._baseline and dark_s < 0
        )
        fault, sentence = "", ""
        if dark_s >= LASTING_S:
            fault = "black"
            sentence = f"the picture is black (mean {mean:.0f} of 255): lens covered, or night without light"
        elif bright_s >= LASTING_S:
            fault = "overexposed"
            sentence = f"{white:.0%} of the picture is white: sun in the lens, or the exposure is stuck"
        elif still_s >= FROZEN_S:
            fault = "frozen"
            sentence = f"the picture has not changed for {still_s:.0f} s though frames arrive: the camera is frozen"
        elif nearly_s >= (DARK_FROZEN_S if mean < _DARK_MEAN else NEARLY_FROZEN_S):
            fault = "frozen"
            sentence = (
                f"{changed:.2%} of the picture has changed in {nearly_s:.0f} s: frozen but for its clock, or thick fog"
            )
        elif soft_s >= BLURRED_S:
            fault = "blurred"
            share = sharpness / max(self._baseline, 1e-6)
            sentence = f"the picture has {share:.0%} of its usual detail: lens salted, wet or out of focus, or fog"
        if soft_s < 0 and dark_s < 0 and bright_s < 0:
            self._learn(sharpness, at_s)
        self._last_s = at_s
        self._seen += 1
        self.state = PictureState(
            fault=fault,
            sentence=sentence,
            mean=mean,
            white_share=white,
            changed=changed,
            sharpness=sharpness,
            baseline=self._baseline,
        )
        return self.state

    def _compare(self, sample: NDArray[np.uint8], at_s: float) -> tuple[float, bool]:
        """Share of the samples that differ from the anchor picture, and whether none differs from the last one.

        The anchor stays until enough has changed against it, so that a slow drift ends the suspicion too.
        """
        last, anchor = self._last, self._anchor
        self._last = sample
        if last is None or anchor is None or last.shape != sample.shape:
            self._anchor, self._anchor_s = sample, at_s
            return 1.0, False
        changed = float((cv2.absdiff(anchor, sample) > _CHANGE_LEVEL).mean())
        if changed >= _CLOCK_SHARE:
            self._anchor, self._anchor_s = sample, at_s
        return changed, bool(np.array_equal(last, sample))

    def _learn(self, sharpness: float, at_s: float) -> None:
        """The baseline rises within some pictures and forgets over hours: fog must not become the norm soon."""
        if sharpness > self._baseline:
            self._baseline += (sharpness - self._baseline) * (1.0 if self._seen == 0 else 0.1)
        elif self._seen:
            keep = 0.5 ** (max(0.0, at_s - self._last_s) / _BASELINE_HALF_LIFE_S)
            self._baseline = max(sharpness, self._baseline * keep)
