"""fairopt.compress.statistics: one pass over the dense model serves several recipes, and results say so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import random_models
import torch
from torch import nn

import fairopt
from fairopt import ops
from fairopt.compress import statistics
from fairopt.compress.calibration import Calibration
from fairopt.compress.layers import linear_layers
from fairopt.errors import InputError

RECIPES = [
    "gptq:int4,g=32",
    "sparsegpt:0.5",
    "sparsegpt:2:4+int4:g=32",
    "wanda:0.5",
    "wanda:0.6,owl",
    "magnitude:0.3+sparsegpt:0.5",
]


def calibration(seed: int = 0, sequences: int = 12) -> Calibration:
    generator = torch.Generator().manual_seed(seed)
    return Calibration.of(list(torch.randint(96, (sequences, 32), generator=generator)), length=32)


def dense_hessians(model: nn.Module, tokens: Calibration) -> dict[str, torch.Tensor]:
    """By hooks on the whole model, in float64."""
    seen: dict[str, list[torch.Tensor]] = {}
    handles = [
        layer.register_forward_pre_hook(lambda module, given, name=name: seen.setdefault(name, []).append(given[0]))
        for name, layer in linear_layers(model).items()
    ]
    with torch.no_grad():
        model(torch.stack(tokens.sequences))
    for handle in handles:
        handle.remove()
    inputs = {name: torch.cat(x).flatten(0, -2).double() for name, x in seen.items()}
    return {name: 2 / len(x) * x.T @ x for name, x in inputs.items()}


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry each time that a block runs over the tokens."""
    counted: list[int] = []
    run = statistics.run_block
    monkeypatch.setattr(statistics, "run_block", lambda *given: counted.append(1) or run(*given))
    return counted


def test_is_what_the_dense_model_gives_its_layers(tmp_path: Path) -> None:
    model, tokens = random_models.llama(hidden=64).train(), calibration()
    found = statistics.collect(model, tokens, tmp_path)
    assert model.training
    expected = dense_hessians(model.eval(), tokens)
    assert expected.keys() == linear_layers(model).keys()
    for name, hessian in expected.items():
        mine = found.layer(name)
        # Inputs that went through the blocks one by one, products in fp32: 384 terms of 2^-24 each at most.
        assert torch.allclose(mine.hessian.double(), hessian, rtol=1e-4, atol=1e-5 * hessian.diagonal().max())
        assert torch.allclose(mine.norms.double(), (hessian.diagonal() * 192).sqrt(), rtol=1e-4)
        assert mine.tokens == 384
    first = "model.layers.0.self_attn"
    assert torch.equal(found.layer(f"{first}.q_proj").hessian, found.layer(f"{first}.v_proj").hessian)


def test_one_pass_serves_all_recipes(tmp_path: Path, passes: list[int]) -> None:
    model, tokens = random_models.llama(hidden=64), calibration()
    for recipe in RECIPES:
        small = fairopt.compress(model, recipe, calibration=tokens, statistics=tmp_path)
        stored = fairopt.record(small)
        assert stored.calibration == {**tokens.describe(), "statistics": "dense model"}
        assert type(stored).from_json(stored.to_json()) == stored
    assert len(passes) == 2  # the blocks of the model


def test_layers_are_solved_on_the_dense_statistics_and_the_bits_are_the_same_each_time(tmp_path: Path) -> None:
    model, tokens = random_models.llama(hidden=64), calibration()
    found = statistics.collect(model, tokens, tmp_path / "a")
    for recipe in ("gptq:int4,g=32", "sparsegpt:2:4", "sparsegpt:0.5+nf4:block=32"):
        first = fairopt.compress(model, recipe, statistics=found)
        assert same(first, fairopt.compress(model, recipe, calibration=tokens, statistics=tmp_path / "b"))
        assert not same(first, fairopt.compress(model, recipe, calibration=tokens))
    name = "model.layers.1.mlp.down_proj"
    weight, hessian = model.get_submodule(name).weight.detach(), found.layer(name).hessian
    pruned = fairopt.compress(model, "sparsegpt:2:4", statistics=found).get_submodule(name).weight
    assert torch.equal(pruned, ops.sparsegpt(weight, hessian, n=2, m=4).pruned)
    said = fairopt.record(first).layers[name].solver
    assert said is not None
    assert said["tokens"] == 384
    assert said["loss"] < said["rtn_loss"]


