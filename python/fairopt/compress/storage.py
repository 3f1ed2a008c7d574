"""Compressed models on disk: a Hugging Face folder with safetensors, plus ``fairopt.json`` (the record).

``config.json`` says under ``quantization_config`` which layers are quantised and how, so the folder describes itself. A
model that was only pruned has no such entry: it is an ordinary dense model which ``from_pretrained`` reads.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fairopt.compress import model_folder, quantization_config, weight_files
from fairopt.compress.record import Record, as_stored, attach, unique_state
from fairopt.errors import InputError
from fairopt.nn import pack

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RECORD = "fairopt.json"


def save(
    model: PreTrainedModel,
    dir: str | os.PathLike[str],
    tokenizer: PreTrainedTokenizerBase | str | os.PathLike[str] | None = None,
) -> Record:
    """Write a compressed transformers model as a folder; whole or not at all.

    Args:
        model: what :func:`fairopt.compress` returned; not changed.
        dir: a new or empty folder, or one that ``save`` wrote before, which is then replaced.
        tokenizer: saved beside the model. A path names a folder whose tokenizer files are copied as they are.

    Returns:
        The record as written, with the size and hash of the weights file; zeros and bits of dense layers are those of
        now, should the model have been trained or cast.

    Raises:
        InputError: for a model that is no compressed transformers model or has masked layers or adapters, a folder that
            cannot be written or holds other things, or a full disk. What was there before is then still there.
    """
    model_folder.check_model("save", model)
    stored = as_stored(model)
    with model_folder.whole("save", Path(dir).absolute(), RECORD, has_tokenizer=tokenizer is not None) as draft:
        return _write(model, stored, draft, tokenizer)


def load(dir: str | os.PathLike[str], *, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """Read a folder that :func:`save` wrote: the same parameters and buffers bit for bit, in evaluation mode.

    A folder of another library is read as well, where its layout is one of :mod:`fairopt.compress.interchange`.
    ``dtype`` is that of what is not quantised, as stored by default; codes and scales keep theirs.

    What transformers does not store is computed from the configuration in fp32, as ``from_pretrained`` does: rotary
    tables that ``model.bfloat16()`` had rounded come back exact.

    Every tensor must be there, once, in its shape, and every weights file must have the recorded hash. Raises
    :class:`~fairopt.errors.InputError` that names the file and what is wrong with it.
    """
    folder = Path(dir)
    stored = read_record(folder)
    if stored is None:
        if not (folder / model_folder.CONFIG).is_file():
            raise InputError(f"load: folder must hold a model saved by fairopt.save (with {RECORD}), got '{folder}'")
        from fairopt.compress.interchange import read_folder

        return read_folder(folder)
    tensors = weight_files.read(folder, stored.files)
    model, quantization = model_folder.empty_model("load", folder)
    if quantization is not None:
        quantization_config.put_layers(model, quantization, str(folder / model_folder.CONFIG))
    model.tie_weights()
    model_folder.fill("load", model, tensors, folder)
    if dtype is not None:
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype)
    attach(model, stored)
    quantization_config.note(model, stored.recipe)
    pack(model)
    model.eval()
    return cast("PreTrainedModel", model)


def read_record(folder: Path) -> Record | None:
    """The record in a folder; None where there is no such file."""
    return Record.from_json(_read(folder / RECORD)) if (folder / RECORD).is_file() else None


def _write(model: PreTrainedModel, stored: Record, draft: Path, tokenizer: Any) -> Record:
    written = weight_files.write(draft / weight_files.WEIGHTS, unique_state(model))
    written_as = model_folder.write_configuration(model, draft, quantization_config.describe(model, stored.recipe))
    if tokenizer is not None:
        model_folder.write_tokenizer("save", tokenizer, draft)
    architecture = None if written_as == type(model).__name__ else written_as
    saved = dataclasses.replace(stored, files={weight_files.WEIGHTS: written}, architecture=architecture)
    (draft / RECORD).write_text(saved.to_json(), encoding="utf-8")
    return saved


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"load: '{file}' must be readable text, got {error}") from None
