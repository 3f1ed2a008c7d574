"""The utility controls: what their files may look like, what is asked, and their numbers by hand."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from utility_files import lines, put, table, unchecked, values

from fairopt import benchmarks
from fairopt.benchmarks import Answer, Benchmark
from fairopt.benchmarks.base import Source
from fairopt.benchmarks.utility.mmlu_subjects import SUBJECTS
from fairopt.errors import InputError

NAN, LN2 = math.nan, math.log(2)


# ---- ARC, OpenBookQA, CommonsenseQA ----


def ai2(key: str = "2", labels: str = "123", **other: Any) -> dict[str, Any]:
    choices = [{"text": f"option {label}", "label": label} for label in labels]
    return {"id": "MCAS_1", "question": {"stem": "Why?", "choices": choices}, "answerKey": key, **other}


def test_arc_reads_the_official_layout(tmp_path: Path) -> None:
    benchmark = unchecked("arc_easy")
    found = benchmark.items(put(tmp_path, "arc/ARC-Easy-Test.jsonl", lines(ai2(), ai2("E", "ABCDE", id="MCAS_2"))))
    assert [item.id for item in found] == ["MCAS_1", "MCAS_2"]
    assert found[0].requests == tuple(("Question: Why?\nAnswer:", f" option {label}") for label in "123")
    assert [item.fields["right"] for item in found] == [1, 4]
    assert [item.fields["n_options"] for item in found] == [3, 5]
    assert benchmark.left_out(tmp_path) == ()


@pytest.mark.parametrize(("name", "stem"), [("arc_challenge", "question"), ("openbookqa", "question_stem")])
def test_the_hubs_layout_says_the_same(tmp_path: Path, name: str, stem: str) -> None:
    benchmark = unchecked(name)
    assert benchmark.source is not None
    parquet = tmp_path / next(iter(benchmark.source.files))
    parquet.parent.mkdir(parents=True)
    row = {"id": "x", stem: "Why?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}
    pq.write_table(pa.Table.from_pylist([row]), parquet)
    (item,) = benchmark.items(tmp_path)
    assert [answer for _, answer in item.requests] == [" a", " b"]
    assert item.fields["right"] == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ai2("D"), r"answerKey in '.*ARC-Easy-Test.jsonl', line 1 must be exactly one of 1, 2, 3, got 'D'"),
        (ai2(labels="123456"), r"choices in .*, line 1 must be from 2 to 5 options"),
        (ai2(question={"stem": " ", "choices": []}), "stem in question of .*, line 1 must be text that is not blank"),
        ({"id": "x"}, r"line 1 must have a field 'question', got id"),
    ],
)
def test_a_malformed_question_is_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        unchecked("arc_easy").items(put(tmp_path, "arc/ARC-Easy-Test.jsonl", lines(row)))


def test_an_id_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"id in .*, line 2 must be distinct within the file, got 'MCAS_1'"):
        unchecked("arc_easy").items(put(tmp_path, "arc/ARC-Easy-Test.jsonl", lines(ai2(), ai2())))


def test_a_copy_of_arc_says_what_it_lacks(data_dir: Path) -> None:
    for name, missing in (("arc_easy", "11 of 2376"), ("arc_challenge", "7 of 1172")):
        (left,) = benchmarks.get(name).left_out(data_dir)
        assert left.what == f"{missing} test questions"
        assert "four options" in left.why


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    folder = put(tmp_path, "arc/ARC-Easy/test-00000-of-00001.parquet", "something else")
    with pytest.raises(InputError, match="must be the official file, got sha256"):
        benchmarks.get("arc_easy").items(folder)


def test_commonsense_qa_prints_its_options(tmp_path: Path) -> None:
    row = ai2("B", "ABCDE")
    put(tmp_path, "commonsenseqa/dev_rand_split.jsonl", lines(row))
    (item,) = unchecked("commonsense_qa").items(tmp_path)
    shown = "A. option A\nB. option B\nC. option C\nD. option D\nE. option E"
    assert item.requests == tuple((f"Question: Why?\n{shown}\nAnswer:", f" {letter}") for letter in "ABCDE")
    assert item.fields["right"] == 1
    reversed_ = benchmarks.get("commonsense_qa?order=reversed")
    reversed_.source = Source("home", "licence", {"commonsenseqa/dev_rand_split.jsonl": None})
    (other,) = reversed_.items(tmp_path)
    assert "A. option E\nB. option D" in other.requests[0][0]
    assert (other.id, other.fields["right"]) == (item.id, 3)


def test_a_csv_without_a_head_is_read_by_place(tmp_path: Path) -> None:
    put(tmp_path, "commonsenseqa/default_val.csv", '"Why, then?",a,b,c,d,e,C\nWhat?,a,b,c,d,C\n')
    with pytest.raises(InputError, match="line 2 must have 7 fields, got 6"):
        unchecked("commonsense_qa").items(tmp_path)


# ---- BoolQ ----


def test_boolq_joins_title_and_passage_as_superglue_does(tmp_path: Path) -> None:
    authors = {"question": "is it so", "title": "Ethanol fuel", "answer": True, "passage": "All biomass."}
    copy = {**authors, "answer": "False"}
    superglue = {"question": "is it so", "passage": "Ethanol fuel -- All biomass.", "idx": 0, "label": True}
    first, second = unchecked("boolq").items(put(tmp_path / "a", "boolq/dev.jsonl", lines(authors, copy)))
    (third,) = unchecked("boolq").items(put(tmp_path / "b", "boolq/val.jsonl", lines(superglue)))
    prompt = "Ethanol fuel -- All biomass.\nQuestion: is it so?\nAnswer:"
    assert first.requests == second.requests == third.requests == ((prompt, " no"), (prompt, " yes"))
    assert [item.fields["right"] for item in (first, second, third)] == [1, 0, 1]
    assert first.cluster == second.cluster  # one passage


def test_boolq_joined_is_superglues_file_to_the_byte(data_dir: Path) -> None:
    rows = [json.loads(line) for line in (data_dir / "boolq" / "dev.jsonl").read_text().splitlines()]
    items = benchmarks.get("boolq").items(data_dir)
    passages = [item.requests[0][0].rpartition("\nQuestion: ")[0] for item in items]
    joined = lines(
        *(
            {"question": row["question"], "passage": passage, "idx": index, "label": bool(item.fields["right"])}
            for index, (row, passage, item) in enumerate(zip(rows, passages, items, strict=True))
        )
    )
    source = benchmarks.get("boolq").source
    assert source is not None
    assert hashlib.sha256(joined.encode()).hexdigest() == source.files["boolq/val.jsonl"]


def test_boolq_names_an_answer_that_is_none(tmp_path: Path) -> None:
    row = {"question": "q", "title": "t", "answer": "maybe", "passage": "p"}
    with pytest.raises(InputError, match=r"answer in .*, line 1 must be one of False, True, 'False', 'True'"):
        unchecked("boolq").items(put(tmp_path, "boolq/dev.jsonl", lines(row)))


# ---- PIQA ----


def test_piqa_reads_the_official_pair_of_files(tmp_path: Path) -> None:
    put(
        tmp_path,
        "piqa/valid.jsonl",
        lines({"goal": "g", "sol1": "a", "sol2": "b"}, {"goal": "g", "sol1": "c", "sol2": "d"}),
    )
    benchmark = unchecked("piqa")
    with pytest.raises(InputError, match=r"must hold piqa/valid-labels\.lst beside piqa/valid\.jsonl"):
        benchmark.items(tmp_path)
    put(tmp_path, "piqa/valid-labels.lst", "1\n")
    with pytest.raises(InputError, match="a label for each of 2 goals, got 1"):
        benchmark.items(tmp_path)
    put(tmp_path, "piqa/valid-labels.lst", "1\n0\n")
    first, second = benchmark.items(tmp_path)
    assert first.requests == (("Question: g\nAnswer:", " a"), ("Question: g\nAnswer:", " b"))
    assert (first.fields["right"], second.fields["right"]) == (1, 0)
    assert first.cluster == second.cluster == "0000"  # one goal
    assert benchmark.left_out(tmp_path) == ()


def test_piqas_sample_packs_its_options(tmp_path: Path) -> None:
    good = {"question": "g", "options": "A. a \nB. b", "answer": "A. a "}
    (item,) = unchecked("piqa").items(put(tmp_path, "piqa/validation_1500.jsonl", lines(good)))
    assert [answer for _, answer in item.requests] == [" a ", " b"]
    assert item.fields["right"] == 0
    (left,) = unchecked("piqa").left_out(tmp_path)
    assert left.what == "1837 of 1838 goals"
    for wrong, said in (({"options": "A. a"}, "options in .*, line 1"), ({"answer": "C. a"}, "answer in .*, line 1")):
        with pytest.raises(InputError, match=said):
            unchecked("piqa").items(put(tmp_path, "piqa/validation_1500.jsonl", lines({**good, **wrong})))


# ---- TruthfulQA ----


def test_truthfulqa_by_hand(tmp_path: Path) -> None:
    row = {"question": "Q?", "mc1_targets": {"t": 1, "f": 0}, "mc2_targets": {"t": 1, "maybe": 0, "u": 1}}
    benchmark = unchecked("truthfulqa")
    (item,) = benchmark.items(put(tmp_path, "truthfulqa/mc_task.json", json.dumps([row])))
    assert item.requests[0][0].endswith("A: The 1992 Olympics were held in Barcelona, Spain.\n\nQ: Q?\nA:")
    assert [answer for _, answer in item.requests] == [" t", " f", " t", " maybe", " u"]
    lls = [-1.0, -2.0, math.log(0.1), math.log(0.3), math.log(0.2)]
    found = values(benchmark, table(benchmark, [item], [[Answer(ll, 1) for ll in lls]]))
    assert found["truthfulqa/mc1"] == [1]
    assert found["truthfulqa/mc2"] == pytest.approx([0.5])  # (.1 + .2) / .6
    assert found["truthfulqa/bits_per_byte"] == pytest.approx([1 / LN2])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "entry 1 must be a JSON object, got 1"),
        ("{}", "must be a JSON list, got dict"),
        ("[", "must be JSON, got"),
        ('[{"question": "q", "mc1_targets": {"a": 0}, "mc2_targets": {"a": 1, "b": 0}}]', "mc1_targets in .*, entry 1"),
        (
            '[{"question": "q", "mc1_targets": {"a": 2}, "mc2_targets": {}}]',
            "a in mc1_targets of .* must be one of 0, 1",
        ),
    ],
)
def test_truthfulqa_names_what_is_wrong(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        unchecked("truthfulqa").items(put(tmp_path, "truthfulqa/mc_task.json", content))


# ---- MMLU ----


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    """Two questions in each subject, with one worked example."""
    for subject in SUBJECTS:
        put(tmp_path, f"mmlu/test/{subject}_test.csv", 'One? ,w,x,y,z,B\n"Two,\nthen?",1,2,3,4,D\n')
        put(tmp_path, f"mmlu/dev/{subject}_dev.csv", "Example?,a,b,c,d,C\n")
    return tmp_path


def mmlu(levels: dict[str, str]) -> Benchmark:
    benchmark = benchmarks.get("mmlu").at(levels)
    assert benchmark.source is not None
    benchmark.source = Source("home", "licence", dict.fromkeys(benchmark.source.files))
    return benchmark


def test_mmlu_prompts(exam: Path) -> None:
    items = mmlu({}).items(exam)
    assert len(items) == 114
    said = "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
    asked = "One?\nA. w\nB. x\nC. y\nD. z\nAnswer:"
    assert items[0].requests == tuple((said + asked, f" {letter}") for letter in "ABCD")
    assert (items[0].id, items[0].group, items[0].fields["right"]) == ("abstract_algebra/0000", "STEM", 1)
    shot = mmlu({"shots": "5"}).items(exam)[0]
    assert shot.requests[0][0] == f"{said}Example?\nA. a\nB. b\nC. c\nD. d\nAnswer: C\n\n{asked}"
    turned = mmlu({"order": "reversed"}).items(exam)[0]
    assert turned.requests[0][0] == f"{said}One?\nA. z\nB. y\nC. x\nD. w\nAnswer:"
    assert turned.fields["right"] == 2
    assert mmlu({"chat": "on"}).items(exam)[0].requests == items[0].requests


def test_mmlu_counts_a_passage_once(tmp_path: Path, exam: Path) -> None:
    passage = "This question refers to the following information.\nA long text.\n"
    rows = [f'"{passage}{question}",a,b,c,d,A\n' for question in ("Who?", "When?")] + ["Other?,a,b,c,d,A\n"] * 2
    put(exam, "mmlu/test/high_school_us_history_test.csv", "".join(rows))
    found = [item.cluster for item in mmlu({}).items(exam) if item.fields["subject"] == "high_school_us_history"]
    assert [cluster[-4:] for cluster in found] == ["0000", "0000", "0002", "0002"]


def test_mmlu_by_hand(exam: Path) -> None:
    benchmark = mmlu({})
    items = [item for item in benchmark.items(exam) if item.fields["subject"] in ("anatomy", "virology")][:3]
    lls = [[-1, -2, -3, -4], [-4, -3, -2, -1], [-2, -2, -3, -4]]  # right: B, D, B: wrong, right, a tie that A wins
    columns = table(benchmark, items, [[Answer(float(ll), 1) for ll in own] for own in lls])
    found = values(benchmark, columns)
    assert found["mmlu/acc"] == found["mmlu/acc_by_subject"] == [0, 1, 0]
    assert found["mmlu/bits_per_byte"] == pytest.approx([2 / LN2, 1 / LN2, 2 / LN2])
    (macro,) = benchmark.scores
    assert macro.value(columns) == pytest.approx((0.5 + 0) / 2)  # the mean over items is a third
    assert math.isnan(macro.value({**columns, "ll_0": np.array([NAN, 0, 0])}))
    assert next(metric for metric in benchmark.metrics if metric.id == "mmlu/acc_by_subject").by == "subject"


def test_a_wrong_letter_is_named(exam: Path) -> None:
    put(exam, "mmlu/test/anatomy_test.csv", "One?,w,x,y,z,E\n")
    with pytest.raises(InputError, match=r"answer in '.*anatomy_test.csv', line 1 must be one of 'A', 'B', 'C', 'D'"):
        mmlu({}).items(exam)


def test_the_categories_are_the_papers() -> None:
    counted = {name: sum(own.category == name for own in SUBJECTS.values()) for name in ("STEM", "humanities")}
    assert len(SUBJECTS) == 57
    assert counted == {"STEM": 19, "humanities": 13}


# ---- all of them ----


NAMES = [
    *("arc_challenge", "arc_easy", "boolq", "commonsense_qa", "lambada"),
    *("mmlu", "openbookqa", "piqa", "truthfulqa", "wikitext"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_real_files_give_what_is_announced(name: str, data_dir: Path) -> None:
    benchmark = benchmarks.get(name)
    items = benchmark.items(data_dir)
    missing = sum(int(left.what.split()[0]) for left in benchmark.left_out(data_dir))
    assert len(items) + missing == benchmark.n_items
    if not missing:
        assert sum(len(item.requests) for item in items) == benchmark.n_requests
    assert len({item.id for item in items}) == len(items)
    assert benchmark.source is not None
    assert set(benchmark.source.urls) <= set(benchmark.source.files)
    assert [metric.gated for metric in benchmark.metrics].count(True) == 1
