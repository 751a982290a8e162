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
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agent.errors import ConfigError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Fit = Literal["topleft", "centre", "stretch"]
Order = Literal["rgb", "bgr"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Numbers = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]


class ModelOptions(BaseModel):
    """The keys of MODEL.toml, all optional. `input` is a preset of pixel values.

    `labels`: `coco80`, `coco91`, a list of names, or a text file beside the model. `vessel_labels`: those that mean a
    vessel. `pad`: grey value around a letterboxed picture. `sha256`: of the .onnx file. `min_score`: from here on a box
    is worth showing; `class_scores`: the same for single labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: str | None = None
    input: Literal["rgb01", "rgb255", "bgr01", "bgr255", "imagenet"] | None = None
    order: Order | None = None
    scale: float | None = None
    mean: Numbers | None = None
    std: Numbers | None = None
    dtype: Literal["float32", "float16", "uint8"] | None = None
    nhwc: bool | None = None
    fit: Fit | None = None
    pad: Annotated[int, Field(ge=0, le=255)] | None = None
    labels: str | tuple[str, ...] | None = None
    vessel_labels: tuple[str, ...] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    min_score: Share | None = None
    class_scores: dict[str, Share] | None = None
    nms_iou: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None

    @field_validator("std")
    @classmethod
    def _not_zero(cls, v: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if v is not None and not all(v):
            raise ValueError("std divides: it cannot be 0")
        return v


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
    below = second.model_dump(exclude_none=True)
    above = first.model_dump(exclude_none=True)
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
        return ModelOptions(**tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(f"{path}: not readable as TOML ({e}).") from e
    except ValidationError as e:
        first = e.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "?"
        line = next((n for n, s in enumerate(text.splitlines(), 1) if s.split("=")[0].strip() == key), 1)
        keys = ", ".join(ModelOptions.model_fields)
        what = f"unknown key; known are {keys}" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigError(f"{path}:{line}: {key}: {what}.") from e


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
        keys[key] = tuple(value.split("/")) if key in {"mean", "std"} else value
    return keys
