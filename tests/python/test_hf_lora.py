"""LoRA on quantised layers through PEFT: trained, saved, loaded and merged as on dense ones, with the loss reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear as DenseLora
from tiny_models import IDS, gpt2, llama, logits, train
from torch import nn

import fairopt
import fairopt.hf
from fairopt.errors import InputError
from fairopt.hf.lora import LoraQuantizedLinear
from fairopt.nn import QuantizedLinear, quantized_linear

LAYOUTS: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "llama": (llama, ["q_proj", "v_proj", "down_proj"]),
    "gpt2": (gpt2, ["c_attn", "c_proj"]),
    "bfloat16": (lambda: llama(dtype=torch.bfloat16), ["q_proj", "o_proj"]),
}


def lora(layout: str = "llama", recipe: str = "nf4:block=32", **options: object) -> PeftModel:
    make, targets = LAYOUTS[layout]
    model = fairopt.compress(make(), recipe)
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets, **options))


def buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_changes_the_adapters_alone_and_lowers_the_loss(layout: str) -> None:
    model = lora(layout)
    before = buffers(model)
    losses = train(model, 8)
    assert losses[-1] < losses[0]
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_saved_adapter_comes_back_to_the_same_bits(layout: str, tmp_path: Path) -> None:
    model = lora(layout)
    train(model, 3)
    model.save_pretrained(tmp_path / "adapter")
    base = fairopt.compress(LAYOUTS[layout][0](), "nf4:block=32")
    again = PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert torch.equal(logits(again), logits(model))
    assert sum(isinstance(module, LoraQuantizedLinear) for module in again.modules()) > 0


def test_the_layer_computes_what_lora_on_the_dense_twin_computes(tmp_path: Path) -> None:
    model = lora()
    train(model, 5)
    model.save_pretrained(tmp_path / "adapter")
    twin = fairopt.compress(llama(), "nf4:block=32")
    for name, module in list(twin.named_modules()):
        if isinstance(module, QuantizedLinear):
            twin.set_submodule(name, module.to_linear())
    dense = PeftModel.from_pretrained(twin, tmp_path / "adapter")
    assert any(isinstance(module, DenseLora) for module in dense.modules())
    # fp32 sums of at most 96 products in another order.
    assert torch.allclose(logits(model), logits(dense), atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inference_adds_the_branch_in_the_kernel(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lora(layout, init_lora_weights=False)
    with torch.enable_grad():
        expected = model(IDS).logits.detach()
    branches = []
    product = quantized_linear.ops.packed_linear

    def counting(*arguments: object) -> torch.Tensor:
        branches.append(arguments[-2] is not None)
        return product(*arguments)

    monkeypatch.setattr(quantized_linear.ops, "packed_linear", counting)
    found = logits(model)
    assert sum(branches) == sum(isinstance(module, LoraQuantizedLinear) for module in model.modules())
    # One rounding to the type of x instead of three in each layer.
    relative = (found - expected).float().norm() / expected.float().norm()
    assert relative < (1e-5 if expected.dtype == torch.float32 else 2**-6)


def test_adapters_switch_mix_and_turn_off() -> None:
    model = lora()
    base = logits(fairopt.compress(llama(), "nf4:block=32"))
    assert torch.equal(logits(model), base)  # B starts at zero
    train(model, 3)
    first = logits(model)
    model.add_adapter("second", LoraConfig(r=2, target_modules=LAYOUTS["llama"][1], init_lora_weights=False))
    model.set_adapter("second")
    second = logits(model)
    assert not torch.equal(first, second)
    with model.disable_adapter():
        assert torch.equal(logits(model), base)
    with torch.no_grad():
        mixed = model(IDS.expand(3, -1), adapter_names=["default", "__base__", "second"]).logits
    for row, expected in zip(mixed, (first, base, second), strict=True):
        assert torch.allclose(row, expected[0], atol=1e-5)


def expected_errors(model: PeftModel) -> dict[str, float]:
    """The definition, from the adapters' and the base's tensors alone."""
    errors = {}
    for name, module in model.get_base_model().named_modules():
        if isinstance(module, LoraQuantizedLinear):
            base = module.base_layer
            delta = module.lora_B["default"].weight.double() @ module.lora_A["default"].weight.double() * 8 / 4
            weight = base.dense_weight().double()
            rounded = QuantizedLinear.from_weight((weight + delta).float(), None, base.format, base.block)
            errors[name] = ((rounded.dense_weight().double() - weight - delta).norm() / delta.norm()).item()
    return errors


@pytest.mark.parametrize("layout", ["llama", "gpt2"])
def test_merging_reports_what_rounding_took(layout: str, tmp_path: Path) -> None:
    model = lora(layout)
    train(model, 8)
    wanted, expected = logits(model), expected_errors(model)
    merged = fairopt.hf.merge(model)
    # W + delta in fp32 and in float64 may round to neighbouring codes where they lie half-way.
    assert merged.errors == pytest.approx(expected, rel=1e-3)
    assert all(0 < error < 1 for error in merged.errors.values())
    assert not any(isinstance(module, LoraQuantizedLinear) for module in merged.model.modules())
    base = logits(fairopt.compress(LAYOUTS[layout][0](), "nf4:block=32"))
    assert (logits(merged.model) - wanted).norm() < (base - wanted).norm() / 4
    record = fairopt.save(merged.model, tmp_path / "merged")
    assert record.merge_errors == merged.errors
    loaded = fairopt.load(tmp_path / "merged")
    assert torch.equal(logits(loaded), logits(merged.model))
    assert fairopt.record(loaded) == record


def test_finer_formats_lose_less_of_an_adapter() -> None:
    errors = {}
    for recipe in ("int8:g=32", "nf4:block=32"):
        model = lora(recipe=recipe)
        train(model, 8)
        errors[recipe] = max(fairopt.hf.merge(model).errors.values())
    assert errors["int8:g=32"] < errors["nf4:block=32"] / 4


def test_peft_merges_too_and_biases_follow() -> None:
    model = lora("gpt2", lora_bias=True)
    train(model, 5)
    wanted = logits(model)
    merged = model.merge_and_unload()
    assert isinstance(merged.transformer.h[0].attn.c_attn, QuantizedLinear)
    base = logits(fairopt.compress(gpt2(), "nf4:block=32"))
    assert (logits(merged) - wanted).norm() < (base - wanted).norm() / 4


def test_what_cannot_be_done_is_refused() -> None:
    model = lora()
    train(model, 2)
    model.merge_adapter()
    with pytest.raises(InputError, match="unmerge: adapter must not be merged into a quantised layer"):
        model.unmerge_adapter()
    with model.disable_adapter(), pytest.raises(InputError, match="unmerge: adapter must not be merged"):
        logits(model)
    for option, value in {"use_dora": True, "init_lora_weights": "pissa"}.items():
        with pytest.raises(InputError, match=f"LoraConfig: {option} must be "):
            lora(**{option: value})
    broken = lora()
    broken.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight.data[0, 0] = torch.nan
    with pytest.raises(InputError, match="merge: adapter must be finite, got NaN or infinite values in default"):
        fairopt.hf.merge(broken)
    no_bias = lora(lora_bias=True)
    with pytest.raises(InputError, match="merge: adapter must have no bias where the layer has none"):
        fairopt.hf.merge(no_bias)


def test_a_model_quantised_while_loading_trains(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    model = fairopt.hf.from_pretrained(
        tmp_path / "dense", quantization_config=fairopt.hf.FairoptConfig("int4:g=32"), dtype=torch.bfloat16
    )
    assert model.hf_quantizer.is_trainable
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    losses = train(get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "up_proj"])), 6)
    assert losses[-1] < losses[0]


def test_configs_stay_plain_when_saved(tmp_path: Path) -> None:
    config = LoraConfig(r=4, target_modules=["q_proj"])
    config.save_pretrained(tmp_path)
    assert "fairopt" not in (tmp_path / "adapter_config.json").read_text()
    assert LoraConfig.from_pretrained(tmp_path) == config


def test_all_linear_means_quantised_and_sparse_layers_too(tmp_path: Path) -> None:
    recipe = "nf4:block=32;lm_head=int8:g=32;*.up_proj=magnitude:0.5+sparse;keep=*.q_proj"
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    lora = get_peft_model(fairopt.compress(llama(tied=False), recipe), config)
    named = {name.split(".")[-4] for name, _ in lora.named_parameters() if "lora_A" in name}
    assert named == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    lora.add_adapter("second", LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert not any("base_layer.lora" in name for name, _ in lora.named_parameters())
    lora.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(fairopt.compress(llama(tied=False), recipe), tmp_path)
    assert torch.equal(logits(again), logits(lora))
