// quantize: every ISA level gives the bits of the plain twin; the twin gives the definitions of docs/formats.md.
#include <cfloat>
#include <cstring>
#include <limits>

#include "all_formats.h"
#include "catch.h"
#include "fairopt/quantize.h"
#include "kernels/formats.h"
#include "kernels/reference_quantize.h"
#include "levels.h"
#include "matrices.h"

using namespace fairopt;
using kernels::BlockRun;

namespace {

Quantized by_reference(Format format, const std::vector<float>& values, std::int64_t block) {
  const BlockRun run{static_cast<std::int64_t>(values.size()), block};
  Quantized out(format, run);
  kernels::reference::quantize(format, values.data(), run, out.parts());
  return out;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// The reference, once every level has been found to give the same bits.
Quantized quantize_everywhere(Format format, const std::vector<float>& values, std::int64_t block) {
  const BlockRun run{static_cast<std::int64_t>(values.size()), block};
  Quantized expected = by_reference(format, values, block);
  for (const kernels::KernelTable* level : runnable_levels()) {
    CAPTURE(level->name, name(format), run.n, block);
    Quantized got(format, run);
    level->quantize[static_cast<int>(format)](values.data(), run, got.parts());
    REQUIRE(got.codes == expected.codes);
    REQUIRE(same_bits(got.scales, expected.scales));
    REQUIRE(got.zeros == expected.zeros);
    REQUIRE(same_bits(got.float_zeros, expected.float_zeros));
  }
  return expected;
}

}  // namespace

TEST_CASE("quantize: every level equals the plain twin bit for bit", "[quantize][every_level]") {
  for (const Format format : kAllFormats) {
    for (const std::int64_t n : {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 1000, 4095, 4096, 4097, 9001}) {
      for (const std::int64_t block : {16, 48, 64, 128, 4096, 16384}) {
        quantize_everywhere(format, weights(n, static_cast<std::uint64_t>(n * 4099 + block)), block);
      }
    }
  }
}

TEST_CASE("quantize: every level equals the plain twin on all magnitudes of fp32", "[quantize][every_level]") {
  for (const Format format : kAllFormats) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) quantize_everywhere(format, any_finite(4096, seed), 16);
    std::vector<float> tiny = any_finite(4096, 99);  // whole blocks of subnormals, where amax / 127 underflows
    for (std::size_t i = 0; i < tiny.size(); ++i) {
      tiny[i] = std::copysign(std::ldexp(static_cast<float>(i % 7), -149 + static_cast<int>(i / 512)), tiny[i]);
    }
    quantize_everywhere(format, tiny, 16);
  }
}

TEST_CASE("quantize: values at the thresholds, one step below and one above", "[quantize]") {
  std::vector<float> nf4{1.0f}, fp4{1.0f};  // amax = 1, so the ratio is the value itself
  const auto around = [](std::vector<float>& values, float t) {
    for (const float x : {std::nextafter(t, -2.0f), t, std::nextafter(t, 2.0f)}) values.push_back(x);
  };
  for (const float t : formats::kNf4Thresholds) around(nf4, t);
  for (const float t : formats::kFp4Thresholds) around(fp4, t);
  for (const float t : formats::kFp4Thresholds) around(fp4, -t);

  const Quantized n = quantize_everywhere(Format::kNf4, nf4, 64);
  for (int t = 0; t < 15; ++t) {  // a value equal to the threshold keeps the lower code
    const auto at = static_cast<std::size_t>(1 + 3 * t);
    CAPTURE(t);
    REQUIRE(code_at(n, Format::kNf4, at) == t);
    REQUIRE(code_at(n, Format::kNf4, at + 1) == t);
    REQUIRE(code_at(n, Format::kNf4, at + 2) == t + 1);
  }
  const Quantized f = quantize_everywhere(Format::kFp4, fp4, 64);
  for (int t = 0; t < 7; ++t) {  // on the magnitude: a tie goes towards zero on both sides
    const auto at = static_cast<std::size_t>(1 + 3 * t), mirrored = at + 21;
    CAPTURE(t);
    REQUIRE(code_at(f, Format::kFp4, at + 1) == formats::kFp4CodeOfRank[t]);
    REQUIRE(code_at(f, Format::kFp4, at + 2) == formats::kFp4CodeOfRank[t + 1]);
    REQUIRE(code_at(f, Format::kFp4, mirrored) == (formats::kFp4CodeOfRank[t + 1] | 8));
    REQUIRE(code_at(f, Format::kFp4, mirrored + 1) == (formats::kFp4CodeOfRank[t] | 8));
  }
}

