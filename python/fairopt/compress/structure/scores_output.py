"""How much a head or a neuron adds to the residual stream on calibration tokens.

What unit u puts out, ``x_u``, goes through its columns ``W_u`` of the layer that reads it; removing the unit takes
``W_u x_u`` away from what that layer writes. The score is ``sqrt(E |W_u x_u|^2)`` over all tokens: of a neuron Wanda's
``||x|| ||w||`` over its column (Wanda-sp: An et al. 2024, arXiv:2312.11983); of a head with the products between its
channels, which that sum leaves out. It stays the same however a unit is rescaled without changing what the model
computes: rows of up or value by c and the columns that read them by 1 / c, or values by any matrix and outputs by its
inverse.
"""

from __future__ import annotations

import torch

from fairopt.compress.blocks import evaluating, run_on_tokens
from fairopt.compress.calibration import Calibration
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.units import at_units

_BATCH_TOKENS = 4096


@torch.no_grad()
def output_scores(dimensions: Dimensions, dimension: str, calibration: Calibration) -> dict[str, torch.Tensor]:
    """Place -> ``sqrt(E |W_u x_u|^2)`` of each unit, float64 [units]; an expert adds 0 to tokens it is not given.

    Args:
        dimensions: of a model.
        dimension: ``heads`` or ``ffn``.
        calibration: tokens to run.
    """
    counts = {place: dimensions.count(place, dimension) for place in dimensions.places(dimension)}
    moments: dict[str, torch.Tensor] = {}  # sum of x_u x_u^T over tokens, [units, width, width]

    def add(place: str, output: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        x = output.float().reshape(-1, counts[place], output.shape[-1] // counts[place])  # tokens, units, width of one
        moments[place] = moments.get(place, 0) + torch.einsum("tui,tuj->uij", x, x).double().cpu()
        return output

    with evaluating(dimensions.model), at_units(dimensions, dimension, add):
        for ids in calibration.batches(_BATCH_TOKENS):
            run_on_tokens(dimensions.model, ids)
    scores = {place: torch.zeros(count).double() for place, count in counts.items()}
    for place, moment in moments.items():
        reader = dimensions.reader(place, dimension)[1].double().cpu()
        weight = reader.reshape(len(reader), counts[place], -1)
        scores[place] = (torch.einsum("oui,ouj,uij->u", weight, weight, moment) / calibration.tokens).sqrt()
    return scores
