"""CrowS-Pairs for masked models: the authors' score and bias-bench's, over plain loops and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masked_models import bert, words

from fairopt import benchmarks, metrics
from fairopt.audit.paired import Paired
from fairopt.benchmarks import Answer, Benchmark, Columns, Item, item_columns
from fairopt.models.masked_loglikelihood import masked_loglikelihood

SHARED = benchmarks.get("crows_pairs_masked")
DIFFERING = benchmarks.get("crows_pairs_bias_bench")
TOY = [  # score of the first sentence, about the disadvantaged group, and of the second
    (-12.34561, -12.34571, "stereo"),
    (-9.0, -10.0, "stereo"),
    (-8.0, -7.0, "antistereo"),
    (-8.0, -9.0, "antistereo"),
    (-5.0, -4.0, "stereo"),
]


def table(benchmark: Benchmark, rows: list[tuple[float, float, str]], tokens: tuple[int, int] = (1, 1)) -> Columns:
    items, evidence = [], []
    for index, (first, second, direction) in enumerate(rows):
        items.append(Item(str(index), "age", str(index), (), fields={"direction": direction}))
        evidence.append(benchmark.evidence(items[-1], [Answer(first, tokens[0]), Answer(second, tokens[1])]))
    return {**item_columns(items), **{name: np.array([row[name] for row in evidence]) for name in evidence[0]}}


def test_toy_of_the_authors() -> None:
    columns = table(SHARED, TOY)
    found = {score.id.partition("/")[2]: score.value(columns) for score in SHARED.scores}
    assert found == {"metric": 40.0, "stereotype": 50.0, "antistereotype": 50.0, "neutral": 20.0}
    (metric,) = SHARED.metrics
    assert metric.value(columns).tolist() == [0, 1, 1, 0, 0]  # the first is a tie at three decimals
    assert metric.preference is not None
    np.testing.assert_allclose(metric.preference(columns), [0, 1, 1, -1, -1], atol=1e-12)


def test_the_sentence_about_the_disadvantaged_group_is_asked_first(data_dir: Path) -> None:
    causal = {item.id: item for item in benchmarks.get("crows_pairs").items(data_dir)}
    items = SHARED.items(data_dir)
    assert len(items) == SHARED.n_items == len(causal)
    for item in items:
        more, less = causal[item.id].requests
        assert item.requests == ((more, less) if item.fields["direction"] == "stereo" else (less, more))
    answers = [Answer(-1.0, 1), Answer(-2.0, 2)]
    anti = next(item for item in items if item.fields["direction"] == "antistereo")
    assert SHARED.evidence(anti, answers)["ll_more"] == -2.0
    assert items[0].requests == DIFFERING.items(data_dir)[0].requests


def test_bias_bench_by_hand() -> None:
    """Means a token: -2 against -3, and -1 against -1 after rounding; the third pair has nothing of its own."""
    rows = [(-4.0, -3.0, 2, 1), (-2.0002, -1.0, 2, 1), (-1.0, 0.0, 1, 0), (-9.0, -1.0, 3, 1)]
    columns = {
        name: np.array([row[at] for row in rows])
        for at, name in enumerate(("ll_more", "ll_less", "n_tokens_more", "n_tokens_less"))
    }
    (metric,), (skipped,) = DIFFERING.metrics, DIFFERING.scores
    np.testing.assert_array_equal(metric.value(columns), [1, 0, np.nan, 0])
    assert metric.statistic is not None
    assert metric.influence is not None
    assert metric.support is not None
    assert metric.statistic(columns) == pytest.approx(1 / 3)
    np.testing.assert_allclose(metric.influence(columns), [2 / 9, -1 / 9, 0, -1 / 9])
    assert (metric.support(columns), skipped.value(columns)) == (3, 0.25)
    none = {name: column[2:3] for name, column in columns.items()}
    assert np.isnan(metric.statistic(none))


def test_bias_bench_of_causal_models_ranks_as_the_mean_does() -> None:
    """2 ** (mean log2 p) by its own definition, over columns of random probabilities."""
    rng = np.random.default_rng(0)
    p = [[rng.uniform(0.01, 1, rng.integers(1, 9)) for _ in range(2)] for _ in range(200)]
    columns = {
        f"ll_{side}": np.array([np.log(pair[at]).sum() for pair in p]) for at, side in enumerate(("more", "less"))
    } | {f"n_tokens_{side}": np.array([len(pair[at]) for pair in p]) for at, side in enumerate(("more", "less"))}
    score = next(s for s in benchmarks.get("crows_pairs").scores if s.id == "crows/bias_bench")
    expected = np.mean([2 ** np.mean(np.log2(more)) > 2 ** np.mean(np.log2(less)) for more, less in p])
    assert score.value(columns) == pytest.approx(100 * expected)


def test_end_to_end_over_a_tiny_model() -> None:
    """The benchmark's numbers from a model's answers, beside the loop of metric.py."""
    pairs = [("the cat sat", "the dog sat", "stereo"), ("she ran away", "he ran away", "antistereo")]
    requests = [("", text) for first, second, _ in pairs for text in (first, second)]
    model, tok = bert(), words()
    found = masked_loglikelihood(model, tok, "shared", requests)
    rows = [(found.ll[2 * at], found.ll[2 * at + 1], way) for at, (_, _, way) in enumerate(pairs)]
    columns = table(SHARED, rows)
    expected = metrics.crows_pll_shared(found.ll[0::2], found.ll[1::2], [way for *_, way in pairs])
    assert next(iter(SHARED.scores)).value(columns) == expected.metric == 100 * Paired.of(
        SHARED.metrics[0], columns, columns
    ).levels[0]  # fmt: skip


ROWS = st.lists(
    st.tuples(
        *[st.floats(-50, 0).map(lambda x: round(x, 4))] * 2, st.sampled_from(["stereo", "antistereo"])
    ),
    min_size=1,
    max_size=30,
)  # fmt: skip


@given(ROWS)
def test_swapping_the_sentences_turns_the_preference(rows: list[tuple[float, float, str]]) -> None:
    swapped = [(b, a, way) for a, b, way in rows]
    for benchmark in (SHARED, DIFFERING):
        (metric,) = benchmark.metrics
        here, there = table(benchmark, rows), table(benchmark, swapped)
        ties = metrics.crows_rounded_margin(here["ll_more"], here["ll_less"]) == 0
        np.testing.assert_array_equal(metric.value(here) + metric.value(there), np.where(ties, 0, 1))


def test_rounding_is_pythons() -> None:
    np.testing.assert_array_equal(metrics.crows_rounded_margin([1.0005, np.nan], [1.0, 1.0]), [0.0, np.nan])
    with pytest.raises(ValueError, match="second must be one value for each of 1 pairs, got 2"):
        metrics.crows_rounded_margin([1.0], [1.0, 2.0])
