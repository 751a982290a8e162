"""What a model needs to know beyond its graph: MODEL.toml, explicit options, and how they are put together.

Promises:
- explicit options win over MODEL.toml, it wins over the file's metadata, metadata over recognition;
- an unknown key or a value that makes no sense is a `ConfigError` naming file, line and key;
- a pixel becomes (value * scale - mean) / std, per channel in the order that the model reads;
- explicit `order`, `scale`, `mean`, `std` refine a preset; without a preset they stand alone (scale 1, mean 0, std 1).

MODEL.toml stands beside the model under its name (`boats.toml` beside `boats.onnx`) or as `MODEL.toml` in its folder.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agent.errors import ConfigError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

Fit = Literal["topleft", "centre", "stretch"]
Order = Literal["rgb", "bgr"]
Dtype = Literal["float32", "float16", "uint8"]


class BadOptionError(ValueError):
    """A value that makes no sense: `key`, and what it has to be."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(f"{key}: {sentence}")
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """The keys of MODEL.toml, all optional; from outside they come through `checked`. `input`: a preset of values.

    `labels`: `coco80`, `coco91`, a list of names, or a text file beside the model. `vessel_labels`: those that mean a
    vessel. `pad`: grey value around a letterboxed picture. `sha256`: of the .onnx file. `min_score`: from here on a box
    is worth showing; `class_scores`: the same for single labels.
    """

    layout: str | None = None
    input: str | None = None
    order: Order | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    dtype: Dtype | None = None
    nhwc: bool | None = None
    fit: Fit | None = None
    pad: int | None = None
    labels: str | tuple[str, ...] | None = None
    vessel_labels: tuple[str, ...] | None = None
    sha256: str | None = None
    min_score: float | None = None
    class_scores: dict[str, float] | None = None
    nms_iou: float | None = None

    @property
    def said(self) -> dict[str, Any]:
        """What is given, by its key."""
        values = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {key: value for key, value in values if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """How a picture's values enter the model: channel order, then (value * scale - mean) / std."""

    order: Order
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


PRESETS: Mapping[str, Pixels] = {
    "rgb01": Pixels(order="rgb", scale=1 / 255),
    "rgb255": Pixels(order="rgb"),
    "bgr01": Pixels(order="bgr", scale=1 / 255),
    "bgr255": Pixels(order="bgr"),
    "imagenet": Pixels(order="rgb", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}


def pixels_of(options: ModelOptions, default: Pixels) -> Pixels:
    """The preset refined by the explicit keys, or these alone (what is left out does nothing), or `default`."""
    explicit = (options.order, options.scale, options.mean, options.std) != (None, None, None, None)
    base = PRESETS[options.input] if options.input else Pixels(order=default.order) if explicit else default
    return Pixels(
        order=options.order or base.order,
        scale=base.scale if options.scale is None else options.scale,
        mean=base.mean if options.mean is None else options.mean,
        std=base.std if options.std is None else options.std,
    )


def over(first: ModelOptions, second: ModelOptions) -> ModelOptions:
    """`first` where it says something, else `second`. A preset in `first` also drops the explicit input of `second`."""
    below, above = second.said, first.said
    if "input" in above:
        for key in ("order", "scale", "mean", "std"):
            below.pop(key, None)
    return ModelOptions(**{**below, **above})


def read_model_toml(model: Path) -> tuple[ModelOptions, Path | None]:
    """Options from the MODEL.toml of `model`, and its path; empty options where there is none.

    Raises:
        ConfigError: not TOML, an unknown key, a value out of range.

    """
    for path in (model.with_suffix(".toml"), model.with_name("MODEL.toml")):
        if path.is_file():
            return _parse(path), path
    return ModelOptions(), None


def _parse(path: Path) -> ModelOptions:
    try:
        text = path.read_text(encoding="utf-8")
        return checked(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(f"{path}: not readable as TOML ({e}).") from e
    except BadOptionError as e:
        line = next((n for n, s in enumerate(text.splitlines(), 1) if s.split("=")[0].strip() == e.key), 1)
        raise ConfigError(f"{path}:{line}: {e}.") from e


def checked(given: Mapping[str, Any]) -> ModelOptions:
    """Options from values as TOML or a command line gives them.

    Raises:
        BadOptionError: an unknown key, or a value of the wrong kind or out of range.

    """
    for key in given:
        if key not in _CHECKS:
            raise BadOptionError(key, f"unknown key; known are {', '.join(_CHECKS)}")
    values = {}
    for key, value in given.items():
        try:
            values[key] = _CHECKS[key](value)
        except ValueError as e:
            raise BadOptionError(key, f"{e}, not {value!r}") from e
    return ModelOptions(**values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("has to be a text")  # noqa: TRY004 - a wrong value like all others here
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise ValueError("has to be a list of texts")
    return tuple(value)


def _one_of(known: Collection[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in known:
            raise ValueError(f"has to be one of {', '.join(known)}")
        return str(value)

    return check


def _number(value: Any, *, low: float = -math.inf, high: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("has to be a number")
    if not low <= value <= high:
        raise ValueError(f"has to be from {low:g} to {high:g}")
    return float(value)


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 3:
        raise ValueError("has to be a list of one to three numbers")
    return tuple(_number(v) for v in value)


def _divisors(value: Any) -> tuple[float, ...]:
    numbers = _numbers(value)
    if not all(numbers):
        raise ValueError("divides: it cannot be 0")
    return numbers


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("has to be true or false")  # noqa: TRY004 - as above
    return value


def _grey(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise ValueError("has to be a whole number from 0 to 255")
    return value


def _share(value: Any) -> float:
    return _number(value, low=0.0, high=1.0)


def _shares(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError("has to be a table of labels with their scores")  # noqa: TRY004 - as above
    return {_text(label): _share(score) for label, score in value.items()}


def _inner_share(value: Any) -> float:
    if not 0.0 < (number := _number(value)) < 1.0:
        raise ValueError("has to be more than 0 and less than 1")
    return number


def _digest(value: Any) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", _text(value)):
        raise ValueError("has to be 64 hex digits")
    return str(value)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "layout": _text,
    "input": _one_of(PRESETS),
    "order": _one_of(("rgb", "bgr")),
    "scale": _number,
    "mean": _numbers,
    "std": _divisors,
    "dtype": _one_of(("float32", "float16", "uint8")),
    "nhwc": _flag,
    "fit": _one_of(("topleft", "centre", "stretch")),
    "pad": _grey,
    "labels": lambda value: value if isinstance(value, str) else _texts(value),
    "vessel_labels": _texts,
    "sha256": _digest,
    "min_score": _share,
    "class_scores": _shares,
    "nms_iou": _inner_share,
}


def from_metadata(metadata: Mapping[str, str]) -> ModelOptions:
    """What the metadata of an Ultralytics export says (`names`, `end2end`); other files say nothing known.

    Raises:
        UnsupportedError: it says that the model is made for something else than boxes.

    """
    task = metadata.get("task", "detect")
    if task != "detect":
        raise UnsupportedError(f"its metadata says that it is made to {task}, not to detect: export a detector.")
    if "names" not in metadata:
        return ModelOptions()
    try:
        names: Any = ast.literal_eval(metadata["names"])
    except (ValueError, SyntaxError):
        return ModelOptions()
    values = list(names.values()) if isinstance(names, dict) else list(names)
    # `stride` tells the exporter; its nets read RGB 0..1 in a centred letterbox, others that carry names need not
    said: dict[str, Any] = {"labels": tuple(map(str, values))}
    if "stride" in metadata:
        said |= {"input": "rgb01", "fit": "centre", "pad": 114}
    if metadata.get("end2end", "").lower() == "true":
        said["layout"] = "end2end"
    return ModelOptions(**said)


def parse_input(text: str) -> dict[str, Any]:
    """`--input`: a preset, or explicit keys such as `order=bgr,mean=103.53/116.28/123.675,std=57.4/57.1/58.4`.

    Raises:
        UsageError: neither.

    """
    if text in PRESETS:
        return {"input": text}
    known = {"order", "scale", "mean", "std", "dtype", "nhwc"}
    keys: dict[str, Any] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in known or not value:
            raise UsageError(
                f"--input {text}: give one of {', '.join(PRESETS)}, or keys out of {', '.join(sorted(known))} "
                "such as order=bgr,scale=0.00392."
            )
        keys[key] = _typed(key, value)
    return keys


def _typed(key: str, value: str) -> Any:
    """A value of the command line as TOML would have given it; what cannot be one is left to `checked`."""
    try:
        if key in {"mean", "std"}:
            return tuple(float(v) for v in value.split("/"))
        return float(value) if key == "scale" else {"true": True, "false": False}.get(value.lower(), value)
    except ValueError:
        return value
