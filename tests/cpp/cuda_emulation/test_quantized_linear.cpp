// quantized_linear on the emulated device against float64, within the bounds of what it rounds.
#include <algorithm>

#include "all_formats.h"
#include "device_buffers.h"
#include "kernels/formats.h"

using namespace emulated;

namespace {

/// The operands of a product in memory as a device has them.
struct Product {
  QuantizedWeight weight;
  Dense x, bias;
  std::int64_t m;

  Product(QuantizedLayout layout, DType dtype, std::int64_t m_, std::uint64_t seed = 1)
      : weight(layout, seed),
        x(dtype, activations(m_ * layout.cols, seed + 1)),
        bias(dtype, activations(layout.rows, seed + 2)),
        m(m_) {}

  cuda::QuantizedLinearArgs args() const {
    return {.x = x.data(),
            .dtype = x.dtype(),
            .m = m,
            .weight = weight.view(),
            .layout = weight.layout,
            .bias = bias.data()};
  }
  std::vector<float> run(cuda::QuantizedLinearArgs args) const {
    Dense y(x.dtype(), args.m * weight.layout.rows);
    std::vector<std::uint8_t> workspace(cuda::quantized_linear_bytes(args), 0xff);
    args.y = y.data();
    args.workspace = workspace.data();
    cuda::quantized_linear(args, {});
    return y.values();
  }
  std::vector<float> run() const { return run(args()); }
};

/// How far |y - exact| may be. Sums of products in fp32, of magnitudes |w| |x|; with a zero point twice its share more,
/// because codes and zero points are summed apart; on the tensor cores codebook values are off by 2^-17 of themselves;
/// at last one rounding to the type, down to half its smallest subnormal.
struct Bound {
  double codebook;  ///< 2^-17 or 0
  DType dtype;
  std::int64_t cols;

  double operator()(double exact, double weights, double zeros) const {
    const double u = static_cast<double>(cols + 6) * 0x1p-24;
    const double fp32 = u / (1 - u) * (weights + 2 * zeros) + codebook * weights + 0x1p-149;
    if (dtype == DType::kFloat32) return fp32;
    return fp32 + half_ulp(dtype) * (std::abs(exact) + fp32) + 0x1p-25;
  }
};

bool is_codebook(Format format) { return format == Format::kNf4 || format == Format::kFp4; }

double zero_of(const QuantizedWeight& weight, std::int64_t row, std::int64_t col) {
  const QuantizedLayout& l = weight.layout;
  const auto at = static_cast<std::size_t>(row * l.blocks_per_row() + col / l.block);
  if (!weight.zeros.empty()) return double{weight.scales[at]} * weight.zeros[at];
  return weight.float_zeros.empty() ? 0.0 : weight.float_zeros[at];
}

/// The worst |y - exact| of a product, in bounds.
double worst(const Product& p, const std::vector<float>& y) {
  const QuantizedLayout& l = p.weight.layout;
  const std::vector<float> dense = p.weight.dense(), x = p.x.values(), bias = p.bias.values();
  const bool tensor_cores = p.x.dtype() != DType::kFloat32;
  const Bound bound{tensor_cores && is_codebook(l.format) ? 0x1p-17 : 0.0, p.x.dtype(), l.cols};
  double ratio = 0.0;
  for (std::int64_t row = 0; row < l.rows; ++row) {
    std::vector<double> zeros(static_cast<std::size_t>(l.cols));
    for (std::int64_t col = 0; col < l.cols; ++col) zeros[col] = std::abs(zero_of(p.weight, row, col));
    for (std::int64_t i = 0; i < p.m; ++i) {
      double exact = bias[row], weights_sum = std::abs(bias[row]), zeros_sum = 0.0;
      for (std::int64_t col = 0; col < l.cols; ++col) {
        const double value = x[i * l.cols + col], product = dense[row * l.cols + col] * value;
        exact += product, weights_sum += std::abs(product), zeros_sum += zeros[col] * std::abs(value);
      }
      const double error = std::abs(y[i * l.rows + row] - exact) / bound(exact, weights_sum, zeros_sum);
      ratio = error <= ratio ? ratio : error;  // NaN too is worse
    }
  }
  return ratio;
}

void check(QuantizedLayout layout, DType dtype, std::int64_t m) {
  CAPTURE(name(layout.format), static_cast<int>(dtype), m, layout.rows, layout.cols, layout.block);
  const Product p(layout, dtype, m);
  if (!cuda::has_fused_kernel(p.args())) return;
  REQUIRE(worst(p, p.run()) <= 1.0);
}

/// Formats that take different ways through the kernels: bits, codebooks, signs, both kinds of zero points.
constexpr Format kKinds[] = {Format::kInt4Sym,  Format::kInt4Asym,      Format::kNf4,           Format::kInt8,
                             Format::kInt8Asym, Format::kInt4AsymFloat, Format::kInt8AsymFloat, Format::kFp8};

}  // namespace

