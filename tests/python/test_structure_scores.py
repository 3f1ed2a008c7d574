"""Scores of structures against plain definitions written here, and what is chosen by them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from structured_models import family
from torch.nn.functional import cosine_similarity, cross_entropy
from transformers import AutoModelForCausalLM

import fairopt as fo
from fairopt.compress.calibration import Calibration
from fairopt.compress.gradients import predicted_tokens
from fairopt.compress.recipe_text import parse
from fairopt.compress.structure.apply import ranges
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.remove import Kept, remove
from fairopt.compress.structure.scores import scores_of
from fairopt.compress.structure.scores_knockout import knockout_effects
from fairopt.compress.structure.select import select
from fairopt.errors import InputError

_DRAWN = torch.Generator().manual_seed(0)
CALIBRATION = Calibration.of([torch.randint(3, 90, (n,), generator=_DRAWN) for n in (24, 24, 24, 11)], length=24)
BLOCK = "model.layers.1"
# Scores are sums of fp32 products of a few hundred terms of one size: 2^-24 * sqrt(1000) relative, with room.
CLOSE = {"rtol": 1e-4, "atol": 1e-7}


def scores(model: Any, step: str, seed: int = 0) -> dict[str, torch.Tensor]:
    return dict(scores_of(Dimensions(model), parse(step).structure[0], CALIBRATION, seed, None))


def loss(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return cross_entropy(model(ids[None]).logits[0, :-1], ids[1:])


def mean_loss(model: Any) -> float:
    with torch.no_grad():
        total = sum(float(loss(model, ids)) * len(ids) for ids in CALIBRATION.sequences)
    return total / CALIBRATION.tokens


def seen(model: Any, name: str) -> list[torch.Tensor]:
    """What goes into a module, a tensor [tokens, width] a sequence."""
    found: list[torch.Tensor] = []
    handle = model.get_submodule(name).register_forward_pre_hook(lambda _, given: found.append(given[0].detach()))
    for ids in CALIBRATION.sequences:
        model(ids[None])
    handle.remove()
    return [x.reshape(-1, x.shape[-1]) for x in found]


@pytest.mark.parametrize(("power", "word"), [(2, "l2"), (1, "l1")])
def test_magnitude_is_the_norm_of_all_tensors_of_a_unit(power: int, word: str) -> None:
    model = family("llama")
    mlp = model.model.layers[1].mlp
    joined = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight.t()], dim=1)
    torch.testing.assert_close(scores(model, f"ffn:0.5:{word}")[BLOCK], joined.double().norm(p=power, dim=1))


def test_magnitude_of_a_fused_head_takes_its_three_parts_and_biases() -> None:
    model = family("gpt2")
    attention = model.transformer.h[0].attn
    heads = torch.cat([attention.c_attn.weight, attention.c_attn.bias[None]]).unflatten(
        1, (3, 4, 16)
    )  # [in, qkv, h, d]
    squares = heads.double().square().sum((0, 1, 3)) + attention.c_proj.weight.double().unflatten(
        0, (4, 16)
    ).square().sum((1, 2))
    torch.testing.assert_close(scores(model, "heads:0.5:l2")["transformer.h.0"], squares.sqrt())


def test_magnitude_of_a_group_takes_all_its_queries() -> None:
    model = family("llama")  # 4 query heads of 16 over 2 keys and values
    attention = model.model.layers[1].self_attn
    tensors = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight, attention.o_proj.weight.t()]
    groups = torch.stack(
        [
            sum(half.double().square().sum() for half in halves)
            for halves in zip(*[t.chunk(2) for t in tensors], strict=True)
        ]
    )
    torch.testing.assert_close(scores(model, "heads:0.5:l2")[BLOCK], groups.sqrt())


def test_activation_of_neurons_heads_and_channels() -> None:
    model = family("llama")
    neurons = [x.abs().mean(0) for x in seen(model, f"{BLOCK}.mlp.down_proj")]
    torch.testing.assert_close(scores(model, "ffn:0.5:act")[BLOCK], torch.stack(neurons).norm(dim=0).double(), **CLOSE)
    heads = [x.unflatten(1, (2, 32)).norm(dim=-1).mean(0) for x in seen(model, f"{BLOCK}.self_attn.o_proj")]
    torch.testing.assert_close(scores(model, "heads:0.5:act")[BLOCK], torch.stack(heads).norm(dim=0).double(), **CLOSE)
    readers = ["layers.0.self_attn.q_proj", "layers.0.mlp.up_proj", "layers.1.self_attn.q_proj", "layers.1.mlp.up_proj"]
    normed = [seen(model, name) for name in [*(f"model.{name}" for name in readers), "lm_head"]]
    channels = torch.stack([x.abs().mean(0) for of_norm in normed for x in of_norm])
    torch.testing.assert_close(scores(model, "hidden:0.5:act")[""], channels.norm(dim=0).double(), **CLOSE)


def test_activation_where_tokens_of_all_sequences_are_joined() -> None:
    model = family("opt")  # its feed-forward layers see [sequences * tokens, width]
    neurons = [x.abs().mean(0) for x in seen(model, "model.decoder.layers.0.fc2")]
    found = scores(model, "ffn:0.5:act")["model.decoder.layers.0"]
    torch.testing.assert_close(found, torch.stack(neurons).norm(dim=0).double(), **CLOSE)


def test_output_is_what_a_unit_adds_to_the_residual_stream() -> None:
    model = family("llama")
    for word, layer, count in (("ffn", "mlp.down_proj", 128), ("heads", "self_attn.o_proj", 2)):
        x = torch.cat(seen(model, f"{BLOCK}.{layer}")).double()
        columns = model.get_parameter(f"{BLOCK}.{layer}.weight").detach().double().chunk(count, dim=1)
        added = [part @ of_unit.t() for part, of_unit in zip(x.chunk(count, dim=1), columns, strict=True)]
        expected = torch.stack([y.square().sum(1).mean().sqrt() for y in added])
        torch.testing.assert_close(scores(model, f"{word}:0.5")[BLOCK], expected, **CLOSE)


def test_output_is_golden_where_one_can_compute_it_by_hand() -> None:
    """Neurons that always put out relu(bias) = 1, 2 and 0, read by columns of length 5, 1 and 9."""
    model = family("opt", ffn_dim=3)
    layer = model.model.decoder.layers[0]
    with torch.no_grad():
        layer.fc1.weight.zero_()
        layer.fc1.bias.copy_(torch.tensor([1.0, 2.0, -1.0]))
        layer.fc2.weight.zero_()
        layer.fc2.weight[0] = torch.tensor([3.0, 1.0, 9.0])
        layer.fc2.weight[1] = torch.tensor([4.0, 0.0, 0.0])
    found = scores(model, "ffn:0.4")["model.decoder.layers.0"]
    torch.testing.assert_close(found, torch.tensor([5.0, 2.0, 0.0]).double(), **CLOSE)
    cut = fo.compress(model, "ffn:0.4", calibration=CALIBRATION)
    assert fo.record(cut).structure[0].kept["model.decoder.layers.0"] == "0-1"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 20.0))
def test_output_stays_where_rescaling_changes_nothing_that_is_computed(seed: int, factor: float) -> None:
    """Rows of up or value by c, the columns that read them by 1 / c; query by c, key by 1 / c."""
    model = family("llama")
    before = {word: scores(model, f"{word}:0.5")[BLOCK] for word in ("ffn", "heads")}
    layer = model.model.layers[1]
    unit = int(torch.randint(128, (), generator=torch.Generator().manual_seed(seed)))
    group = slice(16 * (unit % 2), 16 * (unit % 2 + 1))  # of the second or first key and value
    readers = slice(32 * (unit % 2), 32 * (unit % 2 + 1))
    attention = layer.self_attn
    with torch.no_grad():
        for scaled, parts in ((layer.mlp.up_proj, unit), (attention.v_proj, group), (attention.q_proj, readers)):
            scaled.weight[parts] *= factor
        for scaled, columns in ((layer.mlp.down_proj, unit), (attention.o_proj, readers)):
            scaled.weight[:, columns] /= factor
        attention.k_proj.weight[group] /= factor
        for word, expected in before.items():
            torch.testing.assert_close(scores(model, f"{word}:0.5")[BLOCK], expected, rtol=1e-3, atol=1e-6)


def test_activation_of_experts_is_reap() -> None:
    model = family("mixtral")
    block = model.model.layers[0].mlp
    totals, tokens = torch.zeros(4).double(), torch.zeros(4).double()
    for x in seen(model, "model.layers.0.mlp"):
        _, weights, chosen = block.gate(x)
        for row, of_token, experts in zip(x, weights, chosen, strict=True):
            for weight, expert in zip(of_token, experts.tolist(), strict=True):
                gate, up = (block.experts.gate_up_proj[expert] @ row).chunk(2)
                output = block.experts.down_proj[expert] @ (torch.nn.functional.silu(gate) * up)
                totals[expert] += float(weight * output.norm())
                tokens[expert] += 1
    torch.testing.assert_close(scores(model, "experts:0.25:act")["model.layers.0"], totals / tokens, **CLOSE)


def test_cosine_of_blocks() -> None:
    model = family("llama")
    inputs = [seen(model, f"model.layers.{i}.input_layernorm") for i in range(2)] + [seen(model, "model.norm")]
    expected = [
        torch.cat([1 - cosine_similarity(x, y, dim=-1) for x, y in zip(before, after, strict=True)]).mean()
        for before, after in itertools.pairwise(inputs)
    ]
    torch.testing.assert_close(scores(model, "layers:1")[""], torch.stack(expected).double(), **CLOSE)


def _expert_neurons(model: Any, expert: int) -> list[torch.Tensor]:
    """What neurons of an expert of the last block put out, times its weight: [tokens that it is given, neurons]."""
    experts, found = model.model.layers[1].mlp.experts, []
    handle = experts.register_forward_pre_hook(lambda _, given: found.append(given))
    with torch.no_grad():
        for ids in CALIBRATION.sequences:
            model(ids[None])
    handle.remove()
    gate, up = experts.gate_up_proj[expert].detach().chunk(2)
    neurons = []
    for hidden, chosen, weights in found:
        tokens, ranks = (chosen == expert).nonzero(as_tuple=True)
        x = hidden[tokens]
        neurons.append(torch.nn.functional.silu(x @ gate.t()) * (x @ up.t()) * weights[tokens, ranks, None])
    return [one for one in neurons if len(one)]


@pytest.mark.parametrize("name", ["mixtral", "qwen2_moe", "qwen3_moe"])
def test_scores_of_the_neurons_of_an_expert(name: str) -> None:
    model = family(name)
    place, down = f"{BLOCK}.mlp.experts.2", model.model.layers[1].mlp.experts.down_proj
    activations = torch.stack([one.abs().mean(0) for one in _expert_neurons(model, 2)])
    torch.testing.assert_close(scores(model, "ffn:0.5:act")[place], activations.norm(dim=0).double(), **CLOSE)

    share = torch.tensor([len(ids) for ids in CALIBRATION.sequences]).double() / CALIBRATION.tokens
    each = [
        (down[2].double() * gradient.double()[2]).sum(0) for gradient in _gradients(model, f"{place[:-1]}down_proj")
    ]
    first = scores(model, "ffn:0.5:taylor")[place]
    torch.testing.assert_close(first, share @ torch.stack(each).abs(), rtol=1e-3, atol=1e-6)

    added = torch.cat(_expert_neurons(model, 2)).double().square().sum(0) / CALIBRATION.tokens
    expected = (added * down[2].double().square().sum(0)).sqrt()
    torch.testing.assert_close(scores(model, "ffn:0.5")[place], expected, **CLOSE)

    both = torch.cat([model.model.layers[1].mlp.experts.gate_up_proj[2].detach().chunk(2)[i] for i in (0, 1)], dim=1)
    joined = torch.cat([both, down[2].detach().t()], dim=1).double()
    torch.testing.assert_close(scores(model, "ffn:0.5:l2")[place], joined.norm(dim=1))


def test_knockout_of_a_neuron_of_an_expert() -> None:
    model = family("mixtral", intermediate_size=8, num_local_experts=2)
    ids = CALIBRATION.sequences[0]

    def measure(model: Any) -> float:
        with torch.no_grad():
            return float(loss(model, ids))

    found = knockout_effects(Dimensions(model), "ffn", {"loss": measure})["loss"][f"{BLOCK}.mlp.experts.1"]
    without = copy.deepcopy(model)
    without.model.layers[1].mlp.experts.down_proj.data[1, :, 3] = 0
    assert float(found[3]) == pytest.approx(measure(without) - measure(model), abs=1e-6)


def _gradients(model: Any, name: str) -> list[torch.Tensor]:
    weight = model.get_parameter(name)
    return [torch.autograd.grad(loss(model, ids), weight)[0].double() for ids in CALIBRATION.sequences]


@pytest.mark.parametrize(("word", "layer", "width"), [("ffn", "mlp.down_proj", 1), ("heads", "self_attn.o_proj", 32)])
def test_taylor_is_the_sum_of_weight_times_gradient(word: str, layer: str, width: int) -> None:
    """Of the first order absolute in each text, of the second with the mean square of g of single tokens."""
    model = family("llama")
    weight = model.get_parameter(f"{BLOCK}.{layer}.weight").double()
    share = torch.tensor([len(ids) for ids in CALIBRATION.sequences]).double() / CALIBRATION.tokens
    predicted = torch.tensor([[len(ids) - 1.0] for ids in CALIBRATION.sequences]).double()
    products = torch.stack([(weight * g).sum(0) for g in _gradients(model, f"{BLOCK}.{layer}.weight")])
    each = products.unflatten(1, (-1, width)).sum(-1)
    first, second = share @ each.abs(), share @ (predicted * each.square() / 2 - each)
    close = {"rtol": 1e-3, "atol": 1e-6}
    torch.testing.assert_close(scores(model, f"{word}:0.5:taylor")[BLOCK], first, **close)
    torch.testing.assert_close(scores(model, f"{word}:0.5:taylor2")[BLOCK], second.abs(), **close)
    assert model.get_parameter(f"{BLOCK}.{layer}.weight").grad is None


def test_taylor_of_a_masked_model_counts_the_tokens_that_are_asked_for() -> None:
    model, ids = family("bert"), CALIBRATION.sequences[0]
    assert predicted_tokens(model, ids) == 4  # 15 % of 24
    assert predicted_tokens(family("llama"), ids) == 23
    assert predicted_tokens(model, ids[:1]) == 1


def test_knockout_is_the_loss_without_the_unit() -> None:
    model = family("llama", intermediate_size=16)
    found = scores(model, "ffn:0.5:knockout")[BLOCK]
    without = copy.deepcopy(model)
    without.model.layers[1].mlp.down_proj.weight.data[:, 7] = 0
    assert float(found[7]) == pytest.approx(mean_loss(without) - mean_loss(model), abs=1e-6)
    layers = scores(model, "layers:1:knockout")[""]
    one_less = remove(model, Kept("layers", {"": [1]}))
    assert float(layers[0]) == pytest.approx(mean_loss(one_less) - mean_loss(model), abs=1e-6)


def test_a_model_without_a_head_has_no_loss() -> None:
    with pytest.raises(InputError, match=r"must be a causal or masked language model .*, got LlamaModel"):
        fo.compress(family("llama").model, "ffn:0.5:taylor", calibration=CALIBRATION)


def test_random_is_drawn_by_the_seed_and_by_the_block() -> None:
    model = family("llama")
    once, again, other = (scores(model, "ffn:0.5:random", seed) for seed in (1, 1, 2))
    assert torch.equal(once[BLOCK], again[BLOCK])
    assert not torch.equal(once[BLOCK], other[BLOCK])
    assert not torch.equal(once[BLOCK], once["model.layers.0"])


@pytest.mark.parametrize(
    ("step", "scale"),
    [("ffn:0.3:act", lambda m: m.mlp.up_proj.weight), ("heads:0.5:act", lambda m: m.self_attn.v_proj.weight)],
)
def test_the_least_go(step: str, scale: Callable[[Any], torch.Tensor]) -> None:
    model = family("llama")
    scale(model.model.layers[1]).data[:16] *= 1e-3  # of neurons 0 to 15, of the first value
    cut = fo.compress(model, step, calibration=CALIBRATION)
    first = fo.record(cut).structure[0].kept[BLOCK].split(",")[0].split("-")[0]
    assert int(first) >= (16 if step.startswith("ffn") else 1)


def test_equal_scores_go_in_order() -> None:
    dimensions = Dimensions(family("llama"))
    equal = {block: torch.zeros(128) for block in dimensions.blocks}
    kept = select(dimensions, parse("ffn:0.25:l2,round=32").structure[0], equal)
    assert kept.units[BLOCK] == list(range(32, 128))


def _error(model: Any, cut: Any, layer: str) -> float:
    """Mean squared error of what a layer writes, on the inputs that the uncut model gives it."""
    whole = model.get_submodule(layer)
    kept = fo.record(cut).structure[0].kept[layer.rsplit(".", 2)[0]]
    units = [i for part in kept.split(",") for i in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)]
    width = whole.weight.shape[1] // (2 if "o_proj" in layer else 128)
    columns = torch.tensor([unit * width + i for unit in units for i in range(width)])
    x = torch.cat(seen(model, layer))
    weight = cut.get_submodule(layer).weight
    return float((x @ whole.weight.t() - x[:, columns] @ weight.t()).square().mean())


@pytest.mark.parametrize(("step", "layer"), [("ffn:0.5:l2", "mlp.down_proj"), ("heads:0.5:l2", "self_attn.o_proj")])
def test_least_squares_makes_up_for_what_is_gone(step: str, layer: str) -> None:
    model = family("llama")
    model.eval()
    with torch.no_grad():
        plain = fo.compress(model, step, calibration=CALIBRATION)
        corrected: Any = fo.compress(model, f"{step},correct", calibration=CALIBRATION)
        name = f"{BLOCK}.{layer}"
        best = _error(model, corrected, name)
        assert fo.record(plain).structure[0].kept == fo.record(corrected).structure[0].kept
        assert best < 0.9 * _error(model, plain, name)
        corrected.get_submodule(name).weight.data.mul_(1.05)  # the least squares are least
        assert _error(model, corrected, name) > best


def test_least_squares_in_each_expert() -> None:
    model = family("mixtral")
    plain = fo.compress(model, "ffn:0.5:l2", calibration=CALIBRATION)
    corrected = fo.compress(model, "ffn:0.5:l2,correct", calibration=CALIBRATION)
    for expert in range(4):
        x = torch.cat(_expert_neurons(model, expert))
        first, _, last = zip(*(part.partition("-") for part in _kept(plain, expert)), strict=True)
        stays = [i for a, b in zip(first, last, strict=True) for i in range(int(a), int(b or a) + 1)]
        whole, cut, mended = (m.model.layers[1].mlp.experts.down_proj[expert] for m in (model, plain, corrected))
        assert torch.equal(cut, whole[:, stays])
        lost, best = (((x @ whole.t() - x[:, stays] @ w.t()) ** 2).mean() for w in (cut, mended))
        assert best < 0.9 * lost


def _kept(model: Any, expert: int) -> list[str]:
    kept = fo.record(model).structure[0].kept[f"{BLOCK}.mlp.experts.{expert}"]
    return kept.split(",")


def test_ranges() -> None:
    assert ranges([0, 1, 2, 3, 5, 7, 8]) == "0-3,5,7-8"
    assert ranges([4]) == "4"


def test_defaults_beat_chance_on_a_real_model(models_dir: Path) -> None:
    """The mean of ten draws, judged by stories that the model wrote itself and no score has seen."""
    model: Any = AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K").eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = torch.full((64, 1), 1)
        stories = model.generate(first, do_sample=True, top_k=0, max_new_tokens=127, pad_token_id=0)
    seen, unseen = [story[story != 0] for story in stories[:32]], stories[32:]

    def held_out(recipe: str, seed: int = 0) -> float:
        with torch.no_grad():
            cut: Any = fo.compress(model, recipe, calibration=seen, seed=seed)
            predicted = cut(unseen).logits[:, :-1].flatten(0, 1)
            return float(cross_entropy(predicted, unseen[:, 1:].flatten(), ignore_index=0))

    for step in ("ffn:0.25", "heads:0.25", "hidden:0.1"):
        chance = [held_out(f"{step}:random", seed) for seed in range(10)]
        assert held_out(step) < sum(chance) / 10, step
        if step != "heads:0.25":  # of four groups here, each too much for an expansion around the whole
            assert held_out(f"{step}:taylor") < sum(chance) / 10, step
        if step == "ffn:0.25":  # more units than one draw can get right
            assert held_out(step) < min(chance)
            assert held_out(f"{step},correct") < held_out(step)
