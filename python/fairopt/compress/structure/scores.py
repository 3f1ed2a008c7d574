"""The score of every unit, by the word that a recipe gives."""

from __future__ import annotations

import torch

from fairopt.compress.calibration import Calibration
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.scores_activation import activation_scores
from fairopt.compress.structure.scores_knockout import Measure, fasp_scores, knockout_effects, loss_on
from fairopt.compress.structure.scores_magnitude import magnitude_scores
from fairopt.compress.structure.scores_output import output_scores
from fairopt.compress.structure.scores_taylor import taylor_scores
from fairopt.compress.structure.select import Scores
from fairopt.compress.structure_options import Remove


def scores_of(
    dimensions: Dimensions, step: Remove, calibration: Calibration | None, seed: int, bias: Measure | None
) -> Scores:
    """Place -> the score that ``step`` asks for, float64 [units]. ``bias`` is what FASP wants less of."""
    if step.score in ("l1", "l2"):
        return magnitude_scores(dimensions, step.word, int(step.score[1]))
    if step.score == "random":
        return _random(dimensions, step.word, seed)
    assert calibration is not None
    if step.score in ("knockout", "fasp"):
        return _knockout(dimensions, step, calibration, bias)
    if step.score in ("taylor", "taylor2"):
        return taylor_scores(dimensions, step.word, calibration, order=2 if step.score == "taylor2" else 1)
    of_activations = output_scores if step.score == "output" else activation_scores
    return of_activations(dimensions, step.word, calibration)


def _knockout(dimensions: Dimensions, step: Remove, calibration: Calibration, bias: Measure | None) -> Scores:
    loss = loss_on(calibration)
    if step.score == "knockout":
        return knockout_effects(dimensions, step.word, {"loss": loss})["loss"]
    assert bias is not None
    effects = knockout_effects(dimensions, step.word, {"loss": loss, "bias": bias})
    return fasp_scores(effects["loss"], effects["bias"], step.gamma, getattr(step, "scope", "model") == "model")


def _random(dimensions: Dimensions, dimension: str, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator()
    scores = {}
    for i, place in enumerate(dimensions.places(dimension)):
        generator.manual_seed(seed * 1_000_003 + i)  # of the place, however many others there are
        scores[place] = torch.rand(dimensions.count(place, dimension), generator=generator, dtype=torch.float64)
    return scores
