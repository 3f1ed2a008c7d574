"""The weight formats as their papers and peers define them, in plain torch: the oracle of the layer tests.

NF4: QLoRA (arXiv:2305.14314) appendix E. FP4: bitsandbytes. INT4 symmetric: scale = amax / 7.5 (torchao and
compressed-tensors); asymmetric: scale = range / 15 over a range that includes 0, integer zero point. INT8: scale =
amax / 127.
"""

from __future__ import annotations

import torch

FORMATS = ("nf4", "fp4", "int8", "int4_sym", "int4_asym")

NF4 = torch.tensor(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
        0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # fmt: skip
FP4 = torch.tensor([0.0, 0.0625, 8, 12, 4, 6, 2, 3]) / 12
FP4_THRESHOLDS = torch.tensor([0.00260417, 0.0859375, 0.20833333, 0.29166667, 0.41666667, 0.58333333, 0.83333333])


def _blocks(weight: torch.Tensor, block: int) -> torch.Tensor:
    """[n, k] -> [n, blocks, block], zeros after a short end: zeros change neither amax nor a range that includes 0."""
    n, k = weight.shape
    padded = torch.nn.functional.pad(weight.float(), (0, -k % block))
    return padded.reshape(n, -1, block)


def _divisor(scale: torch.Tensor) -> torch.Tensor:
    return torch.where(scale > 0, scale, 1.0)


def quantize(weight: torch.Tensor, format: str, block: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Unpacked codes [n, k] int64, scales and zero points [n, blocks] float32."""
    x = _blocks(weight, block)
    amax = x.abs().amax(-1, keepdim=True)
    zero = torch.zeros_like(amax)
    if format == "nf4":
        scale = amax
        codes = torch.bucketize((x / _divisor(scale)).contiguous(), (NF4[1:] + NF4[:-1]) / 2)
    elif format == "fp4":
        scale = amax
        order = FP4.argsort()  # rank of a magnitude -> its code
        ratio = (x / _divisor(scale)).contiguous()
        codes = order[torch.bucketize(ratio.abs(), FP4_THRESHOLDS)] + 8 * ratio.signbit()
    elif format == "int8":
        scale = amax / 127
        codes = (x / _divisor(scale)).round().clamp(-127, 127)
    elif format == "int4_sym":
        scale = amax / 7.5
        codes = (x / _divisor(scale)).round().clamp(-8, 7) + 8
    else:
        low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
        scale = (high - low) / 15
        zero = (-low / _divisor(scale)).round().clamp(0, 15)
        codes = ((x / _divisor(scale)).round() + zero).clamp(0, 15)
    n, k = weight.shape
    return codes.reshape(n, -1)[:, :k].long(), scale.squeeze(-1), zero.squeeze(-1)


def dequantize(codes: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, format: str, block: int) -> torch.Tensor:
    """float32 [n, k] from what :func:`quantize` returned."""
    k = codes.shape[1]
    scale, zero = (t.repeat_interleave(block, dim=1)[:, :k] for t in (scales, zeros))
    if format == "nf4":
        return NF4[codes] * scale
    if format == "fp4":
        return torch.where(codes >= 8, -FP4[codes % 8], FP4[codes % 8]) * scale
    return (codes - {"int8": 0, "int4_sym": 8, "int4_asym": zero}[format]) * scale


def fake_quantize(weight: torch.Tensor, format: str, block: int) -> torch.Tensor:
    """What a weight becomes when it is stored in the format, float32."""
    return dequantize(*quantize(weight, format, block), format, block)


def pack(codes: torch.Tensor, format: str, code_of_zero: torch.Tensor) -> torch.Tensor:
    """Bytes as stored: one code each for 8 bits, else the first of two in the high nibble, an odd end filled up."""
    if format == "int8":
        return codes.to(torch.int8).view(torch.uint8)
    if codes.shape[1] % 2:
        codes = torch.cat([codes, code_of_zero.reshape(-1, 1).expand(codes.shape[0], 1)], dim=1)
    return (codes[:, ::2] * 16 + codes[:, 1::2]).to(torch.uint8)


def stored(weight: torch.Tensor, format: str, block: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """codes, scales, zeros exactly as the layer must hold them."""
    codes, scales, zeros = quantize(weight, format, block)
    code_of_zero = {"nf4": 7, "fp4": 0, "int8": 0, "int4_sym": 8}.get(format)
    fill = zeros[:, -1].long() if code_of_zero is None else torch.tensor([code_of_zero])
    packed_zeros = zeros.to(torch.uint8) if format == "int4_asym" else torch.empty(0, dtype=torch.uint8)
    return pack(codes, format, fill), scales, packed_zeros
