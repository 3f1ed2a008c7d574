// dequantize and the 16-bit conversions: every ISA level gives the bits of the plain twin.
#include <cstring>

#include "all_formats.h"
#include "catch.h"
#include "fairopt/convert.h"
#include "fairopt/quantize.h"
#include "kernels/formats.h"
#include "kernels/reference_quantize.h"
#include "levels.h"
#include "matrices.h"

using namespace fairopt;
using kernels::BlockRun;

namespace {

/// Any codes, scales and zero points a file could hold: the codes run through every byte.
Quantized stored(Format format, BlockRun run) {
  Quantized in(format, run);
  in.scales = weights(static_cast<std::int64_t>(in.scales.size()), 11);
  for (std::size_t i = 0; i < in.codes.size(); ++i) in.codes[i] = static_cast<std::uint8_t>(37 * i + i / 256);
  for (std::size_t i = 0; i < in.zeros.size(); ++i) in.zeros[i] = static_cast<std::uint8_t>(5 * i);
  in.float_zeros = weights(static_cast<std::int64_t>(in.float_zeros.size()), 12);
  return in;
}

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

/// The same bits, but for NaN, whose bits a product with a scale may choose.
bool same_values(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return bits(x) == bits(y) || (std::isnan(x) && std::isnan(y)); });
}

}  // namespace

TEST_CASE("dequantize: every level equals the plain twin bit for bit", "[dequantize]") {
  for (const Format format : kAllFormats) {
    for (const std::int64_t n : {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 1000, 4095, 4096, 4097, 9001}) {
      for (const std::int64_t block : {16, 48, 64, 4096}) {
        const BlockRun run{n, block};
        const Quantized in = stored(format, run);
        std::vector<float> expected(static_cast<std::size_t>(n));
        kernels::reference::dequantize(format, in.parts(), run, expected.data());
        for (const kernels::KernelTable* level : runnable_levels()) {
          CAPTURE(level->name, name(format), n, block);
          std::vector<float> got(expected.size(), -7.0f);
          level->dequantize[static_cast<int>(format)](in.parts(), run, got.data());
          REQUIRE(same_values(got, expected));
        }
      }
    }
  }
}

TEST_CASE("dequantize: hand-made codes", "[dequantize]") {
  const auto decode = [](Format format, std::vector<std::uint8_t> codes, std::uint8_t zero, std::int64_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    const float scale = 2.0f;
    dequantize({codes.data(), &scale, has_zeros(format) ? &zero : nullptr}, {format, 1, n, 16}, values.data(),
               DType::kFloat32);
    return values;
  };
  REQUIRE(decode(Format::kInt8, {0x00, 0x7f, 0x81, 0xff, 0x80}, 0, 5) == std::vector<float>{0, 254, -254, -2, -256});
  REQUIRE(decode(Format::kInt4Sym, {0x0f, 0x80}, 0, 3) == std::vector<float>{-16, 14, 0});  // high nibble first
  REQUIRE(decode(Format::kInt4Asym, {0x0f, 0x30}, 3, 3) == std::vector<float>{-6, 24, 0});
  REQUIRE(decode(Format::kNf4, {0x0f, 0x70}, 0, 3) == std::vector<float>{-2, 2, 0});
  REQUIRE(decode(Format::kFp4, {0x3b, 0x02}, 0, 4) == std::vector<float>{2, -2, 0, 2 * (8.0f / 12.0f)});
}

