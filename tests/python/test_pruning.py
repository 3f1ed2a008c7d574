"""Pruning a whole model: every recipe on every layout, in rounds, again, elsewhere, killed, and refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import random_models
import structured_models
import tiny_models
import torch
from decoder_blocks import model_of
from torch import nn

import fairopt as fo
from fairopt.audit.trends import dose
from fairopt.compress import driver
from fairopt.compress.calibration import Calibration
from fairopt.compress.layers import dense_weight
from fairopt.compress.on_disk import compress_folder
from fairopt.compress.prune_options import Wanda
from fairopt.errors import InputError

RECIPES = (
    "magnitude:0.3",
    "magnitude:0.5,scope=row",
    "magnitude:0.5,scope=model",
    "magnitude:2:4",
    "random:0.5",
    "wanda:0.5",
    "wanda:4:8",
    "wanda:0.6,owl",
    "gblm:0.5",
    "hgla:0.5",
    "taylor:0.5",
    "taylor:0.5,order=2",
    "fisher:0.5",
    "wanda:0.5,steps=2",
    "wanda:0.5+nf4:block=32",
    "sparsegpt:0.5",
    "sparsegpt:2:4+int4:g=32",
)
FAMILIES = (
    *("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "gpt2", "opt", "gpt_neox", "phi", "phi3"),
    *("bert", "distilbert"),
)


def tokens(length: int = 32, vocabulary: int = 96, sequences: int = 8) -> Calibration:
    ids = torch.randint(vocabulary, (sequences, length), generator=torch.Generator().manual_seed(0))
    return Calibration.of(list(ids), length=length)


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(autouse=True)
def few_tokens() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "compress: .* fewer calibration tokens")
        yield


@pytest.mark.parametrize("family", FAMILIES)
def test_every_recipe_runs_on_every_layout(family: str, tmp_path: Path) -> None:
    model = structured_models.family(family)
    seen = tokens(vocabulary=30 if structured_models.is_masked(family) else 96)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for recipe in RECIPES:
        small = fo.compress(model, recipe, calibration=seen)
        record = fo.record(small)
        share = float(recipe.split(":")[1].split(",")[0].split("+")[0]) if recipe.count(":") < 2 else 0.5
        share = 0.5 if "+" in recipe else share
        assert record.kept == pytest.approx(1 - share, abs=0.09 if "owl" in recipe else 0.02), recipe
        assert record.sparsity >= 1 - (record.kept or 0) - 1e-9
        assert all(layer.kept is not None for layer in record.layers.values())
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name]), recipe
        fo.save(small, tmp_path / "small")
        ids = torch.stack(seen.sequences[:2])
        with torch.no_grad():
            assert torch.equal(fo.load(tmp_path / "small")(ids).logits, small(ids).logits), recipe


def test_a_folder_of_masks_is_an_ordinary_model(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    small = fo.compress(model_of("llama"), "wanda:2:4", calibration=tokens())
    fo.save(small, tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert same(plain, small)
    record = json.loads((tmp_path / "fairopt.json").read_text())
    layer = record["layers"]["model.layers.0.mlp.down_proj"]
    assert layer["kept"] == 0.5
    assert layer["zeros_stored"] is True
    assert layer["solver"] == {"tokens": 256}
    assert record["calibration"]["sha256"] == tokens().sha256


def test_a_layer_is_pruned_alike_whatever_is_pruned_beside_it(tmp_path: Path) -> None:
    """Random masks: in memory, with calibration for others, layer by layer from a folder."""
    model = random_models.llama()
    alone = fo.compress(model, "*.1.mlp.up_proj=random:0.5;lm_head=random:0.5", seed=3)
    more = fo.compress(model, "wanda:0.5;*.1.mlp.up_proj=random:0.5;lm_head=random:0.5", calibration=tokens(), seed=3)
    random_models.save(model, tmp_path / "dense", with_tokenizer=False)
    compress_folder(tmp_path / "dense", tmp_path / "out", "random:0.5;lm_head=random:0.5", seed=3)
    folder = fo.load(tmp_path / "out")
    for name in ("model.layers.1.mlp.up_proj", "lm_head"):
        weights = [dense_weight(m.get_submodule(name)) for m in (alone, more, folder)]
        assert torch.equal(weights[0], weights[1])
        assert torch.equal(weights[0], weights[2])
    other = fo.compress(model, "*.1.mlp.up_proj=random:0.5", seed=4)
    assert not same(alone.model, other.model)


def test_masks_do_not_depend_on_the_number_of_threads(models_dir: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K", local_files_only=True)
    before = torch.get_num_threads()
    made = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            made.append([fo.compress(model, recipe, calibration=tokens(128, 2048)) for recipe in RECIPES[2:13:2]])
    finally:
        torch.set_num_threads(before)
    assert all(same(one, two) for one, two in zip(*made, strict=True))


def test_scores_rank_as_published_on_text_that_did_not_calibrate(models_dir: Path) -> None:
    """Stories that the model wrote: half of them calibrate, the other half judge (benchmarks/perplexity.py)."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K", local_files_only=True).eval()
    torch.manual_seed(0)
    start = torch.full((64, 1), model.config.bos_token_id)
    stories = model.generate(start, do_sample=True, top_k=0, max_new_tokens=127, min_new_tokens=127, pad_token_id=0)
    loss = {}
    for recipe in ("sparsegpt:0.5", "wanda:0.5", "magnitude:0.5", "random:0.5"):
        small = fo.compress(model, recipe, calibration=list(stories[::2]))
        with torch.no_grad():
            loss[recipe] = float(small(stories[1::2], labels=stories[1::2]).loss)
    assert loss["sparsegpt:0.5"] < loss["wanda:0.5"] <= loss["magnitude:0.5"] < loss["random:0.5"]


