"""What was done to a model: the record that travels with it, in memory and as ``fairopt.json`` on disk."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol, TypedDict, cast

import torch
from torch import nn

import fairopt
from fairopt.compress import kv_cache
from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import Chain, Recipe
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear, SparseLinear, StoredLayer


class Described(Protocol):
    """Calibration tokens, or statistics collected on them."""

    def describe(self) -> dict[str, int | str]:
        """What a record says of them."""
        ...


_ATTRIBUTE = "_fairopt_record"


@dataclass(frozen=True)
class LayerRecord:
    """One compressed layer as it is stored."""

    recipe: str  # the chain that was applied, canonical
    shape: tuple[int, int]  # [out, in]
    bits_per_weight: float  # all that is stored of it but the bias
    sparsity: float  # share of weights that are exactly zero
    solver: Mapping[str, float] | None = None  # its loss, rounding to nearest's, calibration tokens seen, and its notes
    kept: float | None = None  # share of weights that pruning left; None where nothing prunes
    zeros_stored: bool | None = None  # whether what was pruned takes as many bytes as what was kept


@dataclass(frozen=True)
class FileRecord:
    """One weights file as it lies on disk."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class StructureRecord:
    """What one structure step of the recipe left, by decoder block as it was called before; "" is the whole model."""

    step: str
    before: Mapping[str, int]  # units there were; one of heads is what shares a key and a value
    kept: Mapping[str, str]  # indices of those that stay: "0-3,5"

    def __str__(self) -> str:
        runs = [part.split("-") for of_place in self.kept.values() for part in of_place.split(",")]
        kept = sum(int(run[-1]) - int(run[0]) + 1 for run in runs)
        return f"{kept} of {sum(self.before.values())} {self.step.partition(':')[0]}"


@dataclass(frozen=True)
class Record:
    """Provenance of a compressed model. Sizes count tied tensors once."""

    recipe: str  # canonical
    seed: int
    layers: Mapping[str, LayerRecord]
    bytes: int  # of all parameters and buffers as stored
    dense_bytes: int  # the same of the model before
    bits_per_weight: float  # over the compressed layers
    sparsity: float  # share of zeros over the compressed layers
    versions: Mapping[str, str]  # of what computed it
    calibration: Mapping[str, int | str] | None = None  # tokens, sequences, pairs, their hashes; None: none needed
    kv_bits_per_value: float | None = None  # of quantised keys and values, scales and minima included
    structure: tuple[StructureRecord, ...] = ()  # heads, neurons, channels, layers and experts removed, step by step
    unsaid_sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # those that config.json cannot say
    architecture: str | None = None  # that the folder is written as, where the model's own config refuses its sizes
    merge_errors: Mapping[str, float] = field(default_factory=dict)  # layers with a LoRA merged in -> share of it lost
    files: Mapping[str, FileRecord] = field(default_factory=dict)  # name -> weights file, once saved

    def __str__(self) -> str:
        parts = [f"{self.bytes:,} bytes, {self.dense_bytes:,} before"]
        if self.kv_bits_per_value is not None:
            parts.insert(0, f"{self.kv_bits_per_value:.3g} bits per key and value")
        if self.structure:
            parts.insert(0, f"kept {', '.join(map(str, self.structure))}")
        if self.layers:
            weights = (
                f"{len(self.layers)} layers at {self.bits_per_weight:.3g} bits per weight, {self.sparsity:.1%} zeros"
            )
            if self.kept is not None:
                weights += f", {self.kept:.1%} of the pruned layers kept"
            parts.insert(0, weights)
        if self.zeros_stored_dense:
            parts.append("zeros are stored: no bytes saved by pruning")
        if self.architecture is not None:
            parts.append(f"saved as {self.architecture}, which computes the same: its own config refuses these sizes")
        if self.unsaid_sizes:
            parts.append("config.json cannot say its sizes: read it with fairopt.load, or after 'import fairopt.hf'")
        return f"{self.recipe}: {'; '.join(parts)}"

    @property
    def zeros_stored_dense(self) -> bool:
        """Whether pruning saved nothing: every pruned layer stores its zeros like other weights."""
        pruned = [layer.zeros_stored for layer in self.layers.values() if layer.kept is not None]
        return bool(pruned) and all(pruned)

    @property
    def kept(self) -> float | None:
        """Share of weights that pruning left, over the layers that were pruned; None where none was."""
        kept = [
            (layer.kept, layer.shape[0] * layer.shape[1]) for layer in self.layers.values() if layer.kept is not None
        ]
        return sum(share * count for share, count in kept) / max(1, sum(count for _, count in kept)) if kept else None

    @property
    def file_bytes(self) -> int | None:
        """Size of the weights on disk, file headers included; None before they are saved."""
        return sum(file.bytes for file in self.files.values()) if self.files else None

    def to_json(self) -> str:
        """Indented JSON with the fields of this class."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """The record of that text; :class:`~fairopt.errors.InputError` when it is none."""
        try:
            fields: dict[str, Any] = json.loads(text)
            layers = {
                name: LayerRecord(**{**layer, "shape": tuple(layer["shape"])})
                for name, layer in fields.pop("layers").items()
            }
            files = {name: FileRecord(**file) for name, file in fields.pop("files").items()}
            structure = tuple(StructureRecord(**step) for step in fields.pop("structure", ()))
            return cls(layers=layers, files=files, structure=structure, **fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"record: text must be the JSON of a Record, got {error!r}") from None


def record(model: nn.Module) -> Record:
    """The record of a model that :func:`fairopt.compress` made or :func:`fairopt.load` read; ``bytes`` as of now."""
    stored = getattr(model, _ATTRIBUTE, None)
    if not isinstance(stored, Record):
        raise InputError(f"record: model must come from fairopt.compress or fairopt.load, got {type(model).__name__}")
    return dataclasses.replace(stored, bytes=stored_bytes(model))


def as_stored(model: nn.Module) -> Record:
    """:func:`record` with the zeros and bits that dense layers have now: they may have been trained or cast since."""
    found = record(model)
    layers = {name: _as_now(model.get_submodule(name), layer) for name, layer in found.layers.items()}
    return dataclasses.replace(found, layers=layers, **_over_layers(layers))


def _as_now(module: nn.Module, layer: LayerRecord) -> LayerRecord:
    if isinstance(module, StoredLayer):
        return layer
    weight = dense_weight(module)
    return dataclasses.replace(layer, bits_per_weight=8.0 * weight.element_size(), sparsity=_share_of_zeros(weight))


def has_record(model: nn.Module) -> bool:
    """Whether the model was compressed by fairopt."""
    return isinstance(getattr(model, _ATTRIBUTE, None), Record)


def attach(model: nn.Module, stored: Record) -> None:
    """Let the record travel with the model, through deepcopy too."""
    setattr(model, _ATTRIBUTE, stored)


def detach(model: nn.Module) -> None:
    """Forget the record: the model is no longer what it describes."""
    if has_record(model):
        delattr(model, _ATTRIBUTE)


def unique_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict with each tied tensor once, under its first name."""
    unique: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        unique.setdefault(id(tensor), (name, tensor))
    return {name: tensor.detach() for name, tensor in unique.values()}