TEST_CASE("emulated quantized_linear agrees with float64 in every format", "[quantized_linear]") {
  for (const Format format : kAllFormats) {
    in_both_orders([&] {
      for (const DType dtype : kTypes) {
        for (const std::int64_t m : {1, 3, 8, 9, 40}) {
          check({.format = format, .rows = 18, .cols = 320, .block = 64}, dtype, m);
          if (m <= 8) check({.format = format, .rows = 5, .cols = 77, .block = 48}, dtype, m);
        }
      }
    });
  }
}

TEST_CASE("emulated tensor cores agree with float64 for every block and number of rows", "[quantized_linear]") {
  for (const Format format : kKinds) {
    in_both_orders([&] {
      for (const DType dtype : kHalfTypes) {
        for (const std::int64_t block : {32, 64, 96, 128, 4096}) {
          // Ends within a strip, after one turn of the warps, after two and in the third.
          for (const std::int64_t cols : {32, 416, 1056, 2112}) {
            check({.format = format, .rows = 17, .cols = cols, .block = block}, dtype, cols > 1024 ? 9 : 33);
          }
        }
        for (const std::int64_t m : {2, 8, 16, 17, 64}) {
          check({.format = format, .rows = 17, .cols = 288, .block = 32}, dtype, m);
        }
      }
    });
  }
}

TEST_CASE("emulated vectors agree with float64 in wide and odd rows", "[quantized_linear]") {
  for (const Format format : {Format::kInt2Sym, Format::kInt3Asym, Format::kNf4, Format::kInt5AsymFloat,
                              Format::kInt6Sym, Format::kInt8, Format::kFp8}) {
    in_both_orders([&] {
      for (const DType dtype : kTypes) {
        for (const std::int64_t m : {1, 2, 5, 8}) {
          // One column, blocks that end within a lane's run, a second span of staged x for few rows and for many.
          for (const auto& [rows, cols, block] :
               {std::array<std::int64_t, 3>{1, 1, 16}, {13, 31, 16}, {3, 1067, 48}, {2, 8225, 128}, {3, 4130, 4096}}) {
            if (m == 1 || cols < 8000) check({.format = format, .rows = rows, .cols = cols, .block = block}, dtype, m);
          }
        }
      }
    });
  }
}

TEST_CASE("emulated vectors are the same bits whatever shared memory the device has", "[quantized_linear]") {
  for (const Format format : {Format::kNf4, Format::kInt8}) {
    for (const std::int64_t m : {3, 8}) {
      const Product p({.format = format, .rows = 9, .cols = 1500, .block = 64}, DType::kFloat32, m);
      const std::vector<float> y = p.run();
      for (const std::size_t kilobytes : {227, 99}) {  // of sm_90, and of what fits into a desktop
        cuda_emulation_set_shared_bytes(kilobytes * 1024);
        const std::vector<float> there = p.run();
        cuda_emulation_set_shared_bytes(163 * 1024);
        REQUIRE(same(there, y));
      }
      REQUIRE(worst(p, y) <= 1.0);
    }
  }
}

TEST_CASE("emulated quantized_linear takes operands that are not aligned", "[quantized_linear]") {
  for (const DType dtype : kTypes) {
    const QuantizedLayout layout{.format = Format::kNf4, .rows = 20, .cols = 256, .block = 64};
    const Product p(layout, dtype, 3);
    std::vector<std::uint8_t> shifted(p.weight.codes.size() + 1);
    std::copy(p.weight.codes.begin(), p.weight.codes.end(), shifted.begin() + 1);
    cuda::QuantizedLinearArgs args = p.args();
    args.weight.codes = shifted.data() + 1;
    REQUIRE(worst(p, p.run(args)) <= 1.0);
  }
}

TEST_CASE("an emulated row is the same bits whatever the other rows", "[quantized_linear]") {
  for (const Format format : {Format::kNf4, Format::kInt4Asym, Format::kInt8}) {
    for (const auto& [dtype, most] : {std::pair{DType::kFloat32, 8}, {DType::kBFloat16, 64}}) {
      const Product p({.format = format, .rows = 20, .cols = 704, .block = 64}, dtype, most);
      const std::vector<float> all = p.run();
      for (std::int64_t m = 1; m < most; m += 9) {
        cuda::QuantizedLinearArgs args = p.args();
        args.m = m;
        REQUIRE(same(p.run(args), {all.begin(), all.begin() + m * 20}));
      }
    }
  }
}

TEST_CASE("as many rows of W as a grid of the tensor cores has", "[quantized_linear]") {
  cuda::QuantizedLinearArgs args;
  args.dtype = DType::kFloat16;
  args.m = 9;
  args.layout = {.format = Format::kNf4, .rows = 65535 * 16, .cols = 32, .block = 32};
  REQUIRE(cuda::has_fused_kernel(args));
  ++args.layout.rows;
  REQUIRE_FALSE(cuda::has_fused_kernel(args));
}

TEST_CASE("emulated quantized_linear without rows of x or columns", "[quantized_linear]") {
  const Product empty({.format = Format::kNf4, .rows = 4, .cols = 64, .block = 64}, DType::kFloat32, 0);
  REQUIRE(empty.run().empty());
  const Product no_columns({.format = Format::kInt8, .rows = 4, .cols = 0, .block = 64}, DType::kFloat16, 3);
  REQUIRE(worst(no_columns, no_columns.run()) <= 1.0);
}
