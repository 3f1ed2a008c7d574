"""Finished blocks on disk, so that a long compression goes on where it was killed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

import fairopt
from fairopt.compress.calibration import Calibration
from fairopt.compress.recipe import Chain
from fairopt.errors import InputError

Reports = dict[str, dict[str, float]]  # layer name -> what its solver said


def job_key(model: nn.Module, chains: Mapping[str, Chain], calibration: Calibration, seed: int) -> str:
    """Hash of all that decides the result: version, weights, what is done to which layer, calibration tokens, seed."""
    digest = hashlib.sha256()
    plan = {name: str(chain) for name, chain in chains.items()}
    digest.update(json.dumps([fairopt.__version__, plan, calibration.sha256, seed], sort_keys=True).encode())
    digest.update(hash_weights(model).encode())
    return digest.hexdigest()


def hash_weights(model: nn.Module) -> str:
    """SHA-256 of the names, types, shapes and bytes of a state dict."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class FinishedBlocks:
    """The blocks of one job in a folder, each a safetensors file that is written whole or not at all."""

    def __init__(self, folder: str | os.PathLike[str], key: str, argument: str = "resume") -> None:
        self._folder = Path(folder) / key[:16]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"compress: {argument} must be a folder to write to, got '{folder}' ({error})") from None

    def has(self, name: str) -> bool:
        """Whether a block is finished."""
        return self._file(name).is_file()

    def load(self, name: str) -> tuple[dict[str, torch.Tensor], Reports] | None:
        """The tensors of a block and what was said about its layers; None when it is not finished."""
        from safetensors import SafetensorError, safe_open

        file = self._file(name)
        if not self.has(name):
            return None
        try:
            with safe_open(file, framework="pt") as stored:
                tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118  not a mapping
                return tensors, json.loads(stored.metadata()["reports"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"compress: '{file}' must be a finished block, got {error} (delete it)") from None

    def save(self, name: str, tensors: Mapping[str, torch.Tensor], reports: Reports) -> None:
        """Keep a finished block."""
        from safetensors.torch import save_file

        handle, draft = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".draft")
        os.close(handle)
        try:
            save_file(
                {key: t.contiguous().cpu() for key, t in tensors.items()}, draft, {"reports": json.dumps(reports)}
            )
            os.replace(draft, self._file(name))
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"
