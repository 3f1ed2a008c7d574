"""The statistics against SciPy, statsmodels and plain re-computation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import optimize, special
from scipy import stats as scipy_stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats import contingency_tables, multitest, proportion

from fairopt import _core, stats

# Promised accuracy of the distributions. SciPy's own (Boost) is of the same order or better on the grids below.
RTOL = 1e-12


def test_normal() -> None:
    z = np.linspace(-37, 8, 1000)
    np.testing.assert_allclose(_core.normal_cdf(z), scipy_stats.norm.cdf(z), rtol=RTOL)
    p = np.concatenate([np.logspace(-300, -1, 400), np.linspace(0.01, 0.99, 99)])
    np.testing.assert_allclose(_core.normal_quantile(p), scipy_stats.norm.ppf(p), rtol=RTOL, atol=1e-16)


@pytest.mark.parametrize("df", [0.5, 1, 1.923, 7, 12.4, 100.7, 1507, 1e6])
def test_student_t(df: float) -> None:
    t = np.concatenate([-np.logspace(-2, 1.4, 200), np.logspace(-2, 1.4, 200)])
    np.testing.assert_allclose(_core.student_t_sf(t, df), scipy_stats.t.sf(t, df), rtol=RTOL)
    p = np.array([1e-12, 1e-5, 0.05 / 12, 0.05, 0.2, 0.249, 0.251, 0.4, 0.6, 0.95, 0.999])
    np.testing.assert_allclose(_core.student_t_quantile(p, df), scipy_stats.t.ppf(p, df), rtol=RTOL)


def test_incomplete_beta() -> None:
    rng = np.random.default_rng(0)
    a, b = 10 ** rng.uniform(-1, 6, (2, 2000))
    x = np.clip(rng.beta(a, b), 1e-12, 1 - 1e-12)
    np.testing.assert_allclose(_core.incomplete_beta(a, b, x), special.betainc(a, b, x), rtol=RTOL)


def test_binomial() -> None:
    rng = np.random.default_rng(1)
    n = rng.integers(1, 1_000_000, 1000)
    p = rng.uniform(1e-4, 0.9999, 1000)
    k = rng.binomial(n, p)
    for ours, peer in (
        (_core.binomial_cdf, scipy_stats.binom.cdf),
        (_core.binomial_sf, scipy_stats.binom.sf),
        (_core.binomial_pmf, scipy_stats.binom.pmf),
    ):
        np.testing.assert_allclose(ours(k, n, p), peer(k, n, p), rtol=RTOL)


@pytest.mark.parametrize(("worse", "better", "n"), [(15, 5, 100), (0, 0, 60), (3, 0, 40), (0, 7, 90), (40, 30, 1508)])
def test_tango_is_the_score_test_of_the_trinomial(worse: int, better: int, n: int) -> None:
    """Invert the likelihood score test found by numerical maximisation: nothing of Tango's algebra is used."""

    def score(delta: float) -> float:
        def negative_log_likelihood(q: float) -> float:
            cells = (q, q + delta, 1 - 2 * q - delta)
            return -sum(special.xlogy(k, c) for k, c in zip((worse, better, n - worse - better), cells, strict=True))

        low, high = max(0.0, -delta), (1 - delta) / 2
        q = optimize.minimize_scalar(
            negative_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
        ).x
        return float((better - worse - n * delta) / np.sqrt(n * (2 * q + delta - delta**2)))

    z = scipy_stats.norm.ppf(0.975)
    estimate = (better - worse) / n
    interval = stats.tango(worse, better, n, level=0.95)
    low = optimize.brentq(lambda d: score(d) - z, -0.9, estimate - 1e-6)
    high = optimize.brentq(lambda d: score(d) + z, estimate + 1e-6, 0.9)
    # The numerical maximum is flat: q is good to about 1e-8, the bound to about as much.
    assert interval.low == pytest.approx(low, abs=2e-7)
    assert interval.high == pytest.approx(high, abs=2e-7)


