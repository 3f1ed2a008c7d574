"""Pseudo-log-likelihood of texts under masked language models: each token predicted from all the others.

Salazar et al. 2020, "Masked Language Model Scoring", equation 1. Scores that hide only some tokens are those of
:mod:`fairopt.models.masked_loglikelihood`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.models.masks import Mask, check_length, check_masked, predict
from fairopt.progress import progress


@dataclass(frozen=True)
class PseudoLogLikelihoods:
    """One entry a text."""

    pll: npt.NDArray[np.float64]  # sum of log p of the masked tokens, nats
    n_tokens: npt.NDArray[np.int64]  # tokens that were masked


def pseudo_loglikelihood(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    token_budget: int = 2048,
    advance: Callable[[int], None] | None = None,
) -> PseudoLogLikelihoods:
    """Sum over the tokens of ``log p(token | all others)``; special tokens are context and not scored.

    Masks of all texts share batches of similar length; ``token_budget`` counts a batch's tokens, padding included.
    ``advance`` is called with the number of masks just predicted; without it a progress bar is shown.
    Raises :class:`~fairopt.errors.InputError` for a text longer than the window and a tokenizer without a mask token.
    """
    op = "pseudo_loglikelihood"
    check_masked(op, tokenizer)
    masks: list[Mask] = []
    if texts:
        found = tokenizer(list(texts), return_special_tokens_mask=True, verbose=False)
        check_length(op, model, tokenizer, found["input_ids"], "texts")
        for text, (ids, special) in enumerate(zip(found["input_ids"], found["special_tokens_mask"], strict=True)):
            masks += [Mask(ids, position, text) for position in range(len(ids)) if not special[position]]
    if advance is None:
        with progress("scoring", len(masks), "masks") as bar:
            logp = predict(model, tokenizer, masks, token_budget, bar)
    else:
        logp = predict(model, tokenizer, masks, token_budget, advance)
    of = np.array([mask.request for mask in masks], dtype=np.int64)
    pll = np.zeros(len(texts))
    np.add.at(pll, of, logp)
    return PseudoLogLikelihoods(pll, np.bincount(of, minlength=len(texts)))
