"""fairopt.hf: transformers loads, quantises while loading, and saves what fairopt's own functions do, bit for bit."""

from __future__ import annotations

import dataclasses
import importlib
import json
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import IDS, gpt2, llama, logits, xlm_roberta
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

import fairopt
import fairopt.hf
from fairopt.errors import InputError
from fairopt.hf import FairoptConfig, quantizer
from fairopt.nn import QuantizedLinear

MODELS: dict[str, Callable[[], nn.Module]] = {
    "llama": llama,
    "untied": lambda: llama(tied=False),
    "bfloat16": lambda: llama(dtype=torch.bfloat16),
    "gpt2": gpt2,
    "xlm-roberta": xlm_roberta,
}
RECIPES = [
    "nf4:block=32",
    "int4:g=32,asym;*.0.*=magnitude:0.5+int8:g=32",
    "magnitude:2:4",
    "magnitude:0.5+fp4:block=32",
]


def auto(name: str) -> type:
    return AutoModelForMaskedLM if name == "xlm-roberta" else AutoModelForCausalLM


def same_state(model: nn.Module, other: nn.Module) -> bool:
    state, expected = model.state_dict(), other.state_dict()
    return state.keys() == expected.keys() and all(
        value.dtype == expected[name].dtype and torch.equal(value, expected[name]) for name, value in state.items()
    )


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", MODELS)
def test_from_pretrained_reads_and_makes_what_fairopt_makes(name: str, recipe: str, tmp_path: Path) -> None:
    dense = MODELS[name]()
    dense.save_pretrained(tmp_path / "dense")
    ours = fairopt.compress(dense, recipe)
    fairopt.save(ours, tmp_path / "ours")
    read = fairopt.hf.from_pretrained(tmp_path / "ours", auto_class=auto(name))
    made = auto(name).from_pretrained(tmp_path / "dense", quantization_config=FairoptConfig(recipe))
    made.save_pretrained(tmp_path / "made")
    again = auto(name).from_pretrained(tmp_path / "made", device_map="cpu")
    for model in (read, made, again):
        assert same_state(model, ours)
        assert torch.equal(logits(model), logits(ours))
        assert not model.training
    assert dataclasses.replace(fairopt.record(read), files={}) == fairopt.record(ours)
    assert fairopt.record(made) == fairopt.record(ours)
    fairopt.save(made, tmp_path / "resaved")
    assert same_state(fairopt.load(tmp_path / "resaved"), ours)


@pytest.mark.parametrize("recipe", ["int8:g=32+kv4:group=16,residual=16", "kv2:group=16,residual=16"])
def test_quantised_caches_come_along(recipe: str, tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    ours = fairopt.compress(llama(), recipe)
    made = fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=FairoptConfig(recipe))
    made.save_pretrained(tmp_path / "made")
    for model in (made, fairopt.hf.from_pretrained(tmp_path / "made")):
        assert torch.equal(logits(model), logits(ours))
    assert not torch.equal(logits(ours), logits(llama()))
    assert fairopt.record(made) == fairopt.record(ours)


def test_heads_are_quantised_when_named_and_stay_tied_when_not(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "tied")
    llama(tied=False).save_pretrained(tmp_path / "untied")
    tied = fairopt.hf.from_pretrained(tmp_path / "tied", quantization_config=FairoptConfig("nf4:block=32"))
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    config = FairoptConfig("nf4:block=32;lm_head=int8:g=64")
    untied = fairopt.hf.from_pretrained(tmp_path / "untied", quantization_config=config, device_map="auto")
    assert isinstance(untied.lm_head, QuantizedLinear)
    with pytest.raises(InputError, match=r"must leave tied layers dense while loading, got 'lm_head'"):
        fairopt.hf.from_pretrained(tmp_path / "tied", quantization_config=config)
    # compress() unties; a folder with an untied quantised head is read as any other.
    ours = fairopt.compress(llama(), "nf4:block=32;lm_head=int8:g=64")
    fairopt.save(ours, tmp_path / "ours")
    assert torch.equal(logits(fairopt.hf.from_pretrained(tmp_path / "ours")), logits(ours))


def test_at_most_one_dense_layer_is_alive_while_quantising(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llama().save_pretrained(tmp_path / "dense")
    weights: list[weakref.ref[torch.Tensor]] = []
    alive_before = []
    one_layer = quantizer.compress_layer

    def counting(layer: nn.Module, chain: object, name: str) -> nn.Module:
        alive_before.append(sum(weight() is not None for weight in weights))
        weights.append(weakref.ref(layer.weight))
        return one_layer(layer, chain, name)

    monkeypatch.setattr(quantizer, "compress_layer", counting)
    model = fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=FairoptConfig("int8:g=32"))
    assert alive_before == [0] * 14
    assert len(fairopt.record(model).layers) == 14


