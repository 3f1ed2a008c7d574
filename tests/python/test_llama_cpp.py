"""llama.cpp itself opens the GGUF files that we write, and computes what we compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
import torch

import fairopt as fo

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(("layout", "recipe"), [("gguf-q4_0", "int4:g=32,sym_signed8"), ("gguf-q8_0", "int8:g=32")])
@pytest.mark.parametrize("scaling", [{"rope_type": "default"}, {"rope_type": "linear", "factor": 4.0}])
def test_llama_cpp_computes_the_same_logits(
    layout: str, recipe: str, scaling: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python, which is built from source")
    monkeypatch.syspath_prepend(BENCHMARKS)
    from llama_cpp_model import LlamaCppModel

    made = tiny_models.llama(hidden=256)
    made.config.rope_parameters = {"rope_theta": 10000.0, **scaling}
    torch.manual_seed(0)
    model = fo.compress(type(made)(made.config).eval(), recipe)
    expected = tiny_models.logits(model)[0, -1]
    found = LlamaCppModel(fo.export(model, tmp_path / "model.gguf", layout)).logits(tiny_models.IDS)
    # It rounds the activations of each product to 8 bits in blocks of 32, half a step each: at most 1/254 of the
    # block's largest, some 14 products one behind the other. A row or a code out of place gives unrelated logits.
    assert (found - expected).norm() <= 14 / 254 * expected.norm()
