"""LLM.int8: a linear layer that rounds its input to int8, but for the few large values of each token."""

from __future__ import annotations

from typing import Any

from fairopt.errors import InputError
from fairopt.nn.dynamic_int8_linear import DynamicInt8Linear


class LlmInt8Linear(DynamicInt8Linear):
    """:class:`~fairopt.nn.DynamicInt8Linear` in which values of ``x`` of ``threshold`` and above stay as they are.

    Dettmers et al. 2022, *LLM.int8()*, arXiv:2208.07339: a few features of large models are so large that a scale that
    covers them leaves nothing for the others. Weights are int8 for all, so the large values meet dequantised ones, as
    in bitsandbytes' ``Linear8bitLt(has_fp16_weights=False)``. Which values are large is judged for each token alone
    (see :func:`fairopt.ops.dynamic_int8_linear` for where the paper differs).

    Args:
        threshold: positive; 6 in the paper.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, threshold: float = 6.0, **place: Any
    ) -> None:
        if not threshold > 0:
            raise InputError(f"LlmInt8Linear: threshold must be positive, got {threshold}")
        super().__init__(in_features, out_features, bias, **place)
        self.threshold = threshold

    def options(self) -> dict[str, Any]:
        """What makes another layer of this kind, as JSON values: the keyword arguments beside device and dtype."""
        return {"threshold": self.threshold}

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this layer."""
        return f"{super().extra_repr()}, threshold={self.threshold:g}"
