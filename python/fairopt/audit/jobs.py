"""An audit cut into jobs by its descriptor alone: one model, one way of batching, one benchmark, a block of items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from fairopt.audit.descriptor import BenchmarkSpec, Descriptor, ModelSpec, sha256
from fairopt.models.loglikelihood import ScoreOptions

SHARD_ITEMS = 256

FIRST_PASS = ScoreOptions()
# Base against base in other batches is what the instrument moves by itself.
SECOND_PASS = replace(FIRST_PASS, token_budget=FIRST_PASS.token_budget // 2, longest_first=not FIRST_PASS.longest_first)


@dataclass(frozen=True)
class Pass:
    """One model scored once, over all benchmarks."""

    model: ModelSpec
    options: ScoreOptions = FIRST_PASS


@dataclass(frozen=True)
class Job:
    """What one shard file holds."""

    scored: Pass
    benchmark: BenchmarkSpec
    key: str  # names everything that can change the numbers
    index: int

    @property
    def items(self) -> slice:
        """The items of the benchmark that this job asks."""
        return slice(self.index * SHARD_ITEMS, (self.index + 1) * SHARD_ITEMS)


def passes(descriptor: Descriptor) -> list[Pass]:
    """Base, base again in other batches, then the variants."""
    return [Pass(descriptor.base), Pass(descriptor.base, SECOND_PASS), *map(Pass, descriptor.variants)]


def jobs(descriptor: Descriptor, scored: Pass) -> Iterator[Job]:
    """The jobs of one pass, benchmark by benchmark."""
    for benchmark in descriptor.benchmarks:
        key = score_key(descriptor, scored, benchmark)
        for index in range(-(-benchmark.n_items // SHARD_ITEMS)):
            yield Job(scored, benchmark, key, index)


def model_key(descriptor: Descriptor, model: ModelSpec) -> str:
    """Name of the model's weights after its recipe."""
    return sha256(
        {
            "weights": model.weights_hash,
            "recipe": model.recipe,
            "seed": descriptor.seed if model.recipe else None,
            "dtype": model.dtype,
            "versions": dict(descriptor.versions),
        }
    )[:16]


def score_key(descriptor: Descriptor, scored: Pass, benchmark: BenchmarkSpec) -> str:
    """Name of the model's answers to a benchmark."""
    return sha256(
        {
            "schema": descriptor.schema,
            "model": model_key(descriptor, scored.model),
            "tokenizer": scored.model.tokenizer_hash,
            "engine": dict(scored.model.engine),
            "options": asdict(scored.options),
            "benchmark": [benchmark.name, benchmark.version, benchmark.data_hash],
            "shard": SHARD_ITEMS,
        }
    )[:16]
