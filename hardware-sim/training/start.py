"""Where a run starts when not from nothing: a checkpoint, or the weights of an exported model.

Promises:
- a checkpoint is loaded as it is;
- an exported model gives back what it was exported from: its folded batch norms are opened again so that the network
  gives the model's outputs, in evaluation to rounding and in training on average (over the pictures given);
- the row for ROCK, which no exported file has, says nothing yet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from training.network import LOGITS, PRIOR, TAUGHT_LOGITS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from training.network import Detector

Weights = tuple[Tensor, Tensor]


def load_start(model: Detector, path: Path, pictures: Iterable[Tensor]) -> None:
    """Fill `model` from `path` (.pt or .onnx); `pictures` (B, 3, H, W) uint8 give batch norms their statistics."""
    if path.suffix != ".onnx":
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return
    weights = _convolutions(path)
    order: list[nn.Conv2d] = []
    hooks = [m.register_forward_hook(lambda m, _i, _o: order.append(m)) for m in model.modules() if _is_conv(m)]
    model.eval()
    with torch.no_grad():
        _exported_order(model)
    for hook in hooks:
        hook.remove()
    norms = {sequence[0]: sequence[1] for sequence in model.modules() if _is_folded(sequence)}
    if len(order) != len(weights) or not all(_fits(a, k) for a, (k, _) in zip(order, weights, strict=True)):
        raise ValueError(f"{path}: its {len(weights)} convolutions are another network's")
    with torch.no_grad():
        for layer, weight in zip(order, weights, strict=True):
            _fill(layer, *weight, norms.get(layer))
        _open_norms(model, norms, pictures)


def _fits(layer: nn.Conv2d, kernel: Tensor) -> bool:
    """Whether a file's kernel belongs to this layer, its row for rocks perhaps missing."""
    rows = {TAUGHT_LOGITS, LOGITS} if layer.out_channels == TAUGHT_LOGITS else {layer.out_channels}
    return kernel.shape[1:] == layer.weight.shape[1:] and len(kernel) in rows


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d)


def _is_folded(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and len(module) == 3 and isinstance(module[1], nn.BatchNorm2d)


def _exported_order(model: Detector) -> None:
    """Run the convolutions in the order in which `Exported` does."""
    for head, level in zip(model.heads, model.levels(torch.zeros(1, 3, 64, 64)), strict=True):
        head(level)


def _convolutions(path: Path) -> list[Weights]:
    graph = onnx.load(str(path)).graph
    values = {i.name: torch.from_numpy(np.array(onnx.numpy_helper.to_array(i))) for i in graph.initializer}
    return [(values[n.input[1]], values[n.input[2]]) for n in graph.node if n.op_type == "Conv"]


def _fill(layer: nn.Conv2d, kernel: Tensor, bias: Tensor, norm: nn.BatchNorm2d | None) -> None:
    if norm is not None:
        layer.weight.copy_(kernel)
        norm.bias.copy_(bias)
        norm.weight.fill_((1 + norm.eps) ** 0.5)
        return
    if len(kernel) != layer.out_channels:
        kernel = torch.cat((kernel, torch.zeros_like(kernel[:1])))
        bias = torch.cat((bias, torch.full((1,), -math.log((1 - PRIOR) / PRIOR))))
    layer.load_state_dict({"weight": kernel, "bias": bias})


def _open_norms(model: Detector, norms: dict[nn.Module, nn.BatchNorm2d], pictures: Iterable[Tensor]) -> None:
    """Give every batch norm the mean and variance of what reaches it, and gain and offset that undo them."""
    sums = {norm: [torch.zeros(norm.num_features, dtype=torch.float64) for _ in range(2)] for norm in norms.values()}
    counts = dict.fromkeys(norms.values(), 0)

    def watch(module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        x = inputs[0].double().transpose(0, 1).flatten(1)
        sums[module][0] += x.sum(1)
        sums[module][1] += x.square().sum(1)
        counts[module] += x.shape[1]

    hooks = [norm.register_forward_hook(watch) for norm in norms.values()]
    for picture in pictures:
        model(picture.float() / 255)
    for hook in hooks:
        hook.remove()
    for norm, (total, squares) in sums.items():
        mean = total / counts[norm]
        variance = (squares / counts[norm] - mean.square()).clamp(min=0)
        norm.bias.copy_(norm.bias + mean)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
