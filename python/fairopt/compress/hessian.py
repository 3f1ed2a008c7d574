"""The Hessians of the squared output error of linear layers, summed while calibration batches stream by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from fairopt.compress.solvers.base import Observer, Statistics
from fairopt.nn.products import inner_products

_ROWS = 4096  # inputs that are gathered before they are multiplied
_COLUMNS = 384  # of the product that are computed together: only what lies on or below the diagonal is


class Hessian:
    """``2 / tokens * sum of x x^T`` over all inputs x of a layer that were added.

    It is a sum of terms: those of several groups of texts, each with a weight of its own, add up to one of these.
    Products of 4096 inputs are fp32; ``dtype`` is that of the sum over them.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._lower: torch.Tensor | None = None  # the sum, of which only what the products fill is used
        self._gathered: torch.Tensor | None = None  # [k, 4096]: each a column
        self._waiting = 0
        self.dtype = dtype
        self.tokens = 0

    def add(self, x: torch.Tensor) -> None:
        """Add the inputs ``x`` [..., k]."""
        rows = x.detach().reshape(-1, x.shape[-1]).float()
        self.tokens += len(rows)
        if self._gathered is None:
            self._gathered = rows.new_empty(rows.shape[1], _ROWS)
        while len(rows):
            free = _ROWS - self._waiting
            here, rows = rows[:free], rows[free:]
            self._gathered[:, self._waiting : self._waiting + len(here)] = here.t()
            self._waiting += len(here)
            if self._waiting == _ROWS:
                self._multiply(self._gathered)

    def _multiply(self, columns: torch.Tensor) -> None:
        self._waiting = 0
        if self._lower is None:
            self._lower = columns.new_zeros(len(columns), len(columns), dtype=self.dtype)
        for start in range(0, len(columns), _COLUMNS):
            end = start + _COLUMNS
            self._lower[start:, start:end] += inner_products(columns[start:], columns[start:end])

    def statistics(self, k: int) -> Statistics:
        """The sum divided by the tokens, fp32 [k, k]; zeros before the first input."""
        if self._gathered is None:
            return Statistics(torch.zeros(k, k), 0)
        if self._waiting:
            self._multiply(self._gathered[:, : self._waiting].contiguous())
        assert self._lower is not None
        mean = (self._lower * (2 / self.tokens)).float().tril_()
        return Statistics(mean + mean.tril(-1).t(), self.tokens)


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
