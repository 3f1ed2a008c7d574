"""What a Taylor expansion of the loss expects of a unit's removal.

Every unit is given a gate of 1, whose gradient g is the sum of ``w dL/dw`` over the weights that read the unit. First
order: the mean of ``|g|`` over sequences, as Michel et al. (2019, arXiv:1905.10650) take it: absolute values first, for
the signs of different texts cancel, and near a minimum the mean of g is noise. (LLM-Pruner, arXiv:2305.11627, sums
gradients before it takes absolute values.) Second order: closing the gate changes the loss by about ``-g + F / 2``, g
the mean over sequences and F what stands for the curvature, the mean square of g of single tokens. Of a sequence only
the mean over its T predicted tokens is known; ``T g^2`` has that expectation where tokens are independent.
"""

from __future__ import annotations

import torch

from fairopt.compress.blocks import evaluating
from fairopt.compress.calibration import Calibration
from fairopt.compress.gradients import predicted_tokens, sequence_loss
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.units import gated, gates


def taylor_scores(
    dimensions: Dimensions, dimension: str, calibration: Calibration, order: int
) -> dict[str, torch.Tensor]:
    """Place -> for each unit the mean of ``|g|`` (order 1) or ``|-g + F / 2|`` (order 2), float64 [units]."""
    values = {place: gate.requires_grad_() for place, gate in gates(dimensions, dimension).items()}
    scores = {p: torch.zeros_like(gate, dtype=torch.float64, requires_grad=False) for p, gate in values.items()}
    sequences = [ids for ids in calibration.sequences if len(ids) > 1]  # one token alone predicts nothing
    tokens = sum(map(len, sequences))
    device = next(dimensions.model.parameters()).device
    with evaluating(dimensions.model), gated(dimensions, dimension, values), torch.enable_grad():
        for sequence in sequences:
            loss = sequence_loss(dimensions.model, sequence.to(device))
            # An expert that the sequence has no token for has no gradient: materialised as zeros.
            gradients = torch.autograd.grad(loss, list(values.values()), materialize_grads=True)
            for place, gradient in zip(values, gradients, strict=True):
                g = gradient.double()
                curvature = predicted_tokens(dimensions.model, sequence) * g.square()
                scores[place] += (g.abs() if order == 1 else curvature / 2 - g) * len(sequence) / tokens
    scores = {place: score.abs() for place, score in scores.items()}
    return {"": torch.cat(list(scores.values()))} if dimension == "layers" else scores
