"""LoRA on sparse layers through PEFT: the base and its zeros stay, and merging says what it drops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_models import IDS, gpt2, llama, logits, train
from torch import nn

import fairopt
import fairopt.hf
from fairopt.errors import InputError
from fairopt.hf.lora import LoraSparseLinear
from fairopt.nn import SparseLinear

LAYOUTS: dict[str, tuple[Callable[[], nn.Module], str, list[str]]] = {
    "llama": (llama, "magnitude:0.5+sparse", ["q_proj", "v_proj", "down_proj"]),
    "gpt2": (gpt2, "magnitude:2:4+sparse", ["c_attn", "c_proj"]),
    "bfloat16": (lambda: llama(dtype=torch.bfloat16), "magnitude:0.7+sparse", ["q_proj", "o_proj"]),
    "int8": (llama, "magnitude:0.5+sparse:int8", ["q_proj", "up_proj"]),
}


def base(layout: str) -> nn.Module:
    make, recipe, _ = LAYOUTS[layout]
    model: nn.Module = fairopt.compress(make(), recipe)
    return model


def lora(layout: str = "llama", **options: object) -> PeftModel:
    torch.manual_seed(1)
    return get_peft_model(base(layout), LoraConfig(r=4, lora_alpha=8, target_modules=LAYOUTS[layout][2], **options))


def adapted(model: nn.Module) -> dict[str, LoraSparseLinear]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraSparseLinear)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_reach_the_adapters_alone_and_zeros_stay(layout: str) -> None:
    model = lora(layout)
    assert adapted(model)
    before = {name: module.base_layer.dense_weight() for name, module in adapted(model).items()}
    model(IDS, labels=IDS).loss.backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {name for name, p in model.named_parameters() if ".lora_A." in name or ".lora_B." in name}
    model.zero_grad()
    losses = train(model, 8)
    assert losses[-1] < losses[0]
    for name, module in adapted(model).items():
        assert torch.equal(module.base_layer.dense_weight(), before[name])
        assert (before[name] == 0).float().mean() > 0.4


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layer_computes_what_lora_on_the_dense_twin_computes(layout: str, tmp_path: Path) -> None:
    model = lora(layout)
    train(model, 3)
    model.save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(base(layout), tmp_path / "adapter")
    assert torch.equal(logits(again), logits(model))
    twin = base(layout)
    dtype = next(twin.parameters()).dtype
    for name, module in list(twin.named_modules()):
        if isinstance(module, SparseLinear):
            twin.set_submodule(name, module.to_linear(dtype))
    dense = PeftModel.from_pretrained(twin, tmp_path / "adapter")
    # fp32 sums of at most 96 products in another order; in bfloat16 some roundings of 2^-9 a layer.
    relative = (logits(model) - logits(dense)).float().norm() / logits(dense).float().norm()
    assert relative < (1e-5 if dtype == torch.float32 else 2**-6)


@pytest.mark.parametrize("layout", ["llama", "gpt2", "bfloat16"])
def test_merging_keeps_the_zeros_and_reports_what_it_dropped(layout: str, tmp_path: Path) -> None:
    model = lora(layout)
    train(model, 8)
    zeros, expected = {}, {}
    for name, module in adapted(model.get_base_model()).items():
        weight, delta = module.base_layer.dense_weight(), module.get_delta_weight("default")
        kept = ((weight + delta) * (weight != 0)).to(next(model.parameters()).dtype)
        zeros[name] = weight == 0
        expected[name] = ((kept - weight - delta).norm() / delta.norm()).item()
    merged = fairopt.hf.merge(model)
    assert merged.errors == pytest.approx(expected, rel=1e-5)
    assert all(0 < error < 1 for error in merged.errors.values())
    for name, zero in zeros.items():
        module = merged.model.get_submodule(name)
        assert isinstance(module, SparseLinear)
        assert torch.equal(module.dense_weight() == 0, zero)
    record = fairopt.save(merged.model, tmp_path / "merged")
    assert record.merge_errors == merged.errors
    assert torch.equal(logits(fairopt.load(tmp_path / "merged")), logits(merged.model))


def test_what_cannot_be_done_is_refused() -> None:
    model = lora()
    train(model, 2)
    model.merge_adapter()
    with pytest.raises(InputError, match="unmerge: adapter must not be merged into a sparse layer"):
        model.unmerge_adapter()
    with pytest.raises(InputError, match="LoraConfig: use_dora must be off on a sparse layer"):
        lora(use_dora=True)
