"""GPTQ checkpoints of AutoGPTQ and GPTQModel, versions 1 and 2.

Both store codes along K in int32 words, low bits first, and one row of scales and zero points a group. Version 1 stores
the zero point minus one, version 2 as it is, and labels lie (vllm-project/vllm#38966): where all zero points are equal
and symmetric they say themselves which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fairopt.compress.interchange.layout import Tensors, finite_half, group_sizes, number, same, tensor
from fairopt.compress.interchange.words import code_bits, from_words, pack_rows, row_codes, to_words
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

_BITS = (2, 3, 4, 8)


class Gptq:
    """``qweight`` [K bits / 32, N], ``qzeros`` [groups, N bits / 32], ``scales`` fp16 [groups, N], ``g_idx`` [K]."""

    method = "gptq"

    def __init__(self, version: int) -> None:
        self.version = version

    def refusal(self, layer: QuantizedLinear) -> str | None:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        bits = code_bits(layer.format)
        asymmetric = layer.format == f"int{bits}_asym"
        symmetric = layer.format == "int8" or layer.format.startswith(f"int{bits}_sym")
        if not (symmetric or asymmetric) or bits not in _BITS:
            return f"integers of 2, 3, 4 or 8 bits without float zero points, got {layer.format}"
        if layer.in_features * bits % 32 or layer.out_features * bits % 32:
            shape = f"{layer.out_features} x {layer.in_features}"
            return f"of a shape whose codes fill words of 32 bits, got {shape} of {bits} bits"
        if layer.in_features % layer.block and layer.block < layer.in_features:
            return f"of groups that divide K = {layer.in_features}, got {layer.block}"
        if self.version == 1 and asymmetric and bool((layer.rows()[2] == 0).any()):
            return "of zero points from 1 (version 1 stores them less one; use gptq_v2), got a zero point of 0"
        return None

    def write(self, layer: QuantizedLinear, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        bits = code_bits(layer.format)
        codes, (_, scales, zeros) = row_codes(layer), layer.rows()
        if layer.format == "int8":
            codes = codes + 128  # from two's complement, modulo 256
        if not zeros.numel():
            zeros = torch.full(scales.shape, 1 << (bits - 1), dtype=torch.uint8)
        group = -(-layer.in_features // scales.shape[1])
        of_column = torch.arange(layer.in_features, dtype=torch.int32) // group
        if layer.order is not None:
            codes = torch.empty_like(codes).index_copy_(1, layer.order, codes)
            of_column = torch.empty_like(of_column).index_copy_(0, layer.order, of_column)
        stored = zeros - 1 if self.version == 1 else zeros
        return {
            "qweight": to_words(codes, bits).t().contiguous(),
            "qzeros": to_words(stored.t().contiguous(), bits),
            "scales": finite_half(scales, "scales").t().contiguous(),
            "g_idx": of_column,
        }

    def config(self, layers: Mapping[str, QuantizedLinear], dense: Sequence[str]) -> dict[str, Any]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        format, block = same(layers, "format"), same(layers, "block")
        row = all(layer.block >= layer.in_features for layer in layers.values())
        return {
            "quant_method": self.method,
            "bits": code_bits(format),
            "group_size": -1 if row else block,
            "desc_act": any(layer.order is not None for layer in layers.values()),
            "sym": not format.endswith("_asym"),
            "checkpoint_format": "gptq" if self.version == 1 else "gptq_v2",
            "pack_dtype": "int32",
            "lm_head": any(name.endswith("lm_head") for name in layers),
            "dynamic": {f"-:^{name.replace('.', '[.]')}$": {} for name in dense},
        }

    def marker(self, config: Mapping[str, Any]) -> str:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        return "qweight"

    def read(self, tensors: Tensors, config: Mapping[str, Any], out_features: int, in_features: int) -> QuantizedLinear:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        n, k, bits = out_features, in_features, number(config, "bits", 2)
        if bits not in _BITS or n * bits % 32 or k * bits % 32:
            raise InputError(f"bits must be one of 2, 3, 4, 8 that fill words of 32 bits, got {bits} for {n} x {k}")
        groups, group = group_sizes(k, k if config.get("group_size") == -1 else number(config, "group_size", 1))
        if group % 16 and groups > 1:
            raise InputError(f"group_size must be a multiple of 16, got {group}")
        qweight = tensor(tensors, "qweight", [torch.int32], [k * bits // 32, n])
        qzeros = tensor(tensors, "qzeros", [torch.int32], [groups, n * bits // 32])
        scales = tensor(tensors, "scales", [torch.float16, torch.bfloat16, torch.float32], [groups, n])
        codes = from_words(qweight.t(), bits, k)
        zeros = from_words(qzeros, bits, n).t()
        order = _order(tensors, k, group)
        if order is not None:
            codes = codes[:, order]
        half = 1 << (bits - 1)
        if bool((zeros == zeros[0, 0]).all()) and int(zeros[0, 0]) in (half - 1, half):  # it says itself which version
            symmetric = True
        else:
            symmetric = False
            if config.get("checkpoint_format", "gptq") != "gptq_v2":
                zeros = zeros + 1 & (1 << bits) - 1
        return _layer(codes, scales.float().t(), zeros, bits, symmetric, group, k, order)


def _order(tensors: Tensors, k: int, group: int) -> torch.Tensor | None:
    if "g_idx" not in tensors:
        return None
    return order_of_groups("g_idx", tensor(tensors, "g_idx", [torch.int32, torch.int64], [k]).long(), group)


def order_of_groups(name: str, of_column: torch.Tensor, group: int) -> torch.Tensor | None:
    """Inputs by the group of each, int64 [K] in [0, K / group); None where that is the order they have.

    Raises :class:`~fairopt.errors.InputError` where groups differ in size: one scale would stand for another number of
    inputs than the layout says.
    """
    k = of_column.numel()
    counts = torch.bincount(of_column.clamp(0, k), minlength=-(-k // group))
    if int(of_column.min()) < 0 or not bool((counts == group).all()):
        raise InputError(f"{name} must give each group {group} inputs, got {counts.tolist()[:8]}")
    order = torch.argsort(of_column, stable=True)
    return None if torch.equal(order, torch.arange(k)) else order


def _layer(
    codes: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    bits: int,
    symmetric: bool,
    group: int,
    k: int,
    order: torch.Tensor | None,
) -> QuantizedLinear:
    if symmetric:
        format, zeros = ("int8" if bits == 8 else f"int{bits}_sym"), torch.empty(0, dtype=torch.uint8)
    else:
        format, zeros = f"int{bits}_asym", zeros.contiguous()
    if format == "int8":
        codes = codes + 128
    block = -(-group // 16) * 16
    return QuantizedLinear.from_codes(
        pack_rows(codes, bits), scales.contiguous(), zeros, None, format, block, k, order=order
    )
