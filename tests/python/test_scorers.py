"""Scorers by name: VADER against its own package, word lists by hand, and what every scorer owes its callers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from fairopt import benchmarks, scorers
from fairopt.errors import InputError
from fairopt.scorers.words import _Entries

SENTENCES = [
    "VADER is smart, handsome, and funny!",
    "The plot was good, but the characters are uncompelling.",
    "I'm not really happy :( ",
    "Catch utf-8 emoji such as 💘 and 💋 and 😁",
    "A table and a chair.",
    "war",
]
BUILT_IN = ("vader", "words:profanity", "words:gender")


def test_vader_is_the_package_of_its_authors() -> None:
    found = scorers.get("vader").score(SENTENCES)
    peer = [SentimentIntensityAnalyzer().polarity_scores(text) for text in SENTENCES]
    for name, values in found.items():
        assert values.tolist() == [scores[name] for scores in peer]
    assert found["compound"][0] == 0.8439  # as its README says


def test_vader_of_another_version_has_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scorers.get("vader").id == "vader"
    monkeypatch.setattr("fairopt.scorers.vader._PUBLISHED", "000000")
    assert scorers.get("vader").id.startswith("vader-")


def test_words_of_a_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("# comment\n\nbad\nbad word\nc++\nnaïve\n", encoding="utf-8")
    scorer = scorers.get(f"words:{path}")
    texts = ["A BAD  word, a bad one.", "badly worded", "c++ or c", "So naïve!", "...", "fine"]
    found = scorer.score(texts)
    # "bad  word" is one hit and not also "bad"; "badly" is none; two of "a bad word a bad one"'s six words
    assert found["any"].tolist()[:4] == [1, 0, 1, 1]
    assert found["share"].tolist()[:4] == [2 / 6, 0, 1 / 3, 1 / 2]
    assert math.isnan(found["any"][4])
    assert found["share"][5] == 0
    changed = tmp_path / "own2.txt"
    changed.write_text("bad\nbad word\nc++\n", encoding="utf-8")
    assert scorer.id.startswith("words-own-")
    assert scorers.get(f"words:{changed}").id[-6:] != scorer.id[-6:]


SIGNS = st.sampled_from(["bad", "Word", "c++", "+", "don't", "don", "’", "_", " ", "  ", "\n", ".", "ly", "💘", "É"])


@settings(max_examples=200)
@given(
    entries=st.lists(st.lists(SIGNS, min_size=1, max_size=4).map("".join).filter(str.strip), min_size=1, max_size=5),
    text=st.lists(SIGNS, max_size=20).map("".join),
)
def test_word_lists_against_one_regular_expression(entries: list[str], text: str) -> None:
    def plain(of: str) -> str:
        return " ".join(re.findall(r"\w+|[^\w\s]", of.lower().replace("’", "'")))

    longest = sorted({plain(entry) for entry in entries}, key=lambda entry: -len(entry.split()))
    found = re.findall(rf"(?<!\S)(?:{'|'.join(map(re.escape, longest))})(?!\S)", plain(text))
    assert _Entries(entries).count(text) == len(found)


def test_gender_words_by_hand() -> None:
    found = scorers.get("words:gender").score(["She told her brother.", "The others heard.", "He's a man, Mr. Herman."])
    np.testing.assert_array_equal(found["polarity"], [1 / 3, np.nan, -1])
    np.testing.assert_array_equal(found["female"], [2 / 4, 0, 0])
    np.testing.assert_array_equal(found["male"], [1 / 4, 0, 2 / 5])


def test_gender_lists_are_counterparts() -> None:
    from fairopt.scorers.words import _own

    assert len(_own("female")) == len(_own("male"))
    assert not set(_own("female")) & set(_own("male"))


def test_ldnoobw_comes_from_the_data_folder(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIROPT_DATA", str(data_dir))
    scorer = scorers.get("words:ldnoobw")
    assert scorer.score(["What a bastard."])["any"] == [1]
    assert any("identity" in caveat for caveat in scorer.caveats)
    monkeypatch.delenv("FAIROPT_DATA")
    with pytest.raises(InputError, match=r"lexicons/ldnoobw/en.txt.*FAIROPT_DATA.*CC BY 4.0"):
        scorers.get("words:ldnoobw")


class Exclamations(scorers.Scorer):
    """The example of docs/scorers.md."""

    name, id = "own:exclamations", "exclamations-1"
    numbers = (scorers.Number("share", "exclamation marks over characters", (0, 1), "higher", 0.05),)

    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        return {"share": np.array([t.count("!") / len(t) if t.strip() else np.nan for t in texts])}


def test_an_own_scorer_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorers, "_REGISTERED", {})
    with pytest.raises(InputError, match="own:NAME, got 'own:exclamations'"):
        scorers.get("own:exclamations")
    own = Exclamations()
    scorers.register(own)
    assert scorers.get("own:exclamations") is own
    assert benchmarks.get("bold?scorer=own:exclamations").metrics[0].id.startswith("bold/exclamations-1/share/")
    own.name = "vader"
    with pytest.raises(InputError, match="name of a scorer must be own:NAME, got 'vader'"):
        scorers.register(own)
    own.name, own.id = "own:x", "a/b"
    with pytest.raises(InputError, match="id of a scorer must be"):
        scorers.register(own)


@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_numbers_depend_on_the_text_alone(name: str, texts: list[str]) -> None:
    scorer = scorers.get(name)
    together = scorer.score(texts)
    assert list(together) == [number.name for number in scorer.numbers]
    for number in scorer.numbers:
        values = together[number.name]
        assert values.shape == (len(texts),)
        assert values.dtype == np.float64
        low, high = number.range
        assert all(math.isnan(value) or low <= value <= high for value in values)
        alone = [scorer.score([text])[number.name][0] for text in texts]
        np.testing.assert_array_equal(values, alone)


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_empty_text_has_no_number(name: str) -> None:
    assert all(np.isnan(values).all() for values in scorers.get(name).score(["", " \n"]).values())
    assert all(values.shape == (0,) for values in scorers.get(name).score([]).values())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vadr", r"name must be one of vader, words:profanity, .*, hf:FOLDER, own:NAME, got 'vadr'"),
        ("words:", "name must be one of"),
        ("words:/nowhere/list.txt", "words must name profanity, gender, ldnoobw or a UTF-8 file"),
    ],
)
def test_names_that_cannot_be_used(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        scorers.get(name)


def test_a_list_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match="at least one word"):
        scorers.get(f"words:{tmp_path / 'empty.txt'}")
