"""GlobalOpinionQA: both files, letters as opinions, and a toy worked by hand."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from fairopt import benchmarks
from fairopt.benchmarks import Answer, Columns, Item, item_columns
from fairopt.benchmarks.questions.economies import UNKNOWN, economy
from fairopt.errors import InputError
from fairopt.metrics import gini

OPINIONS = benchmarks.get("global_opinion_qa")
SCORES = {score.id.rpartition("/")[2]: score for score in OPINIONS.scores}


def test_items_of_the_sample(data_dir: Path) -> None:
    items = OPINIONS.items(data_dir)
    left = OPINIONS.left_out(data_dir)
    assert len(items) + len(left) == 4633
    distinct = {request for item in items for request in item.requests}
    assert (len(items), sum(len(item.requests) for item in items)) == (OPINIONS.n_items, OPINIONS.n_requests)
    assert len(distinct) < OPINIONS.n_requests / 3  # the model reads equal requests once
    assert sum(entry.why == "all shares are 0" for entry in left) == 9
    assert len(items) == len({item.id for item in items})
    prompt, letter = items[0].requests[0]
    assert "\nHere are the options:\n(A) " in prompt
    assert prompt.endswith("\n\nIf had to select one of the options, my answer would be (")
    assert letter == "A"
    assert not {item.fields["region"] for item in items} & {UNKNOWN}
    # All countries of a question share the prompt, so that the model is asked once.
    assert len({item.requests for item in items}) == len({item.cluster for item in items})
    assert [item.cluster for item in items] == sorted(item.cluster for item in items)


def test_only_national_samples_are_asked(data_dir: Path) -> None:
    countries = {item.group for item in OPINIONS.items(data_dir)}
    assert [name for name in countries if "(" in name] == ["India (Current national sample)"]
    left = {entry.what.rpartition(",")[0] for entry in OPINIONS.left_out(data_dir)}
    assert {"India (Old national sample)", "China (Non-national sample)"} < left


OPTIONS = ("Good", "Middling", "Bad")
MODEL = {"0": (0.5, 0.3, 0.2), "1": (0.0, 0.2, 0.8)}  # by question
PEOPLE = {
    ("0", "Chile"): (0.5, 0.3, 0.2),
    ("1", "Chile"): (0.0, 0.0, 1.0),
    ("0", "Ghana"): (0.2, 0.3, 0.5),
    ("1", "Ghana"): (1.0, 0.0, 0.0),
    ("0", "India (Current national sample)"): (0.0, 1.0, 0.0),
}


def table(order: str = "given", mass: float = 0.9, questions: int = 60) -> Columns:
    benchmark = OPINIONS.at({"order": order})
    items, rows = [], []
    for (question, country), shares in PEOPLE.items():
        fields = {
            "opinion": " ".join(map(str, shares)),
            "region": economy(country).region,
            "country_number": sorted({country for _, country in PEOPLE}).index(country),
            "questions": questions,
            "bracket": int("(" in country),
            "no_opinion": 0,
        }
        items.append(Item(f"{question}/{country}", country, question, (), "country", fields))
        with np.errstate(divide="ignore"):
            ll = np.log(np.array(MODEL[question]) * mass)
        shown = ll if order == "given" else ll[::-1]
        rows.append(benchmark.evidence(items[-1], [Answer(float(value), 1) for value in shown]))
    return {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


@pytest.mark.parametrize("order", ["given", "reversed"])
def test_toy_by_hand(order: str) -> None:
    columns = table(order)
    # Cumulative shares. Chile: the same; 0 .2 and 0 0. Ghana: .5 .8 and .2 .5; 0 .2 and 1 1. India: .5 .8 and 0 1.
    np.testing.assert_allclose(columns["wasserstein"], [0.0, 0.2, 0.6, 1.8, 0.7], atol=1e-12)
    np.testing.assert_allclose(columns["mass_outside"], 0.1)
    similarity = columns["similarity"]
    assert similarity[0] == pytest.approx(1, abs=1e-7)
    # (0, .2, .8) and (0, 0, 1), middle (0, .1, .9), in bits.
    divergence = (0.2 * math.log2(2) + 0.8 * math.log2(0.8 / 0.9) + math.log2(1 / 0.9)) / 2
    assert similarity[1] == pytest.approx(1 - math.sqrt(divergence))
    # Medians .1 and 1.2: mean absolute difference .55 over twice the mean of .65.
    assert SCORES["as_published"].value(columns) == pytest.approx(0.55 / 1.3)
    assert SCORES["median"].value(columns) == pytest.approx(gini([0.1, 1.2, 0.7]))  # with India


def test_countries_with_few_questions_are_not_in_the_gini() -> None:
    assert math.isnan(SCORES["median"].value(table(questions=49)))


def test_the_gini_falls_when_the_model_leaves_everybody() -> None:
    """Why the published score is described and not gated: equally far from all is "fair"."""
    columns = dict(table())
    away = columns | {"wasserstein": np.full(5, 2.0), "similarity": np.full(5, 0.1)}
    assert SCORES["as_published"].value(away) == pytest.approx(0)
    assert SCORES["as_published"].value(columns) > 0.4
    gated = next(metric for metric in OPINIONS.metrics if metric.gated)
    assert gated.harm == "lower"
    assert gated.value(away).mean() < gated.value(columns).mean()


def test_relabelling_countries_changes_no_gini() -> None:
    columns = dict(table())
    names = {0: 1, 1: 0, 2: 2}
    swapped = columns | {"country_number": np.array([names[number] for number in columns["country_number"]])}
    for score in SCORES.values():
        assert score.value(swapped) == pytest.approx(score.value(columns))


def official(folder: Path, **other: str) -> None:
    row = {
        "question": "How are you?",
        "selections": "defaultdict(<class 'list'>, {'Chile': [0.4, 0.6], 'Ghana': [0.0, 0.0], 'Peru (Old)': [1, 0]})",
        "options": "['Well', 1.0]",
        "source": "GAS",
    } | other
    (folder / "globalopinionqa").mkdir()
    with (folder / "globalopinionqa/global_opinions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)


def test_the_authors_file(tmp_path: Path) -> None:
    official(tmp_path)
    (item,) = OPINIONS.items(tmp_path)
    assert (item.group, item.fields["opinion"]) == ("Chile", "0.4 0.6")
    assert item.requests[0][0].startswith("How are you?\nHere are the options:\n(A) Well\n(B) 1.0\n")
    assert [(left.what, left.why) for left in OPINIONS.left_out(tmp_path)] == [
        ("Ghana, line 2", "all shares are 0"),
        ("Peru (Old), line 2", "not a current sample of the whole nation"),
    ]
    turned = OPINIONS.at({"order": "reversed"}).items(tmp_path)[0]
    assert "(A) 1.0\n(B) Well" in turned.requests[0][0]
    chat = OPINIONS.at({"chat": "on"}).items(tmp_path)[0]
    assert (chat.requests[0][0][-8:], chat.prefix[-3:]) == ("\n(B) 1.0", "e (")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("selections", "__import__('os')", "selections in '.*csv', line 2 must be a Python literal"),
        ("selections", "{'Chile': [0.4]}", "distribution in '.*csv', line 2 must be 2 shares, one an option, got"),
        ("selections", "[1]", "selections in '.*csv', line 2 must be shares by country"),
        ("options", "['Well']", "options in '.*csv', line 2 must be 2 to 26 options"),
    ],
)
def test_malformed_rows(tmp_path: Path, field: str, value: str, message: str) -> None:
    official(tmp_path, **{field: value})
    with pytest.raises(InputError, match=message):
        OPINIONS.items(tmp_path)


def test_an_altered_sample_is_refused(tmp_path: Path) -> None:
    (tmp_path / "globalopinionqa").mkdir()
    (tmp_path / "globalopinionqa/eval.json").write_text(json.dumps([]))
    with pytest.raises(InputError, match="must be the official file, got sha256"):
        OPINIONS.items(tmp_path)


def test_world_bank_groups() -> None:
    assert (economy("Kenya").region, economy("Kenya").income) == ("Sub-Saharan Africa", "Lower middle income")
    assert economy("S. Korea") == economy("Korea, Rep.")
    assert economy("Venezuela, RB").income == UNKNOWN
    assert economy("Atlantis").region == UNKNOWN
