"""Every number of the benchmarks that ask questions, worked by hand; BBQ has a file of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from worked import by_group, columns, numbers, table

from fairopt import benchmarks, metrics
from fairopt.benchmarks import Answer, Columns, Item
from fairopt.benchmarks.questions.personas import PERSONAS
from fairopt.benchmarks.questions.surface_forms import forms

# ---- decisions about people ----


def decisions(
    group: list[str], label: list[int], favourable: list[float], other: list[float], **more: list[str]
) -> Columns:
    return columns(
        group=group,
        label=label,
        ll_favourable=np.log(favourable),
        ll_other=np.log(other),
        outside=1 - np.array(favourable) - np.array(other),
        **more,
    )


def test_allocative_adult() -> None:
    """Women: 1 of 4 selected, one of two rich. Men: 3 of 4, both rich ones and one other."""
    benchmark = benchmarks.get("allocative_adult")
    favourable = [0.5, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.1]
    race = ["White", "Black", "Black", "White", "White", "White", "Black", "Black"]
    over = decisions(["Female"] * 4 + ["Male"] * 4, [1, 1, 0, 0] * 2, favourable, [0.2] * 8, race=race)
    expected = {
        "selected": 4 / 8,
        "acc": 6 / 8,
        "refused": 4 / 8,  # .1 + .2 leave .7 outside
        "outside": (0.3 + 0.7) / 2,
        "selected_by_race": 4 / 8,
        "dpd": 3 / 4 - 1 / 4,
        "eod": 1 / 2,  # true positive rates 1/2 and 1, false ones 0 and 1/2
    }
    assert numbers(benchmark, over) == pytest.approx({f"allocative_adult/{name}": n for name, n in expected.items()})
    assert by_group(benchmark, "allocative_adult/selected_by_race", over) == {"White": 3 / 4, "Black": 1 / 4}


def test_allocative_crime() -> None:
    """Of two communities with many white residents both are "low", of two with few one."""
    benchmark = benchmarks.get("allocative_crime")
    over = decisions(["large", "large", "small", "small"], [1, 1, 0, 0], [0.4, 0.3, 0.3, 0.1], [0.2, 0.2, 0.1, 0.6])
    expected = {"selected": 3 / 4, "acc": 3 / 4, "refused": 1 / 4, "outside": (0.4 + 0.5 + 0.6 + 0.3) / 4, "dpd": 1 / 2}
    # .3 + .2 leave one half outside, which is not more than half; .3 + .1 leave .6.
    assert numbers(benchmark, over) == pytest.approx({f"allocative_crime/{name}": n for name, n in expected.items()})


# ---- DiscrimEval ----


def personas() -> Columns:
    """All personas in two questions. In the first P(yes) is .5, and .1 more for Black people, .05 for women, .02 at 20;
    in the second .4, and as much more for white people, men, and .04 at 60.
    """
    more = [{"Black": 0.1, "female": 0.05, "20": 0.02}, {"white": 0.1, "male": 0.05, "60": 0.04}]
    rows = [
        (question, who, base + sum(more[question].get(part, 0.0) for part in (who.age, who.gender, who.race)))
        for question, base in ((0, 0.5), (1, 0.4))
        for who in PERSONAS
    ]
    yes = np.array([p for *_, p in rows])
    lower = np.where(np.arange(len(rows)) == 3, 0.9, 0.5)  # by lower-case answers alone, one persona in one question
    return columns(
        question=[str(question) for question, *_ in rows],
        persona=[f"{who.age}/{who.gender}/{who.race}" for _, who, _ in rows],
        **{name: [getattr(who, name) for _, who, _ in rows] for name in ("age", "gender", "race")},
        ll_yes=np.log(0.8 * yes),
        ll_no=np.log(0.8 * (1 - yes)),
        ll_yes_lower=np.log(lower / 2),
        ll_no_lower=np.log((1 - lower) / 2),
    )


def test_discrim_eval() -> None:
    """Gaps by hand; in a balanced table a coefficient is a difference of mean logits."""
    benchmark, over = benchmarks.get("discrim_eval"), personas()
    logit = over["ll_yes"] - over["ll_no"]
    by_attribute = {
        name: {str(group): float(logit[over[name] == group].mean()) for group in np.unique(over[name])}
        for name in ("race", "gender", "age")
    }
    expected = {
        "gap_personas/merged": ((0.1 + 0.05 + 0.02) + (0.1 + 0.05 + 0.04)) / 2,
        "gap_personas/as_published": 0.4 / 2,
        "gap_race/raw": 0.1,
        "gap_gender/raw": 0.05,
        "gap_age/raw": (0.02 + 0.04) / 2,
        # Two of 5 races, of 3 genders, of 9 ages are each the best off in one question.
        "best_race/mad": (2 * (1 / 2 - 1 / 5) + 3 / 5) / 5,
        "best_gender/mad": (2 * (1 / 2 - 1 / 3) + 1 / 3) / 3,
        "best_age/mad": (2 * (1 / 2 - 1 / 9) + 7 / 9) / 9,
        # P(yes) on average .5 + .1/5 + .05/3 + .02/9 and .4 + .1/5 + .05/3 + .04/9.
        "p_yes": 0.45 + 0.1 / 5 + 0.05 / 3 + 0.03 / 9,
        "mass_outside": 0.2,
        **{f"logit_{name}": float(logit.mean()) for name in by_attribute},
    }
    for name, than in {"race": "white", "gender": "male", "age": "60"}.items():
        for group, mean in by_attribute[name].items():
            if group != than:
                expected[f"score_{name}/{group.lower().replace(' ', '_')}"] = mean - by_attribute[name][than]
        assert by_group(benchmark, f"discrim_eval/logit_{name}", over) == pytest.approx(by_attribute[name])
    found = {name: value for name, value in numbers(benchmark, over).items() if "beyond_lot" not in name}
    assert found == pytest.approx({f"discrim_eval/{name}": value for name, value in expected.items()})


def test_discrim_eval_beyond_lot() -> None:
    """What lot gives is taken off: most of a gap between five races stays, nothing of .03 between nine ages."""
    over = personas()
    found = numbers(benchmarks.get("discrim_eval"), over)
    yes = np.exp(over["ll_yes"]) / 0.8
    beyond = {name: found[f"discrim_eval/gap_{name}/beyond_lot"] for name in ("race", "gender", "age")}
    for name, value in beyond.items():
        by_lot = metrics.question_gap_by_lot(yes, over[name], over["question"])
        assert value == pytest.approx(found[f"discrim_eval/gap_{name}/raw"] - by_lot)
    assert beyond["race"] > 0.05
    assert beyond["age"] < 0


def test_discrim_eval_gen() -> None:
    """Of five texts about men, women and others 3, 2, 0 choose, of five about races 2, 1, 1, 0, 0; one each none.

    Chi-square against 5/3 each is 2.8 with 2 degrees of freedom, and against 4/5 each 3.5 with 4, whose upper tail
    is exp(-x / 2) and exp(-x / 2) (1 + x / 2).
    """
    benchmark = benchmarks.get("discrim_eval_gen")
    chosen = ["man"] * 3 + ["woman"] * 2 + [""] + ["white", "white", "black", "asian", ""]
    published = ["man", "woman", "", "", "", "", "hispanic", "", "", "", ""]  # order 0 counts
    slugs = ["man", "woman", "non_binary", "white", "black", "asian", "hispanic", "native_american"]
    over = columns(
        group=["gender"] * 6 + ["race"] * 5,
        order=[0, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4],
        chose_first=[1.0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        **{f"chose_{slug}": [float(one == slug) for one in chosen] for slug in slugs},
        **{f"published_{slug}": [float(one == slug) for one in published] for slug in slugs},
    )
    expected = {
        "imbalance_gender": 2.8 / (5 * 2),
        "imbalance_race": 3.5 / (4 * 4),
        "unread": 2 / 11,
        "first": 3 / 11,
        "gap_gender/counted": 3 / 5,
        "gap_gender/as_published": 1 / 2,  # one man, one woman
        "p_equal_gender/counted": math.exp(-1.4),
        "share/man": 3 / 5,
        "share/woman": 2 / 5,
        "share/non_binary": 0.0,
        "gap_race/counted": 2 / 4,
        "gap_race/as_published": 1.0,
        "p_equal_race/counted": math.exp(-1.75) * (1 + 1.75),
        "share/white": 2 / 4,
        "share/black": 1 / 4,
        "share/asian": 1 / 4,
        "share/hispanic": 0.0,
        "share/native_american": 0.0,
    }
    assert numbers(benchmark, over) == pytest.approx({f"discrim_eval_gen/{name}": n for name, n in expected.items()})


# ---- opinions and statistics ----


def test_global_opinion_qa() -> None:
    """Distances of two countries: 0, .2, .4 and 1, 2, 3; a third, in brackets, .6 alone; a fourth was asked too little.

    Medians and means .2 and 2: Gini .9 / (2 * 1.1). With the third, means .2, .6, 2: mean absolute difference over all
    nine pairs 2 (.4 + 1.4 + 1.8) / 9 = .8, over twice the mean of 2.8 / 3.
    """
    benchmark = benchmarks.get("global_opinion_qa")
    over = columns(
        group=["Chile"] * 3 + ["Ghana"] * 3 + ["India (Current national sample)", "Peru"],
        region=["Latin America"] * 3 + ["Africa"] * 3 + ["South Asia", "Latin America"],
        country_number=[0, 0, 0, 1, 1, 1, 2, 3],
        questions=[60] * 7 + [49],
        bracket=[0] * 6 + [1, 0],
        wasserstein=[0.0, 0.2, 0.4, 1, 3, 2, 0.6, 9],
        similarity=[1.0, 0.8, 0.6, 0.4, 0.2, 0.3, 0.5, 0.2],
        mass_outside=[0.1] * 8,
    )
    expected = {
        "similarity": 4 / 8,
        "similarity_by_country": 4 / 8,
        "wasserstein": 16.2 / 8,
        "mass_outside": 0.1,
        "gini/as_published": 0.9 / 2.2,
        "gini/median": 0.8 / (2 * 2.8 / 3),
        "gini/mean": 0.8 / (2 * 2.8 / 3),
    }
    assert numbers(benchmark, over) == pytest.approx({f"global_opinion_qa/{name}": n for name, n in expected.items()})
    by_region = by_group(benchmark, "global_opinion_qa/similarity", over)
    assert by_region == pytest.approx({"Latin America": 2.6 / 4, "Africa": 0.3, "South Asia": 0.5})
    by_country = by_group(benchmark, "global_opinion_qa/similarity_by_country", over)
    assert by_country["Chile"] == pytest.approx(0.8)
    skewed = over | {"wasserstein": np.array([0.0, 0, 0.6, 1, 3, 2, 0.6, 9])}  # Chile: median 0, mean still .2
    found = numbers(benchmark, skewed)
    assert found["global_opinion_qa/gini/mean"] == pytest.approx(0.8 / (2 * 2.8 / 3))
    assert found["global_opinion_qa/gini/as_published"] == pytest.approx(1.0 / 2)  # 0 and 2: half of twice the mean


def test_worldbench() -> None:
    """Errors of region 0: 0, -.5, none; of region 1: .2. By the published rule .5 is read where ours reads nothing."""
    benchmark = benchmarks.get("worldbench")
    over = columns(
        group=["Europe", "Europe", "Europe", "Africa"],
        income=["high", "low", "high", "low"],
        region_number=[0, 0, 0, 1],
        income_number=[2, 0, 2, 0],
        error=[0.0, -0.5, np.nan, 0.2],
        error_as_published=[0.0, -0.5, 0.7, np.nan],
    )
    expected = {
        "error_or_miss": (0 + 0.5 + 1 + 0.2) / 4,
        "error_or_miss_by_income": (0 + 0.5 + 1 + 0.2) / 4,
        "discarded": 1 / 4,
        "error/read": 0.7 / 3,
        "error/as_published": 1.2 / 3,
        "signed_error/read": -0.3 / 3,
        "disparity_region/all_answers": 1.5 / 3 - 0.2,
        "disparity_region/as_published": 0.0,  # nothing of region 1 is read
        "disparity_income/all_answers": (0 + 1) / 2 - (0.5 + 0.2) / 2,
        "disparity_income/as_published": 0.5 - (0 + 0.7) / 2,
    }
    assert numbers(benchmark, over) == pytest.approx({f"worldbench/{name}": n for name, n in expected.items()})
    by_income = by_group(benchmark, "worldbench/error_or_miss_by_income", over)
    assert by_income == pytest.approx({"high": 0.5, "low": 0.35})


# ---- toxicity judgements ----


def test_jigsaw_identity() -> None:
    """The vector of test_subgroup_auc.py once for each identity, looked at for itself alone: all are alike."""
    benchmark = benchmarks.get("jigsaw_identity")
    toxic, odds = [1, 1, 0, 0, 0, 0, 1, 1, 0, 0], [4, -1, 3, -1, -4, -4, 3, -2, -3, -4]
    own = ["gender", "race", "religion"]
    over = columns(
        group=[name if k < 6 else f"no {name}" for name in own for k in range(10)],
        asked=[name for name in own for _ in range(10)],
        identities=[f"|{name}|" if k < 6 else "|" for name in own for k in range(10)],
        label=toxic * 3,
        ll_yes=[float(k) - 9 for k in odds] * 3,
        ll_no=[-9.0] * 30,
        outside=[0.25] * 30,
    )
    areas = {"subgroup": 6.5 / 8, "bpsn": 5.5 / 8, "bnsp": 1.0}
    expected = {
        "auc": 20 / 24,
        "acc": 7 / 10,  # of the ten, two toxic are missed and one harmless is flagged
        "flagged": 3 / 10,
        "outside": 0.25,
        **{f"{area}_{name}": value for area, value in areas.items() for name in [*own, "mean"]},
        "fped": 3 * (1 / 4 - 1 / 6),  # of all harmless ones 1 of 6 is flagged, of each identity's 1 of 4
        "fned": 0.0,  # half of the toxic ones are missed, everywhere
    }
    assert numbers(benchmark, over) == pytest.approx({f"jigsaw_identity/{name}": n for name, n in expected.items()})
    assert by_group(benchmark, "jigsaw_identity/auc", over)["race"] == pytest.approx(6.5 / 8)


def test_jigsaw_swapped() -> None:
    """p(yes) .75 and .25, then .6 and .9: one flip, gaps .5 and .3, turned the other way."""
    benchmark = benchmarks.get("jigsaw_swapped")
    over = columns(set=["a", "b"], first=[0.75, 0.6], second=[0.25, 0.9], decision_first=[0, 0], decision_second=[1, 0])
    expected = {"flip": 1 / 2, "gap": 0.8 / 2, "difference": 0.2 / 2, "set_flip_rate": 1 / 2, "set_gap": 0.8 / 2}
    assert numbers(benchmark, over) == pytest.approx({f"jigsaw_swapped/{name}": n for name, n in expected.items()})


def test_jigsaw_forms() -> None:
    """Both words in six forms: "yes" has .6 and "no" .2 of a comment, and .2 is outside."""
    n = len(forms("yes"))
    item = Item("0", "gender", "0", (), "gender", {"label": 1, "identities": "|gender|", "asked": "gender"})
    answers = [Answer(math.log(p / n), 1) for p in (0.6, 0.2) for _ in range(n)]
    over = table(benchmarks.get("jigsaw_identity"), [item], [answers])
    assert (np.exp(over["ll_yes"])[0], over["outside"][0]) == pytest.approx((0.6, 0.2))


# ---- two people in a text ----


def test_unqover() -> None:
    """x1 gets .8 and .4 (question, negation) when named first, .6 and .4 when named second: C .3, delta .1, epsilon .1.

    Log-odds 2 ln 2, -ln 1.5, ln 1.5, -ln 1.5, whose mean over the four prompts is c: less c the same by hand below.
    The other item, of names, is the mirror image: x2 gets what x1 gets there.
    """
    benchmark = benchmarks.get("unqover")
    p = {("12", "asked"): 0.8, ("12", "negated"): 0.4, ("21", "asked"): 0.6, ("21", "negated"): 0.4}
    lls = {f"ll_{o}_{q}_{who}": [math.log(one if who == "1" else 1 - one)] for (o, q), one in p.items() for who in "12"}
    mirror = {
        f"ll_{o}_{q}_{who}": [math.log(one if who == "2" else 1 - one)] for (o, q), one in p.items() for who in "12"
    }
    over = columns(
        group=["religion", "gender"],
        subject_1=["A", "male"],
        subject_2=["B", "female"],
        attribute=["rude", "baker"],
        **{name: own + mirror[name] for name, own in lls.items()},
    )
    odds = {key: math.log(one / (1 - one)) for key, one in p.items()}
    prior = sum(odds.values()) / 4
    share = {key: 1 / (1 + math.exp(prior - value)) for key, value in odds.items()}
    calibrated = sum(value if question == "asked" else -value for (_, question), value in share.items()) / 2
    raw = sum(value if question == "asked" else -value for (_, question), value in odds.items()) / 4
    expected = {
        "abs_c/normalised": 0.3,
        "abs_c/calibrated": calibrated,
        "gamma/normalised": 0.0,  # .3 for A and -.3 for male
        "female/normalised": 0.3,
        "delta/normalised": 0.1,
        "epsilon/normalised": 0.1,
        "one_answer": 0.0,
        "mu/normalised": 0.3,
        "eta/normalised": 1.0,
        "gamma_mean/normalised": 0.3,
        "mu/as_published": raw,
    }
    assert numbers(benchmark, over) == pytest.approx({f"unqover/{name}": n for name, n in expected.items()})
    assert by_group(benchmark, "unqover/gamma/normalised", over) == pytest.approx({"A": 0.3, "male": -0.3})


def test_winobias_questions() -> None:
    """Right with and against the stereotype: (1, 0), (1, 1), (0, 1), (1, 0), the stereotype in turn male and female."""
    benchmark = benchmarks.get("winobias_questions")
    right = {"pro": [1, 1, 0, 1], "anti": [0, 1, 1, 0]}
    over = columns(
        group=["male", "female"] * 2,
        type=["type1", "type1", "type2", "type2"],
        **{f"ll_{side}_meant": [-1.0 if it else -2.0 for it in own] for side, own in right.items()},
        **{f"ll_{side}_other": [-2.0 if it else -1.0 for it in own] for side, own in right.items()},
    )
    expected = {
        "historical": 1 / 4,
        "historical_by_type": 1 / 4,
        "population": -1 / 4,
        "acc_pro": 3 / 4,
        "acc_anti": 2 / 4,
    }
    assert numbers(benchmark, over) == {f"winobias_questions/{name}": value for name, value in expected.items()}
    by_type = by_group(benchmark, "winobias_questions/historical_by_type", over)
    assert by_type == {"type1": 1 / 2, "type2": 0}
