"""The step that stores weights without their zeros. Its layout: docs/formats.md, its savings: docs/pruning.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fairopt.errors import InputError


@dataclass(frozen=True)
class Sparse:
    """Store a bit for each weight and a value for each that is not 0."""

    word: ClassVar[str] = "sparse"
    TYPES: ClassVar[dict[str, str]] = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
    values: str | None = None  # one of TYPES; None: in the type that the weight has

    def __post_init__(self) -> None:
        if self.values is not None and self.values not in self.TYPES:
            raise InputError(f"recipe: sparse values must be one of {', '.join(self.TYPES)}, got {self.values!r}")

    @property
    def value_type(self) -> str | None:
        """``values`` as torch names it."""
        return None if self.values is None else self.TYPES[self.values]

    def __str__(self) -> str:
        return self.word if self.values is None else f"{self.word}:{self.values}"
