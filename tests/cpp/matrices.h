// Inputs of the kernel tests: reproducible on every platform (no std distribution), and nasty on purpose.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

/// n values about N(0, 0.02^2) with a few outliers, exact zeros and both signs of zero.
inline std::vector<float> weights(std::int64_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    double sum = -6.0;  // twelve uniforms: variance 1
    for (int i = 0; i < 12; ++i) sum += uniform();
    const double kind = uniform();
    value = static_cast<float>(0.02 * sum * (kind < 0.01 ? 30.0 : 1.0));
    if (kind > 0.99) value = std::copysign(0.0f, value);
  }
  return values;
}

/// n finite values of any magnitude that fp32 has, subnormals included.
inline std::vector<float> any_finite(std::int64_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) {
    do {
      value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    } while (!std::isfinite(value));
  }
  return values;
}

/// X^T X of more samples than columns: symmetric and positive definite.
inline std::vector<float> hessian(std::int64_t k, std::uint64_t seed) {
  const std::int64_t samples = 2 * k;
  const std::vector<float> x = weights(samples * k, seed);
  std::vector<float> result(static_cast<std::size_t>(k * k));
  for (std::int64_t i = 0; i < k; ++i) {
    for (std::int64_t j = 0; j < k; ++j) {
      double sum = 0.0;
      for (std::int64_t t = 0; t < samples; ++t) sum += double{x[t * k + i]} * x[t * k + j];
      result[i * k + j] = static_cast<float>(2.0 * sum / static_cast<double>(samples));
    }
  }
  return result;
}