TEST_CASE("dequantize: codes that straddle bytes, by hand", "[dequantize]") {
  const auto decode = [](Format format, std::vector<std::uint8_t> codes, float zero, std::int64_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    const float scale = 2.0f;
    const auto integer = static_cast<std::uint8_t>(zero);
    dequantize({codes.data(), &scale, &integer, &zero}, {format, 1, n, 16}, values.data(), DType::kFloat32);
    return values;
  };
  // 000 111 100 011 101 010 001 110: the first value in the high bits
  const std::vector<std::uint8_t> three{0b00011110, 0b00111010, 0b10001110};
  REQUIRE(decode(Format::kInt3Sym, three, 0, 8) == std::vector<float>{-8, 6, 0, -2, 2, -4, -6, 4});
  REQUIRE(decode(Format::kInt3Asym, three, 3, 8) == std::vector<float>{-6, 8, 2, 0, 4, -2, -4, 6});
  REQUIRE(decode(Format::kInt3AsymFloat, three, 0.5f, 3) == std::vector<float>{0.5f, 14.5f, 8.5f});
  REQUIRE(decode(Format::kInt2Sym, {0b00011011}, 0, 4) == std::vector<float>{-4, -2, 0, 2});
  REQUIRE(decode(Format::kInt5Sym, {0b00000111, 0b11100000}, 0, 3) == std::vector<float>{-32, 30, 0});
  REQUIRE(decode(Format::kInt6Sym, {0b00000011, 0b11111000, 0b00000000}, 0, 3) == std::vector<float>{-64, 62, 0});
  REQUIRE(decode(Format::kInt8Asym, {0, 255, 7}, 7, 3) == std::vector<float>{-14, 496, 0});
  REQUIRE(decode(Format::kInt4Tinygemm, {0x0f, 0x80}, 3, 3) == std::vector<float>{-13, 17, 3});
  REQUIRE(decode(Format::kInt4AsymFloat, {0x0f, 0x80}, 3, 3) == std::vector<float>{3, 33, 19});
  REQUIRE(decode(Format::kFp8, {0x7e, 0x01, 0x80, 0x38, 0xb8}, 0, 5) ==
          std::vector<float>{896, 2 * 0x1p-9f, -0.0f, 2, -2});
}

TEST_CASE("dequantize: the public door rounds once to the dtype", "[dequantize]") {
  for (const Format format : kAllFormats) {
    const std::int64_t rows = 3, cols = 4501;
    const QuantizedLayout layout{format, rows, cols, 64};
    const Quantized row = stored(format, {cols, layout.block});
    std::vector<std::uint8_t> codes, zeros;
    std::vector<float> scales, float_zeros, expected;
    for (std::int64_t r = 0; r < rows; ++r) {
      codes.insert(codes.end(), row.codes.begin(), row.codes.end());
      zeros.insert(zeros.end(), row.zeros.begin(), row.zeros.end());
      float_zeros.insert(float_zeros.end(), row.float_zeros.begin(), row.float_zeros.end());
      for (const float scale : row.scales) scales.push_back(scale * static_cast<float>(r + 1));
      kernels::ConstRunParts parts = row.parts();
      parts.scales = scales.data() + r * layout.blocks_per_row();
      std::vector<float> values(static_cast<std::size_t>(cols));
      kernels::reference::dequantize(format, parts, {cols, layout.block}, values.data());
      expected.insert(expected.end(), values.begin(), values.end());
    }
    const QuantizedView in{codes.data(), scales.data(), zeros.data(), float_zeros.data()};
    std::vector<float> f32(expected.size());
    std::vector<std::uint16_t> f16(expected.size()), bf16(expected.size());
    dequantize(in, layout, f32.data(), DType::kFloat32);
    dequantize(in, layout, f16.data(), DType::kFloat16);
    dequantize(in, layout, bf16.data(), DType::kBFloat16);
    REQUIRE(same_values(f32, expected));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (std::isnan(expected[i])) continue;
      REQUIRE(f16[i] == kernels::reference::to_f16(expected[i]));
      REQUIRE(bf16[i] == kernels::reference::to_bf16(expected[i]));
    }
  }
}

TEST_CASE("convert: every 16-bit float widens exactly, on every level", "[dequantize][every_level]") {
  std::vector<std::uint16_t> all(65536 + 3);  // and a ragged tail
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const auto n = static_cast<std::int64_t>(all.size());
  std::vector<float> f16(all.size()), bf16(all.size());
  for (const kernels::KernelTable* level : runnable_levels()) {
    level->f16_to_f32(all.data(), n, f16.data());
    level->bf16_to_f32(all.data(), n, bf16.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
      CAPTURE(level->name, i);
      const float expected = kernels::reference::from_f16(all[i]);
      REQUIRE((std::isnan(expected) ? std::isnan(f16[i]) : bits(f16[i]) == bits(expected)));
      REQUIRE(bits(bf16[i]) == bits(kernels::reference::from_bf16(all[i])));
    }
  }
}

