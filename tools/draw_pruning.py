"""The pictures of docs/pruning.md, from what the benchmark measured.

python benchmarks/perplexity.py MODELS/TinyStories-656K --documents 160 --set pruning --out build/pruning.json
python tools/draw_pruning.py build/pruning.json docs/images
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

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


def _ratio(row: Row, pruner: str) -> bool:
    word, _, amount = row["recipe"].partition(":")
    return word == pruner and amount.replace(".", "").isdigit()


def main() -> None:
    measured, folder = sys.argv[1:]
    rows = json.loads(Path(measured).read_text())["rows"]
    draw_sparsity(rows, Path(folder) / "pruning_sparsity.png")
    draw_bytes(rows, Path(folder) / "pruning_bytes.png")


if __name__ == "__main__":
    main()
