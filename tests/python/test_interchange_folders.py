"""Whole models in the layouts of other libraries: written, read back, and read by the libraries themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import fairopt as fo
from fairopt.cli.app import app
from fairopt.compress.quantization_config import stored_layers
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

RECIPES = {
    "dense": "nf4:block=32",
    "bitsandbytes": "nf4:block=32",
    "bitsandbytes-int8": "int8:row",
    "gptq": "int4:g=32",
    "gptq_v2": "int3:g=32,asym",
    "awq": "int4:g=32,asym",
    "compressed-tensors": "int4:g=32,asym",
    "hqq": "int4:g=32,asym_float",
}


def exported(layout: str, tmp_path: Path, recipe: str | None = None, model: Any = None) -> tuple[Any, Path]:
    compressed = fo.compress(tiny_models.llama() if model is None else model, recipe or RECIPES[layout])
    return compressed, fo.export(compressed, tmp_path / layout, layout)


def largest_change(one: Any, other: Any) -> float:
    return float((tiny_models.logits(one) - tiny_models.logits(other)).abs().max())


@pytest.mark.parametrize("layout", sorted(RECIPES.keys() - {"dense"}))
def test_what_is_exported_is_loaded_again(layout: str, tmp_path: Path) -> None:
    compressed, folder = exported(layout, tmp_path)
    again = fo.load(folder)
    layers = {name: layer for name, layer in compressed.named_modules() if isinstance(layer, QuantizedLinear)}
    for name, layer in layers.items():
        found = again.get_submodule(name)
        assert isinstance(found, QuantizedLinear)
        # fp16 scales (GPTQ, AWQ) are off by 2^-11 of themselves; the others by float32 roundings.
        bound = (
            2**-11 * float(layer.dense_weight().abs().max()) * 1.01 if layout in ("gptq", "gptq_v2", "awq") else 1e-6
        )
        assert float((found.dense_weight() - layer.dense_weight()).abs().max()) <= bound
    assert fo.record(again).bits_per_weight == fo.record(compressed).bits_per_weight
    fo.save(again, tmp_path / "ours")
    assert largest_change(fo.load(tmp_path / "ours"), again) == 0


@pytest.mark.parametrize("model", [tiny_models.llama, tiny_models.gpt2])
def test_a_dense_export_is_an_ordinary_model(model: Any, tmp_path: Path) -> None:
    """GPT-2 stores its weights transposed, and gets them so."""
    from transformers import AutoModelForCausalLM

    compressed, folder = exported("dense", tmp_path, model=model())
    dense = AutoModelForCausalLM.from_pretrained(folder)
    for name, layer in compressed.named_modules():
        if isinstance(layer, QuantizedLinear):
            weight = dense.get_submodule(name).weight.detach()
            assert torch.equal(weight.t() if "gpt2" in str(type(dense)).lower() else weight, layer.dense_weight())


@pytest.mark.parametrize("recipe", ["nf4:block=32", "fp4:block=32"])
def test_transformers_reads_bitsandbytes(recipe: str, tmp_path: Path) -> None:
    """Weight by weight: its product rounds to bfloat16 on some processors."""
    import bitsandbytes as bnb
    from transformers import AutoModelForCausalLM

    compressed, folder = exported("bitsandbytes", tmp_path, recipe)
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    for name, layer in compressed.named_modules():
        if isinstance(layer, QuantizedLinear):
            found = theirs.get_submodule(name)
            assert isinstance(found, bnb.nn.Linear4bit)
            weight = bnb.functional.dequantize_4bit(found.weight.data, found.weight.quant_state)
            # FP4's table has 4 to 5 decimals in some of its back ends.
            atol = 1e-4 * float(layer.rows()[1].max()) if recipe.startswith("fp4") else 0.0
            torch.testing.assert_close(weight, layer.dense_weight(), rtol=2**-22, atol=atol)


def test_transformers_reads_compressed_tensors(tmp_path: Path) -> None:
    """Symmetric: for packed zero points transformers 5.23 expects another shape than compressed-tensors 0.20 writes."""
    from transformers import AutoModelForCausalLM

    compressed, folder = exported("compressed-tensors", tmp_path, "int4:g=32")
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    reference = tiny_models.logits(_dense_twin(compressed))
    assert float((tiny_models.logits(theirs) - reference).abs().max()) <= 2e-5 * float(reference.abs().max())


def _dense_twin(compressed: Any) -> Any:
    import copy

    twin = copy.deepcopy(compressed)
    for name, layer in compressed.named_modules():
        if isinstance(layer, QuantizedLinear):
            twin.set_submodule(name, layer.to_linear())
    return twin


@pytest.mark.parametrize(("layout", "recipe"), [
    ("gguf-q4_0", "int4:g=32,sym_signed8"), ("gguf-q8_0", "int8:g=32"), ("gguf-q4_k", "nf4"),
])  # fmt: skip
def test_gguf_opens_in_llama_cpps_reader(layout: str, recipe: str, tmp_path: Path) -> None:
    import gguf

    model = tiny_models.llama(hidden=256)
    compressed = fo.compress(model, f"{recipe};keep=*down_proj" if layout == "gguf-q4_k" else recipe)
    reader = gguf.GGUFReader(fo.export(compressed, tmp_path / "model.gguf", layout))
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    weight = compressed.get_submodule("model.layers.1.self_attn.v_proj").dense_weight().numpy()
    found = gguf.quants.dequantize(tensors["blk.1.attn_v.weight"].data, tensors["blk.1.attn_v.weight"].tensor_type)
    step = abs(weight).max() / 7
    assert found.shape == weight.shape
    assert abs(found - weight).max() <= (step if layout == "gguf-q4_k" else 2**-10 * abs(weight).max())
    assert reader.fields["llama.block_count"].parts[-1][0] == 2
    # llama.cpp opens no file that does not name a tokenizer; this name says that there is none.
    assert reader.fields["tokenizer.ggml.model"].contents() == "none"
    # llama.cpp rotates pairs where transformers rotates halves: row 1 of a head is row d/2 of ours.
    query = compressed.get_submodule("model.layers.0.self_attn.q_proj").dense_weight().numpy()
    turned = gguf.quants.dequantize(tensors["blk.0.attn_q.weight"].data, tensors["blk.0.attn_q.weight"].tensor_type)
    half = query.shape[0] // model.config.num_attention_heads // 2
    assert abs(turned[1] - query[half]).max() <= step
    assert abs(turned[2] - query[1]).max() <= step


def test_gguf_holds_scaled_frequencies_or_says_why_not(tmp_path: Path) -> None:
    import gguf

    model = tiny_models.llama()
    model.config.rope_parameters = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    scaled = type(model)(model.config).eval()
    reader = gguf.GGUFReader(fo.export(fo.compress(scaled, "int8:g=32"), tmp_path / "model.gguf", "gguf-q8_0"))
    (factors,) = (tensor.data for tensor in reader.tensors if tensor.name == "rope_freqs.weight")
    assert factors == pytest.approx([4.0] * 8, rel=1e-6)  # heads of 16: 8 frequencies
    assert reader.fields["llama.attention.key_length"].contents() == 16

    model.config.rope_parameters = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    with pytest.raises(InputError, match=r"rope_type must be one of default, linear, llama3 .* got 'dynamic'"):
        fo.export(fo.compress(type(model)(model.config), "int8:g=32"), tmp_path / "other.gguf", "gguf-q8_0")
    assert not (tmp_path / "other.gguf").exists()


def test_what_has_no_place_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    compressed = fo.compress(tiny_models.llama(), "int4:g=32")
    with pytest.raises(InputError, match=r"export: layers must be nf4 or fp4, got int4_sym in 'model.layers.0"):
        fo.export(compressed, tmp_path / "out", "bitsandbytes")
    with pytest.raises(InputError, match="layout must be one of dense, bitsandbytes"):
        fo.export(compressed, tmp_path / "out", "ggml")
    with pytest.raises(InputError, match="model must have quantised layers for 'gptq', got none"):
        fo.export(tiny_models.llama(), tmp_path / "out", "gptq")
    with pytest.raises(InputError, match="got 'gpt2'"):
        fo.export(fo.compress(tiny_models.gpt2(), "int8:g=32"), tmp_path / "out", "gguf-q8_0")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["w8a8", "int4:g=32,int8=0.5", "nf4:block=32;model.embed_tokens=int8:g=32"])
def test_every_kind_of_layer_is_written_dense_and_refused_elsewhere(recipe: str, tmp_path: Path) -> None:
    compressed = fo.compress(tiny_models.llama(tied=False), recipe)
    tensors = load_file(fo.export(compressed, tmp_path / "dense", "dense") / "model.safetensors")
    assert tensors.keys() == tiny_models.llama(tied=False).state_dict().keys()
    stored = stored_layers(compressed)
    assert all(torch.equal(tensors[f"{path}.weight"], layer.dense_weight()) for path, layer in stored.items())
    with pytest.raises(InputError, match="export: layers must be QuantizedLinear, got"):
        fo.export(compressed, tmp_path / "out", "bitsandbytes")


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    _, folder = exported("gptq", tmp_path)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.0.mlp.up_proj.qweight"

    save_file({**tensors, name: tensors[name][:-1].contiguous()}, file)
    with pytest.raises(InputError, match=r"layer 'model.layers.0.mlp.up_proj': qweight must be int32 \[8, 96\], got"):
        fo.load(folder)
    scales = "model.layers.0.mlp.up_proj.scales"
    save_file({**tensors, scales: tensors[scales] * torch.nan}, file)
    with pytest.raises(InputError, match=r"layer 'model.layers.0.mlp.up_proj': scales must be finite, got NaN"):
        fo.load(folder)
    save_file({k: v for k, v in tensors.items() if not k.endswith("model.norm.weight")}, file)
    with pytest.raises(InputError, match=r"model\.norm\.weight"):
        fo.load(folder)
    save_file({**tensors, "stranger": torch.zeros(1)}, file)
    with pytest.raises(InputError, match="stranger"):
        fo.load(folder)
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    with pytest.raises(InputError, match="must be a safetensors file"):
        fo.load(folder)
    file.write_bytes((2**62).to_bytes(8, "little") + whole[8:])  # a header that says it is enormous
    with pytest.raises(InputError, match="must be a safetensors file"):
        fo.load(folder)
    file.unlink()
    with pytest.raises(InputError, match="must hold safetensors files, got none"):
        fo.load(folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["quant_method"] = "exl3"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"quant_method must be fairopt or one of awq, .* got 'exl3'"):
        fo.load(folder)


def test_the_command(tmp_path: Path) -> None:
    compressed = fo.compress(tiny_models.llama(), "int4:g=32")
    fo.save(compressed, tmp_path / "ours")
    arguments = ["export", str(tmp_path / "ours"), "--as", "gptq", "--out", str(tmp_path / "theirs")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert isinstance(fo.load(tmp_path / "theirs").get_submodule("model.layers.0.mlp.up_proj"), QuantizedLinear)
    listed = CliRunner().invoke(app, ["list", "layouts"]).output
    from fairopt.compress.interchange import LAYOUTS

    assert all(layout in listed for layout in LAYOUTS)
