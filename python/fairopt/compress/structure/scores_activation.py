"""How much a unit puts out on calibration tokens.

Heads, neurons and channels after Minitron (Muralidharan et al. 2024, arXiv:2407.14679): the mean of ``|a|`` over the
tokens of a sequence, then the L2 norm over sequences. A head's ``|a|`` is the L2 norm of its output; a channel's is
what the norms put out, and the L2 norm goes over them too; that of a neuron of an expert counts with the weight of the
expert, over the tokens that it is given. Experts after REAP (Lasby et al. 2025, arXiv:2510.13999):
the mean of ``weight * ||f(x)||`` over the tokens that an expert is given. Layers after ShortGPT (Men et al. 2024,
arXiv:2403.03853): ``1 - cos(in, out)``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from fairopt.compress.blocks import evaluating, run_on_tokens
from fairopt.compress.calibration import Calibration
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.units import at_units, expert_modules

_BATCH_TOKENS = 4096


@torch.no_grad()
def activation_scores(dimensions: Dimensions, dimension: str, calibration: Calibration) -> dict[str, torch.Tensor]:
    """Place -> score of each unit, float64 [units]; the definitions stand above."""
    if dimension == "layers":
        return {"": _block_influence(dimensions, calibration)}
    if dimension == "experts":
        return _reap(dimensions, calibration)
    squares = {
        place: torch.zeros(dimensions.count(place, dimension)).double() for place in dimensions.places(dimension)
    }

    def add(place: str, output: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        values = output.double().abs().cpu()
        of_units = values.new_zeros(*values.shape[:-1], len(squares[place]))
        if dimension == "heads":
            of_units = of_units.index_add_(-1, units, values.square()).sqrt()
        else:
            of_units = of_units.index_add_(-1, units, values)
        means = of_units.reshape(len(ids), -1, of_units.shape[-1]).mean(1)  # OPT joins sequences and tokens
        squares[place] += means.square().sum(0)
        return output

    with evaluating(dimensions.model), at_units(dimensions, dimension, add):
        # Which sequence a token of an expert comes from is only known where there is one.
        for ids in calibration.batches(1 if any(map(dimensions.is_expert, squares)) else _BATCH_TOKENS):
            run_on_tokens(dimensions.model, ids)
    return {place: total.sqrt() for place, total in squares.items()}


def _block_influence(dimensions: Dimensions, calibration: Calibration) -> torch.Tensor:
    totals = dict.fromkeys(dimensions.blocks, 0.0)

    def look(block: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: tuple[Any, ...], passed: dict[str, Any], output: Any) -> None:
            before = given[0] if given else passed["hidden_states"]
            after = output[0] if isinstance(output, tuple) else output
            cosine = torch.nn.functional.cosine_similarity(before.double(), after.double(), dim=-1)
            totals[block] += float((1 - cosine).sum())

        return hook

    with evaluating(dimensions.model), ExitStack() as stack:
        for block, module in dimensions.blocks.items():
            stack.callback(module.register_forward_hook(look(block), with_kwargs=True).remove)
        for ids in calibration.batches(_BATCH_TOKENS):
            run_on_tokens(dimensions.model, ids)
    return torch.tensor(list(totals.values()), dtype=torch.float64) / calibration.tokens


def _reap(dimensions: Dimensions, calibration: Calibration) -> dict[str, torch.Tensor]:
    counts = {block: dimensions.count(block, "experts") for block in dimensions.places("experts")}
    sums = {block: torch.zeros(count).double() for block, count in counts.items()}
    tokens = {block: torch.zeros(count).double() for block, count in counts.items()}

    def look(block: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            hidden, chosen, weights = given
            for expert in range(counts[block]):
                rows, places = (chosen == expert).nonzero(as_tuple=True)
                if len(rows):
                    one = torch.ones(len(rows), 1, dtype=weights.dtype, device=weights.device)
                    output = module.forward(hidden[rows], torch.full_like(chosen[rows][:, :1], expert), one)
                    sums[block][expert] += float((weights[rows, places] * output.norm(dim=-1)).double().sum())
                    tokens[block][expert] += len(rows)

        return hook

    with evaluating(dimensions.model), ExitStack() as stack:
        for block, module in expert_modules(dimensions).items():
            stack.callback(module.register_forward_pre_hook(look(block)).remove)
        for ids in calibration.batches(_BATCH_TOKENS):
            run_on_tokens(dimensions.model, ids)
    return {block: total / tokens[block].clamp_min(1) for block, total in sums.items()}
