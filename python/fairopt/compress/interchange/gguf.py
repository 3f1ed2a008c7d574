"""GGUF files for llama.cpp: Q4_0 and Q8_0 with our codes as they are, Q4_K rounded from the weights.

The file holds weights and hyperparameters and says that it has no vocabulary: llama.cpp opens it and takes token ids.
llama.cpp's own converter writes vocabularies.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from fairopt.compress.interchange import dense
from fairopt.compress.interchange.layout import finite_half, rotation_refusal
from fairopt.compress.interchange.words import row_codes
from fairopt.compress.quantization_config import stored_layers
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}  # transformers' model type -> GGUF's
_BLOCK, _SUPER_BLOCK = 32, 256


def write_file(model: PreTrainedModel, file: Path, kind: str) -> Path:
    """Write ``model`` as one GGUF file of ``kind`` q4_0, q8_0 or q4_k; whole or not at all.

    Raises:
        InputError: for an architecture that is not Llama's, Mistral's or Qwen2's, a rotation of positions that GGUF has
            no place for, a layer in another format than ``int4:sym_signed8,g=32`` (q4_0) or ``int8:g=32`` (q8_0), rows
            that 256 does not divide (q4_k), or a folder that cannot be written.
    """
    if importlib.util.find_spec("gguf") is None:
        raise InputError("export: the package gguf must be there to write GGUF, got none (pip install gguf)")
    architecture = _ARCHITECTURES.get(model.config.model_type)
    if architecture is None:
        known = ", ".join(_ARCHITECTURES)
        raise InputError(f"export: model type must be one of {known} for gguf, got {model.config.model_type!r}")
    layers = stored_layers(model)
    for path, layer in layers.items():
        if not isinstance(layer, QuantizedLinear):
            got = type(layer).__name__
            raise InputError(f"export: layers must be QuantizedLinear, got {got} in '{path}' for 'gguf-{kind}'")
        if refused := _refusal(layer, kind) or (kind != "q4_k" and rotation_refusal(layer)):
            raise InputError(f"export: layers must be {refused} in '{path}' for 'gguf-{kind}'")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        os.close(handle)
        try:
            _write(model, layers, draft, architecture, kind)
            os.replace(draft, file)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"export: '{file}' must be writable, got {error.strerror or error}") from None
    return file


def _refusal(layer: QuantizedLinear, kind: str) -> str | None:
    needed = {"q4_0": "int4_sym_signed8", "q8_0": "int8"}.get(kind)
    if needed is None:
        wrong = layer.in_features % _SUPER_BLOCK
        return f"of rows that {_SUPER_BLOCK} divides, got {layer.in_features}" if wrong else None
    if (layer.format, layer.block) != (needed, _BLOCK) or layer.in_features % _BLOCK or layer.order is not None:
        return f"{needed} in blocks of {_BLOCK} that divide a row, got {layer.format} in blocks of {layer.block}"
    return None


def _write(
    model: PreTrainedModel, layers: dict[str, QuantizedLinear], draft: str, architecture: str, kind: str
) -> None:
    import gguf

    type, pack = gguf.GGMLQuantizationType[kind.upper()], _PACK[kind]
    config = model.config
    names = gguf.get_tensor_name_map(
        gguf.MODEL_ARCH.LLAMA if architecture == "llama" else gguf.MODEL_ARCH.QWEN2, config.num_hidden_layers
    )
    writer = gguf.GGUFWriter(draft, architecture)
    _add_hyperparameters(writer, config, kind)
    if (factors := _rope_factors(model, architecture)) is not None:
        writer.add_tensor("rope_freqs.weight", factors)
    for path, tensor in dense.tensors_of(model).items():
        target = names.get_name(path, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise InputError(f"export: tensors must have a name in GGUF's {architecture}, got none for '{path}'")
        rows = _llama_rows(path, config, tensor.shape[0]) if architecture == "llama" else None
        layer = layers.get(path.removesuffix(".weight"))
        if layer is not None and path.endswith(".weight"):
            packed = pack(layer)
            writer.add_tensor(target, packed if rows is None else packed[rows], raw_dtype=type)
        else:
            values = tensor.float().numpy()
            values = values if rows is None else values[rows]
            writer.add_tensor(target, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_hyperparameters(writer: Any, config: Any, kind: str) -> None:
    import gguf

    head = _head_size(config)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_freq_base(_rope_base(config))
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config.vocab_size)
    kinds = {"q4_0": "MOSTLY_Q4_0", "q8_0": "MOSTLY_Q8_0", "q4_k": "MOSTLY_Q4_K_S"}
    writer.add_file_type(gguf.LlamaFileType[kinds[kind]])


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _rope_base(config: Any) -> float:
    return float((getattr(config, "rope_parameters", None) or {}).get("rope_theta", 10000.0))


def _rope_factors(model: PreTrainedModel, architecture: str) -> NDArray[np.float32] | None:
    """By what llama.cpp divides each frequency of the rotation: all that linear and Llama 3's scaling do."""
    kind = (getattr(model.config, "rope_parameters", None) or {}).get("rope_type", "default")
    if kind == "default":
        return None
    known = ("default", "linear", "llama3") if architecture == "llama" else ("default",)
    if kind not in known:
        raise InputError(f"export: rope_type must be one of {', '.join(known)} for gguf's {architecture}, got {kind!r}")
    size, scaled = _head_size(model.config), cast("Any", model.base_model).rotary_emb.inv_freq
    plain = _rope_base(model.config) ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
    factors: NDArray[np.float32] = (plain / scaled.double()).float().numpy()
    return factors


