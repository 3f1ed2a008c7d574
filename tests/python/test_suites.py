"""Suites name benchmarks and levels that there are, and `full` leaves none of them out."""

from __future__ import annotations

import pytest

from fairopt import benchmarks
from fairopt.audit.selection import select
from fairopt.benchmarks import Generate, suites
from fairopt.benchmarks.factor import parse
from fairopt.errors import InputError

PHANTOM = {"phantom_pairs", "phantom_questions", "phantom_texts"}  # about themselves: the smoke suite


@pytest.mark.parametrize("name", suites.SUITES)
def test_entries_can_be_asked_together(name: str) -> None:
    suite = suites.get(name)
    assert suite.name == name
    names = [entry.benchmark for entry in suite.entries]
    assert len(set(names)) == len(names)
    found = benchmarks.get_all(names)
    metrics = [metric.id for benchmark in found for metric in benchmark.metrics]
    assert len(set(metrics)) == len(metrics)
    assert any(metric.gated for benchmark in found for metric in benchmark.metrics)
    assert all(entry.limit is None or entry.limit > 0 for entry in suite.entries)


def test_full_is_everything() -> None:
    asked = {parse(entry.benchmark)[0] for entry in suites.get("full").entries}
    assert asked == set(benchmarks.NAMES) - PHANTOM
    assert all(entry.limit is None for entry in suites.get("full").entries)


def test_core_is_part_of_full() -> None:
    core, full = ({entry.benchmark for entry in suites.get(name).entries} for name in ("core", "full"))
    assert core <= full


def test_an_unknown_suite() -> None:
    with pytest.raises(InputError, match="suite: name must be one of smoke, core, full"):
        suites.get("nowhere")


def test_beyond_perplexity_writes_as_the_study_did() -> None:
    asks = [benchmarks.get(entry.benchmark).ask for entry in suites.get("beyond-perplexity").entries]
    writes = [ask for ask in asks if isinstance(ask, Generate)]
    assert len(writes) == 5
    for ask in writes:
        assert (ask.min_new_tokens, ask.max_new_tokens, ask.samples, ask.chat) == (50, 100, None, False)


def test_factors_go_beside_the_levels_of_an_entry() -> None:
    asked = select(["open_pairs?tokens=4"], None, {"decoding": ["sample:2"], "tokens": ["9"]}, data=None, limit=2).asked
    names = [benchmark.name for benchmark, _ in asked]
    assert names == ["open_pairs?tokens=4", "open_pairs?decoding=sample:2&tokens=4"]
    assert [any(metric.gated for metric in benchmark.metrics) for benchmark, _ in asked] == [True, False]


def test_inference_acceleration_writes_as_the_study_did() -> None:
    found = [benchmarks.get(entry.benchmark) for entry in suites.get("inference-acceleration").entries]
    writes = {(found_.name.partition("?")[0], found_.ask) for found_ in found if isinstance(found_.ask, Generate)}
    lengths = {name: ask.max_new_tokens for name, ask in writes if isinstance(ask, Generate)}
    assert lengths == {"worldbench": 64, "decoding_trust_stereotypes": 150, "discrim_eval_gen": 200}
    samples = {(name, ask.samples) for name, ask in writes if isinstance(ask, Generate)}
    assert {name for name, several in samples if several == 5} == {"decoding_trust_stereotypes", "discrim_eval_gen"}
    assert {ask.chat for _, ask in writes if isinstance(ask, Generate)} == {True, False}
    gated = [
        metric.id
        for benchmark in benchmarks.get_all([b.name for b in found])
        for metric in benchmark.metrics
        if metric.gated
    ]
    assert "decoding_trust_stereotypes/agree?system=study" in gated
    assert not any("chat=on" in name for name in gated)  # of several levels the first takes part in the verdict