TEST_CASE("quantize: integers round half to even and clamp", "[quantize]") {
  // amax chosen so that the scale is exactly 1 and the ratio is the value itself.
  const std::vector<float> eight{127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -126.5f, 126.5f, -127.0f};
  const Quantized q8 = quantize_everywhere(Format::kInt8, eight, 16);
  REQUIRE(q8.scales[0] == 1.0f);
  const int expected8[] = {127, 0, 2, 2, 0, -2, -126, 126, -127};
  for (std::size_t i = 0; i < eight.size(); ++i) REQUIRE(code_at(q8, Format::kInt8, i) == expected8[i]);

  const std::vector<float> four{7.5f, -7.5f, 6.5f, 0.5f, 1.5f, -0.5f, -1.5f, 0.0f};
  const Quantized q4 = quantize_everywhere(Format::kInt4Sym, four, 16);
  REQUIRE(q4.scales[0] == 1.0f);
  const int expected4[] = {7, -8, 6, 0, 2, 0, -2, 0};  // 7.5 rounds to 8 and is clamped, -7.5 to -8
  for (std::size_t i = 0; i < four.size(); ++i) REQUIRE(code_at(q4, Format::kInt4Sym, i) == expected4[i] + 8);

  const std::vector<float> range{-4.5f, 10.5f, 0.5f, 1.5f, -0.5f, 0.0f};
  const Quantized qa = quantize_everywhere(Format::kInt4Asym, range, 16);
  REQUIRE(qa.scales[0] == 1.0f);
  REQUIRE(qa.zeros[0] == 4);  // 4.5 to even
  const int expected_asym[] = {0, 14, 4, 6, 4, 4};
  for (std::size_t i = 0; i < range.size(); ++i) REQUIRE(code_at(qa, Format::kInt4Asym, i) == expected_asym[i]);
}

TEST_CASE("quantize: the range of int4_asym includes zero", "[quantize]") {
  const Quantized positive = quantize_everywhere(Format::kInt4Asym, {15.0f, 3.0f}, 16);
  REQUIRE(positive.scales[0] == 1.0f);
  REQUIRE(positive.zeros[0] == 0);
  const Quantized negative = quantize_everywhere(Format::kInt4Asym, {-15.0f, -3.0f}, 16);
  REQUIRE(negative.scales[0] == 1.0f);
  REQUIRE(negative.zeros[0] == 15);
}

TEST_CASE("quantize: a block of zeros has scale 0 and codes of zero, and so has the padding of an odd tail",
          "[quantize]") {
  for (const Format format : kAllFormats) {
    const Quantized q = quantize_everywhere(format, std::vector<float>(33, 0.0f), 16);
    for (const float scale : q.scales) REQUIRE((scale == 0.0f && !std::signbit(scale)));
    const formats::Spec spec = formats::kSpecs[static_cast<int>(format)];
    const bool float_zeros = zero_point(format) == ZeroPoint::kFloat;  // the value of the least code
    const int zero = format == Format::kNf4 ? 7 : float_zeros ? 0 : formats::offset(spec);
    for (std::size_t i = 0; i < 33; ++i) REQUIRE(code_at(q, format, i) == zero);
    const std::size_t whole = 8 * q.codes.size() / static_cast<std::size_t>(spec.bits);
    for (std::size_t i = 33; i < whole; ++i) REQUIRE(code_at(q, format, i) == zero);
    for (const float value : q.float_zeros) REQUIRE((value == 0.0f && !std::signbit(value)));
  }
  const Quantized asym = quantize_everywhere(Format::kInt4Asym, {-5.0f, 10.0f, 1.0f}, 16);
  REQUIRE((asym.codes.back() & 15) == asym.zeros[0]);
}

TEST_CASE("quantize: extreme scales neither overflow nor divide by zero", "[quantize]") {
  const float least = std::numeric_limits<float>::denorm_min();
  for (const Format format : kAllFormats) {
    for (const float most : {FLT_MAX, FLT_MIN, 100.0f * least, least}) {
      const Quantized q = quantize_everywhere(format, {most, -most, most / 2, 0.0f, -most / 3}, 16);
      CAPTURE(name(format), most);
      REQUIRE(std::isfinite(q.scales[0]));
      REQUIRE(q.scales[0] >= 0.0f);
      for (const float zero : q.float_zeros) REQUIRE(std::isfinite(zero));
    }
  }
  REQUIRE(by_reference(Format::kInt8, {least}, 16).scales[0] == 0.0f);  // amax / 127 underflows: a block of zeros
  REQUIRE(code_at(by_reference(Format::kInt8, {least}, 16), Format::kInt8, 0) == 0);
  REQUIRE(by_reference(Format::kNf4, {least}, 16).scales[0] == least);
  REQUIRE(by_reference(Format::kInt4Asym, {FLT_MAX, -FLT_MAX}, 16).scales[0] == FLT_MAX / 7.5f);
}

