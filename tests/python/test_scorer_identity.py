"""A scorer's own identity bias: by hand on scorers whose bias is known, on Jigsaw's sentences, and on real scorers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fairopt import scorers
from fairopt.errors import InputError
from fairopt.scorers import madlibs
from fairopt.scorers.identity import IdentityBias, NumberBias, identity_bias
from fairopt.scorers.identity_terms import TEMPLATES, plain, terms


class Sees(scorers.Scorer):
    """1 for texts that hold a word, else 0; NaN for those that hold another."""

    name = id = "sees"

    def __init__(self, word: str, harm: str = "higher", blank: str = "~") -> None:
        self.numbers = (scorers.Number("seen", "whether", (0, 1), harm, 0.5),)  # type: ignore[arg-type]
        self._word, self._blank = word, blank

    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        return {"seen": np.array([np.nan if self._blank in t else float(self._word in t) for t in texts])}


def only(found: IdentityBias) -> NumberBias:
    (number,) = found.numbers
    return number


def test_sentences() -> None:
    found = list(terms())
    assert {term.axis for term in found} == {
        "race", "religion", "orientation", "disability", "age", "nationality", "gender",
    }  # fmt: skip
    assert len({(term.axis, term.name) for term in found}) == len(found)
    sentences = [sentence for term in found for sentence in (*term.sentences, *plain())]
    assert not any("{" in sentence for sentence in sentences)
    assert "I am an Asian man." in sentences
    assert "I am a white man." in sentences
    assert "There are blind people in this street." in sentences
    for axis in {term.axis for term in found}:  # terms of an axis differ in nothing but the term
        assert len({len(term.sentences) for term in found if term.axis == axis}) == 1
    assert len(plain()) == 3 * len(TEMPLATES)


def test_sentences_are_neutral_without_a_term() -> None:
    assert not scorers.get("vader").score(plain())["compound"].any()
    assert not scorers.get("words:profanity").score(plain())["any"].any()


def test_a_scorer_that_flags_one_term() -> None:
    number = only(identity_bias(Sees("blind")))
    assert number.plain == 0
    gaps = {axis.axis: axis.gap for axis in number.axes}
    assert gaps == {axis: float(axis == "disability") for axis in gaps}
    (worst,) = number.worst
    # One of six terms of its axis: the mean of the axis is 1/6.
    assert (worst.axis, worst.term, worst.mean, worst.flagged) == ("disability", "blind", 1, 1)
    assert worst.difference == pytest.approx(5 / 6)
    assert {t.term: t.difference for t in number.terms}["deaf"] == pytest.approx(-1 / 6)


def test_direction_of_harm() -> None:
    lower = only(identity_bias(Sees("blind", harm="lower")))
    assert lower.worst == ()  # all others of the axis are lower than it, but no lower than without a term
    assert {t.term: t.flagged for t in lower.terms}["deaf"] == 1  # 0 <= .5
    either = only(identity_bias(Sees("blind", harm="either")))
    assert either.worst[0].term == "blind"
    assert all(math.isnan(row.flagged) for row in either.terms)


def test_undefined_numbers_are_left_out() -> None:
    number = only(identity_bias(Sees("blind", blank="deaf")))
    deaf = next(row for row in number.terms if row.term == "deaf")
    assert math.isnan(deaf.mean)
    assert math.isnan(deaf.difference)
    assert next(row for row in number.worst).difference == pytest.approx(4 / 5)  # of five terms with a number
    assert only(identity_bias(Sees("x", blank=" "))).axes == ()


def test_result_is_plain_data() -> None:
    found = identity_bias(Sees("blind"))
    assert json.loads(json.dumps(asdict(found)))["numbers"][0]["worst"][0]["term"] == "blind"
    assert found == identity_bias(Sees("blind"))


# ---- Jigsaw's sentences ----

ROWS = """Text,Label,Template
"Ann is a vile gay dancer",BAD,name_adj
"Ann is a kind gay dancer",NOT_BAD,name_adj
"Bob is a vile Middle Aged dancer",BAD,name_adj
"Bob is a kind Middle Aged dancer",NOT_BAD,name_adj
"You are a vile dancer",BAD,you_occupation
"""


def written(folder: Path, rows: str = ROWS) -> Path:
    path = folder / madlibs.FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(rows, encoding="utf-8")
    return folder


def test_areas_by_hand(tmp_path: Path) -> None:
    # A scorer that flags "gay" alone: within "gay" all tie (1/2); the harmless gay text beats both bad others (BPSN 0);
    # the bad gay text beats the harmless other (BNSP 1); overall 3 bad and 2 good: 1 vs (1, 0) and twice 0 vs (1, 0).
    rows = {row.term: row for row in madlibs.subgroup_areas(Sees("gay"), written(tmp_path))}
    assert set(rows) == {"gay", "middle aged"}
    assert (rows["gay"].subgroup, rows["gay"].bpsn, rows["gay"].bnsp, rows["gay"].texts) == (0.5, 0, 1, 2)
    assert rows["gay"].overall == pytest.approx((1.5 + 2 * 0.5) / 6)
    perfect = madlibs.subgroup_areas(Sees("vile"), tmp_path)
    assert all((row.overall, row.subgroup, row.bpsn, row.bnsp) == (1, 1, 1, 1) for row in perfect)
    reverse = madlibs.subgroup_areas(Sees("kind", harm="lower"), tmp_path)
    assert all(row.overall == 1 for row in reverse)


def test_areas_need_the_file_and_a_direction(tmp_path: Path) -> None:
    assert identity_bias(Sees("gay")).madlibs == ()
    assert identity_bias(Sees("gay"), tmp_path).madlibs == ()
    assert madlibs.subgroup_areas(Sees("gay", harm="either"), written(tmp_path)) == ()
    assert len(identity_bias(Sees("gay"), tmp_path).madlibs) == 2


@pytest.mark.parametrize(
    ("row", "says"), [("x,GOOD,y", "line 7: Label must be BAD or NOT_BAD"), (",BAD,y", "line 7: Text must be")]
)
def test_malformed_rows_are_named(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        madlibs.subgroup_areas(Sees("gay"), written(tmp_path, ROWS + row + "\n"))


def test_terms_of_the_official_file(data_dir: Path) -> None:
    if not (data_dir / madlibs.FILE).exists():
        pytest.skip(f"no {madlibs.FILE} below FAIROPT_DATA")
    rows = madlibs.subgroup_areas(scorers.get("vader"), data_dir)
    compound = [row for row in rows if row.number == "compound"]
    assert {row.term for row in compound} == set(madlibs.TERMS)
    assert {row.texts for row in compound} == {2 * madlibs.PER_TERM}
    assert min(row.bpsn for row in compound) > 0.9  # its lexicon holds the insults


# ---- real scorers ----


def test_hatesonar_flags_white_people(models_dir: Path, data_dir: Path) -> None:
    scorer = scorers.get(f"onnx:{models_dir / 'hatesonar/model.onnx'}?labels=hate,offensive,neither")
    found = identity_bias(scorer, data_dir)
    hate = found.numbers[0]
    assert (hate.worst[0].term, hate.worst[1].term) == ("white", "gay")
    assert {axis.axis: axis.highest for axis in hate.axes}["race"] == "white"
    assert hate.worst[0].mean > 0.5 > 10 * hate.plain
    areas = {row.term: row for row in found.madlibs if row.number == "hate"}
    assert areas["white"].bpsn < 0.05  # harmless sentences about white people score above insults of others


def test_vader_takes_blind_for_negative() -> None:
    compound = identity_bias(scorers.get("vader")).numbers[0]
    assert compound.worst[0].term == "blind"
    assert compound.worst[0].flagged == 1
