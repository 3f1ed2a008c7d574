"""Linear layers of one weight, ours and the peers', each in the type and the layout it is made for.

A peer that is not installed is left out and named; none of them is a requirement of the project.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import machine_limits
import torch

from fairopt import ops

FORMATS = [("int4_sym", 128), ("int4_asym", 128), ("nf4", 64), ("int8", 128)]
PEER_BLOCK = 128
BYTE_PRODUCTS = {"exact": 0, "a8": 1, "a16": 2, "a24": 3, "i16": 4}

Layer = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class Contender:
    """A layer with so many copies of its weight that none stays in the cache, and what was measured of it."""

    name: str
    dtype: torch.dtype  # of the activations
    copies: list[Layer]
    bytes: int  # read by one call: codes, scales, zero points
    values: torch.Tensor  # the weights that its codes stand for
    byte_products: int = 0  # products of bytes that make one of a weight and an activation; 0: it multiplies floats
    seconds: list[float] = field(default_factory=list)
    of_limit: list[float] = field(default_factory=list)


def rotation(size: int) -> int:
    """Copies of ``size`` bytes that fill the last-level cache four times."""
    return max(2, 4 * machine_limits.last_level_cache() // size + 1)


def ours(weight: torch.Tensor, formats: list[tuple[str, int]]) -> Iterator[Contender]:
    """Every format in every mode that it has; the modes of a format share its copies."""
    rows, cols = weight.shape
    for format, block in formats:
        tensors = ops.quantize_blockwise(weight, format, block)
        values = ops.dequantize_blockwise(*tensors, format, block, cols)
        packed = ops.pack_weight(*tensors, format, block, cols)
        more = rotation(packed.numel()) - 1
        copies = [packed, *(ops.pack_weight(*tensors, format, block, cols) for _ in range(more))]
        arithmetics = [(mode, torch.float32) for mode in ops.matmul_modes(format)]
        for mode, dtype in [("exact", torch.bfloat16), *arithmetics]:

            def layer(packed: torch.Tensor, format: str = format, block: int = block, mode: str = mode) -> Layer:
                return lambda x: torch.ops.fairopt.packed_linear.default(x, packed, None, format, block, rows, mode)

            yield Contender(
                f"fairopt {format} b{block} {mode} {'bf16' if dtype == torch.bfloat16 else 'fp32'}",
                dtype,
                [layer(p) for p in copies],
                packed.numel(),
                values,
                BYTE_PRODUCTS[mode],
            )


def dense(weight: torch.Tensor, dtype: torch.dtype) -> Contender:
    weights = [weight.to(dtype, copy=True) for _ in range(rotation(weight.numel() * dtype.itemsize))]

    def layer(w: torch.Tensor) -> Layer:
        return lambda x: torch.nn.functional.linear(x, w)

    name = f"torch linear {str(dtype).removeprefix('torch.')}"
    return Contender(name, dtype, [layer(w) for w in weights], weight.numel() * dtype.itemsize, weights[0].float())


def int4pack(weight: torch.Tensor) -> Contender:
    """torch's kernel in the type it is made for, bfloat16; a weight is (code - 8) scale + zero."""
    n, k = weight.shape
    blocks = weight.view(n, k // PEER_BLOCK, PEER_BLOCK)
    scales = (blocks.abs().amax(-1) / 7.5).bfloat16()
    codes = (blocks / scales.float()[..., None]).round().clamp(-8, 7)
    packed = torch._convert_weight_to_int4pack_for_cpu(codes.add(8).to(torch.int32).view(n, k), 1)
    scales_and_zeros = torch.stack([scales.T, torch.zeros_like(scales.T)], -1).contiguous()
    size = packed.numel() + 2 * scales_and_zeros.numel()

    def layer(packed: torch.Tensor, scales_and_zeros: torch.Tensor) -> Layer:
        return lambda x: torch._weight_int4pack_mm_for_cpu(x, packed, PEER_BLOCK, scales_and_zeros)

    layers = [layer(packed.clone(), scales_and_zeros.clone()) for _ in range(rotation(size))]
    values = (codes.double() * scales.double()[..., None]).view(n, k)
    return Contender(f"torch int4pack b{PEER_BLOCK}", torch.bfloat16, layers, size, values)


def dynamic_int8(weight: torch.Tensor) -> Contender:
    """FBGEMM's dynamically quantised linear: int8 weights, activations to uint8 in every call."""
    torch.backends.quantized.engine = "fbgemm"
    qweight = torch.quantize_per_tensor(weight, float(weight.abs().max()) / 127, 0, torch.qint8)
    size = weight.numel()

    def layer(packed: object) -> Layer:
        return lambda x: torch.ops.quantized.linear_dynamic(x, packed, True)

    layers = [layer(torch.ops.quantized.linear_prepack(qweight, None)) for _ in range(rotation(size))]
    return Contender("torch dynamic int8 (fbgemm)", torch.float32, layers, size, qweight.dequantize(), 1)


def bitsandbytes(weight: torch.Tensor) -> Contender:
    """NF4 as its users run it: a module in bfloat16, which packs itself for the CPU where it has a kernel there."""
    import bitsandbytes as bnb

    n, k = weight.shape
    with torch.inference_mode(False):
        module = bnb.nn.Linear4bit(k, n, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4").eval()
        module.load_state_dict({"weight": weight})
        module = module.to("cpu")
    values = bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state).float()
    size = n * k // 2 + 4 * n * k // 64
    return Contender("bitsandbytes nf4 b64", torch.bfloat16, _copies(module, size), size, values)


def torchao(weight: torch.Tensor) -> Iterator[Contender]:
    """Its two int8 modes; its int4 has no kernel for CPUs without AMX or an extra package."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, Int8WeightOnlyConfig, quantize_

    n, k = weight.shape
    for name, config in [
        ("int8 weights", Int8WeightOnlyConfig()),
        ("int8 dynamic", Int8DynamicActivationInt8WeightConfig()),
    ]:
        linear = torch.nn.Linear(k, n, bias=False).to(torch.bfloat16)
        linear.weight.data.copy_(weight)
        quantize_(linear, config)
        values = linear.weight.dequantize().float()
        yield Contender(f"torchao {name}", torch.bfloat16, _copies(linear, n * k), n * k, values)


def llama_cpp(weight: torch.Tensor) -> Iterator[Contender]:
    """Its two 4-bit types of most files, 32 weights a scale; it rounds activations to 8 bits in every call."""
    from ggml_linear import TYPES, Ggml, GgmlLinear, quantized

    ggml, (n, k) = Ggml(), weight.shape
    for name, type in TYPES.items():
        codes, values = quantized(ggml, weight, name)
        copies = [GgmlLinear(ggml, codes, type, n, k) for _ in range(rotation(codes.numel()))]
        yield Contender(f"llama.cpp {name}", torch.float32, list(copies), codes.numel(), values, 1)


def _copies(module: torch.nn.Module, size: int) -> list[Layer]:
    return [copy.deepcopy(module) for _ in range(rotation(size))]


def contenders(weight: torch.Tensor, formats: list[tuple[str, int]] = FORMATS) -> tuple[list[Contender], list[str]]:
    """All that can run here, and the names of the peers that are not installed."""
    everybody = [*ours(weight, formats), int4pack(weight), dynamic_int8(weight)]
    everybody += [dense(weight, torch.float32), dense(weight, torch.bfloat16)]
    missing = [name for name in ("bitsandbytes", "torchao", "llama_cpp") if importlib.util.find_spec(name) is None]
    if "bitsandbytes" not in missing:
        everybody.append(bitsandbytes(weight))
    if "torchao" not in missing:
        everybody += torchao(weight)
    if "llama_cpp" not in missing:
        everybody += llama_cpp(weight)
    return everybody, missing
