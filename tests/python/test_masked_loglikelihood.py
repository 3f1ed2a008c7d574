"""Scores of hidden tokens equal plain loops over transformers that do what the benchmarks' authors' code does."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from masked_models import OTHERS, bert, bytes_, other, roberta, words

from fairopt.errors import InputError
from fairopt.models.masked_loglikelihood import masked_loglikelihood, shared_tokens

FAMILIES = pytest.mark.parametrize(
    ("make_model", "make_tokenizer"), [(bert, words), (roberta, bytes_)], ids=["bert", "roberta"]
)
# Two layers, logits of size 20, at most 30 tokens: half of the bound in loglikelihood's docstring.
TOLERANCE = 2e-4
PAIRS = [
    ("The cat sat on the mat.", "The dog sat on the mat."),
    ("He was far away, the cat.", "She was far away, and the dog."),
    ("a b a cat", "cat a a dog"),  # unknown words, and blocks that are not a longest common subsequence
    ("the cat", "the cat"),
    ("the dog ran", "the dog ran away"),  # nothing in the first that the second has not
]
REQUESTS = [("", text) for pair in PAIRS for text in pair]


def log_p(model: Any, tok: Any, ids: list[int], position: int) -> float:
    masked = torch.tensor([ids])
    masked[0, position] = tok.mask_token_id
    with torch.inference_mode():
        return float(model(masked).logits[0, position].double().log_softmax(-1)[ids[position]])


def spans(tok: Any, pair: tuple[str, str], equal: bool) -> tuple[tuple[list[int], list[int]], ...]:
    """Of each text its ids and the positions inside (or outside) the equal blocks, as both authors' codes find them."""
    first, second = (tok(text)["input_ids"] for text in pair)
    here: tuple[list[int], list[int]] = ([], [])
    for tag, a, a_end, b, b_end in difflib.SequenceMatcher(None, first, second).get_opcodes():
        if (tag == "equal") == equal:
            here[0].extend(range(a, a_end))
            here[1].extend(range(b, b_end))
    return (first, here[0]), (second, here[1])


@FAMILIES
@pytest.mark.parametrize("token_budget", [1, 40, 2048])
def test_shared_is_the_loop_of_crows_pairs(
    make_model: Callable[[], Any], make_tokenizer: Callable[[], Any], token_budget: int
) -> None:
    model, tok = make_model(), make_tokenizer()
    found = masked_loglikelihood(model, tok, "shared", REQUESTS, token_budget=token_budget)
    for at, pair in enumerate(PAIRS):
        for side, (ids, span) in enumerate(spans(tok, pair, equal=True)):
            expected = sum(log_p(model, tok, ids, position) for position in span[1:-1])
            assert found.ll[2 * at + side] == pytest.approx(expected, abs=TOLERANCE)
            assert found.n_tokens[2 * at + side] == len(span) - 2


@FAMILIES
def test_differing_is_the_loop_of_bias_bench(make_model: Callable[[], Any], make_tokenizer: Callable[[], Any]) -> None:
    model, tok = make_model(), make_tokenizer()
    found = masked_loglikelihood(model, tok, "differing", REQUESTS)
    for at, pair in enumerate(PAIRS):
        for side, (ids, span) in enumerate(spans(tok, pair, equal=False)):
            expected = sum(log_p(model, tok, ids, position) for position in span)
            assert found.ll[2 * at + side] == pytest.approx(expected, abs=TOLERANCE)
            assert found.n_tokens[2 * at + side] == len(span)
    assert found.n_tokens[-2] == found.ll[-2] == 0  # "the dog ran" has nothing of its own


@pytest.mark.parametrize("family", OTHERS)
def test_other_families_are_read_as_they_read_themselves(family: str) -> None:
    model, tok = other(family), words()
    found = masked_loglikelihood(model, tok, "shared", REQUESTS[:4])
    expected = [
        sum(log_p(model, tok, ids, position) for position in span[1:-1])
        for pair in PAIRS[:2]
        for ids, span in spans(tok, pair, equal=True)
    ]
    np.testing.assert_allclose(found.ll, expected, rtol=0, atol=TOLERANCE)


FILLS = [
    ("The BLANK sat on the mat.", "cats"),
    ("BLANK ran away.", "cat"),
    ('He was "BLANK", and the dog.', "sitting"),
    ("the dog was BLANK", "cat cats"),  # two words
]


