// hadamard_transform and double_dequantize on the emulated device: the CPU's bits.
#include "device_buffers.h"
#include "fairopt/double_quantize.h"
#include "fairopt/hadamard_transform.h"

using namespace emulated;

TEST_CASE("emulated hadamard_transform gives the CPU's bits", "[hadamard_transform]") {
  for (const auto& [rows, cols] : {std::pair<std::int64_t, std::int64_t>{0, 8},
                                   {3, 1},
                                   {3, 7},
                                   {2, 12},
                                   {5, 48},
                                   {3, 86},
                                   {9, 344},
                                   {2, 4096},
                                   {1, 11008},
                                   {1, 28672}}) {
    const std::vector<float> values = activations(rows * cols, 1);
    in_both_orders([&] {
      for (const DType dtype : kTypes) {
        for (const bool transpose : {false, true}) {
          CAPTURE(rows, cols, static_cast<int>(dtype), transpose);
          const Dense x(dtype, values);
          Dense expected(dtype, rows * cols), y(dtype, rows * cols);
          hadamard_transform(x.data(), dtype, rows, cols, transpose, expected.data());
          cuda::hadamard_transform(x.data(), dtype, rows, cols, transpose, y.data(), {});
          REQUIRE(same(y.values(), expected.values()));
        }
      }
    });
  }
}

TEST_CASE("emulated double_dequantize gives the CPU's bits", "[double_dequantize]") {
  for (const std::int64_t n : {0, 1, 255, 256, 1025, 7001}) {
    std::vector<float> scales = weights(n, 2);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(n));
    std::vector<float> nested(static_cast<std::size_t>(nested_blocks(n)));
    float offset = 0.0f;
    double_quantize(scales.data(), n, {codes.data(), nested.data(), &offset});
    std::vector<float> expected(scales.size());
    double_dequantize({codes.data(), nested.data(), &offset}, n, expected.data());
    in_both_orders([&] {
      CAPTURE(n);
      std::vector<float> got(scales.size(), std::nanf(""));
      cuda::double_dequantize({codes.data(), nested.data(), &offset}, n, got.data(), {});
      REQUIRE(same(got, expected));
    });
  }
}
