"""What must hold for every metric of every benchmark, over made-up answers to its real items."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fairopt import benchmarks, scorers
from fairopt.audit.paired import Paired
from fairopt.audit.rule import ALL
from fairopt.benchmarks import (
    Answer,
    Benchmark,
    Columns,
    Cosine,
    Generate,
    Item,
    Similarity,
    Text,
    TopWords,
    Words,
    item_columns,
)

_WORDS = ("yes", "no", "the", "man", "woman", "said", "kind", "bad", "agree", "17", "million", "(A)", "hate", "I", ".")
_WORDS += ("baker", "miner", "rude", "trusted", "feared")  # the phantom's: some of its texts are readable
_WORDS += ("white", "Asian")  # whom DiscrimEval-Gen names

_SIGNED_BY_NAME = ("winobias_questions/population",)  # the right answers about "male" minus those about "female"
LEVELS = ("bbq?prior=on", "bold?decoding=sample:2", "matched_guise?attributes=guilt")  # that measure more than defaults


def columns(benchmark: Benchmark, items: list[Item], seed: int, *, scored: bool = True) -> Columns:
    """The item table of a model that answers at random, every item by itself; not ``scored``: every seventh is NaN."""
    evidence = []
    for index, item in enumerate(items):
        rng = np.random.default_rng([seed, *item.id.encode()])
        missing = not scored and index % 7 == 0
        evidence.append(benchmark.evidence(item, [answer(benchmark, rng, missing) for _ in item.requests]))
    return {**item_columns(items), **{name: np.array([row[name] for row in evidence]) for name in evidence[0]}}


def answer(benchmark: Benchmark, rng: np.random.Generator, missing: bool) -> Answer | Cosine | Words | tuple[Text, ...]:
    """One random answer of the kind that the benchmark asks for."""
    ask = benchmark.ask
    if isinstance(ask, Similarity):
        return Cosine(np.nan if missing else float(rng.uniform(-1, 1)))
    if isinstance(ask, TopWords):
        return Words(() if missing else tuple(rng.choice(_WORDS, ask.k)))
    if isinstance(ask, Generate):
        return tuple(text(ask, rng, missing) for _ in range(ask.samples or 1))
    ll = float(rng.integers(-60, 0) / 4)  # quarters of a nat: ties happen
    return Answer(np.nan if missing else ll, int(rng.integers(1, 9)))


scorer = cache(scorers.get)  # a file is read for its id


def text(ask: Generate, rng: np.random.Generator, missing: bool) -> Text:
    words = " ".join(rng.choice(_WORDS, int(rng.integers(0, 12))))
    numbers = {(scorer(name).id, number) for name in ask.scorers for number in scorer(name).numbers}
    scores = {}
    for of, number in sorted(numbers, key=lambda entry: (entry[0], entry[1].name)):
        low, high = number.range
        scores[f"{of}/{number.name}"] = np.nan if missing or not words else float(rng.uniform(low, high))
    ll = np.nan if missing else -float(rng.uniform(0, 30))
    return Text(words, len(words.split()) + 1, ll, "end", ll if words else np.nan, len(words.split()), scores)


@pytest.fixture(scope="module", params=(*benchmarks.NAMES, *LEVELS))
def asked(
    request: pytest.FixtureRequest, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Benchmark, list[Item]]:
    benchmark = benchmarks.get(request.param)
    if request.param in ("honest", "honest_texts"):
        data_dir = with_lexicon(data_dir, tmp_path_factory.mktemp("honest"))
    files = benchmark.source.files if benchmark.source else {}
    if files and not any((data_dir / name).exists() for name in files):  # some of a set missing is an error
        pytest.skip(f"{request.param}: {data_dir} (FAIROPT_DATA) holds none of its files; its own test makes some up")
    items = benchmark.items(data_dir)
    return benchmark, items[:: max(1, len(items) // 600)]


def with_lexicon(data_dir: Path, folder: Path) -> Path:
    """The templates of HONEST beside a made-up lexicon; HurtLex itself is fetched by its users."""
    (folder / "honest").mkdir()
    (folder / "honest" / "binary").symlink_to(data_dir / "honest" / "binary")
    head = "id\tpos\tcategory\tstereotype\tlemma\tlevel\n"
    (folder / "honest" / "hurtlex_EN.tsv").write_text(head + "EN1\ta\tcds\tno\tbad\tconservative\n")
    return folder


def test_ids_name_one_thing_each() -> None:
    found = [benchmarks.get(name) for name in benchmarks.NAMES]
    ids = [entry.id for benchmark in found for entry in (*benchmark.metrics, *benchmark.scores)]
    assert len(set(ids)) == len(ids)
    assert all(part for name in ids for part in name.split("/"))
    assert all("/" in name for name in ids)


def test_a_metric_stands_for_a_gated_one(asked: tuple[Benchmark, list[Item]]) -> None:
    benchmark, items = asked
    metrics = {metric.id: metric for metric in benchmark.metrics}
    for other in metrics.values():
        if other.gated:
            assert not other.instead_of
        elif other.instead_of:
            gated = metrics[other.instead_of]
            assert gated.gated
            assert (other.kind, other.unit, other.harm) == (gated.kind, gated.unit, gated.harm)
            assert other.by == gated.by  # a re-analysis puts it in place, group by group
            assert (other.applies is None) == (gated.applies is None)
            if other.applies is not None and gated.applies is not None:
                table = item_columns(items)
                np.testing.assert_array_equal(other.applies(table), gated.applies(table))


def test_swapping_the_models_negates_the_change(asked: tuple[Benchmark, list[Item]]) -> None:
    benchmark, items = asked
    one, other = columns(benchmark, items, 1), columns(benchmark, items, 2)
    for metric in benchmark.metrics:
        there, back = Paired.of(metric, one, other), Paired.of(metric, other, one)
        assert there.levels == back.levels[::-1]
        np.testing.assert_array_equal(there.d, -back.d)
        assert not np.any(np.isnan(there.levels)), metric.id
        same = Paired.of(metric, one, one)
        assert not np.any(same.d)
        assert same.levels[0] == same.levels[1]


def test_the_order_of_items_is_nothing(asked: tuple[Benchmark, list[Item]]) -> None:
    benchmark, items = asked
    table = columns(benchmark, items, 1)
    order = np.random.default_rng(3).permutation(len(items))
    shuffled = {name: column[order] for name, column in table.items()}
    for metric in benchmark.metrics:
        before, after = Paired.of(metric, table, table), Paired.of(metric, shuffled, shuffled)
        assert after.levels == pytest.approx(before.levels, abs=1e-12)
        low, high = metric.range
        assert low <= before.levels[0] <= high
        if metric.kind != "ratio":
            assert np.all((before.base >= low) & (before.base <= high)), metric.id
        assert before.influences[0].sum() == pytest.approx(0, abs=1e-12)
    for score in benchmark.scores:
        assert score.value(shuffled) == pytest.approx(score.value(table), abs=1e-12)
        low, high = score.range
        assert low <= score.value(table) <= high


def test_an_item_without_a_score_is_never_dropped(asked: tuple[Benchmark, list[Item]]) -> None:
    """A value is NaN where a model gave none, and so is every number over items that hold it."""
    benchmark, items = asked
    if isinstance(benchmark.ask, Generate):
        pytest.skip("a text is always there; what could not be read from it is counted, and tested by each benchmark")
    table = columns(benchmark, items, 1, scored=False)
    for metric in benchmark.metrics:
        assert np.isnan(Paired.of(metric, table, table).levels).all(), metric.id
    for score in benchmark.scores:
        assert np.isnan(score.value(table)), score.id


def test_no_group_is_named_like_all_items(asked: tuple[Benchmark, list[Item]]) -> None:
    benchmark, items = asked
    table = item_columns(items)
    for metric in benchmark.metrics:
        assert ALL not in table[metric.by], metric.id


def test_slices_and_applies_choose_items(asked: tuple[Benchmark, list[Item]]) -> None:
    benchmark, items = asked
    table = columns(benchmark, items, 1)
    for metric in benchmark.metrics:
        if metric.applies is not None:  # known before a model has answered: the policy counts items by it
            np.testing.assert_array_equal(metric.applies(item_columns(items)), metric.applies(table))
            assert 0 < metric.applies(table).sum() < len(items)
    for chosen in benchmark.slices.values():
        assert 0 < chosen(table).sum() < len(items)


def test_a_score_is_about_the_items_that_it_says(asked: tuple[Benchmark, list[Item]]) -> None:
    """What `applies` counts is what the value is made from; only HELM's bias score needs the accuracy on all items."""
    benchmark, items = asked
    table = columns(benchmark, items, 1)
    for score in benchmark.scores:
        if score.applies is not None and not score.id.partition("?")[0].endswith("/helm"):
            chosen = score.applies(table)
            own = {name: column[chosen] for name, column in table.items()}
            assert score.value(own) == pytest.approx(score.value(table), abs=1e-12), score.id


def test_a_group_is_no_more_than_its_name(asked: tuple[Benchmark, list[Item]]) -> None:
    """Two groups that trade names trade their values; the number over all items stays."""
    benchmark, items = asked
    table = columns(benchmark, items, 1)
    for metric in benchmark.metrics:
        before = Paired.of(metric, table, table)
        names = np.unique(before.groups)
        if len(names) < 2:
            continue
        one, other, own = names[0], names[-1], table[metric.by]
        traded = table | {metric.by: np.where(own == one, other, np.where(own == other, one, own))}
        after, sign = Paired.of(metric, traded, traded), -1 if metric.id in _SIGNED_BY_NAME else 1
        for there, here in ((one, other), (other, one)):
            expected = sign * before.group(here).levels[0]  # NaN where no answer of a group can be read
            assert after.group(there).levels[0] == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert after.levels[0] == pytest.approx(sign * before.levels[0], abs=1e-12)