@pytest.mark.parametrize(
    ("skipped", "kept"),
    [(["lm_head"], []), (["q_proj"], ["q_proj"]), (["model.layers.1"], ["layers.1."]), (["mlp.*"], ["mlp."])],
)
def test_modules_to_not_convert_stay_dense(skipped: list[str], kept: list[str], tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    config = FairoptConfig("nf4:block=32", modules_to_not_convert=skipped)
    if skipped == ["mlp.*"]:  # transformers matches from the start of a name, or its end
        config = FairoptConfig("nf4:block=32", modules_to_not_convert=["model.layers.*.mlp"])
    model = fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=config)
    for name, module in model.named_modules():
        if name.endswith("_proj"):
            assert isinstance(module, nn.Linear) == any(part in name for part in kept), name
    model.save_pretrained(tmp_path / "saved")
    assert same_state(fairopt.hf.from_pretrained(tmp_path / "saved"), model)


def test_dequantize_gives_a_dense_model(tmp_path: Path) -> None:
    ours = fairopt.compress(gpt2(), "int8:g=32")
    fairopt.save(ours, tmp_path / "ours")
    model = fairopt.hf.from_pretrained(tmp_path / "ours").dequantize()
    assert not any(isinstance(module, QuantizedLinear) for module in model.modules())
    # The same weights in another order of summation: K = 64 and 256 products, values of order 1.
    assert torch.allclose(logits(model), logits(ours), atol=1e-4)
    model.save_pretrained(tmp_path / "dense")
    assert "quantization_config" not in json.loads((tmp_path / "dense" / "config.json").read_text())
    with pytest.raises(InputError, match="record: model must come from"):
        fairopt.record(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_requested_type_is_that_of_the_dense_part(dtype: torch.dtype, tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    config = FairoptConfig("nf4:block=32")
    made = fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=config, dtype=dtype)
    ours = fairopt.compress(AutoModelForCausalLM.from_pretrained(tmp_path / "dense", dtype=dtype), "nf4:block=32")
    assert same_state(made, ours)
    assert made.model.norm.weight.dtype == dtype
    assert made.model.layers[0].mlp.up_proj.rows()[1].dtype == torch.float32


def test_importing_twice_registers_once() -> None:
    importlib.reload(fairopt.hf)
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

    assert AUTO_QUANTIZER_MAPPING["fairopt"] is fairopt.hf.FairoptQuantizer


def test_a_dense_model_is_not_taken_for_a_compressed_one(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    with pytest.raises(InputError, match=r"must be a compressed model, got '.*dense' \(pass quantization_config="):
        fairopt.hf.from_pretrained(tmp_path / "dense")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("gptq:int4,g=32", "must need no calibration and only one layer at a time .*, got 'gptq:int4,g=32'"),
        ("smoothquant+w8a8", "must need no calibration and only one layer at a time .*, got 'smoothquant.w8a8'"),
        ("nf5", "step must be one of"),
        ("nf4:block=80", "block must divide K = 64"),
        ("nf4;keep=nothing", "keep must match a layer, got 'nothing'"),
    ],
)
def test_recipes_that_cannot_be_applied_while_loading(recipe: str, message: str, tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    with pytest.raises(InputError, match=message):
        fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=FairoptConfig(recipe))


def damaged(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


UP = "model.layers.0.mlp.up_proj"


def test_weights_that_do_not_fit_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    llama().save_pretrained(tmp_path / "dense")
    damaged(tmp_path / "dense", lambda t: t[f"{UP}.weight"].view(-1)[5].fill_(torch.nan))
    for door in (fairopt.hf, AutoModelForCausalLM):
        with pytest.raises(InputError, match=f"^compress: weights must be finite, got 1 NaN .* in '{UP}.weight'"):
            door.from_pretrained(tmp_path / "dense", quantization_config=FairoptConfig("nf4:block=32"))
    damaged(tmp_path / "dense", lambda t: t.update({f"{UP}.weight": t[f"{UP}.weight"][:-1].contiguous()}))
    with pytest.raises(InputError, match=f"^load: tensor '{UP}.weight' must have shape .96, 64., got .95, 64."):
        fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=FairoptConfig("nf4:block=32"))
    fairopt.save(fairopt.compress(llama(), "nf4:block=32"), tmp_path / "short")
    damaged(tmp_path / "short", lambda t: t.update({f"{UP}.codes": t[f"{UP}.codes"][:-1].contiguous()}))
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        fairopt.hf.from_pretrained(tmp_path / "short")
    fairopt.save(fairopt.compress(llama(), "nf4:block=32"), tmp_path / "absent")
    damaged(tmp_path / "absent", lambda t: t.pop(f"{UP}.codes"))
    with pytest.raises(InputError, match=rf"tensor '{UP}.codes' must be in the weights files, got none"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "absent")
    fairopt.save(fairopt.compress(llama(), "nf4:block=32"), tmp_path / "norm")
    damaged(tmp_path / "norm", lambda t: t.pop("model.norm.weight"))
    with pytest.raises(InputError, match=r"must hold every tensor of LlamaForCausalLM, got none for 'model.norm.we"):
        fairopt.hf.from_pretrained(tmp_path / "norm")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version": 1', '"version": 2', "must have quant_method 'fairopt' version 1, got .* version 2"),
        ('"block"', '"blocks"', "layer '.*' must have options that its class knows: .* 'blocks'"),
        ('"layers": {', '"magic": 1, "layers": {', "must have the keys layers, quant_method, .*, got layers, magic"),
        (
            "layers.0.mlp.up",
            "layers.0.mlp.pu",
            "layer must be a linear one or an embedding of LlamaForCausalLM, got '.*pu_proj'",
        ),
    ],
)
def test_configs_that_are_not_ours_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    fairopt.save(fairopt.compress(llama(), "nf4:block=32"), tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        AutoModelForCausalLM.from_pretrained(tmp_path / "model")


def test_a_recipe_may_come_as_a_plain_mapping(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    mapping = {"quant_method": "fairopt", "recipe": "nf4:block=32"}
    model = fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=mapping)
    assert same_state(model, fairopt.compress(llama(), "nf4:block=32"))


@pytest.mark.parametrize(
    "recipe", ["nf4:block=32;lm_head=int8:g=32", "kv4:group=16,residual=0", "ffn:0.25:l2+int8:row"]
)
def test_save_pretrained_keeps_what_compress_and_load_made(recipe: str, tmp_path: Path) -> None:
    base = llama()
    made = fairopt.compress(base, recipe)
    fairopt.save(made, tmp_path / "ours")
    for number, model in enumerate([made, fairopt.load(tmp_path / "ours")]):
        model.save_pretrained(tmp_path / str(number))
        assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / str(number))), logits(made))
    assert not hasattr(base.config, "quantization_config")
    fairopt.export(fairopt.load(tmp_path / "ours"), tmp_path / "dense", "dense")
    assert not hasattr(AutoModelForCausalLM.from_pretrained(tmp_path / "dense").config, "quantization_config")


