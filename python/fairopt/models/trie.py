"""One token trie over a whole list of requests, cut into chunks that a model reads one after the other.

Sequences are sorted, so neighbours share as much of their beginning as any two do: walking through them visits the trie
depth first and computes each distinct prefix once. A chunk is a run of neighbours with at most ``token_budget`` new
nodes; what its first sequence shares with the chunk before is carried over, up to the first token that is scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairopt import _core
from fairopt.models.requests import Encoded
from fairopt.nn.products import round_rows

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """The distinct sequences of a request list, sorted."""

    tokens: Ints  # all of them, one after the other
    offsets: Ints  # [s + 1]: sequence i is tokens[offsets[i]:offsets[i + 1]]
    n_targets: Ints  # [s]: its last tokens, which are scored
    index: Ints  # [requests]: the sequence of each request
    mirror: int | None  # sorted in descending order; no token is larger than this number

    def __len__(self) -> int:
        return len(self.n_targets)


@dataclass(frozen=True)
class Chunk:
    """A run of neighbouring sequences as the nodes of a trie, depth first (``_core.token_trie``)."""

    first: int  # sequences [first, last)
    last: int
    carried: int  # p: keys of the carried path; they come before those of the nodes
    tokens: Ints  # [n]
    depths: Ints  # [n]: position of each node in its sequences
    segments: Ints  # [s, 4]: query_start, query_count, run_start, run_count; see docs/architecture.md
    runs: Ints  # [r, 2]: key start, count
    head_rows: Ints  # [u]: the distinct nodes that predict a scored token
    target_row: Ints  # [t]: index into head_rows, sequence after sequence
    target_token: Ints  # [t]
    leaves: Ints  # keys of the path that the next chunk carries


def sequences(encoded: Sequence[Encoded], *, reverse: bool = False) -> Sequences:
    """Sort and drop duplicates; ``reverse`` sorts descending, which is the same trie walked from its other end."""
    keys = [(np.asarray(e.ids, dtype=">u4").tobytes(), e.n_targets) for e in encoded]  # bytes sort as the ids do
    parts = {key: np.frombuffer(key[0], dtype=">u4").astype(np.int64) for key in set(keys)}
    mirror = max((int(part.max()) for part in parts.values()), default=0) if reverse else None
    if mirror is None:
        order = sorted(parts)
    else:  # a prefix still precedes what it begins
        order = sorted(parts, key=lambda key: ((mirror - parts[key]).astype(">u4").tobytes(), key[1]))
    rank = {key: position for position, key in enumerate(order)}
    return Sequences(
        tokens=np.concatenate([parts[key] for key in order]) if order else np.empty(0, np.int64),
        offsets=np.cumsum([0, *(len(parts[key]) for key in order)]),
        n_targets=np.array([n for _, n in order], dtype=np.int64),
        index=np.array([rank[key] for key in keys], dtype=np.int64),
        mirror=mirror,
    )


def chunks(found: Sequences, token_budget: int) -> Iterator[Chunk]:
    """Cut greedily; a single sequence may exceed the budget, for its nodes are computed together."""
    tokens = (found.tokens if found.mirror is None else found.mirror - found.tokens).astype(np.int32)
    table = _core.token_trie_chunks(tokens, found.offsets, found.n_targets, token_budget)
    firsts, carries = [*table[:, 0].tolist(), len(found)], [*table[:, 1].tolist(), 0]
    for i in range(len(table)):
        first, last, carried = firsts[i], firsts[i + 1], carries[i]
        offsets = found.offsets[first : last + 1]
        trie = _core.token_trie(
            tokens[offsets[0] : offsets[-1]], offsets - offsets[0], found.n_targets[first:last], carried
        )
        leaves = trie.pop("last_path")[: carries[i + 1]]
        if found.mirror is not None:
            trie |= {name: found.mirror - trie[name] for name in ("tokens", "target_token")}
        yield Chunk(first, last, carried, leaves=leaves, **trie)


def filled(chunk: Chunk) -> Chunk:
    """The chunk with a round number of nodes: those added are a path that nobody sees or scores."""
    n = len(chunk.tokens)
    more = round_rows(n) - n
    if not more:
        return chunk
    return replace(
        chunk,
        tokens=np.concatenate([chunk.tokens, np.repeat(chunk.tokens[:1], more)]),
        depths=np.concatenate([chunk.depths, np.repeat(chunk.depths[:1], more)]),
        segments=np.concatenate([chunk.segments, [[n, more, 0, 0]]]),
    )