def stored_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and persistent buffers as a state dict holds them, tied ones once."""
    total, seen = 0, set[int]()
    for module in model.modules():
        tensors: list[torch.Tensor] = list(module.parameters(recurse=False))
        if isinstance(module, QuantizedLinear | SparseLinear):  # packed or not, it is stored in rows
            total += module.stored_bytes
        else:
            names = module._buffers.keys() - module._non_persistent_buffers_set
            tensors += [buffer for name in names if (buffer := module._buffers[name]) is not None]
        for tensor in tensors:
            if id(tensor) not in seen:
                seen.add(id(tensor))
                total += tensor.numel() * tensor.element_size()
    return total


def describe(
    recipe: Recipe,
    chains: Mapping[str, Chain],
    dense_bytes: int,
    after: nn.Module,
    seed: int,
    reports: Mapping[str, Mapping[str, float]] | None = None,
    calibration: Described | None = None,
) -> Record:
    """The record of a compression that has just been done; ``reports`` is what solvers said of layers."""
    said = reports or {}
    layers = {name: describe_layer(after.get_submodule(name), chain, said.get(name)) for name, chain in chains.items()}
    return summarise(recipe, layers, dense_bytes, after, seed, calibration)


def summarise(
    recipe: Recipe,
    layers: Mapping[str, LayerRecord],
    dense_bytes: int,
    after: nn.Module,
    seed: int,
    calibration: Described | None = None,
) -> Record:
    """The record of layers that have been described; ``after`` may be on the meta device."""
    return Record(
        recipe=str(recipe),
        seed=seed,
        layers=layers,
        bytes=stored_bytes(after),
        dense_bytes=dense_bytes,
        **_over_layers(layers),
        versions={
            "fairopt": fairopt.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": metadata.version("transformers"),
        },
        calibration=None if calibration is None else calibration.describe(),
        kv_bits_per_value=kv_cache.bits_per_value(after),
    )


class _OverLayers(TypedDict):
    bits_per_weight: float
    sparsity: float


def _over_layers(layers: Mapping[str, LayerRecord]) -> _OverLayers:
    """The means over all weights of the layers."""
    counts = [layer.shape[0] * layer.shape[1] for layer in layers.values()]
    counted, total = list(zip(layers.values(), counts, strict=True)), max(1, sum(counts))
    return {
        "bits_per_weight": sum(layer.bits_per_weight * count for layer, count in counted) / total,
        "sparsity": sum(layer.sparsity * count for layer, count in counted) / total,
    }


def _share_of_zeros(weight: torch.Tensor) -> float:
    return (weight.numel() - int(torch.count_nonzero(weight))) / max(1, weight.numel())


def describe_layer(layer: nn.Module, chain: Chain, report: Mapping[str, float] | None) -> LayerRecord:
    """What a record says of one compressed layer."""
    if isinstance(layer, StoredLayer):
        weight, bits = layer.dense_weight(), layer.bits_per_weight
    else:
        weight = dense_weight(layer)
        bits = 8.0 * weight.element_size()
    said = dict(report or {})
    kept = said.pop("kept", None)
    return LayerRecord(
        recipe=str(chain),
        shape=cast(tuple[int, int], tuple(weight.shape)),
        bits_per_weight=bits,
        sparsity=_share_of_zeros(weight),
        solver=said or None,
        kept=kept,
        zeros_stored=None if kept is None else not isinstance(layer, SparseLinear),
    )
