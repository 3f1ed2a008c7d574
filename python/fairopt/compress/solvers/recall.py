"""Running a block again where only some of its layers have changed: what comes before them is remembered."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fairopt.compress.solvers.base import BlockCall


class Recall:
    """Calls of a block whose ``changing`` layers have other weights each time; all else is as in the first call.

    Modules with parameters that are done before the first of those layers begins return what they returned then. Such a
    module must run once in a call of the block.
    """

    def __init__(self, block: nn.Module, changing: Collection[str]) -> None:
        self._block = block
        self._changing = changing
        self._outputs: dict[int, dict[str, Any]] = {}  # by the call: module -> what it returned

    def __call__(self, index: int, call: BlockCall) -> torch.Tensor:
        """What the block makes of the call, which is always the same one for ``index``."""
        if index in self._outputs:
            with self._returning(self._outputs[index]):
                return call(self._block)
        with self._noting(self._outputs.setdefault(index, {})):
            return call(self._block)

    @contextmanager
    def _noting(self, outputs: dict[str, Any]) -> Iterator[None]:
        begun = False

        def begin(*_: object) -> None:
            nonlocal begun
            begun = True

        def note(name: str, output: Any) -> None:
            if not begun:
                for inner in [known for known in outputs if known.startswith(f"{name}.")]:
                    del outputs[inner]
                outputs[name] = output

        handles = [self._block.get_submodule(name).register_forward_pre_hook(begin) for name in self._changing]
        for name, module in self._block.named_modules():
            if name and any(True for _ in module.parameters()):
                handles.append(module.register_forward_hook(lambda _m, _x, y, name=name: note(name, y)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _returning(self, outputs: dict[str, Any]) -> Iterator[None]:
        modules = {name: self._block.get_submodule(name) for name in outputs}
        try:
            for name, module in modules.items():
                module.forward = lambda *_, name=name, **__: outputs[name]
            yield
        finally:
            for module in modules.values():
                del module.forward
