"""Structures removed by recipes: the model is smaller for real, is saved, read again and generates; refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from structured_models import FAMILIES, IDS, MOE, family, is_masked, logits
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

import fairopt as fo
import fairopt.hf
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.errors import InputError

CALIBRATION = [torch.randint(3, 28, (24,), generator=torch.Generator().manual_seed(i)) for i in range(4)]
# Sums of transformers' grouped product depend on where tensors lie in memory: a few last bits of logits of order 1.
_LAST_BITS = 1e-5


def _auto(name: str) -> Any:
    return AutoModelForMaskedLM if is_masked(name) else AutoModelForCausalLM


def _steps(name: str) -> list[str]:
    return [
        "heads:0.25:l2",
        "ffn:0.25:l2",
        "layers:1:l2",
        "hidden:0.25:l2",
        *(["experts:0.25:l2"] if name in MOE else []),
    ]


def _bytes(model: Any) -> int:
    return sum(p.numel() * p.element_size() for p in {id(p): p for p in model.parameters()}.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_step_is_smaller_and_comes_back(name: str, tmp_path: Path) -> None:
    model = family(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for i, recipe in enumerate(_steps(name)):
        cut = fo.compress(model, recipe, calibration=CALIBRATION)
        assert _bytes(cut) < _bytes(model)
        record = fo.save(cut, tmp_path / str(i))
        assert record.bytes == _bytes(cut)
        assert record.dense_bytes == _bytes(model)
        torch.testing.assert_close(logits(fo.load(tmp_path / str(i))), logits(cut), atol=_LAST_BITS, rtol=0)
        again = _auto(name).from_pretrained(tmp_path / str(i))
        torch.testing.assert_close(logits(again), logits(cut), atol=_LAST_BITS, rtol=0)
        if not is_masked(name):
            _check_generation(cut)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def _check_generation(model: Any) -> None:
    with_cache = _generated(model)
    assert with_cache.shape[1] == IDS.shape[1] + 4
    assert torch.equal(with_cache, _generated(model, use_cache=False))


def _generated(model: Any, **options: Any) -> torch.Tensor:
    ids: torch.Tensor = model.generate(IDS, max_new_tokens=4, do_sample=False, pad_token_id=0, **options)
    return ids


@pytest.mark.parametrize("name", FAMILIES)
def test_uniform_widths_are_said_by_the_config(name: str) -> None:
    """A plain folder: nothing in it needs fairopt. Heads need a config that knows head_dim."""
    plain = {"layers:1:l2", "ffn:0.25:l2", *(["experts:0.25:l2"] if name in MOE else [])}
    if not is_masked(name) and name not in ("gpt2", "gpt_neox", "opt"):
        plain |= {"heads:0.25:l2"}
        plain |= set() if name.startswith("gemma") else {"hidden:0.25:l2"}
    said = {step for step in _steps(name) if not fo.record(fo.compress(family(name), step)).unsaid_sizes}
    assert said == plain


def test_the_config_follows() -> None:
    cut: Any = fo.compress(family("llama"), "heads:0.5:l2+ffn:0.25:l2+hidden:0.25:l2,round=16+layers:1:l2")
    config = cut.config
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (2, 1, 16)
    assert (config.intermediate_size, config.hidden_size, config.num_hidden_layers) == (96, 48, 1)
    layer = cut.model.layers[0]
    assert layer.self_attn.q_proj.weight.shape == (32, 48)
    assert layer.self_attn.k_proj.weight.shape == (16, 48)
    assert layer.self_attn.o_proj.weight.shape == (48, 32)
    assert layer.mlp.down_proj.weight.shape == (48, 96)
    assert cut.lm_head.weight is cut.model.embed_tokens.weight  # still tied
    assert layer.self_attn.layer_idx == 0


def test_heads_and_channels_together_may_be_said_where_neither_alone_can() -> None:
    cut = fo.compress(family("gpt2"), "heads:0.25:l2+hidden:0.25:l2")
    assert fo.record(cut).unsaid_sizes == {}
    assert (cut.config.n_head, cut.config.n_embd) == (3, 48)


def test_a_llama_whose_heads_do_not_divide_its_width_is_a_mistral_on_disk(tmp_path: Path) -> None:
    """transformers refuses such a Llama, though its head_dim is given; Mistral's code is the same."""
    model = family("llama", num_attention_heads=8, num_key_value_heads=4)
    cut: Any = fo.compress(model, "heads:0.25:l2")
    assert (cut.config.num_attention_heads, cut.config.head_dim, cut.config.hidden_size) == (6, 8, 64)
    record = fo.save(cut, tmp_path / "cut")
    assert record.unsaid_sizes == {}
    assert "saved as MistralForCausalLM, which computes the same" in str(record)
    assert "quantization_config" not in json.loads((tmp_path / "cut/config.json").read_text())
    plain, info = AutoModelForCausalLM.from_pretrained(tmp_path / "cut", output_loading_info=True)
    assert type(plain).__name__ == "MistralForCausalLM"
    assert not any(info.values())
    for back in (plain, fo.load(tmp_path / "cut")):
        assert torch.equal(logits(back), logits(cut))
        assert torch.equal(_generated(back), _generated(cut))
    fo.save(fo.compress(model, "heads:0.25:l2+int8:pad"), tmp_path / "small")
    assert type(fairopt.hf.from_pretrained(tmp_path / "small")).__name__ == "MistralForCausalLM"
    both: Any = fo.compress(model, "heads:0.25:l2+hidden:0.25:l2")  # 48 channels for 6 heads
    assert (both.config.num_attention_heads, both.config.hidden_size) == (6, 48)
    assert fo.save(both, tmp_path / "both").architecture is None


