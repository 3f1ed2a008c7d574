"""Each score by its definition, written anew in plain PyTorch, and the masks that follow from it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import masked_models
import pytest
import random_models
import tiny_models
import torch
from quantized import normal
from torch import nn

import fairopt as fo
from fairopt.compress.calibration import Calibration
from fairopt.compress.gradients import Gradients, layer_gradients
from fairopt.compress.layers import dense_weight
from fairopt.compress.prune_layer import prune_layer
from fairopt.compress.prune_options import (
    Amount,
    Fisher,
    Gblm,
    Hgla,
    KeepNOfM,
    LayerRatio,
    Magnitude,
    Prune,
    Random,
    Taylor,
    Wanda,
)
from fairopt.compress.pruners import layer_pruner
from fairopt.compress.pruners.base import Pruned, layer_seed
from fairopt.compress.solvers.base import Statistics
from fairopt.errors import InputError

N, K = 24, 64
WEIGHT = normal(N, K, seed=1)
NORMS = normal(K, seed=2).abs() + 0.01
GRADIENTS = Gradients(normal(N, K, seed=3) * 1e-3, (normal(N, K, seed=4) * 1e-3).square() + 1e-8, 7)
SEEN = Statistics(None, 100, NORMS, GRADIENTS)


def tiny_stories(models_dir: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K", local_files_only=True).eval()


def token_ids(sequences: int = 8, length: int = 128, vocabulary: int = 96, seed: int = 0) -> list[torch.Tensor]:
    return list(torch.randint(vocabulary, (sequences, length), generator=torch.Generator().manual_seed(seed)))


def pruned(step: Prune, weight: torch.Tensor = WEIGHT, seed: int = 0) -> Pruned:
    before = weight.clone()
    result = layer_pruner(step).prune(weight, step.amount, SEEN, seed)
    assert torch.equal(weight, before)
    assert torch.equal(result.weight, torch.where(result.keep, weight, 0))
    return result


def kept(score: torch.Tensor, amount: Amount, along: str) -> torch.Tensor:
    """Plainly: sort, stable, and the first go."""
    if isinstance(amount, KeepNOfM):
        runs = score.reshape(len(score), -1, amount.m)
        gone = runs.sort(dim=2, stable=True).indices[..., : amount.m - amount.n]
        return torch.ones_like(runs, dtype=torch.bool).scatter_(2, gone, False).reshape(score.shape)
    ratio = amount.ratio if isinstance(amount, LayerRatio) else amount
    rows = score if along == "row" else score.reshape(1, -1)
    count = int(rows.shape[1] * ratio) if along == "row" else round(rows.shape[1] * ratio)
    gone = rows.sort(dim=1, stable=True).indices[:, :count]
    return torch.ones_like(rows, dtype=torch.bool).scatter_(1, gone, False).reshape(score.shape)


def gblm_score(alpha: float) -> torch.Tensor:
    return WEIGHT.abs() * NORMS + alpha * WEIGHT.abs() * (7 * GRADIENTS.mean_square).sqrt()


def hgla_score() -> torch.Tensor:
    wanda, g = WEIGHT.abs() * NORMS, (7 * GRADIENTS.mean_square).sqrt()
    return wanda / (g * (wanda.mean() / g.mean()) + 1e-8)


AMOUNTS = [0.0, 0.3, 0.5, LayerRatio(0.7), LayerRatio(1.0), KeepNOfM(2, 4), KeepNOfM(4, 8), KeepNOfM(5, 16)]


@pytest.mark.parametrize("amount", AMOUNTS, ids=str)
@pytest.mark.parametrize(
    ("step", "score", "along"),
    [
        (Magnitude(0.5), WEIGHT.abs(), "layer"),
        (Magnitude(0.5, "row"), WEIGHT.abs(), "row"),
        (Wanda(0.5), WEIGHT.abs() * NORMS, "row"),
        (Gblm(0.5), gblm_score(100.0), "row"),
        (Gblm(0.5, alpha=3.0), gblm_score(3.0), "row"),
        (Hgla(0.5), hgla_score(), "row"),
        (Taylor(0.5), (WEIGHT * GRADIENTS.mean).abs(), "layer"),
        (Taylor(0.5, order=2), (WEIGHT * GRADIENTS.mean - WEIGHT**2 * GRADIENTS.mean_square / 2).abs(), "layer"),
        (Fisher(0.5), WEIGHT.square() * GRADIENTS.mean_square, "layer"),
    ],
    ids=lambda value: str(value) if isinstance(value, Prune) else "",
)
def test_a_score_by_its_definition(step: Prune, score: torch.Tensor, along: str, amount: Amount) -> None:
    result = layer_pruner(step).prune(WEIGHT, amount, SEEN, 0)
    assert torch.equal(result.keep, kept(score, amount, along))
    assert torch.equal(result.weight, torch.where(result.keep, WEIGHT, 0))


ALL_STEPS: list[Prune] = [Magnitude(0.5), Magnitude(0.5, "row"), Random(0.5), Wanda(KeepNOfM(2, 4))]
ALL_STEPS += [Gblm(0.5), Hgla(0.5), Fisher(0.5), Taylor(0.5), Taylor(0.5, order=2)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("step", ALL_STEPS, ids=str)
def test_a_layer_of_any_type_is_pruned_by_its_values_in_float32(step: Prune, dtype: torch.dtype) -> None:
    layer = nn.Linear(K, N, bias=False).requires_grad_(False)
    layer.weight.copy_(WEIGHT.to(dtype))
    keep = layer_pruner(step).prune(layer.weight, step.amount, SEEN, 3).keep
    made, notes = prune_layer(layer.to(dtype), step, SEEN, 3)
    assert torch.equal(dense_weight(made), torch.where(keep, layer.weight, 0))
    assert notes["kept"] == int(keep.sum()) / keep.numel()


def test_random_masks_depend_on_seed_and_name_alone() -> None:
    first, again, other = (pruned(Random(0.4), seed=layer_seed(0, name)) for name in ("a", "a", "b"))
    assert torch.equal(first.keep, again.keep)
    assert not torch.equal(first.keep, other.keep)
    assert not torch.equal(first.keep, pruned(Random(0.4), seed=layer_seed(1, "a")).keep)
    assert int((~first.keep).sum()) == round(0.4 * WEIGHT.numel())
    # A share of 0.4 of 1,536 coin tosses lies within 5 standard deviations in the half of small and of large weights.
    small = WEIGHT.abs() < WEIGHT.abs().median()
    assert abs(float((~first.keep)[small].float().mean()) - 0.4) < 5 * (0.24 / 768) ** 0.5


@pytest.mark.parametrize("step", [Random(0.5), Wanda(0.5), Fisher(0.5), Magnitude(0.5)], ids=str)
def test_pruning_again_prunes_the_larger_amount(step: Prune) -> None:
    once = pruned(Magnitude(0.3, "row")).weight
    twice = layer_pruner(step).prune(once, 0.5, SEEN, 0).weight
    assert float((twice == 0).float().mean()) == 0.5
    assert not (twice[once == 0]).any()


@pytest.mark.parametrize("step", [Wanda(0.5), Gblm(0.5), Hgla(0.5), Taylor(0.5), Fisher(0.5)], ids=str)
def test_a_layer_that_saw_nothing_is_pruned_by_magnitude(step: Prune) -> None:
    nothing = Statistics(None, 0, torch.zeros(K), Gradients(torch.zeros(N, K), torch.zeros(N, K), 7))
    along = "layer" if isinstance(step, Taylor | Fisher) else "row"
    assert torch.equal(layer_pruner(step).prune(WEIGHT, 0.5, nothing, 0).keep, kept(WEIGHT.abs(), 0.5, along))


# ---- on real layers ----


def masks_of_wanda(model: nn.Module, ids: torch.Tensor, amount: Amount) -> dict[str, torch.Tensor]:
    """Wanda as its authors describe it: block by block, on what the pruned blocks before pass on."""
    model, masks = copy.deepcopy(model), {}
    for block in range(len(model.model.layers)):
        squares: dict[str, torch.Tensor] = {}
        layers = {
            n: m for n, m in model.named_modules() if n.startswith(f"model.layers.{block}.") and hasattr(m, "bias")
        }
        layers = {name: module for name, module in layers.items() if isinstance(module, nn.Linear)}

        def see(name: str, squares: dict[str, torch.Tensor] = squares) -> Any:
            def hook(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
                squares[name] = given[0].reshape(-1, given[0].shape[-1]).square().double().sum(0)

            return hook

        handles = [module.register_forward_pre_hook(see(name)) for name, module in layers.items()]
        with torch.no_grad():
            model(ids)
            for name, module in layers.items():
                metric = module.weight.abs() * squares[name].sqrt().float()
                masks[name] = kept(metric, amount, "row")
                module.weight.mul_(masks[name])
        for handle in handles:
            handle.remove()
    return masks


@pytest.mark.parametrize("recipe", ["wanda:0.5", "wanda:0.37", "wanda:2:4", "wanda:4:8"])
def test_wanda_on_real_layers_equals_plain_pytorch(models_dir: Path, recipe: str) -> None:
    model, ids = tiny_stories(models_dir), token_ids(vocabulary=2048)
    amount = KeepNOfM(*map(int, recipe[6:].split(":"))) if recipe.count(":") > 1 else float(recipe[6:])
    small = fo.compress(model, recipe, calibration=Calibration.of(ids, length=128))
    # Calibration puts the sequences in an order of its own.
    masks = masks_of_wanda(model, torch.stack(Calibration.of(ids, length=128).sequences), amount)
    assert len(masks) == 14
    for name, mask in masks.items():
        weight = model.get_submodule(name).weight
        assert torch.equal(small.get_submodule(name).weight, weight * mask), name


def test_one_threshold_for_the_whole_model(models_dir: Path) -> None:
    model = tiny_stories(models_dir)
    small = fo.compress(model, "magnitude:0.5,scope=model;*.down_proj=magnitude:0.5,scope=model")
    names = list(fo.record(small).layers)
    weights = [model.get_submodule(name).weight.detach() for name in names]
    together = torch.cat([weight.flatten() for weight in weights])
    keep = kept(together[None].abs(), 0.5, "layer")[0].split([weight.numel() for weight in weights])
    for name, weight, mask in zip(names, weights, keep, strict=True):
        assert torch.equal(small.get_submodule(name).weight, weight * mask.reshape(weight.shape)), name
    shares = {round(float(layer.kept or 0), 3) for layer in fo.record(small).layers.values()}
    assert len(shares) > 1


def test_owl_by_its_definition(models_dir: Path) -> None:
    model, ids = tiny_stories(models_dir), token_ids(vocabulary=2048)
    tokens = Calibration.of(ids, length=128)
    small = fo.compress(model, "wanda:0.6,owl,owl_m=3", calibration=tokens)
    squares: dict[str, torch.Tensor] = {}
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"}
    for name, module in layers.items():
        module.register_forward_pre_hook(
            lambda module, given, name=name: squares.update({name: given[0].reshape(-1, given[0].shape[-1])})
        )
    with torch.no_grad():
        model(torch.stack(tokens.sequences))
    shares = []
    for block in range(2):
        names = [name for name in layers if f"layers.{block}." in name]
        scores = [layers[name].weight.detach().abs() * squares[name].square().sum(0).sqrt() for name in names]
        joined = torch.cat([score.flatten() for score in scores])
        shares.append(float((joined > 3 * joined.mean()).float().mean()))
    low, high = min(shares), max(shares)
    given = [0.16 * (share - low) / (high - low) for share in shares]
    for name, layer in fo.record(small).layers.items():
        block = int(name.split(".")[2])
        ratio = 0.6 - (given[block] - sum(given) / 2)
        k = layer.shape[1]
        assert layer.kept == pytest.approx(1 - int(k * ratio) / k, abs=1e-6), name


# ---- gradients ----


def naive_gradients(model: nn.Module, ids: list[torch.Tensor], name: str) -> tuple[torch.Tensor, torch.Tensor]:
    model, found = copy.deepcopy(model), []
    layer = model.get_submodule(name)
    for sequence in ids:
        model.zero_grad()
        model(sequence[None], labels=sequence[None]).loss.backward()
        found.append(layer.weight.grad.clone())
    stacked = torch.stack(found)
    if not isinstance(layer, nn.Linear):
        stacked = stacked.transpose(1, 2)
    return stacked.mean(0), stacked.square().mean(0)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_gradients_are_those_of_the_loss_of_transformers(family: str) -> None:
    model = getattr(random_models, family)()
    names = [name for name, module in model.named_modules() if dense_name(name)]
    tokens = Calibration.of(token_ids(4, 32), length=32)
    next(model.parameters()).requires_grad_(False)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    model.train()
    found = layer_gradients(model, names, tokens)
    assert model.training
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    model.eval()
    assert len(names) == 2
    for name in names:
        mean, square = naive_gradients(model, list(tokens.sequences), name)
        assert found[name].mean.shape == dense_weight(model.get_submodule(name)).shape
        # The same sums in another order: a few roundings of fp32, 2^-24 each, of the largest term.
        torch.testing.assert_close(found[name].mean, mean, rtol=1e-4, atol=1e-6 * float(mean.abs().max()))
        torch.testing.assert_close(found[name].mean_square, square, rtol=1e-4, atol=1e-6 * float(square.max()))


def dense_name(name: str) -> bool:
    return name.endswith((".0.mlp.down_proj", ".1.self_attn.q_proj", ".0.mlp.c_fc", ".1.attn.c_attn"))


def test_gradients_of_a_masked_model_depend_on_each_sequence_alone() -> None:
    model = masked_models.bert()
    name = "bert.encoder.layer.0.output.dense"
    a, b = token_ids(2, 16, vocabulary=20)
    both = layer_gradients(model, [name], Calibration((a, b), 0, ""))[name]
    alone = [layer_gradients(model, [name], Calibration((x,), 0, ""))[name] for x in (b, a)]
    torch.testing.assert_close(both.mean, (alone[0].mean + alone[1].mean) / 2, rtol=1e-4, atol=1e-8)
    assert float(both.mean_square.max()) > 0


def test_models_without_a_loss_are_refused() -> None:
    encoder = tiny_models.xlm_roberta().roberta
    with pytest.raises(InputError, match="causal or masked language model for a recipe that needs gradients"):
        fo.compress(encoder, "gblm:0.5", calibration=token_ids(2, 32, vocabulary=64))
