"""An audit cut into jobs by its descriptor alone. A job makes one file, named after all that can change its content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fairopt.audit.descriptor import BenchmarkSpec, Descriptor, ModelSpec, sha256
from fairopt.benchmarks.factor import parse
from fairopt.models.loglikelihood import ScoreOptions

SHARD_ITEMS = 256
WRITTEN_SHARD_ITEMS = 32  # where the model writes: it takes longer
SAMPLE_ITEMS = 128  # of a benchmark, spread evenly: for what needs two models at once


@dataclass(frozen=True)
class Pass:
    """One model scored once, over all benchmarks."""

    model: ModelSpec
    options: ScoreOptions


@dataclass(frozen=True)
class Job:
    """One file of the run folder, made whole by one worker."""

    path: str
    model: ModelSpec


@dataclass(frozen=True)
class FactsJob(Job):
    """What a model weighs."""


@dataclass(frozen=True)
class ScoreJob(Job):
    """A model's answers to a block of items."""

    options: ScoreOptions
    benchmark: BenchmarkSpec
    items: slice


@dataclass(frozen=True)
class ShiftJob(Job):
    """How far a variant's next-token distributions lie from the base model's."""

    benchmark: BenchmarkSpec


@dataclass(frozen=True)
class SpeedJob(Job):
    """How fast a variant is beside the base model, here and now."""

    benchmark: BenchmarkSpec


def base_passes(descriptor: Descriptor) -> list[Pass]:
    """The base model over and over: what moves between them is what the instrument moves by itself.

    Each run packs the requests otherwise: other batch sizes, and every other one in the opposite order.
    """
    first = ScoreOptions()
    return [
        Pass(
            descriptor.base,
            ScoreOptions(token_budget=first.token_budget // (run + 1), reverse=first.reverse ^ bool(run % 2)),
        )
        for run in range(descriptor.base_runs)
    ]


def passes(descriptor: Descriptor) -> list[Pass]:
    """The base runs, then the variants, packed as the first base run is."""
    base = base_passes(descriptor)
    return [*base, *(Pass(variant, base[0].options) for variant in descriptor.variants)]


def jobs(descriptor: Descriptor) -> list[Job]:
    """All jobs, model by model."""
    found: list[Job] = [facts_job(descriptor, descriptor.base)]
    for scored in base_passes(descriptor):
        found += score_jobs(descriptor, scored)
    for scored in passes(descriptor)[descriptor.base_runs :]:
        found.append(facts_job(descriptor, scored.model))
        found += score_jobs(descriptor, scored)
        found += shift_jobs(descriptor, scored.model)
    return found


def speed_jobs(descriptor: Descriptor) -> list[SpeedJob]:
    """One a variant, over the texts of the first benchmark that asks for likelihoods; none without one."""
    first = next((benchmark for benchmark in descriptor.benchmarks if benchmark.likelihood), None)
    if first is None:
        return []
    return [SpeedJob(f"speed/{model_key(descriptor, variant)}.json", variant, first) for variant in descriptor.variants]


def facts_job(descriptor: Descriptor, model: ModelSpec) -> FactsJob:
    """The job that measures a model."""
    return FactsJob(f"models/{model_key(descriptor, model)}.json", model)


def score_jobs(descriptor: Descriptor, scored: Pass) -> Iterator[ScoreJob]:
    """The jobs of one pass, benchmark by benchmark."""
    for benchmark in descriptor.benchmarks:
        yield from _score_jobs(descriptor, scored, benchmark)


def _score_jobs(descriptor: Descriptor, scored: Pass, benchmark: BenchmarkSpec) -> Iterator[ScoreJob]:
    shard = WRITTEN_SHARD_ITEMS if benchmark.writes else SHARD_ITEMS
    read_by = {"base": model_key(descriptor, descriptor.base)} if benchmark.writes else {}
    key = _answers_key(descriptor, scored.model, benchmark, options=asdict(scored.options), shard=shard, **read_by)
    for index, start in enumerate(range(0, benchmark.n_items, shard)):
        block = slice(start, min(start + shard, benchmark.n_items))
        yield ScoreJob(f"shards/{key}/{index:05d}.parquet", scored.model, scored.options, benchmark, block)


def same_texts(descriptor: Descriptor, job: ScoreJob) -> Iterator[ScoreJob]:
    """Other jobs in which the model writes what it writes in this one, to be scored by other scorers."""
    for benchmark in descriptor.benchmarks:
        if benchmark.writes and benchmark != job.benchmark and _writing(benchmark) == _writing(job.benchmark):
            others = _score_jobs(descriptor, Pass(job.model, job.options), benchmark)
            yield from (other for other in others if other.items == job.items)


def _writing(benchmark: BenchmarkSpec) -> tuple[Any, ...]:
    asked = {name: value for name, value in benchmark.ask.items() if name != "scorers"}
    return parse(benchmark.name)[0], benchmark.version, benchmark.data_hash, asked


def shift_jobs(descriptor: Descriptor, variant: ModelSpec) -> list[ShiftJob]:
    """One for each benchmark that asks how likely continuations are."""
    return [shift_job(descriptor, variant, benchmark) for benchmark in descriptor.benchmarks if benchmark.likelihood]


def shift_job(descriptor: Descriptor, variant: ModelSpec, benchmark: BenchmarkSpec) -> ShiftJob:
    """The job that sets a variant beside the base model on a benchmark's texts."""
    beside = model_key(descriptor, descriptor.base)
    key = _answers_key(descriptor, variant, benchmark, base=beside, items=SAMPLE_ITEMS)
    return ShiftJob(f"shift/{key}.parquet", variant, benchmark)


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


def _answers_key(descriptor: Descriptor, model: ModelSpec, benchmark: BenchmarkSpec, **how: Any) -> str:
    return sha256(
        {
            "schema": descriptor.schema,
            "model": model_key(descriptor, model),
            "tokenizer": model.tokenizer_hash,
            "engine": dict(model.engine),
            "benchmark": [benchmark.name, benchmark.version, benchmark.data_hash],
            "ask": dict(benchmark.ask),
            **how,
        }
    )[:16]
