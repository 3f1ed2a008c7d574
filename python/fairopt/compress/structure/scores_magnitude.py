"""How large the weights of a unit are, over all tensors that the table couples: what writes it and what reads it."""

from __future__ import annotations

import torch

from fairopt.compress.structure.dimensions import Dimensions


@torch.no_grad()
def magnitude_scores(dimensions: Dimensions, dimension: str, power: int) -> dict[str, torch.Tensor]:
    """Place -> for each unit ``(sum |w|^power)^(1/power)`` over its weights and biases, float64 [units]."""
    if dimension == "layers":
        sizes = [sum(_power(p, power).sum() for p in block.parameters()) for block in dimensions.blocks.values()]
        return {"": torch.stack([torch.as_tensor(size) for size in sizes]) ** (1 / power)}
    scores = {}
    for place in dimensions.places(dimension):
        total = torch.zeros(dimensions.count(place, dimension), dtype=torch.float64)
        for name, axes in dimensions.parameters(place, dimension):
            parameter = dimensions.tensor(place, name)
            for i, axis in enumerate(axes):
                if axis.dimension == dimension:
                    others = [j for j in range(len(axes)) if j != i]
                    along = _power(parameter, power).sum(others) if others else _power(parameter, power)
                    total.index_add_(0, dimensions.units_along(place, axis, len(along)), along.cpu())
        scores[place] = total ** (1 / power)
    return scores


def _power(parameter: torch.Tensor, power: int) -> torch.Tensor:
    values = parameter.detach().double()
    return values.square() if power == 2 else values.abs()
