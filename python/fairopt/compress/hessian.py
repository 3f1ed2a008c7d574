"""The Hessians of the squared output error of linear layers, summed while calibration batches stream by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from fairopt.compress.solvers.base import Observer, Statistics


class Hessian:
    """``2 / tokens * sum of x x^T`` over all inputs x of a layer that were added.

    It is a sum of terms: those of several groups of texts, each with a weight of its own, add up to one of these.
    Products are fp32; ``dtype`` is that of the sum over batches.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._sum: torch.Tensor | None = None
        self.dtype = dtype
        self.tokens = 0

    def add(self, x: torch.Tensor) -> None:
        """Add the inputs ``x`` [..., k]."""
        rows = x.detach().reshape(-1, x.shape[-1]).float()
        if self._sum is None:
            self._sum = rows.new_zeros(rows.shape[1], rows.shape[1], dtype=self.dtype)
        self.tokens += len(rows)
        if self.dtype == torch.float32:
            self._sum.addmm_(rows.t(), rows)
        else:
            self._sum += rows.t() @ rows

    def statistics(self, k: int) -> Statistics:
        """The sum divided by the tokens, fp32 [k, k]; zeros before the first input."""
        if self._sum is None:
            return Statistics(torch.zeros(k, k), 0)
        return Statistics((self._sum * (2 / self.tokens)).float(), self.tokens)


def layer_hessians(run: Callable[[Observer], None], dtypes: Mapping[str, torch.dtype]) -> dict[str, Hessian]:
    """Layer name -> Hessian over all batches; layers that are always given the same inputs share one.

    ``run`` shows an observer what goes into these layers of a block; it is called a second time where they do not.
    """
    shared = _SharedHessians(dtypes)
    run(shared.add)
    if shared.agree():
        return shared.hessians
    apart = {name: Hessian(dtype) for name, dtype in dtypes.items()}
    run(lambda name, x: apart[name].add(x))
    return apart


class _SharedHessians:
    """Sums once what several layers in a row are given: queries, keys and values, or the gate and the way up."""

    def __init__(self, dtypes: Mapping[str, torch.dtype]) -> None:
        self.hessians: dict[str, Hessian] = {}
        self._dtypes = dtypes
        self._tokens = dict.fromkeys(dtypes, 0)
        self._last: tuple[torch.Tensor, Hessian] | None = None

    def add(self, name: str, x: torch.Tensor) -> None:
        self._tokens[name] += x.numel() // max(1, x.shape[-1])
        own = self.hessians.get(name)
        if self._last is not None and same_tensor(self._last[0], x):
            last = self._last[1]
            if own is last or (own is None and last.dtype == self._dtypes[name]):
                self.hessians[name] = last
                return
        if own is None:
            own = self.hessians[name] = Hessian(self._dtypes[name])
        own.add(x)
        self._last = x, own

    def agree(self) -> bool:
        """Whether every layer was given just what its Hessian has summed."""
        for name in self._tokens:
            self.hessians.setdefault(name, Hessian(self._dtypes[name]))
        return all(self.hessians[name].tokens == count for name, count in self._tokens.items())


def same_tensor(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are the same view of the same memory."""
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride()
