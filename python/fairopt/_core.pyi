"""
Kernels, metrics and statistics of fairopt on NumPy arrays.
"""

from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing

__all__: list[str] = [
    "absolute_influence",
    "absolute_mean",
    "absolute_share",
    "absolute_share_clustered",
    "agreement",
    "answer_changes",
    "at_least_one",
    "bbq_influence",
    "bbq_scores",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "better_share",
    "between_groups",
    "binomial_cdf",
    "binomial_pmf",
    "binomial_sf",
    "bootstrap_flips",
    "bootstrap_interval",
    "bootstrap_mean",
    "chi_squared_sf",
    "clopper_pearson",
    "clustered_mean",
    "cohens_h",
    "confidence_bins",
    "contrast_test",
    "cpu_capabilities",
    "cpu_capability",
    "crows_margin",
    "cuda_status",
    "default_matmul_mode",
    "dequantize_blockwise",
    "dose_trend",
    "dose_trend_influence",
    "dynamic_map",
    "equivalence",
    "excess_churn",
    "f_sf",
    "format_layout",
    "format_names",
    "gap_permutation",
    "grouped_sums",
    "heterogeneity",
    "hodges_lehmann",
    "holm",
    "incomplete_beta",
    "js_divergence",
    "kl_divergence",
    "matmul_modes",
    "max_t_quantile",
    "mcnemar",
    "min_detectable",
    "min_detectable_mean",
    "newcombe",
    "noise_ceiling",
    "normal_cdf",
    "normal_quantile",
    "odd_one_out",
    "paired_binary",
    "paired_binary_clustered",
    "paired_binary_exact",
    "paired_influence",
    "paired_mean",
    "preference",
    "preference_flips",
    "prune_mask",
    "prune_mask_model",
    "prune_mask_n_of_m",
    "prune_mask_rows",
    "quantize_blockwise",
    "recovery_binary",
    "recovery_test",
    "resample_counts",
    "resample_weights",
    "run_variance",
    "same_top",
    "sign_flip",
    "simpson_reversal",
    "stereoset_scores",
    "student_t_quantile",
    "student_t_sf",
    "tango",
    "terciles",
    "token_trie",
    "token_trie_chunks",
    "verdict",
    "who_pays",
    "who_pays_binary",
    "who_pays_binary_max_t",
    "who_pays_influence",
    "who_pays_influence_max_t",
    "who_pays_max_t",
    "wilson",
]

