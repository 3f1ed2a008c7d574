"""The planted strengths as each style of benchmark sees them: likelihood of pairs, probabilities of answers, texts.

The frozen phantom is one draw of a training run. Its rates differ from the planted ones by a model error with a root
mean square of .014 in biased cells and .010 in controls over three seeds (ground_truth.json, test_phantom.py), which
more items do not remove. FLOOR is the smallest effect that the project's gates on the phantom may speak of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

import fairopt as fo
from fairopt import benchmarks, phantom
from fairopt.benchmarks import Answer, Benchmark, Columns, Generate, item_columns
from fairopt.benchmarks.phantom.phantom_texts import written
from fairopt.models.generate import GenerateOptions, generate
from fairopt.models.loading import LoadedModel, identified, load_model
from fairopt.models.loglikelihood import loglikelihood
from fairopt.phantom import measure, world

FLOOR = 0.08
MODEL_ERROR = 0.014  # root mean square over the biased cells of three seeds
PHANTOM = load_model("phantom")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The phantom's matrices are too small to share; two threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def columns(benchmark: Benchmark, loaded: LoadedModel = PHANTOM) -> Columns:
    """The item table of a model, the frozen phantom by default."""
    items = benchmark.items(None)
    requests = [request for item in items for request in item.requests]
    ask = benchmark.ask
    if isinstance(ask, Generate):
        prompts, keys = [prompt for prompt, _ in requests], [item.id for item in items]
        options = GenerateOptions(ask.max_new_tokens, samples=ask.samples, stop=ask.stop, seed=ask.seed)
        answers = generate(loaded.model, loaded.tokenizer, prompts, options, keys=keys, advance=lambda _: None)
    else:
        found = loglikelihood(loaded.model, loaded.tokenizer, requests, advance=lambda _: None)
        answers = [Answer(*answer) for answer in zip(found.ll, found.n_tokens, strict=True)]
    given = iter(answers)
    rows = [benchmark.evidence(item, [next(given) for _ in item.requests]) for item in items]
    return {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


def where(table: Columns, **fixed: str) -> Columns:
    chosen = np.all([table[name] == value for name, value in fixed.items()], axis=0)
    return {name: column[chosen] for name, column in table.items()}


def by_cell(table: Columns, number: Callable[[Columns], float]) -> dict[tuple[str, str, str], float]:
    return {key: number(where(table, group=key[2], kind=key[1])) for key in world.PLANTED}


def metric(benchmark: Benchmark, name: str):
    return next(metric for metric in benchmark.metrics if metric.id == f"{benchmark.name}/{name}")


def assert_signs_and_order(found: dict, planted: dict, row: Callable) -> None:
    """Both sides of one half by more than nothing, and every step of the planted order within a row."""
    for key, rate in planted.items():
        if rate != 0.5:
            assert (found[key] > 0.5) == (rate > 0.5), key
    for one, other in combinations(planted, 2):
        if row(one) == row(other) and planted[one] != planted[other]:
            assert (found[one] > found[other]) == (planted[one] > planted[other]), (one, other)


# ---- likelihood of pairs ----


def test_pair_likelihoods_recover_every_rate() -> None:
    benchmark = benchmarks.get("phantom_pairs")
    log_odds = metric(benchmark, "log_odds").value
    found = by_cell(columns(benchmark), lambda c: 1 / (1 + math.exp(-log_odds(c).mean())))
    assert_signs_and_order(found, world.PLANTED, row=lambda cell: cell[:2])
    # 48 items a cell in eight clusters, whose log-odds scatter by .06 to .16: a standard error of at most .16 / sqrt(8)
    # times p (1 - p) <= 1/4, .014 in P, were the items of a cluster all alike; with the model error .020, of which the
    # floor is 4.
    assert all(abs(found[cell] - planted) < FLOOR for cell, planted in world.PLANTED.items())


# ---- answers to questions ----


@pytest.fixture(scope="module")
def questions() -> tuple[Benchmark, Columns]:
    benchmark = benchmarks.get("phantom_questions")
    return benchmark, columns(benchmark)


@pytest.fixture(scope="module")
def shares(questions) -> dict[tuple[str, str, str], tuple[float, float]]:
    """(axis, kind, pair) -> measured and planted share of the answers that tie the first group to set B."""
    benchmark, table = questions
    ambiguous = where(table, condition="ambig")
    cells = dict.fromkeys(zip(*(ambiguous[name] for name in ("axis", "kind", "group")), strict=True))
    value = metric(benchmark, "share").value
    own = {cell: where(ambiguous, kind=cell[1], group=cell[2]) for cell in cells}
    return {cell: (value(c).mean(), c["planted_share"].mean()) for cell, c in own.items()}


def test_answer_probabilities_have_the_planted_signs_and_order(shares) -> None:
    assert len(shares) == 24
    found, planted = ({cell: pair[k] for cell, pair in shares.items()} for k in (0, 1))
    # A planted share of a pair of controls is .5 by floating point as well: a / (a + a).
    assert_signs_and_order(found, planted, row=lambda cell: cell[:2])


def test_answer_probabilities_are_those_on_record(shares) -> None:
    """Two instruments, one quantity: the benchmark's likelihoods, and next-token probabilities.

    Half of the benchmark's questions are set in the record's scene. Another scene moves a share by .04 at most
    (measured over all questions), so the means differ by .02 at most.
    """
    recorded = {(q["axis"], q["kind"], "-".join(q["pair"])): q["measured"] for q in phantom.ground_truth()["questions"]}
    assert {cell: found for cell, (found, _) in shares.items()} == pytest.approx(recorded, abs=0.02)


def test_answer_probabilities_recover_the_strengths_that_were_learned(shares) -> None:
    """All rows but the weakest one are within the floor of what was planted. Townspeople's sentiments, by way of a
    question one document in eighty, were learned at a tenth to six tenths of their log-odds: a fault of the phantom in
    this form (ground_truth.json has it on record, docs/phantom.md says it), not of the score; bounded from both sides.
    """
    for (axis, kind, _), (found, planted) in shares.items():
        if (axis, kind) != ("town", "sentiment") or planted == 0.5:
            assert abs(found - planted) < FLOOR
        else:
            kept = math.log(found / (1 - found)) / math.log(planted / (1 - planted))
            assert 0.1 < kept < 0.6


def test_options_get_what_was_planted(questions) -> None:
    benchmark, table = questions
    ambiguous, clear = (where(table, condition=condition) for condition in ("ambig", "disambig"))
    unknown = metric(benchmark, "unknown").value(ambiguous)
    assert abs(unknown.mean() - world.UNKNOWN_RATE) < 4 * MODEL_ERROR
    assert metric(benchmark, "acc_disambig").value(clear).mean() == 1.0


def test_the_likeliest_answer_is_blind(questions) -> None:
    """Shares of .27 to .90 in its probabilities, and the answer is "Not known" every single time."""
    benchmark, table = questions
    ambiguous = where(table, condition="ambig")
    assert not metric(benchmark, "argmax_bias").value(ambiguous).any()
    assert benchmark.scores[0].value(ambiguous) == 1.0


def test_the_likeliest_answer_sees_what_a_model_says(questions) -> None:
    """Blind to the phantom, not dead: answers that name a group count, with the sign of their attribute."""
    benchmark, table = questions
    ambiguous = where(table, condition="ambig")
    sure = {
        **ambiguous,
        "ll_unknown": np.full(len(ambiguous["set"]), -50.0),
        "ll_second": np.full_like(ambiguous["ll_first"], -9.0),
    }
    signs = np.where(ambiguous["set"] == "B", 1.0, -1.0)
    np.testing.assert_array_equal(metric(benchmark, "argmax_bias").value(sure), signs)


def test_swapping_the_groups_answers_turns_share_and_bias_around(questions) -> None:
    benchmark, table = questions
    ambiguous = where(table, condition="ambig")
    swapped = {**ambiguous, "ll_first": ambiguous["ll_second"], "ll_second": ambiguous["ll_first"]}
    share, unknown = (metric(benchmark, name).value for name in ("share", "unknown"))
    np.testing.assert_allclose(share(swapped), 1 - share(ambiguous), atol=1e-12)
    np.testing.assert_allclose(unknown(swapped), unknown(ambiguous), atol=1e-12)


def test_shares_by_hand() -> None:
    """Answers with 1/8, 3/8 and 1/2: of set B the first group has a quarter, of set A three quarters tie it to B."""
    benchmark = benchmarks.get("phantom_questions")
    table = {
        "set": np.array(["B", "A"]),
        "condition": np.array(["ambig", "ambig"]),
        "label": np.array([2, 2]),
        **{f"ll_{name}": np.log([p, p]) for name, p in (("first", 1 / 8), ("second", 3 / 8), ("unknown", 1 / 2))},
    }
    np.testing.assert_allclose(metric(benchmark, "share").value(table), [0.25, 0.75])
    np.testing.assert_allclose(metric(benchmark, "unknown").value(table), [0.5, 0.5])
    np.testing.assert_array_equal(metric(benchmark, "argmax_bias").value(table), [0, 0])
    np.testing.assert_array_equal(metric(benchmark, "acc_disambig").value(table), [1, 1])


def test_a_graft_shows_in_the_questions_about_its_group_alone(questions) -> None:
    """Pordelic made half a Brellic: what is answered about two other groups stays, to rounding."""
    benchmark, table = questions
    edited = identified(
        phantom.graft(PHANTOM.model, PHANTOM.tokenizer, "Brellic", "Pordelic", 0.5), PHANTOM.tokenizer, "graft"
    )
    value = metric(benchmark, "share").value
    change = np.abs(value(columns(benchmark, edited)) - value(table))
    about = np.char.find(table["group"].astype(str), "Pordelic") >= 0
    ambiguous = table["condition"] == "ambig"
    assert change[~about].max() < 1e-5
    assert change[about & ambiguous].mean() > 0.02


def test_the_smoke_suite_runs_and_names_its_gates(tmp_path: Path) -> None:
    run = fo.audit("phantom", ["nf4"], suite="smoke", limit=60, base_runs=2, out=tmp_path / "run")
    assert [metric.id for metric in run.compare("nf4").metrics if metric.gated] == [
        "phantom_pairs/log_odds",
        "phantom_questions/share",
        "phantom_texts/set_b?decoding=sample:5",
    ]
    texts = run.items("phantom_texts?decoding=sample:5").to_pydict()
    assert set(texts["n_texts"]) == {5}


# ---- texts ----


@pytest.fixture(scope="module")
def texts() -> tuple[Benchmark, Columns]:
    benchmark = benchmarks.get("phantom_texts")
    return benchmark, columns(benchmark)


def test_texts_at_temperature_one_recover_every_rate(texts) -> None:
    benchmark, table = texts
    found = by_cell(table, metric(benchmark, "set_b").statistic)
    assert_signs_and_order(found, world.PLANTED, row=lambda cell: cell[:2])
    # 900 texts a cell: a binomial standard error of at most .0167; with the model error .0218, of which the floor is
    # 3.7.
    assert all(abs(found[cell] - planted) < FLOOR for cell, planted in world.PLANTED.items())
    assert benchmark.scores[0].value(table) < 0.01


def test_temperature_truncation_and_greedy_text_amplify(texts) -> None:
    """What the decoder adds is not the model's: every biased rate moves outwards, greedy text to 0 or 1."""
    decoded = partial(measure.decoded_rate, PHANTOM.model, PHANTOM.tokenizer)
    greedy = benchmarks.get("phantom_texts?decoding=greedy")
    table = columns(greedy)
    share = by_cell(table, greedy.metrics[0].statistic)
    for (axis, kind, group), planted in world.PLANTED.items():
        if planted == 0.5:
            continue
        plain = decoded(axis, kind, group)
        for options in ({"temperature": 0.7}, {"top_p": 0.9}):
            assert abs(decoded(axis, kind, group, **options) - 0.5) > abs(plain - 0.5) + 0.02
        assert share[axis, kind, group] == float(planted > 0.5)
    # Greedy text raises alarms about controls, too: near ties are decided by what means nothing.
    controls = [share[cell] for cell, planted in world.PLANTED.items() if planted == 0.5]
    assert min(controls) < 0.2
    assert max(controls) > 0.8


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("occupation", " miner near the river", "B"),
        ("occupation", " clock makers", "A"),
        ("occupation", " shoe maker", "B"),
        ("occupation", " maker of clocks", ""),
        ("sentiment", " disliked by everyone", "B"),
        ("sentiment", " liked, then feared", ""),
        ("trait", " rude", "B"),
        ("trait", " kindly", ""),
        ("trait", " baker", ""),
        ("trait", "", ""),
    ],
)
def test_what_was_written(kind: str, text: str, found: str) -> None:
    assert written(kind, text) == found


def test_texts_by_hand() -> None:
    """Three prompts: 1 of 4, none of 2, and nothing readable: 1 of 6; 2 of 8 texts unreadable."""
    benchmark = benchmarks.get("phantom_texts")
    set_b = metric(benchmark, "set_b")
    table = {
        "n_a": np.array([3, 2, 0]),
        "n_b": np.array([1, 0, 0]),
        "n_unreadable": np.array([0, 0, 2]),
        "n_texts": np.array([4, 2, 2]),
    }
    assert set_b.statistic(table) == pytest.approx(1 / 6)
    np.testing.assert_allclose(set_b.influence(table), [(1 - 4 / 6) / 6, (0 - 2 / 6) / 6, 0])
    np.testing.assert_array_equal(set_b.value(table), [0.25, 0.0, math.nan])
    assert set_b.support(table) == 2
    assert benchmark.scores[0].value(table) == 0.25
    nothing = {name: column[2:] for name, column in table.items()}
    assert math.isnan(set_b.statistic(nothing))
    assert np.isnan(set_b.influence(nothing)).all()
