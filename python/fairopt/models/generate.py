"""Continue prompts, many at a time, so that the text of a prompt does not depend on the others.

A batch is padded on the left, padding is masked and positions are given, so a row computes what it would alone, but
for the order of summation in fp32. (Where keys and values are quantised, padding would be seen: there a batch holds
prompts of one length.) Random numbers belong to the prompt: each sample draws from a stream of its own, keyed by (seed,
key of the prompt, number of the sample). A token is the winner of a race: the largest of p over an exponential variate
of its own, which is a draw from p (it is logit / temperature plus Gumbel noise, without the logarithms). It moves with
the logits as little as a draw can, where inverting the distribution would let the rounding of all tokens before it
decide among the rare ones.

What can still differ between batches is a tie: the two largest sums nearer to each other than rounding. If rounding
moves each logarithm by at most e, a sampled token changes with probability at most 2 e, for the gap between the two
has a density of at most 1: about one token in 10**5 in fp32.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fairopt.errors import InputError
from fairopt.models.requests import start_token, tokens, window
from fairopt.progress import progress

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class GenerateOptions:
    """How prompts are continued."""

    max_new_tokens: int = 64
    min_new_tokens: int = 0  # no end token before that many; a stop string still ends the text
    samples: int | None = None  # None: one greedy continuation; k: that many random ones
    temperature: float = 1.0  # of random ones
    stop: tuple[str, ...] = ()  # the text ends before the first of these strings
    seed: int = 0
    token_budget: int = 4096  # tokens of a batch, padding, samples and what is generated included

    def __post_init__(self) -> None:
        for name, least in (("max_new_tokens", 1), ("samples", 1), ("token_budget", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"generate: {name} must be at least {least}, got {value}")
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"generate: temperature must be positive and finite, got {self.temperature}")
        if not 0 <= self.min_new_tokens <= self.max_new_tokens:
            raise InputError(
                f"generate: min_new_tokens must be between 0 and max_new_tokens ({self.max_new_tokens}),"
                f" got {self.min_new_tokens}"
            )
        if "" in self.stop:
            raise InputError("generate: stop must be strings that are not empty, got ''")


@dataclass(frozen=True)
class Generation:
    """One continuation of a prompt."""

    text: str  # without special tokens, up to the first stop string
    n_tokens: int  # generated, the end token included
    ll: float  # sum of their log p under the model (temperature 1), nats
    finish: Literal["end", "stop", "length"]
    ids: tuple[int, ...]  # the tokens generated, those after a stop string included
    prompt_ids: tuple[int, ...]  # what the model read before them
    truncated: bool  # the prompt lost its beginning to fit the model's window


@dataclass(frozen=True)
class _Prompt:
    """A prompt as tokens."""

    ids: list[int]
    truncated: bool


@dataclass
class _Row:
    """One continuation while it grows."""

    prompt: int
    random: np.random.Generator | None  # None: greedy
    ids: list[int]
    ll: float = 0.0


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    options: GenerateOptions | None = None,
    *,
    keys: Sequence[str] | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[list[Generation]]:
    """Continuations of each prompt: one greedy, or ``options.samples`` random ones, in the order of the prompts.

    Args:
        model: a causal transformers model with a key-value cache; it is not changed.
        tokenizer: its tokenizer. A prompt starts with exactly one BOS token if there is one; a prompt that leaves no
            room for ``max_new_tokens`` in the window loses its beginning.
        prompts: texts; an empty one starts from BOS or EOS alone.
        options: see :class:`GenerateOptions`.
        keys: names of the prompts for the random numbers, such as item ids; the prompts themselves if None.
        advance: called with the number of prompts just done; without it a progress bar is shown.

    Raises :class:`~fairopt.errors.InputError` for recurrent or encoder-decoder models, for ``max_new_tokens`` that does
    not fit the window, and for ``keys`` of another number than the prompts.
    """
    if advance is None:
        with progress("generating", len(prompts), "prompts") as bar:
            return generate(model, tokenizer, prompts, options, keys=keys, advance=bar)
    from fairopt.models.engine import evaluating
    from fairopt.models.padded import takes_padding

    options = options or GenerateOptions()
    keys = prompts if keys is None else keys
    if len(keys) != len(prompts):
        raise InputError(f"generate: keys must be one a prompt ({len(prompts)}), got {len(keys)}")
    encoded = _encode(model, tokenizer, prompts, options)
    found: list[list[Generation]] = [[] for _ in prompts]
    with evaluating(model):
        for batch in _batches(encoded, options, padding=takes_padding(model)):
            rows = [row for prompt in batch for row in _rows(prompt, keys[prompt], options)]
            for row, generation in _continue(model, tokenizer, encoded, rows, options):
                found[row.prompt].append(generation)
            advance(len(batch))
    return found


def _encode(model: Any, tokenizer: Any, prompts: Sequence[str], options: GenerateOptions) -> list[_Prompt]:
    if model._is_stateful or model.config.is_encoder_decoder:
        raise InputError(
            f"generate: model must be a decoder with a key-value cache, got {type(model).__name__}, which is "
            + ("recurrent" if model._is_stateful else "an encoder and a decoder")
        )
    limit, start = window(model), start_token(tokenizer)
    if limit is not None and options.max_new_tokens >= limit:
        raise InputError(
            f"generate: max_new_tokens must be less than the model's window of {limit}, got {options.max_new_tokens}"
        )
    found = []
    for ids in tokens(tokenizer, prompts):
        begins = (tokenizer.bos_token_id is not None or not ids) and ids[:1] != [start]
        whole = [start, *ids] if begins else ids
        kept = whole if limit is None else whole[-(limit - options.max_new_tokens) :]
        found.append(_Prompt(kept, len(kept) < len(whole)))
    return found


def _batches(encoded: Sequence[_Prompt], options: GenerateOptions, *, padding: bool) -> Iterator[list[int]]:
    """Prompts of similar or, without ``padding``, of one length, the longest first; one may exceed the budget."""
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i].ids))
    while order:
        longest = len(encoded[order[0]].ids)
        n = max(1, options.token_budget // ((longest + options.max_new_tokens) * (options.samples or 1)))
        if not padding:
            n = min(n, sum(len(encoded[i].ids) == longest for i in order))
        yield order[:n]
        order = order[n:]


def _rows(prompt: int, key: str, options: GenerateOptions) -> list[_Row]:
    if options.samples is None:
        return [_Row(prompt, None, [])]
    return [_Row(prompt, _stream(options.seed, key, sample), []) for sample in range(options.samples)]


def _stream(seed: int, key: str, sample: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}\0{sample}\0{key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def _continue(
    model: Any, tokenizer: Any, encoded: Sequence[_Prompt], rows: list[_Row], options: GenerateOptions
) -> list[tuple[_Row, Generation]]:
    """Grow all rows together; what is finished leaves the batch. Results are in the order of ``rows``."""
    import torch

    ends = _end_tokens(model, tokenizer)
    done: dict[int, Generation] = {}
    steps = _Steps(model, [encoded[prompt].ids for prompt in dict.fromkeys(row.prompt for row in rows)])
    logits = steps.prefill(copies=options.samples or 1)
    growing = list(range(len(rows)))
    while growing:
        logp = logits.double().log_softmax(-1)
        allowed = logp
        if len(rows[growing[0]].ids) < options.min_new_tokens:  # all rows of a batch have grown alike
            allowed = logp.index_fill(1, torch.tensor(sorted(ends), device=logp.device), -torch.inf)
        chosen = _choose(allowed, [rows[index] for index in growing], options.temperature)
        ll = logp.gather(1, chosen[:, None].to(logp.device))[:, 0].tolist()
        kept = []
        for at, (index, token) in enumerate(zip(growing, chosen.tolist(), strict=True)):
            row = rows[index]
            row.ids.append(token)
            row.ll += ll[at]
            finished = _finished(tokenizer, row, encoded[row.prompt], ends, options)
            if finished is None:
                kept.append(at)
            else:
                done[index] = finished
        growing = [growing[at] for at in kept]
        if growing:
            logits = steps.next(torch.tensor(kept), chosen[kept])
    return [(row, done[index]) for index, row in enumerate(rows)]


def _choose(logp: torch.Tensor, rows: Sequence[_Row], temperature: float) -> torch.Tensor:
    """The next token of each row [rows] of [rows, vocabulary]: the first of the likeliest, or a draw."""
    import torch

    if rows[0].random is None:
        return logp.argmax(-1).cpu()
    p = (logp / temperature).softmax(-1).cpu().numpy()
    times = np.stack([row.random.standard_exponential(p.shape[1]) for row in rows if row.random is not None])
    return torch.from_numpy((p / times).argmax(-1))


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*several, tokenizer.eos_token_id] if token is not None}


def _finished(
    tokenizer: Any, row: _Row, prompt: _Prompt, ends: set[int], options: GenerateOptions
) -> Generation | None:
    ended, full = row.ids[-1] in ends, len(row.ids) == options.max_new_tokens
    if not (ended or full or options.stop):
        return None
    text = tokenizer.decode(row.ids[:-1] if ended else row.ids, skip_special_tokens=True)
    cuts = [text.index(stop) for stop in options.stop if stop in text]
    if not (cuts or ended or full):
        return None
    return Generation(
        text=text[: min(cuts)] if cuts else text,
        n_tokens=len(row.ids),
        ll=row.ll,
        finish="stop" if cuts else "end" if ended else "length",
        ids=tuple(row.ids),
        prompt_ids=tuple(prompt.ids),
        truncated=prompt.truncated,
    )


class _Steps:
    """Forward passes over a batch padded on the left, with its key-value cache."""

    def __init__(self, model: Any, prompts: Sequence[list[int]]) -> None:
        import torch
        from transformers import DynamicCache

        width = max(map(len, prompts))
        accepted = inspect.signature(model.forward).parameters
        self._model = model
        self._gives_positions = "position_ids" in accepted
        self._keeps = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._cache = DynamicCache(config=model.config)
        self._ids = torch.zeros(len(prompts), width, dtype=torch.long)
        self._attended = torch.zeros_like(self._ids)
        for row, ids in enumerate(prompts):
            self._ids[row, width - len(ids) :] = torch.tensor(ids)
            self._attended[row, width - len(ids) :] = 1

    def prefill(self, *, copies: int) -> torch.Tensor:
        """Logits [prompts * copies, vocabulary] after the prompts, which are read once."""
        positions = (self._attended.cumsum(1) - 1).clamp(min=0)
        logits = self._forward(self._ids, positions)
        self._cache.batch_repeat_interleave(copies)
        self._attended = self._attended.repeat_interleave(copies, dim=0)
        return logits.repeat_interleave(copies, dim=0)

    def next(self, kept: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Logits [kept, vocabulary] after the ``chosen`` tokens [kept] of the rows that go on."""
        import torch

        if len(kept) < len(self._attended):
            self._cache.batch_select_indices(kept.to(self._model.device))
        self._attended = torch.cat([self._attended[kept], torch.ones(len(kept), 1, dtype=torch.long)], dim=1)
        return self._forward(chosen[:, None], self._attended.sum(1, keepdim=True) - 1)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        device = self._model.device
        found: torch.Tensor = self._model(
            input_ids=ids.to(device),
            attention_mask=self._attended.to(device),
            past_key_values=self._cache,
            use_cache=True,
            **({"position_ids": positions.to(device)} if self._gives_positions else {}),  # others read the mask
            **self._keeps,
        ).logits
        return found[:, -1].float()