def test_every_format_of_a_recipe_without_activations_is_as_ever(tmp_path: Path) -> None:
    model = random_models.llama(hidden=64)
    plain = fairopt.compress(model, "magnitude:0.5+int4:g=32")
    assert same(plain, fairopt.compress(model, "magnitude:0.5+int4:g=32", statistics=tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_killed_pass_goes_on_and_a_finished_one_runs_nothing(tmp_path: Path, passes: list[int]) -> None:
    model, tokens = random_models.llama(hidden=64), calibration()
    whole = statistics.collect(model, tokens, tmp_path)
    before = {name: whole.layer(name).hessian for name in linear_layers(model)}
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert [file.stem for file in files] == ["lm_head", "model.layers.0", "model.layers.1"]
    passes.clear()
    statistics.collect(model, tokens, tmp_path)
    assert not passes
    files[2].unlink()
    written = files[1].stat().st_mtime_ns
    again = statistics.collect(model, tokens, tmp_path)
    assert files[1].stat().st_mtime_ns == written
    assert all(torch.equal(again.layer(name).hessian, hessian) for name, hessian in before.items())
    assert not list(tmp_path.rglob("*.draft"))


def test_another_model_or_other_tokens_have_files_of_their_own(tmp_path: Path) -> None:
    model = random_models.llama(hidden=64)
    statistics.collect(model, calibration(), tmp_path)
    statistics.collect(model, calibration(seed=1), tmp_path)
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    statistics.collect(model, calibration(), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_groups_have_statistics_of_their_own_and_add_up(tmp_path: Path) -> None:
    model = random_models.llama(hidden=64)
    texts = {"a": calibration(0, 4), "b": calibration(1, 8)}
    both = statistics.collect_groups(model, texts, tmp_path)
    joined = Calibration((*texts["a"].sequences, *texts["b"].sequences), 0, "both")
    whole = statistics.collect(model, joined, tmp_path)
    assert both.shares == pytest.approx({"a": 1 / 3, "b": 2 / 3})
    name = "model.layers.1.mlp.down_proj"
    assert torch.allclose(both.layer(name).hessian, whole.layer(name).hessian, rtol=1e-4, atol=1e-6)
    assert torch.allclose(both.layer(name).norms, whole.layer(name).norms, rtol=1e-4)
    assert both.layer(name).tokens == whole.layer(name).tokens == 384
    alone = statistics.GroupStatistics(both.groups, {"a": 1.0, "b": 0.0})
    assert torch.equal(alone.layer(name).hessian, both.groups["a"].layer(name).hessian)
    small = fairopt.compress(model, "sparsegpt:0.5", statistics=both)
    assert fairopt.record(small).calibration["statistics"] == "dense model, groups: a 0.333333, b 0.666667"


@pytest.mark.parametrize(
    "recipe", ["awq:int4,g=32", "smoothquant+w8a8", "wanda:0.5,steps=3", "gblm:0.5", "ffn:0.25+sparsegpt:0.5"]
)
def test_refuses_recipes_that_look_at_more_than_a_layer(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="compress: statistics must go with steps that look at one layer at a time, got"
    ):
        fairopt.compress(random_models.llama(hidden=64), recipe, calibration=calibration(), statistics=tmp_path)
    assert not list(tmp_path.iterdir())


def test_refuses_what_does_not_belong_together(tmp_path: Path) -> None:
    model, tokens = random_models.llama(hidden=64), calibration()
    found = statistics.collect(model, tokens, tmp_path)
    with pytest.raises(InputError, match=re.escape("compress: calibration must be given for 'sparsegpt:0.5'")):
        fairopt.compress(model, "sparsegpt:0.5", statistics=tmp_path)
    with pytest.raises(InputError, match="compress: calibration must be None beside statistics"):
        fairopt.compress(model, "sparsegpt:0.5", statistics=found, calibration=tokens)
    with pytest.raises(
        InputError, match=re.escape("statistics: layer must be a linear one of the model, got 'model.norm'")
    ):
        found.layer("model.norm")
    with pytest.raises(InputError, match=re.escape("shares must be one a group, at least 0, of sum 1, got {'a': 2.0}")):
        statistics.GroupStatistics({"a": found}, {"a": 2.0})
    with pytest.raises(InputError, match="groups must be at least one, got none"):
        statistics.collect_groups(model, {}, tmp_path)
    file = next(tmp_path.rglob("model.layers.1.safetensors"))
    with pytest.raises(InputError, match="compress: statistics must be a folder to write to"):
        statistics.collect(model, tokens, file)
    file.unlink()
    with pytest.raises(
        InputError, match=re.escape("statistics: the file of 'model.layers.1' must be where it was written")
    ):
        found.layer("model.layers.1.mlp.up_proj")
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    with pytest.raises(InputError, match="compress: statistics must be of the model that is compressed"):
        fairopt.compress(model, "sparsegpt:0.5", statistics=found)