TEST_CASE("convert: whole buffers are those of the kernels, of every type", "[dequantize][every_level]") {
  const std::vector<float> values = any_finite(100001, 4);  // several threads, a ragged tail
  const auto n = static_cast<std::int64_t>(values.size());
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    std::vector<float> stored(values.size()), back(values.size());  // room for any of them
    from_float32(values.data(), n, stored.data(), dtype);
    to_float32(stored.data(), dtype, n, back.data());
    std::vector<std::uint16_t> narrow(values.size());
    std::memcpy(narrow.data(), stored.data(), narrow.size() * sizeof(narrow[0]));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float expected = dtype == DType::kFloat32 ? values[i]
                             : dtype == DType::kFloat16
                                 ? kernels::reference::from_f16(kernels::reference::to_f16(values[i]))
                                 : kernels::reference::from_bf16(kernels::reference::to_bf16(values[i]));
      REQUIRE(bits(back[i]) == bits(expected));
      if (dtype == DType::kBFloat16) REQUIRE(narrow[i] == kernels::reference::to_bf16(values[i]));
    }
  }
  REQUIRE_THROWS_WITH(to_float32(nullptr, DType::kFloat16, 1, nullptr),
                      "to_float32: source and target must not be null");
  REQUIRE_THROWS_WITH(from_float32(values.data(), -1, nullptr, DType::kFloat16),
                      "from_float32: n must be non-negative, got -1");
}

TEST_CASE("convert: narrowing rounds half to even, on every level", "[dequantize][every_level]") {
  std::vector<float> values = any_finite(20000, 3);
  for (std::uint32_t upper = 0; upper < 0x10000; upper += 41) {  // ties and their neighbours in both 16-bit formats
    for (const std::uint32_t lower : {0u, 0x0fffu, 0x1000u, 0x1001u, 0x2fffu, 0x3000u, 0x7fffu, 0x8000u, 0x8001u}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  for (const float edge : {65504.0f, 65519.996f, 65520.0f, 0x1p-14f, 0x1.ffcp-15f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f}) {
    values.push_back(edge);
    values.push_back(-edge);
  }
  std::vector<std::uint16_t> f16(values.size()), bf16(values.size());
  for (const kernels::KernelTable* level : runnable_levels()) {
    level->f32_to_f16(values.data(), static_cast<std::int64_t>(values.size()), f16.data());
    level->f32_to_bf16(values.data(), static_cast<std::int64_t>(values.size()), bf16.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      CAPTURE(level->name, values[i]);
      if (std::isnan(values[i])) {
        REQUIRE(std::isnan(kernels::reference::from_f16(f16[i])));
        REQUIRE(std::isnan(kernels::reference::from_bf16(bf16[i])));
        continue;
      }
      REQUIRE(f16[i] == kernels::reference::to_f16(values[i]));
      REQUIRE(bf16[i] == kernels::reference::to_bf16(values[i]));
    }
  }
}

TEST_CASE("count_nonfinite counts NaN and both infinities of every dtype", "[dequantize]") {
  for (const std::int64_t n : {0, 1, 5, 17, 5000, 40000}) {
    std::vector<float> values = weights(n, 2);
    std::vector<std::uint16_t> f16(values.size()), bf16(values.size());
    std::int64_t expected = 0;
    const float bad[] = {INFINITY, -INFINITY, NAN, -NAN};
    for (std::size_t i = 0; i < values.size(); i += 1 + i / 3) values[i] = bad[expected++ % 4];
    for (std::size_t i = 0; i < values.size(); ++i) {
      f16[i] = kernels::reference::to_f16(values[i]);
      bf16[i] = kernels::reference::to_bf16(values[i]);
    }
    REQUIRE(count_nonfinite(values.data(), DType::kFloat32, n) == expected);
    REQUIRE(count_nonfinite(f16.data(), DType::kFloat16, n) == expected);
    REQUIRE(count_nonfinite(bf16.data(), DType::kBFloat16, n) == expected);
    for (const kernels::KernelTable* level : runnable_levels()) {
      REQUIRE(level->count_nonfinite(values.data(), n) == expected);
    }
  }
}
