"""Text health: counts worked by hand, properties that must always hold, the collapse rule on collapsed texts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt.compress.compress import compress
from fairopt.metrics.text_health import (
    FEWEST,
    Health,
    collapse,
    dictionary,
    dictionary_hash,
    health,
    refused,
    text_health,
    words,
)
from fairopt.models.generate import GenerateOptions, generate
from fairopt.models.loading import load_model

TEXT = "The cat sat on the mat. The cat sat on the rag, xqzt 42!"
STORIES = [
    "Once upon a time there was a little girl who liked to play in the park with her red ball.",
    "The old man went to the market and bought some apples for his family before the rain began.",
    "My sister says that she wants to be a doctor, but our father thinks she should study music.",
]
WORDS = st.sampled_from(["the", "cat", "Sat.", "on", "42", "xqzt", "don't", "—", "mat\n", "Über"])
TEXTS = st.lists(WORDS, max_size=14).map(" ".join)


def test_counts_by_hand() -> None:
    # the cat sat on the mat | the cat sat on the rag | xqzt 42: 14 words, 8 distinct ("mat", "rag", "xqzt" and "42"
    # once); "the cat sat on the" stands twice; of 13 pairs, (the cat) (cat sat) (sat on) (on the) stand twice.
    found = text_health(TEXT, base_ll=-28.0, base_tokens=14)
    assert found == Health(
        texts=1, words=14, distinct_words=8, repeated_words=10, bigrams=13, distinct_bigrams=9, longest_repeat=5,
        spelled=13, unknown=1, base_ll=-28.0, base_tokens=14,
    )  # fmt: skip
    assert found.length == 14
    assert found.distinct_1 == 8 / 14
    assert found.distinct_2 == 9 / 13
    assert found.repeated_share == 10 / 14
    assert found.loop_share == 5 / 14
    assert found.unknown_share == 1 / 13
    assert found.base_perplexity == pytest.approx(math.e**2)
    assert (found.empty_share, found.refused_share) == (0, 0)


@pytest.mark.parametrize(
    ("text", "longest"),
    [("", 0), ("one", 0), ("a b", 0), ("a a", 1), ("a a a a", 3), ("a b a b a", 3), ("a b c a b", 2)],
)
def test_longest_repeat(text: str, longest: int) -> None:
    assert text_health(text).longest_repeat == longest


@given(st.lists(st.sampled_from("abc"), max_size=24))
def test_longest_repeat_against_every_sequence(found: list[str]) -> None:
    lengths = range(1, len(found))
    twice = [n for n in lengths if len({tuple(found[i : i + n]) for i in range(len(found) - n + 1)}) <= len(found) - n]
    assert text_health(" ".join(found)).longest_repeat == max(twice, default=0)


def test_a_set_is_the_sum_of_its_texts() -> None:
    both = health([text_health("the cat", -2.0, 2), text_health("...", -9.0, 1), text_health("the the", math.nan, 0)])
    assert (both.texts, both.empty, both.words, both.distinct_words) == (3, 1, 4, 3)
    assert both.base_perplexity == pytest.approx(math.exp(11 / 3))
    assert health([]) == Health()
    assert all(math.isnan(getattr(Health(), name)) for name in ("length", "distinct_2", "empty_share"))
    assert math.isnan(Health().base_perplexity)


def test_words_and_dictionary() -> None:
    assert words("Don’t — “stop”: e-mail, a_b 3rd!") == ["don't", "stop", "e", "mail", "a", "b", "3rd"]
    found = text_health("The girl’s dog doesn't like xqzt or rlwk 3rd")
    assert (found.spelled, found.unknown) == (8, 2)  # "3rd" holds a digit; "girl's" is known without its ending
    assert len(dictionary()) > 100_000
    assert len(dictionary_hash()) == 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, but I can’t help you with that.", True),
        ("As an AI language model, I have no opinion.", True),
        ("I cannot assist with this request.", True),
        ("I must respectfully decline.", True),
        ("It would be inappropriate for me to say.", True),
        ("I cannot help but smile.", False),
        ("She said she could not provide for them.", False),
        ("He served as an assistant coach.", False),
        ("", False),
        ("word " * 80 + "I cannot assist with that.", False),
    ],
)
def test_refused(text: str, expected: bool) -> None:
    assert refused(text) is expected


@given(TEXTS)
def test_repeating_a_text_never_makes_it_more_diverse(text: str) -> None:
    once, twice = text_health(text), text_health(f"{text} {text}")
    assert twice.words == 2 * once.words
    if once.words:
        assert twice.distinct_1 == once.distinct_1 / 2
        assert twice.repeated_share == 1
        assert twice.longest_repeat >= once.words
    if once.bigrams:
        assert twice.distinct_2 <= once.distinct_2


@given(TEXTS)
def test_ranges(text: str) -> None:
    found = text_health(text)
    for name in ("empty_share", "refused_share", "distinct_1", "distinct_2", "repeated_share", "loop_share"):
        assert math.isnan(value := getattr(found, name)) or 0 <= value <= 1
    assert found.empty == (found.words == 0)
    assert found.unknown <= found.spelled <= found.words
    assert found.longest_repeat < max(found.words, 1)


@given(st.lists(TEXTS, max_size=6), st.randoms(use_true_random=False))
def test_order_and_case_do_not_matter(texts: list[str], random: object) -> None:
    shuffled = sorted(texts, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert health(map(text_health, shuffled)) == health(map(text_health, texts))
    assert health(text_health(text.upper()) for text in texts) == health(map(text_health, texts))


# ---- collapse ----


def of(texts: list[str], nats: float = 2.0) -> Health:
    """Each text twice: six of three are enough to be judged."""
    return health(text_health(text, -nats * len(text.split()), len(text.split())) for text in texts * 2)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("silent", ["", STORIES[0], STORIES[1]]),
        ("silent", ["I'm sorry, but I cannot continue this story, it would hurt someone.", *STORIES[1:]]),
        ("short", ["The cat sat.", "No more.", "Then it rained."]),
        ("monotonous", ["the cat sat and " * 5] * 3),
        ("looping", [f"{story} {story}" for story in STORIES]),
        ("debris", [story.replace("a", "xq") for story in STORIES]),
    ],
)
def test_collapse_names_what_is_wrong(name: str, texts: list[str]) -> None:
    reason = collapse(of(STORIES), of(texts))
    assert name in [part.split(":")[0] for part in reason.split("; ")], reason


def test_collapse_by_perplexity() -> None:
    assert collapse(of(STORIES), of(STORIES, nats=2.0 + math.log(9))) == ""
    assert collapse(of(STORIES), of(STORIES, nats=2.0 + math.log(11))).startswith("improbable: 81.3 perplexity")


def test_collapse_is_relative() -> None:
    poor = of(["the cat sat and the cat sat and xqzt"] * 3)
    assert collapse(poor, poor) == ""
    assert collapse(of(STORIES), poor) != ""
    assert collapse(Health(), poor) == ""  # nothing to compare with
    few = health(text_health("xqzt " * 20) for _ in range(FEWEST))
    assert collapse(of(STORIES), few) != ""
    assert collapse(of(STORIES), health(text_health("xqzt " * 20) for _ in range(FEWEST - 1))) == ""
    assert collapse(of(STORIES), of([story.replace("little", "small") for story in STORIES])) == ""


def test_collapse_of_a_compressed_model(models_dir: Path) -> None:
    base = load_model(models_dir / "TinyStories-656K")
    prompts = [f"{who} {did}" for who in ("The girl", "A dog", "My mum", "Tom", "The king") for did in ("was", "had")]

    def texts_of(recipe: str) -> Health:
        model = compress(base.model, recipe) if recipe else base.model
        written = generate(model, base.tokenizer, prompts, GenerateOptions(max_new_tokens=40), advance=lambda n: None)
        return health(text_health(text.text) for (text,) in written)

    whole = texts_of("")
    assert collapse(whole, texts_of("nf4")) == ""
    assert "debris" in collapse(whole, texts_of("magnitude:0.8"))


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_nothing_collapses_against_itself(texts: list[str]) -> None:
    assert collapse(of(texts), of(texts)) == ""
