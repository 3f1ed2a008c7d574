"""LoRA on quantised layers (QLoRA, Dettmers et al. 2023, arXiv:2305.14314) through PEFT.

The base stays quantised and constant, gradients reach the adapters and the input. Merging into a quantised base must
round again: what the rounding takes from the adapter is measured and reported.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import check_adapters_to_merge
from torch import nn

from fairopt.compress.record import attach, has_record, record
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

_INITIALISERS = (True, False, "gaussian")  # the others read a dense weight


class LoraQuantizedLinear(nn.Module, LoraLayer):
    """``y = W x + scaling * B A dropout(x)`` with W quantised; a layer as PEFT's tuners expect it."""

    def __init__(
        self,
        base_layer: QuantizedLinear,
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
                raise InputError(f"LoraConfig: {name} must be off on a quantised layer, got {value!r}")
        if config.init_lora_weights not in _INITIALISERS:
            raise InputError(
                f"LoraConfig: init_lora_weights must be one of {', '.join(map(repr, _INITIALISERS))} on a quantised"
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
            return self._fused(x, active[0])
        y: torch.Tensor = self.base_layer(x, *args, **kwargs)
        for name in active:
            y = y + (self._factors(name)[1](self._inner(x, name)) * self.scaling[name]).to(y.dtype)
        return y

    def _inner(self, x: torch.Tensor, adapter: str) -> torch.Tensor:
        a = self._factors(adapter)[0]
        z: torch.Tensor = a(self.lora_dropout[adapter](self._cast_input_dtype(x, a.weight.dtype)))
        return z

    def _fused(self, x: torch.Tensor, adapter: str) -> torch.Tensor:
        # The kernel adds the branch before it rounds to the type of x. Training keeps to the adapter's own type.
        z, b = self._inner(x, adapter) * self.scaling[adapter], self._factors(adapter)[1].weight
        y: torch.Tensor = self.base_layer(x, z.to(x.dtype), b.to(x.dtype))
        return y

    def get_delta_weight(self, adapter: str) -> torch.Tensor:
        """``scaling * B A``, fp32 [out_features, in_features]: what the adapter adds to the weight."""
        a, b = self._factors(adapter)
        return b.weight.float() @ a.weight.float() * float(self.scaling[adapter])

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Quantise ``W + sum of deltas`` anew, once for all adapters, in the format of W.

        ``merge_error`` is then ``||W_merged - (W + delta)||_F / ||delta||_F``: 0 when the merged layer is the sum, 1
        when what was lost in rounding is as large as what the adapters add. Cannot be undone: keep the adapter.
        """
        names = [name for name in check_adapters_to_merge(self, adapter_names) if name in self.lora_A]
        if not names:
            return
        base = self._quantized_base()
        delta = functools.reduce(torch.add, map(self.get_delta_weight, names))
        if not torch.isfinite(delta).all():
            raise InputError(f"merge: adapter must be finite, got NaN or infinite values in {', '.join(names)}")
        bias = self._merged_bias(base, names)
        wanted = base.dense_weight() + delta
        nested = base.double_quant
        merged = QuantizedLinear.from_weight(
            wanted, bias, base.format, base.block, pad=True, double_quant=nested, rotated=base.rotated
        ).pack()
        lost, added = (merged.dense_weight() - wanted).norm(), delta.norm()
        self.merge_error = float(lost / added) if added else float(lost)
        self.base_layer = merged
        self.merged_adapters.extend(names)

    def _merged_bias(self, base: QuantizedLinear, names: list[str]) -> torch.Tensor | None:
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
        """Refused: the codes from before the merge are gone."""
        raise InputError(
            "unmerge: adapter must not be merged into a quantised layer, got a merged one (its codes were rounded anew:"
            " load the base again and add the adapter)"
        )

    def _quantized_base(self) -> QuantizedLinear:
        base = self.get_base_layer()
        assert isinstance(base, QuantizedLinear)
        return base

    def _get_in_out_features(self, module: nn.Module) -> tuple[int, int]:
        assert isinstance(module, QuantizedLinear)
        return module.in_features, module.out_features

    def _get_base_layer_device_and_dtype(self, base_layer: nn.Module) -> tuple[torch.device, None]:
        # PEFT would look for a weight. Adapters keep their own type: codes have none.
        return self._quantized_base().qweight.device, None

    def __repr__(self) -> str:
        return "lora." + super().__repr__()


@dataclass(frozen=True)
class Merged:
    """A model with its adapters merged, and what that cost."""

    model: nn.Module
    errors: Mapping[str, float]  # quantised layer -> ||W_merged - (W + delta)|| / ||delta||, Frobenius norms


def merge(model: PeftModel, adapter_names: list[str] | None = None) -> Merged:
    """Merge adapters into their base, quantised or dense, and say how much of them the rounding took.

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
        if isinstance(module, LoraQuantizedLinear) and module.merge_error is not None
    }
    unloaded: nn.Module = model.unload()
    if has_record(unloaded):
        attach(unloaded, dataclasses.replace(record(unloaded), merge_errors=errors))
    return Merged(unloaded, errors)


def register() -> None:
    """Let every ``LoraConfig`` know our layer, those that PEFT reads from a saved adapter included; once.

    PEFT's own hook, ``LoraConfig._register_custom_module``, is for one config object and is not saved with it, so an
    adapter could be trained but not loaded again. Its table of layer types has no other way in.
    """
    original: Callable[[LoraConfig], None] = LoraConfig.__post_init__
    if getattr(original, "knows_fairopt", False):
        return

    @functools.wraps(original)
    def with_our_layer(config: LoraConfig) -> None:
        original(config)
        config._register_custom_module({QuantizedLinear: LoraQuantizedLinear})

    with_our_layer.knows_fairopt = True  # type: ignore[attr-defined]
    LoraConfig.__post_init__ = with_our_layer  # type: ignore[method-assign]