@pytest.mark.parametrize(("name", "more"), [("llama", {"attention_bias": True}), ("gemma2", {})])
def test_heads_that_no_config_can_say_are_kept_beside_it(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    cut: Any = fo.compress(family(name, num_attention_heads=8, **{"num_key_value_heads": 4, **more}), "heads:0.25:l2")
    assert cut.config.num_attention_heads == 8
    assert fo.record(cut).unsaid_sizes == {f"model.layers.{i}": {"heads": 3} for i in range(2)}
    record = fo.save(cut, tmp_path / "cut")
    assert "config.json cannot say its sizes: read it with fairopt.load, or after 'import fairopt.hf'" in str(record)
    assert torch.equal(logits(fo.load(tmp_path / "cut")), logits(cut))
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "cut")), logits(cut))


def test_removed_layers_leave_their_entries_in_per_layer_lists() -> None:
    model: Any = family("qwen2", num_hidden_layers=4, use_sliding_window=True, max_window_layers=2)
    kinds = list(model.config.layer_types)
    assert len(set(kinds)) == 2
    cut: Any = fo.compress(model, "layers:2:random", seed=3)
    kept = [i for part in fo.record(cut).structure[0].kept[""].split(",") for i in _range(part)]
    assert kept[0] == 0
    assert kept[-1] == 3
    assert cut.config.layer_types == [kinds[i] for i in kept]


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def test_dense_layers_among_experts_are_renumbered(tmp_path: Path) -> None:
    model: Any = family("qwen2_moe", num_hidden_layers=4, mlp_only_layers=[1], decoder_sparse_step=1)
    cut: Any = fo.compress(model, "layers:1:random", seed=1)
    assert fo.record(cut).structure[0].kept == {"": "0,2-3"} or cut.config.mlp_only_layers == [1]
    fo.save(cut, tmp_path / "cut")
    torch.testing.assert_close(
        logits(AutoModelForCausalLM.from_pretrained(tmp_path / "cut")), logits(cut), atol=_LAST_BITS, rtol=0
    )


