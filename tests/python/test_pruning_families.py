"""What the commands do with a pruned model, for every family: compress, load what was written, audit it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import masked_models
import pytest
import random_models
import torch
from structured_models import family, is_masked, logits
from test_structure_end_to_end import TEXTS
from typer.testing import CliRunner

import fairopt as fo
from fairopt.cli import app
from fairopt.compress.layers import dense_weight
from fairopt.nn import StoredLayer

FAMILIES = ("llama", "mistral", "qwen2", "gemma", "gpt2", "opt", "gpt_neox", "bert", "distilbert")
STRUCTURES = ("heads:0.25", "ffn:0.25", "layers:1")
RECIPES = (  # block sizes are those that rows of 32 weights have
    *("magnitude:0.3", "magnitude:0.5", "magnitude:2:4", "random:0.5", "wanda:0.5", "wanda:2:4", "wanda:4:8"),
    *("wanda:0.6,owl", "sparsegpt:0.5", "sparsegpt:2:4", "gblm:0.5", "hgla:0.5", *STRUCTURES),
    *("sparsegpt:2:4+int4:g=32", "wanda:0.5+nf4:block=32"),
)
KEPT = {"magnitude:0.3": 0.7, "wanda:0.6,owl": 0.4}  # of the others a half
EVERY = "FAIROPT_EVERY_RECIPE"  # set: all recipes on all families, some minutes; else each recipe on one or two
PEOPLE = [{"more": f"{who} ran to {place}.", "less": f"{who} sat at {place}.", "group": who} for who in ("He", "She")
          for place in ("town", "school", "the park")]  # fmt: skip
VERDICTS = (0, 1, 4)  # ship, hold, inconclusive


def recipes_of(name: str) -> list[str]:
    """Recipes in turn: each family is given two, or one."""
    if os.environ.get(EVERY):
        return list(RECIPES)
    first = FAMILIES.index(name)
    return list(RECIPES[first :: len(FAMILIES)])


def test_every_recipe_has_its_turn() -> None:
    assert {recipe for name in FAMILIES for recipe in recipes_of(name)} == set(RECIPES)


def run(*arguments: object, codes: tuple[int, ...] = (0,)) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code in codes, result.output


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pruned_model_goes_through_both_commands(name: str, tmp_path: Path, data_dir: Path) -> None:
    model, masked = family(name), is_masked(name)
    tokenizer = masked_models.words() if masked else random_models.tokenizer()
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "base")
    (tmp_path / "texts.txt").write_text("\n".join(8 * TEXTS), encoding="utf-8")
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, PEOPLE)), encoding="utf-8")
    calibration = ["--calibration", tmp_path / "texts.txt", "--samples", 6, "--length", 24]

    recipes = recipes_of(name)
    folders = [tmp_path / f"pruned{index}" for index in range(len(recipes))]
    for recipe, folder in zip(recipes, folders, strict=True):
        run("compress", tmp_path / "base", "--recipe", recipe, "--out", folder, *calibration)
        check(recipe, folder, model)

    benchmark = "stereoset_masked" if masked else f"file:{tmp_path / 'people.jsonl'}?more=more&less=less"
    variants = [argument for folder in folders for argument in ("--model", folder)]
    asked = ["--benchmark", benchmark, "--data", data_dir, "--limit", 6, "--base-runs", 2]
    run("audit", tmp_path / "base", *variants, "--out", tmp_path / "run", *asked, codes=VERDICTS)
    found = fo.open_run(tmp_path / "run")
    assert [variant.bytes for variant in found.result.variants] == [fo.record(fo.load(one)).bytes for one in folders]
    assert found.items(benchmark).num_rows == 6 * (1 + len(recipes))


def check(recipe: str, folder: Path, dense: torch.nn.Module) -> None:
    """The folder computes, and the record says the bytes and the zeros that lie there."""
    small = fo.load(folder)
    record, before = fo.record(small), logits(dense)
    files = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert record.bytes <= files <= record.bytes + 400 * len(small.state_dict()) + 4096  # a header of names and shapes
    assert logits(small).isfinite().all()
    assert not torch.equal(logits(small), before)
    if recipe in STRUCTURES:
        assert record.bytes < record.dense_bytes
        assert [step.step for step in record.structure] == [recipe]
        return
    assert record.kept == pytest.approx(KEPT.get(recipe, 0.5), abs=1 / 32)  # a row of 32 loses whole weights
    assert record.zeros_stored_dense
    for name, layer in record.layers.items():
        module = small.get_submodule(name)
        weight = module.dense_weight() if isinstance(module, StoredLayer) else dense_weight(module)
        zeros = int((weight == 0).sum())
        assert zeros / weight.numel() == layer.sparsity
        assert zeros >= (1 - layer.kept) * weight.numel() - 1e-6
