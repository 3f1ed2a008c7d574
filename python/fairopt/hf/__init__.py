"""Doors into Hugging Face transformers and PEFT. Importing this module registers fairopt with both.

Without the import transformers only warns that it does not know the method, skips the quantisation and fills the layers
with random numbers; :func:`from_pretrained` imports and checks.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING

from fairopt.compress.quantization_config import METHOD
from fairopt.hf.config import FairoptConfig
from fairopt.hf.loading import from_pretrained
from fairopt.hf.quantizer import FairoptQuantizer

if TYPE_CHECKING:
    from fairopt.hf.lora import Merged, merge

__all__ = ["FairoptConfig", "FairoptQuantizer", "Merged", "from_pretrained", "merge"]

# The tables themselves, not transformers' decorators: those refuse the second import of a reloaded module.
AUTO_QUANTIZATION_CONFIG_MAPPING[METHOD] = FairoptConfig
AUTO_QUANTIZER_MAPPING[METHOD] = FairoptQuantizer

if importlib.util.find_spec("peft") is not None:
    from fairopt.hf.lora import register

    register()


def __getattr__(name: str) -> Any:
    if name in ("Merged", "merge"):  # these need PEFT
        from fairopt.hf import lora

        return getattr(lora, name)
    raise AttributeError(f"module 'fairopt.hf' has no attribute {name!r}")
