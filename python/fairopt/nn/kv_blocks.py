"""Keys and values in groups of codes with a scale and a minimum each: what a quantised key-value cache stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class KVBlocks:
    """A quantised tensor [..., n], grouped along its last dimension (format ``int{bits}_asym_float``, docs/formats.md).

    A value is ``code * scale + minimum``, both operations in fp32, rounded once to the type of the cache.
    """

    codes: torch.Tensor  # uint8 [..., ceil(n * bits / 8)], a bit string with the first value in the high bits
    scales: torch.Tensor  # [..., ceil(n / group)], fp32 or the 16-bit type of what was quantised
    minima: torch.Tensor  # like scales

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and minima."""
        return self.codes.nbytes + self.scales.nbytes + self.minima.nbytes

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> KVBlocks:
        """The blocks with each of the three tensors changed: for what leaves the last dimension alone."""
        return KVBlocks(change(self.codes), change(self.scales), change(self.minima))

    def append(self, more: KVBlocks, dim: int) -> KVBlocks:
        """The blocks with ``more`` after them along ``dim``; along the last one if all groups here are whole."""
        return KVBlocks(
            torch.cat([self.codes, more.codes], dim),
            torch.cat([self.scales, more.scales], dim),
            torch.cat([self.minima, more.minima], dim),
        )

    def first(self, groups: int, bits: int, group: int) -> KVBlocks:
        """The first whole ``groups`` along the last dimension."""
        end = groups * group * bits // 8  # whole bytes: a group is a multiple of 16 values
        return KVBlocks(self.codes[..., :end], self.scales[..., :groups], self.minima[..., :groups])


def quantize(x: torch.Tensor, bits: int, group: int) -> KVBlocks:
    """Codes of ``x`` [..., n] in groups of ``group`` along the last dimension, of which the last may be short.

    ``scale = (max - min) / (2^bits - 1)`` and ``code = round_half_even((x - min) / scale)`` in fp32 (KIVI,
    arXiv:2402.02750, section 3). A group of equal values has scale 0 and codes 0, and comes back exactly; KIVI divides
    by 0 there. Of 16-bit ``x`` scale and minimum are kept in the same type, and codes refer to the scale as kept.
    """
    n = x.shape[-1]
    groups = -(-n // group)
    last = torch.arange(groups * group, device=x.device).clamp(max=n - 1)  # repeats the last value: no new extreme
    grouped = x.detach().float()[..., last].reshape(*x.shape[:-1], groups, group)
    minima, maxima = grouped.amin(-1), grouped.amax(-1)
    kept = _kept_dtype(x.dtype)
    scales = ((maxima - minima) / (2**bits - 1)).to(kept)
    step = scales.float()[..., None]
    steps = (grouped - minima[..., None]) / torch.where(step == 0, 1, step)
    codes = steps.round().clamp(0, 2**bits - 1).to(torch.uint8)
    return KVBlocks(_pack(codes.flatten(-2)[..., :n], bits), scales, minima.to(kept))


def dequantize(blocks: KVBlocks, bits: int, group: int, n: int, dtype: torch.dtype) -> torch.Tensor:
    """The values [..., n] that the blocks say."""
    codes = _unpack(blocks.codes, bits, n)
    of = torch.arange(n, device=codes.device) // group
    return (codes * blocks.scales.float()[..., of] + blocks.minima.float()[..., of]).to(dtype)


def bits_per_value(bits: int, group: int, channels: int, dtype: torch.dtype) -> float:
    """Bits of a key or value of a head with that many channels, as :func:`quantize` stores long texts of ``dtype``."""
    extra = 2 * 8 * _kept_dtype(dtype).itemsize  # scale and minimum
    return bits + (extra / group + extra * -(-channels // group) / channels) / 2


def _kept_dtype(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.itemsize == 2 else torch.float32


def _word(bits: int) -> int:
    """Bytes that hold a whole number of values."""
    return 3 if bits == 3 else 1


def _shifts(bits: int, device: torch.device) -> torch.Tensor:
    return torch.arange(8 * _word(bits) - bits, -1, -bits, device=device, dtype=torch.int32)


def _pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    n, size = codes.shape[-1], _word(bits)
    shifts = _shifts(bits, codes.device)
    words = -(-n // len(shifts))
    filled = torch.nn.functional.pad(codes, (0, words * len(shifts) - n))
    word = (filled.reshape(*codes.shape[:-1], words, len(shifts)).int() << shifts).sum(-1, dtype=torch.int32)
    bytes_of = torch.arange(8 * (size - 1), -1, -8, device=codes.device, dtype=torch.int32)
    packed = (word[..., None] >> bytes_of).to(torch.uint8).flatten(-2)
    return packed[..., : -(-n * bits // 8)].contiguous()


def _unpack(packed: torch.Tensor, bits: int, n: int) -> torch.Tensor:
    size = _word(bits)
    words = -(-packed.shape[-1] // size)
    filled = torch.nn.functional.pad(packed, (0, words * size - packed.shape[-1]))
    bytes_of = torch.arange(8 * (size - 1), -1, -8, device=packed.device, dtype=torch.int32)
    word = (filled.reshape(*packed.shape[:-1], words, size).int() << bytes_of).sum(-1, dtype=torch.int32)
    codes: torch.Tensor = (word[..., None] >> _shifts(bits, packed.device)) & (2**bits - 1)
    return codes.flatten(-2)[..., :n]
