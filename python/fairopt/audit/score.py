"""Do the jobs of an audit that nobody has done: load a model, ask it, write the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fairopt.audit.asking import ask, requests, score_again
from fairopt.audit.claims import Leases
from fairopt.audit.descriptor import Asking, Descriptor, ModelSpec
from fairopt.audit.executors import board, ranks, run_jobs
from fairopt.audit.jobs import (
    SAMPLE_ITEMS,
    FactsJob,
    Job,
    ScoreJob,
    ShiftJob,
    SpeedJob,
    jobs,
    same_texts,
    speed_jobs,
)
from fairopt.audit.store import Store
from fairopt.benchmarks import Generate, Item, LogLikelihood
from fairopt.progress import progress

if TYPE_CHECKING:
    from fairopt.audit.candidates import Candidate
    from fairopt.models.loading import LoadedModel


def score(
    store: Store,
    descriptor: Descriptor,
    asked: Asking,
    base: LoadedModel,
    found: Sequence[Candidate],
    *,
    lease: float,
    speed: bool,
) -> None:
    """Run every job whose file is not there, together with all workers that share the folder."""
    asked_for = [*jobs(descriptor), *(speed_jobs(descriptor) if speed else [])]
    todo = [job for job in asked_for if not store.has(job.path)]
    if not todo:
        return
    items = {benchmark.name: list(own) for benchmark, own in asked}
    together = ranks()
    shown = together is None or together.rank == 0
    with progress("scoring", sum(_size(job, items) for job in todo), "requests", shown=shown) as advance:
        leases = Leases(board(store, descriptor.hash), lease)

        def alive(requests: int) -> None:
            leases.beat()
            advance(requests)

        worker = _Worker(store, descriptor, asked, base, found, alive)
        run_jobs(
            todo,
            leases,
            name=lambda job: job.path,
            done=lambda job: store.has(job.path),
            make=worker.make,
            seen=lambda job: advance(_size(job, items)),
        )


def _size(job: Job, items: Mapping[str, Sequence[Item]]) -> int:
    """Requests of a job: what the progress bar counts."""
    return sum(len(item.requests) for item in _block(job, items))


def _block(job: Job, items: Mapping[str, Sequence[Item]]) -> Sequence[Item]:
    if isinstance(job, ScoreJob):
        return items[job.benchmark.name][job.items]
    if isinstance(job, ShiftJob | SpeedJob):
        return sample(items[job.benchmark.name], SAMPLE_ITEMS)
    return ()


def sample(items: Sequence[Item], limit: int | None) -> list[Item]:
    """At most ``limit`` items, spread evenly over all of them, in their order."""
    n = len(items) if limit is None else min(limit, len(items))
    return [items[index * len(items) // n] for index in range(n)]


class _Worker:
    """Makes jobs; keeps the base model and one variant in memory."""

    def __init__(
        self,
        store: Store,
        descriptor: Descriptor,
        asked: Asking,
        base: LoadedModel,
        found: Sequence[Candidate],
        advance: Callable[[int], None],
    ) -> None:
        self._store = store
        self._descriptor = descriptor
        self._items = {benchmark.name: items for benchmark, items in asked}
        self._asks = {benchmark.name: benchmark.ask for benchmark, _ in asked}
        self._base = base
        self._found = found
        self._loaded: tuple[ModelSpec, LoadedModel] | None = None
        self._advance = advance

    def make(self, job: Job) -> None:
        """Write the job's file."""
        model = self._model(job.model)
        if isinstance(job, FactsJob):
            self._measure(job, model)
        elif isinstance(job, ScoreJob):
            self._ask(job, model)
        elif isinstance(job, ShiftJob):
            self._set_beside(job, model)
        elif isinstance(job, SpeedJob):
            self._time(job, model)

    def _model(self, spec: ModelSpec) -> LoadedModel:
        candidate = next((candidate for candidate in self._found if candidate.spec == spec), None)
        if candidate is None:
            return self._base
        if self._loaded is None or self._loaded[0] != spec:
            self._loaded = None  # two variants at once could be one too many
            self._loaded = (spec, candidate.load())
        return self._loaded[1]

    def _measure(self, job: FactsJob, model: LoadedModel) -> None:
        from fairopt.audit.candidates import facts

        self._store.write_json(job.path, dataclasses.asdict(facts(model)))

    def _ask(self, job: ScoreJob, model: LoadedModel) -> None:
        block, how = _block(job, self._items), self._asks[job.benchmark.name]
        written = next((other for other in same_texts(self._descriptor, job) if self._store.has(other.path)), None)
        if written is not None and isinstance(how, Generate):
            found = self._store.read_answers([written])
            given, truncated = score_again(found.given, how, self._advance), found.truncated
        else:
            asked = ask(model, self._base, how, block, job.options, self._advance)
            given, truncated = asked.given, asked.truncated
        self._store.write_answers(job.path, block, given, truncated)

    def _set_beside(self, job: ShiftJob, model: LoadedModel) -> None:
        from fairopt.models.divergence import divergence

        how = self._asks[job.benchmark.name]
        assert isinstance(how, LogLikelihood)  # others have no such job
        found = divergence(
            self._base.model,
            model.model,
            model.tokenizer,
            requests(self._base, how, _block(job, self._items)),
            keep_spaces=how.chat,
            advance=self._advance,
        )
        self._store.write_columns(job.path, dataclasses.asdict(found))

    def _time(self, job: SpeedJob, model: LoadedModel) -> None:
        from fairopt.audit.speed import measure

        asked = [request for item in _block(job, self._items) for request in item.requests]
        self._store.write_json(job.path, dataclasses.asdict(measure(self._base, model, asked)))
        self._advance(len(asked))
