"""The three ways in which a model reads a list of sequences, and the choice between them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.nn import functional

from fairopt.models import padded
from fairopt.models.eligibility import refusal
from fairopt.models.head import ModelHead, Rows
from fairopt.models.requests import Encoded
from fairopt.models.tree_attention import CannotServe, reading, uses_kernel
from fairopt.models.trie import Ints, Sequences, chunks, sequences
from fairopt.nn.attached_cache import attached_cache
from fairopt.nn.dynamic_int8_linear import DynamicInt8Linear

Mode = Literal["tree attention", "trie over an SDPA mask", "padded batches"]


@dataclass(frozen=True)
class Engine:
    """How a model is read, and what speaks against the ways that would be faster."""

    mode: Mode
    why: str = ""

    def __str__(self) -> str:
        return f"{self.mode} ({self.why})" if self.why else self.mode


def engine(model: Any) -> Engine:
    """The fastest way that serves ``model``: by looking, then by a proof on a trie of a few tokens.

    The proof compares log-probabilities with the model's own forward pass. It costs three passes over some ten tokens,
    once for a model as long as its modules, type and device stay the same.
    """
    cache = attached_cache(model)
    if cache is not None:
        return Engine("padded batches", f"keys and values are quantised: {cache}")
    why = refusal(model) or _disproof_once(model)
    if why is not None:
        return Engine("padded batches", why)
    if uses_kernel(model):
        return Engine("tree attention")
    return Engine("trie over an SDPA mask", f"{model.device.type}, {str(model.dtype).removeprefix('torch.')}")


def common_engine(models: Sequence[Any]) -> Engine:
    """The fastest way that serves all ``models``."""
    return max((engine(model) for model in models), key=lambda by: get_args(Mode).index(by.mode))


@dataclass(frozen=True)
class Part:
    """Sequences that were read together."""

    sequences: Ints
    computed: int  # positions that went through the model
    rows: list[Rows]  # of each model; the targets of the sequences, in their order


def read(models: Sequence[Any], found: Sequences, by: Engine, token_budget: int, *, reverse: bool) -> Generator[Part]:
    """Let each model read all sequences, part by part. Close the iterator: it switches the models back.

    The models must have one tokenizer, and ``by`` must serve all of them.
    """
    if by.mode == "padded batches":
        vocabulary = max(model.config.get_text_config().vocab_size for model in models)
        padding = padded.takes_padding(*models)
        for batch in padded.batches(found, token_budget, vocabulary, reverse=reverse, padding=padding):
            width = int((np.diff(found.offsets) - 1)[batch].max())
            yield Part(batch, width * len(batch), [padded.read(model, found, batch) for model in models])
        return
    with ExitStack() as stack:
        readers = [stack.enter_context(reading(model)) for model in models]
        heads = [ModelHead.of(model) for model in models]
        for chunk in chunks(found, token_budget):
            rows = [
                Rows(
                    hidden[torch.from_numpy(chunk.head_rows).to(hidden.device)],
                    head,
                    chunk.target_row,
                    chunk.target_token,
                )
                for hidden, head in zip((reader.read(chunk) for reader in readers), heads, strict=True)
            ]
            yield Part(np.arange(chunk.first, chunk.last), len(chunk.tokens), rows)


@contextmanager
def evaluating(*models: Any) -> Iterator[None]:
    """No dropout, no gradients; each model leaves as it came."""
    training = [(module, module.training) for model in models for module in model.modules()]
    try:
        for model in models:
            model.eval()
        with torch.inference_mode():
            yield
    finally:
        for module, was in training:
            module.training = was


# Of each model what was tried out, and what that showed.
_PROOFS: WeakKeyDictionary[Any, tuple[object, str | None]] = WeakKeyDictionary()


def _disproof_once(model: Any) -> str | None:
    tried = (model.dtype, model.device, tuple(map(type, model.modules())))
    known = _PROOFS.get(model)
    if known is None or known[0] != tried:
        with evaluating(model), _unrounded(model):
            known = _PROOFS[model] = (tried, _disproof(model))
    return known[1]


@contextmanager
def _unrounded(model: Any) -> Iterator[None]:
    """Layers that round activations to 8 bits multiply them as they are: where a sum that differs in its last place
    crosses a step of that rounding, log-probabilities move as far as a wrong way to read would move them."""
    layers = [module for module in model.modules() if isinstance(module, DynamicInt8Linear)]
    try:
        for layer in layers:
            layer.forward = partial(_with_dense_weight, layer)  # type: ignore[method-assign]
        yield
    finally:
        for layer in layers:
            del layer.forward


def _with_dense_weight(layer: DynamicInt8Linear, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, layer.dense_weight(x.dtype), layer.bias)


def _disproof(model: Any) -> str | None:
    """What a trie of three branches, cut so that a path is carried, shows against reading ``model`` this way."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = [[token % vocabulary for token in [1, 2, 3, 4 + i, 5 + 2 * i, 6 + i, 7]] for i in range(3)]
    found = sequences([Encoded(sequence, 4, False) for sequence in ids])
    tokens = found.tokens.reshape(3, 7)
    logits = model(input_ids=torch.from_numpy(tokens[:, :-1]).to(model.device), use_cache=False).logits.float()
    expected = logits.log_softmax(-1)[:, 2:]
    # Rounding moves a log p by eps / 2 * s * sqrt(2 (4 L + 1)) for logits of size s (derived in loglikelihood):
    # 32 eps s holds up to L = 500 layers.
    allowed = 32 * torch.finfo(model.dtype).eps * max(1.0, float(logits.abs().max()))
    try:
        with closing(read([model], found, Engine("tree attention"), 7, reverse=False)) as parts:
            for part in parts:
                (rows,) = part.rows
                seen = rows.head.logits(rows.hidden, 0, rows.head.vocabulary).float().log_softmax(-1)
                seen = seen[torch.from_numpy(rows.target_row).to(seen.device)].reshape(-1, 4, seen.shape[-1])
                if not torch.allclose(seen, expected[part.sequences], rtol=0, atol=allowed, equal_nan=True):
                    return "its scores over a trie are not its own"
    except CannotServe as found_out:
        return str(found_out)
    return None
