"""Vectors equal the hidden states of one text at a time in plain transformers, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import random_models
import torch
from masked_models import bert, bytes_, roberta, words
from transformers import BertConfig, BertModel

from fairopt.errors import InputError
from fairopt.models.embed import embed
from fairopt.models.similarity import similarity

TEXTS = ["The cat sat on the mat.", "he ran", "a dog", "The cat was far away, and the dog.", "he ran"]
# Hidden states of size 10 behind 2 layers: 2**-24 * 10 * sqrt(9), as derived in loglikelihood's docstring, is 2e-6.
TOLERANCE = 1e-5


def encoder() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=32,
    )  # fmt: skip
    return BertModel(config).eval()


MODELS = pytest.mark.parametrize(
    ("make_model", "make_tokenizer"),
    [(bert, words), (roberta, bytes_), (encoder, words), *((make, random_models.tokenizer) for make in (
        random_models.llama, random_models.gpt2))],
    ids=["bert", "roberta", "encoder without a head", "llama", "gpt2"],
)  # fmt: skip


def alone(model: Any, tok: Any, text: str, layer: int, pooling: str) -> np.ndarray:
    found = tok(text, return_special_tokens_mask=True)
    with torch.inference_mode():
        hidden = model(torch.tensor([found["input_ids"]]), output_hidden_states=True).hidden_states[layer][0].numpy()
    own = [at for at, special in enumerate(found["special_tokens_mask"]) if not special]
    return {"mean": hidden.mean(0), "tokens": hidden[own].mean(0), "first": hidden[0], "last": hidden[own[-1]]}[pooling]


@MODELS
@pytest.mark.parametrize("pooling", ["mean", "tokens", "first", "last"])
@pytest.mark.parametrize("layer", [-1, 0, 1])
def test_equals_one_text_at_a_time(
    make_model: Callable[[], Any], make_tokenizer: Callable[[], Any], layer: int, pooling: Any
) -> None:
    model, tok = make_model(), make_tokenizer()
    expected = [alone(model, tok, text, layer, pooling) for text in TEXTS]
    for token_budget in (1, 20, 2048):
        found = embed(model, tok, TEXTS, layer, pooling, token_budget=token_budget).vectors
        assert {vector.dtype for vector in found} == {np.dtype(np.float32)}
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_equal_texts_are_read_once() -> None:
    done: list[int] = []
    model = bert()
    read: list[int] = []
    model.bert.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    found = embed(model, words(), [*TEXTS, *TEXTS], advance=done.append).vectors
    assert (sum(read), sum(done)) == (4, 10)
    assert found[1] is found[4] is found[6]


def test_a_text_without_tokens_has_no_vector() -> None:
    found = embed(random_models.gpt2(), random_models.tokenizer(), ["a", ""]).vectors
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    assert embed(bert(), words(), []).vectors == []


def test_a_long_text_loses_its_end() -> None:
    model, tok = bert(), words()
    long, cut = "cat " * 20 + "dog " * 20, "cat " * 20 + "dog " * 10  # 30 tokens between [CLS] and [SEP]
    found = embed(model, tok, [long, cut, "cat"])
    np.testing.assert_allclose(found.vectors[0], found.vectors[1], rtol=0, atol=TOLERANCE)
    assert found.truncated == [True, False, False]
    assert similarity(model, tok, [("cat", [long, "dog"]), ("cat", ["dog"]), (long, ["dog"])]).truncated == 2


def test_refuses() -> None:
    model, tok = bert(), words()
    with pytest.raises(InputError, match=r"layer must be in \[-3, 2\] for this model, got 3"):
        embed(model, tok, TEXTS, 3)
    with pytest.raises(InputError, match="pooling must be one of mean, tokens, first, last, got 'max'"):
        embed(model, tok, TEXTS, pooling="max")  # type: ignore[arg-type]


def test_similarity_is_the_mean_cosine() -> None:
    model, tok = bert(), words()
    requests = [("the cat", ["a dog", "he ran"]), ("the cat", ["the cat"]), ("a dog", ["a dog", "he ran"])]
    one = {text: embed(model, tok, [text]).vectors[0].astype(np.float64) for text in ("the cat", "a dog", "he ran")}

    def cosine(a: str, b: str) -> float:
        return float(one[a] @ one[b] / np.sqrt((one[a] @ one[a]) * (one[b] @ one[b])))

    done: list[int] = []
    found = similarity(model, tok, requests, advance=done.append).mean
    expected = [np.mean([cosine(text, other) for other in others]) for text, others in requests]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert found[1] == pytest.approx(1, abs=1e-12)
    assert sum(done) == 3
    empty = similarity(
        random_models.gpt2(), random_models.tokenizer(), [("", ["a"]), ("a", ["", "b"]), ("a", ["b"])]
    ).mean
    assert np.isnan(empty).tolist() == [True, True, False]
