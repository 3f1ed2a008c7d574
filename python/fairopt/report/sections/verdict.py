"""The verdict: one card a variant, and every limit as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairopt.audit.result import VariantResult
from fairopt.report import wording
from fairopt.report.reading import ALL, Reading, deciding, losses, readings
from fairopt.report.sections.sure import unchanged
from fairopt.report.text import slug, visible
from fairopt.report.units import p_value, percent, storage, trimmed

_BEYOND = {
    "tau": ", beyond others",
    "level": ", value itself",
    "ratio": ", share kept",
    "excess_churn": ", answers changed",
}


@dataclass(frozen=True)
class GateLine:
    """One gate in words, for the card and for the gate table."""

    metric: str
    group: str
    state: str
    word: str
    estimate: str
    bound: str
    limit: str
    n: str
    p: str
    detectable: str
    needed: str
    reason: str


@dataclass(frozen=True)
class Block:
    """The gates of one metric that say most."""

    title: str
    lines: tuple[GateLine, ...]


@dataclass(frozen=True)
class Card:
    """One variant: its decision, what decided, and what would settle it."""

    key: int
    anchor: str
    name: str
    decision: str
    why: str
    settle: str
    same: str  # "Same verdict in 6 of 10 re-analyses"; empty where none were made
    conditions: tuple[str, ...]
    collapsed: tuple[str, ...]
    size: str
    met: str  # "9 of 10"
    decided: GateLine | None  # the gate behind the decision, the nearest one where all passed
    blocks: tuple[Block, ...]
    more: str  # what the gates did that are in no block
    gates: tuple[GateLine, ...]


def card(key: int, variant: VariantResult) -> Card:
    """The card of variant number ``key``."""
    found = readings(variant)
    telling = _telling(found)
    titles = dict.fromkeys(visible(r.metric.title) for r in telling)
    worst = deciding(variant)
    return Card(
        key=key,
        anchor=f"variant-{key}-{slug(variant.name[:40])}",
        name=visible(variant.name),
        decision=variant.decision,
        why=wording.why(variant),
        settle=wording.settle(variant),
        same=unchanged(variant),
        conditions=tuple(visible(c) for c in variant.conditions),
        collapsed=tuple(visible(c) for c in variant.collapsed),
        size=_size(variant),
        met=f"{sum(r.gate.state == 'pass' for r in found)} of {len(found)}",
        decided=line(worst[0]) if worst else None,
        blocks=tuple(Block(t, tuple(line(r) for r in telling if visible(r.metric.title) == t)) for t in titles),
        more=wording.others([r for r in found if r not in telling]),
        gates=tuple(line(r) for r in found),
    )


def _telling(found: list[Reading], most: int = 4) -> list[Reading]:
    """The gates over all items first, then those nearest to their limits, worst state first."""
    order = {"fail": 0, "undecided": 1, "undefined": 2, "pass": 3}

    def urgency(r: Reading) -> tuple[int, bool, float]:
        return order[r.gate.state], not r.judged, -r.closeness

    total = sorted((r for r in found if r.gate.group == ALL), key=urgency)[: most - 2]
    groups = sorted((r for r in found if r.gate.group != ALL), key=urgency)
    chosen = [*total, *groups[: most - len(total)]]
    return [r for r in found if r in total] + [r for r in chosen if r not in total]


def line(reading: Reading) -> GateLine:
    """One gate as text."""
    gate, unit, metric = reading.gate, reading.unit, reading.metric
    group = "all items" if gate.group == ALL else visible(gate.group)
    return GateLine(
        metric=visible(metric.title),
        group=f"{group}{_BEYOND.get(gate.quantity, '')}",
        state=gate.state,
        word=wording.STATES[gate.state],
        estimate=unit.change(gate.delta),
        bound=reading.bound_bare,
        limit=reading.limit_bare,
        n=f"{gate.n:,}",
        p=p_value(gate.p_bad_holm),
        detectable=unit.size(gate.min_detectable) if math.isfinite(gate.min_detectable) else "–",
        needed=f"{gate.items_needed:,}" if gate.items_needed else "–",
        reason=visible(gate.reason),
    )


def _size(variant: VariantResult) -> str:
    parts = [visible(variant.recipe)] if variant.recipe not in {"", variant.name} else []
    parts.append(f"{storage(variant.bytes)} of {storage(variant.base_bytes)}")
    if math.isfinite(variant.bits_per_weight):
        parts.append(f"{trimmed(variant.bits_per_weight)} bits per weight")
    if math.isfinite(variant.sparsity) and variant.sparsity > 0:
        parts.append(f"{percent(variant.sparsity, 0)} zeros")
    found = losses(variant)
    for loss in found[: wording.MOST_NAMED]:
        parts.append(f"loss on {visible(loss.benchmark)} {loss.base:.2f} → {loss.variant:.2f} nats per token")
    if len(found) > wording.MOST_NAMED:
        parts.append(f"loss on {len(found) - wording.MOST_NAMED} more below, under size and quality")
    return " · ".join(parts)
