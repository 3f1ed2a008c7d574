"""LoRA on quantised (QLoRA, Dettmers et al. 2023, arXiv:2305.14314) and sparse layers through PEFT.

The base stays as it is stored and constant, gradients reach the adapters and the input. Merging into a quantised base
must round again, merging into a sparse one must leave out what the adapter adds where the base is zero: what is lost of
the adapter is measured and reported.
"""

from __future__ import annotations

import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from peft.tuners import tuners_utils
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import check_adapters_to_merge
from peft.utils.constants import INCLUDE_LINEAR_LAYERS_SHORTHAND
from torch import nn

from fairopt.compress.record import attach, has_record, record
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear, SparseLinear
from fairopt.nn.stored_linear import StoredLinear

_INITIALISERS = (True, False, "gaussian")  # the others read a dense weight


class LoraStoredLinear(nn.Module, LoraLayer):
    """``y = W x + scaling * B A dropout(x)`` with W stored in a form of ours; a layer as PEFT's tuners expect it."""

    kind: str  # of the base, in messages
    lost: str  # why a merge cannot be undone, in messages

    def __init__(
        self,
        base_layer: StoredLinear,
        adapter_name: str,
        config: LoraConfig,
        r: int = 0,
        lora_alpha: int = 1,
        **kwargs: Any,
    ) -> None:
        nn.Module.__init__(self)
        LoraLayer.__init__(self, base_layer, **kwargs)
        self.fan_in_fan_out = False
        self.merge_error: float | None = None
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, r, lora_alpha=lora_alpha, config=config)

    def resolve_lora_variant(self, *, config: LoraConfig, **kwargs: Any) -> None:
        """Plain LoRA only: :class:`~fairopt.errors.InputError` for what would need the dense weight."""
        variants = {
            "use_dora": config.use_dora,
            "alora_invocation_tokens": config.alora_invocation_tokens,
            "arrow_config": config.arrow_config,
            "velora_config": config.velora_config,
        }
        for name, value in variants.items():
            if value:
                raise InputError(f"LoraConfig: {name} must be off on a {self.kind} layer, got {value!r}")
        if config.init_lora_weights not in _INITIALISERS:
            raise InputError(
                f"LoraConfig: init_lora_weights must be one of {', '.join(map(repr, _INITIALISERS))} on a {self.kind}"
                f" layer, got {config.init_lora_weights!r}"
            )

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """``x`` [..., in_features] -> [..., out_features] of the same type."""
        self._check_forward_args(x, *args, **kwargs)  # type: ignore[no-untyped-call]
        adapter_names = kwargs.pop("adapter_names", None)
        if adapter_names is not None:
            mixed: torch.Tensor = self._mixed_batch_forward(x, *args, adapter_names=adapter_names, **kwargs)
            return mixed
        if self.disable_adapters and self.merged:
            self.unmerge()
        active = [] if self.disable_adapters or self.merged else [n for n in self.active_adapters if n in self.lora_A]
        if len(active) == 1 and not torch.is_grad_enabled() and not self.lora_bias[active[0]]:
            return self._alone(x, active[0])
        return self._added(x, active, *args, **kwargs)

    def _alone(self, x: torch.Tensor, adapter: str) -> torch.Tensor:
        """The product with one adapter without gradients."""
        return self._added(x, [adapter])

    def _added(self, x: torch.Tensor, active: list[str], *args: Any, **kwargs: Any) -> torch.Tensor:
        y: torch.Tensor = self.base_layer(x, *args, **kwargs)
        for name in active:
            y = y + (self._factors(name)[1](self._inner(x, name)) * self.scaling[name]).to(y.dtype)
        return y

    def _inner(self, x: torch.Tensor, adapter: str) -> torch.Tensor:
        a = self._factors(adapter)[0]
        z: torch.Tensor = a(self.lora_dropout[adapter](self._cast_input_dtype(x, a.weight.dtype)))
        return z

    def get_delta_weight(self, adapter: str) -> torch.Tensor:
        """``scaling * B A``, fp32 [out_features, in_features]: what the adapter adds to the weight."""
        a, b = self._factors(adapter)
        return b.weight.float() @ a.weight.float() * float(self.scaling[adapter])

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Store ``W + sum of deltas`` anew, once for all adapters, in the form of W.

        ``merge_error`` is then ``||W_merged - (W + delta)||_F / ||delta||_F``: 0 when the merged layer is the sum, 1
        when what was lost is as large as what the adapters add. Cannot be undone: keep the adapter.
        """
        names = [name for name in check_adapters_to_merge(self, adapter_names) if name in self.lora_A]
        if not names:
            return
        base = self._stored_base()
        delta = functools.reduce(torch.add, map(self.get_delta_weight, names))
        if not torch.isfinite(delta).all():
            raise InputError(f"merge: adapter must be finite, got NaN or infinite values in {', '.join(names)}")
        bias = self._merged_bias(base, names)
        wanted = base.dense_weight() + delta
        merged = self._stored(wanted, bias)
        lost, added = (merged.dense_weight() - wanted).norm(), delta.norm()
        self.merge_error = float(lost / added) if added else float(lost)
        self.base_layer = merged
        self.merged_adapters.extend(names)

    @abstractmethod
    def _stored(self, weight: torch.Tensor, bias: torch.Tensor | None) -> StoredLinear:
        """A weight in the form of the base, packed."""

    def _merged_bias(self, base: StoredLinear, names: list[str]) -> torch.Tensor | None:
        bias: torch.Tensor | None = base.bias
        for name in names:
            added = self._factors(name)[1].bias
            if added is not None and bias is None:
                raise InputError("merge: adapter must have no bias where the layer has none, got lora_bias=True")
            if added is not None and bias is not None:
                bias = bias + (added * self.scaling[name]).to(bias.dtype)
        return bias

    def _factors(self, adapter: str) -> tuple[nn.Linear, nn.Linear]:
        return cast(tuple[nn.Linear, nn.Linear], (self.lora_A[adapter], self.lora_B[adapter]))

    def unmerge(self) -> None:
        """Refused: the weights from before the merge are gone."""
        raise InputError(
            f"unmerge: adapter must not be merged into a {self.kind} layer, got a merged one ({self.lost}: load the"
            " base again and add the adapter)"
        )

    def _stored_base(self) -> StoredLinear:
        base = self.get_base_layer()
        assert isinstance(base, StoredLinear)
        return base

    def _get_in_out_features(self, module: nn.Module) -> tuple[int, int]:
        assert isinstance(module, StoredLinear)
        return module.in_features, module.out_features

    def _get_base_layer_device_and_dtype(self, base_layer: nn.Module) -> tuple[torch.device, None]:
        # PEFT would look for a weight. Adapters keep their own type: what is stored has none of use to them.
        return next(self._stored_base().buffers()).device, None

    def __repr__(self) -> str:
        return "lora." + super().__repr__()


class LoraQuantizedLinear(LoraStoredLinear):
    """With W quantised; merging quantises the sum anew."""

    kind, lost = "quantised", "its codes were rounded anew"

    def _alone(self, x: torch.Tensor, adapter: str) -> torch.Tensor:
        # The kernel adds the branch before it rounds to the type of x. Training keeps to the adapter's own type.
        z, b = self._inner(x, adapter) * self.scaling[adapter], self._factors(adapter)[1].weight
        y: torch.Tensor = self.base_layer(x, z.to(x.dtype), b.to(x.dtype))
        return y

    def _stored(self, weight: torch.Tensor, bias: torch.Tensor | None) -> StoredLinear:
        base = self._stored_base()
        assert isinstance(base, QuantizedLinear)
        nested = base.double_quant
        return QuantizedLinear.from_weight(
            weight, bias, base.format, base.block, pad=True, double_quant=nested, rotated=base.rotated
        ).pack()


class LoraSparseLinear(LoraStoredLinear):
    """With W sparse; merging leaves its zeros zero, and drops what the adapter adds there."""

    kind, lost = "sparse", "it lacks what the adapter added to zeros"

    def _stored(self, weight: torch.Tensor, bias: torch.Tensor | None) -> StoredLinear:
        base = self._stored_base()
        assert isinstance(base, SparseLinear)
        return SparseLinear.from_weight(weight * (base.dense_weight() != 0), bias, base.value_type).pack()


@dataclass(frozen=True)
class Merged:
    """A model with its adapters merged, and what that cost."""

    model: nn.Module
    errors: Mapping[str, float]  # stored layer -> ||W_merged - (W + delta)|| / ||delta||, Frobenius norms


def merge(model: PeftModel, adapter_names: list[str] | None = None) -> Merged:
    """Merge adapters into their base, quantised, sparse or dense, and say how much of them was lost.

    Like PEFT's ``merge_and_unload`` this changes ``model`` and gives back its base. The errors stay in the base's
    record too. Where they are near 1 or above, most of the adapter is lost: keep it beside the base instead.

    Args:
        model: what ``get_peft_model`` or ``PeftModel.from_pretrained`` returned.
        adapter_names: which to merge; the active ones by default.
    """
    model.merge_adapter(adapter_names)
    base = model.get_base_model()
    errors = {
        name: module.merge_error
        for name, module in base.named_modules()
        if isinstance(module, LoraStoredLinear) and module.merge_error is not None
    }
    unloaded: nn.Module = model.unload()
    if has_record(unloaded):
        attach(unloaded, dataclasses.replace(record(unloaded), merge_errors=errors))
    return Merged(unloaded, errors)


def register() -> None:
    """Let every ``LoraConfig`` know our layers, those that PEFT reads from a saved adapter included; once.

    PEFT's own hook, ``LoraConfig._register_custom_module``, is for one config object and is not saved with it, so an
    adapter could be trained but not loaded again. Its table of layer types has no other way in.
    """
    original: Callable[[LoraConfig], None] = LoraConfig.__post_init__
    if getattr(original, "knows_fairopt", False):
        return

    @functools.wraps(original)
    def with_our_layers(config: LoraConfig) -> None:
        original(config)
        config._register_custom_module({QuantizedLinear: LoraQuantizedLinear, SparseLinear: LoraSparseLinear})

    with_our_layers.knows_fairopt = True  # type: ignore[attr-defined]
    LoraConfig.__post_init__ = with_our_layers  # type: ignore[method-assign]
    _widen_all_linear()


def _widen_all_linear() -> None:
    """Let ``target_modules="all-linear"``, for which PEFT lists the classes of torch, mean our layers too."""
    original = tuners_utils._maybe_include_all_linear_layers

    @functools.wraps(original)
    def with_our_layers(peft_config: Any, model: nn.Module) -> Any:
        asked = getattr(peft_config, "target_modules", None)
        config: Any = original(peft_config, model)
        if isinstance(asked, str) and asked.lower() == INCLUDE_LINEAR_LAYERS_SHORTHAND:
            head = getattr(model, "get_output_embeddings", lambda: None)()
            config.target_modules |= {
                name
                for name, module in model.named_modules()
                if type(module) in (QuantizedLinear, SparseLinear)
                and module is not head
                and ".parts." not in name
                and not name.endswith(".base_layer")  # it has an adapter already: PEFT has named that
            }
        return config

    tuners_utils._maybe_include_all_linear_layers = with_our_layers
