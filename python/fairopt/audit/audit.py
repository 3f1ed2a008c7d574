"""Start an audit, or go on with one: describe it, score what is not yet scored, hand over the run.

A finished job is on disk and never computed again: after a kill the same call goes on, to the same bytes. Processes and
machines that share the folder, and the ranks of ``torchrun``, share the work; each returns when all of it is done.
Nothing is known here of what the answers mean: :mod:`fairopt.audit.run` reads them.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairopt.audit import candidates
from fairopt.audit.compare import require_comparable
from fairopt.audit.descriptor import Descriptor, check_extends
from fairopt.audit.executors import LEASE
from fairopt.audit.policy import Policy
from fairopt.audit.run import PolicySource, Run, policy_of, read_descriptor
from fairopt.audit.score import score
from fairopt.audit.scorer_gaps import scorer_gaps
from fairopt.audit.selection import Selection, select
from fairopt.audit.store import RUN, SCORERS, Store
from fairopt.compress.calibration import CalibrationFile, CalibrationSource
from fairopt.errors import InputError

if TYPE_CHECKING:
    from fairopt.audit.candidates import ModelSource
    from fairopt.models.loading import DType, LoadedModel

BASE_RUNS = 3


def audit(
    base: ModelSource,
    variants: Sequence[ModelSource] = (),
    *,
    benchmarks: Sequence[str] = (),
    suite: str | None = None,
    factors: Mapping[str, Sequence[str]] | None = None,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str],
    models: Sequence[ModelSource] = (),
    calibration: CalibrationSource | None = None,
    shared_statistics: bool = False,
    pairs: str | os.PathLike[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
    policy: PolicySource | None = None,
    dtype: DType = "float32",
    base_runs: int = BASE_RUNS,
    speed: bool = False,
    lease: float = LEASE,
) -> Run:
    """Compare compressed variants with their base model, item by item, and decide by limits fixed beforehand.

    Args:
        base: ``"phantom"``, a folder, a name on the hub, or a :class:`~fairopt.models.loading.LoadedModel`.
        variants, models: recipes to apply to ``base``, folders and loaded models; ``models`` may not be recipes.
        benchmarks: names, perhaps with levels (``bbq?order=reversed``): :func:`fairopt.benchmarks.get_all`.
        suite: benchmarks under one name, asked first; what of it cannot be asked is left out, and said so.
        factors: further levels to ask at, one at a time, where a benchmark has the factor: ``{"chat": ["on"]}``.
        data, out: folder of data, None is ``FAIROPT_DATA``; new, empty, or of the same audit, which workers share.
        calibration, pairs: texts, ids or a file, for recipes; file of pairs of texts, for the score ``fasp``.
        seed, dtype, limit: of recipes; in which folders are loaded; items to ask of each benchmark, spread evenly.
        shared_statistics: one calibration pass over the base, kept in ``out``, for all recipes that it serves.
        policy: limits and error rates, as a value or a file (docs/gates.md); part of the run's identity.
        base_runs: times that the base model is scored, in other batches each: 2 show the noise, 3 and more measure it.
        speed, lease: also measure how fast variants are; seconds without progress until another's job is taken over.
    Raises :class:`InputError` for what cannot be used, before a model runs, :class:`NotComparable` for others' folders.
    """
    chosen = policy_of(policy) if suite is None or policy is not None else Policy.of_suite(suite)
    selected = select(benchmarks, suite, factors or {}, data=data, limit=limit)
    chosen.gates(selected.asked)  # refuses limits of unknown gates before a model is loaded
    store = _usable(out, base_runs)
    loaded = candidates.load(base, dtype)
    selected = selected.for_model(loaded, speed=speed)
    shared = store.path / "statistics" if shared_statistics else None
    found = candidates.candidates(loaded, _sources(variants, models), dtype, seed, calibration, shared, pairs)
    descriptor = _descriptor(loaded, found, selected, chosen, limit, seed, base_runs)
    _describe(store, descriptor, selected, _command(descriptor, policy, suite, benchmarks, factors, calibration, pairs))
    score(store, descriptor, selected.asked, loaded, found, lease=lease, speed=speed)
    return Run(store, descriptor)


def _descriptor(
    base: LoadedModel,
    variants: Sequence[candidates.Candidate],
    selected: Selection,
    policy: Policy,
    limit: int | None,
    seed: int,
    base_runs: int,
) -> Descriptor:
    specs = [candidates.spec(base), *(variant.spec for variant in variants)]
    return Descriptor.of(specs, selected.asked, policy, limit=limit, seed=seed, base_runs=base_runs)


def _usable(out: str | os.PathLike[str], base_runs: int) -> Store:
    if base_runs < 2:
        raise InputError(f"audit: base_runs must be at least 2, got {base_runs}")
    store = Store(out)
    store.check_usable()
    return store


def _sources(variants: Sequence[ModelSource], models: Sequence[ModelSource]) -> list[ModelSource]:
    """A name under ``models`` is never a recipe."""
    return [*variants, *(Path(m) if isinstance(m, str) and m != "phantom" else m for m in models)]


def _describe(store: Store, descriptor: Descriptor, selected: Selection, command: str) -> None:
    """Write what is to be done; refuse a folder in which something else is."""
    require_comparable(descriptor.base, descriptor.variants)
    with store.preparing():
        if store.has(RUN):
            check_extends(read_descriptor(store), descriptor, str(store.path))
        _write_run(store, descriptor, selected, command)


def _write_run(store: Store, descriptor: Descriptor, selected: Selection, command: str) -> None:
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
    store.write_omissions(selected.omitted)
    gaps = [dataclasses.asdict(gap) for gap in scorer_gaps([benchmark for benchmark, _ in selected.asked])]
    if gaps:
        store.write_json(SCORERS, gaps)
    for benchmark, items in selected.asked:
        if not store.has_items(benchmark.name):  # check_extends has compared their hashes
            store.write_items(benchmark.name, items)


def _command(
    d: Descriptor,
    policy: PolicySource | None,
    suite: str | None,
    benchmarks: Sequence[str],
    factors: Mapping[str, Sequence[str]] | None,
    calibration: CalibrationSource | None,
    pairs: str | os.PathLike[str] | None,
) -> str:
    """What repeats the audit, without ``--data``, ``--out``, and limits and calibration given as a value."""
    words = ["fairopt", "audit", d.base.name]
    for variant in d.variants:
        words += ["--compress" if variant.recipe else "--model", variant.name]
    words += ["--suite", suite] if suite is not None else []
    for name in benchmarks:
        words += ["--benchmark", name]
    for factor, levels in (factors or {}).items():
        words += [word for level in levels for word in ("--factor", f"{factor}={level}")]
    if isinstance(calibration, CalibrationFile):
        words += ["--calibration", os.fspath(calibration.path), "--samples", str(calibration.samples)]
        words += ["--length", str(calibration.length)] if calibration.length is not None else []
    shared = any("statistics" in (variant.calibration or {}) for variant in d.variants)
    words += ["--shared-statistics"] if shared else []
    words += ["--pairs", os.fspath(pairs)] if pairs is not None else []
    if policy is not None and not isinstance(policy, Policy):
        words += ["--policy", os.fspath(policy)]
    if d.limit is not None:
        words += ["--limit", str(d.limit)]
    if d.base_runs != BASE_RUNS:
        words += ["--base-runs", str(d.base_runs)]
    return shlex.join([*words, "--seed", str(d.seed)])
