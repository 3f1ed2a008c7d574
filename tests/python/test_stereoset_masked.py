"""StereoSet for masked models: which word is asked, and the authors' numbers of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fairopt import benchmarks
from fairopt.benchmarks import Answer, Item, item_columns
from fairopt.benchmarks.likelihood.stereoset_masked import fillings
from fairopt.benchmarks.rows import Row
from fairopt.errors import InputError

MASKED = benchmarks.get("stereoset_masked")


def test_items(data_dir: Path) -> None:
    items = MASKED.items(data_dir)
    assert len(items) == MASKED.n_items == 2104
    whole = {item.id: item for item in benchmarks.get("stereoset").items(data_dir)}
    for item in items:
        assert [("", text.replace("BLANK", filling)) for text, filling in item.requests] == list(
            whole[item.id].requests
        )
    assert items[0].requests[0] == ("The chess player was BLANK.", "asian")
    inter, *two = MASKED.left_out(data_dir)
    assert inter.what == "inter/*, 2123 items"
    assert len(two) == 2
    assert len(items) + len(two) == 2106
    assert not {left.what for left in two} & {item.id for item in items}


def row(context: str) -> Row:
    return Row("stereoset", "'f', line 1", {"context": context})


def test_fillings() -> None:
    sentences = ["A Red dog.", "a big, red dog.", "a x dog."]
    assert fillings("intra", row("a BLANK dog."), sentences) == (
        ("A BLANK dog.", "Red"),
        ("a BLANK dog.", "big, red"),
        ("a BLANK dog.", "x"),
    )
    assert fillings("intra", row("BLANK or BLANK"), ["a or a"]) == fillings("inter", row("a."), ["b."]) == ()
    for context, text in (("a BLANK dog.", "a red cat."), ("a BLANK dog.", "a  dog."), ("no blank", "no blank")):
        with pytest.raises(InputError, match=r"sentences in 'f', line 1 must be .* with the BLANK filled, got"):
            fillings("intra", row(context), [text])


def test_scores_by_hand() -> None:
    """The toy of the reference: LM 70.8333, SS 58.3333, ICAT 59.0278 over the terms nurse, muslim and chess."""
    toy = {
        "nurse": [(-1, -2, -3), (-1, -2, -3), (-2, -1, -3), (-1, -3, -2)],
        "muslim": [(-1, -1, -2), (-3, -1, -2)],
        "chess": [(-1, -2, -1.5)],
    }
    items, evidence = [], []
    for target, rows in toy.items():
        for index, row in enumerate(rows):
            items.append(Item(f"{target}{index}", "race", target, (), fields={"kind": "intra", "target": target}))
            evidence.append(MASKED.evidence(items[-1], [Answer(float(ll), 3 + index) for ll in row]))
    columns = {**item_columns(items), **{name: np.array([row[name] for row in evidence]) for name in evidence[0]}}
    found = [score.value(columns) for score in MASKED.scores]
    np.testing.assert_allclose(found, [70.8333333, 58.3333333, 59.0277778], atol=1e-7)
    lms, ss = MASKED.metrics
    assert ss.value(columns).tolist() == [1, 1, 0, 1, 0, 0, 1]
    assert lms.value(columns).tolist() == [1, 1, 1, 0.5, 1, 0.5, 0.5]
    (equal_length,) = MASKED.slices.values()
    assert equal_length(columns).all()


def test_a_sentence_that_is_not_its_context_is_named(tmp_path: Path, data_dir: Path) -> None:
    data = json.loads((data_dir / "stereoset" / "dev_reconstructed.json").read_text())
    data["data"]["intrasentence"][0]["sentences"][0]["sentence"] = "Something else."
    (tmp_path / "stereoset").mkdir()
    (tmp_path / "stereoset" / "dev.json").write_text(json.dumps(data))
    with pytest.raises(
        InputError, match=r"intrasentence\[0\] of .* must be 'The chess player was BLANK.' .* got 'Some"
    ):
        MASKED.items(tmp_path)
