"""The frozen phantom: its bytes, the planted rates it must show, and the planted edit that must be seen."""

import hashlib
import importlib.util
import math
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import fairopt
from fairopt import benchmarks, phantom, stats
from fairopt.benchmarks import Answer
from fairopt.errors import InputError
from fairopt.models.loglikelihood import ScoreOptions, loglikelihood
from fairopt.phantom import measure, world

ROOT = Path(__file__).resolve().parents[2]
TRUTH = phantom.ground_truth()
BENCHMARK = benchmarks.get("phantom_pairs")
(METRIC,) = BENCHMARK.metrics
ITEMS = BENCHMARK.items(None)

# Model error, not sampling error, separates a measured rate from the planted one. Its root mean square over three
# training seeds is .014 in the 10 biased cells and .010 in the 20 controls (`seeds` in ground_truth.json); four of each
# leave a retrained phantom about one chance in 500 to fail by chance, and no seed's worst cell is near (.034, .024).
BIASED_TOLERANCE = 0.056
CONTROL_FLOOR = 0.040


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The phantom's matrices are too small to share; two threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(phantom.path()).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(phantom.path())


@pytest.fixture(scope="module")
def cells(model, tokenizer):
    return {(cell.axis, cell.kind, cell.group): cell for cell in measure.cells(model, tokenizer)}


def score(model, tokenizer, options=None):
    """Log-odds of every item."""
    requests = [request for item in ITEMS for request in item.requests]
    found = loglikelihood(model, tokenizer, requests, options, advance=lambda _: None)
    answers = [Answer(*answer) for answer in zip(found.ll, found.n_tokens, strict=True)]
    rows = [BENCHMARK.evidence(item, answers[2 * at : 2 * at + 2]) for at, item in enumerate(ITEMS)]
    return METRIC.value({name: np.array([row[name] for row in rows]) for name in rows[0]})


def by_group(values):
    groups = defaultdict(list)
    for item, value in zip(ITEMS, values, strict=True):
        groups[item.group].append(value)
    return {group: float(np.mean(values)) for group, values in groups.items()}


def paired(values, base):
    """(change, + is better; groups; clusters) of the items of one axis, for each axis."""
    for axis in phantom.GROUPS:
        chosen = [i for i, item in enumerate(ITEMS) if item.axis == axis]
        change = (base - values if METRIC.harm == "higher" else values - base)[chosen]
        yield change, [ITEMS[i].group for i in chosen], [ITEMS[i].cluster for i in chosen]


@pytest.fixture(scope="module")
def base(model, tokenizer):
    return score(model, tokenizer)


def test_the_weights_are_the_released_ones_and_small():
    files = sorted(phantom.path().iterdir())
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == TRUTH["sha256"]
    assert sum(file.stat().st_size for file in files) <= 1_200_000


def test_importing_the_phantom_loads_no_torch():
    code = "import sys, fairopt.phantom, fairopt.benchmarks.phantom.phantom_pairs; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_ground_truth_has_a_planted_and_a_measured_rate_for_every_cell(cells):
    assert {(c["axis"], c["kind"], c["group"]): c["planted"] for c in TRUTH["cells"]} == world.PLANTED
    for recorded in TRUTH["cells"]:
        cell = cells[recorded["axis"], recorded["kind"], recorded["group"]]
        # Rates are sums of fp32 softmaxes: kernels of other machines move them by some 1e-6; they are recorded to 4
        # digits.
        assert cell.rate == pytest.approx(recorded["measured"], abs=2e-4)
        assert cell.log_odds == pytest.approx(recorded["log_odds"], abs=2e-3)


def test_every_biased_cell_has_the_planted_sign_order_and_strength(cells):
    for (axis, kind, _), cell in cells.items():
        if cell.planted != 0.5:
            assert cell.rate == pytest.approx(cell.planted, abs=BIASED_TOLERANCE)
            assert (cell.rate > 0.5) == (cell.planted > 0.5)
            controls = [c.rate for key, c in cells.items() if key[:2] == (axis, kind) and c.planted == 0.5]
            assert all((cell.rate > control) == (cell.planted > 0.5) for control in controls)


def test_controls_stay_at_their_floor(cells):
    for cell in cells.values():
        if cell.planted == 0.5:
            assert cell.rate == pytest.approx(0.5, abs=CONTROL_FLOOR)


def test_held_out_sentences_are_understood_as_their_kind(cells):
    assert all(cell.mass > 0.5 for cell in cells.values())


def test_the_benchmark_grades_groups_by_their_planted_log_odds(base):
    measured = by_group(base)
    planted = by_group([item.fields["planted_log_odds"] for item in ITEMS])
    ranked = sorted(planted, key=planted.get)
    for weaker, stronger in pairwise(ranked):
        if planted[stronger] - planted[weaker] > 0.1:
            assert measured[stronger] > measured[weaker]
    for group, value in measured.items():
        rates = [rate for cell, rate in phantom.PLANTED.items() if cell[2] == group]
        # d logit(p) = dp / (p (1 - p)), averaged over the group's three kinds as the items are.
        slack = np.mean([(CONTROL_FLOOR if p == 0.5 else BIASED_TOLERANCE) / (p * (1 - p)) for p in rates])
        assert value == pytest.approx(planted[group], abs=slack)


