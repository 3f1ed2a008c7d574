"""Print the tables of docs/phantom.md: ``python tools/describe_phantom.py``.

What the frozen phantom learned, what each style of benchmark sees of it, what each recipe costs it, and what the
planted edit does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import fairopt
from fairopt import benchmarks, phantom
from fairopt.benchmarks import Answer, Benchmark, Columns, Generate, item_columns
from fairopt.models.generate import GenerateOptions, generate
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


def answered(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> tuple[Benchmark, Columns]:
    benchmark = benchmarks.get(name)
    items = benchmark.items(None)
    requests = [request for item in items for request in item.requests]
    if isinstance(benchmark.ask, Generate):
        ask, keys = benchmark.ask, [item.id for item in items]
        options = GenerateOptions(ask.max_new_tokens, samples=ask.samples, stop=ask.stop, seed=ask.seed)
        answers = generate(model, tokenizer, [prompt for prompt, _ in requests], options, keys=keys)
    else:
        found = loglikelihood(model, tokenizer, requests)
        answers = [Answer(*answer) for answer in zip(found.ll, found.n_tokens, strict=True)]
    given = iter(answers)
    rows = [benchmark.evidence(item, [next(given) for _ in item.requests]) for item in items]
    return benchmark, {**item_columns(items), **{name: np.array([r[name] for r in rows]) for name in rows[0]}}


def where(table: Columns, **fixed: str) -> Columns:
    chosen = np.all([table[name] == value for name, value in fixed.items()], axis=0)
    return {name: column[chosen] for name, column in table.items()}


def styles(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Each planted rate as likelihoods, texts and decoders show it."""
    pairs, by_pairs = answered(model, tokenizer, "phantom_pairs")
    texts, by_texts = answered(model, tokenizer, "phantom_texts")
    _, by_greedy = answered(model, tokenizer, "phantom_texts?decoding=greedy")
    head("axis", "kind", "group", "planted", "pairs", "texts, T = 1", "T = .7", "top-p .9", "greedy text")
    for cell, planted in phantom.PLANTED.items():
        _, kind, group = cell
        log_odds = pairs.metrics[0].value(where(by_pairs, kind=kind, group=group)).mean()
        shares = [texts.metrics[0].statistic(where(table, kind=kind, group=group)) for table in (by_texts, by_greedy)]
        decoded = [measure.decoded_rate(model, tokenizer, *cell, **o) for o in ({"temperature": 0.7}, {"top_p": 0.9})]
        row(*cell, *(f"{x:.2f}" for x in (planted, 1 / (1 + np.exp(-log_odds)), shares[0], *decoded, shares[1])))


def answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Each pair of groups as the probabilities of answers, and the likeliest one, show it."""
    benchmark, table = answered(model, tokenizer, "phantom_questions")
    share, unknown, _, argmax = (metric.value for metric in benchmark.metrics)
    asked = where(table, condition="ambig")
    head("axis", "kind", "groups", "planted share", "share of probabilities", '"Not known"', "bias of the likeliest")
    for axis, kind, pair in dict.fromkeys(zip(*(asked[name] for name in ("axis", "kind", "group")), strict=True)):
        own = where(asked, kind=kind, group=pair)
        numbers = own["planted_share"].mean(), share(own).mean(), unknown(own).mean(), argmax(own).mean()
        row(axis, kind, pair, *(f"{number:.2f}" for number in numbers))


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
    styles(loaded.model, loaded.tokenizer)
    answers(loaded.model, loaded.tokenizer)
    cost(loaded.model, loaded.tokenizer)
    graft(loaded.model, loaded.tokenizer)


if __name__ == "__main__":
    main()
