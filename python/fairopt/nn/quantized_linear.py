"""A linear layer whose weight stays quantised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from fairopt import ops
from fairopt.errors import InputError
from fairopt.nn.stored_linear import StoredLinear

_ROWS = ("codes", "scales", "zeros")


class QuantizedLinear(StoredLinear):
    """``y = x W^T + b`` with W [out_features, in_features] kept quantised; the product dequantises as it goes.

    Buffers: ``codes`` uint8, ``scales`` fp32 and ``zeros`` (empty where the format has none), in rows as
    docs/formats.md lays them out; they keep their types whatever the module is cast to. Double quantisation stores
    ``scales`` in uint8 beside ``nested_scales`` and ``nested_offset``. ``order`` [in_features] is there where codes
    were solved in another order than the inputs': column j of the codes belongs to input ``order[j]``. ``bias`` is a
    parameter or None.

    On the CPU :meth:`pack` exchanges the rows for one buffer ``packed`` in the order in which the kernels read memory.
    A state dict holds rows, packed or not, and another device gets rows.

    A new module holds no weights yet: make one with :meth:`from_linear`, or load a state dict into it.

    Args:
        in_features: K, the length of a row.
        out_features: N, the number of rows.
        bias: whether there is one.
        format: a name of docs/formats.md.
        block: values a scale, a multiple of 16. The last block of a row may be short.
        double_quant: whether scales are stored in 8 bits.
        ordered: whether there is an ``order``.
        rotated: whether the product is of :func:`fairopt.ops.hadamard_transform` of weight and input, which is the same
            product, but spreads what stands out.
        device: of buffers and bias.
        dtype: of the bias.
    """

    codes: torch.Tensor | None
    scales: torch.Tensor | None
    zeros: torch.Tensor | None
    nested_scales: torch.Tensor | None
    nested_offset: torch.Tensor | None
    order: torch.Tensor | None
    packed: torch.Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        format: str,
        block: int,
        double_quant: bool = False,
        ordered: bool = False,
        rotated: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.format, self.block, self.rotated = format, block, rotated
        self._mode: str | None = None
        self._default_mode = ops.default_matmul_mode(format)
        self._default_bf16_mode = ops.default_matmul_mode(format, torch.bfloat16)
        # The ops themselves say which shapes and types they store, without computing.
        like = torch.empty(out_features, in_features, device="meta")
        stored = dict(zip(_ROWS, ops.quantize_blockwise(like, format, block), strict=True))
        nested: dict[str, torch.Tensor | None] = dict.fromkeys(("nested_scales", "nested_offset"), None)
        if double_quant:
            names = ("scales", "nested_scales", "nested_offset")
            nested |= zip(names, ops.double_quantize(stored["scales"]), strict=True)
        order = torch.empty(in_features, dtype=torch.int64, device="meta") if ordered else None
        self._stored_bytes = 0
        for name, tensor in {**stored, **nested, "order": order}.items():
            self.register_buffer(name, None if tensor is None else torch.empty_like(tensor, device=device or "cpu"))
            self._stored_bytes += 0 if tensor is None else tensor.numel() * tensor.element_size()
        self.register_buffer("packed", None, persistent=False)
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self._present_first()

    @classmethod
    def from_linear(
        cls, linear: nn.Linear, format: str, block: int, *, pad: bool = False, double_quant: bool = False
    ) -> QuantizedLinear:
        """Quantise the weight of ``linear``, which is not changed. ``pad`` allows a short last block in each row."""
        return cls.from_weight(linear.weight, linear.bias, format, block, pad=pad, double_quant=double_quant)

    @classmethod
    def from_weight(
        cls,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        format: str,
        block: int,
        *,
        pad: bool = False,
        double_quant: bool = False,
        rotated: bool = False,
    ) -> QuantizedLinear:
        """Quantise ``weight`` [out, in] of fp32, fp16 or bf16 to nearest; ``bias`` [out] is copied."""
        if weight.dim() != 2:
            raise InputError(f"QuantizedLinear: weight must be [out_features, in_features], got {list(weight.shape)}")
        k = weight.shape[1]
        if block > 0 and k % block and not pad:
            raise InputError(f"QuantizedLinear: block must divide in_features = {k} unless pad is set, got {block}")
        dense = ops.hadamard_transform(weight.detach().float()) if rotated else weight.detach()
        rows = ops.quantize_blockwise(dense, format, block)
        return cls.from_codes(*rows, bias, format, block, k, double_quant=double_quant, rotated=rotated)

    @classmethod
    def from_codes(
        cls,
        codes: torch.Tensor,
        scales: torch.Tensor,
        zeros: torch.Tensor,
        bias: torch.Tensor | None,
        format: str,
        block: int,
        in_features: int,
        *,
        order: torch.Tensor | None = None,
        double_quant: bool = False,
        rotated: bool = False,
    ) -> QuantizedLinear:
        """The layer of what :func:`fairopt.ops.quantize_blockwise` or a solver returned."""
        layer = cls(
            in_features,
            codes.shape[0],
            bias=False,
            format=format,
            block=block,
            double_quant=double_quant,
            ordered=order is not None,
            rotated=rotated,
            device="meta",
        )
        layer.codes, layer.scales, layer.zeros, layer.order = codes, scales, zeros, order
        if double_quant:
            layer.scales, layer.nested_scales, layer.nested_offset = ops.double_quantize(scales)
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        layer._present_first()
        return layer

    def options(self) -> dict[str, Any]:
        """What makes another layer of this kind, as JSON values: the keyword arguments beside device and dtype."""
        flags = {"double_quant": self.double_quant, "ordered": self.order is not None, "rotated": self.rotated}
        return {"format": self.format, "block": self.block, **{name: True for name, on in flags.items() if on}}

    def rows(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """``codes``, fp32 ``scales`` and ``zeros`` in rows, as :func:`fairopt.ops.quantize_blockwise` lays them out."""
        if self.packed is not None:
            return ops.unpack_weight(self.packed, self.format, self.block, self.out_features, self.in_features)
        assert self.codes is not None
        assert self.scales is not None
        assert self.zeros is not None
        if self.nested_scales is None:
            return self.codes, self.scales, self.zeros
        assert self.nested_offset is not None
        return self.codes, ops.double_dequantize(self.scales, self.nested_scales, self.nested_offset), self.zeros

    def pack(self) -> QuantizedLinear:
        """Exchange the rows for the layout that the CPU kernels read; returns itself.

        Codes of 2 and 3 bits take 4 there and those of 5 and 6 bits 8. Nothing changes on another device.
        """
        if self.packed is None and self._is_on_cpu():
            self.packed = ops.pack_weight(*self.rows(), self.format, self.block, self.in_features)
            self.codes = self.zeros = None
            if self.nested_scales is None:
                self.scales = None
            self._present_first()
        return self

    def unpack(self) -> QuantizedLinear:
        """Exchange the packed layout for rows; returns itself."""
        if self.packed is not None:
            codes, scales, zeros = self.rows()
            self.codes, self.zeros, self.packed = codes, zeros, None
            if self.nested_scales is None:
                self.scales = scales
            self._present_first()
        return self

    @property
    def mode(self) -> str:
        """The arithmetic of the CPU product: ``exact``, ``a24``, ``a16``, ``a8`` or ``i16`` (docs/formats.md).

        Unless one is set, that of ``x`` in fp32; :meth:`mode_for` has the others.
        """
        return self.mode_for(torch.float32)

    @mode.setter
    def mode(self, mode: str | None) -> None:
        known = ops.matmul_modes(self.format)
        if mode is not None and mode not in known:
            raise InputError(f"QuantizedLinear: mode must be one of {', '.join(known)} for {self.format}, got {mode!r}")
        self._mode = mode

    def mode_for(self, dtype: torch.dtype) -> str:
        """The arithmetic for ``x`` of this type: the one that is set, else the default of this machine."""
        return self._mode or (self._default_bf16_mode if dtype == torch.bfloat16 else self._default_mode)

    def dense_weight(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The weight [out_features, in_features] that the codes say: the fp32 value, rounded once to ``dtype``."""
        exact = torch.float32 if self.rotated else dtype
        weight = ops.dequantize_blockwise(*self.rows(), self.format, self.block, self.in_features, exact)
        if self.order is not None:
            weight = torch.empty_like(weight).index_copy_(1, self.order, weight)
        return ops.hadamard_transform(weight, transpose=True).to(dtype) if self.rotated else weight

    @property
    def double_quant(self) -> bool:
        """Whether the scales are stored in 8 bits."""
        return self.nested_scales is not None

    @property
    def stored_bytes(self) -> int:
        """Bytes of codes, scales, zero points and order in a state dict."""
        return self._stored_bytes

    @property
    def bits_per_weight(self) -> float:
        """Bits of codes, scales, zero points and order as stored, for each weight."""
        return 8 * self._stored_bytes / max(1, self.in_features * self.out_features)

    @property
    def resident_bytes(self) -> int:
        """Bytes of the same in memory now: the packed layout widens codes of 2, 3, 5 and 6 bits, and scales of 8."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())

    def forward(
        self, x: torch.Tensor, lora_z: torch.Tensor | None = None, lora_b: torch.Tensor | None = None
    ) -> torch.Tensor:
        """``x`` [..., in_features] of fp32, fp16 or bf16 -> [..., out_features] of the same type.

        ``lora_z`` [..., r] and ``lora_b`` [out_features, r] of that type add the branch of a LoRA, ``lora_z lora_b^T``.
        Under ``torch.autocast`` operands and result have its type.
        """
        x, bias = self._operands(x)
        if lora_z is not None and lora_b is not None:
            lora_z, lora_b = lora_z.to(x.dtype), lora_b.to(x.dtype)
        if self.rotated:
            x = ops.hadamard_transform(x)
        order, packed = self._buffers["order"], self._buffers["packed"]  # as attributes they take a microsecond each
        if order is not None:
            x = x.index_select(-1, order)
        if packed is not None and x.dtype != torch.float64:
            rows, mode = self.out_features, self.mode_for(x.dtype)
            return ops.packed_linear(x, packed, bias, self.format, self.block, rows, mode, lora_z, lora_b)
        on_cuda = x.is_cuda and self._mode in ("a8", "a16", "a24")  # the others are chosen for the CPU
        mode = self._mode if on_cuda and self._mode is not None else "exact"
        y = ops.quantized_linear(x, *self.rows(), bias, self.format, self.block, mode)
        return y if lora_z is None or lora_b is None else y + lora_z @ lora_b.t()

    @property
    def qweight(self) -> torch.Tensor:
        """A stored buffer, under the name by which PEFT finds the device of a quantised layer."""
        return next(self.buffers())

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this layer."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"format={self.format}, block={self.block}, bits_per_weight={self.bits_per_weight:g}"
        )

    def _present_first(self) -> None:
        # torch.export numbers the buffers of the module that it is given, and miscounts after one that is None.
        self._buffers = dict(sorted(self._buffers.items(), key=lambda item: item[1] is None))

    def _is_on_cpu(self) -> bool:
        return self.codes is not None and self.codes.device.type == "cpu"

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        if self.packed is not None and fn(self.packed.new_empty(0)).device.type != "cpu":
            self.unpack()
        arrives = self.codes is not None and self.codes.device.type not in ("cpu", "meta")
        super()._apply(fn, recurse)
        return self.pack() if arrives else self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.packed is not None:
            for name, tensor in zip(_ROWS, self.rows(), strict=True):
                destination.setdefault(prefix + name, tensor)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        was_packed = self.packed is not None
        self.unpack()
        super()._load_from_state_dict(state_dict, prefix, *args)
        if was_packed:
            self.pack()


def set_matmul_mode(model: nn.Module, mode: str | None) -> None:
    """Choose the arithmetic of every quantised layer of a model: ``exact``, ``a24``, ``a16``, ``a8``, ``i16``.

    None chooses the default of this machine. Layers whose format does not know the mode are an error, and then none is
    changed: :class:`~fairopt.errors.InputError`.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, QuantizedLinear)}
    for name, layer in layers.items():
        known = ops.matmul_modes(layer.format)
        if mode is not None and mode not in known:
            requirement = f"one of {', '.join(known)} for {layer.format} in '{name}'"
            raise InputError(f"set_matmul_mode: mode must be {requirement}, got {mode!r}")
    for layer in layers.values():
        layer.mode = mode
