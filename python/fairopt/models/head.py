"""From hidden states to log-probabilities, without ever holding a row of logits per position of the text.

The matrix product with the vocabulary runs in tiles; an online log-sum-exp goes over them (Milakov and Gimelshein 2018,
"Online normalizer calculation for softmax", algorithm 3), and the logits of the targets are picked up on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from fairopt import ops
from fairopt.nn.products import arithmetic, round_rows

ROWS = 1024  # of one tile; with COLUMNS 8 MiB in fp32, which stays in the last-level cache
COLUMNS = 2048
LOGITS = 2**22  # of one tile where whole rows are needed

Ints = npt.NDArray[np.int64]


class Head(Protocol):
    """What turns rows into logits."""

    @property
    def vocabulary(self) -> int:
        """Logits of a row."""
        ...

    @property
    def columns(self) -> int:
        """Logits of a row that one tile computes."""
        ...

    def logits(self, rows: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """[r, stop - start] for ``rows`` [r, hidden]; the range is a multiple of ``columns`` or ends at the last."""
        ...


@dataclass(frozen=True)
class ModelHead:
    """The output embedding of a model and the scaling or soft-capping that its configuration names.

    A plain linear layer is multiplied in tiles of columns; any other module (quantised, adapted, with hooks) is called
    as it is, with fewer rows at a time.
    """

    module: Any
    vocabulary: int
    tiled: bool
    scale: float | None
    softcap: float | None

    @staticmethod
    def of(model: Any) -> ModelHead:
        """The head of a transformers model."""
        module, config = model.get_output_embeddings(), model.config.get_text_config()
        hooks = module._forward_hooks or module._forward_pre_hooks
        scale = getattr(config, "logit_scale", None)  # Cohere
        if scale is None and getattr(config, "logits_scaling", None):  # Granite
            scale = 1 / config.logits_scaling
        return ModelHead(
            module,
            vocabulary=module.out_features,
            tiled=type(module) is nn.Linear and not hooks,
            scale=scale,
            softcap=getattr(config, "final_logit_softcapping", None),  # Gemma
        )

    @property
    def columns(self) -> int:
        """Narrow tiles where a slice of the weight is enough."""
        return COLUMNS if self.tiled else self.vocabulary

    def logits(self, rows: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """As the model itself computes them."""
        n = len(rows)
        rows = functional.pad(rows, (0, 0, 0, round_rows(n) - n))
        if self.tiled:
            bias = None if self.module.bias is None else self.module.bias[start:stop]
            with arithmetic():
                found = functional.linear(rows, self.module.weight[start:stop], bias)
        else:
            found = self.module(rows)[:, start:stop]
        if self.scale is not None:
            found = found * self.scale
        if self.softcap is not None:
            found = torch.tanh(found / self.softcap) * self.softcap
        return found[:n]


@dataclass(frozen=True)
class GivenLogits:
    """No head: the rows are logits already."""

    vocabulary: int

    @property
    def columns(self) -> int:
        """All: nothing is computed."""
        return self.vocabulary

    def logits(self, rows: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """A view of ``rows``."""
        return rows[:, start:stop]


@dataclass(frozen=True)
class Rows:
    """Positions that a forward pass scored, and what was there."""

    hidden: torch.Tensor  # [u, hidden]
    head: Head
    target_row: Ints  # [t]: index into hidden
    target_token: Ints  # [t]

    def blocks(self) -> Iterator[tuple[slice, Ints]]:
        """Row ranges of a tile's height, with the targets (indices) that lie in them."""
        height = ROWS if self.head.columns < self.head.vocabulary else max(1, LOGITS // self.head.vocabulary)
        order = np.argsort(self.target_row, kind="stable")
        starts = np.arange(0, len(self.hidden), height)
        bounds = np.searchsorted(self.target_row[order], [*starts, len(self.hidden)])
        for start, a, b in zip(starts.tolist(), bounds, bounds[1:], strict=False):
            yield slice(start, start + height), order[a:b]


def score(rows: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """log p of each target in nats, and whether no token is more likely: [t], [t].

    Logits are fp32 (those of half-precision models are raised to it), the log of their sum is taken in float64.
    """
    logp = np.empty(len(rows.target_row))
    greedy = np.empty(len(rows.target_row), dtype=np.bool_)
    for block, targets in rows.blocks():
        row = rows.target_row[targets] - block.start
        picked, maximum, total = _online(rows.head, rows.hidden[block], row, rows.target_token[targets])
        normaliser = maximum.astype(np.float64) + np.log(total.astype(np.float64))
        logp[targets] = picked - normaliser[row]
        greedy[targets] = picked >= maximum[row]
    return logp, greedy


def _online(head: Head, hidden: torch.Tensor, row: Ints, token: Ints) -> tuple[Any, Any, Any]:
    """Logits of the targets [t], and of each row the maximum and the sum of exp(logit - maximum)."""
    device = hidden.device
    maximum = torch.full((len(hidden),), -torch.inf, device=device)
    total = torch.zeros(len(hidden), device=device)
    picked = torch.empty(len(row), device=device)
    order = np.argsort(token, kind="stable")
    starts = np.arange(0, head.vocabulary, head.columns)
    bounds = np.searchsorted(token[order], [*starts, head.vocabulary])
    for start, a, b in zip(starts.tolist(), bounds, bounds[1:], strict=False):
        tile = head.logits(hidden, start, min(start + head.columns, head.vocabulary)).float()
        (ops.logsumexp_update if tile.is_cpu else _logsumexp_update)(tile, maximum, total)
        if a < b:
            here = order[a:b]
            at = torch.from_numpy(row[here] * tile.shape[1] + token[here] - start).to(device)
            picked[torch.from_numpy(here).to(device)] = tile.reshape(-1)[at]
    return picked.cpu().numpy(), maximum.cpu().numpy(), total.cpu().numpy()


def _logsumexp_update(logits: torch.Tensor, maximum: torch.Tensor, total: torch.Tensor) -> None:
    """:func:`fairopt.ops.logsumexp_update` in stock operators, for the devices that it has no kernel for."""
    larger = torch.maximum(maximum, logits.amax(dim=1))
    total.mul_(torch.exp(maximum - larger)).add_(torch.exp(logits - larger[:, None]).sum(dim=1))
    maximum.copy_(larger)
