"""Texts as points: hidden states of causal and masked language models, pooled over a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.models.masks import longest
from fairopt.progress import progress

Pooling = Literal["mean", "tokens", "first", "last"]
_OP = "embed"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One entry a text."""

    vectors: list[npt.NDArray[np.float32]]  # [hidden] each; equal texts share theirs
    truncated: list[bool]  # the text lost its end to fit the model's window


def embed(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    layer: int = -1,
    pooling: Pooling = "mean",
    *,
    token_budget: int = 2048,
    advance: Callable[[int], None] | None = None,
) -> Embeddings:
    """A vector [hidden] of each text, in the order given; equal texts are read once.

    A text is read as its tokenizer gives it, with the special tokens that it adds itself, as bias-bench does. A batch
    is padded on the right and padding is masked: a vector does not depend on the other texts beyond rounding.

    Args:
        model: a causal or masked transformers model, or an encoder without a head; it is not changed.
        tokenizer: its tokenizer.
        texts: of any number; one without tokens gets a vector of NaN, one longer than the window loses its end.
        layer: of the hidden states: 0 is the output of the embedding, 1 of the first layer, -1 of the last, after the
            model's final normalisation where it has one.
        pooling: ``mean`` of all positions; ``tokens``, the mean of those that are not special; ``first`` position, the
            classification token of BERT and its kin; ``last`` that is not special, which in a causal model has read all
            others.
        token_budget: tokens of a batch, padding included; a single text may exceed it.
        advance: called with the number of texts just done; without it a progress bar is shown.

    Raises :class:`~fairopt.errors.InputError` for a layer that the model does not have and an unknown pooling.
    """
    if advance is None:
        with progress("embedding", len(texts), "texts") as bar:
            return embed(model, tokenizer, texts, layer, pooling, token_budget=token_budget, advance=bar)
    from fairopt.models.engine import evaluating
    from fairopt.models.padded import takes_padding

    _check(model, layer, pooling)
    distinct = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    counts = np.bincount([distinct[text] for text in texts], minlength=len(distinct))
    encoded = _encode(model, tokenizer, list(distinct))
    vectors = np.full((len(distinct), model.config.get_text_config().hidden_size), np.nan, dtype=np.float32)
    with evaluating(model):
        for batch in _batches(encoded, token_budget, padding=takes_padding(model)):
            vectors[batch] = _read(model, tokenizer, [encoded[index] for index in batch], layer, pooling)
            advance(int(counts[batch].sum()))
    advance(int(counts[[not one.ids for one in encoded]].sum()))
    rows, of = list(vectors), [distinct[text] for text in texts]
    return Embeddings([rows[index] for index in of], [encoded[index].truncated for index in of])


@dataclass(frozen=True)
class _Encoded:
    """One text as tokens."""

    ids: list[int]  # special ones included
    special: list[int]  # 1 for these
    truncated: bool


def _check(model: Any, layer: int, pooling: str) -> None:
    if pooling not in get_args(Pooling):
        raise InputError(f"{_OP}: pooling must be one of {', '.join(get_args(Pooling))}, got {pooling!r}")
    layers = model.config.get_text_config().num_hidden_layers
    if not -layers - 1 <= layer <= layers:
        raise InputError(f"{_OP}: layer must be in [{-layers - 1}, {layers}] for this model, got {layer}")


def _encode(model: Any, tokenizer: Any, texts: list[str]) -> list[_Encoded]:
    """The tokenizer's own truncation is not used: it would stay set."""
    if not texts:
        return []
    found, limit = tokenizer(texts, return_special_tokens_mask=True, verbose=False), longest(model, tokenizer)
    encoded = []
    for ids, special in zip(found["input_ids"], found["special_tokens_mask"], strict=True):
        own = [at for at, is_special in enumerate(special) if not is_special]
        cut = set(own[len(own) - max(0, len(ids) - limit) :])
        kept = [at for at in range(len(ids)) if at not in cut]
        encoded.append(_Encoded([ids[at] for at in kept], [special[at] for at in kept], bool(cut)))
    return encoded


def _batches(encoded: Sequence[_Encoded], token_budget: int, *, padding: bool) -> Iterator[list[int]]:
    """Texts of similar or, without ``padding``, of one length, the longest first; those without tokens are in none."""
    order = sorted((at for at, one in enumerate(encoded) if one.ids), key=lambda at: -len(encoded[at].ids))
    while order:
        width = len(encoded[order[0]].ids)
        n = max(1, token_budget // width)
        if not padding:
            n = min(n, sum(len(encoded[at].ids) == width for at in order))
        yield order[:n]
        order = order[n:]


def _read(model: Any, tokenizer: Any, batch: Sequence[_Encoded], layer: int, pooling: str) -> npt.NDArray[np.float32]:
    """One forward pass of the body: [b, hidden]."""
    import torch

    inputs = torch.full((len(batch), len(batch[0].ids)), tokenizer.pad_token_id or 0)
    attended = torch.zeros_like(inputs)
    weights = torch.zeros(inputs.shape)
    for row, one in enumerate(batch):
        n = len(one.ids)
        inputs[row, :n] = torch.tensor(one.ids)
        attended[row, :n] = 1
        weights[row, :n] = torch.from_numpy(_weights(one.special, pooling))
    found = model.base_model(
        input_ids=inputs.to(model.device), attention_mask=attended.to(model.device), output_hidden_states=True
    ).hidden_states[layer]
    pooled = (found.float().cpu() * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True)
    return np.asarray(pooled.numpy())


def _weights(special: Sequence[int], pooling: str) -> npt.NDArray[np.float32]:
    """Of each position, up to a factor."""
    n = len(special)
    own = np.flatnonzero(np.asarray(special) == 0)
    chosen = {"mean": np.arange(n), "tokens": own, "first": np.arange(1), "last": own[-1:]}[pooling]
    weights = np.zeros(n, dtype=np.float32)
    weights[chosen] = 1
    return weights
