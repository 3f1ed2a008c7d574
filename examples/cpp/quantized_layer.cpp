// Quantise the weight of a linear layer to NF4, run the layer on the codes, and say what that cost.
#include <fairopt/cpu_capability.h>
#include <fairopt/quantize.h>
#include <fairopt/quantized_linear.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

int main() {
  constexpr std::int64_t kOut = 256, kIn = 512, kTokens = 3;
  std::mt19937 random(0);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<float> weight(kOut * kIn), x(kTokens * kIn), y(kTokens * kOut);
  for (float& w : weight) w = normal(random);
  for (float& v : x) v = normal(random);

  const fairopt::QuantizedLayout layout{fairopt::Format::kNf4, kOut, kIn, 64};
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(layout.rows * layout.bytes_per_row()));
  std::vector<float> scales(static_cast<std::size_t>(layout.rows * layout.blocks_per_row()));
  fairopt::quantize(weight.data(), fairopt::DType::kFloat32, layout, {codes.data(), scales.data(), nullptr});
  fairopt::quantized_linear(
      {x.data(), kTokens, {codes.data(), scales.data(), nullptr}, layout, /*bias=*/nullptr, y.data()});

  double error = 0.0, size = 0.0;
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t o = 0; o < kOut; ++o) {
      double exact = 0.0;
      for (std::int64_t k = 0; k < kIn; ++k) {
        exact += double(x[static_cast<std::size_t>(t * kIn + k)]) * weight[static_cast<std::size_t>(o * kIn + k)];
      }
      error += std::pow(exact - y[static_cast<std::size_t>(t * kOut + o)], 2);
      size += exact * exact;
    }
  }
  const double bits = 8.0 * (double(codes.size()) + 4.0 * double(scales.size())) / double(weight.size());
  std::printf("nf4 on %s: %.2f bits per weight, relative error %.3f\n", fairopt::cpu_capability().data(), bits,
              std::sqrt(error / size));
}
