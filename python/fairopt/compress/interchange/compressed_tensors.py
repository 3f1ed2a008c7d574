"""compressed-tensors, format ``pack-quantized``: what llm-compressor writes and vLLM reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fairopt.compress.interchange.gptq import order_of_groups
from fairopt.compress.interchange.layout import Tensors, group_sizes, number, same, tensor
from fairopt.compress.interchange.words import code_bits, from_words, pack_rows, row_codes, to_words
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


class CompressedTensors:
    """Codes and zero points shifted to unsigned, in int32 words, low bits first; 32 codes fill as many words as bits.

    ``weight_packed`` [N, words of K codes], ``weight_scale`` [N, groups], ``weight_shape`` int64 [2], and for
    asymmetric codes ``weight_zero_point`` [words of N zero points, groups].
    """

    method = "compressed-tensors"

    def refusal(self, layer: QuantizedLinear) -> str | None:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        if not layer.format.startswith("int") or layer.format.endswith("_float") or layer.format == "int4_tinygemm":
            return f"integers without float zero points, got {layer.format}"
        if layer.order is not None:
            return "in the order of its inputs, got an order of its own"
        if layer.in_features % layer.block and layer.block < layer.in_features:
            return f"of groups that divide K = {layer.in_features}, got {layer.block}"
        return None

    def write(self, layer: QuantizedLinear, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`. Scales are of ``dtype``, as the peer's."""
        bits = code_bits(layer.format)
        codes, (_, scales, zeros) = row_codes(layer), layer.rows()
        if layer.format == "int8":
            codes = codes + 128
        tensors = {
            "weight_packed": to_words(codes, bits),
            "weight_scale": scales.to(dtype),
            "weight_shape": torch.tensor([layer.out_features, layer.in_features]),
        }
        if zeros.numel():
            tensors["weight_zero_point"] = to_words(zeros.t().contiguous(), bits).t().contiguous()
        return tensors

    def config(self, layers: Mapping[str, QuantizedLinear], dense: Sequence[str]) -> dict[str, Any]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        format, block = same(layers, "format"), same(layers, "block")
        row = all(layer.block >= layer.in_features for layer in layers.values())
        weights = {
            "num_bits": code_bits(format),
            "type": "int",
            "symmetric": not format.endswith("_asym"),
            "strategy": "channel" if row else "group",
            "group_size": None if row else block,
            "dynamic": False,
        }
        return {
            "quant_method": self.method,
            "format": "pack-quantized",
            "quantization_status": "compressed",
            "config_groups": {
                "group_0": {
                    "targets": ["Linear"],
                    "weights": weights,
                    "input_activations": None,
                    "output_activations": None,
                }
            },
            "ignore": list(dense),
        }

    def marker(self, config: Mapping[str, Any]) -> str:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        if config.get("format") != "pack-quantized":
            raise InputError(f"load: compressed-tensors format must be pack-quantized, got {config.get('format')!r}")
        return "weight_packed"

    def read(self, tensors: Tensors, config: Mapping[str, Any], out_features: int, in_features: int) -> QuantizedLinear:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        n, k, weights = out_features, in_features, _weights(config)
        bits, symmetric = number(weights, "num_bits", 2), weights.get("symmetric", True)
        if bits not in (2, 3, 4, 5, 6, 8) or weights.get("type") != "int":
            raise InputError(
                f"weights must be integers of 2 to 6 or 8 bits, got {bits} bits of {weights.get('type')!r}"
            )
        row = weights.get("strategy") == "channel"
        groups, group = group_sizes(k, k if row else number(weights, "group_size", 16))
        if group % 16 and not row:
            raise InputError(f"group_size must be a multiple of 16, got {group}")
        shape = tensor(tensors, "weight_shape", [torch.int64, torch.int32], [2]).tolist()
        if shape != [n, k]:
            raise InputError(f"weight_shape must be {[n, k]}, got {shape}")
        words = tensor(tensors, "weight_packed", [torch.int32], [n, -(-k * bits // 32)])
        scales = tensor(tensors, "weight_scale", _FLOATS, [n, groups]).float()
        codes, zeros = from_words(words, bits, k), torch.empty(0, dtype=torch.uint8)
        if not symmetric:
            stored = tensor(tensors, "weight_zero_point", [torch.int32], [-(-n * bits // 32), groups])
            zeros = from_words(stored.t(), bits, n).t().contiguous()
        format = f"int{bits}_{'sym' if symmetric else 'asym'}"
        if format == "int8_sym":
            format, codes = "int8", codes + 128
        order = _order(tensors, k, group)
        if order is not None:
            codes = codes[:, order].contiguous()
        block = -(-group // 16) * 16
        return QuantizedLinear.from_codes(pack_rows(codes, bits), scales, zeros, None, format, block, k, order=order)


def _order(tensors: Tensors, k: int, group: int) -> torch.Tensor | None:
    if "weight_g_idx" not in tensors:
        return None
    of_column = tensor(tensors, "weight_g_idx", [torch.int32, torch.int64], [k]).long()
    return None if bool((of_column == -1).all()) else order_of_groups("weight_g_idx", of_column, group)


def _weights(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """How weights are stored; a checkpoint whose layers differ is more than one format name can say."""
    groups = config.get("config_groups")
    found = [group.get("weights") for group in groups.values()] if isinstance(groups, Mapping) else []
    if len(found) != 1 or not isinstance(found[0], Mapping):
        raise InputError(f"config_groups must be one group with weights, got {len(found)}")
    return found[0]
