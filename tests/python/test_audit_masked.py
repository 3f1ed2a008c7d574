"""A masked language model through a whole audit: what it is asked, what it cannot be asked, what the folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_models
import torch
from masked_models import bert, words

from fairopt import audit
from fairopt.audit.run import open_run
from fairopt.benchmarks import get
from fairopt.errors import InputError
from fairopt.models.masked_loglikelihood import masked_loglikelihood
from fairopt.models.similarity import similarity

MASKED = ("crows_pairs_masked", "crows_pairs_bias_bench", "stereoset_masked", "weat")
LIMIT = 40


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base model, and a variant whose weights were shaken a little."""
    root, model, tokenizer = tmp_path_factory.mktemp("models"), bert(window=256), words()
    tokenizer.model_max_length = 256
    folders = root / "base", root / "variant"
    for folder in folders:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + 0.05 * torch.randn_like(parameter))
    return folders


def run(pair: tuple[Path, Path], out: Path, data: Path, *names: str, **options: Any) -> Any:
    return audit(str(pair[0]), [], models=[str(pair[1])], benchmarks=list(names), out=out, data=data, **options)


@pytest.fixture(scope="module")
def done(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    run(pair, out, data_dir, *MASKED, limit=LIMIT)
    return out


def test_answers_are_those_of_the_model(done: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence is recomputed from the folder alone, and is what the model says of each item by itself."""
    monkeypatch.delenv("FAIROPT_DATA", raising=False)
    opened, model, tok = open_run(done), bert(window=256), words()
    tok.model_max_length = 256
    for name, columns in (
        ("crows_pairs_masked", ("ll_more", "ll_less")),
        ("stereoset_masked", ("ll_stereotype", "ll_anti_stereotype", "ll_unrelated")),
        ("weat", ("near_first", "near_second")),
    ):
        benchmark = get(name)
        items = {item.id: item for item in benchmark.items(data_dir)}
        table = opened.items(name)
        rows = [at for at, variant in enumerate(table["variant"].to_pylist()) if variant == "base"][:5]
        ids = table["item_id"].to_pylist()
        for row in rows:
            item = items[ids[row]]
            stored = [table[column][row].as_py() for column in columns]
            if name == "weat":
                requests = [(text, texts.split("\n")) for text, texts in item.requests]
                alone = similarity(model, tok, requests, 0, "tokens").mean
            else:
                alone = masked_loglikelihood(model, tok, benchmark.ask.rule, item.requests).ll
                if item.fields.get("direction") == "antistereo":
                    alone = alone[::-1]
            # 60 tokens, logits of size 20: the bound of loglikelihood's docstring, doubled for bidirectional sums.
            np.testing.assert_allclose(stored, alone, rtol=0, atol=2e-4, err_msg=f"{name} {item.id}")


def test_what_is_not_asked_is_said(done: Path) -> None:
    open_run(done).report()
    said = (done / "csv" / "left_out.csv").read_text().splitlines()
    assert sum("stereoset_masked" in line and "two blanks" in line for line in said) == 2
    assert any("inter/*, 2123 items" in line for line in said)


def test_a_causal_benchmark_needs_a_causal_model(pair: tuple[Path, Path], tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(InputError, match=r"crows_pairs.* a causal language model"):
        run(pair, tmp_path / "run", data_dir, "crows_pairs", limit=4)
    assert not (tmp_path / "run").exists()


def test_a_masked_benchmark_needs_a_mask_token(tmp_path: Path, data_dir: Path) -> None:
    causal = random_models.save(random_models.gpt2(), tmp_path / "model")
    with pytest.raises(InputError, match=r"crows_pairs_masked.* a masked language model, with a mask token"):
        run((causal, causal), tmp_path / "run", data_dir, "crows_pairs_masked", limit=4)
    assert not (tmp_path / "run").exists()


def test_vectors_are_asked_of_causal_models_too(tmp_path: Path, data_dir: Path) -> None:
    """The long texts of one test do not fit a window of 128: they are cut, and that is counted."""
    causal = random_models.save(random_models.gpt2(), tmp_path / "model")
    found = run((causal, causal), tmp_path / "run", data_dir, "seat", limit=4)
    assert not np.isnan(found.items("seat")["near_first"].to_numpy()).any()
    (variant,) = found.result.variants
    assert all(np.isnan(metric.noise.max_shift) for metric in variant.metrics)  # no log-likelihood was asked for
    html = found.report(tmp_path / "report.html").read_text()
    assert "did not fit the window" in html
