"""One rank of a distributed LoRA training on a quantised model, for tests: ``sharded_training.py OUT`` under torchrun.

Trains under DDP, then under FSDP2 (``fully_shard``), each rank on its own half of the batch, and rank 0 writes the
adapters of both as safetensors.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tiny_models import llama
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import fairopt
import fairopt.hf

STEPS = 3


def batch() -> torch.Tensor:
    """Two rows of tokens; a rank trains on its own."""
    return torch.arange(64).reshape(2, 32).roll(3, 1)


def adapted() -> torch.nn.Module:
    model = fairopt.compress(llama(), "nf4:block=32")
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights="gaussian"))


def train(model: torch.nn.Module, ids: torch.Tensor) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    for _ in range(STEPS):
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def adapters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    return {name: p.full_tensor() if isinstance(p, DTensor) else p for name, p in found.items()}


def main() -> None:
    dist.init_process_group("gloo")
    ids = batch()[dist.get_rank()][None]
    replicated = adapted()
    train(DistributedDataParallel(replicated), ids)
    sharded = adapted()
    for layer in sharded.get_base_model().model.layers:
        fully_shard(layer)
    fully_shard(sharded)
    train(sharded, ids)
    for name, model in {"ddp": replicated, "fsdp": sharded}.items():
        state = adapters(model)  # every rank takes part in gathering
        if dist.get_rank() == 0:
            save_file(state, Path(sys.argv[1]) / f"{name}.safetensors")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