def test_widths_that_differ_are_read_by_us_and_refused_by_others(tmp_path: Path) -> None:
    model = family("llama", num_hidden_layers=3)
    cut = fo.compress(model, "ffn:0.25:l2,protect=1+heads:0.5:l2,protect=1")
    dimensions = Dimensions(cut)
    assert [dimensions.count(block, "ffn") for block in dimensions.blocks] == [128, 96, 128]
    assert [dimensions.count(block, "heads") for block in dimensions.blocks] == [2, 1, 2]
    _check_generation(cut)
    fo.save(cut, tmp_path / "cut")
    said = json.loads((tmp_path / "cut/config.json").read_text())["quantization_config"]
    assert said["structure"] == {"model.layers.1": {"heads": 1, "ffn": 96}}
    assert torch.equal(logits(fairopt.hf.from_pretrained(tmp_path / "cut")), logits(cut))
    (tmp_path / "plain").mkdir()
    for file in (tmp_path / "cut").iterdir():
        (tmp_path / "plain" / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "plain/config.json").read_text())
    del config["quantization_config"]  # as a reader sees it that does not know us
    (tmp_path / "plain/config.json").write_text(json.dumps(config))
    with pytest.raises(RuntimeError, match="mismatch"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "plain")


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
def test_structure_then_anything(name: str, tmp_path: Path) -> None:
    tail = "" if is_masked(name) else "+kv4:group=16,residual=0"
    cut = fo.compress(family(name), f"ffn:0.25:l2+heads:0.25:l2+magnitude:0.5+int4:pad{tail}")
    record = fo.save(cut, tmp_path / "cut")
    assert record.layers
    assert record.bytes < record.dense_bytes / 2
    back = fo.load(tmp_path / "cut")
    assert torch.equal(logits(back), logits(cut))
    assert fo.record(back).structure == fo.record(cut).structure
    fo.save(back, tmp_path / "again")
    assert torch.equal(logits(fo.load(tmp_path / "again")), logits(cut))


def test_the_record_says_what_stayed() -> None:
    model: Any = family("llama")
    cut: Any = fo.compress(model, "ffn:0.25:l2+heads:0.5:l2")
    ffn, heads = fo.record(cut).structure
    assert (ffn.step, heads.step) == ("ffn:0.25:l2", "heads:0.5:l2")
    assert str(fo.record(cut)).startswith("ffn:0.25:l2+heads:0.5:l2: kept 192 of 256 ffn, 2 of 4 heads; ")
    assert ffn.before == {"model.layers.0": 128, "model.layers.1": 128}
    kept = [i for part in ffn.kept["model.layers.1"].split(",") for i in _range(part)]
    assert torch.equal(cut.model.layers[1].mlp.up_proj.weight, model.model.layers[1].mlp.up_proj.weight[kept])
    assert fo.Record.from_json(fo.record(cut).to_json()) == fo.record(cut)


def test_everything_of_one_kind_is_never_removed() -> None:
    with pytest.raises(InputError, match=r"heads of 'model.layers.0' must keep at least 1 of 2, got 'heads:0.9:l2'"):
        fo.compress(family("llama"), "heads:0.9:l2")
    with pytest.raises(InputError, match=r"must keep at least 2 of 4, got 'experts:0.75:l2', which keeps 1"):
        fo.compress(family("mixtral"), "experts:0.75:l2")
    with pytest.raises(InputError, match=r"layers must be fewer than the 2 of the model, got 'layers:2:l2'"):
        fo.compress(family("llama"), "layers:2:l2")


