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
        """One step of every kernel; all must have a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for kernel in group["params"]:
                alike.setdefault(kernel.shape, []).append(kernel)
            for kernels in alike.values():
                self._move(kernels, group["lr"])

    def _move(self, kernels: list[Tensor], rate: float) -> None:
        """Kernels of one shape, moved together: on a GPU starting an operation costs more than doing it."""
        grads = torch.stack([kernel.grad.reshape(len(kernel), -1) for kernel in kernels if kernel.grad is not None])
        state: dict[str, Any] = self.state[kernels[0]]
        momentum = state.setdefault("momentum", torch.zeros_like(grads))
        momentum.lerp_(grads, 1 - MOMENTUM)
        ways = orthogonal(torch.lerp(grads, momentum, MOMENTUM)) * (ADAM_RMS * max(grads.shape[1:]) ** 0.5)
        for kernel, way in zip(kernels, ways, strict=True):
            kernel.mul_(1 - rate * DECAY).sub_(way.reshape(kernel.shape), alpha=rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """The matrices (n, rows, columns) with all singular values brought near 1 (within about 0.3), by Newton-Schulz."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def optimisers_of(model: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the kernels, AdamW for the rest."""
    last = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d) and m.bias is not None}
    kernels = [p for p in model.parameters() if p.ndim > 1 and id(p) not in last]
    light = [p for p in model.parameters() if p.ndim <= 1 or id(p) in last]
    return [Muon(kernels, rate), torch.optim.AdamW(light, lr=rate * LIGHT_SHARE, weight_decay=0.0)]
