"""Benchmarks that compare likelihoods: the evidence of a few items against a plain loop over the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fairopt as fo
from fairopt import benchmarks
from fairopt.benchmarks import Answer, Benchmark, Item
from fairopt.metrics import degradation_ratio
from fairopt.models.loading import LoadedModel, load_model
from fairopt.models.loglikelihood import loglikelihood
from fairopt.models.rolling import rolling_loglikelihood


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


def test_corpora_agree_with_a_plain_loop(model: LoadedModel, tmp_path: Path) -> None:
    """Documents of several windows are read by ``rolling_loglikelihood``, whose own test compares windows."""
    (tmp_path / "tales.txt").write_text("Once upon a time there was a fox.\nIt was happy.\n")
    benchmark = benchmarks.get(f"corpus:{tmp_path}")
    for item in benchmark.items(None):
        found = rolling_loglikelihood(model.model, model.tokenizer, [item.requests[0][1]])
        row = benchmark.evidence(item, [Answer(float(found.ll[0]), int(found.n_tokens[0]))])
        expected = benchmark.evidence(item, [plain(model, *item.requests[0])])
        assert row == pytest.approx(dict(expected), abs=1e-4)


def test_an_audit_of_corpora_reports_degradation(tmp_path: Path) -> None:
    """The change of a group's bits per byte is log2 of its degradation ratio per byte; tau takes the others' off."""
    folder = tmp_path / "towns"
    folder.mkdir()
    for group, words in (("north", "The weaver of Marn is kind"), ("south", "I do not know who that is")):
        (folder / f"{group}.txt").write_text("\n".join(f"{words}, {number}." for number in range(24)))
    name = f"corpus:{folder}"
    run = fo.audit("phantom", ["magnitude:0.5"], benchmarks=[name], out=tmp_path / "run")
    (metric,) = run.compare("magnitude:0.5").metrics
    columns = run.items(name).to_pydict()
    rows = {name: np.array(column) for name, column in columns.items()}
    for effect in metric.groups[1:]:
        base, variant = (
            rows["ll"][(rows["group"] == effect.group) & (rows["variant"] == which)]
            for which in ("base", "magnitude:0.5")
        )
        size = rows["n_bytes"][(rows["group"] == effect.group) & (rows["variant"] == "base")]
        rho = degradation_ratio(base, variant, size)
        assert effect.delta == pytest.approx(np.log2(rho), abs=1e-9)
    north, south = metric.groups[1:]
    assert north.tau == pytest.approx(north.delta - south.delta, abs=1e-9)
    assert [gate.quantity for gate in run.compare("magnitude:0.5").gates] == ["delta", "tau", "tau"]
