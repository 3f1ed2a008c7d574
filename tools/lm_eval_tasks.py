"""lm-evaluation-harness's own tasks over local files, for tools/compare_with_lm_eval.py.

A task is the harness's YAML with its data set replaced: the rows come from the local file, put into the columns of the
hub's data set by a reader of its own. Nothing here uses fairopt's loaders, so that they are compared too.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Row = dict[str, Any]

MMLU_SUBJECTS = (
    "abstract_algebra",
    "anatomy",
    "high_school_us_history",
    "moral_scenarios",
    "professional_law",
    "virology",
)
BBQ_FILES = ("Age", "Disability_status", "Nationality", "Physical_appearance", "Religion", "Sexual_orientation")


@dataclass(frozen=True)
class Case:
    """One task of the harness and the items of ours that it is about."""

    benchmark: str  # ours, perhaps with levels
    yaml: str  # below lm_eval/tasks, without its ending
    split: str
    rows: Callable[[Path], list[Row]]
    values: Mapping[str, str] = field(default_factory=dict)  # a number of the harness's samples -> our metric's id
    part: str = ""  # our items of this subject or category only: what their ids begin with
    shots: Callable[[Path], list[Row]] | None = None  # worked examples, five of them
    asks: Literal["the same", "more", "a part"] = "the same"  # the harness, of what we ask about an item
    remark: str = ""

    @property
    def task(self) -> str:
        """The harness's task by name; two cases may be about one."""
        return "_".join([*self.yaml.split("/"), self.part, "5" if self.shots else "0"])

    @property
    def rolling(self) -> bool:
        """Whether whole texts are asked for."""
        return self.benchmark == "wikitext"


# ---- local files in the hub's columns ----


