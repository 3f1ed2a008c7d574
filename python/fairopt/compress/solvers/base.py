"""What a solver is: how the driver calls the methods that choose codes with more care than rounding to nearest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import nn

from fairopt.compress.architectures import LoneLayer
from fairopt.compress.gradients import Gradients
from fairopt.compress.recipe import Chain, Quantize
from fairopt.nn.products import arithmetic
from fairopt.progress import progress

SolverNeeds: TypeAlias = Literal["nothing", "hessian", "hessian_float64"]
Observer = Callable[[str, torch.Tensor], None]  # a layer's name within the block, its input [..., K]


@dataclass(frozen=True)
class Solved:
    """The codes that a solver chose for one layer, and what it says about them.

    ``loss`` and ``rtn_loss`` are the solver's own objective at its codes and at those of rounding to nearest in the
    same format, so that their ratio says what solving was worth.
    """

    codes: torch.Tensor  # as ops.quantize_blockwise returns them
    scales: torch.Tensor
    zeros: torch.Tensor
    loss: float
    rtn_loss: float
    order: torch.Tensor | None = None  # int64 [K]: column j of the codes multiplies x[order[j]]
    notes: Mapping[str, float] = field(default_factory=dict)  # what else happened: damping that was needed, steps taken


@dataclass(frozen=True)
class Statistics:
    """What calibration saw of one layer's inputs x, and of the gradients of its weight: as much as was asked for."""

    # [K, K] fp32, 2 / tokens * sum of x x^T: the curvature of the mean squared error of x W^T
    hessian: torch.Tensor | None
    tokens: int  # rows of x
    norms: torch.Tensor | None = None  # [K] fp32, sqrt(sum of x_j^2)
    gradients: Gradients | None = None
    pairs: PairTerm | None = None  # for solvers that take a Hessian


@dataclass(frozen=True)
class PairTerm:
    """What to ask of the differences ``x0 - x1`` between the inputs of paired texts, beside the error on inputs.

    GPTQ and SparseGPT then minimise ``||(W - W') X||^2 + beta ||(W - W') D||^2 + alpha ||W' D||^2``
    (:func:`fairopt.ops.second_order_target`): ``alpha`` shrinks what the layer makes of a difference, ``beta`` keeps it
    as it is. With both 0 they are the stock methods, bit for bit.
    """

    hessian: torch.Tensor  # [K, K] fp32, 2 / pairs of tokens * sum of (x0 - x1)(x0 - x1)^T
    alpha: float = 0.0
    beta: float = 0.0


class LayerSolver(Protocol):
    """Chooses the codes of one layer at a time. An instance holds the options of its recipe step."""

    @property
    def needs(self) -> SolverNeeds:
        """Which statistics :meth:`solve` looks at; the last is summed over batches in float64."""
        ...

    def solve(self, weight: torch.Tensor, quantize: Quantize, statistics: Statistics | None, seed: int) -> Solved:
        """Codes of ``weight`` [N, K] fp32, which is not changed. ``statistics`` is None where nothing is needed."""
        ...


@dataclass(frozen=True)
class BlockCall:
    """How a calibration batch calls a decoder block: its hidden states, and all else as the model passes it."""

    hidden: torch.Tensor  # [sequences, tokens, width] fp32
    args: tuple[Any, ...] = ()  # those after the hidden states
    kwargs: Mapping[str, Any] = field(default_factory=dict)  # masks, position embeddings, ...

    @property
    def tokens(self) -> int:
        """Of all its sequences."""
        return self.hidden.shape[0] * self.hidden.shape[1]

    def __call__(self, block: Callable[..., Any]) -> torch.Tensor:
        """The hidden states that the block makes of these."""
        with arithmetic():
            output = block(self.hidden, *self.args, **self.kwargs)
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return hidden


def run_block(
    block: nn.Module, layers: Iterable[str], calls: Iterable[BlockCall], observe: Observer | None = None
) -> Iterator[torch.Tensor]:
    """The block's outputs, call by call; ``observe`` sees what goes into ``layers``, which are names within it."""

    def hook(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        return lambda module, inputs: observe(name, inputs[0].detach()) if observe else None

    handles = [block.get_submodule(name).register_forward_pre_hook(hook(name)) for name in layers] if observe else []
    try:
        for call in calls:
            yield call(block)
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class BlockTask:
    """One decoder block for a :class:`BlockSolver`: what it may change, and the data to judge by."""

    name: str  # of the block within the model
    block: nn.Module  # a dense fp32 copy in evaluation mode; a solver may change its parameters in place
    chains: Mapping[str, Chain]  # layer name within the block -> its chain: only the layers that this step applies to
    calls: Sequence[BlockCall]  # the calibration batches, as the compressed blocks before this one pass them on
    seed: int
    types: Mapping[str, torch.dtype] = field(default_factory=dict)  # of the layers' weights in the model

    def only(self, names: Iterable[str]) -> BlockTask:
        """The same block with ``chains`` of these layers alone."""
        return dataclasses.replace(self, chains={name: self.chains[name] for name in names})

    def layer(self, name: str) -> nn.Module:
        """The linear layer (``nn.Linear`` or GPT-2's transposed ``Conv1D``) of that name."""
        return self.block.get_submodule(name)

    def full_name(self, layer: str) -> str:
        """Of a layer within the block, its name within the model."""
        return self.name if isinstance(self.block, LoneLayer) else f"{self.name}.{layer}"

    def run(self, observe: Observer | None = None) -> Iterator[torch.Tensor]:
        """The block's outputs, batch by batch; ``observe`` sees what goes into the layers of ``chains``."""
        return run_block(self.block, self.chains, self.calls, observe)

    def observe(self, observe: Observer) -> None:
        """Run every batch for what the layers see: as far as that takes."""
        seen: list[str] = []

        def see(name: str, x: torch.Tensor) -> None:
            observe(name, x)
            seen.append(name)
            if len(seen) == len(self.chains) and each_once:
                raise _SeenAll

        each_once = False
        with torch.no_grad(), progress(self.name, len(self.calls), "batches") as advance:
            for call in self.calls:
                seen.clear()
                with suppress(_SeenAll):
                    for _ in run_block(self.block, self.chains, [call], see):
                        each_once = sorted(seen) == sorted(self.chains)  # an expert may be left out, or come later
                advance(1)


class _SeenAll(Exception):  # noqa: N818  not an error: ends a pass that has shown what was wanted of it
    pass


class BlockSolver(Protocol):
    """Works on a whole block, before the layers of it are rounded one by one. An instance holds its step's options."""

    def solve_block(self, task: BlockTask) -> Mapping[str, Solved]:
        """Change the block's dense parameters so that rounding hurts less (scales folded into norms, rotations), or
        choose codes: layer name -> :class:`Solved` for those it has finished. The others are rounded to nearest."""
        ...
