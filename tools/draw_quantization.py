"""The pictures of docs/quantization.md, from what the benchmarks measured.

python benchmarks/perplexity.py MODELS/TinyStories-656K --out build/perplexity.json
python benchmarks/quantized_linear.py --out build/quantized_linear.json
python tools/draw_quantization.py build/perplexity.json build/quantized_linear.json docs/images
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS = {
    "": "#777777",
    "mse": "#b07aa1",
    "gptq": "#4e79a7",
    "awq": "#f28e2b",
    "hqq": "#59a14f",
    "signround": "#e15759",
}

RAISED = {  # points by which a label makes room for its neighbour's
    "nf4 b64 exact": 11,
    "int4_sym b128 a24": -11,
    "nf4 b64 i16": 7,
    "int4_sym b128 a16": -5,
    "bitsandbytes nf4 b64": -2,
    "torch int4pack b128": -9,
    "llama.cpp q4_K": 9,
    "llama.cpp q4_0": 2,
}


def draw_quality(rows: list[dict[str, Any]], target: Path) -> None:
    """Perplexity over that of the dense model, one column a format, one mark a solver with its interval."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), constrained_layout=True)
    formats = sorted({_format(row["recipe"]) for row in rows if row["recipe"] != "dense"}, reverse=True)
    for row in rows:
        if row["recipe"] == "dense" or "act_order" in row["recipe"]:
            continue
        solver = _solver(row["recipe"])
        x = formats.index(_format(row["recipe"])) + (list(COLOURS).index(solver) - 2.5) * 0.12
        error = [[row["ratio"] - row["low"]], [row["high"] - row["ratio"]]]
        axes.errorbar(x, row["ratio"], error, fmt="o", color=COLOURS[solver], capsize=3)
        axes.annotate(
            solver or "nearest", (x, row["high"]), (0, 4), textcoords="offset points", rotation=90, fontsize=8
        )
    axes.axhline(1, color="#bbbbbb", linewidth=1)
    axes.set_xticks(range(len(formats)), formats)
    axes.set_ylabel("perplexity / dense model's")
    axes.margins(y=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=110)


def draw_speed(rows: list[dict[str, Any]], target: Path) -> None:
    """Error of the output against time of one token, for the large layer; ours at 4 bits, labelled on the left."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2), constrained_layout=True)
    for row in rows:
        ours = row["name"].startswith("fairopt")
        if ours and not row["name"].startswith(("fairopt int4_sym", "fairopt nf4")):
            continue
        axes.plot(row["median_ms"], row["error"], "o" if ours else "s", color="#4e79a7" if ours else "#e15759")
        label = row["name"].removeprefix("fairopt ").removesuffix(" fp32")
        axes.annotate(
            label, (row["median_ms"], row["error"]), (-8 if ours else 8, RAISED.get(label, 0)),
            textcoords="offset points", fontsize=8, ha="right" if ours else "left", va="center",
        )  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel="ms, one token, 4096 x 11008, 2 threads", ylabel="error against float64"
    )
    axes.margins(x=0.3, y=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=110)


def _solver(recipe: str) -> str:
    return recipe.partition(":")[0] if recipe.partition(":")[0] in COLOURS else ""


def _format(recipe: str) -> str:
    bare = recipe.removeprefix(_solver(recipe) + ":")
    return bare.replace(":", ",").split(",")[0] + " " + bare.replace(":", ",").split(",")[1]


def main() -> None:
    quality, speed, folder = sys.argv[1:]
    draw_quality(json.loads(Path(quality).read_text())["rows"], Path(folder) / "quantization_quality.png")
    rows = json.loads(Path(speed).read_text())["rows"]
    one = [row for row in rows if row["m"] == 1 and (row["n"], row["k"]) in ((11008, 4096), (4096, 11008))]
    draw_speed(one, Path(folder) / "quantization_speed.png")


if __name__ == "__main__":
    main()
