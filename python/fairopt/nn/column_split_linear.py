"""A linear layer whose input columns are stored in several precisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from fairopt.errors import InputError
from fairopt.nn.quantized_linear import QuantizedLinear
from fairopt.nn.stored_linear import check_width


class ColumnPart(NamedTuple):
    """How many columns, and how they are stored: ``format`` None keeps them dense, ``block`` None takes a whole row."""

    columns: int
    format: str | None
    block: int | None = None

    def make(self, out_features: int, device: Any, dtype: torch.dtype | None) -> nn.Linear | QuantizedLinear:
        """A layer without bias that holds such columns, and no weights yet."""
        if self.format is None:
            return nn.Linear(self.columns, out_features, bias=False, device=device, dtype=dtype)
        return QuantizedLinear(
            self.columns, out_features, bias=False, format=self.format, block=self.row_block, device=device, dtype=dtype
        )

    @property
    def row_block(self) -> int:
        """``block``, or the least block that a row fits into."""
        return self.block or max(16, (self.columns + 15) // 16 * 16)


class ColumnSplitLinear(nn.Module):
    """``y = x W^T + b`` with the columns of W divided into parts, each an own quantised or dense layer.

    What a few columns need more bits for (outliers of LLM.int8, salient ones of a mixed-precision recipe) is kept apart
    from the others: y is the sum of the parts, each rounded to the type of x, plus the bias.

    ``columns`` int64 [in_features]: the inputs of the first part, then those of the second, ...; ``parts``: their
    layers, in order. A new module holds no weights yet: make one with :meth:`from_weight`, or load a state dict into
    it.

    Args:
        in_features, out_features: K and N of the whole.
        bias: whether there is one.
        parts: of each part the number of columns, the format (None: dense) and the block (None: a whole row).
        device: of buffers and parameters.
        dtype: of dense parts and bias.

    Raises:
        InputError: the parts have not in_features columns together, or one has none.
    """

    columns: torch.Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        parts: Sequence[tuple[int, str | None, int | None]],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self._specs = [ColumnPart(*part) for part in parts]
        counts = [part.columns for part in self._specs]
        if sum(counts) != in_features or min(counts, default=0) < 1:
            raise InputError(f"ColumnSplitLinear: parts must have {in_features} columns together, got {counts}")
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("columns", torch.empty(in_features, dtype=torch.int64, device=device or "cpu"))
        self.parts = nn.ModuleList(part.make(out_features, device, dtype) for part in self._specs)
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None

    @classmethod
    def from_weight(
        cls,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        parts: Sequence[tuple[torch.Tensor, str | None, int | None]],
        *,
        pad: bool = False,
    ) -> ColumnSplitLinear:
        """Divide ``weight`` [out, in]; ``parts`` are (columns int64 [n], format or None, block or None).

        Raises:
            InputError: columns that are not each input once; a block that does not divide its part, unless ``pad``.
        """
        n, k = weight.shape
        columns = torch.cat([part[0].reshape(-1) for part in parts]) if parts else torch.empty(0, dtype=torch.int64)
        if columns.numel() != k or not torch.equal(columns.sort().values, torch.arange(k, device=columns.device)):
            raise InputError(
                f"ColumnSplitLinear: parts must name each of the {k} columns once, got {columns.numel()} columns, "
                f"{len(set(columns.tolist()))} of them different"
            )
        specs = [ColumnPart(part[0].numel(), *part[1:]) for part in parts]
        layer = cls(k, n, bias=False, parts=specs, device="meta")
        layer.columns = columns.to(weight.device)
        for i, (part, spec) in enumerate(zip(parts, specs, strict=True)):
            of_part = weight.detach().index_select(1, part[0].to(weight.device))
            if spec.format is None:
                cast(nn.Linear, layer.parts[i]).weight = nn.Parameter(of_part, requires_grad=weight.requires_grad)
            else:
                whole = pad or spec.block is None
                layer.parts[i] = QuantizedLinear.from_weight(of_part, None, spec.format, spec.row_block, pad=whole)
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        return layer

    def options(self) -> dict[str, Any]:
        """What makes another layer of this kind, as JSON values: the keyword arguments beside device and dtype."""
        return {"parts": [list(part) for part in self._specs]}

    def dense_weight(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The weight [out_features, in_features] that the parts say, rounded once to ``dtype``."""
        dense = [
            part.dense_weight(dtype) if isinstance(part, QuantizedLinear) else part.weight.detach().to(dtype)
            for part in self._layers()
        ]
        weight = torch.cat(dense, 1)
        return torch.empty_like(weight).index_copy_(1, self.columns, weight)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all parts and of the column numbers in a state dict; the bias is not counted."""
        sizes = [
            part.stored_bytes if isinstance(part, QuantizedLinear) else part.weight.numel() * part.weight.element_size()
            for part in self._layers()
        ]
        return sum(sizes) + self.columns.numel() * self.columns.element_size()

    @property
    def bits_per_weight(self) -> float:
        """Bits of all parts and of the column numbers as stored, for each weight."""
        return 8 * self.stored_bytes / max(1, self.in_features * self.out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` [..., in_features] of fp32, fp16 or bf16 -> [..., out_features] of the same type."""
        check_width(self, x, self.in_features)
        counts = [part.columns for part in self._specs]
        inputs = torch.split(x.index_select(-1, self.columns), counts, dim=-1)
        first, *others = [part(piece) for part, piece in zip(self._layers(), inputs, strict=True)]
        y: torch.Tensor = sum(others, first)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def _layers(self) -> list[nn.Linear | QuantizedLinear]:
        return cast(list[nn.Linear | QuantizedLinear], list(self.parts))

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this layer beside its parts."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"bits_per_weight={self.bits_per_weight:g}"
        )
