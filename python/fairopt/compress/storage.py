"""Compressed models on disk: a Hugging Face folder with safetensors, plus ``fairopt.json`` (the record).

``config.json`` says under ``quantization_config`` which layers are quantised and how, so the folder describes itself. A
model that was only pruned has no such entry: it is an ordinary dense model which ``from_pretrained`` reads.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import shutil
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from fairopt.compress import quantization_config, weight_files
from fairopt.compress.record import Record, attach, record, unique_state
from fairopt.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONFIG, GENERATION, RECORD = "config.json", "generation_config.json", "fairopt.json"
TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "additional_chat_templates",
)


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
        The record as written, with the size and hash of the weights file.

    Raises:
        InputError: for a model that is no compressed transformers model, a folder that cannot be written or holds other
            things, or a full disk. What was there before is then still there.
    """
    if not hasattr(model, "save_pretrained"):
        raise InputError(f"save: model must be a transformers model, got {type(model).__name__}")
    stored = record(model)
    target = Path(dir).absolute()
    try:
        _check_replaceable(target, TOKENIZER_FILES if tokenizer is not None else ())
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"save: folder must be writable, got '{target}' ({error.strerror})") from None
    try:
        saved = _write(model, stored, draft, tokenizer)
        _put_in_place(draft, target)
    except OSError as error:
        raise InputError(f"save: '{target}' must have room and be writable, got {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # nothing half-written stays, also after Ctrl-C
    return saved


def load(dir: str | os.PathLike[str]) -> PreTrainedModel:
    """Read a folder that :func:`save` wrote: the same parameters and buffers bit for bit, in evaluation mode.

    What transformers does not store is computed from the configuration in fp32, as ``from_pretrained`` does: rotary
    tables that ``model.bfloat16()`` had rounded come back exact.

    Every tensor must be there, once, in its shape, and every weights file must have the recorded hash. Raises
    :class:`~fairopt.errors.InputError` that names the file and what is wrong with it.
    """
    folder = Path(dir)
    stored = read_record(folder)
    if stored is None:
        raise InputError(f"load: folder must hold a model saved by fairopt.save (with {RECORD}), got '{folder}'")
    tensors = weight_files.read(folder, stored.files)
    model = _skeleton(folder)
    _fill(model, tensors, folder)
    attach(model, stored)
    model.eval()
    return cast("PreTrainedModel", model)


def read_record(folder: Path) -> Record | None:
    """The record in a folder; None where there is no such file."""
    return Record.from_json(_read(folder / RECORD)) if (folder / RECORD).is_file() else None


def _check_replaceable(target: Path, tokenizer_files: tuple[str, ...]) -> None:
    """Refuse a folder with files that saving would delete without writing them anew."""
    present = os.listdir(target) if target.exists() else []
    weights = (weight_files.WEIGHTS, weight_files.SHARDS, weight_files.INDEX)
    ours = (*weights, CONFIG, GENERATION, RECORD, *tokenizer_files)
    strangers = sorted(name for name in present if not any(fnmatchcase(name, pattern) for pattern in ours))
    if strangers or (present and RECORD not in present):
        what = ", ".join(strangers[:3]) or "another model"
        raise InputError(f"save: folder must be new, empty or written by fairopt.save, got '{target}' with {what}")


def _write(model: PreTrainedModel, stored: Record, draft: Path, tokenizer: Any) -> Record:
    written = weight_files.write(draft / weight_files.WEIGHTS, unique_state(model))
    _config_with_layers(model, stored.recipe).save_pretrained(draft)
    if model.can_generate():
        model.generation_config.save_pretrained(draft)
    if tokenizer is not None:
        _write_tokenizer(tokenizer, draft)
    saved = dataclasses.replace(stored, files={weight_files.WEIGHTS: written})
    (draft / RECORD).write_text(saved.to_json(), encoding="utf-8")
    return saved


def _config_with_layers(model: PreTrainedModel, recipe: str) -> Any:
    config = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__]
    config.dtype = model.dtype
    quantization = quantization_config.describe(model, recipe)
    if quantization is not None:
        config.quantization_config = quantization
    return config


def _write_tokenizer(tokenizer: Any, draft: Path) -> None:
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(draft)
        return
    files = [file for pattern in TOKENIZER_FILES for file in sorted(Path(tokenizer).glob(pattern)) if file.is_file()]
    if not files:
        raise InputError(f"save: tokenizer must be a folder with tokenizer files, got '{tokenizer}'")
    for file in files:
        shutil.copyfile(file, draft / file.name)


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename the finished folder to its name, after moving away a model of ours that was there."""
    mask = _umask()  # mkdtemp and safetensors make private what they write
    draft.chmod(0o777 & ~mask)
    for file in filter(Path.is_file, draft.iterdir()):
        file.chmod(0o666 & ~mask)
    if not target.exists():
        os.replace(draft, target)
        return
    # No portable call exchanges two folders. Killed between the renames, the old model is whole under its other name.
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    os.replace(target, old)
    try:
        os.replace(draft, target)
    except BaseException:
        os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"load: '{file}' must be readable text, got {error}") from None


def _skeleton(folder: Path) -> Any:
    """The model of ``config.json`` with its quantised layers in place and no weights yet."""
    import transformers
    from transformers.initialization import no_init_weights

    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"load: '{folder / CONFIG}' must be a model configuration, got {reason}") from None
    quantization = getattr(config, "quantization_config", None)
    if quantization is not None:
        del config.quantization_config  # it describes the file; the model in memory has its layers
    architecture = (config.architectures or ["none"])[0]
    model_class = getattr(transformers, architecture, None)
    if not (isinstance(model_class, type) and issubclass(model_class, transformers.PreTrainedModel)):
        where = folder / CONFIG
        raise InputError(f"load: architecture must be one of transformers' own, got {architecture!r} in '{where}'")
    # Without initialisation the dense weights are never touched, so they take address space but no memory.
    with no_init_weights():
        model: Any = model_class(config)
    if quantization is not None:
        quantization_config.put_layers(model, quantization, str(folder / CONFIG))
    model.tie_weights()
    if model.can_generate() and (folder / GENERATION).is_file():
        model.generation_config = transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model


def _fill(model: Any, tensors: dict[str, torch.Tensor], folder: Path) -> None:
    expected = unique_state(model)
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or extra:
        found = f"{len(missing)} missing and {len(extra)} others ({', '.join([*missing, *extra][:3])}, ...)"
        raise InputError(f"load: '{folder}' must hold exactly the tensors of {type(model).__name__}, got {found}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shape = list(expected[name].shape)
            raise InputError(f"load: tensor '{name}' must have shape {shape}, got {list(tensor.shape)} in '{folder}'")
    # A tied tensor goes to all its names: the one that it is stored under need not be the one that others are tied to.
    stored_as: dict[int, str] = {}
    names = {name: stored_as.setdefault(id(t), name) for name, t in model.state_dict(keep_vars=True).items()}
    model.load_state_dict({name: tensors[stored] for name, stored in names.items()}, assign=True)
    model.tie_weights()
