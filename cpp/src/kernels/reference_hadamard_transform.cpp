#include "kernels/reference_hadamard_transform.h"

#include <bit>
#include <cmath>

#include "fairopt/hadamard_transform.h"
#include "kernels/hadamard_matrix.h"

namespace fairopt::kernels::reference {
namespace {

/// Sylvester's matrix: -1 to the number of ones that row and column share.
double sylvester(std::int64_t row, std::int64_t column) {
  return std::popcount(static_cast<std::uint64_t>(row & column)) % 2 == 0 ? 1.0 : -1.0;
}

}  // namespace

std::vector<double> hadamard_matrix(std::int64_t n) {
  const HadamardShape shape = hadamard_shape(n);
  const std::int64_t size = shape.order * shape.power;
  std::vector<double> h(static_cast<std::size_t>(n * n), 0.0);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = i / size * size; j < i / size * size + size; ++j) {
      const std::int64_t row = i % size / shape.power, column = j % size / shape.power;
      const double outer =
          shape.order == 1 ? 1.0 : paley_matrix(shape.order)[static_cast<std::size_t>(row * shape.order + column)];
      h[static_cast<std::size_t>(i * n + j)] =
          outer * sylvester(i % shape.power, j % shape.power) / std::sqrt(static_cast<double>(size));
    }
  }
  return h;
}

std::vector<double> hadamard_transform(const std::vector<float>& x, bool transpose) {
  const std::size_t n = x.size();
  const std::vector<double> h = hadamard_matrix(static_cast<std::int64_t>(n));
  std::vector<double> y(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) y[i] += (transpose ? h[j * n + i] : h[i * n + j]) * static_cast<double>(x[j]);
  }
  return y;
}

}  // namespace fairopt::kernels::reference
