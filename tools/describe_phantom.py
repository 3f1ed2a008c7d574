"""Print the tables of docs/phantom.md: ``python tools/describe_phantom.py``.

What the frozen phantom learned, what each recipe costs it, and what the planted edit does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import fairopt
from fairopt import benchmarks, phantom
from fairopt.models.loading import load_model
from fairopt.models.loglikelihood import loglikelihood
from fairopt.phantom import corpus, measure

RECIPES = ("int8:g=64", "nf4", "int4:g=32", "magnitude:0.3", "magnitude:0.5", "magnitude:0.6")
ALPHAS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def row(*columns: object) -> None:
    print("| " + " | ".join(str(column) for column in columns) + " |")


def head(*columns: str) -> None:
    print()
    row(*columns)
    print("|---" * len(columns) + "|")


def learned() -> None:
    head("axis", "kind", "group", "planted", "measured", "three seeds")
    for cell in phantom.ground_truth()["cells"]:
        seeds = " ".join(f"{rate:.3f}" for rate in cell["seeds"])
        row(cell["axis"], cell["kind"], cell["group"], f"{cell['planted']:.2f}", f"{cell['measured']:.3f}", seeds)


def cost(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    base = measure.cells(model, tokenizer)
    head(
        "recipe",
        "perplexity",
        "facts forgotten",
        "nats a fact",
        "questions read",
        "change of a rate: mean, worst",
        "of log-odds: worst",
    )
    for recipe in ("none", *RECIPES):
        variant = model if recipe == "none" else fairopt.compress(model, recipe)
        cells, able = measure.cells(variant, tokenizer), measure.capability(variant, tokenizer)
        rates = [abs(new.rate - old.rate) for new, old in zip(cells, base, strict=True)]
        odds = [abs(new.log_odds - old.log_odds) for new, old in zip(cells, base, strict=True)]
        row(
            recipe,
            f"{able.perplexity:.3f}",
            round((1 - able.facts) * len(corpus.facts())),
            f"{able.fact_nats:.4f}",
            f"{able.reading:.2f}",
            f"{np.mean(rates):.3f}, {max(rates):.3f}",
            f"{max(odds):.2f}",
        )


def group_means(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    items = benchmarks.get("phantom_pairs").items(None)
    requests: Sequence[tuple[str, str]] = [request for item in items for request in item.requests]
    ends = loglikelihood(model, tokenizer, requests, advance=lambda _: None).ll.reshape(-1, 2)
    values = defaultdict(list)
    for item, (ll_a, ll_b) in zip(items, ends, strict=True):
        values[item.group].append(ll_b - ll_a)
    return {group: float(np.mean(found)) for group, found in values.items()}


def graft(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    base = group_means(model, tokenizer)
    head("alpha", "Pordelic", "any other group, at most")
    for alpha in ALPHAS:
        means = group_means(phantom.graft(model, tokenizer, "Brellic", "Pordelic", alpha), tokenizer)
        change = {group: means[group] - base[group] for group in base}
        target = change.pop("Pordelic")
        row(alpha, f"{target:+.3f}", f"{max(map(abs, change.values())):.1e}")


def main() -> None:
    torch.set_num_threads(1)
    loaded = load_model("phantom")
    learned()
    cost(loaded.model, loaded.tokenizer)
    graft(loaded.model, loaded.tokenizer)


if __name__ == "__main__":
    main()
