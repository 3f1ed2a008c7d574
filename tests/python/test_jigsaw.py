"""Toxicity judgements: Jigsaw's files in three layouts, areas by hand and by scikit-learn, pairs with swapped terms."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fairopt import benchmarks, metrics
from fairopt.audit.paired import Paired
from fairopt.benchmarks import Answer, Benchmark, Item, LogLikelihood, item_columns
from fairopt.benchmarks.questions.jigsaw_comments import COMPETITION
from fairopt.benchmarks.questions.surface_forms import forms
from fairopt.errors import InputError

JIGSAW = benchmarks.get("jigsaw_identity")
SWAPPED = benchmarks.get("jigsaw_swapped")


def table(benchmark: Benchmark, items: list[Item], yes: np.ndarray) -> dict[str, np.ndarray]:
    """Answers "yes" with these probabilities and "no" with what is left of 0.9, spread over their forms."""
    n = len(forms("yes"))
    evidence = [
        benchmark.evidence(item, [Answer(math.log(p / n), 1) for p in (p, 0.9 - p) for _ in range(n)])
        for item, p in zip(items, yes, strict=True)
    ]
    return {**item_columns(items), **{name: np.array([row[name] for row in evidence]) for name in evidence[0]}}


# ---- the files ----


def test_ceb(data_dir: Path) -> None:
    items = JIGSAW.items(data_dir)
    assert Counter((item.group, item.fields["label"]) for item in items) == {
        (group, label): 125
        for axis in ("gender", "race", "religion")
        for group in (axis, f"no {axis}")
        for label in (0, 1)
    }
    assert len({item.cluster for item in items}) < len(items)  # some comments are there twice
    assert items[3].requests[0][0].endswith("\nQuestion: Is this comment toxic? Answer yes or no.\nAnswer:")
    assert not any("####" in item.requests[0][0] or "You are a helpful" in item.requests[0][0] for item in items)
    chat = JIGSAW.at({"chat": "on", "template": "definition"})
    assert chat.ask == LogLikelihood(chat=True)
    item = chat.items(data_dir)[0]
    assert item.requests[0][0].endswith("leave a discussion. Is this comment toxic? Answer yes or no.")
    assert item.prefix == "Answer:"


def test_madlibs(data_dir: Path) -> None:
    items = JIGSAW.at({"texts": "madlibs"}).items(data_dir)
    assert len(items) == 76564
    groups = Counter(item.group for item in items)
    assert len(groups) == 51  # fifty terms, and sentences about occupations
    assert groups.pop("none") == 864
    assert set(groups.values()) == {1514}
    assert Counter(item.fields["label"] for item in items) == {0: 38282, 1: 38282}
    by_text = {item.requests[0][0].split("\n")[0]: item for item in items}
    assert by_text["Comment: hate african american"].fields["identities"] == "|african american|"  # not "american"


def civil(tmp_path: Path, rows: list[dict[str, str]]) -> Path:
    """Kaggle's layout, made up."""
    head = ["id", "toxicity", "comment_text", *COMPETITION]
    path = tmp_path / "jigsaw_identity" / "test_public_expanded.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, head, restval="0.0")
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def test_civil_comments_in_kaggle_s_layout(tmp_path: Path) -> None:
    unasked = dict.fromkeys(("male", "female", "black"), "")
    data = civil(
        tmp_path,
        [
            {"id": "7", "toxicity": "0.5", "comment_text": "One,\ntwo", "male": "0.5", "black": "1.0"},
            {"id": "8", "toxicity": "0.49", "comment_text": "Three", "jewish": "0.6"},
            {"id": "9", "toxicity": "0.9", "comment_text": "Four", **unasked},
            {"id": "10", "toxicity": "0.0", "comment_text": "Three"},
        ],
    )
    benchmark = JIGSAW.at({"texts": "civil"})
    items = benchmark.items(data)
    assert [(item.id, item.group, item.fields["label"], item.cluster) for item in items] == [
        ("7", "several", 1, "7"),
        ("8", "jewish", 0, "8"),
        ("10", "none", 0, "8"),
    ]
    assert items[0].fields["identities"] == "|male|black|"
    assert [(out.what, out.why) for out in benchmark.left_out(data)] == [
        ("9", "annotators were not asked which identities it mentions")
    ]
    assert {score.id for score in benchmark.scores} >= {"jigsaw_identity/bpsn_muslim?texts=civil"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"toxicity": "high"}, "toxicity in .*line 2 must be a share from 0 to 1, got 'high'"),
        ({"toxicity": ""}, "toxicity in .*line 2 must be a share from 0 to 1, got ''"),
        ({"male": "1.5"}, "male in .*line 2 must be a share from 0 to 1, got '1.5'"),
        ({"comment_text": " "}, "comment_text in .*line 2 must be text that is not blank"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, row: dict[str, str], message: str) -> None:
    data = civil(tmp_path, [{"id": "1", "toxicity": "0.1", "comment_text": "x", **row}])
    with pytest.raises(InputError, match=message):
        JIGSAW.at({"texts": "civil"}).items(data)


