"""fairopt.compress on real and random models: what changes, what must not, and what the record says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import tiny_models
import torch
import weight_formats
from torch import nn

import fairopt
from fairopt.compress.record import Record
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

IDS = torch.tensor([[1, 5, 9, 33, 20, 7], [3, 2, 1, 40, 41, 42]])


def llama(**changes: object) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {
        "vocab_size": 64,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **changes})).eval()


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=64, n_layer=2, n_head=4)).eval()


def bits(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def oracle(model: nn.Module, format: str, block: int) -> nn.Module:
    """The model with every weight that a plain recipe reaches replaced by its definition."""
    twin = fairopt.compress(model, "magnitude:1e-9")  # prunes round(1e-9 n) = 0 weights: an independent copy
    for name, layer in twin.named_modules():
        if name == "lm_head":
            continue
        if type(layer) is nn.Linear:
            layer.weight.data = weight_formats.fake_quantize(layer.weight.data, format, block)
        elif type(layer).__name__ == "Conv1D":  # GPT-2 stores [in, out]
            layer.weight.data = weight_formats.fake_quantize(layer.weight.data.t(), format, block).t().contiguous()
    return twin


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize(
    ("recipe", "format", "block"),
    [
        ("nf4:block=32", "nf4", 32),
        ("fp4:block=32", "fp4", 32),
        ("int8:g=32", "int8", 32),
        ("int4:g=32", "int4_sym", 32),
        ("int4:g=32,asym", "int4_asym", 32),
    ],
)
def test_compressed_model_computes_with_the_defined_weights(make, recipe: str, format: str, block: int) -> None:
    model = make()
    before = bits(model)
    compressed = fairopt.compress(model, recipe)
    expected = oracle(model, format, block)
    for name, layer in compressed.named_modules():
        if isinstance(layer, QuantizedLinear):
            theirs = expected.get_submodule(name).weight
            assert torch.equal(layer.dense_weight(), theirs.t() if make is gpt2 else theirs)
    with torch.no_grad():
        # The same weights in fp32 on both sides: only the order of sums differs. Two layers of sums over at most 256
        # terms err by some 256 * 2^-23 = 3e-5 of the activations' size, which norms hold near 1.
        torch.testing.assert_close(compressed(IDS).logits, expected(IDS).logits, rtol=1e-4, atol=1e-4)
    after = bits(model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_nothing_is_shared_with_the_input() -> None:
    model = llama(attention_bias=True)
    for recipe in ("nf4:block=32", "magnitude:0.5", "int8:g=32;keep=*.0.*"):
        compressed = fairopt.compress(model, recipe)
        ours = {tensor.data_ptr() for tensor in compressed.state_dict().values() if tensor.numel()}
        assert not ours & {tensor.data_ptr() for tensor in model.state_dict().values()}


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.29])
def test_magnitude_prunes_exactly_the_smallest(make, ratio: float) -> None:
    model = make()
    compressed = fairopt.compress(model, f"magnitude:{ratio}")
    for name in fairopt.record(compressed).layers:
        before, after = model.get_submodule(name).weight, compressed.get_submodule(name).weight
        kept = after != 0
        assert int((~kept).sum()) == round(ratio * before.numel())
        assert before[~kept].abs().max() <= before[kept].abs().min()
        assert torch.equal(before[kept], after[kept])


@pytest.mark.parametrize("make", [llama, gpt2])
def test_n_of_m_keeps_the_largest_of_every_run_along_a_row(make) -> None:
    model = make()
    compressed = fairopt.compress(model, "magnitude:2:4")
    for name in fairopt.record(compressed).layers:
        before, after = (m.get_submodule(name).weight.detach() for m in (model, compressed))
        if make is gpt2:
            before, after = before.t(), after.t()
        runs, kept = before.reshape(-1, 4), after.reshape(-1, 4) != 0
        assert (kept.sum(1) == 2).all()
        assert torch.equal(runs.abs().topk(2).values.sum(1), (runs.abs() * kept).sum(1))


@pytest.mark.parametrize("last", ["nf4:block=32", "fp4:block=32", "int8:g=32", "int4:g=32", "int4:g=32,asym"])
def test_pruned_weights_stay_zero_through_a_quantiser(last: str) -> None:
    model = llama()
    pruned = fairopt.compress(model, "magnitude:2:4")
    both = fairopt.compress(model, f"magnitude:2:4+{last}")
    for name, layer in both.named_modules():
        if isinstance(layer, QuantizedLinear):
            assert not layer.dense_weight()[pruned.get_submodule(name).weight == 0].any()
    assert fairopt.record(both).sparsity >= 0.5


def test_a_named_head_is_compressed_and_untied() -> None:
    model = llama()
    compressed = fairopt.compress(model, "int8:g=32;lm_head=magnitude:0.5+int8:g=64")
    assert isinstance(compressed.lm_head, QuantizedLinear)
    assert torch.equal(compressed.model.embed_tokens.weight, model.model.embed_tokens.weight)
    assert compressed.config.tie_word_embeddings is False
    assert model.config.tie_word_embeddings is True


def test_a_tied_head_stays_tied_otherwise() -> None:
    compressed = fairopt.compress(llama(), "nf4:block=32")
    assert compressed.lm_head.weight is compressed.model.embed_tokens.weight


def test_a_layer_used_twice_is_replaced_in_both_places() -> None:
    shared = nn.Linear(32, 32)
    compressed = fairopt.compress(nn.Sequential(shared, nn.ReLU(), shared), "nf4:block=32")
    assert isinstance(compressed[0], QuantizedLinear)
    assert compressed[0] is compressed[2]


def test_a_single_layer_is_a_model_too() -> None:
    assert isinstance(fairopt.compress(nn.Linear(64, 8), "nf4"), QuantizedLinear)


def test_half_precision_models() -> None:
    model = llama().bfloat16()
    compressed = fairopt.compress(model, "int8:g=32")
    assert compressed(IDS).logits.dtype == torch.bfloat16
    record = fairopt.record(compressed)
    assert record.bytes < record.dense_bytes


def test_record_of_a_real_model(models_dir: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K")
    recipe = "magnitude:2:4+int4:g=32,asym;*.down_proj=nf4;keep=*.1.mlp.up_proj"
    record = fairopt.record(fairopt.compress(model, recipe, seed=7))
    # hidden 128, ffn 384, 4 of 8 heads for keys and values, two layers; down_proj [128, 384], one up_proj kept dense
    int4 = 2 * (128 * 128 * 2 + 64 * 128 * 2) + 3 * 384 * 128
    nf4 = 2 * 128 * 384
    dense = 2048 * 128 + 384 * 128 + 5 * 128
    assert record.recipe == recipe
    assert record.seed == 7
    assert record.dense_bytes == 4 * (int4 + nf4 + dense)
    assert record.bytes == int4 * (4 + 40 / 32) / 8 + nf4 * 4.5 / 8 + 4 * dense
    assert record.bits_per_weight == pytest.approx((int4 * 5.25 + nf4 * 4.5) / (int4 + nf4), rel=1e-12)
    assert record.layers["model.layers.0.mlp.down_proj"].recipe == "nf4"
    assert record.layers["model.layers.0.mlp.down_proj"].shape == (128, 384)
    assert record.layers["model.layers.0.mlp.gate_proj"].sparsity >= 0.5
    assert "model.layers.1.mlp.up_proj" not in record.layers
    assert set(record.versions) == {"fairopt", "python", "torch", "transformers"}
    assert Record.from_json(record.to_json()) == record
    assert str(record).startswith(f"{recipe}: 13 layers at 5.04 bits per weight, ")
    assert str(record).endswith(
        f"{record.bytes:,} bytes, {record.dense_bytes:,} before; zeros are stored: no bytes saved by pruning"
    )


def test_record_follows_a_cast() -> None:
    compressed = fairopt.compress(llama(), "nf4:block=32")
    before = fairopt.record(compressed)
    compressed.bfloat16()
    after = fairopt.record(compressed)
    assert after.bytes < before.bytes
    assert after == dataclasses.replace(before, bytes=after.bytes)


def test_mapping_and_recipe_objects_are_recipes_too() -> None:
    mapping = {"default": "nf4:block=32", "keep": ["*.0.*"]}
    assert fairopt.record(fairopt.compress(llama(), mapping)).recipe == "nf4:block=32;keep=*.0.*"


def test_a_compressed_model_is_not_compressed_again() -> None:
    compressed = fairopt.compress(llama(), "magnitude:0.5")
    with pytest.raises(InputError, match=r"must be uncompressed .* got one compressed by 'magnitude:0.5'"):
        fairopt.compress(compressed, "nf4:block=32")


def test_a_model_without_record_has_none() -> None:
    with pytest.raises(InputError, match=r"record: model must come from fairopt.compress or fairopt.load, got Linear"):
        fairopt.record(nn.Linear(2, 2))


def test_bad_weights_stop_before_anything_is_computed() -> None:
    model = llama()
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, :2] = float("nan")
    before = bits(model)
    with pytest.raises(InputError, match=r"got 2 NaN or infinite values in 'model.layers.1.mlp.down_proj.weight'"):
        fairopt.compress(model, "nf4:block=32")
    assert all(torch.equal(before[name].nan_to_num(), tensor.nan_to_num()) for name, tensor in bits(model).items())


def test_json_that_is_no_record_is_refused() -> None:
    for text in ("", "[]", "{}", '{"layers": {}, "colour": 1}'):
        with pytest.raises(InputError, match="record: text must be the JSON of a Record"):
            Record.from_json(text)


def test_embeddings_are_reached_by_their_full_name(tmp_path: Path) -> None:
    from fairopt.nn import QuantizedEmbedding

    model = tiny_models.llama(tied=False)
    compressed = fairopt.compress(model, "nf4:block=32;model.embed_tokens=int8:g=32")
    table = compressed.get_submodule("model.embed_tokens")
    assert isinstance(table, QuantizedEmbedding)
    assert not isinstance(
        fairopt.compress(model, "nf4:block=32;*=int8:g=32").get_submodule("model.embed_tokens"), QuantizedEmbedding
    )
    assert fairopt.record(compressed).layers["model.embed_tokens"].bits_per_weight == 9
    fairopt.save(compressed, tmp_path)
    assert torch.equal(tiny_models.logits(fairopt.load(tmp_path)), tiny_models.logits(compressed))
    with pytest.raises(InputError, match="by magnitude or at random, or rounded to nearest"):
        fairopt.compress(model, "nf4:block=32;model.embed_tokens=hqq:int4,g=32")


def test_a_tied_table_that_is_quantised_leaves_the_head_its_weight(tmp_path: Path) -> None:
    model = tiny_models.llama(tied=True)
    compressed = fairopt.compress(model, "nf4:block=32;model.embed_tokens=int8:g=32")
    assert torch.equal(compressed.lm_head.weight, model.lm_head.weight)
    assert not compressed.config.tie_word_embeddings
    fairopt.save(compressed, tmp_path)
    assert torch.equal(tiny_models.logits(fairopt.load(tmp_path)), tiny_models.logits(compressed))


def test_the_worst_groups_of_columns_can_have_more_bits(tmp_path: Path) -> None:
    from fairopt.nn import ColumnSplitLinear

    model = tiny_models.llama()
    up = model.get_submodule("model.layers.0.mlp.up_proj")
    up.weight.data[:, 32:48] *= 50  # the third of four groups
    mixed, plain = (fairopt.compress(model, recipe) for recipe in ("int4:g=16,int8=0.25", "int4:g=16"))
    layer = mixed.get_submodule("model.layers.0.mlp.up_proj")
    assert isinstance(layer, ColumnSplitLinear)
    assert layer.columns[:16].tolist() == list(range(32, 48))
    lost = [(m.get_submodule("model.layers.0.mlp.up_proj").dense_weight() - up.weight).norm() for m in (mixed, plain)]
    assert lost[0] < 0.1 * lost[1]
    assert layer.bits_per_weight < 8.5  # indices of columns included
    fairopt.save(mixed, tmp_path)
    assert torch.equal(tiny_models.logits(fairopt.load(tmp_path)), tiny_models.logits(mixed))
