"""HQQ layers as ``hqq.core.quantize.HQQLinear`` keeps them in safetensors: float zero points, groups along K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fairopt.compress.interchange.layout import Tensors, same, tensor
from fairopt.compress.interchange.words import code_bits, pack_rows, row_codes
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

_PACKINGS = {8: "8bit_u8", 4: "4bit_u8", 3: "3bit_32", 2: "2bit_u8"}
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_IN_WORD = 10  # 3-bit codes in a word of 32 bits


class Hqq:
    """``W_q``: groups as rows, several in a byte, the first ones in the high bits; ``scale``, ``zero`` [groups, 1].

    A weight is ``(code - zero) * scale`` there and ``code * scale + zero`` here: the two differ by the rounding of one
    product. A group that is constant has scale 0 here, which HQQ cannot say: it gets code 0 and scale 1.
    """

    method = "hqq"

    def refusal(self, layer: QuantizedLinear) -> str | None:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        bits = code_bits(layer.format)
        if layer.format != f"int{bits}_asym_float" or bits not in _PACKINGS:
            return f"integers of 2, 3, 4 or 8 bits with float zero points, got {layer.format}"
        if layer.order is not None:
            return "in the order of its inputs, got an order of its own"
        groups = layer.out_features * layer.in_features // layer.block
        if layer.in_features % layer.block or (bits != 3 and groups % (8 // bits)):
            return f"of groups that divide K and fill bytes, got {groups} groups of {layer.block}"
        return None

    def write(self, layer: QuantizedLinear, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`. Scales and zero points stay fp32."""
        bits = code_bits(layer.format)
        _, scales, minimum = layer.rows()
        scales, minimum = scales.reshape(-1, 1), minimum.reshape(-1, 1)
        constant = scales == 0
        codes = row_codes(layer).reshape(-1, layer.block).masked_fill(constant, 0)
        scales = scales.masked_fill(constant, 1)
        meta: dict[str, Any] = {
            "nbits": bits,
            "group_size": layer.block,
            "axis": 1,
            "packing": _PACKINGS[bits],
            "unpack_view_dtype": "torch.int32" if bits == 3 else "torch.uint8",
            "compute_dtype": "torch.float32",
            **dict.fromkeys(("view_as_float", "quant_scale", "quant_zero", "offload_meta"), False),
            **dict.fromkeys(("channel_wise", "optimize", "encoded_state_dict", "stores_quant_config"), True),
            "round_zero": False,
        }
        return {
            "W_q": _pack(codes, bits),
            "scale": scales,
            "zero": -minimum / scales,
            "shape": torch.tensor([layer.out_features, layer.in_features]),
            **{name: _encode(value) for name, value in meta.items()},
        }

    def config(self, layers: Mapping[str, QuantizedLinear], dense: Sequence[str]) -> dict[str, Any]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        weights = {
            "nbits": code_bits(same(layers, "format")),
            "group_size": same(layers, "block"),
            "axis": 1,
            "channel_wise": True,
            "optimize": True,
            "round_zero": False,
            "view_as_float": False,
        }
        return {
            "quant_method": self.method,
            "quant_config": {"weight_quant_params": weights, "offload_meta": False},
            "skip_modules": list(dense),
        }

    def marker(self, config: Mapping[str, Any]) -> str:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        return "W_q"

    def read(self, tensors: Tensors, config: Mapping[str, Any], out_features: int, in_features: int) -> QuantizedLinear:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        n, k = out_features, in_features
        bits, group, axis = (_whole(tensors, name) for name in ("nbits", "group_size", "axis"))
        if bits not in _PACKINGS or axis != 1 or group < 16 or group % 16 or k % group:
            got = f"{bits} bits in groups of {group}, axis {axis}"
            raise InputError(f"layer must have 2, 3, 4 or 8 bits in groups of 16 i that divide K, axis 1, got {got}")
        for flag in ("view_as_float", "quant_scale", "quant_zero"):
            if flag in tensors and _whole(tensors, flag):
                raise InputError(f"{flag} must be false, got true")
        groups = n * k // group
        if tensor(tensors, "shape", [torch.int64, torch.int32], [2]).tolist() != [n, k]:
            raise InputError(f"shape must be {[n, k]}, got {tensors['shape'].tolist()}")
        rows = -(-groups // _IN_WORD) if bits == 3 else groups * bits // 8
        packed = tensor(tensors, "W_q", [torch.int32 if bits == 3 else torch.uint8], [rows, group])
        scales = tensor(tensors, "scale", _FLOATS, [groups, 1]).float()
        minimum = -tensor(tensors, "zero", _FLOATS, [groups, 1]).float() * scales
        codes = pack_rows(_unpack(packed, bits)[:groups].reshape(n, k), bits)
        scales, minimum = scales.reshape(n, -1), minimum.reshape(n, -1)
        return QuantizedLinear.from_codes(codes, scales, minimum, None, f"int{bits}_asym_float", group, k)


def _shifts(bits: int) -> list[int]:
    """Of the codes that share a word, in the order of their rows."""
    count = _IN_WORD if bits == 3 else 8 // bits
    return [bits * (count - 1 - i) for i in range(count)]


def _pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """uint8 [groups, g] -> [groups / codes a word, g]; HQQ fills 3-bit words up with rows of zeros."""
    shifts = _shifts(bits)
    wide = codes.to(torch.int32 if bits == 3 else torch.uint8)
    filled = torch.cat([wide, wide.new_zeros(-len(wide) % len(shifts), wide.shape[1])])
    words = torch.zeros_like(filled[: len(filled) // len(shifts)])
    for part, shift in zip(filled.chunk(len(shifts)), shifts, strict=True):
        words |= part << shift
    return words


def _unpack(words: torch.Tensor, bits: int) -> torch.Tensor:
    parts = [(words >> shift & (1 << bits) - 1).to(torch.uint8) for shift in _shifts(bits)]
    return torch.cat(parts)


def _encode(value: bool | int | str) -> torch.Tensor:
    """A tensor for what is none: HQQ's own way, so that safetensors can hold it."""
    if isinstance(value, str):
        return torch.tensor(list(value.encode("ascii")), dtype=torch.uint8)
    return torch.tensor(int(value), dtype=torch.uint8 if isinstance(value, bool) else torch.int32)


def _whole(tensors: Tensors, name: str) -> int:
    found = tensors.get(name)
    if found is None or found.numel() != 1 or found.is_floating_point():
        raise InputError(f"{name} must be one whole number, got {None if found is None else list(found.shape)}")
    return int(found)
