"""What a model must be able to do before a benchmark can be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairopt.benchmarks import Benchmark, Generate, LogLikelihood, Masked, Rolling

if TYPE_CHECKING:
    from fairopt.models.loading import LoadedModel


def lacking(model: LoadedModel, benchmark: Benchmark) -> str:
    """What the model must have and has not, such as a mask token; empty where it can be asked."""
    from fairopt.models.chat import has_template

    ask = benchmark.ask
    masked = model.kind == "masked"
    if isinstance(ask, Masked) and not masked:
        return "a masked language model, with a mask token"
    if isinstance(ask, LogLikelihood | Rolling | Generate) and masked:
        return "a causal language model"
    if isinstance(ask, LogLikelihood | Generate) and ask.chat and not has_template(model.tokenizer):
        return "a tokenizer with a chat template"
    return ""
