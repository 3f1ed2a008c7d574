"""SparseGPT: against the published loop in plain PyTorch, brute-force OBS on tiny problems, and other pruners."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quantized import normal

from fairopt import ops

AMOUNTS = [{"prune": 0.5}, {"prune": 0.3}, {"n": 2, "m": 4}, {"n": 4, "m": 8}]
FORMATS = ["int2_sym", "int3_asym", "int4_sym", "int4_asym_float", "int4_tinygemm", "int8", "nf4", "fp4", "fp8"]


def correlated(k: int, tokens: int = 400, seed: int = 1) -> torch.Tensor:
    """The Hessian of inputs that go together, some much larger than others."""
    x = normal(tokens, k, seed=seed) @ (torch.eye(k) + normal(k, k, seed=seed + 1) / k**0.5)
    x = x * (1 + 4 * torch.rand(k, generator=torch.Generator().manual_seed(seed)))
    hessian = 2 / tokens * x.T @ x
    return (hessian + hessian.T) / 2  # a matrix product need not be symmetric to the last bit


def counts(amount: dict[str, float], weight: torch.Tensor) -> dict[str, int]:
    """The amount with a share turned into a count."""
    return {key: round(value * weight.numel()) if key == "prune" else int(value) for key, value in amount.items()}


def loss(error: torch.Tensor, hessian: torch.Tensor, damp: float = 0.0) -> float:
    h = hessian.double()
    h = h + damp * h.diagonal().mean() * torch.eye(len(h))
    return float(((error.double() @ h) * error.double()).sum())


def published(
    weight: torch.Tensor, hessian: torch.Tensor, prune: int = 0, n: int = 0, m: int = 0, damp: float = 0.01
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loop of the authors' code in float64: pruned weight and what is kept.

    They prune every weight up to a threshold; here a block gives its share of a count, ties by index.
    """
    w, h = weight.double().clone(), hessian.double().clone()
    rows, k = w.shape
    h += damp * h.diagonal().mean() * torch.eye(k).double()
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    keep = torch.ones(rows, k, dtype=torch.bool)

    def cheapest(costs: torch.Tensor, count: int) -> torch.Tensor:  # roots of costs: the same order
        return costs.float().sort(dim=-1, stable=True).indices[..., :count]

    for start in range(0, k, 128):
        end = min(start + 128, k)
        block, errors, u = (
            w[:, start:end].clone(),
            torch.zeros(rows, end - start).double(),
            inverse[start:end, start:end],
        )
        if not m:
            costs = (block / u.diagonal()).abs().flatten()
            mine = torch.ones(rows * (end - start), dtype=torch.bool)
            mine[cheapest(costs, prune * end // k - prune * start // k)] = False
            keep[:, start:end] = mine.view(rows, -1)
        for i in range(end - start):
            if m and i % m == 0:
                costs = (block[:, i : i + m] / u.diagonal()[i : i + m]).abs()
                keep[:, start + i : start + i + m].scatter_(1, cheapest(costs, m - n), False)
            settled = block[:, i] * keep[:, start + i]
            errors[:, i] = (block[:, i] - settled) / u[i, i]
            block[:, i:] -= errors[:, i : i + 1] * u[i, i:]
            block[:, i] = settled
        w[:, start:end] = block
        w[:, end:] -= errors @ inverse[start:end, end:]
    return w.float(), keep


def assert_is_published(weight: torch.Tensor, hessian: torch.Tensor, amount: dict[str, int]) -> None:
    found = ops.sparsegpt(weight, hessian, **amount)
    pruned, keep = published(weight, hessian, **amount)
    assert torch.equal(found.keep, keep)
    assert torch.equal(found.pruned, pruned)


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("k", [16, 128, 200, 384])
def test_is_the_published_loop(k: int, amount: dict[str, float]) -> None:
    weight = normal(70, k)
    assert_is_published(weight, correlated(k), counts(amount, weight))


@pytest.fixture(scope="module")
def real_layers(models_dir: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weight and inputs [tokens, k] of layers of TinyStories, on a story of its own."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K", local_files_only=True).eval()
    layers = []
    torch.manual_seed(0)
    with torch.no_grad():
        stories = model.generate(torch.full((16, 1), 1), do_sample=True, max_new_tokens=60, pad_token_id=0)
    for name in (
        "layers.0.self_attn.q_proj",
        "layers.0.mlp.gate_proj",
        "layers.1.self_attn.o_proj",
        "layers.1.mlp.down_proj",
    ):
        layer, seen = model.model.get_submodule(name), list[torch.Tensor]()
        handle = layer.register_forward_pre_hook(lambda module, given, seen=seen: seen.append(given[0].detach()))
        with torch.no_grad():
            model(stories)
        handle.remove()
        layers.append((layer.weight.detach(), seen[0].flatten(0, 1)))
    return layers


def test_on_real_layers_is_the_published_loop_and_loses_less_than_other_pruners(
    real_layers: list[tuple[torch.Tensor, torch.Tensor]],
) -> None:
    for weight, x in real_layers:
        hessian = 2 / len(x) * x.T @ x
        for amount in AMOUNTS:
            given = counts(amount, weight)
            assert_is_published(weight, hessian, given)
            found = ops.sparsegpt(weight, hessian, **given).pruned
            for scores in (weight, weight.abs() * x.norm(dim=0)):  # magnitude, Wanda
                if "m" in given:
                    keep = ops.prune_mask_n_of_m(scores, given["n"], given["m"])
                else:
                    keep = torch.stack([ops.prune_mask(row, given["prune"] // len(weight)) for row in scores])
                # Undamped: the squared error of what the layer puts out.
                other = (x @ (weight - weight * keep).T).square().sum()
                assert (x @ (weight - found).T).square().sum() < 0.8 * other


# ---- the type that weights are stored in ----


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_rounding_to_the_stored_type_is_made_up_for(
    real_layers: list[tuple[torch.Tensor, torch.Tensor]], share: float, dtype: torch.dtype
) -> None:
    compared = 0
    for layer, x in real_layers:
        weight, hessian = layer.to(dtype).float(), 2 / len(x) * x.T @ x
        prune = round(share * weight.numel())
        within = ops.sparsegpt(weight, hessian, prune=prune, dtype=dtype)
        after = ops.sparsegpt(weight, hessian, prune=prune)
        rounded = after.pruned.to(dtype).float()
        assert torch.equal(within.pruned.to(dtype).float(), within.pruned)
        found, other = (loss(weight - pruned, hessian, damp=0.01) for pruned in (within.pruned, rounded))
        assert within.report[0] == pytest.approx(found, rel=1e-5)  # of what is stored
        if share == 0.02:  # where little else is lost
            assert found < other
        elif dtype == torch.bfloat16 and torch.equal(within.keep, after.keep):  # what is left of half in fp16: nothing
            assert found < other
            compared += 1
    assert compared >= 2 or (share, dtype) != (0.5, torch.bfloat16)


def test_what_leaves_the_range_of_half_precision_stays_finite() -> None:
    hessian = torch.tensor([[1.0, 0.999], [0.999, 1.0]])
    found = ops.sparsegpt(torch.tensor([[30000.0, 50000.0]]), hessian, prune=1, columns=2, dtype=torch.float16)
    assert found.pruned.tolist() == [[0.0, 65504.0]]
    assert bool(torch.isfinite(found.report).all())


# ---- brute force ----

# OBS prunes one weight at a time and moves all others that are free to where they make up for it best. SparseGPT does
# so for columns from left to right, where those before are settled for good. On tiny problems each of its moves can be
# compared with the least squares solution over the free columns, and its loss with the best of all masks.


def best_rest(w: torch.Tensor, h: torch.Tensor, settled: torch.Tensor) -> torch.Tensor:
    """The row w with its first columns as they were settled and the others where they make up for it best."""
    j = len(settled)
    change = torch.linalg.solve(h[j:, j:], h[j:, :j] @ (w[:j] - settled))
    return torch.cat([settled, w[j:] + change])


def least_squares(w: torch.Tensor, h: torch.Tensor, keep: torch.Tensor) -> float:
    """The least error of a row with that mask."""
    values = torch.zeros_like(w)
    if keep.any():
        values[keep] = torch.linalg.solve(h[keep][:, keep], h[keep] @ w)
    return float((w - values) @ h @ (w - values))


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_each_move_is_the_best_while_later_columns_are_free(k: int) -> None:
    for seed in range(20):
        weight, hessian = normal(3, k, seed=seed), correlated(k, seed=seed + 100)
        found = ops.sparsegpt(weight, hessian, prune=3 * k // 2, damp=0.0)
        h = hessian.double()
        for w, mine, keep in zip(weight.double(), found.pruned.double(), found.keep, strict=True):
            for j in range(k):
                moved = best_rest(w, h, mine[:j])[j] if keep[j] else torch.zeros(())
                assert mine[j].item() == pytest.approx(moved.item(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("k", [4, 5, 6])
def test_is_least_squares_where_the_pruned_columns_come_first(k: int) -> None:
    """Then all that is kept is free while anything is pruned, and one order is as good as another."""
    weight, hessian = normal(8, k), correlated(k)
    tiny = weight.clone()
    tiny[:, : k // 2] *= 1e-3  # cheapest by far
    found = ops.sparsegpt(tiny, hessian, prune=8 * (k // 2), damp=0.0)
    assert torch.equal(found.keep, (torch.arange(k) >= k // 2).expand(8, k))
    expected = sum(least_squares(w, hessian.double(), m) for w, m in zip(tiny.double(), found.keep, strict=True))
    assert loss(tiny - found.pruned, hessian) == pytest.approx(expected, rel=1e-4)
    assert found.report[0].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("k", [4, 6])
def test_lies_between_the_best_of_all_masks_and_magnitude(k: int) -> None:
    best, mine, magnitude = 0.0, 0.0, 0.0
    masks = [torch.tensor(bits) for bits in itertools.product([False, True], repeat=k) if sum(bits) == k // 2]
    for seed in range(40):
        weight, hessian = normal(1, k, seed=seed), correlated(k, seed=seed + 100)
        w, h = weight[0].double(), hessian.double()
        least = min(least_squares(w, h, mask) for mask in masks)
        own = loss(weight - ops.sparsegpt(weight, hessian, prune=k // 2, damp=0.0).pruned, hessian)
        assert own >= least * (1 - 1e-6)
        best, mine = best + least, mine + own
        magnitude += loss(weight - weight * ops.prune_mask(weight, k // 2), hessian)
    assert best < mine < 0.8 * magnitude


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("k", [16, 128, 200])
def test_is_magnitude_where_inputs_are_independent(k: int, scale: float) -> None:
    weight, hessian = normal(20, k), scale * torch.eye(k)
    found = ops.sparsegpt(weight, hessian, prune=7 * k, columns=k)
    assert torch.equal(found.keep, ops.prune_mask(weight, 7 * k))
    assert torch.equal(found.pruned, weight * found.keep)
    blocks = ops.sparsegpt(weight, hessian, prune=10 * k)
    for at in range(0, k, 128):  # of each block by itself
        part = weight[:, at : at + 128]
        assert torch.equal(blocks.keep[:, at : at + 128], ops.prune_mask(part, part.numel() // 2))
    found = ops.sparsegpt(weight, hessian, n=1, m=4)
    assert torch.equal(found.keep, ops.prune_mask_n_of_m(weight, 1, 4))
    assert torch.equal(found.pruned, weight * found.keep)


def test_equal_costs_go_by_index() -> None:
    found = ops.sparsegpt(torch.ones(3, 8), torch.eye(8), prune=10)
    assert torch.equal(found.keep.flatten(), torch.arange(24) >= 10)


# ---- with a format ----


@pytest.mark.parametrize("act_order", ["none", "static", "dynamic"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("amount", [{"prune": 0.5}, {"n": 2, "m": 4}, {"n": 1, "m": 3}])
def test_codes_stand_for_what_is_kept_and_zeros_are_zero(amount: dict[str, float], format: str, act_order: str) -> None:
    k = 96
    weight, hessian = normal(70, k), correlated(k)
    given = counts(amount, weight)
    found = ops.sparsegpt(weight, hessian, **given, format=format, block=32, act_order=act_order)
    assert int((~found.keep).sum()) == given.get(
        "prune", 70 * k * (given.get("m", 0) - given.get("n", 0)) // given.get("m", 1)
    )
    dense = ops.dequantize_blockwise(found.codes, found.scales, found.zeros, format, 32, k)
    if len(found.order):
        dense = torch.empty_like(dense).index_copy_(1, found.order, dense)
    assert torch.equal(found.pruned, dense * found.keep)
    if format not in ("int4_asym_float", "int4_tinygemm"):  # the others have a code for zero
        assert torch.equal(found.pruned, dense)
    # weight - W' is rounded to fp32: 2^-24 of |w| <= 5 against errors of 1e-1 and more.
    assert found.report[0].item() == pytest.approx(loss(weight - found.pruned, hessian, 0.01), rel=1e-5)


@pytest.mark.parametrize("amount", [{"prune": 0.5}, {"n": 2, "m": 4}])
@pytest.mark.parametrize("format", ["int3_asym", "int4_sym", "nf4"])
def test_solving_both_loses_less_than_one_after_the_other(
    format: str, amount: dict[str, float], real_layers: list[tuple[torch.Tensor, torch.Tensor]]
) -> None:
    joint = then_gptq = then_nearest = 0.0
    for weight, x in real_layers:
        hessian, k = 2 / len(x) * x.T @ x, weight.shape[1]
        given = counts(amount, weight)
        alone = ops.sparsegpt(weight, hessian, **given).pruned
        both = ops.sparsegpt(weight, hessian, **given, format=format, block=32).pruned
        solved = ops.dequantize_blockwise(*ops.gptq(alone, hessian, format, 32)[:3], format, 32, k)
        nearest = ops.dequantize_blockwise(*ops.quantize_blockwise(alone, format, 32), format, 32, k)
        losses = [float((x @ (weight - other).T).square().sum()) for other in (both, solved, nearest)]
        joint, then_gptq, then_nearest = joint + losses[0], then_gptq + losses[1], then_nearest + losses[2]
    assert joint < then_gptq < then_nearest


def test_is_gptq_where_nothing_is_pruned() -> None:
    weight, hessian = normal(70, 96), correlated(96)
    for act_order in ("none", "static", "dynamic"):
        found = ops.sparsegpt(weight, hessian, format="int3_asym", block=32, act_order=act_order, columns=128)
        plain = ops.gptq(weight, hessian, "int3_asym", 32, act_order)
        assert all(torch.equal(a, b) for a, b in zip(found[2:6], plain[:4], strict=True))


# ---- what must hold for any input ----


@settings(max_examples=60)
@given(
    rows=st.integers(1, 70),
    groups=st.integers(1, 40),
    m=st.integers(0, 8),
    share=st.floats(0, 1),
    format=st.sampled_from([None, *FORMATS]),
    columns=st.integers(1, 200),
    tokens=st.integers(1, 40),
    seed=st.integers(0, 10),
)
def test_any_shape_with_any_hessian(rows, groups, m, share, format, columns, tokens, seed) -> None:
    """Few tokens make H singular: damping alone makes it definite."""
    k = groups * max(1, m)
    weight, x = normal(rows, k, seed=seed), normal(tokens, k, seed=seed + 1)
    hessian = 2 / tokens * x.T @ x
    given = {"n": max(1, round(share * m)), "m": m} if m else {"prune": round(share * rows * k)}
    found = ops.sparsegpt(weight, hessian, **given, format=format, block=16, columns=columns)
    gone = given["prune"] if not m else rows * k // m * (m - given["n"])
    assert int((~found.keep).sum()) == gone
    assert not found.pruned[~found.keep].any()
    assert bool(torch.isfinite(found.pruned).all())


def test_bits_do_not_depend_on_threads_and_inputs_are_not_changed() -> None:
    weight, hessian = normal(200, 160), correlated(160)
    before = weight.clone(), hessian.clone()
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append([ops.sparsegpt(weight, hessian, prune=9000), ops.sparsegpt(weight, hessian, n=2, m=4)])
    finally:
        torch.set_num_threads(threads)
    for one, three in zip(*found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))
    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])
    some = ops.sparsegpt(weight[:64], hessian, n=2, m=4)  # n of m looks at no other row
    assert torch.equal(some.pruned, found[0][1].pruned[:64])


def test_what_was_pruned_before_stays_pruned_and_counts() -> None:
    weight = normal(20, 64)
    weight[normal(20, 64, seed=5) > 0] = 0
    zeros = weight == 0
    found = ops.sparsegpt(weight, correlated(64), prune=int(zeros.sum()), columns=64)
    assert torch.equal(~found.keep, zeros)
    assert torch.equal(found.pruned, weight)  # nothing to make up for
    assert not ops.sparsegpt(weight, correlated(64), n=2, m=4).pruned[zeros].any()


def test_damping_is_raised_until_it_is_enough_and_reported() -> None:
    indefinite = torch.tensor([[1.0, 3.0], [3.0, 1.0]])
    found = ops.sparsegpt(normal(8, 2), indefinite, prune=8)
    assert 2 < found.report[1] <= 4  # the least eigenvalue is -2, and each raise doubles
    with pytest.raises(
        ValueError, match="sparsegpt: hessian must be positive definite when damped, got one that is not"
    ):
        ops.sparsegpt(normal(8, 2), torch.tensor([[1.0, 1e8], [1e8, 1.0]]), prune=8)
