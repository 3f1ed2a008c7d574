"""Fillings are those of transformers' fill-mask pipeline, and of plain greedy loops for causal models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import random_models
import torch
from masked_models import bert, bytes_, roberta, words
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, pipeline

from fairopt.errors import InputError
from fairopt.models.top_words import PIECES, top_words

TEXTS = ["The BLANK sat on the mat.", "he was far away, and the BLANK.", "BLANK ran", "a cat BLANK"]


@pytest.mark.parametrize(("make_model", "make_tokenizer"), [(bert, words), (roberta, bytes_)], ids=["bert", "roberta"])
def test_masked_fillings_are_those_of_the_pipeline(
    make_model: Callable[[], Any], make_tokenizer: Callable[[], Any]
) -> None:
    model, tok = make_model(), make_tokenizer()
    fill = pipeline("fill-mask", model=model, tokenizer=tok, device="cpu", top_k=7)
    expected = [
        tuple(one["token_str"].strip() for one in fill(text.replace("BLANK", tok.mask_token))) for text in TEXTS
    ]
    for token_budget in (1, 2048):
        assert top_words(model, tok, TEXTS, 7, token_budget=token_budget) == expected


def letters() -> PreTrainedTokenizerFast:
    """A causal model's: small letters, some marks, and each letter after a space."""
    alphabet = [*"abcdefghijklmnopqrstuvwxyz.,'T", "Ġ"]
    spaced = [("Ġ", letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokens = ["<unk>", "</s>", "<s>", *alphabet, *map("".join, spaced)]
    backend = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, spaced, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>", bos_token="<s>")


def greedy(model: Any, tok: Any, text: str, k: int) -> list[str]:
    """Likeliest next tokens, each followed by PIECES - 1 greedy ones, up to the first character that is in no word."""
    ids = [tok.bos_token_id, *tok(text.partition("BLANK")[0].rstrip(), add_special_tokens=False)["input_ids"]]
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0, -1]
        order = logits.argsort(descending=True).tolist()
        spaced = text.partition("BLANK")[0].endswith(" ")
        names = {token: name for name, token in tok.get_vocab().items()}
        first = [token for token in order if not spaced or names.get(token, "").startswith("Ġ")][:k]
        found = []
        for token in first:
            grown = [*ids, token]
            for _ in range(PIECES - 1):
                grown.append(int(model(torch.tensor([grown])).logits[0, -1].argmax()))
            said = tok.decode(grown[len(ids) :]).lstrip(" ")
            end = next((at for at, c in enumerate(said) if not (c.isalnum() or c in "_'-")), len(said))
            found.append(said[:end])
    return found


@pytest.mark.parametrize("make_model", [random_models.llama, random_models.gpt2], ids=["llama", "gpt2"])
@pytest.mark.parametrize("token_budget", [1, 2048])
def test_causal_fillings_are_those_of_a_greedy_loop(make_model: Callable[[], Any], token_budget: int) -> None:
    model, tok = make_model(), letters()
    done: list[int] = []
    found = top_words(model, tok, TEXTS, 20, token_budget=token_budget, advance=done.append)
    assert found == [tuple(greedy(model, tok, text, 20)) for text in TEXTS]
    assert sum(done) == len(TEXTS)
    assert any(len(word) == PIECES for own in found for word in own)
    assert any(not word for own in found for word in own)


def test_refuses() -> None:
    model, tok = bert(), words()
    for wrong in ("none", "BLANK BLANK"):
        with pytest.raises(InputError, match=r"texts\[0\] must have one BLANK, got"):
            top_words(model, tok, [wrong], 1)
    for k in (0, 31):
        with pytest.raises(InputError, match=rf"k must be in \[1, 30\], got {k}"):
            top_words(model, tok, TEXTS, k)
    with pytest.raises(InputError, match=r"k must be in \[1, 27\], got 28"):  # tokens that begin with a space
        top_words(random_models.gpt2(), letters(), ["a BLANK"], 28)
    with pytest.raises(InputError, match=r"texts\[0\] must have at most 32 tokens"):
        top_words(model, tok, ["cat " * 40 + "BLANK"], 1)
    with pytest.raises(InputError, match=r"texts\[0\] must leave room for 5 tokens in a window of 16, got 17"):
        top_words(random_models.gpt2(window=16), random_models.tokenizer(), ["abcdefghijklmnop BLANK"], 1)
    tok.mask_token = None
    with pytest.raises(InputError, match="model must have a mask token"):
        top_words(model, tok, TEXTS, 1)
    assert top_words(random_models.gpt2(), random_models.tokenizer(), [], 1) == []
