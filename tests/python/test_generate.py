"""A prompt's continuation is its own: not that of its batch, its neighbours or the order of the prompts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from random_models import gpt2, llama, tokenizer
from test_engine import make

from fairopt.errors import InputError
from fairopt.models.generate import GenerateOptions, generate

PROMPTS = ["The cat sat in the hat", "a", "", "He said that in there, then another and another one", "x y z"]


def bloom() -> Any:
    return make("Bloom", n_layer=2, n_head=4)


def same(first: Any, second: Any) -> None:
    assert [[g.text for g in own] for own in first] == [[g.text for g in own] for own in second]
    assert [[(g.n_tokens, g.finish) for g in own] for own in first] == [
        [(g.n_tokens, g.finish) for g in own] for own in second
    ]
    # 12 tokens: a fifth of what the bound in loglikelihood's docstring is for.
    np.testing.assert_allclose(
        [[g.ll for g in own] for own in first], [[g.ll for g in own] for own in second], atol=1e-4
    )


@pytest.mark.parametrize("build", [llama, gpt2, bloom])
@pytest.mark.parametrize("samples", [None, 3])
def test_a_batch_equals_single_prompts(build: Any, samples: int | None) -> None:
    model, tok = build(), tokenizer()
    options = GenerateOptions(max_new_tokens=12, samples=samples, seed=7)
    together = generate(model, tok, PROMPTS, options)
    same(together, [generate(model, tok, [prompt], options)[0] for prompt in PROMPTS])
    same(together[::-1], generate(model, tok, PROMPTS[::-1], options))
    same(together, generate(model, tok, PROMPTS, GenerateOptions(12, samples=samples, seed=7, token_budget=1)))


def test_greedy_is_that_of_transformers() -> None:
    model, tok = llama(), tokenizer()
    model.generation_config.eos_token_id = tok.eos_token_id
    for prompt, (ours,) in zip(PROMPTS, generate(model, tok, PROMPTS, GenerateOptions(max_new_tokens=12)), strict=True):
        ids = torch.tensor([[tok.bos_token_id, *tok(prompt, add_special_tokens=False)["input_ids"]]])
        theirs = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        new = theirs[0, ids.shape[1] :]
        assert ours.text == tok.decode(new, skip_special_tokens=True)
        logp = model(theirs).logits[0].double().log_softmax(-1)[ids.shape[1] - 1 : -1]
        assert ours.ll == pytest.approx(float(logp.gather(1, new[:, None]).detach().sum()), abs=1e-4)
        assert ours.n_tokens == len(new)


def test_samples_belong_to_seed_and_key() -> None:
    model, tok = llama(), tokenizer()
    options = GenerateOptions(max_new_tokens=8, samples=2, seed=1)

    def texts(prompts: list[str], options: GenerateOptions, keys: list[str] | None = None) -> list[list[str]]:
        return [[g.text for g in own] for own in generate(model, tok, prompts, options, keys=keys)]

    first = texts(["in the", "in the"], options, ["item 1", "item 2"])
    assert first[0] != first[1]
    assert first[0][0] != first[0][1]
    assert texts(["in the"], options, ["item 2"]) == first[1:]
    assert texts(["in the"], GenerateOptions(max_new_tokens=8, samples=2, seed=2), ["item 2"]) != first[1:]
    more = texts(["in the"], GenerateOptions(max_new_tokens=8, samples=4, seed=1), ["item 2"])
    assert more[0][:2] == first[1]


def test_draws_follow_the_model() -> None:
    model, tok = llama(), tokenizer()
    n, temperature = 2000, 1.5
    options = GenerateOptions(max_new_tokens=1, samples=n, temperature=temperature)
    (found,) = generate(model, tok, ["in the"], options)
    logits = model(torch.tensor([[2, *tok("in the", add_special_tokens=False)["input_ids"]]])).logits[0, -1].double()
    p = (logits / temperature).softmax(-1).detach().numpy()
    counts = Counter(g.text for g in found)
    for token in np.argsort(-p)[:5]:
        # Five binomial counts within 4.5 standard deviations: all but 1 in 30,000 seeds, and the seed is fixed.
        text = tok.decode([token], skip_special_tokens=True)
        assert abs(counts[text] - n * p[token]) < 4.5 * np.sqrt(n * p[token] * (1 - p[token]))


def test_stops() -> None:
    model, tok = llama(), tokenizer()
    (whole,) = generate(model, tok, ["The cat"], GenerateOptions(max_new_tokens=12))[0]
    stop = whole.text[4:6]
    (cut,) = generate(model, tok, ["The cat"], GenerateOptions(max_new_tokens=12, stop=("~", stop)))[0]
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish == "stop"
    assert whole.finish == "length"
    assert cut.n_tokens < whole.n_tokens == 12


def test_ends_at_the_end_token_of_model_or_tokenizer() -> None:
    model, tok = llama(), tokenizer()
    (whole,) = generate(model, tok, ["The cat"], GenerateOptions(max_new_tokens=6))[0]
    ids = tok(whole.text, add_special_tokens=False)["input_ids"]
    model.generation_config.eos_token_id = [ids[2]]
    (ended,) = generate(model, tok, ["The cat"], GenerateOptions(max_new_tokens=6))[0]
    at = ids.index(ids[2])
    assert (ended.finish, ended.n_tokens) == ("end", at + 1)
    assert ended.text == tok.decode(ids[:at])
    tok.eos_token_id = ids[0]
    assert generate(model, tok, ["The cat"], GenerateOptions(max_new_tokens=6))[0][0].n_tokens == 1


ENDS = list(range(3, 30))  # most letters: a text would end at once


@pytest.mark.parametrize("samples", [None, 2])
def test_a_text_does_not_end_too_soon(samples: int | None) -> None:
    model, tok = llama(), tokenizer()
    model.generation_config.eos_token_id = ENDS
    options = GenerateOptions(max_new_tokens=12, min_new_tokens=8, samples=samples)
    together = generate(model, tok, PROMPTS, options)
    assert all(g.n_tokens > 8 for own in together for g in own)
    assert "end" in {g.finish for own in together for g in own}
    same(together, [generate(model, tok, [prompt], options)[0] for prompt in PROMPTS])


def test_the_fewest_tokens_are_those_of_transformers() -> None:
    model, tok = llama(), tokenizer()
    model.generation_config.eos_token_id = ENDS
    found = generate(model, tok, PROMPTS, GenerateOptions(max_new_tokens=12, min_new_tokens=8))
    model.generation_config.eos_token_id = [*ENDS, tok.eos_token_id]  # theirs does not ask the tokenizer
    for prompt, (ours,) in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([[tok.bos_token_id, *tok(prompt, add_special_tokens=False)["input_ids"]]])
        both = model.generate(ids, max_new_tokens=12, min_new_tokens=8, do_sample=False)
        new = both[0, ids.shape[1] :].tolist()
        assert ours.n_tokens == len(new)
        assert ours.text == tok.decode(new[: -1 if ours.finish == "end" else None], skip_special_tokens=True)


def test_a_long_prompt_keeps_its_end() -> None:
    model, tok = llama(window=16), tokenizer()
    options = GenerateOptions(max_new_tokens=4)
    (ours,) = generate(model, tok, ["z" * 40 + "abcdefghijkl"], options)[0]
    ids = tok("z" * 40 + "abcdefghijkl", add_special_tokens=False)["input_ids"][-12:]
    theirs = model.generate(torch.tensor([ids]), max_new_tokens=4, do_sample=False, pad_token_id=0, eos_token_id=1)
    assert ours.text == tok.decode(theirs[0, 12:], skip_special_tokens=True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ({"samples": 0}, "samples must be at least 1, got 0"),
        (
            {"max_new_tokens": 4, "min_new_tokens": 5},
            r"min_new_tokens must be between 0 and max_new_tokens \(4\), got 5",
        ),
        ({"temperature": 0.0}, "temperature must be positive and finite, got 0.0"),
        ({"stop": ("",)}, "stop must be strings that are not empty"),
        ({"max_new_tokens": 128}, "max_new_tokens must be less than the model's window of 128, got 128"),
    ],
)
def test_refuses_options(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        generate(llama(), tokenizer(), ["a"], GenerateOptions(**options))


def test_refuses_models_and_keys() -> None:
    with pytest.raises(InputError, match="which is recurrent"):
        generate(make("Mamba", state_size=8), tokenizer(), ["a"])
    t5 = tf.T5ForConditionalGeneration(
        tf.T5Config(vocab_size=96, d_model=32, d_ff=64, d_kv=8, num_layers=1, num_heads=4)
    )
    with pytest.raises(InputError, match="an encoder and a decoder"):
        generate(t5, tokenizer(), ["a"])
    with pytest.raises(InputError, match=r"keys must be one a prompt \(2\), got 1"):
        generate(llama(), tokenizer(), ["a", "b"], keys=["one"])


def test_no_prompts() -> None:
    assert generate(llama(), tokenizer(), []) == []
