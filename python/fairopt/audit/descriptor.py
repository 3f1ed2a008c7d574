"""Everything that decides an audit's numbers, as one frozen value with a hash: written before the first model runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import fairopt
from fairopt import _core, scorers
from fairopt.audit.policy import GateSpec, Policy
from fairopt.benchmarks import Benchmark, Generate, Item, LogLikelihood
from fairopt.errors import InputError, NotComparable

SCHEMA = 3
Asking = Sequence[tuple[Benchmark, Sequence[Item]]]  # benchmarks with the items of them that are asked


def canonical(value: Any) -> str:
    """One text for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(value: Any) -> str:
    """Hash of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@dataclass(frozen=True)
class ModelSpec:
    """One model of the audit and how it is asked."""

    name: str  # as the user wrote it
    recipe: str  # canonical; "" for a model that is scored as it was loaded
    weights_hash: str  # before the recipe
    tokenizer_hash: str
    dtype: str
    engine: Mapping[str, str]  # fairopt.models.loglikelihood.describe
    calibration: Mapping[str, int | str] | None = None  # tokens and pairs that the recipe looks at; None: none


@dataclass(frozen=True)
class BenchmarkSpec:
    """One benchmark and the items of it that are asked."""

    name: str
    version: str
    data_hash: str  # over the items themselves: texts, groups, clusters
    n_items: int
    ask: Mapping[str, Any]  # how its requests are put

    @property
    def likelihood(self) -> bool:
        """Whether it asks how likely a continuation is after a context."""
        return bool(self.ask["kind"] == LogLikelihood.__name__)

    @property
    def writes(self) -> bool:
        """Whether it lets the model write."""
        return bool(self.ask["kind"] == Generate.__name__)


@dataclass(frozen=True)
class Descriptor:
    """The whole audit. Equal hashes mean equal numbers and equal verdicts."""

    base: ModelSpec
    variants: tuple[ModelSpec, ...]
    benchmarks: tuple[BenchmarkSpec, ...]
    policy: Policy
    gates: tuple[GateSpec, ...]  # fixed before the run: the family over which the verdict is error-controlled
    limit: int | None
    seed: int
    base_runs: int  # how often the base model is scored: the spread between runs is the noise floor
    versions: Mapping[str, str]
    schema: int = SCHEMA

    @classmethod
    def of(
        cls,
        models: Sequence[ModelSpec],
        asked: Asking,
        policy: Policy,
        *,
        limit: int | None,
        seed: int,
        base_runs: int,
    ) -> Descriptor:
        """Describe an audit of these models, the base first, over these items."""
        base, *variants = models
        specs = [BenchmarkSpec(b.name, b.version, hash_items(items), len(items), _ask(b)) for b, items in asked]
        return cls(
            base=base,
            variants=tuple(variants),
            benchmarks=tuple(specs),
            policy=policy,
            gates=policy.gates(asked),
            limit=limit,
            seed=seed,
            base_runs=base_runs,
            versions=_versions(),
        )

    @property
    def hash(self) -> str:
        """Of the whole descriptor."""
        return sha256(asdict(self))

    @property
    def policy_hash(self) -> str:
        """Of the rules and the limits."""
        return policy_hash(self.policy, self.gates)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Descriptor:
        """The descriptor of a ``run.json``. Raises :class:`~fairopt.errors.InputError` for another schema."""
        try:
            if fields["schema"] != SCHEMA:
                raise InputError(f"open_run: run.json must have schema {SCHEMA}, got {fields['schema']}; audit again")
            return cls(
                base=ModelSpec(**fields["base"]),
                variants=tuple(ModelSpec(**v) for v in fields["variants"]),
                benchmarks=tuple(BenchmarkSpec(**b) for b in fields["benchmarks"]),
                policy=Policy.from_mapping(fields["policy"], "run.json"),
                gates=tuple(GateSpec(**g) for g in fields["gates"]),
                **{key: fields[key] for key in ("limit", "seed", "base_runs", "versions", "schema")},
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"open_run: run.json must describe an audit, got {error!r}") from None


def _ask(benchmark: Benchmark) -> dict[str, Any]:
    """As plain data; scorers by their ids, which say what is in their files."""
    ask = benchmark.ask
    found = {"kind": type(ask).__name__, **asdict(ask)}
    if isinstance(ask, Generate):
        found |= {"stop": list(ask.stop), "scorers": [scorers.get(name).id for name in ask.scorers]}
    return found


def _versions() -> dict[str, str]:
    libraries = {name: metadata.version(name) for name in ("torch", "transformers")}
    # How products with quantised weights are computed depends on the processor (docs/formats.md), and with it their
    # last bits.
    chosen = {format: _core.default_matmul_mode(format) for format in ("int4_sym", "nf4")}
    products = ", ".join(f"{f} {mode} (bf16: {_core.default_matmul_mode(f, True)})" for f, mode in chosen.items())
    return {"fairopt": fairopt.__version__, "products": products, **libraries}


def policy_hash(policy: Policy, gates: Sequence[GateSpec]) -> str:
    """Hash of the rules and of the limits that they gave for these items."""
    return sha256({"policy": asdict(policy), "gates": [asdict(gate) for gate in gates]})


def hash_items(items: Sequence[Item]) -> str:
    """Hash of all that the items say, in their order."""
    return sha256([asdict(item) for item in items])


def check_extends(old: Descriptor, new: Descriptor, where: str) -> None:
    """Raise :class:`~fairopt.errors.NotComparable` unless ``new`` is ``old``, perhaps with additions."""
    for field, was, now in _differences(old, new):
        raise NotComparable(
            f"audit: {field} must be that of the run in {where!r}, got {now} instead of {was}; use another out folder"
        )


def _differences(old: Descriptor, new: Descriptor) -> Iterator[tuple[str, Any, Any]]:
    for field in ("schema", "versions", "seed", "limit", "base_runs", "policy"):
        yield from _compare(field, getattr(old, field), getattr(new, field))
    yield from _model_differences("base", old.base, new.base)
    for kind in ("variants", "benchmarks"):
        specs = {spec.name: spec for spec in getattr(new, kind)}
        for was in getattr(old, kind):
            if was.name not in specs:
                yield kind, was.name, f"only {', '.join(specs) or 'none'}"
            elif isinstance(was, ModelSpec):
                yield from _model_differences(f"variant {was.name}", was, specs[was.name])
            else:
                yield from _compare(f"{was.name}: version", was.version, specs[was.name].version)
                yield from _compare(f"{was.name}: data", was.data_hash, specs[was.name].data_hash)
                yield from _compare(f"{was.name}: ask", was.ask, specs[was.name].ask)
    limits = {gate.id: gate for gate in new.gates}
    for gate in old.gates:
        yield from _compare("policy", gate, limits.get(gate.id))


def _model_differences(what: str, old: ModelSpec, new: ModelSpec) -> Iterator[tuple[str, Any, Any]]:
    for field in ("weights_hash", "tokenizer_hash", "recipe", "dtype", "calibration"):
        yield from _compare(f"{what}: {field.replace('_hash', '')}", getattr(old, field), getattr(new, field))
    for field in sorted({*old.engine, *new.engine}):
        yield from _compare(f"{what}: {field}", old.engine.get(field), new.engine.get(field))


def _compare(field: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if was != now:
        yield field, was, now