def stereoset(model: Any, tok: Any, text: str, filling: str) -> tuple[float, int]:
    """Score of bias-bench's loader: pieces decoded into the text's place one after the other, mean of the p."""
    spaced = f" {filling}" if tok.mask_token == "<mask>" and " BLANK" in text else filling
    pieces = tok(spaced, add_special_tokens=False)["input_ids"]
    p = []
    for i, piece in enumerate(pieces):
        before = tok.decode(pieces[:i]).strip()
        ids = tok(text.replace("BLANK", before + tok.mask_token))["input_ids"]
        assert ids.count(tok.mask_token_id) == 1
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, ids.index(tok.mask_token_id)]
        p.append(float(logits.double().softmax(-1)[piece]))
    return float(np.log(np.mean(p))), len(p)


@FAMILIES
@pytest.mark.parametrize("token_budget", [1, 2048])
def test_fill_is_the_loop_of_stereoset(
    make_model: Callable[[], Any], make_tokenizer: Callable[[], Any], token_budget: int
) -> None:
    model, tok = make_model(), make_tokenizer()
    found = masked_loglikelihood(model, tok, "fill", FILLS, token_budget=token_budget)
    for at, (text, filling) in enumerate(FILLS):
        expected, n = stereoset(model, tok, text, filling)
        assert found.ll[at] == pytest.approx(expected, abs=TOLERANCE)
        assert found.n_tokens[at] == n


def test_a_space_before_a_word_is_in_its_first_token() -> None:
    tok = bytes_()
    assert tok.convert_ids_to_tokens(tok(" cat")["input_ids"]) == ["<s>", "Ġcat", "</s>"]
    found = masked_loglikelihood(roberta(), tok, "fill", [("the BLANK ran", "cat"), ("BLANK ran", "cat")])
    assert found.n_tokens.tolist() == [1, 1]
    assert found.ll[0] != pytest.approx(found.ll[1], abs=0.01)


def test_blocks_are_those_of_difflib_and_depend_on_the_order() -> None:
    # evaluation of the published code: blocks (0, 2, 2) and (3, 4, 1) of abxcd and cdabc
    assert shared_tokens([ord(c) for c in "abxcd"], [ord(c) for c in "cdabc"]) == [(0, 2), (1, 3), (3, 4)]
    assert shared_tokens([ord(c) for c in "cdabc"], [ord(c) for c in "abxcd"]) == [(0, 3), (1, 4)]


def test_requests_are_counted() -> None:
    done: list[int] = []
    masked_loglikelihood(bert(), words(), "shared", REQUESTS, token_budget=30, advance=done.append)
    assert sum(done) == len(REQUESTS)
    done.clear()
    same = [("", "the cat"), ("", "the cat")]
    assert masked_loglikelihood(bert(), words(), "differing", same, advance=done.append).ll.tolist() == [0, 0]
    assert sum(done) == 2
    assert masked_loglikelihood(bert(), words(), "fill", []).ll.shape == (0,)


def test_refuses() -> None:
    model, tok = bert(), words()
    with pytest.raises(InputError, match="rule must be one of shared, differing, fill, got 'all'"):
        masked_loglikelihood(model, tok, "all", REQUESTS)  # type: ignore[arg-type]
    for odd in (REQUESTS[:1], [("a", "b"), ("", "b")]):
        with pytest.raises(InputError, match="requests of rule 'shared' must be in twos"):
            masked_loglikelihood(model, tok, "shared", odd)
    for wrong in (("no blank", "cat"), ("BLANK or BLANK", "cat"), ("the BLANK", " ")):
        with pytest.raises(InputError, match=r"requests\[0\] must be a text with one BLANK and what fills it"):
            masked_loglikelihood(model, tok, "fill", [wrong])
    with pytest.raises(InputError, match=r"requests\[0\] must have at most 32 tokens, got 42"):
        masked_loglikelihood(model, tok, "shared", [("", "cat " * 40), ("", "a")])
    byte_tokens = bytes_()
    byte_tokens.model_max_length = 10**30
    with pytest.raises(InputError, match=r"must have at most 64 tokens, got 82"):  # of 66 positions
        masked_loglikelihood(roberta(), byte_tokens, "shared", [("", "b" * 80), ("", "a")])
    tok.mask_token = None
    with pytest.raises(InputError, match="model must have a mask token"):
        masked_loglikelihood(model, tok, "shared", REQUESTS)
