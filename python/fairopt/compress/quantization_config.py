"""The ``quantization_config`` of a model's ``config.json``: which layers are stored quantised, and how.

:func:`describe` writes it and :func:`put_layers` reads it, for :func:`fairopt.save`, :func:`fairopt.load`, the
quantising of folders and transformers' ``from_pretrained`` (``fairopt.hf``) alike: it is understood here alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn

from fairopt.compress import kv_cache
from fairopt.compress.layers import compressible_layers, dense_weight
from fairopt.compress.record import has_record, record
from fairopt.compress.structure.remove import checked_sizes, resize
from fairopt.errors import InputError
from fairopt.nn import (
    ColumnSplitLinear,
    DynamicInt8Linear,
    LlmInt8Linear,
    QuantizedEmbedding,
    QuantizedLinear,
    SparseLinear,
)

T = TypeVar("T")

METHOD = "fairopt"
VERSION = 1
_KEYS = {"quant_method", "version", "recipe", "layers"}
_CACHE = "kv_cache"  # where keys and values are quantised
_STRUCTURE = "structure"  # where blocks have sizes that the config cannot say: block -> dimension -> how many
# Modules that a folder can hold in the place of a linear layer. Each is made by (in_features, out_features, bias,
# **options, device, dtype) and says its options as JSON values; a layer that names no class is the first.
CLASSES: dict[str, type[nn.Module]] = {
    cls.__name__: cls
    for cls in (QuantizedLinear, DynamicInt8Linear, LlmInt8Linear, ColumnSplitLinear, QuantizedEmbedding, SparseLinear)
}
_CLASS = "class"


def describe(model: nn.Module, recipe: str) -> dict[str, Any] | None:
    """The JSON object that :func:`put_layers` reads; None where nothing is quantised."""
    layers = {name: _spec(module) for name, module in stored_layers(model).items()}
    more = {_CACHE: kv_cache.describe(model), _STRUCTURE: record(model).unsaid_sizes if has_record(model) else {}}
    more = {key: value for key, value in more.items() if value}
    if not layers and not more:
        return None
    return {"quant_method": METHOD, "version": VERSION, "recipe": recipe, "layers": layers, **more}


def note(model: Any, recipe: str) -> None:
    """Let the config of a transformers model say what :func:`describe` says, for ``save_pretrained`` to write.

    Without it the folder would hold codes, and who reads it a model of random numbers.
    """
    described = describe(model, recipe)
    if described is not None and hasattr(model, "save_pretrained"):
        model.config.quantization_config = described


def stored_layers(model: nn.Module) -> dict[str, Any]:
    """Name -> module of each class that a folder can hold; not the parts that one of them is made of."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        if type(module) in CLASSES.values() and not any(name.startswith(f"{outer}.parts.") for outer in found):
            found[name] = module
    return found


def check(quantization: Mapping[str, Any], where: str) -> None:
    """Refuse another method, another version, keys that are unknown or absent; ``where`` is named in the error."""
    if quantization.get("quant_method") != METHOD or quantization.get("version") != VERSION:
        found = f"{quantization.get('quant_method')!r} version {quantization.get('version')}"
        raise InputError(f"load: '{where}' must have quant_method {METHOD!r} version {VERSION}, got {found}")
    if quantization.keys() - {_CACHE, _STRUCTURE} != _KEYS:
        raise InputError(f"load: '{where}' must have the keys {_listed(_KEYS)}, got {_listed(quantization)}")
    layers = quantization["layers"]
    if not isinstance(layers, Mapping):
        raise InputError(f"load: '{where}' must map layers to formats, got {layers!r}")
    for name, spec in layers.items():
        if not isinstance(spec, Mapping) or spec.get(_CLASS, QuantizedLinear.__name__) not in CLASSES:
            raise InputError(f"load: layer '{name}' in '{where}' must be one of {_listed(CLASSES)}, got {spec!r}")


def by_own_names(model: Any, said: Mapping[str, T]) -> dict[str, T]:
    """What a folder says of modules, by the names that ``model`` has for them.

    Where the folder is of the same body with another head, or one of the two is the body alone, the prefix of the body
    is put before the names or left out, and heads that ``model`` lacks are left out, as transformers does with tensors.
    """
    prefix = f"{model.base_model_prefix}."
    own = {name for name, _ in model.named_modules()}
    if not hasattr(model, model.base_model_prefix):
        whole = any(name.startswith(prefix) for name in said)
        return {n.removeprefix(prefix): of for n, of in said.items() if not n or n.startswith(prefix) or not whole}
    if own.isdisjoint(filter(None, said)):
        return {f"{prefix}{name}" if name else name: of for name, of in said.items()}
    return {name: of for name, of in said.items() if name in own or name.startswith(prefix)}


def put_layers(model: nn.Module, quantization: Mapping[str, Any], where: str) -> None:
    """Replace the layers of ``model`` that are stored quantised by empty ones on the meta device, ready to be filled.

    Where keys and values are quantised, the model gets its cache; where blocks have sizes of their own, these.

    Raises :class:`~fairopt.errors.InputError`, before anything is replaced, for what :func:`check` refuses, a name that
    is no linear layer of ``model``, and a format or block that does not exist.
    """
    check(quantization, where)
    if _STRUCTURE in quantization:
        resize(model, checked_sizes(model, quantization[_STRUCTURE], where))
    layers = compressible_layers(model)
    replacements = {}
    for name, spec in quantization["layers"].items():
        if name not in layers:
            raise InputError(
                f"load: layer must be a linear one or an embedding of {type(model).__name__}, got {name!r} in '{where}'"
            )
        try:
            replacements[name] = _empty(layers[name], spec)
        except (ValueError, RuntimeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"load: layer '{name}' in '{where}' must have options that its class knows: {reason}"
            ) from None
    if _CACHE in quantization:
        kv_cache.restore(model, quantization[_CACHE], where)
    for name, layer in replacements.items():
        model.set_submodule(name, layer)


def _spec(module: Any) -> dict[str, Any]:
    named = {} if type(module) is QuantizedLinear else {_CLASS: type(module).__name__}
    return {**named, **module.options()}


def _empty(layer: nn.Module, spec: Mapping[str, Any]) -> nn.Module:
    weight = dense_weight(layer)
    n, k = weight.shape
    cls: Any = CLASSES[spec.get(_CLASS, QuantizedLinear.__name__)]
    options = {name: value for name, value in spec.items() if name != _CLASS}
    if isinstance(layer, nn.Embedding) != (cls is QuantizedEmbedding):
        raise TypeError(f"a {type(layer).__name__} cannot be a {cls.__name__}")
    if isinstance(layer, nn.Embedding):
        return QuantizedEmbedding(n, k, layer.padding_idx, **options, device="meta", dtype=weight.dtype)
    bias = layer.bias
    empty: nn.Module = cls(k, n, bias is not None, **options, device="meta", dtype=weight.dtype)
    return empty


def _listed(keys: Any) -> str:
    return ", ".join(sorted(map(str, keys)))
