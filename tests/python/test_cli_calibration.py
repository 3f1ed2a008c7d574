"""--calibration of the command line: compress and audit, what identifies the run, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import random_models
from typer.testing import CliRunner

import fairopt
from fairopt.audit.candidates import load, spec
from fairopt.cli import app
from fairopt.compress import statistics
from fairopt.compress.calibration import Calibration, CalibrationFile, read_documents
from fairopt.models.loading import load_model

RECIPE = "gptq:int4,g=32"
TEXTS = [
    f"{name} went to the park and saw {n} birds there." for n in range(9) for name in ("Anna", "Ben", "Tom", "Mia")
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    return file


def test_compress_takes_the_tokens_that_it_is_told(tmp_path: Path, texts: Path) -> None:
    model = random_models.llama()
    random_models.save(model, tmp_path / "model")
    arguments = ["compress", str(tmp_path / "model"), "--recipe", RECIPE, "--out", str(tmp_path / "small")]
    arguments += ["--calibration", str(texts), "--samples", "5", "--length", "16", "--resume", str(tmp_path / "blocks")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    tokens = Calibration.of(TEXTS, tokenizer=random_models.tokenizer(), samples=5, length=16)
    assert fairopt.record(fairopt.load(tmp_path / "small")).calibration == tokens.describe()
    assert len(list((tmp_path / "blocks").rglob("*.safetensors"))) == 2


def test_compress_says_what_is_missing(tmp_path: Path) -> None:
    random_models.save(random_models.llama(), tmp_path / "model")
    arguments = ["compress", str(tmp_path / "model"), "--recipe", RECIPE, "--out", str(tmp_path / "small")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert f"compress: calibration must be given for '{RECIPE}'" in result.stderr
    result = CliRunner().invoke(app, [*arguments, "--calibration", str(tmp_path / "absent.txt")])
    assert result.exit_code == 2
    assert "absent.txt' must be readable" in result.stderr
    assert not (tmp_path / "small").exists()


def test_an_audit_is_identified_by_its_calibration(tmp_path: Path, texts: Path) -> None:
    audit = ["audit", "phantom", "--compress", RECIPE, "--limit", "4", "--out", str(tmp_path / "run")]
    given = ["--calibration", str(texts), "--samples", "6", "--length", "32"]
    result = CliRunner().invoke(app, [*audit, *given])
    assert result.exit_code in {0, 1, 4}, result.output
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    base, (variant,) = run["descriptor"]["base"], run["descriptor"]["variants"]
    assert base["calibration"] is None
    assert variant["calibration"]["tokens"] == 6 * 32
    assert " ".join(given) in run["command"]
    (reported,) = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["variants"]
    assert reported["calibrated_on"] == {name: str(value) for name, value in variant["calibration"].items()}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert f"192 tokens, 6 sequences, seed 0, sha256 {variant['calibration']['sha256']}" in page
    fewer = CliRunner().invoke(app, [*audit, "--calibration", str(texts), "--samples", "5", "--length", "32"])
    assert fewer.exit_code == 3
    assert f"variant {RECIPE}: calibration must be that of the run" in fewer.stderr
    none = CliRunner().invoke(app, audit)
    assert none.exit_code == 2
    assert f"audit: calibration must be given for '{RECIPE}'" in none.stderr


def test_a_compressed_folder_brings_its_calibration(tmp_path: Path) -> None:
    loaded = load_model("phantom")
    compressed = fairopt.compress(loaded.model, RECIPE, calibration=TEXTS, tokenizer=loaded.tokenizer)
    fairopt.save(compressed, tmp_path / "small", tokenizer=loaded.tokenizer)
    assert spec(load(tmp_path / "small", "float32")).calibration == fairopt.record(compressed).calibration
    assert spec(loaded).calibration is None


def test_a_file_and_its_texts_are_the_same_calibration(texts: Path) -> None:
    model, tokenizer = random_models.llama(), random_models.tokenizer()
    of_file = Calibration.for_model(model, CalibrationFile(texts, samples=3), tokenizer=tokenizer)
    of_texts = Calibration.of(read_documents(texts), tokenizer=tokenizer, samples=3, length=128)
    assert of_file.sha256 == of_texts.sha256
    assert Calibration.for_model(model, of_texts, tokenizer=None) is of_texts


def test_an_audit_shares_one_pass_where_it_can_and_says_so(
    tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = [RECIPE, "sparsegpt:2:4+int4:g=32", "awq:int4,g=32", "magnitude:0.5"]
    passes: list[int] = []
    run_block = statistics.run_block
    monkeypatch.setattr(statistics, "run_block", lambda *given: passes.append(1) or run_block(*given))
    out = tmp_path / "run"
    words = ["audit", "phantom", "--limit", "4", "--out", str(out), "--base-runs", "2"]
    words += ["--calibration", str(texts), "--samples", "6", "--length", "32"]
    for recipe in recipes:
        words += ["--compress", recipe]
    found = CliRunner().invoke(app, [*words, "--shared-statistics"])
    assert found.exit_code in {0, 1, 4}, found.output
    blocks = list((out / "statistics").rglob("*layers*.safetensors"))
    assert len(passes) == len(blocks) > 0
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    said = [(variant["calibration"] or {}).get("statistics") for variant in run["descriptor"]["variants"]]
    assert said == ["dense model", "dense model", None, None]
    assert "--shared-statistics" in run["command"]
    apart = CliRunner().invoke(app, words)
    assert apart.exit_code == 3
    assert f"variant {RECIPE}: calibration must be that of the run" in apart.stderr
