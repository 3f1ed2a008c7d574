"""``fairopt list``: what each thing is, needs and costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairopt.benchmarks import NAMES, Generate, LogLikelihood, Masked, Rolling, Similarity, TopWords, get
from fairopt.benchmarks.about import asks, model, needs
from fairopt.benchmarks.suites import SUITES
from fairopt.cli.app import app
from fairopt.scorers import KINDS


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["list", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(*arguments: object) -> list[dict[str, object]]:
    return json.loads(invoke(*arguments, "--json"))


def test_benchmarks_say_what_they_cost_and_need() -> None:
    found = {row["benchmark"]: row for row in rows("benchmarks")}
    assert set(NAMES) <= set(found)
    assert "file:PATH.yaml" in found
    for name in NAMES:
        benchmark, row = get(name), found[name]
        assert (row["items"], row["requests"]) == (benchmark.n_items, benchmark.n_requests)
        assert row["items"] > 0
        assert row["requests"] >= row["items"]
        assert row["asks for"] == asks(benchmark.ask)
        assert row["needs"] == ", ".join(needs(benchmark))
    assert invoke() == invoke("benchmark") == invoke("benchmarks")


@pytest.mark.parametrize(
    ("ask", "wanted", "kind"),
    [
        (LogLikelihood(), "likelihood of a continuation", "causal"),
        (Rolling(), "likelihood of a whole text", "causal"),
        (Masked("shared"), "likelihood of each word that two texts share, hidden", "masked"),
        (Generate(8), "a greedy text of at most 8 tokens", "causal"),
        (Generate(8, samples=1), "a text at T = 1 of at most 8 tokens", "causal"),
        (Generate(8, samples=5, temperature=0.7), "5 texts at T = 0.7 of at most 8 tokens", "causal"),
        (TopWords(20), "the 20 likeliest words in a blank", "causal or masked"),
        (Similarity(), "similarity of hidden states", "causal or masked"),
    ],
)
def test_what_is_asked(ask, wanted: str, kind: str) -> None:
    assert asks(ask) == wanted
    assert model(ask) == kind


def test_needs_at_other_levels() -> None:
    assert needs(get("phantom_texts")) == ["causal model"]
    assert needs(get("bold?chat=on")) == ["causal model", "chat template", "scorer vader", "data"]


def test_metrics_of_all_and_of_one() -> None:
    every = rows("metrics")
    assert {row["metric"] for row in every} == {metric.id for name in NAMES for metric in get(name).metrics}
    own = rows("metric", "bbq")
    assert own == [row for row in every if row["benchmark"] == "bbq"]


def test_suites_and_the_entries_of_one() -> None:
    every = {row["suite"]: row for row in rows("suites")}
    assert list(every) == list(SUITES)
    for name, suite in SUITES.items():
        entries = rows("suite", name)
        assert [len(entries), sum(row["items"] for row in entries)] == [every[name]["benchmarks"], every[name]["items"]]
        for entry, row in zip(suite.entries, entries, strict=True):
            assert entry.limit is None or row["items"] <= entry.limit
            assert row["requests"] >= row["items"]


def test_scorers() -> None:
    assert {row["scorer"] for row in rows("scorers")} == set(KINDS)


def test_one_benchmark_in_full(tmp_path: Path, data_dir: Path) -> None:
    page = json.loads(invoke("benchmark", "crows_pairs", "--json", "--data", data_dir))
    assert page["groups"]["bias type: race-color"] == {"items": "516"}
    assert page["metrics"]["crows/ll_sum"]["role"].startswith("gated at 0.03")
    (file,) = page["files"].values()
    assert file["state"] == "found"
    assert len(file["sha256"]) == 64
    text = invoke("benchmarks", "crows_pairs", "--data", data_dir)
    for part in ("CC BY-SA 4.0", "crows/ll_mean", "Blodgett", "race-color  items 516", "items: 1,508"):
        assert part in text
    without = json.loads(invoke("benchmark", "crows_pairs", "--json", "--data", tmp_path))
    assert without["groups"] == {}
    assert "fairopt data fetch crows_pairs" in without["groups are not known"]
    assert "missing; sha256" in invoke("benchmark", "crows_pairs", "--data", tmp_path)


def test_one_benchmark_at_other_levels_and_one_of_your_own(tmp_path: Path) -> None:
    assert json.loads(invoke("benchmark", "phantom_texts?seed=3", "--json"))["benchmark"] == "phantom_texts?seed=3"
    (tmp_path / "own.csv").write_text("text,label,group\na,yes,m\nb,no,f\n")
    page = json.loads(invoke("benchmark", f"file:{tmp_path}/own.csv", "--json"))
    assert page["groups"] == {"group: m": {"items": "1"}, "group: f": {"items": "1"}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nonsense"],
            "kind must be one of benchmarks, metrics, suites, scorers, recipes, formats, layouts, got 'nonsense'",
        ),
        (["recipies"], "did you mean recipes?"),
        (["formats", "nf4"], "name must follow benchmarks, suites or metrics, got formats nf4"),
        (["suite", "nonsense"], "suite: name must be one of smoke"),
        (["benchmark", "nonsense"], "benchmark: name must be one of"),
    ],
)
def test_what_cannot_be_listed(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["list", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