@pytest.mark.parametrize(
    ("n", "margin", "published_power"), [(50, 0.05, [0.17, 0.25, 0.20]), (100, 0.02, [0.06, 0.12, 0.12])]
)
def test_size_and_power_by_enumeration(n: int, margin: float, published_power: list[float]) -> None:
    """Chance that the gate passes, over every (worse, better): no simulation error.

    At a true difference of exactly -margin it stays at or below alpha, and close below it, while not every item flips
    (were every item to flip, 5.2 %).
    """
    table = np.array([(b, c, n - b - c) for b in range(n + 1) for c in range(n - b + 1)])
    passes = np.array([stats.paired_binary(b, c, n, margin=margin).p_ok <= 0.05 for b, c, _ in table])

    def pass_rate(rho: float, delta: float) -> float:
        cells = [(rho - delta) / 2, (rho + delta) / 2, 1 - rho]
        return float(scipy_stats.multinomial.pmf(table, n, cells) @ passes)

    assert 0.04 < max(pass_rate(rho, -margin) for rho in np.linspace(margin, 0.99, 95)) <= 0.05
    # Published to the per cent.
    assert [pass_rate(rho, 0) for rho in (0.01, 0.05, 0.1)] == pytest.approx(published_power, abs=0.005)


@pytest.mark.parametrize(("worse", "better"), [(15, 5), (5, 15), (10, 0), (4, 4), (0, 1), (300, 250)])
def test_mcnemar(worse: int, better: int) -> None:
    peer = contingency_tables.mcnemar([[0, worse], [better, 0]], exact=True).pvalue
    assert stats.mcnemar(worse, better) == pytest.approx(peer, rel=RTOL)
    one_sided = scipy_stats.binomtest(worse, worse + better, alternative="greater").pvalue
    assert stats.mcnemar(worse, better, alternative="worse") == pytest.approx(one_sided, rel=RTOL)
    k = np.arange(worse + better + 1)
    pmf = scipy_stats.binom.pmf(k, worse + better, 0.5)
    mid_p = pmf[k > worse].sum() + pmf[worse] / 2
    assert stats.mcnemar(worse, better, method="midp", alternative="worse") == pytest.approx(mid_p, rel=1e-11)
    assert stats.odd_one_out(worse, better) == pytest.approx(mid_p, rel=1e-11)


@pytest.mark.parametrize(("x", "n"), [(0, 10), (3, 10), (10, 10), (893, 1508)])
def test_wilson_and_clopper_pearson(x: int, n: int) -> None:
    peer = proportion.proportion_confint(x, n, alpha=0.1, method="wilson")
    ours = stats.wilson(x, n)
    assert (ours.low, ours.high) == pytest.approx(peer, rel=RTOL, abs=1e-15)
    upper = scipy_stats.binomtest(x, n, alternative="less").proportion_ci(0.95, method="exact").high
    assert stats.noise_ceiling(x, n) == pytest.approx(upper, rel=1e-9)  # SciPy solves to its root finder's tolerance


def test_multiplicity() -> None:
    p = np.random.default_rng(2).uniform(size=50) ** 3
    np.testing.assert_allclose(stats.holm(p), multitest.multipletests(p, method="holm")[1], rtol=1e-14)
    np.testing.assert_allclose(stats.benjamini_hochberg(p), multitest.multipletests(p, method="fdr_bh")[1], rtol=1e-14)


def gram_df(forms: np.ndarray) -> float:
    """Satterthwaite df of a sum of squared linear forms of independent unit-variance items: rows are the forms."""
    gram = forms @ forms.T
    return float(np.trace(gram) ** 2 / np.sum(gram * gram))


def test_clustered_mean_against_regression_on_a_constant() -> None:
    rng = np.random.default_rng(3)
    clusters = rng.integers(0, 12, 90)
    d = rng.normal(size=90) + rng.normal(size=12)[clusters]
    n = len(d)
    fit = OLS(d, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False})
    c = 12
    assert stats.clustered_mean(d, clusters, kind="CR0").variance == pytest.approx(fit.cov_params()[0, 0], rel=1e-12)
    assert stats.clustered_mean(d, clusters, kind="CR1").variance == pytest.approx(
        fit.cov_params()[0, 0] * c / (c - 1), rel=1e-12
    )
    # CR2 as Bell and McCaffrey define it: residuals times (I - H_cc)^(-1/2), df from the Gram matrix of the forms.
    hat = np.full((n, n), 1 / n)
    forms = []
    for label in range(c):
        inside = np.flatnonzero(clusters == label)
        values, vectors = np.linalg.eigh(np.eye(len(inside)) - hat[np.ix_(inside, inside)])
        adjust = vectors @ np.diag(values**-0.5) @ vectors.T
        forms.append((np.ones(len(inside)) / n) @ adjust @ (np.eye(n) - hat)[inside])
    forms_array = np.array(forms)
    ours = stats.clustered_mean(d, clusters)
    assert ours.variance == pytest.approx(np.sum((forms_array @ d) ** 2), rel=1e-12)
    assert ours.df == pytest.approx(gram_df(forms_array), rel=1e-10)


