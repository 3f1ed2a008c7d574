"""What compressing block by block keeps in memory, measured in a process of its own."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

import fairopt
from fairopt.compress import driver
from fairopt.compress.calibration import Calibration
from fairopt.compress.solvers.base import BlockTask


def alive() -> int:
    """Bytes of the storages of all tensors that can be reached."""
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def grown_at_the_last_block() -> tuple[int, int, int]:
    """Bytes beside the model when the last of five blocks is to be solved, the bound for them, and those of a block."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=96, hidden_size=128, intermediate_size=256, num_hidden_layers=5, num_attention_heads=4)
    )
    tokens = Calibration.of(list(torch.randint(96, (12, 32))), length=32)
    at_start, then = alive(), []
    solve = driver._solve

    def watched(task: BlockTask, advance: Callable[[int], None]) -> object:
        if task.name.endswith(".4"):
            then.append(alive())
        return solve(task, advance)

    driver._solve = watched
    small = fairopt.compress(model, "gptq:int4,g=32", calibration=tokens)
    block = sum(parameter.nbytes for parameter in model.model.layers[4].parameters())
    hidden = tokens.tokens * 128 * 4
    finished = sum(tensor.nbytes for i in range(4) for tensor in small.model.layers[i].state_dict().values())
    # A packed layer pads its rows to 64 and there are position tables: far from the size of another block.
    return then[0] - at_start, block + hidden + int(1.25 * finished) + 100_000, block


def test_memory_holds_one_block_and_its_inputs() -> None:
    """In a process of its own: what other tests leave behind is alive too."""
    code = "import test_compress_memory as t; print(*t.grown_at_the_last_block())"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    grown, bound, block = map(int, run.stdout.split())
    assert grown <= bound
    assert block > 5 * 100_000
