"""Modules whose buffers are codes: they may move, but whatever the module is cast to, their types stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class TypedBuffers(nn.Module):
    """A module whose buffers keep their types.

    ``.to(bfloat16)``, ``.half()`` and ``.type()`` reach every tensor of a module through ``_apply``. Codes have no
    other type, and scales are part of the code: rounding them would change the weights.
    """

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            after = self._buffers[name]
            if buffer is not None and after is not None and after.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(after.device)
        return self
