"""Weights on disk: one ``model.safetensors``, or shards with the index that transformers reads; both with hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from fairopt.compress.record import FileRecord
from fairopt.errors import InputError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARDS = "model-*-of-*.safetensors"  # the pattern of `shard_name`


def shard_name(number: int, count: int) -> str:
    """File name of shard ``number``, counted from 1."""
    return f"model-{number:05}-of-{count:05}.safetensors"


def tensors_of(folder: Path) -> dict[str, list[str]]:
    """File -> names of its tensors, for the safetensors files of a folder that transformers would read.

    Raises :class:`~fairopt.errors.InputError` where there are none, one is missing or is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if (folder / INDEX).is_file():
        try:
            names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise InputError(f"load: '{folder / INDEX}' must be an index of shards, got {error!r}") from None
    else:
        names = [WEIGHTS]
    check_names(names, folder / INDEX)
    tensors = {}
    for name in names:
        if not (folder / name).is_file():
            raise InputError(f"load: '{folder / name}' must be there, got no such file")
        try:
            with safe_open(folder / name, framework="pt") as file:
                tensors[name] = list(file.keys())
        except SafetensorError as error:
            raise InputError(f"load: '{folder / name}' must be a safetensors file, got {error}") from None
    return tensors


def read_tensor(file: Path, name: str) -> torch.Tensor:
    """One tensor; its pages of the file are in memory for as long as it is."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        tensor: torch.Tensor = opened.get_tensor(name)
        return tensor


def write(file: Path, tensors: Mapping[str, torch.Tensor]) -> FileRecord:
    """Write one safetensors file; an :class:`OSError` when that fails, as for any other file."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: t.contiguous().cpu() for name, t in tensors.items()}, file, metadata={"format": "pt"})
    except SafetensorError as error:  # safetensors' own name for a failed write
        raise OSError(str(error)) from None
    return FileRecord(file.stat().st_size, sha256(file))


def check_names(names: Iterable[str], where: Path) -> None:
    """Refuse names of files outside the folder: who made a model does not choose what else is read."""
    for name in names:
        if Path(name).name != name:
            raise InputError(f"load: '{where}' must name files of its own folder, got {name!r}")


def write_index(folder: Path, shard_of: Mapping[str, str], total_bytes: int) -> None:
    """Write which tensor lies in which shard."""
    index = {"metadata": {"total_size": total_bytes}, "weight_map": dict(sorted(shard_of.items()))}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def read(folder: Path, files: Mapping[str, FileRecord]) -> dict[str, torch.Tensor]:
    """All tensors of the recorded files, memory-mapped.

    Raises :class:`~fairopt.errors.InputError` for a file that is not there, has another size or hash than recorded or
    is no safetensors file, and for a tensor that lies in two files.
    """
    if not files:
        raise InputError(f"load: the record of '{folder}' must name its weight files, got none")
    check_names(files, folder)
    for name, recorded in files.items():
        _check_recorded(folder / name, recorded)
    return load([folder / name for name in files])


def load(files: Iterable[Path]) -> dict[str, torch.Tensor]:
    """All tensors of some safetensors files, memory-mapped.

    Raises :class:`~fairopt.errors.InputError` for a file that is none, and for a tensor that lies in two of them.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            found: dict[str, torch.Tensor] = load_file(file)
        except (SafetensorError, OSError) as error:
            raise InputError(f"load: '{file}' must be a safetensors file, got {error}") from None
        if twice := sorted(found.keys() & tensors.keys()):
            raise InputError(f"load: tensor must lie in one file, got '{twice[0]}' again in '{file}'")
        tensors |= found
    return tensors


def sha256(file: Path) -> str:
    """Hash of a file's bytes."""
    with file.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def _check_recorded(file: Path, recorded: FileRecord) -> None:
    if not file.is_file():
        raise InputError(f"load: '{file}' must be there, got no such file")
    size = file.stat().st_size
    if size != recorded.bytes:
        raise InputError(f"load: '{file}' must have its {recorded.bytes} bytes, got {size}: truncated or replaced")
    if sha256(file) != recorded.sha256:
        raise InputError(f"load: '{file}' must have sha256 {recorded.sha256}, got other contents: it is corrupt")
