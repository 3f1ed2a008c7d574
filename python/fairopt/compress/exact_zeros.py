"""What is pruned stays zero, in formats too that have no code for zero.

A float zero point puts the codes of a block wherever its smallest and largest value lie, and zero between two of them.
After pruning, such a format takes whole zero points: the codes are those of its twin with an integer zero point
z, and the stored one is ``-(z * s)`` in float32, so that the code z gives ``z * s - z * s``, which is zero. It costs no
byte, and at most half a step of the range.
"""

from __future__ import annotations

import dataclasses

import torch

from fairopt import ops
from fairopt.compress.prune_options import Prune
from fairopt.compress.recipe import WORD_OF_FORMAT, Chain, Quantize
from fairopt.compress.solver_options import Hqq
from fairopt.compress.solvers.base import Solved
from fairopt.compress.solvers.block_error import Codes
from fairopt.compress.solvers.integer_grid import pack_codes

_TINYGEMM_OFFSET = 8  # its zero point is the value of code 8


def needs_whole_zero_points(chain: Chain) -> bool:
    """Whether the chain prunes and then stores float zero points."""
    return isinstance(chain.quantizer, Quantize) and _has_float_zeros(chain.quantizer) and _prunes(chain)


def solving_chain(chain: Chain) -> Chain:
    """The chain in whose format the codes of a layer are chosen: with integer zero points where those must be whole.

    HQQ has a formula for float zero points alone: they are moved afterwards.
    """
    if not needs_whole_zero_points(chain):
        return chain
    assert isinstance(chain.quantizer, Quantize)
    return Chain((*chain.steps[:-1], _twin(chain.quantizer)))


def with_whole_zero_points(weight: torch.Tensor, quantize: Quantize, solved: Solved | None) -> Solved:
    """Codes in the format of ``quantize`` whose value is zero wherever ``weight`` [N, K] is.

    ``solved`` are codes in the format of :func:`solving_chain`, or None for rounding to nearest.
    """
    block = quantize.block_of(weight.shape[1])
    if solved is None:
        codes = Codes(*ops.quantize_blockwise(weight, _twin(quantize).format, block)).solved(0, 0)
        return with_whole_zero_points(weight, quantize, codes)
    scales = solved.scales
    if quantize.double_quant:  # what will be read
        scales = ops.double_dequantize(*ops.double_quantize(scales))
    if isinstance(quantize.solver, Hqq):
        return _moved(weight, quantize, solved, scales)
    offset = _TINYGEMM_OFFSET if quantize.format == "int4_tinygemm" else 0
    return dataclasses.replace(solved, zeros=-((solved.zeros.float() - offset) * scales))


def _moved(weight: torch.Tensor, quantize: Quantize, solved: Solved, scales: torch.Tensor) -> Solved:
    """Zero points of HQQ moved by at most half a step to whole ones, and the weight rounded to nearest again."""
    bits = int(WORD_OF_FORMAT[quantize.format].removeprefix("int"))
    k = weight.shape[1]
    step = torch.where(scales == 0, 1, scales)
    whole = torch.round(-solved.zeros / step).clamp(0, 2**bits - 1)
    columns = torch.arange(k) // quantize.block_of(k)
    position = torch.round(weight / step[:, columns]) + whole[:, columns]
    codes = pack_codes(position.clamp(0, 2**bits - 1).to(torch.uint8), bits)
    return dataclasses.replace(solved, codes=codes, zeros=-(whole * scales))


def _has_float_zeros(quantize: Quantize) -> bool:
    return quantize.format.endswith("_asym_float") or quantize.format == "int4_tinygemm"


def _prunes(chain: Chain) -> bool:
    return any(isinstance(step, Prune) for step in chain.steps)


def _twin(quantize: Quantize) -> Quantize:
    if isinstance(quantize.solver, Hqq):
        return quantize
    return dataclasses.replace(quantize, format=f"{WORD_OF_FORMAT[quantize.format]}_asym")
