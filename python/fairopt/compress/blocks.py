"""The decoder blocks of a model, and how a model calls each of them on calibration sequences."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
from torch import nn

from fairopt.compress.calibration import Calibration
from fairopt.errors import InputError
from fairopt.nn.products import arithmetic

BATCH_TOKENS = 1024  # run at once: enough to fill matrix products, few enough that memory for them is reused


def decoder_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Name -> block, in order: the longest ``nn.ModuleList`` of one class that lies inside no other.

    Raises:
        InputError: the model has none.
    """
    best: dict[str, nn.Module] = {}
    outermost: list[str] = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or any(name.startswith(f"{other}.") for other in outermost):
            continue
        outermost.append(name)  # the experts of a block are a list too
        if len(module) > len(best) and len({type(block) for block in module}) == 1:
            best = {f"{name}.{i}": block for i, block in enumerate(module)}
    if not best:
        raise InputError(
            "compress: model must have decoder blocks (an nn.ModuleList of one class) for a recipe that needs "
            f"calibration, got none in {type(model).__name__}"
        )
    return best


def run_on_tokens(model: nn.Module, ids: torch.Tensor) -> Any:
    """What a model makes of token ids [sequences, tokens] and nothing else, without a cache."""
    known = inspect.signature(model.forward).parameters
    options = {"use_cache": False} if "use_cache" in known else {}
    with arithmetic():
        return model(ids.to(next(model.parameters()).device), **options)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards each module is as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class Arguments(NamedTuple):
    """What a model passes to a block beside the hidden states."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Calls(NamedTuple):
    """How a model calls its blocks, batch by batch."""

    hidden: list[torch.Tensor]  # what enters the first block: fp32 [sequences, tokens, width]
    arguments: list[list[Arguments]]  # of each block; floating point tensors in fp32


class Scaffold:
    """A model around its blocks: what it does before, between and after them.

    While one of the methods runs, functions stand in for the forward methods of the blocks and the model is in
    evaluation mode; afterwards it is as it was.
    """

    def __init__(self, model: nn.Module, calibration: Calibration) -> None:
        self.blocks = decoder_blocks(model)
        self._model = model
        self._calibration = calibration
        self._tuple_length: int | None = None  # of what a block returns; 0 for a tensor

    def calls(self) -> Calls:
        """One pass a batch without the blocks: blocks of one model may be called with other masks or positions each."""
        seen = Calls([], [[] for _ in self.blocks])
        as_floats = _AsFloats()

        def note(index: int, hidden: torch.Tensor, arguments: Arguments) -> torch.Tensor:
            if index == 0:
                seen.hidden.append(hidden.float())
            seen.arguments[index].append(Arguments(as_floats(arguments.args), as_floats(arguments.kwargs)))
            if index == len(self.blocks) - 1:
                raise _Stop
            return hidden

        with self._standing_in(note):
            for ids in self._calibration.batches(BATCH_TOKENS):
                self._run(ids)
        return seen

    def inputs_outside(self, layer: nn.Module, hidden: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """What enters a layer outside the blocks when the last block returns ``hidden``, in fp32, batch by batch.

        A layer that comes before the blocks gets what the model as it is passes it.
        """
        inputs: list[torch.Tensor] = []
        last = iter(hidden)

        def see(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            inputs.append(given[0].float())
            raise _Stop  # the product with an output head would be the largest tensor of all

        def pass_on(index: int, own: torch.Tensor, arguments: Arguments) -> torch.Tensor:
            return own if index < len(self.blocks) - 1 else next(last).to(own.dtype)

        handle = layer.register_forward_pre_hook(see)
        try:
            with self._standing_in(pass_on):
                for ids in self._calibration.batches(BATCH_TOKENS):
                    self._run(ids)
        finally:
            handle.remove()
        return inputs

    def _run(self, ids: torch.Tensor) -> None:
        with suppress(_Stop):
            run_on_tokens(self._model, ids)

    @contextmanager
    def _standing_in(self, function: Callable[[int, torch.Tensor, Arguments], torch.Tensor]) -> Iterator[None]:
        old = [block.__dict__.get("forward") for block in self.blocks.values()]
        for index, block in enumerate(self.blocks.values()):
            block.forward = functools.partial(self._stand_in, function, index, block.forward)
        try:
            with torch.no_grad(), evaluating(self._model):
                yield
        finally:
            for block, forward in zip(self.blocks.values(), old, strict=True):
                del block.forward
                if forward is not None:
                    block.forward = forward

    def _stand_in(
        self,
        function: Callable[[int, torch.Tensor, Arguments], torch.Tensor],
        index: int,
        forward: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if self._tuple_length is None:  # what a block returns is seen by running one, once
            output = forward(*args, **kwargs)
            self._tuple_length = len(output) if isinstance(output, tuple) else 0
        hidden, arguments = _split(args, kwargs)
        result = function(index, hidden, arguments)
        return (result, *[None] * (self._tuple_length - 1)) if self._tuple_length else result


class _Stop(Exception):  # noqa: N818  not an error: ends a forward pass that has shown what was wanted of it
    pass


def _split(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[torch.Tensor, Arguments]:
    if args:
        return args[0], Arguments(args[1:], kwargs)
    rest = dict(kwargs)
    return rest.pop("hidden_states"), Arguments((), rest)


class _AsFloats:
    """Floating point tensors of nested arguments in fp32; one that is passed many times is converted and kept once."""

    def __init__(self) -> None:
        self._done: dict[
            int, tuple[torch.Tensor, torch.Tensor]
        ] = {}  # the original too: while it lives its id is its own

    def __call__(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if not value.is_floating_point():
                return value
            return self._done.setdefault(id(value), (value, value.float()))[1]
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return type(value)(map(self, value))
        return value