@pytest.mark.parametrize(
    ("name", "recipe", "words"),
    [
        ("llama", "ffn:0.1:l2,round=128", "round must leave less than the 128 ffn"),
        ("llama", "ffn:0.25:l2,protect=1", "protect must leave one of 2 blocks"),
        (
            "llama",
            "experts:0.25:l2",
            "must have experts that its table names for 'experts:0.25:l2', got a LlamaForCausalLM",
        ),
        ("mixtral", "ffn:0.25:l2,scope=model", "scope must be layer where a block has experts, whose widths are one"),
        (
            "mixtral",
            "ffn:0.1:l2",
            r"ffn of '.*mlp.experts.0' must keep a multiple of 8 .*, got 'ffn:0.1:l2', which keeps 115",
        ),
        ("mixtral", "hidden:0.1:l2", r"multiple of 8 where a model has experts, got 'hidden:0.1:l2', which keeps 58"),
        ("phi3", "heads:0.5:l2,scope=model", "must keep the same number of heads in a Phi3ForCausalLM"),
        ("llama", "ffn:0.25", "calibration must be given for 'ffn:0.25'"),
        ("llama", "hidden:0.1", "calibration must be given for 'hidden:0.1'"),
        ("llama", "layers:1", "calibration must be given for 'layers:1'"),
        ("llama", "heads:0.5:fasp", "bias must be a function of a model for 'heads:0.5:fasp', got None"),
        ("llama", "ffn:0.25:l2+int4:g=64", "block must divide K = 96 of 'model.layers.0.mlp.down_proj'"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, recipe: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fo.compress(family(name), recipe)


def test_a_compressed_model_and_bad_weights_are_refused() -> None:
    with pytest.raises(InputError, match="must be uncompressed"):
        fo.compress(fo.compress(family("llama"), "int8:pad"), "heads:0.5:l2")
    model: Any = family("llama")
    model.model.norm.weight.data[0] = torch.nan
    with pytest.raises(InputError, match=r"must be finite, got 1 NaN or infinite values in 'model.norm.weight'"):
        fo.compress(model, "heads:0.5:l2")
    with pytest.raises(InputError, match="bias must go with a step that has the score fasp"):
        fo.compress(family("llama"), "heads:0.5:l2", bias=lambda model: 0.0)
    scaled = family("gpt2", scale_attn_by_inverse_layer_idx=True)
    with pytest.raises(InputError, match="must not be scaled by the number of its layer"):
        fo.compress(scaled, "layers:1:l2")


@pytest.mark.parametrize("sizes", [[], {"model.layers.1": 3}, {"model.layers.1": {"ffn": 129}}, {"x": {"ffn": 1}}])
def test_sizes_of_a_folder_are_checked(tmp_path: Path, sizes: Any) -> None:
    fo.save(fo.compress(family("llama", num_hidden_layers=3), "ffn:0.25:l2,protect=1"), tmp_path / "cut")
    config = json.loads((tmp_path / "cut/config.json").read_text())
    config["quantization_config"]["structure"] = sizes
    (tmp_path / "cut/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"load: structure in .* must map blocks to dimensions and sizes"):
        fo.load(tmp_path / "cut")


def test_each_expert_loses_neurons_of_its_own(tmp_path: Path) -> None:
    model: Any = family("qwen2_moe", num_hidden_layers=3)
    weak = {0: [1, 2, 3, 4, 5, 6, 7, 9], 3: list(range(16, 24))}  # 8 of the 32 neurons of two of the four experts
    experts = model.model.layers[1].mlp.experts
    for expert, neurons in weak.items():
        experts.down_proj.data[expert, :, neurons] *= 1e-3
        experts.gate_up_proj.data[expert, [*neurons, *(32 + n for n in neurons)]] *= 1e-3
    cut: Any = fo.compress(model, "ffn:0.25:l2,protect=1")
    kept = fo.record(cut).structure[0].kept
    place = "model.layers.1.mlp.experts"
    assert kept.keys() == {*(f"{place}.{expert}" for expert in range(4)), "model.layers.1.mlp.shared_expert"}
    assert (kept[f"{place}.0"], kept[f"{place}.3"]) == ("0,8,10-31", "0-15,24-31")
    stays = [0, 8, *range(10, 32)]
    assert torch.equal(cut.model.layers[1].mlp.experts.down_proj[0], experts.down_proj[0][:, stays])
    up = [*stays, *(32 + neuron for neuron in stays)]
    assert torch.equal(cut.model.layers[1].mlp.experts.gate_up_proj[0], experts.gate_up_proj[0][up])
    unsaid = fo.record(cut).unsaid_sizes
    assert unsaid == {**{f"{place}.{e}": {"ffn": 24} for e in range(4)}, f"{place[:-7]}shared_expert": {"ffn": 36}}
    fo.save(cut, tmp_path / "cut")
    torch.testing.assert_close(logits(fo.load(tmp_path / "cut")), logits(cut), atol=_LAST_BITS, rtol=0)
    config = json.loads((tmp_path / "cut/config.json").read_text())
    del config["quantization_config"]["structure"][f"{place}.2"]
    (tmp_path / "cut/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"experts must all keep the same number of ffn in 'model.layers.1.mlp.exp"):
        fo.load(tmp_path / "cut")


def test_scope_model_lets_blocks_differ() -> None:
    model: Any = family("llama", num_hidden_layers=3)
    model.model.layers[1].mlp.down_proj.weight.data[:, :64] *= 0.01
    model.model.layers[1].mlp.up_proj.weight.data[:64] *= 0.01
    model.model.layers[1].mlp.gate_proj.weight.data[:64] *= 0.01
    dimensions = Dimensions(fo.compress(model, "ffn:0.25:l2,scope=model"))
    counts = [dimensions.count(block, "ffn") for block in dimensions.blocks]
    assert sum(counts) == 3 * 96
    assert counts[1] < counts[0]
