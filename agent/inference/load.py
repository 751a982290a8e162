"""From a model file to a `Detector`: checksum, MODEL.toml, layout, labels.

Promises:
- a file that is no detector, does not match its checksum, or whose labels do not fit its classes is refused here, in
  one sentence; a `Detector` that was handed out has run once;
- explicit options win over MODEL.toml, it wins over the file's metadata, metadata over recognition.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import cv2
import numpy as np

from agent.errors import ConfigError, UnsupportedError
from agent.inference.boxes import NMS_IOU
from agent.inference.detector import Detector, ModelInfo, feed
from agent.inference.labels import KNOWN, numbered, read_labels, vessels_among
from agent.inference.layouts import LAYOUTS, Layout
from agent.inference.letterbox import InputForm
from agent.inference.recognise import Probe, recognise
from agent.inference.selfcheck import with_input_that_sees
from agent.inference.session import Session
from agent.inference.spec import PRESETS, ModelOptions, from_metadata, over, pixels_of, read_model_toml

if TYPE_CHECKING:
    from agent.inference.letterbox import U8

Dtype = Literal["float32", "float16", "uint8"]
_DTYPES: dict[str, Dtype] = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_PROBE_SIZE = (160, 128)  # for a graph with free height and width: no two row counts of recognise.py are alike here
_SHIPPED = Path(__file__).parent / "models" / "vessels.onnx"
_FOREIGN_SCORE = 0.3  # where a model comes without a score of its own


def default_model_path() -> Path:
    """The model that Vigía ships."""
    return _SHIPPED


def load_detector(
    path: Path | str | None = None,
    *,
    options: ModelOptions | None = None,
    threads: int = 1,
    providers: tuple[str, ...] = ("cpu",),
) -> Detector:
    """Load a model with its MODEL.toml; `options` win over that. None: the shipped model.

    Raises:
        ConfigError: no such file, a bad MODEL.toml, a checksum or labels that do not fit.
        InputError: not a readable ONNX model.
        UnsupportedError: readable, but not a detector that is known.

    """
    model = Path(path) if path is not None else default_model_path()
    session = Session(model, threads=threads, providers=providers)
    with session.giving_back():
        return _detector(model, session, options or ModelOptions())


def _detector(model: Path, session: Session, options: ModelOptions) -> Detector:
    beside, toml = read_model_toml(model)

    def where(key: str) -> str:
        """What to correct when `key` is wrong."""
        if getattr(options, key) is not None:
            return f"The given {key}"
        return str(toml or model)

    try:
        said = from_metadata(session.metadata)
    except UnsupportedError as e:
        raise UnsupportedError(f"{model}: {e}") from e
    wanted = over(options, over(beside, said))
    digest = _checked_digest(model, wanted.sha256, where("sha256"))
    given = _given_labels(wanted, model)
    form, size = _input_form(session, wanted)
    sea = blank_sea()
    probe = _probe(session, form, size, given, sea)
    name = _layout_name(wanted.layout, probe, where("layout"))
    layout = LAYOUTS[name]
    labels = _fitting_labels(given, layout, probe, where("labels"))
    info = ModelInfo(
        path=model,
        sha256=digest,
        layout=name,
        labels=labels,
        vessel_labels=_vessel_labels(wanted.vessel_labels, labels, where("vessel_labels")),
        size=size,
        form=InputForm(
            pixels=pixels_of(wanted, layout.pixels),
            fit=wanted.fit or layout.fit,
            pad=layout.pad if wanted.pad is None else wanted.pad,
            dtype=form.dtype,
            nhwc=form.nhwc,
        ),
        min_score=_FOREIGN_SCORE if wanted.min_score is None else wanted.min_score,
        providers=session.providers,
        class_scores=_class_scores(wanted.class_scores, labels, where("class_scores")),
        sentence=session.sentence,
    )
    detector = Detector(info, session, nms_iou=wanted.nms_iou or NMS_IOU)
    try:
        detector.find(sea, min_score=0.5, size=_PROBE_SIZE)
    except (ValueError, IndexError, StopIteration) as e:  # NumPy's words for shapes that do not fit
        raise UnsupportedError(f"{model}: its outputs are not those of layout {name!r}; correct `layout`.") from e
    said_nothing = (wanted.input, wanted.order, wanted.scale, wanted.mean, wanted.std) == (None,) * 5
    return with_input_that_sees(detector, session, wanted.nms_iou or NMS_IOU) if said_nothing else detector


def blank_sea() -> U8:
    """A drawn sea under sky [480, 640, 3] with fixed noise: what a model is probed with."""
    rows = np.concatenate([np.linspace(210, 170, 240), np.linspace(110, 70, 240)])
    picture = np.repeat(np.repeat(rows[:, None, None], 640, axis=1), 3, axis=2) * np.array([1.0, 0.95, 0.85])
    cv2.setRNGSeed(1)  # OpenCV's, which is loaded anyway: NumPy's generators are 2 MB of code for this alone
    noise = cv2.randn(np.empty(picture.shape), np.zeros(3), np.full(3, 4.0))
    sea: U8 = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return sea


def _checked_digest(model: Path, wanted: str | None, where: str) -> str:
    with model.open("rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    if wanted is not None and digest != wanted.lower():
        raise ConfigError(
            f"{where}: sha256 is {wanted[:12].lower()}..., but {model} has {digest[:12]}...; copy the model again or "
            "correct sha256."
        )
    return digest


def _given_labels(wanted: ModelOptions, model: Path) -> tuple[str, ...] | None:
    if wanted.labels is None or isinstance(wanted.labels, tuple):
        return wanted.labels
    return read_labels(wanted.labels, model.parent)


def _input_form(session: Session, wanted: ModelOptions) -> tuple[InputForm, tuple[int, int] | None]:
    """Tensor type and layout as the graph has them, and its size (None: free); options must agree with it."""
    path = session.path
    pictures = [i for i in session.inputs if len(i[1]) == 4]
    others = [i for i in session.inputs if len(i[1]) != 4]
    known = all(kind == "tensor(int64)" and (len(s) == 3 or s[-1] == 2) for _, s, kind in others)
    if len(pictures) != 1 or not known:
        seen = ", ".join(f"{n} {list(s)}" for n, s, _ in session.inputs)
        raise UnsupportedError(f"{path}: not a detector that Vigía can read: it wants {seen}, not one picture.")
    name, shape, kind = pictures[0]
    if kind not in _DTYPES:
        raise UnsupportedError(f"{path}: input {name!r} is {kind}; Vigía feeds float32, float16 or uint8.")
    dtype = _DTYPES[kind]
    nhwc = shape[3] == 3 and shape[1] != 3
    channels = shape[3] if nhwc else shape[1]
    if any(isinstance(fixed, int) and fixed != right for fixed, right in ((shape[0], 1), (channels, 3))):
        raise UnsupportedError(f"{path}: input {name!r} is {list(shape)}; Vigía feeds one picture of three channels.")
    for key, said, graph in (("dtype", wanted.dtype, dtype), ("nhwc", wanted.nhwc, nhwc)):
        if said is not None and said != graph:
            raise ConfigError(
                f"{path}: {key} is given as {said}, but the graph says {graph}; correct {key} or leave it out."
            )
    height, width = (shape[1], shape[2]) if nhwc else (shape[2], shape[3])
    free = not (isinstance(height, int) and isinstance(width, int))
    form = InputForm(pixels=PRESETS["rgb01"], fit="stretch", pad=0, dtype=dtype, nhwc=nhwc)
    return form, None if free else (cast("int", width), cast("int", height))


def _probe(
    session: Session, form: InputForm, size: tuple[int, int] | None, given: tuple[str, ...] | None, sea: U8
) -> Probe:
    width, height = size or _PROBE_SIZE
    canvas = cv2.resize(sea, (width, height))
    return Probe(
        path=str(session.path),
        width=width,
        height=height,
        names=tuple(name for name, _, _ in session.outputs),
        outputs=session.run(feed(session, np.asarray(canvas, dtype=np.uint8), form)),
        classes=None if given is None else len(given),
    )


def _layout_name(said: str | None, probe: Probe, where: str) -> str:
    if said is None:
        return recognise(probe)
    if said not in LAYOUTS:
        raise ConfigError(f"{where}: layout {said!r} is unknown; known are {', '.join(LAYOUTS)}.")
    return said


def _fitting_labels(given: tuple[str, ...] | None, layout: Layout, probe: Probe, where: str) -> tuple[str, ...]:
    """Labels as given, of the right number; COCO or plain numbers where nobody gave any."""
    if layout.classes is None:
        return given if given is not None else KNOWN.get(layout.labels or "", ())
    try:
        count = layout.classes(probe.shapes)
    except IndexError as e:
        raise UnsupportedError(f"{probe.path}: its outputs do not fit the named layout; correct `layout`.") from e
    if given is None:
        return numbered(count)
    if not count - layout.spare <= len(given) <= count:
        raise ConfigError(f"{where}: {len(given)} labels for a model of {count} classes; correct labels.")
    return given


def _vessel_labels(said: tuple[str, ...] | None, labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    if said is None:
        return vessels_among(labels)
    for label in said:
        if label not in labels:
            raise ConfigError(f"{where}: vessel_labels names {label!r}, which is not among the model's labels.")
    return said


def _class_scores(said: dict[str, float] | None, labels: tuple[str, ...], where: str) -> tuple[tuple[str, float], ...]:
    for label in said or {}:
        if label not in labels:
            raise ConfigError(f"{where}: class_scores names {label!r}, which is not among the model's labels.")
    return tuple((said or {}).items())