# ---- areas ----


def comment(identity: str, toxic: int, number: int, axis: str = "gender") -> Item:
    mentioned = f"|{identity}|" if identity else "|"
    fields: dict[str, str | int | float] = {"label": toxic, "identities": mentioned, "asked": axis}
    return Item(f"{axis}{number}", identity or "none", str(number), (), axis, fields=fields)


def test_areas_by_hand() -> None:
    """The vector of test_subgroup_auc.py, with a comment about race that nobody looked at for gender."""
    toxic = [1, 1, 0, 0, 0, 0, 1, 1, 0, 0]
    score = [0.9, 0.4, 0.8, 0.4, 0.1, 0.1, 0.8, 0.3, 0.2, 0.1]
    items = [comment("gender" if k < 6 else "", label, k) for k, label in enumerate(toxic)]
    items += [comment("race", 1, k, "race") for k in (20, 21)] + [comment("", 0, 22, "race")]
    columns = table(JIGSAW, items, np.array([*(0.8 * s for s in score), 0.05, 0.85, 0.1]))
    found = {score.id.removeprefix("jigsaw_identity/"): score.value(columns) for score in JIGSAW.scores}
    assert found["subgroup_gender"] == 6.5 / 8
    assert found["bpsn_gender"] == 5.5 / 8
    assert found["bnsp_gender"] == 1.0
    assert math.isnan(found["subgroup_race"])  # no harmless comment about it
    assert found["bnsp_race"] == 0.5  # against one harmless comment about nobody: above it once, below it once
    assert found["subgroup_mean"] == pytest.approx(6.5 / 8)  # over the one identity that has such an area
    assert found["bnsp_mean"] == pytest.approx(metrics.generalized_mean([1.0, 0.5]))
    # At even odds p("yes") > .45: gender's 0.9 and 0.8 are flagged, the other 0.8, and race's 0.85.
    # All: 1 of 7 harmless flagged, 3 of 6 toxic missed. Gender: 1 of 4, 1 of 2. Race: 1 of 2 missed.
    assert found["fped"] == pytest.approx(abs(1 / 7 - 1 / 4))
    assert found["fned"] == pytest.approx(0.0)
    values = {metric.id: metric for metric in JIGSAW.metrics}
    assert values["jigsaw_identity/flagged"].value(columns).sum() == 4
    assert values["jigsaw_identity/acc"].value(columns).mean() == (3 + 6) / 13
    np.testing.assert_allclose(values["jigsaw_identity/outside"].value(columns), 0.1)


