"""The audit: describe, score what is not yet scored, compare. :func:`open_run` does the last from the store alone."""

from __future__ import annotations

import dataclasses
import io
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairopt import benchmarks as registry
from fairopt.audit.compare import Asked, Scored, checks, compare, require_comparable
from fairopt.audit.descriptor import Asking, BenchmarkSpec, Descriptor, ModelSpec, check_extends, policy_hash
from fairopt.audit.jobs import Pass, jobs, passes
from fairopt.audit.policy import GateSpec, Policy
from fairopt.audit.result import AuditResult, VariantResult
from fairopt.audit.score import facts_name, score
from fairopt.audit.store import RUN, Facts, Store
from fairopt.benchmarks import Benchmark, Item
from fairopt.errors import InputError

if TYPE_CHECKING:
    from fairopt.audit.candidates import ModelSource
    from fairopt.models.loading import DType

PolicySource = Policy | str | os.PathLike[str]


def audit(
    base: ModelSource,
    variants: Sequence[ModelSource] = (),
    *,
    benchmarks: Sequence[str],
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str],
    models: Sequence[ModelSource] = (),
    seed: int = 0,
    limit: int | None = None,
    policy: PolicySource | None = None,
    dtype: DType = "float32",
) -> Run:
    """Compare compressed variants with their base model, item by item, and decide by limits fixed beforehand.

    Args:
        base: ``"phantom"``, a folder, a name on the hub, or a :class:`~fairopt.models.loading.LoadedModel`.
        variants: recipes to apply to ``base``; an entry that is a folder or a loaded model is taken as it is.
        models: further variants, all folders or loaded models.
        benchmarks: names; see ``fairopt list benchmarks``.
        data: folder of the benchmarks' data; None is the environment variable ``FAIROPT_DATA``.
        out: new, empty, or the folder of the same audit, which is resumed; variants and benchmarks may be added.
        seed: of the recipes.
        limit: ask only so many items of each benchmark, spread evenly over it.
        policy: limits and error rates, as a value or a JSON file; part of the run's identity.
        dtype: in which folders are loaded and scored.

    A finished job is on disk and never computed again: after a kill the same call goes on, to the same bytes.

    Raises:
        InputError: for arguments, models, data or a folder that cannot be used, before any model runs.
        NotComparable: when a variant differs in more than its weights, or ``out`` holds another audit.
    """
    from fairopt.audit import candidates as models_of

    asked = _asked(benchmarks, data, limit)
    chosen = _policy(policy)
    chosen.gates(asked)  # refuses limits of unknown gates before a model is loaded
    store = Store(out)
    with store.writing():
        loaded = models_of.load(base, dtype)
        found = models_of.candidates(loaded, [*variants, *map(_as_path, models)], dtype=dtype, seed=seed)
        specs = [models_of.spec(loaded), *(candidate.spec for candidate in found)]
        descriptor = Descriptor.of(specs, asked, chosen, limit=limit, seed=seed)
        require_comparable(descriptor.base, descriptor.variants)
        if store.has(RUN):
            check_extends(_read_descriptor(store), descriptor, str(store.path))
        _write_run(store, descriptor, asked, _command(descriptor, policy))
        score(store, descriptor, asked, loaded, found)
    return Run(store, descriptor)


def open_run(path: str | os.PathLike[str]) -> Run:
    """The audit in a folder, from its files alone. Raises :class:`~fairopt.errors.InputError` for an unfinished one."""
    store = Store(path)
    return Run(store, _read_descriptor(store))


