"""A quantised model is an ordinary torch model: compiled, exported, copied, pickled, sharded and trained as one."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sharded_training
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tiny_models import IDS, llama, logits
from torch import nn

import fairopt
import fairopt.hf
from fairopt.nn import QuantizedLinear


def layer(kind: str) -> QuantizedLinear:
    torch.manual_seed(0)
    linear = nn.Linear(96, 40)
    if kind == "ordered":
        rows = fairopt.ops.quantize_blockwise(linear.weight.detach(), "int4_asym", 32)
        order = torch.randperm(96)
        return QuantizedLinear.from_codes(*rows, linear.bias, "int4_asym", 32, 96, order=order).pack()
    quantized = QuantizedLinear.from_linear(linear, "nf4", 32)
    return quantized if kind == "rows" else quantized.pack()


KINDS = ["rows", "packed", "ordered"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_graph_with_the_same_bits(kind: str) -> None:
    module = layer(kind)
    x = torch.randn(3, 96, requires_grad=True)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    y = compiled(x)
    assert torch.equal(y, module(x))
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    (expected,) = torch.autograd.grad(module(x).square().sum(), x)
    assert torch.equal(grad, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_program_computes_the_same(kind: str, tmp_path: Path) -> None:
    module = layer(kind).eval()
    x = torch.randn(3, 96)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "layer.pt2")
    again = torch.export.load(tmp_path / "layer.pt2").module()
    wider = torch.randn(7, 96)
    assert torch.equal(again(x), module(x))
    assert torch.equal(again(wider), module(wider))


def test_a_whole_model_compiles_and_exports() -> None:
    model = fairopt.compress(llama(), "int4:g=32")
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert torch.equal(logits(compiled), logits(model))
    with torch.no_grad():
        program = torch.export.export(model, (IDS,), {"use_cache": False})
        assert torch.equal(program.module()(IDS, use_cache=False).logits, logits(model))


def test_lora_on_a_quantised_model_is_one_graph() -> None:
    model = fairopt.compress(llama(), "nf4:block=32")
    model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights="gaussian"))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    compiled(IDS, labels=IDS).loss.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model(IDS, labels=IDS).loss.backward()
    assert grads
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            # The graph may fuse the adapter's own fp32 operations.
            assert torch.allclose(grads[name], parameter.grad, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_hold_rows_and_load_strictly(kind: str) -> None:
    module, x = layer(kind), torch.randn(5, 96)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert {"codes", "scales", "zeros", "bias"} <= state.keys()
    assert "packed" not in state
    for pack in (False, True):
        other = QuantizedLinear(96, 40, **module.options())
        if pack:
            for buffer in other.buffers():
                buffer.zero_()
            other.pack()
        other.load_state_dict(state, strict=True)
        assert torch.equal(other.pack()(x), layer(kind).pack()(x))
    del state["codes"]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"codes\""):
        QuantizedLinear(96, 40, **module.options()).load_state_dict(state, strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_independent(kind: str) -> None:
    module, x = layer(kind), torch.randn(5, 96)
    expected = module(x)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(x), expected)
    for buffer in twin.buffers():
        buffer.zero_()
    assert torch.equal(module(x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_product(kind: str) -> None:
    module = layer(kind).double()
    x = torch.randn(2, 96, dtype=torch.float64, requires_grad=True)
    bias = module.bias.detach().clone().requires_grad_()

    def product(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, {"bias": bias}, (x,))

    assert torch.autograd.gradcheck(product, (x, bias))


def test_two_ranks_train_what_one_does(tmp_path: Path) -> None:
    """DDP and FSDP2 average the gradients of two halves: the step of the whole batch."""
    one = sharded_training.adapted()
    sharded_training.train(one, sharded_training.batch())
    expected = sharded_training.adapters(one)
    before = sharded_training.adapters(sharded_training.adapted())
    script = Path(sharded_training.__file__)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, str(script), str(tmp_path)], check=True, env=environment, timeout=240)
    for name in ("ddp", "fsdp"):
        found = load_file(tmp_path / f"{name}.safetensors")
        assert found.keys() == expected.keys()
        for parameter, value in found.items():
            assert not torch.equal(value, before[parameter])
            # fp32 gradients summed over 64 tokens in another order, three steps of size one.
            assert torch.allclose(value, expected[parameter], rtol=1e-3, atol=1e-5), (name, parameter)
