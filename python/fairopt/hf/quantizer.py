"""The quantiser that transformers' ``from_pretrained`` and ``save_pretrained`` call."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.core_model_loading import ConversionOps
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from fairopt.compress import allocator, kv_cache, quantization_config
from fairopt.compress.compress_layer import compress_layer
from fairopt.compress.layers import linear_layers
from fairopt.compress.plan import check_finite, check_layer_by_layer, plan
from fairopt.compress.quantization_config import by_own_names
from fairopt.compress.recipe import Chain, Recipe
from fairopt.compress.recipe_text import parse
from fairopt.compress.record import attach, describe, detach, stored_bytes
from fairopt.compress.resume import Reports
from fairopt.compress.storage import read_record
from fairopt.errors import InputError
from fairopt.hf.config import FairoptConfig
from fairopt.nn import pack

_CLASSES = tuple(quantization_config.CLASSES.values())


class FairoptQuantizer(HfQuantizer):
    """Loads folders that fairopt wrote, and quantises dense ones layer by layer while they are read.

    At no time is there a dense copy of the model: a weight is read, quantised and freed before the next one is read.
    """

    requires_calibration = False
    quantization_config: FairoptConfig

    def _process_model_before_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        files = kwargs.get("checkpoint_files") or []
        self._folder = Path(files[0]).parent if files else None
        if self.pre_quantized:
            stored = self.quantization_config.stored
            if stored is None:
                raise InputError("load: quantization_config must name the layers that are stored quantised, got none")
            for key in stored.keys() & {"layers", "structure"}:
                stored[key] = by_own_names(model, stored[key])
            quantization_config.put_layers(model, stored, str(self._folder or "state_dict"))
            for _, layer in _quantized(model):
                _guard_from_initialisation(layer)
            return model
        _tie(model)
        self._recipe = self._recipe_for(model)
        self._chains = plan(model, self._recipe)
        _refuse_tied(model, self._chains)
        self._dense_bytes = stored_bytes(model)
        self._reports: Reports = {}
        self._refused: list[InputError] = []
        return model

    def _recipe_for(self, model: nn.Module) -> Recipe:
        recipe = parse(self.quantization_config.recipe)
        check_layer_by_layer(recipe)
        kept: list[str] = []
        for pattern in self.quantization_config.modules_to_not_convert or ():
            matched = [name for name in linear_layers(model) if not should_convert_module(name, [pattern])]
            if not matched:
                raise InputError(f"FairoptConfig: modules_to_not_convert must match linear layers, got {pattern!r}")
            kept += matched
        return dataclasses.replace(recipe, keep=(*recipe.keep, *kept))

    def param_needs_quantization(self, model: Any, param_name: str, **kwargs: Any) -> bool:
        """Whether this tensor of the checkpoint is the weight of a layer that the recipe compresses."""
        name, _, tensor = param_name.rpartition(".")
        return not self.pre_quantized and tensor == "weight" and name in self._chains

    def get_quantize_ops(self) -> ConversionOps:
        """What turns a weight that was just read into a compressed layer."""
        return _CompressOnLoad(self._chains, self._reports, self._refused)

    def _process_model_after_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        if not self.pre_quantized and self._refused:
            raise self._refused[0]
        for name, layer in _quantized(model):
            del layer.weight
            if self.pre_quantized:
                _check_loaded(name, layer)
        if not self.pre_quantized:
            if self._recipe.kv_cache is not None:
                kv_cache.attach(model, self._recipe.kv_cache)
            attach(model, describe(self._recipe, self._chains, self._dense_bytes, model, 0, self._reports))
            self.quantization_config.stored = quantization_config.describe(model, str(self._recipe))
            if self.quantization_config.stored is None:
                self.remove_quantization_config(model)  # type: ignore[no-untyped-call]  # only pruned: a dense model
        elif self._folder is not None and (stored := read_record(self._folder)) is not None:
            attach(model, dataclasses.replace(stored, layers=by_own_names(model, stored.layers)))
        pack(model)
        return model

    def _dequantize(self, model: Any, dtype: torch.dtype | None = None) -> Any:
        for name, layer in _quantized(model):
            model.set_submodule(name, layer.to_linear(dtype or torch.float32))
        detach(model)
        return model

    def is_serializable(self) -> bool:
        """Yes: the buffers are plain tensors, which safetensors writes as they are."""
        return True

    @property
    def is_trainable(self) -> bool:
        """Adapters can be trained on top; the codes themselves are constants."""
        return True

    @property
    def is_compileable(self) -> bool:
        """The operators have fake kernels: torch.compile sees one graph."""
        return True


class _CompressOnLoad(ConversionOps):
    """Puts the compressed layer into the model in place of the empty dense one whose weight was read.

    Of what a conversion raises, transformers makes a table and a RuntimeError without its words. A weight that must be
    refused is therefore noted in ``refused``, nothing is compressed from there on, and the error comes after loading.
    """

    def __init__(self, chains: dict[str, Chain], reports: Reports, refused: list[InputError]) -> None:
        self._chains = chains
        self._reports = reports
        self._refused = refused

    def convert(
        self, input_dict: dict[str, Any], source_patterns: list[str], target_patterns: list[str], **kwargs: Any
    ) -> dict[str, Any]:
        """``input_dict`` maps a weight's full name to the tensor; what stays to be set by transformers is returned."""
        model, missing_keys = kwargs["model"], kwargs["missing_keys"]
        left = {}
        for key, value in input_dict.items():
            name = key.rpartition(".")[0]
            layer = model.get_submodule(name)
            weight = value[0] if isinstance(value, list) else value
            compressed = self._compressed(key, layer, weight)
            if compressed is None:
                layer.weight = nn.Parameter(torch.empty(0, device="meta"), requires_grad=False)
                layer.weight._is_hf_initialized = True
                missing_keys.discard(key)
            elif isinstance(compressed, _CLASSES):
                _guard_from_initialisation(compressed)
                model.set_submodule(name, compressed)
                missing_keys.discard(key)
                allocator.trim()
            else:
                left[key] = compressed.weight
        return left

    def _compressed(self, key: str, layer: Any, weight: torch.Tensor) -> Any:
        """The layer with that weight, compressed; None once a weight was refused."""
        if self._refused:
            return None
        name = key.rpartition(".")[0]
        try:
            if weight.shape != layer.weight.shape:
                shape = list(layer.weight.shape)
                raise InputError(f"load: tensor '{key}' must have shape {shape}, got {list(weight.shape)}")
            check_finite(name, weight)
            layer.weight = nn.Parameter(weight, requires_grad=False)
            compressed, self._reports[name] = compress_layer(layer, self._chains[name], name)
            if getattr(layer.bias, "_is_hf_initialized", False):  # read before the weight: not to be drawn anew
                compressed.bias._is_hf_initialized = True  # type: ignore[union-attr]
        except InputError as error:
            self._refused.append(error)
            return None
        return compressed