class Run:
    """A finished audit."""

    def __init__(self, store: Store, descriptor: Descriptor) -> None:
        self._store = store
        self.path = store.path
        self.descriptor = descriptor

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {', '.join(f'{v.name} {v.decision}' for v in self.result.variants)})"

    @cached_property
    def result(self) -> AuditResult:
        """All that was found, under the policy of the run."""
        return self._result(self.descriptor.policy, self.descriptor.gates)

    def decide(self, policy: PolicySource) -> AuditResult:
        """The same answers under other limits. A policy chosen after seeing the data explains; it does not decide."""
        chosen = _policy(policy)
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
            if scored.options != Pass(self.descriptor.base).options:
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
        """Write ``report.html``, ``.md`` and ``.json`` and return the first's path.

        ``path`` is a folder, by default the run's own, or the place of ``report.html`` in one.
        """
        from fairopt.report.write import write

        folder = self.path if path is None else Path(path)
        return write(self.result, folder.parent if folder.name == "report.html" else folder).html

    @cached_property
    def _asked(self) -> dict[str, tuple[Benchmark, list[Item]]]:
        found = {}
        for spec in self.descriptor.benchmarks:
            benchmark = registry.get(spec.name)
            if benchmark.version != spec.version:
                raise InputError(
                    f"open_run: {spec.name} must be version {benchmark.version}, got a run with {spec.version}"
                )
            found[spec.name] = (benchmark, self._store.read_items(spec.name))
        return found

    def _scored(self, scored: Pass, benchmark: str) -> Scored:
        wanted = [job for job in jobs(self.descriptor, scored) if job.benchmark.name == benchmark]
        return Scored.of(*self._asked[benchmark], self._store.read_answers(wanted))

    def _facts(self, model: ModelSpec) -> Facts:
        return Facts(**self._store.read_json(facts_name(self.descriptor, model)))

    def _result(self, policy: Policy, limits: Sequence[GateSpec]) -> AuditResult:
        d = self.descriptor
        first, second, *variants = passes(d)
        base = {name: (self._scored(first, name), self._scored(second, name)) for name in self._asked}
        base_facts = self._facts(d.base)
        compared = []
        for scored in variants:
            sides = [Asked(b, *base[name], self._scored(scored, name)) for name, (b, _) in self._asked.items()]
            compared.append(
                compare(
                    scored.model,
                    self._facts(scored.model),
                    base_facts=base_facts,
                    benchmarks=sides,
                    limits=limits,
                    policy=policy,
                )
            )
        hashes = {f"{spec.name} {spec.version}": spec.data_hash for spec in d.benchmarks}
        return AuditResult(
            base=d.base.name,
            base_weights_hash=d.base.weights_hash,
            run_id=d.hash[:12],
            descriptor_hash=d.hash,
            policy_hash=policy_hash(policy, limits),
            alpha=policy.alpha,
            command=f"{self._store.read_json(RUN)['command']} --out {shlex.quote(str(self.path))}",
            benchmarks={spec.name: _about(self._asked[spec.name][0], spec) for spec in d.benchmarks},
            caveats=tuple(self._caveats(variants)),
            versions=d.versions,
            comparable={v.name: checks(d.base, v, hashes) for v in d.variants},
            variants=tuple(compared),
        )

    def _caveats(self, variants: Sequence[Pass]) -> Iterator[str]:
        if self.descriptor.limit is not None:
            yield f"Only {self.descriptor.limit} items of each benchmark were asked: a trial, not an audit."
        for name, (benchmark, _) in self._asked.items():
            yield from benchmark.caveats
            for scored in (Pass(self.descriptor.base), *variants):
                cut = self._scored(scored, name).answers.truncated
                if cut:
                    yield f"{name}: {cut} contexts did not fit {scored.model.name} and lost their beginning."


def _policy(policy: PolicySource | None) -> Policy:
    return policy if isinstance(policy, Policy) else Policy() if policy is None else Policy.from_file(policy)


def _asked(names: Sequence[str], data: str | os.PathLike[str] | None, limit: int | None) -> Asking:
    """The benchmarks with the items of them that are asked, spread evenly where there is a limit."""
    if not names or len(set(names)) < len(names):
        raise InputError(f"audit: benchmarks must be at least one name, each once, got {list(names)}")
    if limit is not None and limit < 1:
        raise InputError(f"audit: limit must be at least 1, got {limit}")
    asked = []
    for name in names:
        benchmark = registry.get(name)
        items = benchmark.items(None if data is None else Path(data))
        n = len(items) if limit is None else min(limit, len(items))
        asked.append((benchmark, [items[index * len(items) // n] for index in range(n)]))
    return asked


def _as_path(model: ModelSource) -> ModelSource:
    """A name under ``models`` is never a recipe."""
    return Path(model) if isinstance(model, str) and model != "phantom" else model


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


def _read_descriptor(store: Store) -> Descriptor:
    run = store.read_json(RUN)
    if not isinstance(run, dict) or "descriptor" not in run:
        raise InputError(f"open_run: {str(store.path)!r} must hold an audit, got a run.json without a descriptor")
    return Descriptor.from_json(run["descriptor"])


def _write_run(store: Store, descriptor: Descriptor, asked: Asking, command: str) -> None:
    """``run.json`` first: it makes the folder a run, which an interrupted audit can go on with."""
    store.write_json(
        RUN,
        {
            "descriptor": dataclasses.asdict(descriptor),
            "descriptor_hash": descriptor.hash,
            "policy_hash": descriptor.policy_hash,
            "command": command,
        },
    )
    for benchmark, items in asked:
        store.write_items(benchmark.name, items)


def _command(d: Descriptor, policy: PolicySource | None) -> str:
    """What repeats the audit, without ``--data``, ``--out`` and limits given as a value."""
    words = ["fairopt", "audit", d.base.name]
    for variant in d.variants:
        words += ["--compress" if variant.recipe else "--model", variant.name]
    for benchmark in d.benchmarks:
        words += ["--benchmark", benchmark.name]
    if policy is not None and not isinstance(policy, Policy):
        words += ["--policy", os.fspath(policy)]
    if d.limit is not None:
        words += ["--limit", str(d.limit)]
    return shlex.join([*words, "--seed", str(d.seed)])
