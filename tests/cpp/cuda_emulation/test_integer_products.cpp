// Products of integers on the emulated device: the CPU's bits.
#include <limits>

#include "device_buffers.h"
#include "fairopt/dynamic_int8_linear.h"
#include "fairopt/packed_linear.h"
#include "kernels/reference_dynamic_int8_linear.h"
#include "kernels/reference_packed_linear.h"

using namespace emulated;

namespace {

/// Ordinary rows, then rows that a mode must hand to a finer one: outliers near and far, NaN, infinity, zeros.
std::vector<float> awkward(std::int64_t m, std::int64_t k) {
  std::vector<float> x = activations(m * k, static_cast<std::uint64_t>(m + 1));
  const float values[] = {100.0f, 30000.0f, std::nanf(""), std::numeric_limits<float>::infinity()};
  for (std::int64_t row = 1; row < std::min<std::int64_t>(m, 5); ++row) {
    x[row * k + row * k / 5] = values[row - 1];  // in blocks of several warps
  }
  if (m > 5) std::fill_n(x.begin() + 5 * k, (k + 1) / 2, 0.0f);
  return x;
}

void check_planes(const QuantizedWeight& weight, DType dtype, std::int64_t m, int planes) {
  const QuantizedLayout& l = weight.layout;
  const Dense x(dtype, awkward(m, l.cols)), bias(dtype, activations(l.rows, 3));
  const std::vector<float> x_values = x.values(), bias_values = bias.values();
  constexpr MatmulMode kModes[] = {MatmulMode::kA8, MatmulMode::kA16, MatmulMode::kA24};
  PackedLinearArgs on_cpu;
  on_cpu.x = x_values.data();
  on_cpu.m = m;
  on_cpu.layout = l;
  on_cpu.mode = kModes[planes - 1];
  on_cpu.bias = bias_values.data();
  const Dense expected(dtype, kernels::reference::packed_linear(weight.view(), on_cpu));

  Dense y(dtype, m * l.rows);
  std::vector<std::uint8_t> workspace(cuda::planes_bytes(l, m), 0xff);
  cuda::planes_linear(
      {.x = x.data(), .dtype = dtype, .m = m, .weight = weight.view(), .layout = l, .bias = bias.data(), .y = y.data()},
      planes, workspace.data(), {});
  REQUIRE(same(y.values(), expected.values()));
}

struct Int8Weight {
  std::int64_t n, k;
  std::vector<std::int8_t> codes;
  std::vector<float> scales, bias;

  Int8Weight(std::int64_t n_, std::int64_t k_) : n(n_), k(k_), scales(weights(n_, 4)), bias(activations(n_, 5)) {
    for (const float value : weights(n * k, 6))
      codes.push_back(static_cast<std::int8_t>(std::fmod(value * 4000.0f, 128.0f)));
  }
};

void check_dynamic(const Int8Weight& w, DType dtype, std::int64_t m, float threshold, bool with_bias) {
  const Dense x(dtype, w.k == 0 ? std::vector<float>() : awkward(m, w.k)), bias(dtype, w.bias);
  const std::vector<float> x_values = x.values(), bias_values = bias.values();
  const Dense expected(dtype, kernels::reference::dynamic_int8_linear({.x = x_values.data(),
                                                                       .m = m,
                                                                       .n = w.n,
                                                                       .k = w.k,
                                                                       .codes = w.codes.data(),
                                                                       .scales = w.scales.data(),
                                                                       .bias = with_bias ? bias_values.data() : nullptr,
                                                                       .threshold = threshold}));
  Dense y(dtype, m * w.n);
  std::vector<std::uint8_t> workspace(cuda::dynamic_int8_bytes(m, w.k), 0xff);
  cuda::dynamic_int8_linear({.x = x.data(),
                             .dtype = dtype,
                             .m = m,
                             .n = w.n,
                             .k = w.k,
                             .codes = w.codes.data(),
                             .scales = w.scales.data(),
                             .bias = with_bias ? bias.data() : nullptr,
                             .threshold = threshold,
                             .y = y.data()},
                            workspace.data(), {});
  REQUIRE(same(y.values(), expected.values()));
}

}  // namespace

TEST_CASE("emulated integer modes give the CPU's bits", "[planes_linear]") {
  for (const Format format : {Format::kInt8, Format::kInt4Sym, Format::kInt4Asym, Format::kInt8Asym,
                              Format::kInt4AsymFloat, Format::kInt4Sym7}) {
    for (const auto& [rows, cols, block] :
         {std::array<std::int64_t, 3>{1, 1, 16}, {18, 31, 16}, {17, 33, 48}, {5, 1024, 64}, {3, 528, 4096}}) {
      const QuantizedWeight weight({.format = format, .rows = rows, .cols = cols, .block = block}, 7);
      in_both_orders([&] {
        for (const int planes : {1, 2, 3}) {
          for (const DType dtype : kTypes) {
            for (const std::int64_t m : {0, 1, 11}) {
              CAPTURE(name(format), rows, cols, block, planes, static_cast<int>(dtype), m);
              check_planes(weight, dtype, m, planes);
            }
          }
        }
      });
    }
  }
}

TEST_CASE("emulated dynamic_int8_linear gives the CPU's bits", "[dynamic_int8_linear]") {
  for (const auto& [n, k] :
       {std::pair<std::int64_t, std::int64_t>{1, 0}, {1, 1}, {16, 64}, {33, 31}, {18, 1040}, {3, 2500}}) {
    const Int8Weight weight(n, k);
    in_both_orders([&] {
      for (const DType dtype : kTypes) {
        for (const float threshold : {std::numeric_limits<float>::infinity(), 6.0f, 0.5f}) {
          for (const std::int64_t m : {0, 1, 9, 20}) {
            CAPTURE(n, k, static_cast<int>(dtype), threshold, m);
            check_dynamic(weight, dtype, m, threshold, m != 9);
          }
        }
      }
    });
  }
}
