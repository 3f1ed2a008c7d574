"""Number formats of compressed weights on NumPy arrays, without torch. Exact definitions: ``docs/formats.md``.

bfloat16, which NumPy lacks, travels as a ``uint16`` array of its bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from fairopt import _core

Format: TypeAlias = Literal[
    "int8",
    "int4_sym",
    "int4_asym",
    "nf4",
    "fp4",
    "int2_sym",
    "int3_sym",
    "int5_sym",
    "int6_sym",
    "int2_asym",
    "int3_asym",
    "int5_asym",
    "int6_asym",
    "int8_asym",
    "int2_asym_float",
    "int3_asym_float",
    "int4_asym_float",
    "int5_asym_float",
    "int6_asym_float",
    "int8_asym_float",
    "int4_sym_7",
    "int4_sym_no_clip",
    "int4_sym_signed8",
    "int4_tinygemm",
    "fp8",
]
DType: TypeAlias = Literal["float32", "float16", "bfloat16"]

FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class QuantizedArray:
    """A quantised array ``[..., cols]``: the one layout that kernels, ops and files share.

    Attributes:
        codes: uint8 ``[..., ceil(cols * bits / 8)]``, a bit string: the first value in the high bits of the first byte.
        scales: float32 ``[..., ceil(cols / block)]``.
        zeros: shaped like ``scales``, uint8 for the ``_asym`` formats and float32 for ``_asym_float`` and
            ``int4_tinygemm``; uint8 ``[0]`` for the others.
        format: which dialect.
        block: values a scale; the last block of a row may be short.
        cols: values a row.
    """

    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8] | NDArray[np.float32]
    format: Format
    block: int
    cols: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return (*self.codes.shape[:-1], self.cols)

    @property
    def nbytes(self) -> int:
        """Codes, scales and zero points together."""
        return self.codes.nbytes + self.scales.nbytes + self.zeros.nbytes

    @property
    def bits_per_weight(self) -> float:
        """Stored bits, scales and zero points included, over values; NaN where there is no value."""
        values = int(np.prod(self.shape))
        return 8 * self.nbytes / values if values else float("nan")

    def dequantize(self, dtype: DType = "float32") -> NDArray[Any]:
        """The values ``[..., cols]``: computed in float32, rounded once to ``dtype``."""
        return _core.dequantize_blockwise(
            self.codes, self.scales, self.zeros, self.format, self.block, self.cols, dtype
        )


def quantize(array: NDArray[Any], format: Format, block: int = 64) -> QuantizedArray:
    """Quantise blocks of ``block`` consecutive values of each row.

    Args:
        array: float32, float16 or uint16 (the bits of bfloat16) ``[..., cols]``, finite. Not changed.
        format: one of ``FORMATS``.
        block: a multiple of 16, at most 2**30; from ``cols`` on, each row is one block.

    Raises:
        ValueError: another dtype, a scalar, NaN or infinity, an unknown format, a block out of range.
    """
    codes, scales, zeros = _core.quantize_blockwise(array, format, block)
    return QuantizedArray(codes, scales, zeros, format, block, array.shape[-1])


def prune_mask(score: NDArray[Any], prune: int, norms: NDArray[np.float32] | None = None) -> NDArray[np.bool_]:
    """Which weights to keep when exactly ``prune`` of them go: those of smallest score.

    The score is ``|score|``, or ``|score| * norms[column]`` in float32. Among equal scores the lower index (row-major)
    is pruned first, so the mask is the same on every machine.

    Raises:
        ValueError: ``prune`` outside [0, score.size], another dtype, NaN or infinity, norms of another size or below 0.
    """
    return _core.prune_mask(score, prune, norms)


def prune_mask_rows(score: NDArray[Any], prune: int, norms: NDArray[np.float32] | None = None) -> NDArray[np.bool_]:
    """As :func:`prune_mask`, for each row alone: exactly ``prune`` of its entries go.

    Raises:
        ValueError: ``prune`` outside [0, score.shape[-1]], and what :func:`prune_mask` raises.
    """
    return _core.prune_mask_rows(score, prune, norms)


def prune_mask_model(
    scores: Sequence[NDArray[Any]], prune: int, norms: Sequence[NDArray[np.float32] | None] | None = None
) -> list[NDArray[np.bool_]]:
    """As :func:`prune_mask`, for several arrays together; among equal scores the earlier array is pruned first.

    Raises:
        ValueError: ``prune`` outside [0, sum of sizes], and what :func:`prune_mask` raises.
    """
    return _core.prune_mask_model(scores, prune, None if norms is None else list(norms))


def prune_mask_n_of_m(
    score: NDArray[Any], n: int, m: int, norms: NDArray[np.float32] | None = None
) -> NDArray[np.bool_]:
    """N:M sparsity: of every ``m`` consecutive values of a row the ``n`` of largest score are kept.

    Raises:
        ValueError: not 1 <= n <= m <= 32, a row that is no multiple of ``m``, and what :func:`prune_mask` raises.
    """
    return _core.prune_mask_n_of_m(score, n, m, norms)
