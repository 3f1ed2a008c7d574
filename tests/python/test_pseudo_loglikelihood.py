"""Pseudo-log-likelihoods equal one forward pass a mask, in plain transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from masked_models import bert, words

from fairopt.errors import InputError
from fairopt.models.pseudo_loglikelihood import pseudo_loglikelihood

TEXTS = ["The cat sat on the mat.", "He was far away, the cat and the dog.", "a b a cat", "the cats"]


def one_mask(model: Any, tok: Any, ids: list[int], position: int) -> float:
    masked = torch.tensor([ids])
    masked[0, position] = tok.mask_token_id
    with torch.inference_mode():
        return float(model(masked).logits[0, position].double().log_softmax(-1)[ids[position]])


@pytest.mark.parametrize("token_budget", [1, 30, 2048])
def test_equals_one_pass_a_mask(token_budget: int) -> None:
    model, tok = bert(), words()
    found = pseudo_loglikelihood(model, tok, TEXTS, token_budget=token_budget)
    for text, pll, n_tokens in zip(TEXTS, found.pll, found.n_tokens, strict=True):
        ids = tok(text)["input_ids"]
        expected = sum(one_mask(model, tok, ids, position) for position in range(1, len(ids) - 1))
        # 2 layers, logits of size 20, at most 10 tokens: a fifth of the bound in loglikelihood's docstring.
        assert pll == pytest.approx(expected, abs=1e-4)
        assert n_tokens == len(ids) - 2


def test_refuses() -> None:
    model, tok = bert(), words()
    with pytest.raises(InputError, match=r"texts\[1\] must have at most 32 tokens, got 42"):
        pseudo_loglikelihood(model, tok, ["a", "cat " * 40])
    tok.mask_token = None
    with pytest.raises(InputError, match="model must have a mask token, got a tokenizer without one"):
        pseudo_loglikelihood(model, tok, ["a"])


def test_nothing_to_score() -> None:
    assert pseudo_loglikelihood(bert(), words(), []).pll.shape == (0,)
    assert pseudo_loglikelihood(bert(), words(), [""]).pll.tolist() == [0.0]
