"""AWQ checkpoints in the GEMM layout of llm-awq and AutoAWQ: INT4 with integer zero points, eight outputs a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fairopt.compress.interchange.layout import Tensors, finite_half, group_sizes, number, same, tensor
from fairopt.compress.interchange.words import from_words, pack_rows, row_codes, to_words
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

_INTERLEAVED = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])  # which of eight outputs lies in the i-th nibble of a word
_PLACE = torch.argsort(_INTERLEAVED)


class Awq:
    """``qweight`` [K, N / 8], ``qzeros`` [groups, N / 8], ``scales`` fp16 [groups, N]; nibbles interleaved along N."""

    method = "awq"

    def refusal(self, layer: QuantizedLinear) -> str | None:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        if layer.format != "int4_asym" and not layer.format.startswith("int4_sym"):
            return f"int4 without float zero points, got {layer.format}"
        if layer.order is not None:
            return "in the order of its inputs, got an order of its own"
        if layer.out_features % 8:
            return f"of outputs in eights, got {layer.out_features}"
        if layer.in_features % layer.block and layer.block < layer.in_features:
            return f"of groups that divide K = {layer.in_features}, got {layer.block}"
        return None

    def write(self, layer: QuantizedLinear, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        _, scales, zeros = layer.rows()
        if not zeros.numel():
            zeros = torch.full(scales.shape, 8, dtype=torch.uint8)
        return {
            "qweight": _interleave(row_codes(layer).t()),
            "qzeros": _interleave(zeros.t()),
            "scales": finite_half(scales, "scales").t().contiguous(),
        }

    def config(self, layers: Mapping[str, QuantizedLinear], dense: Sequence[str]) -> dict[str, Any]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        return {
            "quant_method": self.method,
            "bits": 4,
            "group_size": same(layers, "block"),
            "zero_point": True,
            "version": "gemm",
            "modules_to_not_convert": list(dense),
        }

    def marker(self, config: Mapping[str, Any]) -> str:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        return "qweight"

    def read(self, tensors: Tensors, config: Mapping[str, Any], out_features: int, in_features: int) -> QuantizedLinear:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        n, k = out_features, in_features
        if config.get("bits") != 4 or str(config.get("version", "gemm")).lower() != "gemm" or n % 8:
            got = f"{config.get('bits')} bits, {config.get('version')}, {n} outputs"
            raise InputError(f"layout must be 4 bits, gemm, outputs in eights, got {got}")
        groups, group = group_sizes(k, number(config, "group_size", 1))
        if group % 16:
            raise InputError(f"group_size must be a multiple of 16, got {group}")
        codes = _deinterleave(tensor(tensors, "qweight", [torch.int32], [k, n // 8]))
        zeros = _deinterleave(tensor(tensors, "qzeros", [torch.int32], [groups, n // 8]))
        scales = tensor(tensors, "scales", [torch.float16, torch.bfloat16, torch.float32], [groups, n])
        scales = scales.float().t().contiguous()
        return QuantizedLinear.from_codes(pack_rows(codes, 4), scales, zeros, None, "int4_asym", group, k)


def _interleave(values: torch.Tensor) -> torch.Tensor:
    """uint8 [rows, N] -> int32 [rows, N / 8]."""
    return to_words(values.reshape(values.shape[0], -1, 8)[..., _INTERLEAVED].reshape(values.shape), 4)


def _deinterleave(words: torch.Tensor) -> torch.Tensor:
    """int32 [rows, N / 8] -> uint8 [N, rows]."""
    values = from_words(words, 4, 8 * words.shape[1]).reshape(words.shape[0], -1, 8)[..., _PLACE]
    return values.reshape(words.shape[0], -1).t().contiguous()
