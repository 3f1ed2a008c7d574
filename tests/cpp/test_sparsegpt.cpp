// sparsegpt and second_order_target: their objectives, limits, and that bits do not depend on how loops are cut. The
// published loop is the oracle of the first in tests/python/test_sparsegpt.py.
#include <algorithm>
#include <cmath>

#include "catch.h"
#include "fairopt/prune.h"
#include "fairopt/second_order.h"
#include "fairopt/sparsegpt.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

struct Solved {
  std::vector<float> pruned, scales, float_zeros;
  std::vector<std::uint8_t> keep, codes, zeros;
  std::vector<std::int64_t> order;
  SparseGptReport report;
  bool operator==(const Solved& o) const {
    return pruned == o.pruned && scales == o.scales && float_zeros == o.float_zeros && keep == o.keep &&
           codes == o.codes && zeros == o.zeros && order == o.order && report.loss == o.report.loss;
  }
};

Solved solve(const std::vector<float>& weight, const std::vector<float>& h, std::int64_t rows, std::int64_t cols,
             const SparseGptOptions& options, Executor& executor = default_executor()) {
  Solved solved;
  solved.pruned.resize(weight.size());
  solved.keep.resize(weight.size());
  solved.report =
      sparsegpt(weight.data(), h.data(), rows, cols, options, solved.pruned.data(), solved.keep.data(), executor);
  return solved;
}

Solved solve(const std::vector<float>& weight, const std::vector<float>& h, const QuantizedLayout& layout,
             const SparseGptOptions& options, ActOrder act_order, Executor& executor = default_executor()) {
  const auto blocks = static_cast<std::size_t>(layout.rows * layout.blocks_per_row());
  Solved solved;
  solved.pruned.resize(weight.size());
  solved.keep.resize(weight.size());
  solved.codes.resize(static_cast<std::size_t>(layout.rows * layout.bytes_per_row()));
  solved.scales.resize(blocks);
  solved.zeros.resize(blocks);
  solved.float_zeros.resize(blocks);
  solved.order.resize(static_cast<std::size_t>(layout.cols));
  const QuantizedBuffers out{solved.codes.data(), solved.scales.data(), solved.zeros.data(), solved.float_zeros.data()};
  solved.report = sparsegpt(weight.data(), h.data(), layout, options, act_order, out, solved.pruned.data(),
                            solved.keep.data(), solved.order.data(), executor);
  return solved;
}

std::int64_t pruned_count(const Solved& solved) {
  return std::count(solved.keep.begin(), solved.keep.end(), std::uint8_t{0});
}

