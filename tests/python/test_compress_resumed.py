"""Every solver, pruner and way to store a layer: killed after one decoder block and resumed, the bytes are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import random_models
import torch

import fairopt
from fairopt.compress import driver, resume

RECIPES = (
    *("gptq:int4,g=32", "gptq:int3,g=32,act_order=dynamic", "awq:int4,g=32", "signround:int3,g=32,steps=3"),
    *("smoothquant:w8a8", "smoothquant+mse:int4,g=32", "wanda:0.5+hqq:int4,g=32", "wanda:0.5+mse:int4,g=32,asym_float"),
    *("sparsegpt:0.5", "sparsegpt:2:4+int4:g=32", "sparsegpt:0.5+gptq:int4,g=32,act_order=dynamic"),
    *("hadamard+gptq:int4,g=32", "hadamard:online+gptq:int4,g=32", "gptq:int4,g=32,dq", "wanda:0.5+llm_int8"),
    *("wanda:2:4+sparse", "sparsegpt:0.6+sparse:int8", "gblm:0.5", "hgla:0.5+nf4", "wanda:0.5,steps=2+int4:g=32"),
    *("ffn:0.25+gptq:int4,g=16", "wanda:0.5+int4:g=16,int8=0.5"),
)


class KilledError(BaseException):
    """What no handler catches."""


@pytest.mark.parametrize("recipe", RECIPES)
def test_resumed_gives_the_same_bytes(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    ids = list(torch.randint(96, (8, 32), generator=generator))
    model = random_models.llama(hidden=64).bfloat16()
    save = resume.FinishedBlocks.save

    def save_and_die(self: resume.FinishedBlocks, *block: Any) -> None:
        save(self, *block)
        raise KilledError

    monkeypatch.setattr(resume.FinishedBlocks, "save", save_and_die)
    with pytest.raises(KilledError):
        fairopt.compress(model, recipe, calibration=ids, resume=tmp_path)
    monkeypatch.setattr(resume.FinishedBlocks, "save", save)
    solved: list[str] = []
    prepare = driver._prepare
    monkeypatch.setattr(driver, "_prepare", lambda task, *given: solved.append(task.name) or prepare(task, *given))
    resumed = fairopt.compress(model, recipe, calibration=ids, resume=tmp_path)
    assert solved[0] == "model.layers.1"
    whole = fairopt.compress(model, recipe, calibration=ids)
    expected, found = whole.state_dict(), resumed.state_dict()
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name
    for module, other in zip(resumed.modules(), whole.modules(), strict=True):
        assert (type(module), module.training) == (type(other), other.training)
    assert [p.requires_grad for p in resumed.parameters()] == [p.requires_grad for p in whole.parameters()]
    assert fairopt.record(resumed) == fairopt.record(whole)
