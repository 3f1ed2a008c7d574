// quantize and dequantize on the emulated device: the CPU's bits.
#include "all_formats.h"
#include "device_buffers.h"

using namespace emulated;

namespace {

constexpr std::int64_t kShapes[][2] = {{1, 1}, {3, 33}, {3, 64}, {2, 1000}, {1, 4113}};

void require_same_bits(const QuantizedWeight& got, const QuantizedWeight& expected) {
  REQUIRE(got.codes == expected.codes);
  REQUIRE(same(got.scales, expected.scales));
  REQUIRE(got.zeros == expected.zeros);
  REQUIRE(same(got.float_zeros, expected.float_zeros));
}

void check_round_trip(QuantizedLayout layout, DType dtype) {
  std::vector<float> values = weights(layout.rows * layout.cols, 1);
  std::fill_n(values.begin(), layout.cols, 0.0f);  // blocks of zeros
  const Dense source(dtype, values);
  QuantizedWeight expected(layout), got(layout);
  quantize(source.data(), dtype, layout, expected.buffers());
  cuda::quantize(source.data(), dtype, layout, got.buffers(), {});
  require_same_bits(got, expected);
  Dense on_cpu(dtype, layout.rows * layout.cols), on_cuda(dtype, layout.rows * layout.cols);
  dequantize(expected.view(), layout, on_cpu.data(), dtype);
  cuda::dequantize(got.view(), layout, on_cuda.data(), dtype, {});
  REQUIRE(same(on_cuda.values(), on_cpu.values()));
}

}  // namespace

TEST_CASE("emulated quantize and dequantize give the CPU's bits", "[quantize]") {
  for (const Format format : kAllFormats) {
    in_both_orders([&] {
      for (const DType dtype : kTypes) {
        for (const auto& [rows, cols] : kShapes) {
          for (const std::int64_t block : {16, 64, 4096}) {
            CAPTURE(name(format), static_cast<int>(dtype), rows, cols, block);
            check_round_trip({.format = format, .rows = rows, .cols = cols, .block = block}, dtype);
          }
        }
      }
    });
  }
}

TEST_CASE("emulated quantize takes every finite magnitude as the CPU does", "[quantize]") {
  const QuantizedLayout shape{.rows = 4, .cols = 96, .block = 32};
  const std::vector<float> values = any_finite(shape.rows * shape.cols, 3);
  for (const Format format : kAllFormats) {
    QuantizedLayout layout = shape;
    layout.format = format;
    CAPTURE(name(format));
    QuantizedWeight expected(layout), got(layout);
    quantize(values.data(), DType::kFloat32, layout, expected.buffers());
    cuda::quantize(values.data(), DType::kFloat32, layout, got.buffers(), {});
    require_same_bits(got, expected);
  }
}
