"""L2 norms of the inputs of linear layers, summed while calibration batches stream by: no Hessian where they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from fairopt.compress.blocks import BATCH_TOKENS, evaluating, run_on_tokens
from fairopt.compress.calibration import Calibration
from fairopt.compress.hessian import same_tensor
from fairopt.compress.solvers.base import BlockTask, Statistics


class Norms:
    """``sqrt(sum of x_j^2)`` over all inputs x that each layer was given: squares in fp32, sums in float64."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._tokens: dict[str, int] = {}
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, name: str, x: torch.Tensor) -> None:
        """Add the inputs ``x`` [..., k] of the layer ``name``; of several in a row that are given the same, once."""
        if self._last is None or not same_tensor(self._last[0], x):
            # Each column is one contiguous row of the sum, so that its order does not depend on the threads.
            columns = x.detach().reshape(-1, x.shape[-1]).float().t().contiguous()
            self._last = x, columns.square_().sum(1, dtype=torch.float64)
        self._sums[name] = self._sums.get(name, 0) + self._last[1]
        self._tokens[name] = self._tokens.get(name, 0) + x.numel() // max(1, x.shape[-1])

    def statistics(self, name: str, k: int) -> Statistics:
        """The norms [k] of one layer; zeros before its first input."""
        norms = self._sums[name].sqrt().float() if name in self._sums else torch.zeros(k)
        return Statistics(None, self._tokens.get(name, 0), norms=norms)


def layer_norms(task: BlockTask, names: Iterable[str]) -> Norms:
    """The norms of what goes into these layers of a block."""
    norms, task = Norms(), task.only(names)
    if task.chains:
        task.observe(norms.add)
    return norms


@torch.no_grad()
def model_norms(model: nn.Module, names: Iterable[str], calibration: Calibration) -> Norms:
    """The norms of what goes into these layers of a whole model as it is, in evaluation mode."""
    norms = Norms()

    def hook(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        return lambda module, inputs: norms.add(name, inputs[0])

    handles = [model.get_submodule(name).register_forward_pre_hook(hook(name)) for name in names]
    try:
        with evaluating(model):
            for ids in calibration.batches(BATCH_TOKENS):
                run_on_tokens(model, ids)
    finally:
        for handle in handles:
            handle.remove()
    return norms
