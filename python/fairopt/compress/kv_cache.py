"""The cache step of a recipe: keys and values of the attention stay quantised while the model reads and writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fairopt.compress.recipe import KVCache
from fairopt.errors import InputError
from fairopt.nn.attached_cache import CacheOptions, attach_cache, attached_cache, check_cacheable
from fairopt.nn.kv_blocks import bits_per_value as bits_of


def check(model: Any, cache: KVCache) -> None:
    """Raise :class:`~fairopt.errors.InputError` for a model that cannot have such a cache."""
    check_cacheable(model, _options(cache))


def attach(model: Any, cache: KVCache) -> None:
    """Let every forward pass of ``model`` use a :class:`~fairopt.nn.QuantizedCache`."""
    attach_cache(model, _options(cache))


def describe(model: Any) -> dict[str, int] | None:
    """The JSON object that :func:`restore` reads, or None where the model has no quantised cache."""
    options = attached_cache(model)
    return None if options is None else options._asdict()


def restore(model: Any, described: Any, where: str) -> None:
    """Attach the cache that :func:`describe` said; ``where`` is named in an error."""
    fields = {field.name for field in dataclasses.fields(KVCache)}
    if not isinstance(described, Mapping) or described.keys() != fields or set(map(type, described.values())) != {int}:
        raise InputError(f"load: kv_cache in '{where}' must have {', '.join(sorted(fields))}, got {described!r}")
    attach(model, KVCache(**described))


def bits_per_value(model: Any) -> float | None:
    """Bits of a quantised key or value, scales and minima included; None where they are not quantised."""
    options = attached_cache(model)
    if options is None:
        return None
    config = model.config.get_text_config(decoder=True)
    channels = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return bits_of(options.bits, options.group, channels, model.dtype)


def _options(cache: KVCache) -> CacheOptions:
    return CacheOptions(cache.bits, cache.group, cache.residual)