def test_rounds_are_pruning_again_and_again() -> None:
    model, seen = model_of("llama"), tokens()
    small = fo.compress(model, "wanda:0.6,steps=3", calibration=seen)
    shares = [0.6 * (1 - (2 / 3) ** 3), 0.6 * (1 - (1 / 3) ** 3), 0.6]
    assert [Wanda(0.6, steps=3).ratio_at(i) for i in (1, 2, 3)] == pytest.approx(shares)
    by_hand = model
    for ratio in shares:
        by_hand = fo.compress(by_hand, f"wanda:{ratio}", calibration=seen)
        by_hand = plain(by_hand, model)
    assert same(small, by_hand)
    assert not same(small, fo.compress(model, "wanda:0.6", calibration=seen))
    assert Wanda(0.6, steps=3, schedule="linear").ratio_at(1) == pytest.approx(0.2)


def plain(small: Any, like: Any) -> Any:
    """Without the record, as a model that was loaded from elsewhere."""
    made = type(like)(like.config).eval()
    made.load_state_dict(small.state_dict())
    return made


def test_an_audit_follows_the_share_of_one_way_of_pruning() -> None:
    assert dose("wanda:0.5,owl") == ("wanda,owl: sparsity", 0.5)
    assert dose("magnitude:0.5") == ("magnitude: sparsity", 0.5)
    assert dose("wanda:2:4") is None


def test_shares_by_glob_and_layers_that_stay() -> None:
    small = fo.compress(
        model_of("gpt2"), "wanda:0.5;*.c_proj=wanda:0.25;*.1.mlp.c_fc=magnitude:2:4;keep=*.h.0.*", calibration=tokens()
    )
    kept = {name: layer.kept for name, layer in fo.record(small).layers.items()}
    assert kept == {
        "transformer.h.1.attn.c_attn": 0.5, "transformer.h.1.attn.c_proj": 0.75,
        "transformer.h.1.mlp.c_fc": 0.5, "transformer.h.1.mlp.c_proj": 0.75,
    }  # fmt: skip


@pytest.mark.parametrize("recipe", ["wanda:0.5", "gblm:0.5+gptq:int4,g=32"])
def test_a_killed_run_goes_on_to_the_same_bytes(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = model_of("llama"), tokens()
    whole = fo.compress(model, recipe, calibration=seen)
    save, saved = driver.FinishedBlocks.save, []

    def dies_after_one(self: Any, *args: Any) -> None:
        if saved:
            raise KeyboardInterrupt
        saved.append(args[0])
        save(self, *args)

    monkeypatch.setattr(driver.FinishedBlocks, "save", dies_after_one)
    with pytest.raises(KeyboardInterrupt):
        fo.compress(model, recipe, calibration=seen, resume=tmp_path)
    monkeypatch.setattr(driver.FinishedBlocks, "save", save)
    monkeypatch.setattr(driver, "_prepare", lambda task, *rest: never_again(task, saved[0], driver_prepare, *rest))
    again = fo.compress(model, recipe, calibration=seen, resume=tmp_path)
    assert same(whole, again)
    assert fo.record(again).layers == fo.record(whole).layers


driver_prepare = driver._prepare


def never_again(task: Any, finished: str, prepare: Any, *rest: Any) -> Any:
    assert task.name != finished
    return prepare(task, *rest)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("wanda:1.0", r"wanda ratio must be at least 0 and below 1, got 1.0"),
        ("wanda:4:4", r"n:m must be 0 < n < m <= 32, got 4:4"),
        ("wanda:2:5", r"m must divide K = 64 of 'model.layers.0.self_attn.q_proj', got 2:5 \(keep="),
        ("wanda:0.5;model.embed_tokens=wanda:0.5", "an embedding must be pruned by magnitude or at random"),
        ("random:0.1+wanda:0.5,owl", "wanda:0.5,owl must be the first step of its chain, got 'random:0.1"),
        ("random:0.1+magnitude:0.5,scope=model", "scope=model must be the first step of its chain"),
        ("wanda:0.5+hadamard+int4:g=32", "what is pruned must not be rotated, which fills zeros"),
        ("hadamard:online+wanda:0.5+int4:g=32", "what is pruned must not be rotated, which fills zeros"),
    ],
)
def test_what_cannot_be_pruned_is_said_before_anything_is_computed(recipe: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fo.compress(model_of("llama"), recipe, calibration=tokens())


def test_scores_of_inputs_need_calibration() -> None:
    with pytest.raises(InputError, match=r"calibration must be given for 'wanda:0\.5'"):
        fo.compress(model_of("llama"), "wanda:0.5")
    with pytest.raises(InputError, match="must need no calibration and only one layer at a time"):
        compress_folder("no such folder", "out", "magnitude:0.5,scope=model")
    with pytest.raises(InputError, match="must have decoder blocks"):
        fo.compress(nn.Sequential(nn.Linear(64, 64)), "wanda:0.5", calibration=[[1] * 600])


def test_embeddings_and_rotated_layers_can_be_pruned() -> None:
    model = tiny_models.llama(tied=False)
    small = fo.compress(model, "model.embed_tokens=magnitude:0.5,scope=row;lm_head=random:0.25")
    assert {name: layer.kept for name, layer in fo.record(small).layers.items()} == {
        "model.embed_tokens": 0.5, "lm_head": 0.75,
    }  # fmt: skip
    turned = fo.compress(model, "hadamard:magnitude:2:4+int4:g=32")
    assert all(layer.sparsity >= 0.5 for layer in fo.record(turned).layers.values())
