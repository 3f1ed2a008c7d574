"""What a Taylor expansion of the loss expects of a unit's removal.

Every unit is given a gate of 1, whose gradient g is the sum of ``w dL/dw`` over the weights that read the unit (Michel
et al. 2019, arXiv:1905.10650; LLM-Pruner's "vectorise", arXiv:2305.11627): closing it changes the loss by about
``-g + F / 2``, F the mean square of g over sequences, which stands for the curvature.
"""

from __future__ import annotations

import torch

from fairopt.compress.blocks import evaluating
from fairopt.compress.calibration import Calibration
from fairopt.compress.gradients import sequence_loss
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.units import gated, gates


def taylor_scores(
    dimensions: Dimensions, dimension: str, calibration: Calibration, order: int
) -> dict[str, torch.Tensor]:
    """Place -> for each unit ``|g|`` (order 1) or ``|-g + F / 2|`` (order 2), float64 [units]."""
    values = {place: gate.requires_grad_() for place, gate in gates(dimensions, dimension).items()}
    first = {place: torch.zeros_like(gate, dtype=torch.float64, requires_grad=False) for place, gate in values.items()}
    squares = {place: torch.zeros_like(total) for place, total in first.items()}
    sequences = [ids for ids in calibration.sequences if len(ids) > 1]  # one token alone predicts nothing
    tokens = sum(map(len, sequences))
    device = next(dimensions.model.parameters()).device
    with evaluating(dimensions.model), gated(dimensions, dimension, values), torch.enable_grad():
        for sequence in sequences:
            loss = sequence_loss(dimensions.model, sequence.to(device))
            # An expert that the sequence has no token for has no gradient: materialised as zeros.
            gradients = torch.autograd.grad(loss, list(values.values()), materialize_grads=True)
            for place, gradient in zip(values, gradients, strict=True):
                weighted = gradient.double()
                first[place] += weighted * len(sequence) / tokens
                squares[place] += weighted.square() * len(sequence) / tokens
    scores = {p: g.abs() if order == 1 else (squares[p] / 2 - g).abs() for p, g in first.items()}
    return {"": torch.cat(list(scores.values()))} if dimension == "layers" else scores
