"""Models with structures removed, through the doors that users take: command line, audit, scoring, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import gpt2, llama, tokenizer
from test_loglikelihood import REQUESTS, TOLERANCE, plain
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

import fairopt as fo
from fairopt.cli import app
from fairopt.compress.calibration import CalibrationFile
from fairopt.errors import InputError
from fairopt.models.loglikelihood import describe, loglikelihood

TEXTS = [f"{name} went to the park and saw {n} birds there." for n in range(9) for name in ("Anna", "Ben", "Mia")]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    return file


def test_the_command_line_cuts_a_real_model(models_dir: Path, tmp_path: Path, texts: Path) -> None:
    arguments = ["compress", str(models_dir / "TinyStories-656K"), "--calibration", str(texts), "--length", "64"]
    arguments += ["--recipe", "heads:0.5+ffn:0.25:act,round=16+layers:1", "--out", str(tmp_path / "cut")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    cut: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "cut")
    config = cut.config
    assert (config.num_attention_heads, config.num_key_value_heads, config.intermediate_size) == (4, 2, 288)
    assert config.num_hidden_layers == 1
    said = json.loads((tmp_path / "cut/fairopt.json").read_text())
    assert [step["step"] for step in said["structure"]] == ["heads:0.5", "ffn:0.25:act,round=16", "layers:1"]
    assert said["bytes"] == sum(p.numel() * 4 for p in cut.parameters())
    assert said["bytes"] < 0.62 * said["dense_bytes"]  # the embedding, two fifths of this model, stays


def test_an_audit_cuts_and_compares(tmp_path: Path, texts: Path) -> None:
    recipes = ["heads:0.25:l2", "ffn:0.25:taylor", "layers:1", "ffn:0.25,scope=model+int8:pad"]
    run = fo.audit(
        "phantom", recipes, benchmarks=["phantom_pairs"], limit=8, out=tmp_path / "run",
        calibration=CalibrationFile(texts, samples=2, length=64),
    )  # fmt: skip
    descriptor = json.loads((tmp_path / "run/run.json").read_text())["descriptor"]
    variants = {variant["name"]: variant for variant in descriptor["variants"]}
    assert [bool(variants[recipe]["calibration"]) for recipe in recipes] == [False, True, True, True]
    table = run.items("phantom_pairs").to_pydict()
    read = {
        name: [x for x, variant in zip(table["ll_a"], table["variant"], strict=True) if variant == name]
        for name in set(table["variant"])
    }
    assert len({tuple(likelihoods) for likelihoods in read.values()}) == len(recipes) + 1  # all read differently


@pytest.mark.parametrize(
    "recipe", ["heads:0.5:l2", "ffn:0.25:l2,protect=1+heads:0.5:l2,protect=1", "layers:1:l2", "hidden:0.25:l2"]
)
def test_scores_over_the_trie_are_those_of_one_text_at_a_time(recipe: str) -> None:
    base = llama()
    if "protect" in recipe:
        base.config.num_hidden_layers = 3
        torch.manual_seed(0)
        base = type(base)(base.config).eval()
    cut = fo.compress(base, recipe)
    assert describe(cut, tokenizer())["engine"] == "tree attention"
    found = loglikelihood(cut, tokenizer(), REQUESTS)
    expected = [plain(cut, tokenizer(), *request) for request in REQUESTS]
    torch.testing.assert_close(torch.tensor(found.ll), torch.tensor(expected).double(), atol=TOLERANCE, rtol=0)


def test_a_layout_that_cannot_hold_the_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"export: config must be able to say every size, got \{'heads': 3\}"):
        fo.export(fo.compress(gpt2(), "heads:0.25:l2"), tmp_path / "out", "dense")
    fo.export(fo.compress(gpt2(), "ffn:0.25:l2"), tmp_path / "out", "dense")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").transformer.h[0].mlp.c_fc.weight.shape == (32, 96)
