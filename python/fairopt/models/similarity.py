"""How near a text is to others, by the cosine of hidden states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.models.embed import Pooling, embed
from fairopt.progress import progress


@dataclass(frozen=True)
class Similarities:
    """One entry a request."""

    mean: npt.NDArray[np.float64]  # [n] in [-1, 1]; NaN where a text has no tokens
    truncated: int  # requests with a text that lost its end to fit the model's window


def similarity(
    model: Any,
    tokenizer: Any,
    requests: Sequence[tuple[str, Sequence[str]]],
    layer: int = -1,
    pooling: Pooling = "mean",
    *,
    token_budget: int = 2048,
    advance: Callable[[int], None] | None = None,
) -> Similarities:
    """Mean cosine of a text with several texts, for each request, in the order given.

    Vectors are those of :func:`~fairopt.models.embed.embed`, which also says what
    is refused; equal texts of all requests are read once. ``advance`` is called with the number of requests just done;
    without it a progress bar is shown.
    """
    if advance is None:
        with progress("comparing", len(requests), "requests") as bar:
            return similarity(model, tokenizer, requests, layer, pooling, token_budget=token_budget, advance=bar)
    texts = list(dict.fromkeys(text for one, others in requests for text in (one, *others)))
    found = embed(model, tokenizer, texts, layer, pooling, token_budget=token_budget, advance=lambda _: advance(0))
    unit = {text: _unit(vector) for text, vector in zip(texts, found.vectors, strict=True)}
    cut = {text for text, truncated in zip(texts, found.truncated, strict=True) if truncated}
    # The mean cosine with several vectors is the dot product with the mean of them at unit length.
    means: dict[tuple[str, ...], npt.NDArray[np.float64]] = {}
    cosines = np.empty(len(requests))
    for index, (one, others) in enumerate(requests):
        key = tuple(others)
        if key not in means:
            means[key] = np.mean([unit[text] for text in key], axis=0)
        cosines[index] = unit[one] @ means[key]
    advance(len(requests))
    return Similarities(cosines, sum(not cut.isdisjoint((one, *others)) for one, others in requests))


def _unit(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """At length 1; NaN for a vector of length 0."""
    wide = vector.astype(np.float64)
    length = np.linalg.norm(wide)
    return wide / length if length > 0 else np.full_like(wide, np.nan)