def test_paired_mean_is_the_t_test_when_nothing_is_skewed() -> None:
    x = np.random.default_rng(4).normal(0.02, 0.3, 100)
    d = np.concatenate([x, 2 * x.mean() - x])  # symmetric about its mean
    test = stats.paired_mean(d, margin=0.05)
    for limit, above, below in (
        (-0.05, test.p_above_low, test.p_below_low),
        (0.05, test.p_above_high, test.p_below_high),
    ):
        assert above == pytest.approx(scipy_stats.ttest_1samp(d, limit, alternative="greater").pvalue, rel=1e-9)
        assert below == pytest.approx(scipy_stats.ttest_1samp(d, limit, alternative="less").pvalue, rel=1e-9)
    peer = scipy_stats.ttest_1samp(d, 0).confidence_interval(0.9)
    assert (test.low, test.high) == pytest.approx((peer.low, peer.high), rel=1e-9)


@pytest.mark.parametrize("crossed", [True, False])
def test_who_pays_against_explicit_forms(crossed: bool) -> None:
    """Variance and df from the n-column linear forms themselves, built item by item."""
    rng = np.random.default_rng(5)
    n, n_groups = 120, 4
    groups = rng.integers(0, n_groups, n)
    clusters = rng.integers(0, 15, n) if crossed else np.arange(n)
    d = rng.normal(size=n) - 0.5 * (groups == 2)
    sizes = np.bincount(groups)
    means = np.bincount(groups, d) / sizes
    found = stats.who_pays(d, groups, clusters if crossed else None)
    raw = []
    for g in range(n_groups):
        weight = np.where(np.arange(n_groups) == g, 1.0, -1 / (n_groups - 1))
        tau = float(weight @ means)
        forms = []
        for label in np.unique(clusters):
            form = np.zeros(n)
            for h in range(n_groups):
                inside = (clusters == label) & (groups == h)
                scale = weight[h] / sizes[h] / np.sqrt(1 - inside.sum() / sizes[h])
                form += scale * (inside - inside.sum() / sizes[h] * (groups == h))
            forms.append(form)
        forms_array = np.array(forms)
        se = np.sqrt(np.sum((forms_array @ d) ** 2))
        contrast = found[g]
        assert contrast.group == str(g)
        assert contrast.estimate == pytest.approx(tau, rel=1e-12)
        assert contrast.se == pytest.approx(se, rel=1e-12)
        assert contrast.df == pytest.approx(gram_df(forms_array), rel=1e-9)
        raw.append(scipy_stats.t.sf(-tau / se, contrast.df))
        assert contrast.p == pytest.approx(raw[-1], rel=1e-10)
    adjusted = multitest.multipletests(raw, method="holm")[1]
    assert [c.p_holm for c in found] == pytest.approx(list(adjusted), rel=1e-10)


def test_min_detectable_has_the_power_it_promises() -> None:
    """Exact power at the promised margin, by enumeration of the likely (worse, better)."""
    n, rho = 300, 0.1
    margin = stats.min_detectable(rho, n)
    likely = range(0, 45)
    table = np.array(list(itertools.product(likely, likely)))
    p = scipy_stats.multinomial.pmf(np.column_stack([table, n - table.sum(1)]), n, [rho / 2, rho / 2, 1 - rho])
    passes = np.array([stats.paired_binary(b, c, n, margin=margin).p_ok <= 0.05 for b, c in table])
    assert p.sum() > 1 - 1e-8
    assert p @ passes == pytest.approx(0.809, abs=0.003)  # published exact power: 80.9 %
