"""What a benchmark needs and costs, in words: for lists and documentation."""

from __future__ import annotations

from fairopt.benchmarks.ask import Ask, Generate, LogLikelihood, Masked, Rolling, Similarity, TopWords
from fairopt.benchmarks.base import Benchmark

_HIDES = {
    "shared": "each word that two texts share, hidden",
    "differing": "each word that two texts do not share, hidden",
    "fill": "the words that fill a blank",
}


def asks(ask: Ask) -> str:
    """What a model is asked for."""
    if isinstance(ask, LogLikelihood):
        return "likelihood of a continuation"
    if isinstance(ask, Rolling):
        return "likelihood of a whole text"
    if isinstance(ask, Masked):
        return f"likelihood of {_HIDES[ask.rule]}"
    if isinstance(ask, TopWords):
        return f"the {ask.k} likeliest words in a blank"
    if isinstance(ask, Similarity):
        return "similarity of hidden states"
    return f"{_texts(ask)} of at most {ask.max_new_tokens} tokens"


def _texts(ask: Generate) -> str:
    if ask.samples is None:
        return "a greedy text"
    return (
        f"{ask.samples} texts at T = {ask.temperature:g}" if ask.samples > 1 else f"a text at T = {ask.temperature:g}"
    )


def model(ask: Ask) -> str:
    """Which kind of language model can be asked."""
    if isinstance(ask, Masked):
        return "masked"
    return "causal or masked" if isinstance(ask, TopWords | Similarity) else "causal"


def needs(benchmark: Benchmark) -> list[str]:
    """What must be there: the kind of model and, at the default levels, a chat template, scorers, data."""
    ask = benchmark.ask
    found = [f"{model(ask)} model"]
    if isinstance(ask, LogLikelihood | Generate) and ask.chat:
        found.append("chat template")
    if isinstance(ask, Generate) and ask.scorers:
        found.append(f"scorer {', '.join(ask.scorers)}")
    if benchmark.source is not None and benchmark.source.files:
        found.append("data")
    return found