def _quantized(model: nn.Module) -> list[tuple[str, Any]]:
    return list(quantization_config.stored_layers(model).items())


def _tie(model: Any) -> None:
    """Tie what transformers ties after loading only: what is tied stays dense, and counts once."""
    for target, source in model.all_tied_weights_keys.items():
        parent, _, name = target.rpartition(".")
        setattr(model.get_submodule(parent), name, model.get_parameter(source))


def _guard_from_initialisation(layer: nn.Module) -> None:
    """Give the layer a ``weight`` that counts as loaded.

    After loading, transformers calls each model's ``_init_weights``, which skips what was loaded; that of GPT-2 and
    others names the weights of their projections, which codes do not have.
    """
    loaded = torch.empty(0, device="meta")
    loaded._is_hf_initialized = True  # type: ignore[attr-defined]
    layer.weight = loaded


def _check_loaded(name: str, layer: nn.Module) -> None:
    """Refuse a layer whose codes were not in the files: transformers would leave whatever lies in memory."""
    for tensor, value in layer.named_buffers():
        if not getattr(value, "_is_hf_initialized", False):
            raise InputError(f"load: tensor '{name}.{tensor}' must be in the weights files, got none")


def _refuse_tied(model: Any, chains: dict[str, Chain]) -> None:
    tied = {key.rpartition(".")[0] for pair in model.all_tied_weights_keys.items() for key in pair}
    named = sorted(tied & chains.keys())
    if named:
        raise InputError(
            f"FairoptConfig: recipe must leave tied layers dense while loading, got '{named[0]}' (load the model, then"
            " use fairopt.compress: it unties them)"
        )
