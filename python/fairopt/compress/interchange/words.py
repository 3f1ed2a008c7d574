"""Codes between our rows (a bit string, first value in the high bits) and the words of other libraries."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fairopt.nn import QuantizedLinear


def code_bits(format: str) -> int:
    """Bits of one code: ``int3_asym`` has 3, ``nf4`` 4."""
    return int(format[3]) if format.startswith("int") else int(format[2])


def row_codes(layer: QuantizedLinear) -> torch.Tensor:
    """The codes of a layer one a byte: uint8 [out, in]; int8 as two's complement."""
    return unpack_rows(layer.rows()[0], code_bits(layer.format), layer.in_features)


def unpack_rows(rows: torch.Tensor, bits: int, cols: int) -> torch.Tensor:
    """uint8 [n, ceil(cols * bits / 8)], first value in the high bits -> uint8 [n, cols]."""
    return torch.from_numpy(_values(rows.numpy(), bits, cols, "big"))


def pack_rows(values: torch.Tensor, bits: int) -> torch.Tensor:
    """The inverse of :func:`unpack_rows`; the last byte of a row is filled up with zeros."""
    return torch.from_numpy(np.packbits(_bit_string(values.numpy(), bits, "big"), axis=-1, bitorder="big"))


def to_words(values: torch.Tensor, bits: int) -> torch.Tensor:
    """uint8 [..., m] -> int32 [..., ceil(m * bits / 32)], low bits first; codes may span words (3 bits)."""
    string = _bit_string(values.numpy(), bits, "little")
    string = np.pad(string, [(0, 0)] * (string.ndim - 1) + [(0, -string.shape[-1] % 32)])
    return torch.from_numpy(np.packbits(string, axis=-1, bitorder="little").view(np.int32))


def from_words(words: torch.Tensor, bits: int, count: int) -> torch.Tensor:
    """The first ``count`` values of each row of int32 words: the inverse of :func:`to_words`."""
    return torch.from_numpy(_values(np.ascontiguousarray(words.numpy()).view(np.uint8), bits, count, "little"))


def _order(bits: int, first: str) -> NDArray[np.uint8]:
    places = np.arange(bits, dtype=np.uint8)
    return places[::-1] if first == "big" else places


def _bit_string(values: NDArray[np.uint8], bits: int, first: str) -> NDArray[np.uint8]:
    single = (values[..., None] >> _order(bits, first)) & np.uint8(1)
    return single.reshape(*values.shape[:-1], -1)


def _values(packed: NDArray[np.uint8], bits: int, count: int, first: str) -> NDArray[np.uint8]:
    string = np.unpackbits(packed, axis=-1, count=count * bits, bitorder=first)  # type: ignore[call-overload]
    weights = (np.uint8(1) << _order(bits, first)).astype(np.uint8)
    return (string.reshape(*packed.shape[:-1], count, bits) * weights).sum(-1, dtype=np.uint8)  # type: ignore[no-any-return]
