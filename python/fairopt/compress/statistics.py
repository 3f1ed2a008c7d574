"""Statistics of a dense model's layers, collected once and kept in a folder, for any number of recipes.

A recipe by itself measures each block on what the compressed blocks before it pass on, so that later layers can make up
for earlier ones; these statistics are those of the dense model, the same for every recipe and for every layer by
itself. Results differ, so a record and an audit say which were used.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn

import fairopt
from fairopt.compress.blocks import Scaffold
from fairopt.compress.calibration import Calibration, CalibrationSource
from fairopt.compress.hessian import Hessian, layer_hessians
from fairopt.compress.layers import dense_weight, linear_layers
from fairopt.compress.resume import FinishedBlocks, Reports, hash_weights
from fairopt.compress.solvers.base import BlockCall, Observer, Statistics, run_block
from fairopt.errors import InputError
from fairopt.progress import progress


class SharedStatistics(Protocol):
    """What :func:`fairopt.compress` takes in the place of a pass of its own."""

    @property
    def calibration(self) -> Calibration:
        """The tokens that they were collected on."""
        ...

    @property
    def weights_hash(self) -> str:
        """Of the model (:func:`fairopt.compress.resume.hash_weights`)."""
        ...

    def layer(self, name: str) -> Statistics:
        """Hessian [K, K], norms [K] and tokens of a layer by its name within the model.

        Raises :class:`~fairopt.errors.InputError` for a layer that has none, or whose file is gone.
        """
        ...

    def describe(self) -> dict[str, int | str]:
        """What a record says of them."""
        ...


@dataclass(frozen=True)
class LayerStatistics:
    """What calibration saw of the inputs of every linear layer of a model. Made by :func:`collect`; read lazily."""

    calibration: Calibration
    weights_hash: str
    _parts: Mapping[str, str]  # layer -> the block, or the layer itself, that its file is named after
    _files: FinishedBlocks
    _read: dict[str, tuple[dict[str, torch.Tensor], Reports]] = field(default_factory=dict)  # the last file

    def layer(self, name: str) -> Statistics:
        """See :class:`SharedStatistics`."""
        if name not in self._parts:
            raise InputError(f"statistics: layer must be a linear one of the model, got '{name}'")
        part = self._parts[name]
        if part not in self._read:
            stored = self._files.load(part)
            if stored is None:
                raise InputError(f"statistics: the file of '{part}' must be where it was written, got none")
            self._read.clear()
            self._read[part] = stored
        tensors, said = self._read[part]
        return _statistics(tensors[str(int(said[name]["hessian"]))], int(said[name]["tokens"]))

    def describe(self) -> dict[str, int | str]:
        """See :class:`SharedStatistics`."""
        return describe_shared(self.calibration)


def describe_shared(calibration: Calibration) -> dict[str, int | str]:
    """What a record says of statistics that were collected on these tokens."""
    return {**calibration.describe(), "statistics": "dense model"}


@dataclass(frozen=True)
class GroupStatistics:
    """Statistics of several groups of texts: ``H = sum of share_g H_g``. Those of a group are ``groups[name]``."""

    groups: Mapping[str, LayerStatistics]  # of one model
    shares: Mapping[str, float]  # at least 0, sum 1; by tokens they give what one pass over all texts gives

    def __post_init__(self) -> None:
        if len({group.weights_hash for group in self.groups.values()}) != 1:
            raise InputError("statistics: groups must be of one model, got several or none")
        right = self.shares.keys() == self.groups.keys() and min(self.shares.values()) >= 0
        if not right or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise InputError(f"statistics: shares must be one a group, at least 0, of sum 1, got {dict(self.shares)}")

    @property
    def calibration(self) -> Calibration:
        """The tokens of all groups."""
        parts = [group.calibration for group in self.groups.values()]
        digest = hashlib.sha256(" ".join(part.sha256 for part in parts).encode()).hexdigest()
        return Calibration(tuple(s for part in parts for s in part.sequences), parts[0].seed, digest)

    @property
    def weights_hash(self) -> str:
        """See :class:`SharedStatistics`."""
        return next(iter(self.groups.values())).weights_hash

    def layer(self, name: str) -> Statistics:
        """See :class:`SharedStatistics`."""
        parts = [(self.shares[group], statistics.layer(name)) for group, statistics in self.groups.items()]
        total = sum(share * part.hessian.double() for share, part in parts if part.hessian is not None)
        assert isinstance(total, torch.Tensor)
        return _statistics(total.float(), sum(part.tokens for _, part in parts))

    def describe(self) -> dict[str, int | str]:
        """See :class:`SharedStatistics`."""
        shares = ", ".join(f"{group} {share:.6g}" for group, share in self.shares.items())
        return {**self.calibration.describe(), "statistics": f"dense model, groups: {shares}"}


def _statistics(hessian: torch.Tensor, tokens: int) -> Statistics:
    return Statistics(hessian, tokens, norms=(hessian.diagonal() * (tokens / 2)).sqrt())


def collect(
    model: nn.Module,
    calibration: CalibrationSource,
    folder: str | os.PathLike[str],
    *,
    tokenizer: Any = None,
    seed: int = 0,
) -> LayerStatistics:
    """Run the dense model over the calibration tokens once and keep the Hessian of every linear layer's inputs.

    One decoder block at a time is in memory in fp32, with its Hessians, summed in float64. Each is written as a
    safetensors file as soon as it is done, under a name of the weights and tokens: a second call for the same ones runs
    nothing, one after a killed call goes on where that stopped.

    Args:
        model: with decoder blocks; not changed.
        calibration, tokenizer, seed: as for :func:`fairopt.compress`.
        folder: for the files: 4 K^2 bytes for each different input of K values in a block.
    """
    tokens = Calibration.for_model(model, calibration, tokenizer=tokenizer, seed=seed)
    weights_hash = hash_weights(model)
    key = hashlib.sha256(f"{fairopt.__version__} {weights_hash} {tokens.sha256}".encode()).hexdigest()
    files = FinishedBlocks(folder, key, argument="statistics")
    scaffold = Scaffold(model, tokens)
    layers = list(linear_layers(model))
    parts = {layer: _part_of(layer, scaffold.blocks) for layer in layers}
    if not all(files.has(part) for part in parts.values()):
        _collect(model, scaffold, layers, files)
    return LayerStatistics(tokens, weights_hash, parts, files)


def collect_groups(
    model: nn.Module,
    texts: Mapping[str, CalibrationSource],
    folder: str | os.PathLike[str],
    *,
    shares: Mapping[str, float] | None = None,
    tokenizer: Any = None,
    seed: int = 0,
) -> GroupStatistics:
    """:func:`collect` for each group of texts; ``shares`` are by tokens unless given."""
    if not texts:
        raise InputError("statistics: groups must be at least one, got none")
    groups = {name: collect(model, source, folder, tokenizer=tokenizer, seed=seed) for name, source in texts.items()}
    tokens = {name: group.calibration.tokens for name, group in groups.items()}
    by_tokens = {name: count / sum(tokens.values()) for name, count in tokens.items()}
    return GroupStatistics(groups, by_tokens if shares is None else shares)


def _part_of(layer: str, blocks: Mapping[str, nn.Module]) -> str:
    return next((block for block in blocks if layer.startswith(f"{block}.")), layer)


def _collect(model: nn.Module, scaffold: Scaffold, layers: Sequence[str], files: FinishedBlocks) -> None:
    hidden, arguments = scaffold.calls()
    outside = [layer for layer in layers if _part_of(layer, scaffold.blocks) == layer]
    with torch.no_grad(), progress("statistics", len(scaffold.blocks) + len(outside), "blocks") as advance:
        for (name, block), passed in zip(scaffold.blocks.items(), arguments, strict=True):
            calls = [BlockCall(h, *given) for h, given in zip(hidden, passed, strict=True)]
            dense = copy.deepcopy(block).float().eval()
            inside = [layer for layer in layers if layer.startswith(f"{name}.") and not files.has(name)]
            hidden = _measure(dense, name, [layer.removeprefix(f"{name}.") for layer in inside], calls, files)
            advance(1)
        for name in outside:
            if not files.has(name):
                sums = Hessian(torch.float64)
                for x in scaffold.inputs_outside(model.get_submodule(name), hidden):
                    sums.add(x)
                _save(files, name, {name: sums}, {name: dense_weight(model.get_submodule(name)).shape[1]})
            advance(1)


def _measure(
    block: nn.Module, name: str, layers: Sequence[str], calls: Sequence[BlockCall], files: FinishedBlocks
) -> list[torch.Tensor]:
    """What the block makes of the calls; the statistics of its layers are written on the way."""
    outputs: list[torch.Tensor] = []

    def observe(observer: Observer | None) -> None:
        outputs[:] = run_block(block, layers, calls, observer)

    if not layers:
        observe(None)
        return outputs
    sums = layer_hessians(observe, dict.fromkeys(layers, torch.float64))
    widths = {layer: dense_weight(block.get_submodule(layer)).shape[1] for layer in layers}
    full = {layer: f"{name}.{layer}" for layer in layers}
    _save(files, name, {full[la]: sums[la] for la in layers}, {full[la]: widths[la] for la in layers})
    return outputs


def _save(files: FinishedBlocks, name: str, sums: Mapping[str, Hessian], widths: Mapping[str, int]) -> None:
    """Write each different Hessian once."""
    distinct: dict[int, int] = {}
    tensors: dict[str, torch.Tensor] = {}
    said: Reports = {}
    for layer, hessian in sums.items():
        index = distinct.setdefault(id(hessian), len(distinct))
        if str(index) not in tensors:
            found = hessian.statistics(widths[layer]).hessian
            assert found is not None
            tensors[str(index)] = found
        said[layer] = {"hessian": index, "tokens": hessian.tokens}
    files.save(name, tensors, said)
