"""The door to other libraries' layouts: write a folder in one, read a folder in any."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fairopt.compress import model_folder, weight_files
from fairopt.compress.interchange import dense, folder, gguf
from fairopt.compress.interchange.awq import Awq
from fairopt.compress.interchange.bitsandbytes import EightBit, FourBit
from fairopt.compress.interchange.compressed_tensors import CompressedTensors
from fairopt.compress.interchange.gptq import Gptq
from fairopt.compress.interchange.hqq import Hqq
from fairopt.compress.interchange.layout import Layout
from fairopt.compress.quantization_config import METHOD, note
from fairopt.compress.recipe import Chain, Override, Quantize, Recipe
from fairopt.compress.record import attach, describe, has_record, record, stored_bytes
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear, pack

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LAYOUTS: dict[str, Layout] = {
    "bitsandbytes": FourBit(),
    "bitsandbytes-int8": EightBit(),
    "gptq": Gptq(version=1),
    "gptq_v2": Gptq(version=2),
    "awq": Awq(),
    "compressed-tensors": CompressedTensors(),
    "hqq": Hqq(),
}
GGUF = ("gguf-q4_0", "gguf-q8_0", "gguf-q4_k")
LAYOUTS = ("dense", *_LAYOUTS, *GGUF)
MARK = "fairopt_export.json"  # says that the folder is an export, and of what


def export(
    model: PreTrainedModel,
    dir: str | os.PathLike[str],
    layout: str,
    tokenizer: PreTrainedTokenizerBase | str | os.PathLike[str] | None = None,
) -> Path:
    """Write a compressed model as another library stores it; whole or not at all.

    Codes are written as they are; scales are rounded to the type that the layout has for them (docs/formats.md).

    Args:
        model: what :func:`fairopt.compress` or :func:`fairopt.load` returned; not changed.
        dir: a new or empty folder, or one that ``export`` wrote before, which is then replaced.
        layout: one of ``LAYOUTS``.
        tokenizer: saved beside the model; a path names a folder whose tokenizer files are copied.

    Returns:
        The folder; for ``gguf-...`` it is one file.

    Raises:
        InputError: for an unknown layout, a layer that the layout has no room for (named, before anything is written),
            or a folder that cannot be written.
    """
    if layout not in LAYOUTS:
        raise InputError(f"export: layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    model_folder.check_model("export", model)
    if has_record(model) and (sizes := record(model).unsaid_sizes):
        place, said = next(iter(sizes.items()))
        raise InputError(
            f"export: config must be able to say every size, got {said} of '{place or 'the model'}' (a folder of"
            " fairopt.save can hold it)"
        )
    target = Path(dir).absolute()
    if layout in GGUF:
        return gguf.write_file(model, target, layout.removeprefix("gguf-"))
    quantization, tensors = _contents(model, layout)
    with model_folder.whole("export", target, MARK, has_tokenizer=tokenizer is not None) as draft:
        written = weight_files.write(draft / weight_files.WEIGHTS, tensors)
        model_folder.write_configuration(model, draft, quantization)
        if tokenizer is not None:
            model_folder.write_tokenizer("export", tokenizer, draft)
        mark = {"layout": layout, "bytes": written.bytes, "sha256": written.sha256}
        (draft / MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
    return target


def _contents(model: PreTrainedModel, layout: str) -> tuple[dict[str, Any] | None, dict[str, torch.Tensor]]:
    if layout == "dense":
        return None, dense.tensors_of(model)
    writer = _LAYOUTS[layout]
    layers = folder.layers_to_write(model, writer, layout)
    return writer.config(layers, folder.dense_layers(model)), folder.tensors_of(model, layers, writer)


def layout_of(quantization: Mapping[str, Any]) -> Layout | None:
    """The layout that a quantization_config names; None for methods that we do not read."""
    method = quantization.get("quant_method")
    if method == FourBit.method:
        return _LAYOUTS["bitsandbytes-int8" if quantization.get("load_in_8bit") else "bitsandbytes"]
    return next((layout for layout in _LAYOUTS.values() if layout.method == method), None)


def read_folder(dir: str | os.PathLike[str]) -> PreTrainedModel:
    """Read a folder in the layout of another library as a compressed model, in evaluation mode.

    Raises :class:`~fairopt.errors.InputError` for a method that we do not read, and for tensors that are truncated,
    missing, left over, of another type or of another shape than the configuration says.
    """
    model, quantization = model_folder.empty_model("load", Path(dir))
    if quantization is not None and quantization.get("quant_method") == METHOD:
        raise InputError(
            f"load: folder must hold a model saved by fairopt.save, got '{dir}' without its fairopt.json"
            " (fairopt.hf.from_pretrained reads what save_pretrained wrote)"
        )
    layout = layout_of(quantization or {})
    if quantization is None or layout is None:
        known = ", ".join(sorted({layout.method for layout in _LAYOUTS.values()}))
        got = None if quantization is None else quantization.get("quant_method")
        raise InputError(f"load: quant_method must be fairopt or one of {known}, got {got!r} in '{dir}'")
    dense_bytes = stored_bytes(model)
    model = folder.read(Path(dir), model, layout, quantization)
    chains = {
        path: Chain((_step(layer),)) for path, layer in model.named_modules() if isinstance(layer, QuantizedLinear)
    }
    recipe = _recipe(chains)
    attach(model, describe(recipe, chains, dense_bytes, model, 0))
    note(model, str(recipe))
    pack(model)
    return model


def _step(layer: QuantizedLinear) -> Quantize:
    """What the codes are; how they were chosen, the folder does not say."""
    block = None if layer.block >= layer.in_features else layer.block
    return Quantize(layer.format, block, double_quant=layer.double_quant)


def _recipe(chains: Mapping[str, Chain]) -> Recipe:
    if len(set(chains.values())) == 1:
        return Recipe(next(iter(chains.values())))
    return Recipe(None, tuple(Override(path, chain) for path, chain in chains.items()))
