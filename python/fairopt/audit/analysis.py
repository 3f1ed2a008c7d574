"""Everything that one variant's audit found: the verdict and all that the report sets beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from fairopt import stats
from fairopt.audit.agreement import agreement, margin_bins
from fairopt.audit.compare import Asked, evidence_of
from fairopt.audit.conditions import conditions
from fairopt.audit.decision import decide
from fairopt.audit.descriptor import ModelSpec
from fairopt.audit.effects import group_effects
from fairopt.audit.factors import factor_levels
from fairopt.audit.gaps import gaps
from fairopt.audit.gates import Evidence
from fairopt.audit.health import text_health
from fairopt.audit.noise import reruns
from fairopt.audit.paired import Paired
from fairopt.audit.policy import GateSpec, Policy
from fairopt.audit.question import Question
from fairopt.audit.reanalyses import reanalyses
from fairopt.audit.result import Flip, MetricResult, Noise, TextHealth, VariantResult
from fairopt.audit.scores import calibration, score_results
from fairopt.audit.store import Facts
from fairopt.audit.transitions import transitions


def analyse(
    spec: ModelSpec,
    facts: Facts,
    *,
    base_facts: Facts,
    benchmarks: Sequence[Asked],
    limits: Sequence[GateSpec],
    policy: Policy,
    seed: int,
) -> VariantResult:
    """Compare one variant with its base. ``seed`` is of the permutations that the gaps are set beside."""
    same_model = facts.weights_hash == base_facts.weights_hash
    evidence = {metric: found for asked in benchmarks for metric, found in evidence_of(asked, same_model).items()}
    question = Question(tuple(limits), evidence, policy)
    gates = question.gates()
    verdict, results = decide(gates, policy)
    alpha = policy.alpha_ship
    metrics = tuple(
        _metric_result(asked, evidence[m.id], alpha, seed) for asked in benchmarks for m in asked.benchmark.metrics
    )
    scores = tuple(s for a in benchmarks for s in score_results(a.benchmark, a.base.columns, a.variant.columns, seed))
    calibrations = (calibration(a.benchmark, a.base.columns, a.variant.columns) for a in benchmarks)
    return VariantResult(
        name=spec.name,
        recipe=spec.recipe,
        weights_hash=facts.weights_hash,
        bytes=facts.bytes,
        base_bytes=base_facts.bytes,
        bits_per_weight=math.nan if facts.bits_per_weight is None else facts.bits_per_weight,
        sparsity=math.nan if facts.sparsity is None else facts.sparsity,
        decision=verdict.decision,
        deciding=verdict.deciding,
        gates=results,
        metrics=metrics,
        flips=tuple(flip for asked in benchmarks for flip in _flips(asked, evidence)),
        health={name: value for asked in benchmarks for name, value in _health(asked)},
        conditions=conditions(metrics, evidence, gates, alpha) if verdict.decision == "SHIP" else (),
        collapsed=tuple(asked.collapsed for asked in benchmarks if asked.collapsed),
        scores=scores,
        calibration=tuple(found for found in calibrations if found is not None),
        transitions=tuple(t for a in benchmarks for t in transitions(a, evidence)),
        reanalyses=reanalyses(question, benchmarks, verdict, same_model),
        factors=tuple(factor_levels([a.benchmark for a in benchmarks], metrics, scores)),
        texts=tuple(found for a in benchmarks if a.variant.texts for found in _texts(a)),
        calibrated_on={name: str(value) for name, value in (spec.calibration or {}).items()},
    )


def _metric_result(asked: Asked, evidence: Evidence, alpha: float, seed: int) -> MetricResult:
    paired, metric = evidence.paired, evidence.paired.metric
    groups = group_effects(paired, evidence.again, alpha)
    everyone = groups[0]
    return MetricResult(
        benchmark=asked.benchmark.name,
        id=metric.id,
        title=metric.title,
        kind=metric.kind,
        unit=metric.unit,
        harm=metric.harm,
        gated=metric.gated,
        groups=groups,
        mcnemar_p=stats.mcnemar(everyone.worse or 0, everyone.better or 0) if paired.binary else math.nan,
        noise=_noise(asked, evidence.again, alpha),
        gaps=tuple(gaps(paired, seed)),
        agreement=agreement(paired, evidence.again),
        margins=margin_bins(paired),
    )


def _noise(asked: Asked, again: tuple[Paired, ...], alpha: float) -> Noise:
    # Items that changed sides in any rerun: what one rerun changes is no more than that.
    moved = np.any([run.d != 0 for run in again], axis=0) if again else np.empty(0)
    binary = bool(again) and again[0].binary
    shifts = [float(np.max(np.abs(asked.base.ll - run.ll))) for run in asked.again if len(run.ll)]
    found = reruns(again)
    return Noise(
        n=len(moved),
        runs=1 + len(again),
        flips=int(moved.sum()) if binary else 0,
        ceiling=stats.noise_ceiling(int(moved.sum()), len(moved), alpha=alpha) if binary else math.nan,
        max_shift=max(shifts, default=math.nan),
        mean_shift=found.shift,
        run_variance=found.noise.variance,
    )


def _flips(asked: Asked, evidence: dict[str, Evidence]) -> Iterator[Flip]:
    for metric in asked.benchmark.metrics:
        paired = evidence[metric.id].paired
        if not (metric.gated and paired.binary):
            continue
        rows = np.arange(len(asked.base.items))
        if metric.applies is not None:
            rows = rows[metric.applies(asked.base.columns)]
        for index in np.flatnonzero(np.nan_to_num(paired.d)):
            row = int(rows[index])
            item = asked.base.items[row]
            yield Flip(
                metric=metric.id,
                item_id=item.id,
                group=item.group,
                direction="worse" if paired.d[index] < 0 else "better",
                texts=_shown(asked, row),
                base=float(paired.base_preference[index]),
                variant=float(paired.variant_preference[index]),
            )


def _shown(asked: Asked, row: int) -> tuple[str, ...]:
    """What was read; where the models write, each prompt with what the base wrote after it, and the variant."""
    item = asked.base.items[row]
    if not asked.variant.texts:
        return tuple(context + continuation for context, continuation in item.requests)
    written = zip(asked.base.answers.given[row], asked.variant.answers.given[row], strict=True)
    return tuple(
        prompt + text.text
        for (prompt, _), sides in zip(item.requests, written, strict=True)
        for text in (side[0] for side in sides)
    )


def _texts(asked: Asked) -> Iterator[TextHealth]:
    return text_health(asked.benchmark.name, asked.base.items, asked.base.health, asked.variant.health)


def _health(asked: Asked) -> Iterator[tuple[str, float]]:
    name = asked.benchmark.name
    for side, scored in (("base", asked.base), ("variant", asked.variant)):
        yield f"{name}/nats_per_token:{side}", scored.nats_per_token
