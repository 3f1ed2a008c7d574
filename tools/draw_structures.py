"""The pictures of docs/pruning.md that show removed structures, and the time of a token after any pruning.

python benchmarks/perplexity.py MODELS/TinyStories-656K --documents 160 --set structures --out build/structures.json
python benchmarks/pruned_decode.py --out build/pruned_decode.json
fairopt audit MODELS/TinyStories-656K --compress ffn:0.25 ... --benchmark crows_pairs --out build/structures_bias
python tools/draw_structures.py build docs/images
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import fairopt

COLOURS = {"random": "#bbbbbb", "l2": "#777777", "act": "#4e79a7", "taylor": "#f28e2b", "output": "#e15759"}
KINDS = {  # of pruning, by how its recipes begin and end
    "a mask": ("magnitude:", "#777777", lambda recipe: "+" not in recipe),
    "zeros left out": ("magnitude:", "#e15759", lambda recipe: recipe.endswith("+sparse")),
    "ffn": ("ffn:", "#4e79a7", lambda recipe: "+" not in recipe),
    "heads": ("heads:", "#59a14f", lambda recipe: "+" not in recipe),
    "hidden": ("hidden:", "#b07aa1", lambda recipe: "+" not in recipe),
    "layers": ("layers:", "#f28e2b", lambda recipe: "+" not in recipe),
    "heads and ffn": ("heads:", "#000000", lambda recipe: "ffn" in recipe),
}
Row = dict[str, Any]


def draw_scores(rows: list[Row], target: Path) -> None:
    """Perplexity over that of the dense model against the share of units removed, by score."""
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.8), sharey=True, constrained_layout=True)
    for axes, unit in zip(panels, ("ffn", "heads", "hidden"), strict=True):
        for score, colour in COLOURS.items():
            line = [row for row in rows if _parts(row["recipe"])[::2] == (unit, score)]
            x = [_parts(row["recipe"])[1] for row in line]
            axes.errorbar(x, *_with_interval(line), fmt="o-", color=colour, capsize=3, label=score)
        line = [row for row in rows if _parts(row["recipe"])[::2] == (unit, "output,correct")]
        x = [_parts(row["recipe"])[1] for row in line]
        if line:
            axes.errorbar(x, *_with_interval(line), fmt="D", color="#59a14f", markersize=5, label="output,correct")
        axes.set(yscale="log", xlabel=f"{unit} removed", xticks=[0.1, 0.25, 0.5], xlim=(0.05, 0.55))
        axes.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("perplexity / dense model's")
    panels[0].legend(frameon=False, fontsize=9)
    figure.savefig(target, dpi=110)


def draw_latency(rows: list[Row], target: Path) -> None:
    """How many times as fast a token is against the share of weights that are gone, with quartiles over turns."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), constrained_layout=True)
    for kind, (start, colour, belongs) in KINDS.items():
        line = [row for row in rows if row["recipe"].startswith(start) and belongs(row["recipe"])]
        line = sorted((row for row in line if ":2:4" not in row["recipe"]), key=lambda row: row["gone"])
        line_style = "o" if kind in ("a mask", "heads and ffn") else "o-"
        axes.errorbar(
            [row["gone"] for row in line], *_with_interval(line), fmt=line_style, color=colour, capsize=3, label=kind
        )
    both = next(row for row in rows if row["recipe"].startswith("heads") and row["recipe"].endswith("+sparse"))
    axes.annotate(
        "and zeros left out", (both["gone"], both["ratio"]), (-6, 8), textcoords="offset points", fontsize=8, ha="right"
    )
    axes.axhline(1, color="#000000", linewidth=0.8)
    axes.set(xlabel="weights gone", ylabel="times as fast, one token")
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=110)


def draw_bias(run: str, target: Path) -> None:
    """Change of the stereotype preference over all items, with the audit's interval, by score."""
    variants = [variant for variant in fairopt.open_run(run).result.variants if not variant.collapsed]
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, constrained_layout=True)
    for axes, unit in zip(panels, ("ffn", "heads"), strict=True):
        for place, (score, colour) in enumerate(COLOURS.items()):
            line = [
                (_parts(variant.name)[1] + 0.008 * (place - 2), variant.metrics[0].groups[0])
                for variant in variants
                if _parts(variant.name)[::2] == (unit, score)
            ]
            y = [100 * effect.delta for _, effect in line]
            error = [[100 * (e.delta - e.low) for _, e in line], [100 * (e.high - e.delta) for _, e in line]]
            if line:
                axes.errorbar([x for x, _ in line], y, error, fmt="o-", color=colour, capsize=3, label=score)
        axes.axhline(0, color="#000000", linewidth=0.8)
        axes.set(xlabel=f"{unit} removed", xticks=[0.1, 0.25, 0.5], xlim=(0.05, 0.55))
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("change of stereotype preference, pp")
    panels[0].legend(frameon=False)
    figure.savefig(target, dpi=110)


def _parts(recipe: str) -> tuple[str, float, str]:
    """Unit, share and the rest of a recipe of one step; without a score it is that of heads and neurons."""
    found = re.fullmatch(r"(ffn|heads|hidden):([\d.]+):?([^+]*)", recipe)
    if found is None:
        return recipe, 0.0, ""
    unit, share, rest = found.groups()
    return unit, float(share), f"output{rest}" if rest in ("", ",correct") else rest


def _with_interval(line: list[Row]) -> tuple[list[float], list[list[float]]]:
    y = [row["ratio"] for row in line]
    return y, [[row["ratio"] - row["low"] for row in line], [row["high"] - row["ratio"] for row in line]]


def main() -> None:
    measured, folder = map(Path, sys.argv[1:])
    draw_scores(json.loads((measured / "structures.json").read_text())["rows"], folder / "pruning_structures.png")
    draw_latency(json.loads((measured / "pruned_decode.json").read_text())["rows"], folder / "pruning_latency.png")
    draw_bias(str(measured / "structures_bias"), folder / "pruning_structures_bias.png")


if __name__ == "__main__":
    main()