TEST_CASE("quantize: the public door lays out rows of every dtype, whatever the shape", "[quantize]") {
  for (const Format format : kAllFormats) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      for (const std::int64_t rows : {0, 1, 3}) {
        for (const std::int64_t cols : {0, 1, 33, 64, 4500}) {
          const QuantizedLayout layout{format, rows, cols, cols == 4500 && rows == 1 ? 8192 : 48};
          const std::vector<float> drawn = weights(rows * cols, 5);
          std::vector<float> values = drawn;
          std::vector<std::uint16_t> halves(drawn.size());
          for (std::size_t i = 0; i < drawn.size(); ++i) {
            const bool f16 = dtype == DType::kFloat16;
            halves[i] = f16 ? kernels::reference::to_f16(drawn[i]) : kernels::reference::to_bf16(drawn[i]);
            if (dtype == DType::kFloat32) continue;
            values[i] = f16 ? kernels::reference::from_f16(halves[i]) : kernels::reference::from_bf16(halves[i]);
          }
          std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * layout.bytes_per_row()));
          std::vector<float> scales(static_cast<std::size_t>(rows * layout.blocks_per_row()));
          std::vector<std::uint8_t> zeros(zero_point(format) == ZeroPoint::kInteger ? scales.size() : 0);
          std::vector<float> float_zeros(zero_point(format) == ZeroPoint::kFloat ? scales.size() : 0);
          const void* source = dtype == DType::kFloat32 ? static_cast<const void*>(values.data()) : halves.data();
          quantize(source, dtype, layout, {codes.data(), scales.data(), zeros.data(), float_zeros.data()});
          for (std::int64_t row = 0; row < rows; ++row) {
            const Quantized expected =
                by_reference(format, {values.begin() + row * cols, values.begin() + (row + 1) * cols}, layout.block);
            const auto codes_of_row = codes.begin() + row * layout.bytes_per_row();
            const auto scales_of_row = scales.begin() + row * layout.blocks_per_row();
            REQUIRE(std::equal(expected.codes.begin(), expected.codes.end(), codes_of_row));
            REQUIRE(std::equal(expected.scales.begin(), expected.scales.end(), scales_of_row));
            const std::int64_t zero = row * layout.blocks_per_row();
            REQUIRE(
                std::equal(expected.zeros.begin(), expected.zeros.end(), zeros.begin() + (zeros.empty() ? 0 : zero)));
            REQUIRE(std::equal(expected.float_zeros.begin(), expected.float_zeros.end(),
                               float_zeros.begin() + (float_zeros.empty() ? 0 : zero)));
          }
        }
      }
    }
  }
}

TEST_CASE("quantize: bad arguments are refused by name", "[quantize]") {
  using Catch::Matchers::ContainsSubstring;
  float value = 1.0f, scale = 0.0f;
  std::uint8_t code = 0;
  const auto with = [&](QuantizedLayout layout, QuantizedBuffers out) {
    quantize(&value, DType::kFloat32, layout, out);
  };
  for (const std::int64_t block :
       {std::int64_t{0}, std::int64_t{8}, std::int64_t{24}, std::int64_t{-16}, (std::int64_t{1} << 30) + 16}) {
    REQUIRE_THROWS_WITH(with({Format::kNf4, 1, 1, block}, {&code, &scale, nullptr}),
                        ContainsSubstring("quantize: block must be a multiple of 16 in [16, 1073741824], got "));
  }
  REQUIRE_THROWS_WITH(with({Format::kNf4, -1, 1, 64}, {&code, &scale, nullptr}), ContainsSubstring("got [-1, 1]"));
  REQUIRE_THROWS_WITH(with({Format::kNf4, std::int64_t{1} << 40, std::int64_t{1} << 40, 64}, {&code, &scale, nullptr}),
                      ContainsSubstring("at most 2^60 values"));
  REQUIRE_THROWS_WITH(with({Format::kInt4Asym, 1, 1, 64}, {&code, &scale, nullptr}),
                      ContainsSubstring("out.zeros must not be null for int4_asym"));
  REQUIRE_THROWS_WITH(with({Format::kInt4Tinygemm, 1, 1, 64}, {&code, &scale, &code}),
                      ContainsSubstring("out.float_zeros must not be null for int4_tinygemm"));
  REQUIRE_THROWS_WITH(with({Format::kNf4, 1, 1, 64}, {nullptr, &scale, nullptr}),
                      ContainsSubstring("must not be null"));
  REQUIRE(code == 0);
  REQUIRE(scale == 0.0f);
}
