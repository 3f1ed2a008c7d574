"""A table of embeddings whose rows stay quantised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from fairopt import ops
from fairopt.errors import InputError
from fairopt.nn.typed_buffers import TypedBuffers


class QuantizedEmbedding(TypedBuffers):
    """Rows of a table W [num_embeddings, embedding_dim] kept quantised; only those asked for are dequantised.

    Buffers: ``codes`` uint8, ``scales`` fp32 and ``zeros`` (empty where the format has none), in rows as
    docs/formats.md lays them out; they keep their types whatever the module is cast to. The table is a constant: no
    gradient reaches it, so ``padding_idx`` is kept for whoever reads it and does nothing here.
    A new module holds no weights yet: make one with :meth:`from_embedding`, or load a state dict into it.

    Args:
        num_embeddings: rows of the table.
        embedding_dim: K, the length of a row.
        padding_idx: as in ``nn.Embedding``.
        format: a name of docs/formats.md.
        block: values a scale, a multiple of 16. The last block of a row may be short.
        device: of the buffers.
        dtype: of the values that come out, float32, float16 or bfloat16; ``module.to(dtype)`` changes it.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        format: str,
        block: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        self.format, self.block = format, block
        self.dtype = dtype or torch.get_default_dtype()
        # The op itself says which shapes and types it stores, without computing.
        stored = ops.quantize_blockwise(torch.empty(num_embeddings, embedding_dim, device="meta"), format, block)
        for name, like in zip(("codes", "scales", "zeros"), stored, strict=True):
            self.register_buffer(name, torch.empty_like(like, device=device or "cpu"))

    @classmethod
    def from_embedding(
        cls, embedding: nn.Embedding, format: str, block: int, *, pad: bool = False
    ) -> QuantizedEmbedding:
        """Quantise the rows of ``embedding``, which is not changed. ``pad`` allows a short last block in each row.

        Raises:
            InputError: ``max_norm`` is set, which renormalises rows while it reads them; or the block does not divide
                ``embedding_dim`` and ``pad`` is off.
        """
        if embedding.max_norm is not None:
            raise InputError(f"QuantizedEmbedding: max_norm must be None, got {embedding.max_norm}")
        n, k = embedding.weight.shape
        if k % block and not pad:
            raise InputError(
                f"QuantizedEmbedding: block must divide embedding_dim = {k} unless pad is set, got {block}"
            )
        weight = embedding.weight.detach()
        table = cls(n, k, embedding.padding_idx, format=format, block=block, device="meta", dtype=weight.dtype)
        table.codes, table.scales, table.zeros = ops.quantize_blockwise(weight, format, block)
        return table

    def options(self) -> dict[str, Any]:
        """What makes another table of this kind, as JSON values: the keyword arguments beside device and dtype."""
        return {"format": self.format, "block": self.block}

    def dense_weight(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The whole table [num_embeddings, embedding_dim]: the fp32 value, rounded once to ``dtype``."""
        rows = (self.codes, self.scales, self.zeros)
        return ops.dequantize_blockwise(*rows, self.format, self.block, self.embedding_dim, dtype)

    def to_embedding(self, dtype: torch.dtype = torch.float32) -> nn.Embedding:
        """A dense table with the dequantised rows in ``dtype``."""
        return nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call, no-any-return]
            self.dense_weight(dtype), freeze=False, padding_idx=self.padding_idx
        )

    @property
    def stored_bytes(self) -> int:
        """Bytes of codes, scales and zero points."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())

    @property
    def bits_per_weight(self) -> float:
        """Bits of codes, scales and zero points as stored, for each weight."""
        return 8 * self.stored_bytes / max(1, self.num_embeddings * self.embedding_dim)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """``ids`` of any shape, int32 or int64 -> [..., embedding_dim] of ``self.dtype``."""
        flat = ids.reshape(-1)
        codes, scales = self.codes.index_select(0, flat), self.scales.index_select(0, flat)
        zeros = self.zeros.index_select(0, flat) if self.zeros.dim() == 2 else self.zeros
        k = self.embedding_dim
        rows = ops.dequantize_blockwise(codes, scales, zeros, self.format, self.block, k, self.dtype)
        return rows.reshape(*ids.shape, k)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this table."""
        padding = "" if self.padding_idx is None else f"padding_idx={self.padding_idx}, "
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, {padding}format={self.format}, block={self.block}, "
            f"bits_per_weight={self.bits_per_weight:g}"
        )

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        self.dtype = fn(torch.empty(0, dtype=self.dtype)).dtype  # a cast chooses the type of what comes out
        return super()._apply(fn, recurse)
