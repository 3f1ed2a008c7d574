"""Benchmarks that compare likelihoods: the evidence of a few items against a plain loop over the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairopt import benchmarks
from fairopt.benchmarks import Answer, Benchmark, Item
from fairopt.models.loading import LoadedModel, load_model
from fairopt.models.loglikelihood import loglikelihood


@pytest.fixture(scope="module")
def model(models_dir: Path) -> LoadedModel:
    return load_model(str(models_dir / "TinyStories-656K"))


def ours(loaded: LoadedModel, items: list[Item], benchmark: Benchmark) -> list[dict[str, float | int | str]]:
    requests = [request for item in items for request in item.requests]
    found = loglikelihood(loaded.model, loaded.tokenizer, requests)
    answers = iter(Answer(float(ll), int(n)) for ll, n in zip(found.ll, found.n_tokens, strict=True))
    return [dict(benchmark.evidence(item, [next(answers) for _ in item.requests])) for item in items]


def plain(loaded: LoadedModel, context: str, continuation: str) -> Answer:
    """BOS, the tokens of the context, then those of the whole from there on; log p of the latter, one at a time."""
    import torch

    whole, before = (
        loaded.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (context + continuation, context)
    )
    ids = torch.tensor([[loaded.tokenizer.bos_token_id, *before, *whole[len(before) :]]])
    with torch.no_grad():
        logp = loaded.model(ids).logits[0].double().log_softmax(-1)
    places = range(len(before), len(whole))
    return Answer(sum(float(logp[place, ids[0, place + 1]]) for place in places), len(places))


@pytest.mark.parametrize(
    "name", ["winobias", "winobias_questions", "unqover", "dialect", "holisticbias_likelihood", "matched_guise"]
)
def test_agrees_with_a_plain_loop(name: str, model: LoadedModel, data_dir: Path) -> None:
    """Sums of log p in fp32 logits agree to the bound of ``loglikelihood``: 1e-4 nats for texts of 60 tokens."""
    benchmark = benchmarks.get(name)
    items = benchmark.items(data_dir)
    items = items[:: len(items) // 4][:4]
    for item, found in zip(items, ours(model, items, benchmark), strict=True):
        expected = benchmark.evidence(item, [plain(model, *request) for request in item.requests])
        assert found == pytest.approx(dict(expected), abs=1e-4)
