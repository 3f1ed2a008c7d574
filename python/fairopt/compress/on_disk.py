"""Compress a folder into a folder, one weight at a time: memory holds one shard of the result and one dense weight."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairopt.compress import allocator, kv_cache, model_folder, quantization_config, weight_files
from fairopt.compress.compress_layer import compress_layer
from fairopt.compress.layers import dense_by_default, untie
from fairopt.compress.plan import check_finite, check_layer_by_layer, plan
from fairopt.compress.recipe import Chain, Recipe
from fairopt.compress.recipe_text import parse
from fairopt.compress.record import FileRecord, LayerRecord, Record, describe_layer, stored_bytes, summarise
from fairopt.compress.storage import RECORD
from fairopt.errors import InputError
from fairopt.progress import progress

Tensors = dict[str, torch.Tensor]
# What old checkpoints hold and every model computes (transformers ignores the same).
_COMPUTED = (r"rotary_emb\.inv_freq$", r"position_ids$")


def compress_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    recipe: str | Mapping[str, object] | Recipe,
    *,
    seed: int = 0,
) -> Record:
    """Compress a Hugging Face folder of any size; ``out`` appears whole or not at all.

    The result has the same tensors, bit for bit, and the same record as compressing the model in memory, in the type
    that its configuration names, and saving it. Each shard becomes one shard; the tokenizer's files are copied.

    Args:
        folder: with ``config.json`` and safetensors, in one file or in shards.
        out: a new or empty folder, or one that fairopt wrote before, which is then replaced.
        recipe: one that looks at no activations.
        seed: recorded, and used by what draws at random.

    Returns:
        The record as written; :func:`fairopt.load` reads ``out``.

    Raises:
        InputError: for a recipe that needs calibration or does not fit, a folder that is no dense transformers model or
            lacks tensors, weights that are not finite, or a place that cannot be written. ``out`` is then as it was.
    """
    source, parsed = Path(folder), parse(recipe)
    check_layer_by_layer(parsed)
    model = _model_without_weights(source)
    keys = _model_names(model, source)
    conversion = _Conversion(model, plan(model, parsed), seed)
    has_tokenizer = any(any(source.glob(pattern)) for pattern in model_folder.TOKENIZER_FILES)
    with model_folder.whole("compress_folder", Path(out).absolute(), RECORD, has_tokenizer=has_tokenizer) as draft:
        files = _write_shards(conversion, source, keys, draft)
        if parsed.kv_cache is not None:
            kv_cache.attach(model, parsed.kv_cache)
        model_folder.write_configuration(model, draft, quantization_config.describe(model, str(parsed)))
        if has_tokenizer:
            model_folder.write_tokenizer("compress_folder", source, draft)
        record = dataclasses.replace(conversion.record(parsed), files=files)
        (draft / RECORD).write_text(record.to_json(), encoding="utf-8")
    return record


class _Conversion:
    """Turns the tensors of a dense model into those of the compressed one, which takes shape on the meta device."""

    def __init__(self, model: Any, chains: Mapping[str, Chain], seed: int) -> None:
        self.model, self.chains, self.seed = model, chains, seed
        self.dense_bytes = stored_bytes(model)
        self.layers: dict[str, LayerRecord] = {}
        self._names: dict[int, list[str]] = {}
        self._empty: Tensors = model.state_dict(keep_vars=True)
        for name, tensor in self._empty.items():
            self._names.setdefault(id(tensor), []).append(name)
        if any(name in chains for name in dense_by_default(model)):
            untie(model)

    def convert(self, name: str, tensor: torch.Tensor) -> Tensors:
        """What is stored for a dense tensor; for a tied one under the first of its names that stays dense."""
        empty = self._empty[name]
        if tensor.shape != empty.shape:
            shape = list(empty.shape)
            raise InputError(f"compress_folder: tensor '{name}' must have shape {shape}, got {list(tensor.shape)}")
        tensor = tensor.to(empty.dtype) if empty.is_floating_point() else tensor
        names = self._names[id(empty)]
        compressed = [n for n in names if n.endswith("weight") and n.rpartition(".")[0] in self.chains]
        dense = [n for n in names if n not in compressed]
        stored = {dense[0]: tensor} if dense else {}
        for weight in compressed:
            stored |= self._compress(weight.rpartition(".")[0], tensor)
        return stored

    def _compress(self, name: str, weight: torch.Tensor) -> Tensors:
        check_finite(name, weight)
        layer = self.model.get_submodule(name)
        layer.weight = nn.Parameter(weight, requires_grad=False)
        compressed, report = compress_layer(layer, self.chains[name], name, self.seed)
        self.layers[name] = describe_layer(compressed, self.chains[name], report)
        state = {f"{name}.{part}": tensor for part, tensor in compressed.state_dict().items()}
        stored = {part: tensor for part, tensor in state.items() if not tensor.is_meta}  # the bias is still to be read
        self.model.set_submodule(name, compressed.to("meta"))
        allocator.trim()
        return stored

    def unread(self, names: set[str]) -> list[str]:
        """Tensors of the model that are stored under none of ``names``."""
        return [group[0] for group in self._names.values() if names.isdisjoint(group)]

    def read_twice(self, names: list[str]) -> list[str]:
        """Names in ``names`` that are tied to an earlier one."""
        seen: set[int] = set()
        twice = []
        for name in names:
            tensor = id(self._empty[name])
            twice += [name] if tensor in seen else []
            seen.add(tensor)
        return twice

    def record(self, recipe: Recipe) -> Record:
        """The record of all layers, in the model's order."""
        layers = {name: self.layers[name] for name in self.chains}
        return summarise(recipe, layers, self.dense_bytes, self.model, self.seed)


