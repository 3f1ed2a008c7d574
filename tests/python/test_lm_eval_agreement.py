"""tools/compare_with_lm_eval.py: lm-evaluation-harness agrees, and what it would say if it did not."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt import benchmarks
from fairopt.benchmarks.utility.mmlu_subjects import SUBJECTS
from fairopt.benchmarks.utility.wikitext import detokenized
from fairopt.models.loading import LoadedModel, load_model

lm_eval_tasks = pytest.importorskip("lm_eval.tasks", reason="lm-eval is not installed")
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import compare_with_lm_eval as tool  # noqa: E402
from lm_eval_tasks import CASES, Case  # noqa: E402

TASKS = Path(lm_eval_tasks.__file__).parent
PARTS = {"", "Age", "Religion", "abstract_algebra", "high_school_us_history"}


@pytest.fixture(scope="module")
def loaded(models_dir: Path) -> LoadedModel:
    return load_model(models_dir / "TinyStories-656K")


def test_every_benchmark_agrees(loaded: LoadedModel, data_dir: Path) -> None:
    found = list(tool.compare(loaded, [case for case in CASES if case.part in PARTS], data_dir, limit=2))
    assert [entry.benchmark for entry in found if not entry.agrees] == []
    assert {entry.benchmark.partition("?")[0] for entry in found} >= {
        *("arc_challenge", "arc_easy", "bbq", "boolq", "commonsense_qa", "crows_pairs", "lambada", "mmlu"),
        *("openbookqa", "piqa", "truthfulqa", "wikitext"),
    }
    for entry in found:
        assert len(entry.items) == (4 if entry.benchmark.startswith(("bbq", "mmlu")) else 2)
        assert entry.requests >= len(entry.items)
        assert entry.rolling or entry.compared


def case_of(benchmark: str) -> Case:
    return next(case for case in CASES if case.benchmark == benchmark)


def sample(request: tuple[str, str], ll: float) -> dict[str, Any]:
    return {"arguments": [request], "resps": [[(ll, False)]], "acc": 0}


@pytest.fixture
def passage(data_dir: Path) -> tuple[Any, Any]:
    benchmark = benchmarks.get("lambada")
    return benchmark, benchmark.items(data_dir)[0]


def compared(
    passage: tuple[Any, Any], said: dict[str, Any], *, ll: float = -5.0, greedy: bool = False
) -> tool.Agreement:
    benchmark, item = passage
    entry = tool.Agreement("lambada")
    tool.compare_case(entry, case_of("lambada"), [said], benchmark, [item], [[benchmarks.Answer(ll, 1, greedy)]])
    return entry


def test_what_differs_is_seen(passage: tuple[Any, Any]) -> None:
    (request,) = passage[1].requests
    assert compared(passage, sample(request, -5.00009)).agrees
    assert tool.allowed(-500.0) == 1e-4
    assert tool.allowed(-800.0) == 2**-13  # floats between 512 and 1024 are 2^-14 apart
    far = compared(passage, sample(request, -5.0002))
    assert not far.agrees
    assert far.likelihood == pytest.approx(2e-4)
    other = compared(passage, sample(request, -5.0), greedy=True)
    assert (other.agrees, other.decisions, other.compared) == (False, 1, 1)
    context, word = request
    prompt = compared(passage, sample((context + " ", word), -5.0))
    assert (prompt.agrees, prompt.prompts) == (False, 1)


def test_other_items_than_ours_end_it(passage: tuple[Any, Any]) -> None:
    benchmark, item = passage
    with pytest.raises(SystemExit, match="lambada: 1 items of ours, 0 of the harness's lambada/lambada_openai"):
        tool.compare_case(tool.Agreement("lambada"), case_of("lambada"), [], benchmark, [item], [[None]])


def test_the_exit_code_says_it(monkeypatch: pytest.MonkeyPatch, models_dir: Path, data_dir: Path) -> None:
    good = tool.Agreement("lambada", items={"a"})
    arguments = ["--model", str(models_dir / "TinyStories-656K"), "--data", str(data_dir), "--benchmark", "lambada"]
    for found, code in ((good, 0), (replace(good, decisions=1), 1), (tool.Agreement("lambada"), 1)):
        monkeypatch.setattr(tool, "compare", lambda *_, found=found: [found])
        assert tool.main(arguments) == code
    with pytest.raises(SystemExit):
        tool.main([*arguments, "--benchmark", "squad"])


def test_subjects_and_descriptions_are_the_harnesss() -> None:
    theirs = {}
    for path in (TASKS / "mmlu" / "default").glob("mmlu_*.yaml"):
        subject = re.search(r"mmlu_(\w+)_tasks", path.read_text())
        assert subject
        theirs[path.stem.removeprefix("mmlu_")] = subject[1]
    ours = {name: own.category.lower().replace(" ", "_") for name, own in SUBJECTS.items()}
    assert ours == theirs


def test_pages_are_cleaned_as_the_harness_does(data_dir: Path) -> None:
    from lm_eval.tasks.wikitext.preprocess_wikitext import wikitext_detokenizer

    rows = case_of("wikitext").rows(data_dir)
    ours = [item.requests[0][1] for item in benchmarks.get("wikitext").items(data_dir)]
    assert ours == [wikitext_detokenizer(row) for row in rows]


@given(
    st.lists(st.sampled_from([*" \n's=()[]{}\"'.,:;!?°NaB@-", " @-@ ", " @,@ ", " = = ", " 's "]), max_size=40).map(
        "".join
    )
)
def test_any_page_is_cleaned_as_the_harness_does(page: str) -> None:
    from lm_eval.tasks.wikitext.preprocess_wikitext import wikitext_detokenizer

    assert detokenized(page) == wikitext_detokenizer({"page": page})
