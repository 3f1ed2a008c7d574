"""``from_pretrained`` that cannot skip the quantisation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transformers import AutoModelForCausalLM

from fairopt.compress.record import attach, has_record
from fairopt.compress.storage import read_record
from fairopt.errors import InputError
from fairopt.hf.quantizer import FairoptQuantizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def from_pretrained(name_or_path: str | os.PathLike[str], *, auto_class: Any = None, **kwargs: Any) -> PreTrainedModel:
    """A compressed model by transformers' own loader, checked to be one and to be whole.

    Args:
        name_or_path: a folder that fairopt or ``save_pretrained`` wrote, or a dense model together with
            ``quantization_config=FairoptConfig(...)``.
        auto_class: which of transformers' classes loads it; ``AutoModelForCausalLM`` by default.
        kwargs: passed on (``dtype``, ``device_map``, ...).

    Raises :class:`~fairopt.errors.InputError` when what was loaded is not compressed, or a tensor was not in the files.
    """
    loader: Any = auto_class or AutoModelForCausalLM
    model, info = loader.from_pretrained(name_or_path, output_loading_info=True, **kwargs)
    if absent := sorted(info["missing_keys"]):  # transformers has filled them with random numbers
        raise InputError(
            f"from_pretrained: '{name_or_path}' must hold every tensor of {type(model).__name__}, got none for"
            f" {absent[0]!r} ({len(absent)} in all)"
        )
    stored = None if has_record(model) else read_record(Path(name_or_path))
    if stored is not None:
        attach(model, stored)  # of a pruned model, which transformers takes for a dense one
    if not has_record(model) and not isinstance(getattr(model, "hf_quantizer", None), FairoptQuantizer):
        raise InputError(
            f"from_pretrained: name_or_path must be a compressed model, got '{name_or_path}'"
            " (pass quantization_config=fairopt.hf.FairoptConfig(...) to quantise a dense one)"
        )
    return cast("PreTrainedModel", model)
