"""Hugging Face folders: written whole or not at all, and read as an empty model that waits for its weights."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.parametrize import is_parametrized

from fairopt.compress import weight_files
from fairopt.compress.record import unique_state
from fairopt.compress.structure.plain_config import plain_config
from fairopt.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CONFIG, GENERATION = "config.json", "generation_config.json"
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


def check_model(op: str, model: Any) -> None:
    """Refuse, with :class:`~fairopt.errors.InputError`, what would lie in a folder under names that nothing reads: a
    model in another module, and layers with a mask or an adapter."""
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel):
        inside = next((name for name, part in model.named_modules() if isinstance(part, PreTrainedModel)), None)
        hint = "" if inside is None else f" around it (give its '{inside}')"
        raise InputError(f"{op}: model must be a transformers model, got {type(model).__name__}{hint}")
    for name, module in model.named_modules():
        if is_parametrized(module):
            hint = "a mask or another parametrisation (fo.nn.unmasked ends a mask)"
            raise InputError(f"{op}: layers must be plain, got '{name}' with {hint}")
        if hasattr(module, "base_layer"):
            raise InputError(f"{op}: layers must be plain, got '{name}' with an adapter (fairopt.hf.merge merges it)")


@contextmanager
def whole(op: str, target: Path, mark: str, *, has_tokenizer: bool) -> Iterator[Path]:
    """A draft folder that takes the name ``target`` when the block ends without an error, and goes away otherwise.

    ``target`` must be new or empty, or hold ``mark``, the file that says this operation wrote it, and nothing that
    would be lost. Raises :class:`~fairopt.errors.InputError` where it cannot be written, also when the disk is full.
    """
    target = target.resolve()  # a link stays one: what it names is replaced
    try:
        _check_replaceable(op, target, mark, TOKENIZER_FILES if has_tokenizer else ())
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"{op}: folder must be writable, got '{target}' ({error.strerror})") from None
    try:
        yield draft
        _put_in_place(draft, target)
    except OSError as error:
        raise InputError(f"{op}: '{target}' must have room and be writable, got {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # nothing half-written stays, also after Ctrl-C


def write_configuration(model: PreTrainedModel, draft: Path, quantization: Mapping[str, Any] | None) -> str:
    """``config.json`` with the ``quantization_config``, and how the model generates; the architecture that it says."""
    config = plain_config(model)
    config.dtype = model.dtype
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # of the model in memory: what is written may be in another layout
    if quantization is not None:
        config.quantization_config = dict(quantization)
    config.save_pretrained(draft)
    if model.can_generate():
        model.generation_config.save_pretrained(draft)
    return str(config.architectures[0])


def write_tokenizer(op: str, tokenizer: Any, draft: Path) -> None:
    """A tokenizer's own files; a path names a folder whose tokenizer files are copied as they are."""
    if hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(draft)
        return
    files = [file for pattern in TOKENIZER_FILES for file in sorted(Path(tokenizer).glob(pattern)) if file.is_file()]
    if not files:
        raise InputError(f"{op}: tokenizer must be a folder with tokenizer files, got '{tokenizer}'")
    for file in files:
        shutil.copyfile(file, draft / file.name)


def empty_model(op: str, folder: Path) -> tuple[Any, dict[str, Any] | None]:
    """The dense model of ``config.json`` without weights, and the file's ``quantization_config``.

    Raises :class:`~fairopt.errors.InputError` for a file that transformers cannot read or another architecture.
    """
    import transformers
    from transformers.initialization import no_init_weights

    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{op}: '{folder / CONFIG}' must be a model configuration, got {reason}") from None
    quantization = getattr(config, "quantization_config", None)
    if quantization is not None:
        del config.quantization_config  # it describes the file; the model in memory has its layers
    architecture = (config.architectures or ["none"])[0]
    model_class = getattr(transformers, architecture, None)
    if not (isinstance(model_class, type) and issubclass(model_class, transformers.PreTrainedModel)):
        where = folder / CONFIG
        raise InputError(f"{op}: architecture must be one of transformers' own, got {architecture!r} in '{where}'")
    # Without initialisation the dense weights are never touched, so they take address space but no memory.
    with no_init_weights():
        model: Any = model_class(config)
    if model.can_generate() and (folder / GENERATION).is_file():
        model.generation_config = transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model, quantization


def fill(op: str, model: Any, tensors: Mapping[str, torch.Tensor], folder: Path, filled: Collection[str] = ()) -> None:
    """Give a model its tensors: exactly those it has, each in its shape, but for the names in ``filled``.

    Raises :class:`~fairopt.errors.InputError` for one that is missing, left over or of another shape.
    """
    expected = {name: tensor for name, tensor in unique_state(model).items() if name not in filled}
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or extra:
        found = f"{len(missing)} missing and {len(extra)} others ({', '.join([*missing, *extra][:3])}, ...)"
        raise InputError(f"{op}: '{folder}' must hold exactly the tensors of {type(model).__name__}, got {found}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shape = list(expected[name].shape)
            raise InputError(f"{op}: tensor '{name}' must have shape {shape}, got {list(tensor.shape)} in '{folder}'")
    # A tied tensor goes to all its names: the one that it is stored under need not be the one that others are tied to.
    stored_as: dict[int, str] = {}
    names = {name: stored_as.setdefault(id(t), name) for name, t in model.state_dict(keep_vars=True).items()}
    given = {name: tensors[stored] for name, stored in names.items() if stored not in filled}
    model.load_state_dict(given, strict=False, assign=True)
    model.tie_weights()


def _check_replaceable(op: str, target: Path, mark: str, tokenizer_files: tuple[str, ...]) -> None:
    """Refuse a folder with files that writing would delete without writing them anew."""
    present = os.listdir(target) if target.exists() else []
    weights = (weight_files.WEIGHTS, weight_files.SHARDS, weight_files.INDEX)
    ours = (*weights, CONFIG, GENERATION, mark, *tokenizer_files)
    strangers = sorted(name for name in present if not any(fnmatchcase(name, pattern) for pattern in ours))
    if strangers or (present and mark not in present):
        what = ", ".join(strangers[:3]) or "another model"
        raise InputError(f"{op}: folder must be new, empty or written by fairopt.{op}, got '{target}' with {what}")


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
