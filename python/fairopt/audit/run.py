"""A finished audit: what its folder says, compared and decided. Nothing here needs a model."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairopt import benchmarks as registry
from fairopt.audit.analysis import analyse
from fairopt.audit.compare import Asked, Scored, checks, pairs_of
from fairopt.audit.descriptor import BenchmarkSpec, Descriptor, ModelSpec, policy_hash
from fairopt.audit.jobs import SAMPLE_ITEMS, Pass, base_passes, facts_job, passes, score_jobs, shift_jobs, speed_jobs
from fairopt.audit.policy import GateSpec, Policy
from fairopt.audit.result import AuditResult, LeftOut, ScorerGap, Shift, Speed, VariantResult
from fairopt.audit.shift import shift
from fairopt.audit.store import RUN, SCORERS, WHOLE, Facts, Omission, Store, file_name
from fairopt.audit.trends import trends
from fairopt.benchmarks import Benchmark, Item
from fairopt.compress.recipe_text import parse
from fairopt.errors import InputError

if TYPE_CHECKING:
    from fairopt.report.plots import Plots

PolicySource = Policy | str | os.PathLike[str]

_EXAMPLES = 5  # of what was left out, for each reason
_SEVERAL = (
    "{} variants were judged, each by itself. The best of several ships too easily: judge the one that you pick again,"
    " on items that it was not picked by."
)
_RESIDUAL = (
    "{0} leaves keys and values of the last {1} tokens as they are: texts of fewer than {1} tokens cannot show what it"
    " does to longer ones."
)


def open_run(path: str | os.PathLike[str]) -> Run:
    """The audit in a folder, from its files alone. Raises :class:`~fairopt.errors.InputError` for an unfinished one."""
    store = Store(path)
    return Run(store, read_descriptor(store))


class Run:
    """A finished audit."""

    def __init__(self, store: Store, descriptor: Descriptor) -> None:
        self._store = store
        self.path = store.path
        self.descriptor = descriptor

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {', '.join(f'{v.name} {v.decision}' for v in self.result.variants)})"

    def _repr_html_(self) -> str:
        from fairopt.report import notebook

        return notebook.html(self.result)

    def _repr_markdown_(self) -> str:
        from fairopt.report import notebook

        return notebook.markdown(self.result)

    @property
    def plot(self) -> Plots:
        """Figures: ``run.plot.forest()``, ``tradeoff``, ``margins``, ``reliability``, ``flips``, with matplotlib."""
        from fairopt.report.plots import Plots

        return Plots(self.result)

    @cached_property
    def result(self) -> AuditResult:
        """All that was found, under the policy of the run."""
        return self._result(self.descriptor.policy, self.descriptor.gates)

    def decide(self, policy: PolicySource) -> AuditResult:
        """The same answers under other limits. A policy chosen after seeing the data explains; it does not decide."""
        chosen = policy_of(policy)
        return self._result(chosen, chosen.gates(list(self._asked.values())))

    def compare(self, variant: str) -> VariantResult:
        """What was found for one variant, by the name it was given."""
        for found in self.result.variants:
            if found.name == variant:
                return found
        names = ", ".join(v.name for v in self.descriptor.variants)
        raise InputError(f"compare: variant must be one of {names}, got {variant!r}")

    def items(self, benchmark: str) -> Any:
        """One row for each model and item, as a :class:`pyarrow.Table`: ids, group, fields and the raw evidence."""
        import pyarrow as pa

        if benchmark not in self._asked:
            raise InputError(f"items: benchmark must be one of {', '.join(self._asked)}, got {benchmark!r}")
        tables = []
        for scored in passes(self.descriptor):
            if scored in base_passes(self.descriptor)[1:]:
                continue
            columns = dict(self._scored(scored, benchmark).columns)
            name = "base" if scored.model is self.descriptor.base else scored.model.name
            names = pa.array([name] * len(columns["item_id"]), pa.string())
            tables.append(pa.table({"variant": names, **{key: pa.array(column) for key, column in columns.items()}}))
        return pa.concat_tables(tables)

    def summary(self) -> str:
        """The verdict as plain text: a table, and for each variant what decided."""
        from fairopt.report.page import page
        from fairopt.report.terminal import print_verdict

        text = io.StringIO()
        print_verdict(page(self.result), text)
        return text.getvalue()

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write ``report.html``, ``.md``, ``.json``, ``.tex`` and ``csv/``, and return the first's path.

        ``csv/flips.csv`` has every item that changed sides, ``csv/<benchmark>.csv`` one row for each model and item.
        ``path`` is a folder, by default the run's own, or the place of ``report.html`` in one.
        """
        from fairopt.report.tables import write_csv
        from fairopt.report.write import write

        folder = self.path if path is None else Path(path)
        folder = folder.parent if folder.name == "report.html" else folder
        for name in self._asked:
            table = self.items(name)
            columns = [column.to_pylist() for column in table.columns]
            write_csv(folder / "csv" / f"{file_name(name)}.csv", [table.column_names, *zip(*columns, strict=True)])
        omitted = [(one.benchmark, one.what, one.why) for one in self._store.read_omissions()]
        write_csv(folder / "csv" / "left_out.csv", [("benchmark", "what", "why"), *omitted])
        return write(self.result, folder).html

    @cached_property
    def _asked(self) -> dict[str, tuple[Benchmark, list[Item]]]:
        found = {}
        specs = self.descriptor.benchmarks
        for spec, benchmark in zip(specs, registry.get_stored([spec.name for spec in specs]), strict=True):
            if benchmark.version != spec.version:
                raise InputError(
                    f"open_run: {spec.name} must be version {benchmark.version}, got a run with {spec.version}"
                )
            found[spec.name] = (benchmark, self._store.read_items(spec.name))
        return found

    def _scored(self, scored: Pass, benchmark: str) -> Scored:
        wanted = (job for job in score_jobs(self.descriptor, scored) if job.benchmark.name == benchmark)
        return Scored.of(*self._asked[benchmark], self._store.read_answers(wanted))

    def _facts(self, model: ModelSpec) -> Facts:
        return Facts(**self._store.read_json(facts_job(self.descriptor, model).path))

    def _shift(self, variant: ModelSpec) -> tuple[Shift, ...]:
        return tuple(
            shift(job.benchmark.name, min(SAMPLE_ITEMS, job.benchmark.n_items), self._store.read_columns(job))
            for job in shift_jobs(self.descriptor, variant)
        )

    def _speed(self, variant: ModelSpec) -> Speed | None:
        """None unless it was asked for."""
        job = next((job for job in speed_jobs(self.descriptor) if job.model == variant), None)
        return Speed(**self._store.read_json(job.path)) if job and self._store.has(job.path) else None

    def _result(self, policy: Policy, limits: Sequence[GateSpec]) -> AuditResult:
        d = self.descriptor
        base_runs, variants = base_passes(d), passes(d)[d.base_runs :]
        base = {name: [self._scored(run, name) for run in base_runs] for name in self._asked}
        base_facts = self._facts(d.base)
        compared, pairs = [], []
        cut = {(d.base.name, name): base[name][0].answers.truncated for name in base}
        for scored in variants:
            sides = [
                Asked(benchmark, base[name][0], tuple(base[name][1:]), self._scored(scored, name))
                for name, (benchmark, _) in self._asked.items()
            ]
            cut |= {(scored.model.name, one.benchmark.name): one.variant.answers.truncated for one in sides}
            found = analyse(
                scored.model,
                self._facts(scored.model),
                base_facts=base_facts,
                benchmarks=sides,
                limits=limits,
                policy=policy,
                seed=d.seed,
            )
            compared.append(replace(found, shift=self._shift(scored.model), speed=self._speed(scored.model)))
            pairs.append((scored.model.name, scored.model.recipe, pairs_of(sides)))
        hashes = {f"{spec.name} {spec.version}": spec.data_hash for spec in d.benchmarks}
        return AuditResult(
            base=d.base.name,
            base_weights_hash=d.base.weights_hash,
            run_id=d.hash[:12],
            descriptor_hash=d.hash,
            policy_hash=policy_hash(policy, limits),
            alpha=policy.alpha_ship,
            command=f"{self._store.read_json(RUN)['command']} --out {shlex.quote(self.path.resolve().name)}",
            benchmarks={spec.name: _about(self._asked[spec.name][0], spec) for spec in d.benchmarks},
            caveats=tuple(dict.fromkeys(self._caveats(cut))),  # levels of one benchmark share theirs
            versions=d.versions,
            comparable={v.name: checks(d.base, v, hashes) for v in d.variants},
            variants=tuple(compared),
            trends=tuple(trends(pairs, policy.alpha_ship)),
            policy_name=policy.name,
            left_out=tuple(_left_out(self._store.read_omissions())),
            scorers=self._scorers(),
        )

    def _scorers(self) -> tuple[ScorerGap, ...]:
        """None where no text is scored."""
        return tuple(ScorerGap(**gap) for gap in (self._store.read_json(SCORERS) if self._store.has(SCORERS) else ()))

    def _caveats(self, cut: Mapping[tuple[str, str], int]) -> Iterator[str]:
        """``cut``: texts that did not fit a model, by model and benchmark."""
        if len(self.descriptor.variants) > 1:
            yield _SEVERAL.format(len(self.descriptor.variants))
        if self.descriptor.limit is not None:
            yield f"Only {self.descriptor.limit} items of each benchmark were asked: a trial, not an audit."
        for variant in self.descriptor.variants:
            cache = parse(variant.recipe).kv_cache if variant.recipe else None
            if cache is not None and cache.residual:
                yield _RESIDUAL.format(variant.name, cache.residual)
        for name, (benchmark, items) in self._asked.items():
            yield from benchmark.caveats
            yield from benchmark.notes(items)
            for (model, asked), n in cut.items():
                if asked == name and n:
                    yield f"{name}: {n} texts did not fit the window of {model} and were cut."


