"""WorldBench: the file, numbers in texts, and what an error over readable answers alone hides."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt import benchmarks
from fairopt.benchmarks import Benchmark, Columns, Item, Text, item_columns
from fairopt.benchmarks.questions.economies import economy, number
from fairopt.benchmarks.rows import read_csv
from fairopt.errors import InputError
from fairopt.metrics import world_bench_error, world_bench_read, world_bench_read_as_published

WORLD = benchmarks.get("worldbench")
METRICS = {metric.id: metric for metric in WORLD.metrics}
SCORES = {score.id: score for score in WORLD.scores}


def said(text: str) -> Text:
    return Text(text, 1, -1.0, "end", -1.0, 1, {})


def test_items(data_dir: Path) -> None:
    items = WORLD.items(data_dir)
    left = WORLD.left_out(data_dir)
    assert (len(items), len(left)) == (WORLD.n_items, 65)
    assert len(items) + len(left) == 2214
    assert len({entry.what.partition("/")[2] for entry in left}) == 6  # parts of the world
    assert len({item.cluster for item in items}) == 216
    assert len(Counter(item.group for item in items)) == 7
    assert Counter(item.fields["income"] for item in items if item.fields["country"] == "Venezuela, RB").keys() == {
        "not classified"
    }
    prompt = items[0].requests[0][0]
    assert prompt.startswith(
        "I will ask you factual questions about countries. Specifically, I will ask you for the total"
    )
    assert (
        " Switzerland?  Do not answer in a complete sentence - only provide the number! 8,703,771 \nWhat is" in prompt
    )


def test_chat(data_dir: Path) -> None:
    item = WORLD.at({"chat": "on"}).items(data_dir)[0]
    assert item.system.startswith("I will ask you factual questions")
    assert item.requests[0][0].startswith("What is the total population for the country Switzerland?")


@pytest.mark.parametrize(
    ("text", "value", "discarded", "published"),
    [
        ("8,703,771", 8703771, "", 8703771),
        ("45.3%", 45.3, "", 45.3),
        ("\n 12 345 678.5 people", 12345678.5, "", 12),
        ("$1.2 trillion\nWhat is 3?", 1.2e12, "", None),
        ("7 hundred thousand", 700_000, "", 700),
        ("about 5 million", 5e6, "", 5),  # the published rule lets the hedge win over the unit
        ("1,234.5 million", 1.2345e9, "", 1234.5),  # and loses a unit behind separators
        ("2,015", 2015, "", None),  # and takes any such number for a year
        ("In 2020 it was 5.2 million", 5.2e6, "", 5.2e6),
        ("2018", None, "year", None),
        ("-3", None, "negative", None),
        ("I cannot say.", None, "none", None),
        ("", None, "none", None),
        ("0", 0, "", 0),
        (".5", 0.5, "", 0.5),
        ("1.2e9.", 1.2e9, "", 1.2e9),
    ],
)
def test_numbers_in_texts(text: str, value: float | None, discarded: str, published: float | None) -> None:
    found = world_bench_read(text)
    assert found.discarded == discarded
    assert found.value == pytest.approx(math.nan if value is None else value, nan_ok=True)
    peer = world_bench_read_as_published(text)
    assert peer == pytest.approx(math.nan if published is None else published, nan_ok=True)


@given(st.integers(0, 10**13).filter(lambda n: not 2011 <= n <= 2029))
def test_any_number_is_read_with_and_without_separators(number: int) -> None:
    assert world_bench_read(f"{number:,}").value == world_bench_read(f"It is {number}.").value == number


def test_error_by_hand() -> None:
    # 50 for 100 is half off, 200 for 100 too, on the other side; 0 for 0 is right; 7 for 0 as wrong as can be.
    np.testing.assert_allclose(world_bench_error([50, 200, 0, 7, 100], [100, 100, 0, 0, 100]), [-0.5, 0.5, 0, 1, 0])
    assert math.isnan(world_bench_error(math.nan, 3))


def table(answers: dict[tuple[str, float], str]) -> Columns:
    items, rows = [], []
    for (country, truth), text in answers.items():
        of = economy(country)
        fields = {
            "country": country,
            "region": of.region,
            "region_number": number("region", of.region),
            "income": of.income,
            "income_number": number("income", of.income),
            "truth": truth,
        }
        items.append(Item(f"x/{country}/{truth}", economy(country).region, country, (), "region", fields))
        rows.append(WORLD.evidence(items[-1], [(said(text),)]))
    return {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


TOY = {
    ("France", 100.0): "100",
    ("Kenya", 100.0): "50",
    ("Kenya", 10.0): "10",
    ("France", 200.0): "100",
}


def test_toy_by_hand() -> None:
    columns = table(TOY)
    assert METRICS["worldbench/error_or_miss"].value(columns).tolist() == [0, 0.5, 0, 0.5]
    signed = METRICS["worldbench/signed_error/read"].statistic
    assert signed is not None
    assert signed(columns) == pytest.approx(-0.25)
    # France (0 + .5) / 2, Kenya the same.
    assert SCORES["worldbench/disparity_region/all_answers"].value(columns) == pytest.approx(0)
    one = table({key: text for key, text in TOY.items() if key != ("Kenya", 10.0)})
    assert SCORES["worldbench/disparity_region/all_answers"].value(one) == pytest.approx(0.25)
    assert SCORES["worldbench/disparity_income/as_published"].value(one) == pytest.approx(0.25)


def test_relabelled_regions_have_the_same_disparity() -> None:
    columns = dict(table(TOY | {("Chile", 3.0): "none", ("Kenya", 4.0): "5"}))
    numbers = {place: other for other, place in enumerate(sorted(set(columns["region_number"].tolist()), reverse=True))}
    swapped = columns | {"region_number": np.array([numbers[number] for number in columns["region_number"].tolist()])}
    for name in ("all_answers", "as_published"):
        score = SCORES[f"worldbench/disparity_region/{name}"]
        assert score.value(swapped) == pytest.approx(score.value(columns))


def test_a_model_that_falls_silent_looks_better_as_published() -> None:
    """The published mean is over readable answers: a variant that loses its worst half halves its error."""
    base = table(TOY)
    silent = table({key: text if key[1] in (100.0, 10.0) and text != "50" else "?" for key, text in TOY.items()})
    published = METRICS["worldbench/error/as_published"].statistic
    assert published is not None
    assert (published(base), published(silent)) == (0.25, 0.0)
    headline = METRICS["worldbench/error_or_miss"].value
    assert (headline(base).mean(), headline(silent).mean()) == (0.25, 0.5)
    assert METRICS["worldbench/discarded"].value(silent).mean() == 0.5


def test_influence_of_a_mean_over_readable_answers() -> None:
    columns = table(TOY | {("France", 3.0): "none", ("Kenya", 4.0): "5"})
    metric = METRICS["worldbench/error/read"]
    assert metric.influence is not None
    influence = metric.influence(columns)
    assert influence.sum() == pytest.approx(0)
    assert influence[4] == 0  # unread
    # Read: 0, .5, 0, .5, .2; mean .24; a fifth of the distance from it.
    assert influence.tolist() == pytest.approx([-0.048, 0.052, -0.048, 0.052, 0, -0.008])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("gt_answer_avg", "many", "gt_answer_avg in '.*x.csv', line 2 must be a number, got 'many'"),
        ("example", "__import__('os')", "example in '.*x.csv', line 2 must be a Python tuple of a question and its"),
        ("country", " ", "country in '.*x.csv', line 2 must be text that is not blank"),
    ],
)
def test_malformed_rows(tmp_path: Path, field: str, value: str, message: str) -> None:
    row = {
        "prompt": "What?", "country": "Chad", "example": "('Which?', 3.5)", "metric": "m", "gt_answer_avg": "1.5",
        "type": "t",
    }  # fmt: skip
    path = tmp_path / "x.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row | {field: value})
    (parsed,) = read_csv("worldbench", path)
    with pytest.raises(InputError, match=message):
        WORLD._item(parsed)  # type: ignore[attr-defined]


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "worldbench").mkdir()
    (tmp_path / "worldbench/worldbench.csv").write_text("prompt\n")
    with pytest.raises(InputError, match="must be the official file, got sha256"):
        WORLD.items(tmp_path)
    assert isinstance(WORLD, Benchmark)