def test_the_gated_area_is_scikit_learn_s_and_linear_in_its_influence(data_dir: Path) -> None:
    items = JIGSAW.items(data_dir)
    rng = np.random.default_rng(2)
    columns = table(JIGSAW, items, np.round(rng.uniform(0.05, 0.85, len(items)), 2))
    (metric,) = (metric for metric in JIGSAW.metrics if metric.gated)
    paired = Paired.of(metric, columns, columns)
    odds = columns["ll_yes"] - columns["ll_no"]
    assert paired.levels[0] == pytest.approx(roc_auc_score(columns["label"], odds), abs=1e-12)
    placement = metric.value(columns)
    for label in (0, 1):
        assert placement[columns["label"] == label].mean() == pytest.approx(paired.levels[0], abs=1e-12)
    influence = paired.influences[0]
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    # Leaving one comment out moves the area by its influence, up to second order: 1 / n^2 of a term of at most 1.
    for k in (0, 700, 1499):
        kept = np.arange(len(items)) != k
        without = roc_auc_score(columns["label"][kept], odds[kept])
        assert paired.levels[0] - without == pytest.approx(influence[k], abs=4 / len(items) ** 2)
    religion = paired.group("religion")
    member = columns["group"] == "religion"
    assert religion.levels[0] == pytest.approx(roc_auc_score(columns["label"][member], odds[member]), abs=1e-12)


def test_relabelling_identities_changes_no_mean(data_dir: Path) -> None:
    items = JIGSAW.items(data_dir)[::5]
    columns = table(JIGSAW, items, np.random.default_rng(3).uniform(0.05, 0.85, len(items)))
    other = {"gender": "race", "race": "religion", "religion": "gender"}

    def renamed(values: np.ndarray) -> np.ndarray:
        return np.array(["|".join(other.get(part, part) for part in str(value).split("|")) for value in values])

    moved = columns | {name: renamed(columns[name]) for name in ("identities", "asked")}
    for score in JIGSAW.scores:
        name, area = score.id.split("/")
        base, _, identity = area.partition("_")
        same = f"{name}/{base}_{other[identity]}" if identity in other else score.id
        there = next(found for found in JIGSAW.scores if found.id == same)
        assert there.value(moved) == pytest.approx(score.value(columns), abs=1e-12)


# ---- swapped terms ----


def test_pairs(data_dir: Path) -> None:
    items, out = SWAPPED.items(data_dir), SWAPPED.left_out(data_dir)
    assert len(items) == SWAPPED.n_items == 707
    assert Counter(entry.why for entry in out) == {
        "the two texts are equal": 758,
        "the two texts differ in case only": 27,  # Jewish becomes jewish: nobody else is meant
    }
    assert len({item.id for item in items} | {entry.what for entry in out}) == 1492
    groups = Counter(item.group for item in items)
    assert groups.most_common(3) == [("gay", 129), ("jewish", 123), ("christian", 115)]
    item = items[0]
    assert len(item.requests) == 24
    first, second = item.requests[0][0], item.requests[12][0]
    assert first != second


def test_a_changed_judgement_is_a_flip() -> None:
    item = Item("1", "gay", "1", (), "identity in the original", fields={"set": "1", "label": 0})
    n = len(forms("yes"))

    def answers(*pairs: tuple[float, float]) -> list[Answer]:
        return [Answer(math.log(p / n), 1) for pair in pairs for p in pair for _ in range(n)]

    found = SWAPPED.evidence(item, answers((0.6, 0.2), (0.1, 0.3)))
    assert (found["decision_first"], found["decision_second"]) == (0, 1)
    assert (found["first"], found["second"]) == (pytest.approx(0.75), pytest.approx(0.25))
    columns = {name: np.array([value]) for name, value in {**found, **item.fields}.items()}
    values = {metric.id: metric.value(columns)[0] for metric in SWAPPED.metrics}
    assert values == {
        "jigsaw_swapped/flip": 1,
        "jigsaw_swapped/gap": pytest.approx(0.5),
        "jigsaw_swapped/difference": pytest.approx(0.5),
    }
