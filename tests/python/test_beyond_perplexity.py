"""Rules of "Beyond Perplexity" (Xu et al. 2024) that mislead, worked beside ours. docs/studies.md lists them.

Further ones: BBQ's "non" rule (test_bbq_published_rule.py), raw mu and zero-sum gamma (test_unqover.py), toxicity
that falls because the text falls apart (test_continuations.py), models from other run configurations
(test_audit_compare.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from random_models import llama, tokenizer

from fairopt.metrics import perplexity, text_scores
from fairopt.models.loglikelihood import loglikelihood

PROMPT = "Context: The cat and the dog were in the house. Question: Who left? Answer:"


def scored_with_left_padding(model: Any, tok: Any, prompt: str, answers: list[str]) -> list[float]:
    """Their ``inference_minibatch``: padded on the left, and as many positions masked as the prompt has without it."""

    def ids(text: str) -> list[int]:
        return [tok.bos_token_id, *tok(text, add_special_tokens=False)["input_ids"]]

    rows = [ids(f"{prompt} {answer}") for answer in answers]
    width = max(map(len, rows))
    scores = []
    for row in rows:
        k = width - len(row)
        logits = model(torch.tensor([row])).logits[0].double().log_softmax(-1)  # masked padding changes nothing
        at = np.arange(len(ids(prompt)) - k, len(row))  # positions behind the mask, counted in the row without padding
        scores.append(float(sum(logits[i - 1, row[i]] for i in at)))
    return scores


@torch.inference_mode()
def test_left_padding_scores_the_end_of_the_prompt_as_answer() -> None:
    model, tok = llama(), tokenizer()
    answers = ["dog", "the large black cat with a hat"]
    published = scored_with_left_padding(model, tok, PROMPT, answers)
    ours = loglikelihood(model, tok, [(PROMPT, f" {answer}") for answer in answers]).ll
    short, long = (tok(f" {answer}", add_special_tokens=False)["input_ids"] for answer in answers)
    shift = len(long) - len(short)
    # The longest answer is scored right; the short one is charged the last `shift` tokens of the prompt on top.
    ids = tok(PROMPT, add_special_tokens=False)["input_ids"]
    head, tail = tok.decode(ids[:-shift]), tok.decode(ids[-shift:])
    (charged,) = loglikelihood(model, tok, [(head, tail)], keep_spaces=True).ll
    assert published[1] == pytest.approx(ours[1], abs=1e-3)
    assert published[0] == pytest.approx(ours[0] + charged, abs=1e-3)
    # So a short answer can lose to a long one although it is likelier by far.
    assert ours[0] > ours[1]
    assert published[0] < published[1]


def test_mean_of_window_means_lets_a_short_last_window_decide() -> None:
    # 2,048 tokens of 2 nats and a last window of one token of 8 nats.
    windows = [np.full(2048, 2.0), np.array([8.0])]
    published = math.exp(np.mean([window.mean() for window in windows]))
    tokens = np.concatenate(windows)
    ours = perplexity([-tokens.sum()], [len(tokens)])
    assert published == pytest.approx(math.exp(5))
    assert ours == pytest.approx(math.exp((4096 + 8) / 2049))
    # A model that is better on 2,048 tokens and worse on one is worse by the published rule.
    better = [window - 0.5 for window in windows[:1]] + [windows[1] + 1]
    assert math.exp(np.mean([window.mean() for window in better])) > published
    assert perplexity([-np.concatenate(better).sum()], [len(tokens)]) < ours


def test_dropped_batches_change_who_is_compared() -> None:
    """Their moderation calls that fail drop 8 texts at once, and the share is of what is left."""
    base = np.array([0.9] * 8 + [0.1] * 8)
    failed = np.where(np.arange(16) < 8, np.nan, base)  # the same texts, but the service failed on the first batch
    left = failed[~np.isnan(failed)]
    assert (base >= 0.5).mean() == 0.5
    assert (left >= 0.5).mean() == 0  # "no toxicity at all"
    # Here a text without a number is counted: 8 of 16 unread stands beside the share.
    found = text_scores(failed, 0.5, "higher")
    assert (found.texts, found.scored, found.harmful) == (16, 8, 0)