def test_the_body_alone_and_another_head_are_quantised_too(tmp_path: Path) -> None:
    made = fairopt.compress(llama(), "nf4:block=32;lm_head=int8:g=32")
    fairopt.save(made, tmp_path / "model")
    expected = made.model(IDS).last_hidden_state
    body = AutoModel.from_pretrained(tmp_path / "model")
    assert torch.equal(body(IDS).last_hidden_state, expected)
    assert "layers.0.mlp.up_proj" in fairopt.record(body).layers
    classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=3)
    assert torch.equal(classifier.model(IDS).last_hidden_state, expected)
    body.save_pretrained(tmp_path / "body")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "body")  # with a head of random numbers
    assert torch.equal(whole.model(IDS).last_hidden_state, expected)
    head = fairopt.compress(llama(), "lm_head=int8:g=32")
    fairopt.save(head, tmp_path / "head")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "head")), logits(head))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "got no recipe"),
        ({"bits": 4}, "got 'bits' .options are part of the recipe"),
        ({"recipe": "nf4", "block": 32}, "arguments must be recipe and, if need be, .* got 'block'"),
        ({"recipe": "nf4", "module_to_not_convert": ["lm_head"]}, "got 'module_to_not_convert'"),
        ({"recipe": 4}, "recipe: source must be text, a mapping or a Recipe, got 4"),
        ({"recipe": "nf4", "modules_to_not_convert": "lm_head"}, "must be a list of names, got 'lm_head'"),
    ],
)
def test_what_a_config_does_not_take_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FairoptConfig(**arguments)


def test_each_of_the_modules_to_not_convert_must_exist(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "dense")
    asked = FairoptConfig("nf4:block=32", modules_to_not_convert=["up_proj", "down_porj"])
    with pytest.raises(InputError, match="modules_to_not_convert must match linear layers, got 'down_porj'"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "dense", quantization_config=asked)


def weight_readers() -> dict[str, PreTrainedModel]:
    """Models whose code looks at the weight of a layer beside calling it."""
    sizes = {"vocab_size": 64, "num_layers": 1, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4}
    t5 = T5Config(**sizes, decoder_start_token_id=0)
    mamba = MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=16)
    torch.manual_seed(0)
    return {"t5": T5ForConditionalGeneration(t5).eval(), "mamba": MambaForCausalLM(mamba).eval()}


@pytest.mark.parametrize("name", ["t5", "mamba"])
def test_models_that_look_at_weights_run_and_keep_what_was_read(name: str, tmp_path: Path) -> None:
    base = weight_readers()[name]
    inputs = {"input_ids": IDS, **({"decoder_input_ids": IDS} if name == "t5" else {})}
    made = fairopt.compress(base, "int8:g=16,pad")
    with torch.no_grad():
        expected = made(**inputs).logits
        fairopt.save(made, tmp_path / "ours")
        assert torch.equal(type(base).from_pretrained(tmp_path / "ours")(**inputs).logits, expected)
        dense = type(base).from_pretrained(tmp_path / "ours").dequantize()(**inputs).logits
        # Two orders of the same fp32 sums of some hundred terms.
        torch.testing.assert_close(expected, dense, rtol=1e-4, atol=1e-4)
        base.save_pretrained(tmp_path / "dense")
        read = type(base).from_pretrained(tmp_path / "dense", quantization_config=FairoptConfig("int8:g=16,pad"))
        assert same_state(read, made)  # Mamba's own initialisation would draw the biases of dt_proj anew
        assert made.bfloat16()(**inputs).logits.isfinite().all()
