"""The integer formats as differentiable functions of their ranges: what a learned rounding needs of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fairopt.compress.recipe import WORD_OF_FORMAT
from fairopt.compress.solvers.block_error import Codes


@dataclass(frozen=True)
class IntegerGrid:
    """Values ``q * scale + offset`` with whole ``lowest <= q <= highest``; scale and offset broadcast over a block."""

    scale: torch.Tensor
    offset: torch.Tensor
    lowest: int
    highest: int
    zero: torch.Tensor | None  # as it is stored, where the format has one
    stored_from: int  # what is added to q to store it

    def steps(self, weight: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """``(weight - offset) / scale + shift`` rounded into the range; the gradient goes through the rounding."""
        position = (weight - self.offset) / self.scale + shift
        return round_through(position).clamp(self.lowest, self.highest)

    def values(self, steps: torch.Tensor) -> torch.Tensor:
        """What they stand for."""
        return steps * self.scale + self.offset


def round_through(x: torch.Tensor) -> torch.Tensor:
    """``round(x)`` with the gradient of x."""
    return x + (torch.round(x) - x).detach()


def integer_grid(format: str, low: torch.Tensor, high: torch.Tensor) -> IntegerGrid:
    """The grid that ``format`` lays over blocks with these smallest and largest values (docs/formats.md)."""
    bits = int(WORD_OF_FORMAT[format].removeprefix("int"))
    half, levels = 2 ** (bits - 1), 2**bits - 1
    if "asym" in format or format == "int4_tinygemm":
        return _asymmetric(format, low, high, half, levels)
    amax = torch.maximum(-low, high)
    narrow = format in ("int8", "int4_sym_7")
    scale = {
        "int8": amax / 127,
        "int4_sym_7": amax / 7,
        "int4_sym_no_clip": torch.maximum(-low / half, high / (half - 1)),
        "int4_sym_signed8": torch.where(-low >= high, -low, -high) / half,
    }.get(format, amax / (half - 0.5))
    return IntegerGrid(
        _nonzero(scale), torch.zeros_like(scale), -half + narrow, half - 1, None, 0 if bits == 8 else half
    )


def _asymmetric(format: str, low: torch.Tensor, high: torch.Tensor, half: int, levels: int) -> IntegerGrid:
    if format.endswith("_asym"):
        low, high = low.clamp(max=0), high.clamp(min=0)
        scale = _nonzero((high - low) / levels)
        zero = round_through(-low / scale).clamp(0, levels)
        return IntegerGrid(scale, -zero * scale, 0, levels, zero, 0)
    scale = _nonzero((high - low) / levels)
    return IntegerGrid(scale, low, 0, levels, low + half * scale if format == "int4_tinygemm" else low, 0)


def _nonzero(scale: torch.Tensor) -> torch.Tensor:
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def stored(grid: IntegerGrid, steps: torch.Tensor, format: str, k: int) -> Codes:
    """The codes of ``steps`` [N, groups, block] for rows of ``k`` values."""
    bits = int(WORD_OF_FORMAT[format].removeprefix("int"))
    codes = (steps + grid.stored_from).to(torch.int16).flatten(1)[:, :k]
    kind = torch.uint8 if format.endswith("_asym") else torch.float32
    zeros = torch.empty(0, dtype=torch.uint8) if grid.zero is None else grid.zero.detach().squeeze(2).to(kind)
    return Codes(pack_codes((codes & 255).to(torch.uint8), bits), grid.scale.detach().squeeze(2).float(), zeros)


def pack_codes(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """uint8 [N, K] below ``2**bits`` -> uint8 [N, ceil(K * bits / 8)]: a bit string, high bits first."""
    n, k = codes.shape
    eight = torch.nn.functional.pad(codes, (0, -k % 8)).reshape(n, -1, 8)  # they fill whole bytes, `bits` of them
    packed = codes.new_zeros(n, eight.shape[1], bits)
    for i in range(8):
        first, below = i * bits // 8, 16 - i * bits % 8 - bits  # bits that follow it among the 16 from that byte on
        if below >= 8:
            packed[..., first] |= eight[..., i] << (below - 8)
        else:
            packed[..., first] |= eight[..., i] >> (8 - below)
            packed[..., first + 1] |= eight[..., i] << below
    return packed.flatten(1)[:, : -(-k * bits // 8)]