def _llama_rows(path: str, config: Any, rows: int) -> NDArray[np.int64] | None:
    """llama.cpp rotates neighbouring pairs of a head, transformers its halves: the rows in the order that it wants."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(path.split(".")[-2])
    if heads is None:
        return None
    return np.arange(rows).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)


def q4_0(layer: QuantizedLinear) -> NDArray[np.uint8]:
    """Rows of blocks: fp16 scale, 16 bytes whose low nibbles are the first 16 codes, high nibbles the others."""
    codes = row_codes(layer).reshape(layer.out_features, -1, 2, _BLOCK // 2)
    nibbles = codes[:, :, 0] | codes[:, :, 1] << 4
    return _rows(_half(layer.rows()[1]), nibbles.numpy())


def q8_0(layer: QuantizedLinear) -> NDArray[np.uint8]:
    """Rows of blocks: fp16 scale, 32 codes in two's complement."""
    return _rows(_half(layer.rows()[1]), row_codes(layer).reshape(layer.out_features, -1, _BLOCK).numpy())


def _q4_k_of(layer: QuantizedLinear) -> NDArray[np.uint8]:
    return q4_k(layer.dense_weight().numpy())


def q4_k(weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    """fp32 [n, k] -> Q4_K bytes [n, k / 256 * 144]: ``w = d * scale * code - dmin * minimum``, rounded to nearest.

    Eight blocks of 32 share fp16 ``d`` and ``dmin``; their scales and minima have 6 bits. llama.cpp searches for better
    scales; this is the plain rule of its format.
    """
    blocks = weight.reshape(len(weight), -1, _SUPER_BLOCK // _BLOCK, _BLOCK)
    minimum = np.minimum(blocks.min(-1), 0)
    span = (np.maximum(blocks.max(-1), 0) - minimum) / 15
    d, scale = _six_bits(span)
    dmin, low = _six_bits(-minimum)
    step = (d.astype(np.float32) * scale)[..., None]
    steps = (blocks + (dmin.astype(np.float32) * low)[..., None]) / np.where(step > 0, step, 1)
    codes: NDArray[np.uint8] = np.clip(np.rint(steps), 0, 15).astype(np.uint8)
    pairs = codes.reshape(*codes.shape[:2], -1, 2, _BLOCK)  # two blocks share 32 bytes
    nibbles = (pairs[..., 0, :] | pairs[..., 1, :] << 4).reshape(*codes.shape[:2], -1)
    first = scale[..., :4] | scale[..., 4:] >> 4 << 6, low[..., :4] | low[..., 4:] >> 4 << 6
    halves = np.concatenate([*first, scale[..., 4:] & 15 | low[..., 4:] << 4], axis=-1)
    return _rows(np.concatenate([_bytes(d), _bytes(dmin)], axis=-1), np.concatenate([halves, nibbles], axis=-1))


_PACK: dict[str, Callable[[QuantizedLinear], NDArray[np.uint8]]] = {"q4_0": q4_0, "q8_0": q8_0, "q4_k": _q4_k_of}


def _six_bits(values: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Values [..., 8] that are not negative as one fp16 step [..., 1] and multiples of it from 0 to 63."""
    step = (values.max(-1, keepdims=True) / 63).astype(np.float16)
    exact = step.astype(np.float32)
    return step, np.clip(np.rint(values / np.where(exact > 0, exact, 1)), 0, 63).astype(np.uint8)


def _half(scales: torch.Tensor) -> NDArray[np.uint8]:
    return _bytes(finite_half(scales, "scales").numpy()[..., None])


def _bytes(values: NDArray[np.float16]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).view(np.uint8)


def _rows(*parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blocks [n, blocks, bytes] joined part by part, block after block: [n, bytes a row]."""
    joined = np.concatenate(parts, axis=-1)
    return joined.reshape(len(joined), -1)
