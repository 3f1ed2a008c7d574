"""Let a transformers model use a quantised cache in every forward pass, without being told."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import nn

from fairopt.errors import InputError

_ATTRIBUTE = "_fairopt_kv_cache"
_ARGUMENT = "past_key_values"


class CacheOptions(NamedTuple):
    """What a :class:`~fairopt.nn.QuantizedCache` is made with."""

    bits: int
    group: int
    residual: int

    def __str__(self) -> str:
        return f"{self.bits} bits, groups of {self.group}, {self.residual} tokens left as they are"


def attach_cache(model: Any, options: CacheOptions) -> None:
    """From now on every forward pass of ``model`` reads keys and values from a quantised cache.

    A pass without a cache gets a new :class:`~fairopt.nn.QuantizedCache`, whatever ``use_cache`` says; an empty
    ``DynamicCache``, such as ``generate`` makes, gets its layers, so that whoever holds it goes on with it; a
    ``QuantizedCache`` is used as it is. Any other cache is an :class:`~fairopt.errors.InputError` of that pass: keys
    and values would not be quantised. Copies of the model do the same.

    Raises :class:`~fairopt.errors.InputError` for a model that cannot have such a cache.
    """
    check_cacheable(model, options)
    body = model.base_model
    setattr(body, _ATTRIBUTE, options)
    body.register_forward_pre_hook(_give_cache, with_kwargs=True)


def attached_cache(model: Any) -> CacheOptions | None:
    """The options of the cache that :func:`attach_cache` gave to the model, or None."""
    return getattr(getattr(model, "base_model", model), _ATTRIBUTE, None)


@contextmanager
def detached_cache(model: Any) -> Iterator[None]:
    """The model with keys and values as they are, for as long as this lasts."""
    body, options = model.base_model, attached_cache(model)
    try:
        if options is not None:
            setattr(body, _ATTRIBUTE, None)
        yield
    finally:
        if options is not None:
            setattr(body, _ATTRIBUTE, options)


def check_cacheable(model: Any, options: CacheOptions) -> None:
    """Raise :class:`~fairopt.errors.InputError` unless :func:`attach_cache` can serve this model."""
    from fairopt.nn.quantized_cache import cache_layers

    if not hasattr(model, "can_generate") or not model.can_generate() or getattr(model, "_is_stateful", False):
        raise InputError(
            f"QuantizedCache: model must be a transformers decoder with a key-value cache, got {type(model).__name__}"
        )
    cache_layers(model.config, *options)
    if _ARGUMENT not in inspect.signature(model.base_model.forward).parameters:
        raise InputError(f"QuantizedCache: model must take {_ARGUMENT}, got {type(model.base_model).__name__}")


def _give_cache(
    body: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    options = attached_cache(body)
    if options is None:
        return args, kwargs
    bound = inspect.signature(body.forward).bind_partial(*args, **kwargs)
    cache = _quantized(bound.arguments.get(_ARGUMENT), options, body)
    at = list(bound.signature.parameters).index(_ARGUMENT)
    if at < len(args):
        return (*args[:at], cache, *args[at + 1 :]), kwargs
    return args, {**kwargs, _ARGUMENT: cache}


def _quantized(given: Any, options: CacheOptions, body: Any) -> Any:
    from transformers import DynamicCache

    from fairopt.nn.quantized_cache import QuantizedCache, QuantizedCacheLayer, cache_layers

    if given is None:
        return QuantizedCache(body.config, *options)
    layers = getattr(given, "layers", None)
    if layers and all(isinstance(layer, QuantizedCacheLayer) for layer in layers):
        return given
    if type(given) is not DynamicCache or given.get_seq_length() > 0 or given.offloading:
        length = given.get_seq_length() if hasattr(given, "get_seq_length") else 0
        raise InputError(
            f"{type(body).__name__}: {_ARGUMENT} must be a QuantizedCache or an empty DynamicCache, for the model's "
            f"keys and values are quantised ({options}), got {type(given).__name__}"
            + (f" of {length} tokens" if length else "")
            + (" with offloading" if getattr(given, "offloading", False) else "")
        )
    given.layers, given.layer_class_to_replicate = [*cache_layers(body.config, *options)], None
    return given
