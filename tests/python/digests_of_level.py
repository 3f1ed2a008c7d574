"""One process on the level of ``FAIROPT_CPU_CAPABILITY``: its name, and hashes of results that are the same on all."""

from __future__ import annotations

import hashlib
import json

import torch
from quantized import normal, quantized

from fairopt import _core, ops
from fairopt.formats import FORMATS


def digest(*tensors: torch.Tensor) -> str:
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def digests() -> dict[str, str]:
    """The operations whose documentation promises the same bits on every level."""
    weight, x = normal(70, 133), normal(9, 133, seed=1)
    found = {}
    for format in FORMATS:
        stored = quantized(weight, format)
        found[f"quantize_blockwise {format}"] = digest(*stored[:3])
        found[f"dequantize_blockwise {format}"] = digest(stored.dense(133))
        for mode in ops.matmul_modes(format):
            if mode != "exact":
                y = ops.packed_linear(x, ops.pack_weight(*stored, 133), None, format, stored.block, 70, mode)
                found[f"packed_linear {format} {mode}"] = digest(y)
    row = quantized(weight, "int8", 144)  # one scale a row
    found["dynamic_int8_linear"] = digest(
        ops.dynamic_int8_linear(x, row.codes.view(torch.int8), row.scales.flatten(), None)
    )
    found["prune_mask"] = digest(ops.prune_mask(weight.abs(), 4000))
    found["prune_mask_n_of_m"] = digest(ops.prune_mask_n_of_m(weight[:, :132].abs(), 2, 4))
    return found


if __name__ == "__main__":
    print(json.dumps({"level": _core.cpu_capability(), "digests": digests()}))
