"""bitsandbytes: NF4 and FP4 with or without double quantisation, and int8 with one scale a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fairopt import ops
from fairopt.compress.interchange.layout import Tensors, tensor
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

_NESTED_BLOCK = 256
_STATE = "weight.quant_state.bitsandbytes__"


class FourBit:
    """``Linear4bit``: codes as we store them, in one column; absmax of blocks that run on from row to row.

    Its blocks equal ours where a block ends with every row.
    """

    method = "bitsandbytes"

    def refusal(self, layer: QuantizedLinear) -> str | None:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        if layer.format not in ("nf4", "fp4"):
            return f"nf4 or fp4, got {layer.format}"
        if layer.order is not None:
            return "in the order of its inputs, got an order of its own"
        if layer.in_features % layer.block:
            return f"of blocks that end with a row of {layer.in_features}, got blocks of {layer.block}"
        return None

    def write(self, layer: QuantizedLinear, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        codes, scales, _ = layer.rows()
        state: dict[str, Any] = {
            "quant_type": layer.format,
            "blocksize": layer.block,
            "dtype": str(dtype).removeprefix("torch."),
            "shape": [layer.out_features, layer.in_features],
        }
        tensors = {"weight": codes.reshape(-1, 1), "weight.quant_map": _codebook(layer.format)}
        if layer.nested_scales is None:
            tensors["weight.absmax"] = scales.reshape(-1)
        else:
            assert layer.scales is not None
            assert layer.nested_offset is not None
            tensors["weight.absmax"] = layer.scales.reshape(-1)
            tensors["weight.nested_absmax"] = layer.nested_scales
            tensors["weight.nested_quant_map"] = _dynamic_map()
            offset = float(layer.nested_offset)
            state |= {"nested_blocksize": _NESTED_BLOCK, "nested_dtype": "float32", "nested_offset": offset}
        tensors[_STATE + layer.format] = torch.frombuffer(bytearray(json.dumps(state).encode()), dtype=torch.uint8)
        return tensors

    def config(self, layers: Mapping[str, QuantizedLinear], dense: Sequence[str]) -> dict[str, Any]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        first = next(iter(layers.values()))
        return {
            "quant_method": self.method,
            "load_in_4bit": True,
            "load_in_8bit": False,
            "bnb_4bit_quant_type": first.format,
            "bnb_4bit_use_double_quant": first.double_quant,
            "bnb_4bit_compute_dtype": "float32",
            "llm_int8_skip_modules": list(dense),
        }

    def marker(self, config: Mapping[str, Any]) -> str:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        return "weight.absmax"

    def read(self, tensors: Tensors, config: Mapping[str, Any], out_features: int, in_features: int) -> QuantizedLinear:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        state = _state(tensors)
        format, block = state["quant_type"], state["blocksize"]
        if list(state["shape"]) != [out_features, in_features]:
            raise InputError(f"quant_state shape must be {[out_features, in_features]}, got {state['shape']}")
        if in_features % block:
            raise InputError(f"blocksize must divide rows of {in_features}, got {block}")
        n_blocks = out_features * in_features // block
        codes = tensor(tensors, "weight", [torch.uint8], [out_features * in_features // 2, 1])
        _same_values(tensors, "weight.quant_map", _codebook(format))
        nested = "nested_blocksize" in state
        layer = QuantizedLinear(
            in_features, out_features, bias=False, format=format, block=block, double_quant=nested, device="meta"
        )
        absmax = tensor(tensors, "weight.absmax", [torch.uint8 if nested else torch.float32], [n_blocks])
        layer.codes, layer.scales = codes.reshape(out_features, -1), absmax.reshape(out_features, -1)
        layer.zeros = torch.empty(0, dtype=torch.uint8)
        if nested:
            if state["nested_blocksize"] != _NESTED_BLOCK:
                raise InputError(f"nested_blocksize must be {_NESTED_BLOCK}, got {state['nested_blocksize']}")
            _same_values(tensors, "weight.nested_quant_map", _dynamic_map())
            count = -(-n_blocks // _NESTED_BLOCK)
            layer.nested_scales = tensor(tensors, "weight.nested_absmax", [torch.float32], [count])
            layer.nested_offset = torch.tensor(float(state["nested_offset"]))
        return layer


class EightBit:
    """``Linear8bitLt``: int8 codes and ``SCB``, the largest magnitude of each row; a weight is ``code * SCB / 127``."""

    method = "bitsandbytes"

    def refusal(self, layer: QuantizedLinear) -> str | None:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        if layer.format != "int8" or layer.block < layer.in_features or layer.order is not None:
            return f"int8 with one scale a row, got {layer.format} in blocks of {layer.block}"
        return None

    def write(self, layer: QuantizedLinear, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        codes, scales, _ = layer.rows()
        return {
            "weight": codes.view(torch.int8),
            "SCB": scales.reshape(-1) * 127,
            "weight_format": torch.tensor(0, dtype=torch.uint8),  # rows, as they are
        }

    def config(self, layers: Mapping[str, QuantizedLinear], dense: Sequence[str]) -> dict[str, Any]:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        return {
            "quant_method": self.method,
            "load_in_4bit": False,
            "load_in_8bit": True,
            "llm_int8_threshold": 6.0,
            "llm_int8_skip_modules": list(dense),
        }

    def marker(self, config: Mapping[str, Any]) -> str:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        return "SCB"

    def read(self, tensors: Tensors, config: Mapping[str, Any], out_features: int, in_features: int) -> QuantizedLinear:
        """See :class:`~fairopt.compress.interchange.layout.Layout`."""
        codes = tensor(tensors, "weight", [torch.int8], [out_features, in_features]).contiguous()
        scales = tensor(tensors, "SCB", [torch.float32], [out_features]).reshape(-1, 1) / 127
        block, none = -(-in_features // 16) * 16, torch.empty(0, dtype=torch.uint8)
        return QuantizedLinear.from_codes(codes.view(torch.uint8), scales, none, None, "int8", block, in_features)


def _codebook(format: str) -> torch.Tensor:
    """The values of the 16 codes: what they decode to at scale 1."""
    codes = torch.tensor([[first << 4 | first + 1 for first in range(0, 16, 2)]], dtype=torch.uint8)
    none = torch.empty(0, dtype=torch.uint8)
    return ops.dequantize_blockwise(codes, torch.ones(1, 1), none, format, 16, 16)[0]


def _dynamic_map() -> torch.Tensor:
    """The 256 values of the 8-bit codes of scales, in the same way."""
    return ops.double_dequantize(torch.arange(256, dtype=torch.uint8), torch.ones(1), torch.zeros(()))


def _same_values(tensors: Tensors, name: str, expected: torch.Tensor) -> None:
    found = tensor(tensors, name, [torch.float32], expected.shape)
    # Older files hold tables with 4 or 5 decimals; another table is off by far more.
    if not torch.allclose(found, expected, rtol=0, atol=1e-4):
        raise InputError(f"{name} must be the table of bitsandbytes, got another one")


def _state(tensors: Tensors) -> dict[str, Any]:
    names = [name for name in tensors if name.startswith(_STATE)]
    if len(names) != 1:
        raise InputError(f"quant_state must be there once as '{_STATE}nf4' or '{_STATE}fp4', got {len(names)}")
    try:
        state: dict[str, Any] = json.loads(bytes(tensors[names[0]].to(torch.uint8).tolist()))
        checked: dict[str, Any] = {
            "quant_type": str(state["quant_type"]),
            "blocksize": int(state["blocksize"]),
            "shape": [int(size) for size in state["shape"]],
        }
        if "nested_blocksize" in state:
            checked |= {
                "nested_blocksize": int(state["nested_blocksize"]),
                "nested_offset": float(state["nested_offset"]),
            }
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"quant_state must be the JSON of a quantisation state, got {error!r}") from None
    if checked["quant_type"] not in ("nf4", "fp4") or checked["blocksize"] < 16 or checked["blocksize"] % 16:
        got = f"{checked['quant_type']} in blocks of {checked['blocksize']}"
        raise InputError(f"quant_state must be nf4 or fp4 in blocks of a multiple of 16, got {got}")
    return checked
