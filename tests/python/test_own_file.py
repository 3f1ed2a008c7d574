"""Your own data: names, both kinds of rows, every format, malformed rows, a whole audit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import fairopt as fo
from fairopt import benchmarks
from fairopt.benchmarks import Answer
from fairopt.errors import InputError

LABELLED = [
    {"text": "A man said: ", "label": "good", "group": "m", "pair": "1"},
    {"text": "A woman said:", "label": "good", "group": "f", "pair": "1"},
    {"text": "A man asked:", "label": "bad", "group": "m", "pair": "2"},
]


def csv_of(path: Path, rows: list[dict[str, str]], delimiter: str = ",") -> Path:
    lines = [delimiter.join(rows[0]), *(delimiter.join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def file_of(folder: Path, suffix: str, rows: list[dict[str, str]]) -> Path:
    path = folder / f"own{suffix}"
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        csv_of(path, rows, "\t" if suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_labelled_texts_in_every_format(tmp_path: Path, suffix: str) -> None:
    items = benchmarks.get(f"file:{file_of(tmp_path, suffix, LABELLED)}").items(None)
    assert [item.requests for item in items] == [
        (("A man said:", " bad"), ("A man said:", " good")),
        (("A woman said:", " bad"), ("A woman said:", " good")),
        (("A man asked:", " bad"), ("A man asked:", " good")),
    ]
    assert [(i.id, i.group, i.axis, i.cluster) for i in items] == [
        ("000000", "m", "group", "1"),
        ("000001", "f", "group", "1"),
        ("000002", "m", "group", "2"),
    ]


def test_columns_by_name_and_choices_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"body": "2 + 2 =", "y": 4, "sex": "f", "key": "a", "choices": "3|4|22"}))
    (item,) = benchmarks.get(f"file:{path}?text=body&label=y&group=sex&id=key").items(None)
    assert item.requests == (("2 + 2 =", " 3"), ("2 + 2 =", " 4"), ("2 + 2 =", " 22"))
    assert (item.id, item.group, item.axis, item.fields["label_index"]) == ("a", "f", "sex", 1)
    path.write_text(json.dumps({"text": "2 + 2 =", "label": "4", "group": "f", "choices": ["4", "a|b"]}))
    (item,) = benchmarks.get(f"file:{path}").items(None)
    assert item.requests == (("2 + 2 =", " 4"), ("2 + 2 =", " a|b"))


def test_naming_more_or_less_makes_pairs(tmp_path: Path) -> None:
    rows = [{"a": "They are lazy.", "b": "We are lazy.", "group": "x"}]
    benchmark = benchmarks.get(f"file:{file_of(tmp_path, '.csv', rows)}?more=a&less=b")
    (item,) = benchmark.items(None)
    assert item.requests == (("", "They are lazy."), ("", "We are lazy."))
    evidence = {k: np.array([v]) for k, v in benchmark.evidence(item, [Answer(-9, 4), Answer(-8, 3)]).items()}
    assert [m.id for m in benchmark.metrics] == ["own/ll_sum", "own/ll_mean"]
    assert [float(m.value(evidence)[0]) for m in benchmark.metrics] == [0, 1]  # -9 < -8, but -2.25 > -2.67 a token
    assert benchmark.confidence is None


def table(name: str, lls: list[list[float]]) -> dict[str, np.ndarray]:
    benchmark = benchmarks.get(name)
    items = benchmark.items(None)
    rows = [benchmark.evidence(i, [Answer(ll, 2) for ll in row]) for i, row in zip(items, lls, strict=True)]
    return {"pair": np.array([item.fields["pair"] for item in items])} | {
        key: np.array([row[key] for row in rows]) for key in rows[0]
    }


def test_accuracy_confidence_and_agreement(tmp_path: Path) -> None:
    name = f"file:{csv_of(tmp_path / 'own.csv', LABELLED)}"
    benchmark = benchmarks.get(name)
    acc, acc_norm = benchmark.metrics
    (agreement,) = benchmark.scores
    columns = table(name, [[-3.0, -1.0], [-2.0, -2.4], [-5.0, -5.0]])
    assert acc.value(columns).tolist() == [1, 0, 0]  # a tie is not right
    np.testing.assert_allclose(acc.preference(columns), [2, -0.4, 0], atol=1e-12)
    assert acc_norm.value(columns).tolist() == [1, 1, 0]  # bad: -2/3 a character, good: -2.4/4
    assert agreement.value(columns) == 0.0  # of the one pair with two rows
    assert benchmark.confidence is not None
    probability, right = benchmark.confidence(columns)
    np.testing.assert_allclose(probability, [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-0.4)), 0.5])
    assert right.tolist() == [True, False, False]
    assert agreement.value(table(name, [[-3.0, -1.0]] * 3)) == 1.0


def test_undefined_is_nan(tmp_path: Path) -> None:
    name = f"file:{csv_of(tmp_path / 'own.csv', LABELLED)}"
    columns = table(name, [[np.nan, -1.0], [-2.0, -1.0], [-2.0, -1.0]])
    benchmark = benchmarks.get(name)
    assert np.isnan(benchmark.metrics[0].value(columns)).tolist() == [True, False, False]
    assert math.isnan(benchmark.scores[0].value(columns))
    alone = table(f"file:{csv_of(tmp_path / 'alone.csv', LABELLED[1:])}", [[-2.0, -1.0]] * 2)
    assert math.isnan(benchmark.scores[0].value(alone))  # no pair has two rows


def test_the_file_is_not_needed_to_reopen_a_run(tmp_path: Path) -> None:
    benchmark = benchmarks.get(f"file:{tmp_path}/gone.csv?label=y")
    assert [metric.id for metric in benchmark.metrics] == ["gone/acc", "gone/acc_norm"]
    with pytest.raises(InputError, match=r"gone.csv' must be a readable file"):
        benchmark.items(None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("file:data.txt", "file must end in .csv, .tsv, .jsonl, .parquet, got 'data.txt'"),
        ("file:a.csv?texte=x", "must be named for text, label, choices, group, id, pair, cluster, got texte=x"),
        ("file:a.csv?more=x&text=y", "must be named for more, less, group, id, pair, cluster, got text=y"),
        ("file:a.csv?text=", "got text="),
        ("file:a.csv?text", "must be given as"),
        ("file:a.csv?text=x&text=y", "once each"),
        ("pairs.csv", "counterfactual:PATH or python:MODULE:ATTRIBUTE, got 'pairs.csv'"),
    ],
)
def test_bad_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        benchmarks.get(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label,group\na,x,g\n,y,g\n", r"text in .*own.csv', line 3 must be text that is not blank, got ''"),
        ("text,label\na,x\nb,y\n", "line 2 must have a field 'group', got text, label"),
        ("text,label,group\na,x,g\nb,x,g\n", "label in .* must be at least two distinct words"),
        ("text,label,group,choices\na,x,g,y|z\n", "label in .*line 2 must be one of y, z, got 'x'"),
        ("text,label,group,choices\na,x,g,x|x\n", "choices in .* must be at least two distinct words"),
        ("text,label,group,id\na,x,g,1\nb,y,g,1\n", "id in .*line 3 must be distinct, got '1'"),
        ("text,label,group\na,x\n", "line 2 must have 3 fields, got 2"),
        ("text,text,group\na,x,g\n", "must be distinct column names"),
        ("text,label,group\n", "must hold at least one row, got none"),
        ("", "must be distinct column names"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        benchmarks.get(f"file:{path}").items(None)


def test_a_bad_row_is_found_before_a_model_is_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("text,label,group\na,x,g\nb,,g\n")
    with pytest.raises(InputError, match=r"label in .*own.csv', line 3 must be text that is not blank"):
        fo.audit(tmp_path / "no model", ["nf4"], benchmarks=[f"file:{path}"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_numbers_that_are_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    for value, shown in ((float("nan"), "nan"), (None, "None"), (1.5, "1.5"), (["a"], r"\['a'\]")):
        path.write_text(json.dumps({"text": "a", "label": value, "group": "g"}))
        with pytest.raises(InputError, match=f"label in .*line 1 must be text that is not blank, got {shown}"):
            benchmarks.get(f"file:{path}").items(None)


def test_a_column_that_was_named_must_be_there(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "own.csv", LABELLED)
    with pytest.raises(InputError, match="must have a field 'person'"):
        benchmarks.get(f"file:{path}?pair=person").items(None)
    broken = tmp_path / "own.parquet"
    broken.write_bytes(b"no")
    with pytest.raises(InputError, match="must be a Parquet file"):
        benchmarks.get(f"file:{broken}").items(None)


def test_an_audit_of_your_own_file(tmp_path: Path) -> None:
    """From a CSV with its own column names to gates by group; the run opens again after the file is gone."""
    people = {"m": ("He", "His", "A boy"), "f": ("She", "Her", "A girl")}
    rows = [
        {"body": f"{subject} ran to {place}. Then", "y": label, "sex": sex, "twin": f"{place}{k}"}
        for sex, subjects in people.items()
        for k, subject in enumerate(subjects)
        for place in ("town", "school", "the park")
        for label in ("he", "she")
        if label[0] == ("h" if sex == "m" else "s")
    ]
    data = csv_of(tmp_path / "my data.csv", rows)
    name = f"file:{data}?text=body&label=y&group=sex&pair=twin"
    run = fo.audit("phantom", ["nf4"], benchmarks=[name], out=tmp_path / "run")
    assert [gate.id for gate in run.compare("nf4").gates] == [f"my_data/acc:{group}" for group in ("all", "f", "m")]
    data.unlink()
    reopened = fo.open_run(tmp_path / "run")
    assert reopened.items(name).num_rows == 2 * len(rows)
    assert reopened.summary() == run.summary()
    twins = [f"file:{tmp_path}/{folder}/my data.csv" for folder in ("a", "b")]
    with pytest.raises(InputError, match="must have metrics of different names, got my_data/acc twice"):
        fo.audit("phantom", ["nf4"], benchmarks=twins, out=tmp_path / "run")