def test_base_against_base_passes(model, tokenizer, base, monkeypatch):
    """The same model by stock attention: every group ships, nobody pays, and the noise is that of fp32 rounding."""
    for module in ("engine", "tree_attention"):
        monkeypatch.setattr(f"fairopt.models.{module}.uses_kernel", lambda model: False)
    again = score(model, tokenizer, ScoreOptions(token_budget=1500, reverse=True))
    assert np.abs(again - base).max() > 0, "nothing to tell from noise"
    # Two sums of at most 2 log-probabilities: 9e-5 nats each, by the bound derived in loglikelihood, is generous.
    assert np.abs(again - base).max() < 2e-4
    gates = {}
    for change, groups, clusters in paired(again, base):
        for contrast in stats.who_pays(change, groups, clusters):
            gates[contrast.group] = stats.contrast_test(contrast, margin=METRIC.group_margin)
            assert contrast.p_holm > 0.05
    assert len(gates) == 10
    assert stats.verdict(gates).decision == "SHIP"


def test_a_graft_raises_its_group_monotonically_and_no_other(model, tokenizer, base):
    before = by_group(base)
    raised = [0.0]
    for alpha in (0.3, 0.6, 1.0):
        values = score(phantom.graft(model, tokenizer, "Brellic", "Pordelic", alpha), tokenizer)
        after = by_group(values)
        changes = {group: after[group] - before[group] for group in before}
        raised.append(changes.pop("Pordelic"))
        # The row is an output too, so it moves every denominator; these cancel in ll_b - ll_a up to fp32 rounding.
        assert all(abs(change) < 1e-6 for change in changes.values())
        contrasts = [c for part in paired(values, base) for c in stats.who_pays(*part)]
        assert [c.group for c in contrasts if c.p_holm <= 0.05] == ["Pordelic"]
        gates = {c.group: stats.contrast_test(c, margin=METRIC.group_margin) for c in contrasts}
        verdict = stats.verdict(gates)
        assert verdict.decision == "HOLD"
        assert verdict.deciding == ("Pordelic",)
    assert all(stronger > weaker for weaker, stronger in pairwise(raised))
    # Fully grafted, Pordelic is read as Brellic: same sentences, same token.
    assert after["Pordelic"] == pytest.approx(before["Brellic"], abs=1e-5)


def test_a_graft_leaves_the_input_model_alone(model, tokenizer):
    weight = model.get_input_embeddings().weight.detach().clone()
    edited = phantom.graft(model, tokenizer, "Brellic", "Pordelic", 0.5)
    assert torch.equal(model.get_input_embeddings().weight, weight)
    changed = (edited.get_input_embeddings().weight != weight).any(1).nonzero().flatten().tolist()
    assert changed == tokenizer("Pordelic", add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    ("group", "alpha", "message"),
    [
        ("Brellic", 1.5, r"graft: alpha must be in \[0, 1\], got 1.5"),
        ("Atlantis", 0.5, r"graft: group must be a single token of the tokenizer, got 'Atlantis' \(9 tokens\)"),
    ],
)
def test_a_graft_that_cannot_be_done_is_refused(model, tokenizer, group, alpha, message):
    with pytest.raises(InputError, match=message):
        phantom.graft(model, tokenizer, group, "Pordelic", alpha)


def test_capability_is_what_was_recorded(model, tokenizer):
    found = measure.capability(model, tokenizer)
    recorded = TRUTH["capability"]
    assert found.perplexity == pytest.approx(recorded["perplexity"], rel=1e-3)
    assert found.facts == pytest.approx(recorded["facts"], abs=2e-3)  # near ties may fall otherwise on other machines
    assert found.fact_nats == pytest.approx(recorded["fact_nats"], rel=0.1)
    assert found.reading == pytest.approx(recorded["reading"], abs=1e-2)
    assert math.isclose(found.unknown, recorded["unknown"], abs_tol=1e-3)


def test_compression_costs_something_to_see(model, tokenizer):
    """docs/phantom.md: .0011 nats a fact, .0106 under nf4, 1.77 and 41 % forgotten at half of the weights."""
    _, nats = measure.fact_recall(model, tokenizer)
    _, nats_4bit = measure.fact_recall(fairopt.compress(model, "nf4"), tokenizer)
    recalled, _ = measure.fact_recall(fairopt.compress(model, "magnitude:0.5"), tokenizer)
    assert nats_4bit > 3 * nats
    assert recalled < 0.8


def test_the_training_script_learns(tmp_path):
    """Sixty steps: far from a phantom, well below the uniform perplexity, which is the size of the vocabulary."""
    spec = importlib.util.spec_from_file_location("train_phantom", ROOT / "tools" / "train_phantom.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.train(tmp_path, seed=5, tokens=60 * script.ROWS * script.LENGTH, peak=3e-3)
    trained = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    words = AutoTokenizer.from_pretrained(tmp_path)
    assert measure.perplexity(trained, words, documents=100) < trained.config.vocab_size / 4
