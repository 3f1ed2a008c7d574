"""Every number of the benchmarks that compare likelihoods or vectors, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from worked import by_group, columns, numbers

from fairopt import benchmarks

LN2 = math.log(2)


def test_winobias() -> None:
    """Margins +2, -1, +1, 0; per token -20 / 10, -22 / 10 and so on, the second turned by its lengths."""
    benchmark = benchmarks.get("winobias")
    over = columns(
        group=["male", "female", "male", "female"],
        type=["type1", "type1", "type2", "type2"],
        occupation=["driver", "nurse", "driver", "baker"],
        ll_more=[-20.0, -21, -30, -25],
        ll_less=[-22.0, -20, -31, -25],
        n_tokens_more=[10, 11, 10, 10],
        n_tokens_less=[10, 10, 10, 10],
    )
    expected = {
        "winobias/ll_sum": 2 / 4,
        "winobias/ll_mean": 3 / 4,  # -21 / 11 beats -20 / 10
        "winobias/ll_sum_by_type": 2 / 4,
        "winobias/nats": 2 / 4,
        "winobias/historical": (2 - 1) / 4,
        "winobias/population": 3 / 4,  # "he" in the first and third as pro, in the second as anti; the last is a tie
    }
    assert numbers(benchmark, over) == pytest.approx(expected)
    assert by_group(benchmark, "winobias/ll_sum", over) == {"male": 1, "female": 0}
    assert by_group(benchmark, "winobias/ll_sum_by_type", over) == {"type1": 1 / 2, "type2": 1 / 2}
    assert by_group(benchmark, "winobias/nats", over) == {"driver": 3 / 2, "nurse": -1, "baker": 0}


def test_winogender() -> None:
    """Nats for "she" are -1, 3, 0, shares of women 40, 90, 50 %: less their means (-5, 7, -2) / 3, (-20, 30, -10)."""
    benchmark = benchmarks.get("winogender")
    over = columns(
        group=["occupation"] * 3 + ["participant"],
        occupation=["technician", "nurse", "clerk", "clerk"],
        pct_female=[40.0, 90, 50, 50],
        ll_male=[-20.0, -20, -20, -20],
        ll_female=[-21.0, -17, -20, -25],
        ll_neutral=[-19.0, -18, -19, -21],
    )
    expected = {
        "winogender/ll_sum": 2 / 4,  # a tie is not likelier
        "winogender/nats": (1 - 3 + 0 + 5) / 4,
        "winogender/bls_correlation": 110 / math.sqrt(78 / 9 * 1400),
        "winogender/neutral": 2 / 4,
    }
    assert numbers(benchmark, over) == pytest.approx(expected)
    assert by_group(benchmark, "winogender/nats", over) == {"technician": 1, "nurse": -3, "clerk": 5 / 2}


def test_holisticbias_likelihood() -> None:
    """Two words cost 10 bits in each of eight sentences of 5 bytes, a third word 20."""
    benchmark = benchmarks.get("holisticbias_likelihood")
    bits = {"Deaf": 10.0, "blind": 10.0, "tall": 20.0}
    rows = [(word, frame) for word in bits for frame in range(8)]
    over = columns(
        group=["ability"] * 16 + ["body_type"] * 8,
        bucket=["auditory"] * 8 + ["visual"] * 8 + ["height"] * 8,
        descriptor=[word for word, _ in rows],
        template=["t"] * len(rows),
        noun=[f"n{frame}" for _, frame in rows],
        ll=[-bits[word] * LN2 for word, _ in rows],
        n_tokens=[4] * len(rows),
        n_bytes=[5] * len(rows),
    )
    found = numbers(benchmark, over)
    assert found == pytest.approx(
        {
            "holisticbias_likelihood/bits_per_byte": 40 / 15,
            "holisticbias_likelihood/bits_per_byte_by_bucket": 40 / 15,
            "holisticbias_likelihood/significant_pairs/holm": 0.0,  # the one pair of an axis is of equals
            "holisticbias_likelihood/significant_pairs/as_published": 0.0,
        }
    )
    name = "holisticbias_likelihood/bits_per_byte"
    assert by_group(benchmark, name, over) == pytest.approx({"ability": 2, "body_type": 4})
    assert by_group(benchmark, f"{name}_by_bucket", over) == pytest.approx({"auditory": 2, "visual": 2, "height": 4})
    # Within one axis "tall" loses all 64 comparisons to either other word, p < .001: two of three pairs, Holm or not.
    apart = numbers(benchmark, over | {"group": np.array(["ability"] * 24)})
    for variant in ("holm", "as_published"):
        assert apart[f"holisticbias_likelihood/significant_pairs/{variant}"] == pytest.approx(2 / 3)


def test_stereoset() -> None:
    """Three sentences of term a like a human would write, one of b against the stereotype; then two of b in context."""
    benchmark = benchmarks.get("stereoset")
    over = columns(
        kind=["intra"] * 4 + ["inter"] * 2,
        target=["a", "a", "a", "b", "b", "b"],
        ll_stereotype=[-1.0, -1, -1, -2, -1, -3],
        ll_anti_stereotype=[-2.0, -2, -2, -1, -2, -2],
        ll_unrelated=[-3.0, -3, -3, -1.5, -3, -2.5],
        **{f"n_tokens_{sentence}": [1] * 6 for sentence in ("stereotype", "anti_stereotype", "unrelated")},
    )
    expected = {
        "stereoset_intra_lms/ll_mean": (1 + 1 + 1 + 1 / 2) / 4,
        "stereoset_intra_ss/ll_mean": 3 / 4,
        "stereoset_inter_lms/cond_ll_mean": (1 + 1 / 2) / 2,
        "stereoset_inter_ss/cond_ll_mean": 1 / 2,
        "stereoset_intra_lm/ll_mean_by_term": (100 + 50) / 2,
        "stereoset_intra_ss/ll_mean_by_term": (100 + 0) / 2,
        "stereoset_intra_icat/ll_mean_by_term": 75.0,
        "stereoset_inter_lm/cond_ll_mean_by_term": 75.0,
        "stereoset_inter_ss/cond_ll_mean_by_term": 50.0,
        "stereoset_inter_icat/cond_ll_mean_by_term": 75.0,
        "stereoset_lm/by_term": (100 + 100 * 4 / 6) / 2,  # all three items of b are one term
        "stereoset_ss/by_term": (100 + 100 / 3) / 2,
        "stereoset_icat/by_term": 250 / 3 * (100 - 200 / 3) / 50,
    }
    assert numbers(benchmark, over) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["seat", "weat"])
def test_association_tests(name: str) -> None:
    """The vector of test_weat.py in a test about people, its mirror image in one about things."""
    near = [1.0, -0.2, -1.0, 0.2]
    over = columns(
        group=["weat6"] * 4 + ["weat1"] * 4,
        axis=["gender"] * 4 + ["things"] * 4,
        set=["targ1", "targ1", "targ2", "targ2"] * 2,
        near_first=[*near, *near[::-1]],
        near_second=[0.0] * 8,
    )
    d = 0.8 / math.sqrt(2.08 / 3)
    expected = {
        f"{name}/effect_size": d,  # people only
        f"{name}/association": (1 - 0.2 + 1 - 0.2) / 8 - (1 - 0.2 + 1 - 0.2) / 8,
        f"{name}_effect_size/by_test": 0.0,
        f"{name}_effect_size/absolute": d,
        f"{name}_p/by_test": 2 * 2 / 6,  # two tests, the smaller p is 2 of 6 partitions
    }
    assert numbers(benchmarks.get(name), over) == pytest.approx(expected, abs=1e-12)
    association = by_group(benchmarks.get(name), f"{name}/association", over)
    assert association == pytest.approx({"weat6": 0.4, "weat1": -0.4})
