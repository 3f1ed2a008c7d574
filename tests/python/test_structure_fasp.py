"""FASP: effects on a bias that the caller measures, by a function or by a file of pairs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import random_models
import torch
from structured_models import family, logits
from test_structure_scores import BLOCK, CALIBRATION, loss
from typer.testing import CliRunner

import fairopt as fo
from fairopt.cli import app
from fairopt.compress.calibration import CalibrationFile
from fairopt.compress.structure.apply import ranges
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.pair_gap import read_pairs
from fairopt.compress.structure.scores_knockout import fasp_scores, knockout_effects
from fairopt.errors import InputError
from fairopt.models.loading import hash_weights, load_model


def test_effects_on_a_bias_are_those_of_the_callers_function() -> None:
    model = family("llama")
    ids = CALIBRATION.sequences[0][None]

    def bias(model: Any) -> float:
        return float(logits(model, ids)[0, -1, 5] - logits(model, ids)[0, -1, 6])

    found = knockout_effects(Dimensions(model), "heads", {"bias": bias})["bias"][BLOCK]
    without = copy.deepcopy(model)
    without.model.layers[1].self_attn.o_proj.weight.data[:, 32:] = 0
    assert float(found[1]) == pytest.approx(bias(without) - bias(model), abs=1e-5)
    with pytest.raises(InputError, match="bias must be a finite number, got nan"):
        knockout_effects(Dimensions(model), "heads", {"bias": lambda model: float("nan")})


def test_fasp_never_removes_what_matters_to_the_loss() -> None:
    losses = {"a": torch.tensor([4.0, 3.0, 0.0, 1.0]), "b": torch.tensor([0.0, 0.1, 0.2, 0.3])}
    bias = {"a": torch.tensor([-9.0, -8.0, -1.0, -2.0]), "b": torch.tensor([5.0, 4.0, 3.0, 2.0])}
    inf = float("inf")
    assert fasp_scores(losses, bias, 0.5, over_model=False)["a"].tolist() == [inf, inf, -1, -2]
    of_model = fasp_scores(losses, bias, 0.25, over_model=True)
    assert of_model["a"].tolist() == [inf, inf, -1, -2]
    assert of_model["b"].tolist() == [5, 4, 3, 2]


def test_fasp_by_a_recipe_removes_the_head_that_carries_the_bias() -> None:
    model = family("gpt2")
    ids = CALIBRATION.sequences[0][None]

    def bias(model: Any) -> float:
        return float((logits(model, ids)[0, :, 5] - logits(model, ids)[0, :, 6]).abs().mean())

    cut = fo.compress(model, "heads:0.25:fasp,gamma=0", calibration=CALIBRATION, bias=bias)
    effects = knockout_effects(Dimensions(model), "heads", {"bias": bias})["bias"]
    for block, kept in fo.record(cut).structure[0].kept.items():
        gone = int(effects[block].argmin())
        assert kept == ranges([unit for unit in range(4) if unit != gone])


def test_fasp_by_a_file_of_pairs(tmp_path: Path) -> None:
    model, tokenizer = random_models.gpt2(), random_models.tokenizer()
    random_models.save(model, tmp_path / "base")
    pairs = [("he ran to town", "she ran to town"), ("his cat sat", "her cat sat")]
    lines = [json.dumps({"a": a, "b": b}) for a, b in pairs]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def gap(model: Any) -> float:
        read = [[float(loss(model, torch.tensor(tokenizer(text).input_ids))) for text in pair] for pair in pairs]
        return sum(abs(a - b) for a, b in read) / len(read)

    with torch.no_grad():
        assert read_pairs(tmp_path / "pairs.jsonl", model, tokenizer)(model) == pytest.approx(gap(model), abs=1e-6)
        expected = knockout_effects(Dimensions(model), "heads", {"bias": gap})["bias"]
    (tmp_path / "texts.txt").write_text("the cat sat on the mat and ran far away from here" * 4, encoding="utf-8")
    ask = ["compress", str(tmp_path / "base"), "--calibration", str(tmp_path / "texts.txt"), "--length", "16"]
    ask += ["--pairs", str(tmp_path / "pairs.jsonl"), "--out", str(tmp_path / "cut"), "--recipe"]
    result = CliRunner().invoke(app, [*ask, "heads:0.25:fasp,gamma=0"])
    assert result.exit_code == 0, result.output
    for block, kept in fo.record(fo.load(tmp_path / "cut")).structure[0].kept.items():
        assert kept == ranges([unit for unit in range(4) if unit != int(expected[block].argmin())])
    assert "bias must go with a step that has the score fasp" in CliRunner().invoke(app, [*ask, "heads:0.25"]).output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold at least one pair, got none"),
        ('{"a": "he"}', "line 1 must be a JSON object with the texts a and b"),
        ("he ran", "line 1 must be a JSON object"),
        ('{"a": "h", "b": "she"}', "line 1 must have texts of at least two tokens"),
        (json.dumps({"a": "h" * 200, "b": "she"}), "must be at most the 128 positions of the model"),
    ],
)
def test_pairs_that_are_none_are_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_pairs(tmp_path / "pairs.jsonl", random_models.gpt2(), random_models.tokenizer(bos=None))


def test_fasp_that_protects_too_many_is_refused() -> None:
    model = family("gpt2")
    with pytest.raises(InputError, match=r"must remove no more than the 1 heads that may go, got 2 of 4"):
        fo.compress(model, "heads:0.5:fasp,gamma=0.75", calibration=CALIBRATION, bias=lambda model: 0.0)


def test_an_audit_takes_pairs_and_says_which(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("The nurse is kind . The doctor is wise ." * 20, encoding="utf-8")
    for name, other in (("pairs", "She is a nurse ."), ("others", "She is a doctor .")):
        line = json.dumps({"a": "He is a nurse .", "b": other})
        (tmp_path / f"{name}.jsonl").write_text(line, encoding="utf-8")
    ask = ["audit", "phantom", "--limit", "4", "--base-runs", "2", "--out", str(tmp_path / "run")]
    ask += ["--calibration", str(tmp_path / "texts.txt"), "--samples", "2", "--length", "16"]
    fasp = ["--compress", "ffn:0.1:l2", "--compress", "heads:0.25:fasp"]
    pairs = ["--pairs", str(tmp_path / "pairs.jsonl")]
    found = CliRunner().invoke(app, [*ask, *fasp, *pairs])
    assert found.exit_code in {0, 1, 4}, found.output
    run = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    plain, chosen = (variant["calibration"] for variant in run["descriptor"]["variants"])
    base = load_model("phantom")
    gap = read_pairs(tmp_path / "pairs.jsonl", base.model, base.tokenizer)
    assert chosen["pairs"] == 1
    assert chosen["pairs_sha256"] == gap.describe()["pairs_sha256"]
    assert "pairs" not in (plain or {})
    assert f"--pairs {tmp_path / 'pairs.jsonl'}" in run["command"]

    asked = CalibrationFile(tmp_path / "texts.txt", samples=2, length=16)
    model: Any = fo.compress(base.model, "heads:0.25:fasp", calibration=asked, tokenizer=base.tokenizer, bias=gap)
    assert dict(fo.record(model).calibration or {}) == chosen
    audited = next(v for v in fo.open_run(tmp_path / "run").result.variants if v.name == "heads:0.25:fasp")
    assert audited.weights_hash == hash_weights(model)

    others = CliRunner().invoke(app, [*ask, *fasp, "--pairs", str(tmp_path / "others.jsonl")])
    assert others.exit_code == 3
    assert "variant heads:0.25:fasp: calibration must be that of the run" in others.stderr
    without = CliRunner().invoke(app, [*ask, *fasp])
    assert without.exit_code == 2
    assert "audit: pairs must be given for 'heads:0.25:fasp', which measures a bias, got None" in without.stderr
    unasked = CliRunner().invoke(app, [*ask, "--compress", "ffn:0.1:l2", *pairs])
    assert unasked.exit_code == 2
    assert "audit: pairs must go with a recipe that has the score fasp, got none" in unasked.stderr
