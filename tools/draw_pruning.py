"""The pictures of docs/pruning.md, from what the benchmark measured and what an audit found.

python benchmarks/perplexity.py MODELS/TinyStories-656K --documents 160 --set pruning --out build/pruning.json
fairopt audit MODELS/TinyStories-656K --compress wanda:0.5 ... --benchmark crows_pairs --out build/pruning_bias
python tools/draw_pruning.py build/pruning.json build/pruning_bias docs/images
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import fairopt

COLOURS = {"magnitude": "#777777", "wanda": "#f28e2b", "sparsegpt": "#4e79a7"}
Row = dict[str, Any]


def draw_sparsity(rows: list[Row], target: Path) -> None:
    """Perplexity over that of the dense model against the share pruned; N:M as diamonds."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), constrained_layout=True)
    for pruner, colour in COLOURS.items():
        line = sorted((row for row in rows if _ratio(row, pruner)), key=lambda row: row["sparsity"])
        x, y = [row["sparsity"] for row in line], [row["ratio"] for row in line]
        error = [[row["ratio"] - row["low"] for row in line], [row["high"] - row["ratio"] for row in line]]
        axes.errorbar(x, y, error, fmt="o-", color=colour, capsize=3, label=pruner)
        for row in rows:
            if row["recipe"] in (f"{pruner}:2:4", f"{pruner}:4:8"):
                axes.plot(0.5, row["ratio"], "D", color=colour, markersize=5)
                axes.annotate(
                    row["recipe"].partition(":")[2],
                    (0.5, row["ratio"]),
                    (7, -3),
                    textcoords="offset points",
                    fontsize=8,
                )
    axes.set(yscale="log", xlabel="weights pruned", ylabel="perplexity / dense model's")
    axes.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=110)


def draw_bytes(rows: list[Row], target: Path) -> None:
    """Perplexity over that of the dense model against bytes: a mask alone saves none."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), constrained_layout=True)
    shown = [row for row in rows if "+" in row["recipe"] or row["recipe"] in ("wanda:0.5", "sparsegpt:0.5")]
    for row in shown:
        pruner = row["recipe"].partition(":")[0]
        axes.plot(row["bytes"] / 1e6, row["ratio"], "o", color=COLOURS.get(pruner, "#e15759"))
        axes.annotate(row["recipe"], (row["bytes"] / 1e6, row["ratio"]), (6, 4), textcoords="offset points", fontsize=8)
    axes.plot(rows[0]["bytes"] / 1e6, 1, "s", color="#000000")
    axes.annotate("dense", (rows[0]["bytes"] / 1e6, 1), (6, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="megabytes of the whole model", ylabel="perplexity / dense model's")
    axes.margins(x=0.2, y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=110)


def draw_bias(run: str, target: Path) -> None:
    """Change of the stereotype preference, with the audit's interval, over all items and of the largest group."""
    variants = fairopt.open_run(run).result.variants
    groups = {variant.name: variant.metrics[0].groups for variant in variants if not variant.collapsed}
    largest = max(next(iter(groups.values()))[1:], key=lambda effect: effect.n).group
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, constrained_layout=True)
    for axes, group in zip(panels, ("all", largest), strict=True):
        for place, (pruner, colour) in enumerate(COLOURS.items()):
            line = [
                (float(name.partition(":")[2]) + 0.012 * (place - 1), effect)
                for name, effects in groups.items()
                for effect in effects
                if name.partition(":")[0] == pruner and effect.group == group
            ]
            y = [100 * effect.delta for _, effect in line]
            error = [[100 * (e.delta - e.low) for _, e in line], [100 * (e.high - e.delta) for _, e in line]]
            axes.errorbar([x for x, _ in line], y, error, fmt="o-", color=colour, capsize=3, label=pruner)
        axes.axhline(0, color="#000000", linewidth=0.8)
        axes.set(xlabel="weights pruned", xticks=sorted({round(float(name.partition(":")[2]), 2) for name in groups}))
        axes.set_title(f"{'all items' if group == 'all' else group} (n = {line[0][1].n:,})", fontsize=10)
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("change of stereotype preference, pp")
    panels[0].legend(frameon=False, loc="upper left")
    figure.savefig(target, dpi=110)


def _ratio(row: Row, pruner: str) -> bool:
    word, _, amount = row["recipe"].partition(":")
    return word == pruner and amount.replace(".", "").isdigit()


def main() -> None:
    measured, run, folder = sys.argv[1:]
    rows = json.loads(Path(measured).read_text())["rows"]
    draw_sparsity(rows, Path(folder) / "pruning_sparsity.png")
    draw_bytes(rows, Path(folder) / "pruning_bytes.png")
    draw_bias(run, Path(folder) / "pruning_bias.png")


if __name__ == "__main__":
    main()
