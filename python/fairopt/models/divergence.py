"""How far the next-token distributions of two models lie apart on the same texts: magnitude, not direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairopt.models.loglikelihood import ScoreOptions
from fairopt.models.requests import Request, encode, window
from fairopt.progress import progress

if TYPE_CHECKING:
    import torch

    from fairopt.models.head import Rows


@dataclass(frozen=True)
class Divergence:
    """One entry a request. Means are over the tokens of the continuation; distributions are over the vocabulary."""

    n_tokens: npt.NDArray[np.int64]
    kl: npt.NDArray[np.float64]  # mean KL(base || variant), nats a token
    kl_max: npt.NDArray[np.float64]  # of the token where it is largest
    js: npt.NDArray[np.float64]  # mean Jensen-Shannon divergence, nats, at most log 2
    same_top: npt.NDArray[np.float64]  # share of tokens where both models have the same first choice
    entropy_base: npt.NDArray[np.float64]  # mean, nats
    entropy_variant: npt.NDArray[np.float64]


def divergence(
    base: Any,
    variant: Any,
    tokenizer: Any,
    requests: Sequence[Request],
    options: ScoreOptions | None = None,
    *,
    keep_spaces: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Divergence:
    """Set the models' distributions for each token of the continuations side by side.

    Both models read the same token trie. Rows of logits are held for a few positions at a time, so memory does not grow
    with the requests; logits are fp32 and what is done with them float64. The models must share ``tokenizer``.
    ``keep_spaces`` is that of :func:`~fairopt.models.loglikelihood.loglikelihood`.

    Raises :class:`~fairopt.errors.InputError` as :func:`~fairopt.models.loglikelihood.loglikelihood` does, and where
    the models' windows or vocabularies differ.
    """
    from fairopt.models.engine import common_engine, evaluating, read
    from fairopt.models.trie import sequences

    if advance is None:
        with progress("comparing", len(requests), "requests") as bar:
            return divergence(base, variant, tokenizer, requests, options, keep_spaces=keep_spaces, advance=bar)
    options = options or ScoreOptions()
    _require_same(base, variant)
    encoded = encode(tokenizer, requests, window(base), keep_spaces=keep_spaces)
    found, by = sequences(encoded, reverse=options.reverse), common_engine([base, variant])
    asked = np.bincount(found.index, minlength=len(found))
    sums, largest = np.zeros((5, len(found))), np.zeros(len(found))
    parts = read([base, variant], found, by, options.token_budget, reverse=options.reverse)
    with evaluating(base, variant), closing(parts):
        for part in parts:
            each = _by_row(*part.rows)[:, part.rows[0].target_row]
            of = np.repeat(part.sequences, found.n_targets[part.sequences])
            for total, values in zip(sums, each, strict=True):
                np.add.at(total, of, values)
            np.maximum.at(largest, of, each[0])
            advance(int(asked[part.sequences].sum()))
    kl, js, same, entropy_base, entropy_variant = (sums / found.n_targets)[:, found.index]
    n_tokens = found.n_targets[found.index]
    return Divergence(n_tokens, kl, largest[found.index], js, same, entropy_base, entropy_variant)


def _require_same(base: Any, variant: Any) -> None:
    from fairopt.errors import InputError

    for name, of in (("window", window), ("vocabulary", lambda m: m.config.get_text_config().vocab_size)):
        if of(base) != of(variant):
            raise InputError(f"divergence: variant must have the {name} of base, {of(base)} tokens, got {of(variant)}")


def _by_row(base: Rows, variant: Rows) -> npt.NDArray[np.float64]:
    """KL, JS, same first choice, entropy of base, entropy of variant: [5, rows]."""
    import torch

    from fairopt.models.head import LOGITS

    vocabulary = base.head.vocabulary
    height = max(1, LOGITS // vocabulary)  # for the matrix product; what follows holds a dozen times as much a row
    few = max(1, height // 16)
    found = []
    for start in range(0, len(base.hidden), height):
        block = slice(start, start + height)
        logits = [rows.head.logits(rows.hidden[block], 0, vocabulary).float() for rows in (base, variant)]
        for p, q in zip(*(torch.split(each, few) for each in logits), strict=True):
            measured = _measures(p.double().log_softmax(-1), q.to(p.device).double().log_softmax(-1))
            found.append(torch.stack(measured).cpu())
    return np.asarray(torch.cat(found, dim=1).numpy())


def _measures(p: torch.Tensor, q: torch.Tensor) -> list[torch.Tensor]:
    """Of log-probabilities [r, vocabulary]; log p is finite unless the model rules a token out, and 0 log 0 is 0."""
    import torch

    def expected(of: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return torch.where(of == -torch.inf, 0, of.exp() * values).sum(-1)

    middle = torch.logaddexp(p, q) - np.log(2)
    kl = expected(p, p - q)
    js = (expected(p, p - middle) + expected(q, q - middle)) / 2
    same = (p.argmax(-1) == q.argmax(-1)).double()
    return [kl, js, same, -expected(p, p), -expected(q, q)]