def _model_without_weights(source: Path) -> Any:
    with torch.device("meta"):
        model, quantization = model_folder.empty_model("compress_folder", source)
    if quantization is not None:
        raise InputError(f"compress_folder: folder must hold an uncompressed model, got a quantised one in '{source}'")
    model.tie_weights()
    dtype = model.config.dtype
    return model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype or torch.float32).eval()


def joins_tensors(folder: str | os.PathLike[str]) -> bool:
    """Whether loading makes one tensor of several in the folder, such as experts stored one by one.

    :func:`compress_folder` cannot. Raises :class:`~fairopt.errors.InputError` for a folder that is no dense model.
    """
    source = Path(folder)
    return any(joined for _, _, _, joined in _renamed(_model_without_weights(source), source))


def _model_names(model: Any, source: Path) -> dict[str, dict[str, str]]:
    """File -> tensor in it -> its name in the model."""
    state = model.state_dict()
    ignored = (*(model._keys_to_ignore_on_load_unexpected or ()), *_COMPUTED)
    found: dict[str, dict[str, str]] = {}
    for file, key, name, joined in _renamed(model, source):
        if name not in state and any(re.search(pattern, key) for pattern in ignored):
            continue
        if joined or name not in state:
            raise InputError(
                f"compress_folder: tensor must be one of {type(model).__name__}, got '{key}' in '{source / file}'"
                " (load the model and use fairopt.compress)"
            )
        found.setdefault(file, {})[key] = name
    return found


def _renamed(model: Any, source: Path) -> Iterator[tuple[str, str, str, bool]]:
    """File, tensor in it, its name in the model by transformers' own renaming of old and partial checkpoints, and
    whether that tensor is joined from several."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    transforms = get_model_conversion_mapping(model)
    renamings = [transform for transform in transforms if isinstance(transform, WeightRenaming)]
    converters = [transform for transform in transforms if isinstance(transform, WeightConverter)]
    state = model.state_dict()
    for file, keys in weight_files.tensors_of(source).items():
        for key in keys:
            name, converted = rename_source_key(key, renamings, converters, model.base_model_prefix, state)
            yield file, key, name, converted is not None


def _write_shards(
    conversion: _Conversion, source: Path, keys: Mapping[str, Mapping[str, str]], draft: Path
) -> dict[str, FileRecord]:
    names = [name for shard in keys.values() for name in shard.values()]
    if absent := conversion.unread(set(names)):
        raise InputError(f"compress_folder: '{source}' must hold every tensor of the model, got none for '{absent[0]}'")
    if twice := conversion.read_twice(names):
        raise InputError(f"compress_folder: tied tensor must be stored once, got '{twice[0]}' too in '{source}'")
    files: dict[str, FileRecord] = {}
    shard_of: dict[str, str] = {}
    with torch.no_grad(), progress("compress", len(names), "tensors") as advance:
        for number, (file, shard) in enumerate(keys.items(), 1):
            stored: Tensors = {}
            for tensors in _converted(conversion, source / file, shard):
                stored |= tensors
                advance(1)
            name = weight_files.shard_name(number, len(keys)) if len(keys) > 1 else weight_files.WEIGHTS
            files[name] = weight_files.write(draft / name, stored)
            shard_of |= dict.fromkeys(stored, name)
    if len(files) > 1:
        weight_files.write_index(draft, shard_of, stored_bytes(conversion.model))
    return files


def _converted(conversion: _Conversion, file: Path, shard: Mapping[str, str]) -> Iterator[Tensors]:
    for key, name in shard.items():
        yield conversion.convert(name, weight_files.read_tensor(file, key))