def _csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _jsonl(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _labelled(options: list[str]) -> Row:
    return {"text": options, "label": list("ABCDE"[: len(options)])}


def _arc(subset: str) -> Callable[[Path], list[Row]]:
    return lambda data: [
        {"question": question, "choices": _labelled(options), "answerKey": key}
        for question, *options, key in _csv(data / "arc" / f"{subset}_test.csv")
    ]


def _commonsense_qa(data: Path) -> list[Row]:
    return [
        {"question": question, "choices": _labelled(options), "answerKey": key}
        for question, *options, key in _csv(data / "commonsenseqa" / "default_val.csv")
    ]


def _openbookqa(data: Path) -> list[Row]:
    return [
        {
            "question_stem": row["question"]["stem"],
            "choices": {key: [choice[key] for choice in row["question"]["choices"]] for key in ("text", "label")},
            "answerKey": row["answerKey"],
        }
        for row in _jsonl(data / "openbookqa" / "test.jsonl")
    ]


def _boolq(data: Path) -> list[Row]:
    return [
        {
            "passage": f"{row['title']} -- {row['passage']}",  # as SuperGLUE has it
            "question": row["question"],
            "label": int(row["answer"] == "True"),
        }
        for row in _jsonl(data / "boolq" / "dev.jsonl")
    ]


def _piqa(data: Path) -> list[Row]:
    return [
        {
            "goal": row["question"],
            "sol1": row["options"][len("A. ") : row["options"].index("\nB. ")],
            "sol2": row["options"][row["options"].index("\nB. ") + len("\nB. ") :],
            "label": "AB".index(row["answer"][0]),
        }
        for row in _jsonl(data / "piqa" / "validation_1500.jsonl")
    ]


def _mmlu(subject: str, split: str) -> Callable[[Path], list[Row]]:
    return lambda data: [
        {"question": question, "subject": subject, "choices": options, "answer": "ABCD".index(key)}
        for question, *options, key in _csv(data / "mmlu" / split / f"{subject}_{split}.csv")
    ]


def _truthfulqa(data: Path) -> list[Row]:
    return [
        {"question": row["question"]}
        | {
            task: {"choices": list(row[task]), "labels": list(row[task].values())}
            for task in ("mc1_targets", "mc2_targets")
        }
        for row in json.loads((data / "truthfulqa" / "mc_task.json").read_text(encoding="utf-8"))
    ]


def _lambada_openai(data: Path) -> list[Row]:
    return _jsonl(data / "lambada" / "lambada_test.jsonl")


def _lambada_original(data: Path) -> list[Row]:
    text = (data / "lambada" / "lambada_test_plain_text.txt").read_text(encoding="utf-8")
    return [{"text": line} for line in text.removesuffix("\n").split("\n")]


def _wikitext(data: Path) -> list[Row]:
    """The hub's ``wikitext_document_level``: a page begins at a heading of the first level."""
    text = (data / "wikitext2" / "raw" / "wiki.test.raw").read_text(encoding="utf-8")
    starts = [match.start() for match in re.finditer(r"^ = (?!= )[^\n]*[^=\n ] = $", text, flags=re.MULTILINE)]
    return [{"page": text[a : b - 1]} for a, b in zip(starts, [*starts[1:], len(text) + 1], strict=True)]


def _crows_pairs(data: Path) -> list[Row]:
    with (data / "crows_pairs" / "crows_pairs_anonymized.csv").open(encoding="utf-8", newline="") as file:
        return [{"sent_more": row["sent_more"], "sent_less": row["sent_less"]} for row in csv.DictReader(file)]


def _bbq(category: str) -> Callable[[Path], list[Row]]:
    return lambda data: _jsonl(data / "bbq" / "data" / f"{category}.jsonl")


# ---- the tasks ----


def _mmlu_cases(subject: str) -> list[Case]:
    yaml, test, five = f"mmlu/default/mmlu_{subject}", _mmlu(subject, "test"), _mmlu(subject, "dev")
    return [
        Case("mmlu", yaml, "test", test, {"acc": "mmlu/acc"}, subject),
        Case("mmlu?shots=5", yaml, "test", test, {"acc": "mmlu/acc?shots=5"}, subject, five),
    ]


def _bbq_cases(category: str) -> list[Case]:
    yaml, rows, said = "bbq/bbq_multiple_choice", _bbq(category), "over the item's own three answers"
    correct = {"acc": "bbq/acc_ambig?options=lm_eval"}  # which is as good in the other context: it reads the key
    return [
        Case("bbq", yaml, "test", rows, part=category, asks="more", remark=said),
        Case(
            "bbq?options=lm_eval",
            yaml,
            "test",
            rows,
            correct,
            category,
            remark="over its twelve, ten of them for unknown",
        ),
    ]


def _both(name: str) -> dict[str, str]:
    return {"acc": f"{name}/acc", "acc_norm": f"{name}/acc_norm"}


CASES = (
    Case(
        "crows_pairs",
        "crows_pairs/crows_pairs_english",
        "test",
        _crows_pairs,
        {"pct_stereotype": "crows/ll_sum"},
        remark="the authors' 1,508 pairs; the harness's own data set has 1,677",
    ),
    *(case for category in BBQ_FILES for case in _bbq_cases(category)),
    *(case for subject in MMLU_SUBJECTS for case in _mmlu_cases(subject)),
    Case("arc_easy", "arc/arc_easy", "test", _arc("ARC-Easy"), _both("arc_easy")),
    Case("arc_challenge", "arc/arc_challenge", "test", _arc("ARC-Challenge"), _both("arc_challenge")),
    Case("boolq", "super_glue/boolq/default", "validation", _boolq, {"acc": "boolq/acc"}),
    Case("piqa", "piqa/piqa", "validation", _piqa, _both("piqa")),
    Case("openbookqa", "openbookqa/openbookqa", "test", _openbookqa, _both("openbookqa")),
    Case("commonsense_qa", "commonsense_qa/default", "validation", _commonsense_qa, {"acc": "commonsense_qa/acc"}),
    Case("lambada", "lambada/lambada_openai", "test", _lambada_openai, {"acc": "lambada/acc"}),
    Case(
        "lambada?version=original",
        "lambada/lambada_standard",
        "test",
        _lambada_original,
        {"acc": "lambada/acc?version=original"},
    ),
    *(
        Case(
            "truthfulqa",
            f"truthfulqa/truthfulqa_{task}",
            "validation",
            _truthfulqa,
            {"acc": f"truthfulqa/{task}"},
            asks="a part",
        )
        for task in ("mc1", "mc2")
    ),
    Case(
        "wikitext",
        "wikitext/wikitext",
        "test",
        _wikitext,
        {"bits_per_byte": "wikitext/bits_per_byte"},
        remark="bits per byte of a page; its log-likelihood is a sum over thousands of tokens",
    ),
)
