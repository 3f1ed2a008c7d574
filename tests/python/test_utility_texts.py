"""LAMBADA and WikiText-2: what is asked of which text, and their numbers by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from utility_files import lines, put, table, unchecked, values

from fairopt import benchmarks
from fairopt.benchmarks import Answer
from fairopt.benchmarks.utility.wikitext import detokenized, pages
from fairopt.errors import InputError

NAN, LN2 = math.nan, math.log(2)


# ---- LAMBADA ----


def test_lambada_by_hand(tmp_path: Path) -> None:
    benchmark = unchecked("lambada", **{"lambada/lambada_test.jsonl": None})
    put(tmp_path, "lambada/lambada_test.jsonl", lines({"text": 'He said\n\n"No way'}, {"text": "a b"}, {"text": "a b"}))
    items = benchmark.items(tmp_path)
    assert items[0].requests == (('He said\n\n"No', " way"),)
    assert [item.cluster for item in items] == ["0000", "0001", "0001"]
    answers = [[Answer(-1.0, 2, True)], [Answer(-3.0, 1, False)], [Answer(NAN, 1, False)]]
    columns = table(benchmark, items, answers)
    found = values(benchmark, columns)
    np.testing.assert_array_equal(found["lambada/acc"], [1, 0, NAN])
    np.testing.assert_array_equal(found["lambada/nats"], [1, 3, NAN])
    (perplexity,) = benchmark.scores
    assert perplexity.value({name: column[:2] for name, column in columns.items()}) == pytest.approx(math.e**2)


def test_lambada_has_two_texts(data_dir: Path) -> None:
    ours, theirs = benchmarks.get("lambada").items(data_dir), benchmarks.get("lambada?version=original").items(data_dir)
    assert len(ours) == len(theirs) == 5153
    assert ours[0].requests[0][0].startswith("In my palm is a clear stone, and")
    assert theirs[0].requests[0][0].startswith("in my palm is a clear stone , and")
    assert benchmarks.get("lambada?version=original").metrics[0].id == "lambada/acc?version=original"


@pytest.mark.parametrize("text", ["word", "ends in a space ", " word"])
def test_lambada_needs_a_passage_and_a_word(tmp_path: Path, text: str) -> None:
    benchmark = unchecked("lambada", **{"lambada/lambada_test.jsonl": None})
    with pytest.raises(InputError, match=r"text in .*, line 1 must be a passage and, after a space, its last word"):
        benchmark.items(put(tmp_path, "lambada/lambada_test.jsonl", lines({"text": text})))


# ---- WikiText-2 ----


def test_a_page_goes_from_heading_to_heading() -> None:
    text = " \n = One = \n \n First . \n = = Part = = \n Second . \n = Two = \n Third . \n"
    first, second = pages(text.split("\n"))
    assert first == " = One = \n \n First . \n = = Part = = \n Second . "
    assert second == " = Two = \n Third . \n"


def test_spaces_are_taken_out() -> None:
    raw = ' = The Bill = \n He said , " In @-@ house ( 1 @,@ 000 @.@ 5 km ) " ; the dog \'s day = = Later = = \n'
    clean = ' = The Bill =\nHe said, "In-house (1,000.5 km)"; the dog\'s day == Later ==\n'
    assert detokenized(raw) == clean


def test_wikitext_by_hand(tmp_path: Path) -> None:
    benchmark = unchecked("wikitext")
    put(tmp_path, "wikitext2/raw/wiki.test.raw", " \n = é = \n a b \n = Two = \n c")
    first, second = benchmark.items(tmp_path)
    assert first.requests == (("", " = é =\na b "),)
    # Words and bytes of " = é = \n a b ", before the clean-up: an empty one at either end, and é is two bytes.
    assert (first.fields["n_words"], first.fields["n_bytes"]) == (7, 14)
    assert (second.fields["heading"], second.fields["n_words"], second.fields["n_bytes"]) == ("Two", 5, 12)
    columns = table(benchmark, [first, second], [[Answer(-14 * LN2, 7)], [Answer(-24 * LN2, 3)]])
    assert values(benchmark, columns)["wikitext/bits_per_byte"] == pytest.approx([1, 2])
    (metric,) = benchmark.metrics
    assert metric.statistic is not None
    assert metric.statistic(columns) == pytest.approx(38 / 26)
    scores = {score.id: score.value(columns) for score in benchmark.scores}
    assert scores == pytest.approx(
        {
            "wikitext/word_perplexity": 2 ** (38 / 12),
            "wikitext/byte_perplexity": 2 ** (38 / 26),
            "wikitext/token_perplexity": 2 ** (38 / 10),
        }
    )


def test_wikitexts_test_file_has_its_62_articles(data_dir: Path) -> None:
    items = benchmarks.get("wikitext").items(data_dir)
    assert len(items) == 62
    assert (
        sum(int(item.fields["n_words"]) for item in items) == 241_211 + 2 * 62
    )  # each ends and begins in an empty word
    assert items[0].fields["heading"] == "Robert Boulter"
