"""One ONNX Runtime session: opened with the settings of a small box, with plain sentences for what goes wrong.

Promises:
- threads are set explicitly and do not spin while idle (on a box, spinning costs more than the inference itself);
- providers are tried in the order of preference; what really runs stands in `providers`, and `sentence` says why a
  wanted one does not;
- a missing, damaged or foreign file is one `InputError` or `ConfigError`, never a traceback of the runtime.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped] # it ships no type information
from onnxruntime.capi import (  # type: ignore[import-untyped] # it ships no type information
    onnxruntime_pybind11_state as ort_errors,
)

from agent.errors import ConfigError, InputError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "rknpu": "RknpuExecutionProvider",
    "acl": "ACLExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}
_SHRINK = "memory.enable_memory_arena_shrinkage"
_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
    ValueError,
)


class Session:
    """A loaded graph. `inputs` and `outputs` are (name, shape, type) with None or a name for a free dimension."""

    def __init__(self, path: Path, *, threads: int = 1, providers: tuple[str, ...] = ("cpu",)) -> None:
        """Load `path`.

        Raises:
            ConfigError: the file is not there, or a provider is unknown.
            InputError: it is not an ONNX model, or a damaged one.

        """
        if not path.is_file():
            raise ConfigError(f"{path}: no such model file; name an .onnx file.")
        wanted = _wanted(providers)
        self.path = path
        self.providers: tuple[str, ...] = ()
        self.sentence = ""
        self._options = ort.RunOptions()
        self._session = self._open(wanted, threads)
        self.inputs = [(i.name, tuple(i.shape), str(i.type)) for i in self._session.get_inputs()]
        self.outputs = [(o.name, tuple(o.shape), str(o.type)) for o in self._session.get_outputs()]
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def _open(self, wanted: list[str], threads: int) -> ort.InferenceSession:
        there = [p for p in wanted if p in ort.get_available_providers()]
        lacking = [p for p in wanted if p not in there]
        try:
            session = ort.InferenceSession(str(self.path), _session_options(threads), providers=there)
        except _ERRORS as e:
            if there == [PROVIDERS["cpu"]]:
                raise self._broken(e) from e
            lacking += there[:-1]
            try:
                session = ort.InferenceSession(str(self.path), _session_options(threads), providers=[PROVIDERS["cpu"]])
            except _ERRORS as e2:
                raise self._broken(e2) from e2
        self.providers = tuple(session.get_providers())
        lacking += [p for p in there if p not in self.providers and p not in lacking]
        if lacking:
            self.sentence = f"{', '.join(lacking)} cannot be used here; running on {self.providers[0]}."
        return session

    def _broken(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:160]
        return InputError(f"{self.path}: not a readable ONNX model ({reason}); copy the file again or export it anew.")

    @contextmanager
    def giving_back(self) -> Iterator[None]:
        """Runs in here leave no memory behind, at a fifth more time.

        For those of a size that does not come again: the runtime keeps pieces that fit it, and takes others for the
        next size.
        """
        self._options.add_run_config_entry(_SHRINK, "cpu:0")
        try:
            yield
        finally:
            self._options = ort.RunOptions()

    def run(self, feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs, in the graph's order.

        Raises:
            UnsupportedError: the graph fails on this input.

        """
        try:
            return [np.asarray(o) for o in self._session.run(None, feed, self._options)]
        except _ERRORS as e:
            reason = " ".join(str(e).split())[:200]
            shapes = ", ".join(f"{n} {list(v.shape)}" for n, v in feed.items())
            raise UnsupportedError(f"{self.path}: the model fails on input {shapes} ({reason}).") from e


def _wanted(providers: tuple[str, ...]) -> list[str]:
    names = [PROVIDERS.get(p, p) for p in providers]
    unknown = [p for p in names if p not in PROVIDERS.values()]
    if unknown:
        raise ConfigError(f"Inference provider {unknown[0]!r} is unknown; known are {', '.join(PROVIDERS)}.")
    return [*(p for p in names if p != PROVIDERS["cpu"]), PROVIDERS["cpu"]]


def _session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = max(1, min(threads, os.cpu_count() or 1))
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # it keeps a plan and a block per input shape: 10 MB for a camera's two views
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # what matters comes back as an exception
    return options