def absolute_influence(
    estimate: typing.SupportsFloat | typing.SupportsIndex,
    psi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    support: typing.SupportsInt | typing.SupportsIndex,
    limit: typing.SupportsFloat | typing.SupportsIndex,
    fine: str,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def absolute_mean(
    values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    limit: typing.SupportsFloat | typing.SupportsIndex,
    fine: str,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def absolute_share(
    x: typing.SupportsInt | typing.SupportsIndex,
    n: typing.SupportsInt | typing.SupportsIndex,
    limit: typing.SupportsFloat | typing.SupportsIndex,
    fine: str,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def absolute_share_clustered(
    hits: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    sizes: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    limit: typing.SupportsFloat | typing.SupportsIndex,
    fine: str,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def agreement(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    variant: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_categories: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def answer_changes(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    variant: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    right: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
) -> dict[str, typing.Any]: ...
def at_least_one(
    hits: typing.SupportsInt | typing.SupportsIndex,
    samples: typing.SupportsInt | typing.SupportsIndex,
    k: typing.SupportsInt | typing.SupportsIndex,
) -> float: ...
def bbq_influence(
    score: str,
    answer: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    label: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    target: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    unknown: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    negative: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    ambiguous: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
) -> numpy.typing.NDArray[numpy.float64]: ...
def bbq_scores(
    variant: str,
    answer: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    label: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    target: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    unknown: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    negative: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    ambiguous: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
) -> dict[str, typing.Any]: ...
def benjamini_hochberg(
    p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]: ...
def benjamini_yekutieli(
    p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]: ...
def better_share(
    worse: typing.SupportsInt | typing.SupportsIndex,
    better: typing.SupportsInt | typing.SupportsIndex,
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def between_groups(
    values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_groups: typing.SupportsInt | typing.SupportsIndex,
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
) -> dict[str, typing.Any]: ...
def binomial_cdf(
    k: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def binomial_pmf(
    k: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def binomial_sf(
    k: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def bootstrap_flips(
    worse: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    better: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    method: str,
    level: typing.SupportsFloat | typing.SupportsIndex,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def bootstrap_interval(
    estimate: typing.SupportsFloat | typing.SupportsIndex,
    values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    jackknife: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    strata: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    method: str,
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def bootstrap_mean(
    d: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    strata: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    method: str,
    level: typing.SupportsFloat | typing.SupportsIndex,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def chi_squared_sf(
    x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    df: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def clopper_pearson(
    x: typing.SupportsFloat | typing.SupportsIndex,
    n: typing.SupportsFloat | typing.SupportsIndex,
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def clustered_mean(
    values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    kind: str,
) -> dict[str, typing.Any]: ...
def cohens_h(
    base: typing.SupportsFloat | typing.SupportsIndex, variant: typing.SupportsFloat | typing.SupportsIndex
) -> float: ...
def confidence_bins(
    rule: str,
    bins: typing.SupportsInt | typing.SupportsIndex,
    confidence: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.int64]:
    """
    The bin of each confidence, -1 for NaN.
    """

def contrast_test(
    contrast: dict[str, typing.Any],
    margin: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def cpu_capabilities() -> list[str]:
    """
    All levels that this CPU and this build can run, the plainest first.
    """

def cpu_capability() -> str:
    """
    The instruction-set level in use: baseline, avx2, avx512 or avx512_vnni.
    """

def crows_margin(
    metric: str,
    ll_more: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ll_less: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    n_tokens_more: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_tokens_less: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
) -> numpy.typing.NDArray[numpy.float64]: ...
def cuda_status() -> str:
    """
    One line that says whether the CUDA kernels can run here: 'usable: ...', 'not built: ...' or
    'built, not usable: ...'. Opens libfairopt_cuda.so, which lies beside this module or where FAIROPT_CUDA_LIB says.
    """

def default_matmul_mode(format: str, bf16: bool = False) -> str:
    """
    The fastest mode as accurate as fp32 for x in fp32 or bf16: a24 for integer codes where the CPU has VNNI, but
    exact in bf16 where it has AVX-512 BF16; else exact.
    """

def dequantize_blockwise(
    codes: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8],
    scales: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    zeros: numpy.ndarray,
    format: str,
    block: typing.SupportsInt | typing.SupportsIndex,
    cols: typing.SupportsInt | typing.SupportsIndex,
    dtype: str = "float32",
) -> numpy.ndarray:
    """
    The inverse: values [..., cols] of dtype float32, float16 or bfloat16 (as uint16 bits), rounded once.
    Raises ValueError when shapes do not fit the format, block and cols.
    """

def dose_trend(
    doses: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    changes: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def dose_trend_influence(
    doses: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    estimates: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    psi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def dynamic_map() -> list[float]:
    """
    The 256 values of bitsandbytes' signed dynamic map, ascending.
    """

def equivalence(
    p_above_low: typing.SupportsFloat | typing.SupportsIndex,
    p_below_low: typing.SupportsFloat | typing.SupportsIndex,
    p_above_high: typing.SupportsFloat | typing.SupportsIndex,
    p_below_high: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[float, float]: ...
def excess_churn(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    rerun: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    compressed: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    margin: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    kappa: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def f_sf(
    x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    df1: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    df2: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def format_layout(op: str, format: str, block: typing.SupportsInt | typing.SupportsIndex) -> tuple[int, str]:
    """
    (bits of a code, dtype of the zero points or '' where there are none). Raises the ValueError that `op`
    raises for an unknown format or an impossible block.
    """

def format_names() -> list[str]:
    """
    Of all formats that the kernels know.
    """

def gap_permutation(
    values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_groups: typing.SupportsInt | typing.SupportsIndex,
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    statistic: str,
    level: typing.SupportsFloat | typing.SupportsIndex,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def grouped_sums(
    values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    weights: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    cells: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_cells: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sums [n_cells, columns] of weight * values [n, columns] in each cell; no values ([0, 1]) counts, no weights means 1, cell -1 leaves out.
    """

def heterogeneity(
    d: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_groups: typing.SupportsInt | typing.SupportsIndex,
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    flips: bool,
) -> dict[str, typing.Any]: ...
def hodges_lehmann(
    d: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], level: typing.SupportsFloat | typing.SupportsIndex
) -> dict[str, typing.Any]: ...
def holm(p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> numpy.typing.NDArray[numpy.float64]: ...
def incomplete_beta(
    a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    x: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def js_divergence(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    variant: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]: ...
def kl_divergence(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    variant: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]: ...
def matmul_modes(format: str) -> list[str]:
    """
    The arithmetics in which packed weights of a format can be multiplied.
    """

def max_t_quantile(
    correlation: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    df: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
) -> float: ...
def mcnemar(
    worse: typing.SupportsInt | typing.SupportsIndex,
    better: typing.SupportsInt | typing.SupportsIndex,
    method: str,
    alternative: str,
) -> float: ...
def min_detectable(
    discordance: typing.SupportsFloat | typing.SupportsIndex,
    n: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    power: typing.SupportsFloat | typing.SupportsIndex,
    gates: typing.SupportsInt | typing.SupportsIndex,
    design_effect: typing.SupportsFloat | typing.SupportsIndex,
    kappa: typing.SupportsFloat | typing.SupportsIndex,
    method: str,
) -> float: ...
def min_detectable_mean(
    se: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    power: typing.SupportsFloat | typing.SupportsIndex,
    gates: typing.SupportsInt | typing.SupportsIndex,
) -> float: ...
def newcombe(
    both: typing.SupportsInt | typing.SupportsIndex,
    worse: typing.SupportsInt | typing.SupportsIndex,
    better: typing.SupportsInt | typing.SupportsIndex,
    neither: typing.SupportsInt | typing.SupportsIndex,
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def noise_ceiling(
    flips: typing.SupportsInt | typing.SupportsIndex,
    n: typing.SupportsInt | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> float: ...
def normal_cdf(z: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any: ...
def normal_quantile(p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> typing.Any: ...
def odd_one_out(
    compressed_odd: typing.SupportsInt | typing.SupportsIndex, base_odd: typing.SupportsInt | typing.SupportsIndex
) -> float: ...
def paired_binary(
    worse: typing.SupportsFloat | typing.SupportsIndex,
    better: typing.SupportsFloat | typing.SupportsIndex,
    n: typing.SupportsFloat | typing.SupportsIndex,
    margin: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    kappa: typing.SupportsFloat | typing.SupportsIndex,
    noise: tuple[
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsInt | typing.SupportsIndex,
    ],
) -> dict[str, typing.Any]: ...
def paired_binary_clustered(
    worse: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    better: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    sizes: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    margin: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    kappa: typing.SupportsFloat | typing.SupportsIndex,
    noise: tuple[
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsInt | typing.SupportsIndex,
    ],
) -> dict[str, typing.Any]: ...
def paired_binary_exact(
    worse: typing.SupportsFloat | typing.SupportsIndex,
    better: typing.SupportsFloat | typing.SupportsIndex,
    n: typing.SupportsFloat | typing.SupportsIndex,
    margin: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def paired_influence(
    estimate: typing.SupportsFloat | typing.SupportsIndex,
    psi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    support: typing.SupportsInt | typing.SupportsIndex,
    margin: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    noise: tuple[
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsInt | typing.SupportsIndex,
    ],
) -> dict[str, typing.Any]: ...
def paired_mean(
    d: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    margin: typing.SupportsFloat | typing.SupportsIndex,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    noise: tuple[
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsFloat | typing.SupportsIndex,
        typing.SupportsInt | typing.SupportsIndex,
    ],
) -> dict[str, typing.Any]: ...
def preference(
    margin: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_groups: typing.SupportsInt | typing.SupportsIndex,
) -> list[dict[str, typing.Any]]: ...
def preference_flips(
    base_margin: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    variant_margin: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_groups: typing.SupportsInt | typing.SupportsIndex,
) -> list[dict[str, typing.Any]]: ...
def prune_mask(
    score: numpy.ndarray,
    prune: typing.SupportsInt | typing.SupportsIndex,
    norms: numpy.typing.NDArray[numpy.float32] | None = None,
) -> numpy.typing.NDArray[numpy.bool]:
    """
    True keeps. Exactly `prune` entries are False: those of smallest |score| (times norms[column], float32),
    among equals the lower index first. score: float32, float16 or uint16 (bfloat16 bits). Raises ValueError for
    NaN or infinity.
    """

def prune_mask_model(
    scores: collections.abc.Sequence[numpy.ndarray],
    prune: typing.SupportsInt | typing.SupportsIndex,
    norms: list[numpy.typing.NDArray[numpy.float32] | None] | None = None,
) -> list[numpy.typing.NDArray[numpy.bool]]:
    """
    As prune_mask, for all arrays together: among equals the earlier array, then the lower index first.
    """

def prune_mask_n_of_m(
    score: numpy.ndarray,
    n: typing.SupportsInt | typing.SupportsIndex,
    m: typing.SupportsInt | typing.SupportsIndex,
    norms: numpy.typing.NDArray[numpy.float32] | None = None,
) -> numpy.typing.NDArray[numpy.bool]:
    """
    True keeps: of every m consecutive values of a row the n of largest |score|, 1 <= n <= m <= 32.
    """

def prune_mask_rows(
    score: numpy.ndarray,
    prune: typing.SupportsInt | typing.SupportsIndex,
    norms: numpy.typing.NDArray[numpy.float32] | None = None,
) -> numpy.typing.NDArray[numpy.bool]:
    """
    As prune_mask, for each row alone.
    """

def quantize_blockwise(
    array: numpy.ndarray, format: str, block: typing.SupportsInt | typing.SupportsIndex
) -> tuple[numpy.typing.NDArray[numpy.uint8], numpy.typing.NDArray[numpy.float32], numpy.ndarray]:
    """
    float32, float16 or uint16 (bfloat16 bits) [..., k] -> (codes uint8 [..., bytes], scales float32 [..., blocks],
    zeros uint8 or float32 [..., blocks], or [0] for formats without zero points). Definitions: docs/formats.md.
    Raises ValueError for another dtype, an unknown format, a bad block, NaN or infinity.
    """

def recovery_binary(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    variant: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    limit: typing.SupportsFloat | typing.SupportsIndex,
    fine: str,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    kappa: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def recovery_test(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    variant: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    limit: typing.SupportsFloat | typing.SupportsIndex,
    fine: str,
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def resample_counts(
    counts: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.int64]: ...
def resample_weights(
    strata: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
    stream: typing.SupportsInt | typing.SupportsIndex,
    first: typing.SupportsInt | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.int64]: ...
def run_variance(
    runs: typing.Annotated[numpy.typing.ArrayLike, numpy.float64], compared_with: str
) -> dict[str, typing.Any]: ...
def same_top(
    base: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    variant: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.uint8]: ...
def sign_flip(
    d: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    alternative: str,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def simpson_reversal(
    overall: typing.SupportsFloat | typing.SupportsIndex,
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> bool: ...
def stereoset_scores(
    term: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    stereotype: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    anti_stereotype: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    unrelated: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    n_terms: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def student_t_quantile(
    p: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    df: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def student_t_sf(
    t: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    df: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> typing.Any: ...
def tango(
    worse: typing.SupportsFloat | typing.SupportsIndex,
    better: typing.SupportsFloat | typing.SupportsIndex,
    n: typing.SupportsFloat | typing.SupportsIndex,
    kappa: typing.SupportsFloat | typing.SupportsIndex,
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def terciles(values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> numpy.typing.NDArray[numpy.int64]: ...
def token_trie(
    tokens: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_targets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    carried: typing.SupportsInt | typing.SupportsIndex = 0,
) -> dict[str, typing.Any]:
    """
    The trie of sorted sequences tokens[offsets[i]:offsets[i + 1]], of which the last n_targets[i] tokens are scored.
    The keys of the first `carried` tokens of the first sequence are there already. int64 arrays, by name:
    tokens, depths [nodes]; segments [s, 4] and runs [r, 2] for tree_attention; head_rows (nodes whose next token is
    scored); target_row (into head_rows) and target_token, by scored token; last_path (keys of the path that ends the
    trie). Raises ValueError for sequences that are not sorted, shorter than 2 or scored on the carried path.
    """

def token_trie_chunks(
    tokens: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    offsets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_targets: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    budget: typing.SupportsInt | typing.SupportsIndex,
    min_carried: typing.SupportsInt | typing.SupportsIndex = 1,
) -> numpy.typing.NDArray[numpy.int64]:
    """
    Cuts sorted sequences into chunks whose tries have at most `budget` nodes (one sequence alone may exceed it).
    int64 [chunks, 3]: first sequence, keys carried from the beginning of last_path of the chunk before, nodes. Fewer
    than `min_carried` common keys are not carried.
    """

def verdict(
    gates: collections.abc.Sequence[
        tuple[
            typing.SupportsFloat | typing.SupportsIndex, typing.SupportsFloat | typing.SupportsIndex, bool, bool, bool
        ]
    ],
    alpha_ship: typing.SupportsFloat | typing.SupportsIndex,
    alpha_hold: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def who_pays(
    d: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_groups: typing.SupportsInt | typing.SupportsIndex,
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> list[dict[str, typing.Any]]: ...
def who_pays_binary(
    groups: collections.abc.Sequence[
        typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]
    ],
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> list[dict[str, typing.Any]]: ...
def who_pays_binary_max_t(
    groups: collections.abc.Sequence[
        typing.Annotated[collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], "FixedSize(3)"]
    ],
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def who_pays_influence(
    estimates: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    psi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    support: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    alpha: typing.SupportsFloat | typing.SupportsIndex,
) -> list[dict[str, typing.Any]]: ...
def who_pays_influence_max_t(
    estimates: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    psi: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    method: str,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def who_pays_max_t(
    d: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    n_groups: typing.SupportsInt | typing.SupportsIndex,
    clusters: typing.Annotated[numpy.typing.ArrayLike, numpy.int64],
    alpha: typing.SupportsFloat | typing.SupportsIndex,
    method: str,
    replicates: typing.SupportsInt | typing.SupportsIndex,
    seed: typing.SupportsInt | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...
def wilson(
    x: typing.SupportsInt | typing.SupportsIndex,
    n: typing.SupportsInt | typing.SupportsIndex,
    level: typing.SupportsFloat | typing.SupportsIndex,
) -> dict[str, typing.Any]: ...

__version__: str = "0.1.0"
