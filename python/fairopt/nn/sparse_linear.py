"""A linear layer that stores the weights other than zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fairopt import ops
from fairopt.errors import InputError
from fairopt.nn.stored_linear import StoredLinear

_TYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,
}


class SparseLinear(StoredLinear):
    """``y = x W^T + b`` with a bit for each weight of W [out_features, in_features] and a value for each that is not 0.

    Buffers: ``bitmap`` uint8 [out_features, ceil(in_features / 8)], ``values`` [nonzeros] row by row, and with int8
    values ``scales`` fp32 [out_features] (docs/formats.md); they keep their types whatever the module is cast to.
    ``bias`` is a parameter or None. :meth:`pack` exchanges them for one buffer ``packed`` in the order in which the
    kernels of the device read memory; without it the weight is expanded for each product. A state dict holds bitmap and
    values, packed or not.

    A new module holds no weights yet: make one with :meth:`from_linear`, or load a state dict into it.

    Args:
        in_features: K, the length of a row.
        out_features: N, the number of rows.
        bias: whether there is one.
        value_type: of the values: ``float32``, ``float16``, ``bfloat16`` or ``int8``.
        nonzeros: how many there are.
        device: of buffers and bias.
        dtype: of the bias.
    """

    bitmap: torch.Tensor | None
    values: torch.Tensor | None
    scales: torch.Tensor | None
    packed: torch.Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        value_type: str,
        nonzeros: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if value_type not in _TYPES:
            raise InputError(f"SparseLinear: value_type must be one of {', '.join(_TYPES)}, got {value_type!r}")
        if not 0 <= nonzeros <= in_features * out_features:
            most = in_features * out_features
            raise InputError(f"SparseLinear: nonzeros must be between 0 and {most}, got {nonzeros}")
        self.in_features, self.out_features = in_features, out_features
        self.value_type, self.nonzeros = value_type, nonzeros
        # First: torch.export counts buffers of its root, and loses count after those that packing sets to None.
        self.register_buffer("packed", None, persistent=False)
        bitmap = torch.empty(out_features, -(-in_features // 8), dtype=torch.uint8, device=device)
        self.register_buffer("bitmap", bitmap)
        self.register_buffer("values", torch.empty(nonzeros, dtype=_TYPES[value_type], device=device))
        scales = torch.empty(out_features, dtype=torch.float32, device=device) if value_type == "int8" else None
        self.register_buffer("scales", scales)
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None

    @classmethod
    def from_linear(cls, linear: nn.Linear, value_type: str | None = None) -> SparseLinear:
        """Keep the weights of ``linear`` that are not 0, in their own type or rounded to another; it is not changed."""
        return cls.from_weight(linear.weight, linear.bias, value_type)

    @classmethod
    def from_weight(
        cls, weight: torch.Tensor, bias: torch.Tensor | None, value_type: str | None = None
    ) -> SparseLinear:
        """Keep what is not 0 of ``weight`` [out, in] of fp32, fp16 or bf16; ``bias`` [out] is copied.

        ``int8`` rounds each row by its largest magnitude over 127. What a type rounds to 0 is left out too; what is too
        large for ``float16`` is refused.
        """
        if weight.dim() != 2:
            raise InputError(f"SparseLinear: weight must be [out, in], got {list(weight.shape)}")
        n, k = weight.shape
        value_type = value_type or str(weight.dtype).removeprefix("torch.")
        dense, scales = weight.detach(), None
        if value_type == "int8":
            codes, steps, _ = ops.quantize_blockwise(dense.float(), "int8", max(16, -(-k // 16) * 16))
            dense, scales = codes.view(torch.int8), steps[:, 0].contiguous()
        elif value_type in _TYPES:
            dense = _fitted(dense, value_type)
        values = dense[dense != 0]
        layer = cls(k, n, bias=False, value_type=value_type, nonzeros=values.numel(), device="meta")
        layer.bitmap, layer.values, layer.scales = ops.to_bitmap(dense), values, scales
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        return layer

    def options(self) -> dict[str, Any]:
        """What makes another layer of this kind, as JSON values: the keyword arguments beside device and dtype."""
        return {"value_type": self.value_type, "nonzeros": self.nonzeros}

    def pack(self) -> SparseLinear:
        """Exchange bitmap and values for the layout that the kernels of the device read; returns itself."""
        if self.bitmap is not None and not self.bitmap.is_meta:
            self.packed = ops.pack_sparse(self._dense_values(), self.scales)
            self.bitmap = self.values = self.scales = None
        return self

    def unpack(self) -> SparseLinear:
        """Exchange the packed layout for bitmap and values; returns itself."""
        if self.packed is not None:
            dense, scales = self._unpacked()
            self.bitmap, self.values = ops.to_bitmap(dense), dense[dense != 0]
            self.scales = scales if self.value_type == "int8" else None
            self.packed = None
        return self

    def dense_weight(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The weight [out_features, in_features], zeros included: the fp32 value, rounded once to ``dtype``."""
        dense, scales = self._unpacked()
        return (dense * scales[:, None]).to(dtype) if self.value_type == "int8" else dense.to(dtype)

    @property
    def qweight(self) -> torch.Tensor:
        """The buffer that holds the values, packed or not. PEFT asks it, by this name, for the device of the layer."""
        held = self.values if self.packed is None else self.packed
        assert held is not None
        return held

    @property
    def stored_bytes(self) -> int:
        """Bytes of bitmap, values and scales in a state dict."""
        scales = 4 * self.out_features if self.value_type == "int8" else 0
        bitmap = self.out_features * -(-self.in_features // 8)
        return bitmap + self.nonzeros * _TYPES[self.value_type].itemsize + scales

    @property
    def bits_per_weight(self) -> float:
        """Bits of bitmap, values and scales as stored, for each weight, zeros included."""
        return 8 * self.stored_bytes / max(1, self.in_features * self.out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` [..., in_features] of fp32, fp16 or bf16 -> [..., out_features] of the same type."""
        x, bias = self._operands(x)
        if self.packed is None:
            return functional.linear(x, self.dense_weight(x.dtype), bias)
        return ops.sparse_linear(x, self.packed, bias, _TYPES[self.value_type], self.out_features)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this layer."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"value_type={self.value_type}, nonzeros={self.nonzeros}, bits_per_weight={self.bits_per_weight:g}"
        )

    def _dense_values(self) -> torch.Tensor:
        assert self.bitmap is not None
        assert self.values is not None
        return ops.from_bitmap(self.bitmap, self.values, self.in_features)

    def _unpacked(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.packed is not None:
            dtype = _TYPES[self.value_type]
            return ops.unpack_sparse(self.packed, dtype, self.out_features, self.in_features)
        return self._dense_values(), torch.empty(0) if self.scales is None else self.scales

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        moves = self.packed is not None and fn(self.packed.new_empty(0)).device.type != self.packed.device.type
        if moves:  # every kind of device has its own order
            self.unpack()
        super()._apply(fn, recurse)
        return self.pack() if moves else self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.packed is not None:
            dense, scales = self._unpacked()
            destination[prefix + "bitmap"], destination[prefix + "values"] = ops.to_bitmap(dense), dense[dense != 0]
            if self.value_type == "int8":
                destination[prefix + "scales"] = scales

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        was_packed = self.packed is not None
        self.unpack()
        given = state_dict.get(prefix + "values")
        if given is not None and self.values is not None and given.numel() != self.nonzeros:
            self.nonzeros = given.numel()
            self.values = self.values.new_empty(self.nonzeros)
        super()._load_from_state_dict(state_dict, prefix, *args)
        if was_packed:
            self.pack()


def _fitted(weight: torch.Tensor, value_type: str) -> torch.Tensor:
    """``weight`` rounded to another type."""
    values = weight.to(_TYPES[value_type])
    if value_type == "float16" and (lost := int((weight.isfinite() & ~values.isfinite()).sum())):
        most = torch.finfo(torch.float16).max
        raise InputError(f"SparseLinear: weight must be within {most:g} for float16 values, got {lost} beyond")
    return values
