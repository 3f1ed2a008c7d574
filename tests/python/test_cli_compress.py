"""``fairopt compress`` on folders as people have them: 16-bit types, experts stored one by one, compressed before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import random_models
import torch
from structured_models import family
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

import fairopt as fo
from fairopt.cli import app

TEXTS = [f"{name} went to the park and saw {n} birds there." for n in range(9) for name in ("Anna", "Ben", "Mia")]


@pytest.fixture
def calibration(tmp_path: Path) -> list[str]:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return ["--calibration", str(tmp_path / "texts.txt"), "--samples", "3", "--length", "16"]


def compress(base: Path, recipe: str, out: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["compress", str(base), "--recipe", recipe, "--out", str(out), *more])


@pytest.mark.parametrize(
    ("recipe", "dtype"),
    [
        *((recipe, torch.bfloat16) for recipe in ("magnitude:0.5", "wanda:0.5+sparse", "heads:0.5", "gptq:int4,g=32")),
        ("wanda:0.5", torch.float16),
    ],
)
def test_what_stays_dense_keeps_its_type(
    recipe: str, dtype: torch.dtype, tmp_path: Path, calibration: list[str]
) -> None:
    model = random_models.llama().to(dtype)
    random_models.save(model, tmp_path / "base")
    result = compress(tmp_path / "base", recipe, tmp_path / "small", *calibration)
    assert result.exit_code == 0, result.output
    small = fo.load(tmp_path / "small")
    assert {parameter.dtype for parameter in small.parameters()} == {dtype}
    record = fo.record(small)
    assert record.dense_bytes == sum(2 * parameter.numel() for parameter in model.parameters())
    assert record.bytes <= record.dense_bytes


@pytest.mark.parametrize(("name", "recipe"), [("mixtral", "magnitude:0.5"), ("qwen3_moe", "magnitude:2:4+int4:g=32")])
def test_experts_stored_one_by_one_are_no_obstacle(name: str, recipe: str, tmp_path: Path) -> None:
    model = family(name)
    random_models.save(model, tmp_path / "base")
    result = compress(tmp_path / "base", recipe, tmp_path / "small")
    assert result.exit_code == 0, result.output
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "base", local_files_only=True)
    expected, found = fo.compress(loaded, recipe).state_dict(), fo.load(tmp_path / "small").state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


@pytest.mark.parametrize("recipe", ["int8:g=32", "wanda:0.5"])
def test_a_compressed_folder_is_named_as_one(recipe: str, tmp_path: Path, calibration: list[str]) -> None:
    random_models.save(random_models.llama(), tmp_path / "base")
    assert compress(tmp_path / "base", "magnitude:0.5+sparse", tmp_path / "small").exit_code == 0
    result = compress(tmp_path / "small", recipe, tmp_path / "twice", *calibration)
    assert result.exit_code == 2
    said = ("must hold an uncompressed model, got a quantised one", "must hold a dense model, got one that fairopt")
    assert any(part in result.stderr for part in said)
    assert not (tmp_path / "twice").exists()