def _left_out(omitted: Sequence[Omission]) -> Iterator[LeftOut]:
    """What was not asked, reason by reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in omitted:
        found.setdefault((one.benchmark, one.why), []).append(one.what)
    for (benchmark, why), what in found.items():
        whole = what == [WHOLE]
        yield LeftOut(benchmark, why, 0 if whole else len(what), () if whole else tuple(what[:_EXAMPLES]))


def policy_of(policy: PolicySource | None) -> Policy:
    """The policy itself, that of a file, or the default."""
    return policy if isinstance(policy, Policy) else Policy() if policy is None else Policy.from_file(policy)


def _about(benchmark: Benchmark, spec: BenchmarkSpec) -> Mapping[str, str]:
    source = benchmark.source
    return {
        "title": benchmark.title,
        "version": spec.version,
        "licence": source.licence if source else "part of fairopt",
        "home": source.home if source else "part of fairopt",
        "n_items": str(spec.n_items),
        "data_hash": spec.data_hash,
    }


def read_descriptor(store: Store) -> Descriptor:
    """What the folder's ``run.json`` describes; :class:`~fairopt.errors.InputError` where it is no audit's."""
    run = store.read_json(RUN)
    if not isinstance(run, dict) or "descriptor" not in run:
        raise InputError(f"open_run: {str(store.path)!r} must hold an audit, got a run.json without a descriptor")
    return Descriptor.from_json(run["descriptor"])
