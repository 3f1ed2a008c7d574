"""Harm against dose: does the change grow with sparsity, or as bits are taken away? Over variants of one family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fairopt import stats
from fairopt.audit.paired import Paired
from fairopt.audit.result import Trend
from fairopt.audit.rule import ALL


def dose(recipe: str) -> tuple[str, float] | None:
    """Family and dose of a recipe of one step; None where it has none."""
    from fairopt.compress.prune_options import Prune
    from fairopt.compress.recipe import Quantize
    from fairopt.compress.recipe_text import parse

    parsed = parse(recipe) if recipe else None
    if parsed is None or parsed.chain is None or parsed.overrides or len(parsed.chain.steps) != 1:
        return None
    step = parsed.chain.steps[0]
    if isinstance(step, Prune) and isinstance(step.amount, float):
        others = str(step).partition(",")[2]
        return f"{step.word}{',' * bool(others)}{others}: sparsity", step.amount
    if isinstance(step, Quantize) and step.format.startswith("int"):
        return f"{step.solver.word or 'int'}: bits", float(step.format[3])
    return None


def trends(variants: Sequence[tuple[str, str, Mapping[str, Paired]]], alpha: float) -> Iterator[Trend]:
    """Trends of every gated metric and group; ``variants``: names, recipes, and pairs by metric."""
    families: dict[str, list[tuple[float, str, Mapping[str, Paired]]]] = {}
    for name, recipe, pairs in variants:
        found = dose(recipe)
        if found is not None:
            families.setdefault(found[0], []).append((found[1], name, pairs))
    for family, members in families.items():
        members.sort(key=lambda member: member[:2])
        if len({at for at, _, _ in members}) < 2:
            continue
        for metric, paired in members[0][2].items():
            if paired.metric.gated:
                yield from _metric_trends(family, metric, members, alpha)


def _metric_trends(
    family: str, metric: str, members: Sequence[tuple[float, str, Mapping[str, Paired]]], alpha: float
) -> Iterator[Trend]:
    pairs = [pairs[metric] for _, _, pairs in members]
    for group in (ALL, *(str(name) for name in np.unique(pairs[0].groups))):
        yield _trend(family, metric, group, members, [paired.group(group) for paired in pairs], alpha)


def _trend(
    family: str,
    metric: str,
    group: str,
    members: Sequence[tuple[float, str, Mapping[str, Paired]]],
    pairs: Sequence[Paired],
    alpha: float,
) -> Trend:
    """Every item has a slope of its own over the doses; the trend is their mean, items and clusters as in any gate."""
    doses = [at for at, _, _ in members]
    deltas = np.array([paired.levels[1] - paired.levels[0] for paired in pairs])
    reason = next((paired.missing for paired in pairs if paired.missing), "")
    psi = np.stack([after - before for before, after in (paired.influences for paired in pairs)])
    found = stats.dose_trend_influence(
        doses, deltas, psi - psi.mean(axis=1, keepdims=True), pairs[0].clusters, level=1 - 2 * alpha
    )
    return Trend(
        family=family,
        metric=metric,
        group=group,
        variants=tuple(name for _, name, _ in members),
        doses=tuple(doses),
        deltas=tuple(deltas.tolist()),
        slope=found.slope,
        low=found.low,
        high=found.high,
        p=found.p,
        reason=reason or found.reason,
    )
