"""SEAT and WEAT as benchmarks: the files, the clusters, the numbers from a model's vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from masked_models import bert, words

from fairopt import benchmarks, metrics
from fairopt.benchmarks import Cosine, Similarity, item_columns
from fairopt.benchmarks.embeddings.association_tests import about, read_test, stem
from fairopt.errors import InputError
from fairopt.models.embed import embed
from fairopt.models.similarity import similarity


@pytest.mark.parametrize(("name", "tests", "targets"), [("seat", 31, 5528), ("weat", 19, 482)])
def test_items(name: str, tests: int, targets: int, data_dir: Path) -> None:
    benchmark = benchmarks.get(name)
    items = benchmark.items(data_dir)
    assert len({item.id for item in items}) == len(items) == benchmark.n_items == targets
    assert sum(len(item.requests) for item in items) == benchmark.n_requests
    assert len({item.group for item in items}) == tests
    for test in {item.group for item in items}:  # the two sets of targets are of equal size in all files
        sides = [item.fields["set"] for item in items if item.group == test]
        assert sides.count("targ1") == sides.count("targ2")


def test_all_files_are_asked_once(data_dir: Path) -> None:
    asked = [path for name in ("seat", "weat") for path in benchmarks.get(name).source.files]
    assert sorted(asked) == sorted(
        str(path.relative_to(data_dir)) for path in (data_dir / "seat_weat").glob("*/*.jsonl")
    )


def test_sentences_of_a_word_are_a_cluster(data_dir: Path) -> None:
    items = benchmarks.get("seat").items(data_dir)

    def clusters(test: str, side: str) -> int:
        return len({item.cluster for item in items if (item.group, item.fields["set"]) == (test, side)})

    assert (clusters("sent-weat1", "targ1"), clusters("sent-weat1", "targ2")) == (25, 25)
    assert (clusters("sent-religion1", "targ1"), clusters("sent-weat6", "targ1")) == (6, 8)
    assert stem("This is a man.") == stem("Men are people.") == "man"
    assert stem("Those are churches.") == stem("The church is here.")
    assert stem("It is.") == "it is."
    assert [about(name) for name in ("sent-weat10", "weat1", "sent-religion2b", "heilman_double_bind_likable_1")] == [
        "age",
        "things",
        "religion",
        "gender",
    ]


def test_levels() -> None:
    assert benchmarks.get("seat").ask == Similarity(-1, "mean")
    assert benchmarks.get("weat").ask == Similarity(0, "tokens")
    other = benchmarks.get("seat?layer=2&pooling=first")
    assert other.ask == Similarity(2, "first")
    assert other.scores[0].id == "seat_effect_size/by_test?layer=2&pooling=first"
    with pytest.raises(InputError, match="seat: pooling must be one of mean, tokens, first, last, got 'max'"):
        benchmarks.get("seat?pooling=max")


TEST = {
    "targ1": {"category": "Cats", "examples": ["the cat", "a cat", "cat."]},
    "targ2": {"category": "Dogs", "examples": ["the dog", "a dog", "dog."]},
    "attr1": {"category": "He", "examples": ["he", "the hat"]},
    "attr2": {"category": "She", "examples": ["she", "a mat", "who was"]},
}


def test_numbers_of_a_tiny_model(tmp_path: Path) -> None:
    """Effect size and p from the benchmark's columns are those of the vectors themselves."""
    path = tmp_path / "weat6.jsonl"
    path.write_text(json.dumps(TEST))
    seat = benchmarks.get("seat")
    items = read_test("seat", path)
    model, tok = bert(), words()
    requests = [(text, texts.split("\n")) for item in items for text, texts in item.requests]
    answers = [Cosine(mean) for mean in similarity(model, tok, requests).mean.tolist()]
    evidence = [seat.evidence(item, answers[2 * at : 2 * at + 2]) for at, item in enumerate(items)]
    columns = {**item_columns(items), **{name: np.array([row[name] for row in evidence]) for name in evidence[0]}}
    x, y, a, b = (np.array(embed(model, tok, side["examples"]).vectors) for side in TEST.values())
    one, two = metrics.weat_associations(x, a, b), metrics.weat_associations(y, a, b)
    effect, absolute, p = (score.value(columns) for score in seat.scores)
    # Vectors of other batches differ by rounding, 1e-6 of their size.
    assert effect == pytest.approx(metrics.weat_effect_size(one, two), abs=1e-4)
    assert absolute == abs(effect)
    assert p == metrics.weat_permutation(one, two).p
    size, metric = seat.metrics
    assert size.statistic is not None
    assert size.statistic(columns) == effect
    np.testing.assert_allclose(metric.value(columns), [*one, *-two], atol=1e-5)


def test_influence_is_the_derivative_of_the_effect_size() -> None:
    """A target counted eps times more moves the effect size by n eps times its influence."""
    rng = np.random.default_rng(0)
    columns = {
        "group": np.repeat(["a", "b"], [12, 20]),
        "axis": np.repeat("gender", 32),
        "set": np.array((["targ1"] * 6 + ["targ2"] * 6) + (["targ1"] * 10 + ["targ2"] * 10)),
        "near_first": rng.normal(size=32),
        "near_second": rng.normal(size=32),
    }
    (size, _), copies = benchmarks.get("seat").metrics, 2000
    assert size.statistic is not None
    assert size.influence is not None
    influence = size.influence(columns)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    many = {name: np.tile(column, copies) for name, column in columns.items()}
    for target in range(32):
        more = {name: np.append(column, column[target]) for name, column in many.items()}
        moved = (size.statistic(more) - size.statistic(many)) * copies
        # With so many targets ddof = 1 is nothing; 1 / 2000 is the size of what a derivative leaves out.
        n = 12 if target < 12 else 20
        assert moved == pytest.approx(influence[target] * np.sqrt(n / (n - 1)), abs=2e-3)


def test_several_tests() -> None:
    """The first test has effect size s, the second -s: mean 0, mean absolute s; p is the smaller one times 2."""
    near = [1.0, -0.2, -1.0, 0.2]
    columns = {
        "group": np.repeat(["a", "b"], 4),
        "set": np.array(["targ1", "targ1", "targ2", "targ2"] * 2),
        "near_first": np.array([*near, *reversed(near)]),
        "near_second": np.zeros(8),
    }
    effect, absolute, p = (score.value(columns) for score in benchmarks.get("weat").scores)
    assert effect == pytest.approx(0, abs=1e-12)
    assert absolute == pytest.approx(0.9607689, abs=1e-7)
    assert p == pytest.approx(2 / 3)
    columns["near_first"][0] = np.nan
    assert all(np.isnan(score.value(columns)) for score in benchmarks.get("weat").scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attr2": None}, r"attr2 in .*weat6.jsonl' must be an object, got None"),
        ({"targ1": {"category": "A", "examples": []}}, r"examples in targ1 of .* must be at least one text"),
        ({"targ2": {"category": "A", "examples": ["a\nb"]}}, r"examples in targ2 of .* none blank or of several lines"),
        ({"targ2": {"examples": ["a"]}}, r"targ2 of .*weat6.jsonl' must have a field 'category'"),
    ],
)
def test_malformed_files_are_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "weat6.jsonl"
    path.write_text(json.dumps(TEST | change))
    with pytest.raises(InputError, match=message):
        read_test("weat", path)