/// trace(E H E^T) in float64.
double objective(const std::vector<double>& error, const std::vector<float>& h, int rows, int cols) {
  double sum = 0.0;
  for (int row = 0; row < rows; ++row) {
    for (int i = 0; i < cols; ++i) {
      for (int j = 0; j < cols; ++j) sum += error[row * cols + i] * h[i * cols + j] * error[row * cols + j];
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("sparsegpt: prunes just as many as it should, and reports its objective", "[sparsegpt]") {
  const std::vector<float> weight = weights(70 * 200, 1), h = hessian(200, 2);
  for (const SparseGptOptions& options : {SparseGptOptions{.prune = 4321}, {.n = 2, .m = 4}, {.n = 1, .m = 5}}) {
    const Solved solved = solve(weight, h, 70, 200, options);
    REQUIRE(pruned_count(solved) == (options.m == 0 ? options.prune : 70 * 200 * (options.m - options.n) / options.m));
    double damping = 0.0;
    std::vector<double> error(weight.size());
    for (std::size_t i = 0; i < weight.size(); ++i) {
      if (solved.keep[i] == 0) REQUIRE(solved.pruned[i] == 0.0f);
      error[i] = double{weight[i]} - solved.pruned[i];
      damping += error[i] * error[i];
    }
    double trace = 0.0;
    for (int j = 0; j < 200; ++j) trace += h[j * 201];
    const double loss = objective(error, h, 70, 200) + damping * 0.01 * trace / 200.0;
    REQUIRE(std::fabs(solved.report.loss / loss - 1.0) < 1e-6);  // H is symmetric to 2^-24 only
    REQUIRE(solved.report.damp == 0.01);
  }
}

TEST_CASE("sparsegpt: all or nothing", "[sparsegpt]") {
  const std::vector<float> weight = weights(5 * 40, 1), h = hessian(40, 2);
  REQUIRE(solve(weight, h, 5, 40, {}).pruned == weight);
  REQUIRE(solve(weight, h, 5, 40, {.n = 4, .m = 4}).pruned == weight);
  REQUIRE(solve(weight, h, 5, 40, {.prune = 200}).pruned == std::vector<float>(200));
}

TEST_CASE("sparsegpt: the same bits however loops are cut", "[sparsegpt]") {
  const std::vector<float> weight = weights(200 * 150, 1), h = hessian(150, 2);
  for (const SparseGptOptions& options : {SparseGptOptions{.prune = 15000, .columns = 64}, {.n = 2, .m = 3}}) {
    Pieces ones(1), twos(2);
    const bool same = solve(weight, h, 200, 150, options, ones) == solve(weight, h, 200, 150, options, twos);
    REQUIRE(same);
    for (const ActOrder act_order : {ActOrder::kNone, ActOrder::kStatic, ActOrder::kDynamic}) {
      const QuantizedLayout layout{Format::kInt3Asym, 200, 150, 48};
      const bool joint =
          solve(weight, h, layout, options, act_order, ones) == solve(weight, h, layout, options, act_order, twos);
      REQUIRE(joint);
    }
  }
}

TEST_CASE("sparsegpt: inputs that were always zero go first, the smallest weights before others", "[sparsegpt]") {
  std::vector<float> h(16 * 16, 0.0f);
  for (int j = 2; j < 16; ++j) h[static_cast<std::size_t>(17 * j)] = 1.0f;
  std::vector<float> weight(2 * 16, 0.001f);
  weight[0] = 3.0f;
  weight[1] = -1.0f;
  weight[16] = 2.0f;
  weight[17] = 4.0f;
  const SparseGptReport damped = solve(weight, h, 2, 16, {.prune = 1, .damp = 1e-9}).report;
  REQUIRE(damped.dead == 2);
  const Solved one = solve(weight, h, 2, 16, {.prune = 1, .damp = 1e-9});
  REQUIRE(one.keep[1] == 0);
  const Solved four = solve(weight, h, 2, 16, {.prune = 4, .damp = 1e-9});
  REQUIRE((four.keep[0] | four.keep[1] | four.keep[16] | four.keep[17]) == 0);
  REQUIRE(solve(weight, h, 2, 16, {.prune = 4, .damp = 0.0}).report.damp == 0.01);  // singular without
  REQUIRE(solve(weight, std::vector<float>(256), 2, 16, {.prune = 4}).report.dead == 16);
}

TEST_CASE("sparsegpt: refuses what cannot be", "[sparsegpt]") {
  const std::vector<float> weight{1.0f, 2.0f, 3.0f}, h{1, 0, 0, 0, 1, 0, 0, 0, 1};
  REQUIRE_THROWS_WITH(solve(weight, h, 1, 3, {.prune = 4}), "sparsegpt: prune must be between 0 and 3, got 4");
  REQUIRE_THROWS_WITH(solve(weight, h, 1, 3, {.n = 1, .m = 2}), "sparsegpt: m must divide the 3 columns, got 2");
  REQUIRE_THROWS_WITH(solve(weight, h, 1, 3, {.n = 0, .m = 3}), "sparsegpt: n of m must be 0 < n <= m <= 32, got 0:3");
  REQUIRE_THROWS_WITH(solve(weight, h, 1, 3, {.prune = 1, .n = 1, .m = 3}),
                      "sparsegpt: prune must be 0 beside n of m, got 1");
  REQUIRE_THROWS_WITH(solve(weight, h, 1, 3, {.columns = 0}), "sparsegpt: columns must be at least 1, got 0");
  REQUIRE_THROWS_WITH(solve(weight, h, 1, 3, {.damp = -1.0}), "sparsegpt: damp must be finite and >= 0, got -1");
}

TEST_CASE("second_order_target: its gradient is zero, and nothing changes without pairs", "[second_order]") {
  constexpr int rows = 70, cols = 150;
  std::vector<float> weight = weights(rows * cols, 1);
  for (float& w : weight) w = w == 0.0f ? 0.01f : w;  // what is zero has the target zero, whatever the gradient
  const std::vector<float> h = hessian(cols, 2), d = hessian(cols, 3);
  std::vector<float> target(weight.size()), both(h.size()), again(weight.size());
  second_order_target(weight.data(), h.data(), d.data(), rows, cols, {}, target.data(), both.data());
  REQUIRE(target == weight);
  REQUIRE(both == h);
  second_order_target(weight.data(), h.data(), d.data(), rows, cols, {.beta = 2.0}, target.data(), both.data());
  REQUIRE(target == weight);

  const SecondOrderOptions options{.alpha = 0.5, .beta = 0.25, .damp = 0.0};
  Pieces ones(1);
  second_order_target(weight.data(), h.data(), d.data(), rows, cols, options, target.data(), both.data());
  second_order_target(weight.data(), h.data(), d.data(), rows, cols, options, again.data(), both.data(), ones);
  REQUIRE(target == again);
  double worst = 0.0, size = 0.0;
  for (int row = 0; row < rows; ++row) {
    for (int j = 0; j < cols; ++j) {
      double gradient = 0.0, scale = 0.0;
      for (int i = 0; i < cols; ++i) {
        const double w = weight[row * cols + i], t = target[row * cols + i];
        gradient += (t - w) * (h[i * cols + j] + 0.25 * d[i * cols + j]) + 0.5 * t * d[i * cols + j];
        scale += std::fabs(t) * std::fabs(both[i * cols + j]);
      }
      worst = std::max(worst, std::fabs(gradient));
      size = std::max(size, scale);
    }
  }
  REQUIRE(worst <= 4.0 * 0x1p-24 * size);  // A and W* are rounded to fp32: 2^-24 of each term
  weight[5] = 0.0f;
  second_order_target(weight.data(), h.data(), d.data(), rows, cols, options, target.data(), both.data());
  REQUIRE(target[5] == 0.0f);
  REQUIRE_THROWS_WITH(
      second_order_target(weight.data(), h.data(), d.data(), rows, cols, {.alpha = -1.0}, target.data(), both.data()),
      "second_order_target: alpha must be finite and >= 0, got -1");
}
