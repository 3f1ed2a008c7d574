"""Layers in the layouts of other libraries: every element where its definition says, and back again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairopt.compress.interchange import gguf as ours_gguf
from fairopt.compress.interchange.awq import Awq
from fairopt.compress.interchange.bitsandbytes import EightBit, FourBit
from fairopt.compress.interchange.compressed_tensors import CompressedTensors
from fairopt.compress.interchange.gptq import Gptq
from fairopt.compress.interchange.hqq import Hqq
from fairopt.compress.interchange.layout import Layout
from fairopt.compress.interchange.words import from_words, pack_rows, row_codes, to_words, unpack_rows
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

N, K = 32, 128


def layer(format: str, block: int = 32, *, n: int = N, k: int = K, **options: Any) -> QuantizedLinear:
    generator = torch.Generator().manual_seed(n * k + block)
    return QuantizedLinear.from_weight(torch.randn(n, k, generator=generator), None, format, block, pad=True, **options)


def half_scales(quantized: QuantizedLinear) -> torch.Tensor:
    """The weight with its scales rounded to fp16, as a layout with fp16 scales must give it back."""
    codes, scales, zeros = quantized.rows()
    again = QuantizedLinear.from_codes(
        codes, scales.half().float(), zeros, None, quantized.format, quantized.block, quantized.in_features
    )
    return again.dense_weight()


def read_back(layout: Layout, quantized: QuantizedLinear) -> QuantizedLinear:
    tensors = layout.write(quantized, torch.float32)
    config = json.loads(json.dumps(layout.config({"layer": quantized}, [])))
    assert layout.marker(config) in tensors
    return layout.read(tensors, config, quantized.out_features, quantized.in_features)


# ----------------------------------------------------------------------------------------------------------- words


def test_first_value_lies_in_the_low_bits_of_words_and_the_high_bits_of_rows() -> None:
    values = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]], dtype=torch.uint8)
    assert to_words(values, 4).tolist() == [[int.from_bytes(bytes([0x21, 0x43, 0x65, 0x87]), "little", signed=True)]]
    assert pack_rows(values, 4).tolist() == [[0x12, 0x34, 0x56, 0x78]]


def test_three_bits_span_words() -> None:
    """Value 10 has its two low bits at the top of word 0 and its high bit at the bottom of word 1."""
    values = torch.zeros(1, 32, dtype=torch.uint8)
    values[0, 10] = 7
    words = to_words(values, 3)[0].numpy().view(np.uint32)
    assert words.tolist() == [3 << 30, 1, 0]


@given(st.sampled_from([2, 3, 4, 5, 6, 8]), st.integers(1, 3), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_packing_is_undone_by_unpacking(bits: int, rows: int, cols: int, seed: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).integers(0, 1 << bits, (rows, cols), dtype=np.uint8))
    assert torch.equal(unpack_rows(pack_rows(values, bits), bits, cols), values)
    assert torch.equal(from_words(to_words(values, bits), bits, cols), values)


# ------------------------------------------------------------------------------------------------------------ GPTQ


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "format", ["int2_asym", "int3_asym", "int4_asym", "int8_asym", "int2_sym", "int3_sym", "int4_sym"]
)
def test_gptq_element_by_element(format: str, version: int) -> None:
    quantized = layer(format)
    bits = int(format[3])
    tensors = Gptq(version).write(quantized, torch.float32)
    codes, (_, scales, zeros) = row_codes(quantized), quantized.rows()
    qweight = tensors["qweight"].numpy().view(np.uint32)
    qzeros = tensors["qzeros"].numpy().view(np.uint32)
    mask = (1 << bits) - 1

    def element(words: Any, index: int) -> int:
        """The value at bit ``index * bits`` of words that follow each other, low bits first."""
        whole = sum(int(word) << (32 * i) for i, word in enumerate(words))
        return whole >> (index * bits) & mask

    for n, k in [(0, 0), (1, 10), (N - 1, K - 1), (5, 21), (7, 32), (3, 77)]:
        assert element(qweight[:, n], k) == int(codes[n, k])
        group = k // 32
        assert int(tensors["g_idx"][k]) == group
        zero = int(zeros[n, group]) if zeros.numel() else 1 << (bits - 1)
        assert element(qzeros[group], n) == (zero - 1 if version == 1 else zero)
        assert float(tensors["scales"][group, n]) == float(scales[n, group].half())


@pytest.mark.parametrize("format", ["int2_sym", "int3_sym", "int4_sym", "int8", "int4_asym", "int3_asym", "int8_asym"])
@pytest.mark.parametrize("version", [1, 2])
def test_gptq_comes_back(format: str, version: int) -> None:
    quantized = layer(format)
    assert Gptq(version).refusal(quantized) is None
    again = read_back(Gptq(version), quantized)
    assert again.format == format
    assert torch.equal(again.dense_weight(), half_scales(quantized))


def test_version_1_refuses_a_zero_point_of_0() -> None:
    positive = QuantizedLinear.from_weight(torch.rand(N, K), None, "int4_asym", 32)
    assert "zero point of 0" in str(Gptq(1).refusal(positive))
    assert Gptq(2).refusal(positive) is None


def test_a_symmetric_file_says_its_version_whatever_its_label() -> None:
    """Real files are labelled ``gptq`` and hold zero points of 8, which is version 2."""
    quantized = layer("int4_sym")
    config = Gptq(1).config({"layer": quantized}, [])
    again = Gptq(1).read(Gptq(2).write(quantized, torch.float32), config, N, K)
    assert torch.equal(again.dense_weight(), half_scales(quantized))


def test_gptq_keeps_the_order_of_solving() -> None:
    codes, scales, zeros = layer("int4_sym").rows()
    order = torch.randperm(K, generator=torch.Generator().manual_seed(0))
    quantized = QuantizedLinear.from_codes(codes, scales, zeros, None, "int4_sym", 32, K, order=order)
    again = read_back(Gptq(2), quantized)
    assert again.order is not None
    assert torch.equal(again.dense_weight(), half_scales(quantized) if quantized.order is None else _ordered(quantized))


def _ordered(quantized: QuantizedLinear) -> torch.Tensor:
    codes, scales, zeros = quantized.rows()
    assert quantized.order is not None
    flat = QuantizedLinear.from_codes(codes, scales.half().float(), zeros, None, quantized.format, 32, K)
    dense = torch.empty(N, K)
    dense[:, quantized.order] = flat.dense_weight()
    return dense


# ------------------------------------------------------------------------------------------------------------- AWQ


@pytest.mark.parametrize("format", ["int4_asym", "int4_sym"])
def test_awq_element_by_element(format: str) -> None:
    quantized = layer(format)
    tensors = Awq().write(quantized, torch.float32)
    codes, (_, _, zeros) = row_codes(quantized), quantized.rows()
    nibble_of = {0: 0, 2: 1, 4: 2, 6: 3, 1: 4, 3: 5, 5: 6, 7: 7}  # output within eight -> nibble of the word
    for n in range(N):
        for k in (0, 1, 31, 32, K - 1):
            word = int(tensors["qweight"][k, n // 8])
            assert word >> (4 * nibble_of[n % 8]) & 15 == int(codes[n, k])
        zero = int(zeros[n, 1]) if zeros.numel() else 8
        assert int(tensors["qzeros"][1, n // 8]) >> (4 * nibble_of[n % 8]) & 15 == zero
    again = read_back(Awq(), quantized)
    assert torch.equal(again.dense_weight(), half_scales(quantized))


# ----------------------------------------------------------------------------------------------- compressed-tensors


@pytest.mark.parametrize(
    "format", ["int2_sym", "int3_sym", "int4_sym", "int4_asym", "int5_asym", "int6_sym", "int8", "int8_asym"]
)
@pytest.mark.parametrize("block", [32, K])
def test_compressed_tensors_reads_ours_and_we_read_it(format: str, block: int) -> None:
    from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationScheme

    quantized = layer(format, block)
    tensors = CompressedTensors().write(quantized, torch.float32)
    config = CompressedTensors().config({"layer": quantized}, [])
    weights = config["config_groups"]["group_0"]["weights"]
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    theirs = PackedQuantizationCompressor.decompress(dict(tensors), scheme)["weight"]
    assert torch.equal(theirs, quantized.dense_weight())
    assert torch.equal(read_back(CompressedTensors(), quantized).dense_weight(), quantized.dense_weight())


# ------------------------------------------------------------------------------------------------------ bitsandbytes


@pytest.mark.parametrize("double_quant", [False])
@pytest.mark.parametrize("format", ["nf4", "fp4"])
def test_bitsandbytes_reads_ours_and_we_read_its(format: str, double_quant: bool) -> None:
    import bitsandbytes as bnb

    quantized = layer(format, 64, n=64, k=256, double_quant=double_quant)
    tensors = FourBit().write(quantized, torch.float32)
    state = {name: tensor for name, tensor in tensors.items() if name != "weight"}
    param = bnb.nn.Params4bit.from_prequantized(tensors["weight"], state, device="cpu")
    theirs = bnb.functional.dequantize_4bit(param.data, param.quant_state)
    # Its table of FP4 has 4 or 5 decimals in some back ends, ours all; NF4's is the same.
    atol = 1e-4 * float(quantized.rows()[1].max()) if format == "fp4" else 0.0
    torch.testing.assert_close(theirs, quantized.dense_weight(), rtol=2**-22, atol=atol)

    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    packed, their_state = bnb.functional.quantize_4bit(
        weight, blocksize=64, quant_type=format, compress_statistics=double_quant
    )
    stored = {f"weight.{name}": tensor for name, tensor in their_state.as_dict(packed=True).items()}
    ours = FourBit().read({"weight": packed, **stored}, {}, 64, 256)
    assert ours.double_quant is double_quant
    atol = 1e-4 * float(weight.abs().max()) if format == "fp4" else 0.0
    back = bnb.functional.dequantize_4bit(packed, their_state)
    torch.testing.assert_close(ours.dense_weight(), back, rtol=2**-22, atol=atol)
    assert torch.equal(FourBit().read(tensors, {}, 64, 256).dense_weight(), quantized.dense_weight())


def test_bitsandbytes_int8_is_code_times_scb_over_127() -> None:
    quantized = layer("int8", K)
    tensors = EightBit().write(quantized, torch.float32)
    expected = tensors["weight"].float() * tensors["SCB"][:, None] / 127
    # scale -> SCB -> scale: two roundings of the scale, one of the product.
    torch.testing.assert_close(quantized.dense_weight(), expected, rtol=3 * 2**-24, atol=0)
    torch.testing.assert_close(read_back(EightBit(), quantized).dense_weight(), expected, rtol=3 * 2**-24, atol=0)


# -------------------------------------------------------------------------------------------------------------- HQQ


@pytest.mark.parametrize("format", ["int2_asym_float", "int3_asym_float", "int4_asym_float", "int8_asym_float"])
def test_hqq_reads_ours_and_we_read_it(format: str) -> None:
    from hqq.core.quantize import HQQLinear

    quantized = layer(format)
    tensors = Hqq().write(quantized, torch.float32)
    theirs = HQQLinear(None, None, compute_dtype=torch.float32, device="cpu", initialize=False)
    theirs.load_state_dict(dict(tensors))
    # (code - zero) * scale against code * scale + zero: zero is rounded once more, then each form rounds twice.
    largest = float(quantized.dense_weight().abs().max() + quantized.rows()[2].abs().max())
    torch.testing.assert_close(theirs.dequantize(), quantized.dense_weight(), rtol=0, atol=4 * 2**-24 * 2 * largest)
    again = read_back(Hqq(), quantized)
    assert torch.equal(row_codes(again), row_codes(quantized))
    torch.testing.assert_close(again.dense_weight(), quantized.dense_weight(), rtol=0, atol=4 * 2**-24 * 2 * largest)


def test_a_constant_group_has_a_place_in_hqq() -> None:
    weight = torch.randn(N, K)
    weight[3, 32:64] = 0.7
    quantized = QuantizedLinear.from_weight(weight, None, "int4_asym_float", 32)
    torch.testing.assert_close(read_back(Hqq(), quantized).dense_weight()[3, 32:64], weight[3, 32:64])


# ------------------------------------------------------------------------------------------------------------- GGUF


@pytest.mark.parametrize(("format", "kind"), [("int4_sym_signed8", "Q4_0"), ("int8", "Q8_0")])
def test_gguf_dequantises_our_codes(format: str, kind: str) -> None:
    import gguf

    quantized = layer(format)
    packed = {"Q4_0": ours_gguf.q4_0, "Q8_0": ours_gguf.q8_0}[kind](quantized)
    theirs = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType[kind])
    assert np.array_equal(theirs, half_scales(quantized).numpy())


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-4, 1.0, 100.0]), st.sampled_from([-1.0, 0.0, 1.0]))
def test_q4_k_is_within_half_a_step(seed: int, size: float, shift: float) -> None:
    import gguf

    weight = ((np.random.default_rng(seed).standard_normal((2, 512)) + shift) * size).astype(np.float32)
    theirs = gguf.quants.dequantize(ours_gguf.q4_k(weight), gguf.GGMLQuantizationType.Q4_K)
    blocks, back = weight.reshape(-1, 32), theirs.reshape(-1, 32)
    span = np.maximum(blocks.max(-1), 0) - np.minimum(blocks.min(-1), 0)
    # Half a step; the ends may lose half a unit of the 6-bit scale (15 codes of it) and of the 6-bit minimum, each of
    # which is at most 1/63 of the largest of its super-block; fp16 steps add 2^-11 of the values, or where they are
    # subnormal half of 2^-24 for each of up to 15 * 63 units of d and 63 of dmin.
    largest = np.repeat(span.reshape(-1, 8).max(-1), 8)
    bound = (
        span / 15 / 2 + (15 * largest / 15 + largest) / 63 / 2 * 1.05 + 2**-10 * 2 * largest + (15 * 63 + 63) * 2**-25
    )
    assert (np.abs(blocks - back).max(-1) <= bound + 1e-7 * size).all()


# ------------------------------------------------------------------------------------------------- malformed tensors

_CASES: list[tuple[Layout, str]] = [
    (FourBit(), "nf4"),
    (EightBit(), "int8"),
    (Gptq(1), "int4_sym"),
    (Gptq(2), "int4_asym"),
    (Awq(), "int4_asym"),
    (CompressedTensors(), "int4_asym"),
    (Hqq(), "int4_asym_float"),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(_CASES), st.data())
def test_a_malformed_layer_is_an_input_error(case: tuple[Layout, str], data: st.DataObject) -> None:
    """Missing, truncated, of another type, of other values, of a lying shape or configuration: an error, or a layer."""
    layout, format = case
    quantized = layer(format, K if format == "int8" else 32)
    tensors = layout.write(quantized, torch.float32)
    config = layout.config({"layer": quantized}, [])
    name = data.draw(st.sampled_from(sorted(tensors)))
    damage = data.draw(st.sampled_from(["missing", "short", "type", "values", "scalar", "config", "shape"]))
    shape = (N, K)
    if damage == "missing":
        del tensors[name]
    elif damage == "short":
        tensors[name] = tensors[name].reshape(-1)[:-1]
    elif damage == "type":
        tensors[name] = tensors[name].double()
    elif damage == "values":
        seed = data.draw(st.integers(0, 1000))
        found = torch.randint(-128, 127, tensors[name].shape, generator=torch.Generator().manual_seed(seed))
        tensors[name] = found.to(tensors[name].dtype)
    elif damage == "scalar":
        tensors[name] = torch.tensor(7)
    elif damage == "config":
        key = data.draw(st.sampled_from(sorted(config)))
        config[key] = data.draw(st.sampled_from([None, -1, 0, 3, 2**40, "x", [], {}]))
    else:
        shape = data.draw(st.sampled_from([(N, 2 * K), (2 * N, K), (1, 1), (N, K + 1), (2**20, 2**20)]))
    try:
        read = layout.read(tensors, config, *shape)
    except InputError:
        return
    assert (read.out_features, read.in_features) == shape
    assert read.dense_weight().shape == shape
