// std::nth_element as torch operators, as anybody would select: on a copy of the scores, since it moves them. The copy
// is not counted. Built by machine_limits.py with -march=native; no part of the package.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <tuple>
#include <vector>

using torch::stable::Tensor;

/// Seconds on this thread for the k-th smallest of each row of scores [rows, cols], and the sum of them.
static std::tuple<double, double> nth_element(const Tensor& scores, int64_t k) {
  const int64_t cols = scores.size(-1), rows = scores.numel() / cols;
  std::vector<float> values(scores.const_data_ptr<float>(), scores.const_data_ptr<float>() + scores.numel());
  double sum = 0.0;
  const auto start = std::chrono::steady_clock::now();
  for (int64_t row = 0; row < rows; ++row) {
    const auto first = values.begin() + row * cols;
    std::nth_element(first, first + k, first + cols);
    sum += static_cast<double>(first[k]);
  }
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), sum};
}

STABLE_TORCH_LIBRARY(fairopt_peers, m) { m.def("nth_element(Tensor scores, int k) -> (float, float)"); }
STABLE_TORCH_LIBRARY_IMPL(fairopt_peers, CPU, m) { m.impl("nth_element", TORCH_BOX(&nth_element)); }
