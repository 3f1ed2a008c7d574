"""Scores equal a plain loop over transformers, alone and in any batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import LETTERS, gpt2, llama, tokenizer

from fairopt.errors import InputError
from fairopt.models.engine import engine
from fairopt.models.loading import load_model
from fairopt.models.loglikelihood import ScoreOptions, describe, loglikelihood
from fairopt.models.requests import encode
from fairopt.nn.products import round_rows

TOLERANCE = 1e-4  # nats; the derivation stands in loglikelihood's docstring


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # forwards of one sentence only lose to threads
    yield
    torch.set_num_threads(threads)


def plain(model: Any, tok: Any, context: str, continuation: str) -> float:
    """One request by the definition: a forward over the whole text, no batch, no padding, float64 log-softmax."""
    spaces = len(context) - len(context.rstrip())
    head = context[: len(context) - spaces]
    n_context = len(tok(head, add_special_tokens=False)["input_ids"]) if head else 0
    ids = tok(context + continuation, add_special_tokens=False)["input_ids"]
    start = tok.bos_token_id if tok.bos_token_id is not None else tok.eos_token_id
    if tok.bos_token_id is not None or n_context == 0:
        ids, n_context = [start, *ids], n_context + 1
    with torch.inference_mode():
        logp = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(float(logp[i - 1, ids[i]]) for i in range(n_context, len(ids)))


REQUESTS = [
    ("", "The cat sat in the hat."),
    ("He said", " that in there"),
    ("trailing spaces  ", "move over"),
    ("", "a"),
    ("in the", " thin thing, then another and another and another one."),
    ("x", "y"),
]


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("bos", ["<s>", None])
def test_equals_a_plain_loop(make: Any, bos: str | None) -> None:
    model, tok = make(), tokenizer(bos)
    scores = loglikelihood(model, tok, REQUESTS)
    expected = [plain(model, tok, *request) for request in REQUESTS]
    np.testing.assert_allclose(scores.ll, expected, rtol=0, atol=TOLERANCE)
    assert scores.truncated == 0
    assert scores.ll.dtype == np.float64


@pytest.mark.parametrize("make", [llama, gpt2])
def test_score_does_not_depend_on_the_batch(make: Any) -> None:
    model, tok = make(), tokenizer()
    together = loglikelihood(model, tok, REQUESTS).ll
    alone = np.concatenate([loglikelihood(model, tok, [request]).ll for request in REQUESTS])
    other = loglikelihood(model, tok, REQUESTS, ScoreOptions(token_budget=40, reverse=True)).ll
    tight = loglikelihood(model, tok, REQUESTS, ScoreOptions(token_budget=1)).ll
    for scores in (alone, other, tight):
        np.testing.assert_allclose(scores, together, rtol=0, atol=TOLERANCE)


text = st.text(LETTERS, min_size=1, max_size=40)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(LETTERS, max_size=20), text.filter(str.strip)), min_size=1, max_size=6))
def test_any_texts(requests: list[tuple[str, str]]) -> None:
    model, tok = llama(), tokenizer()
    # A continuation that merges with the context's last letter may have no token of its own.
    requests = [(context + ("." if context.strip() else ""), " " + continuation) for context, continuation in requests]
    scores = loglikelihood(model, tok, requests)
    np.testing.assert_allclose(scores.ll, [plain(model, tok, *r) for r in requests], rtol=0, atol=TOLERANCE)
    assert (scores.ll < 0).all()


@pytest.mark.parametrize("make", [llama, gpt2])
def test_bits_do_not_depend_on_the_number_of_threads(make: Any) -> None:
    """From one row of the head to many: matrix products of few rows are where BLAS libraries split sums."""
    model, threads = make(), torch.get_num_threads()
    requests = [("a" * (i % 3), f"{i} then {LETTERS[i]}") for i in range(40)]

    def bits(n: int, on: int) -> bytes:
        torch.set_num_threads(on)
        return loglikelihood(model, tokenizer(), requests[:n], advance=lambda _: None).ll.tobytes()

    try:
        for n in (1, 2, 3, 5, 40):
            assert len({bits(n, on) for on in (1, 2, 3, 5)}) == 1
    finally:
        torch.set_num_threads(threads)


def test_more_text_is_less_likely_and_chains() -> None:
    model, tok = llama(), tokenizer()
    whole, first, second = loglikelihood(model, tok, [("", "abcd."), ("", "abc"), ("abc", "d.")]).ll
    assert whole == pytest.approx(first + second, abs=TOLERANCE)


def test_bos_is_never_doubled() -> None:
    model, tok = llama(), tokenizer()
    plainly, written = loglikelihood(model, tok, [("", "abc"), ("", "<s>abc")]).ll
    assert plainly == pytest.approx(written, abs=TOLERANCE)
    assert describe(model, tok)["BOS rule"] == "one <s> before every request"
    assert describe(model, tokenizer(None))["BOS rule"] == "none; </s> before an empty context"


def test_rows_that_are_not_scored_get_no_logits() -> None:
    model, tok = llama(), tokenizer()
    seen: list[int] = []
    hook = model.lm_head.register_forward_hook(lambda _m, _i, out: seen.append(out.numel() // out.shape[-1]))
    engine(model)
    proof = sum(seen)
    stats = loglikelihood(model, tok, REQUESTS).stats
    hook.remove()
    assert sum(seen) == proof + round_rows(stats.rows)
    assert stats.rows < stats.nodes


def test_scaling_after_the_head_is_kept() -> None:
    from transformers import CohereConfig, CohereForCausalLM, Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    shape = {
        "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.3,
        "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
    }  # fmt: skip
    gemma = Gemma2ForCausalLM(Gemma2Config(**shape, final_logit_softcapping=2.0, attn_implementation="eager")).eval()
    cohere = CohereForCausalLM(CohereConfig(**shape, logit_scale=0.25)).eval()
    tok = tokenizer()
    for model in (gemma, cohere):
        expected = [plain(model, tok, *request) for request in REQUESTS]
        np.testing.assert_allclose(loglikelihood(model, tok, REQUESTS).ll, expected, rtol=0, atol=TOLERANCE)


def test_long_context_is_cut_from_the_left() -> None:
    model, tok = llama(window=16), tokenizer()
    long, short = loglikelihood(model, tok, [("z" * 40 + "abcdefghijklm", "xyz."), ("m", "xyz.")]).ll
    scores = loglikelihood(model, tok, [("z" * 40 + "abcdefghijklm", "xyz.")])
    assert scores.truncated == 1
    ids = tok("z" * 40 + "abcdefghijklmxyz.", add_special_tokens=False)["input_ids"][-17:]
    with torch.inference_mode():
        logp = model(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
    expected = sum(float(logp[i - 1, ids[i]]) for i in range(13, 17))
    assert long == pytest.approx(expected, abs=TOLERANCE)
    assert long != pytest.approx(short, abs=1e-3)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (("abc", ""), r"requests\[1\] must have a continuation of at least one token, got none"),
        (("", "z" * 40), r"requests\[1\] must have a continuation of at most 16 tokens, got 40"),
    ],
)
def test_refuses(request_: tuple[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        loglikelihood(llama(window=16), tokenizer(), [("", "fine"), request_])


def test_leaves_the_model_as_it_was() -> None:
    model, tok = gpt2().train(), tokenizer()
    assert loglikelihood(model, tok, REQUESTS).ll.tolist() == loglikelihood(model, tok, REQUESTS).ll.tolist()
    assert model.training
    assert not model.lm_head._forward_pre_hooks


def test_no_requests() -> None:
    scores = loglikelihood(llama(), tokenizer(), [])
    assert scores.ll.shape == scores.n_tokens.shape == (0,)


def test_counts_requests_done() -> None:
    done: list[int] = []
    loglikelihood(llama(), tokenizer(), REQUESTS, ScoreOptions(token_budget=60), advance=done.append)
    assert sum(done) == len(REQUESTS)
    assert len(done) > 1


def test_crows_pairs_on_a_real_model(models_dir: Path, data_dir: Path) -> None:
    from fairopt import benchmarks

    loaded = load_model(models_dir / "TinyStories-656K")
    requests = [r for item in benchmarks.get("crows_pairs").items(data_dir) for r in item.requests]
    scores = loglikelihood(loaded.model, loaded.tokenizer, requests)
    some = range(0, len(requests), 17)
    expected = [plain(loaded.model, loaded.tokenizer, *requests[i]) for i in some]
    np.testing.assert_allclose(scores.ll[some], expected, rtol=0, atol=TOLERANCE)
    assert len(requests) == 3016
    assert scores.stats.sharing > 1.35


def test_a_word_that_joins_the_context_is_scored_with_it(models_dir: Path) -> None:
    loaded = load_model(models_dir / "TinyStories-656K")
    context, word = "he put it into the", " ball"  # the tokenizer has a token "into the ": no more tokens than without
    alone, whole = (
        [loaded.tokenizer(text, add_special_tokens=False)["input_ids"]] for text in (context, context + word)
    )
    assert len(whole[0]) <= len(alone[0])
    (found,) = encode(loaded.tokenizer, [(context, word)], None)
    shared = next(place for place, pair in enumerate(zip(alone[0], whole[0], strict=False)) if pair[0] != pair[1])
    assert found.ids[1:] == whole[0]
    assert found.n_targets == len(whole[0]) - shared
    assert np.isfinite(loglikelihood(loaded.model, loaded.tokenizer, [(context, word)]).ll).all()
