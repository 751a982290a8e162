"""Muon: steps whose parts all have the same length (Jordan et al., "Muon: an optimizer for hidden layers", 2024).

Promises:
- a kernel's momentum is made nearly orthogonal, as a matrix of output channels against everything else, and scaled so
  that its root mean square is what Adam's would be: rate and decay mean what they mean there;
- what is no kernel (biases, norms) and the last layer of each head, whose rows mean different things, is AdamW's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

MOMENTUM = 0.95
DECAY = 0.02
ADAM_RMS = 0.2
LIGHT_SHARE = 0.75  # of the rate, for what AdamW moves
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """For kernels of two and more dimensions."""

    def __init__(self, kernels: Iterable[Tensor], lr: float) -> None:
        super().__init__(kernels, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002  # torch's signature; no closure is ever given
        """One step of every kernel that has a gradient."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._move(kernel, group["lr"])

    def _move(self, kernel: Tensor, rate: float) -> None:
        state: dict[str, Any] = self.state[kernel]
        momentum = state.setdefault("momentum", torch.zeros_like(kernel.grad))
        momentum.lerp_(kernel.grad, 1 - MOMENTUM)
        way = orthogonal(torch.lerp(kernel.grad, momentum, MOMENTUM).reshape(len(kernel), -1))
        kernel.mul_(1 - rate * DECAY).add_(way.reshape(kernel.shape), alpha=-rate * ADAM_RMS * max(way.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with all singular values brought near 1 (within about 0.3), by Newton-Schulz."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(_ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def optimisers_of(model: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the kernels, AdamW for the rest."""
    last = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d) and m.bias is not None}
    kernels = [p for p in model.parameters() if p.ndim > 1 and id(p) not in last]
    light = [p for p in model.parameters() if p.ndim <= 1 or id(p) in last]
    return [Muon(kernels, rate), torch.optim.AdamW(light, lr=rate * LIGHT_SHARE, weight_decay=0.0)]
