// gptq: the objective it reports, its limits, and that its bits do not depend on how loops are cut. The published loop
// is its oracle in tests/python/test_gptq.py.
#include <cmath>
#include <limits>

#include "catch.h"
#include "compress/cholesky.h"
#include "fairopt/gptq.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

struct Solved {
  std::vector<std::uint8_t> codes, zeros;
  std::vector<float> scales, float_zeros;
  std::vector<std::int64_t> order;
  GptqReport report;
  bool operator==(const Solved& o) const {
    return codes == o.codes && zeros == o.zeros && scales == o.scales && float_zeros == o.float_zeros &&
           order == o.order && report.loss == o.report.loss;
  }
};

Solved solve(const std::vector<float>& weight, const std::vector<float>& h, const QuantizedLayout& layout,
             const GptqOptions& options = {}, Executor& executor = default_executor()) {
  const auto blocks = static_cast<std::size_t>(layout.rows * layout.blocks_per_row());
  Solved solved;
  solved.codes.resize(static_cast<std::size_t>(layout.rows * layout.bytes_per_row()));
  solved.scales.resize(blocks);
  solved.zeros.resize(blocks);
  solved.float_zeros.resize(blocks);
  solved.order.resize(static_cast<std::size_t>(layout.cols));
  const QuantizedBuffers out{solved.codes.data(), solved.scales.data(), solved.zeros.data(), solved.float_zeros.data()};
  solved.report = gptq(weight.data(), h.data(), layout, options, out, solved.order.data(), executor);
  return solved;
}

}  // namespace

TEST_CASE("cholesky: L L^T is the matrix, whatever the split", "[gptq]") {
  for (const Eigen::Index n : {1, 7, 128, 129, 300}) {
    const std::vector<float> h = hessian(n, 3);
    const Eigen::MatrixXd matrix = Eigen::Map<const Eigen::MatrixXf>(h.data(), n, n).cast<double>();
    Eigen::MatrixXd lower = matrix, again = matrix;
    Pieces threes(3);
    REQUIRE(compress::cholesky(lower, default_executor()));
    REQUIRE(compress::cholesky(again, threes));
    const Eigen::MatrixXd l = lower.triangularView<Eigen::Lower>();
    const bool same = l == Eigen::MatrixXd(again.triangularView<Eigen::Lower>());
    REQUIRE(same);
    // Backward error of the factorisation: (n + 1) u |L| |L^T| (Higham, Accuracy and Stability, theorem 10.3), and the
    // diagonal of |L| |L^T| is that of the matrix, which bounds the rest.
    const double bound = static_cast<double>(n + 1) * 1.2e-16 * matrix.diagonal().maxCoeff();
    REQUIRE((l * l.transpose() - matrix).cwiseAbs().maxCoeff() <= 2.0 * bound);
  }
  Eigen::MatrixXd indefinite = Eigen::MatrixXd::Identity(200, 200);
  indefinite(170, 170) = -1.0;
  REQUIRE_FALSE(compress::cholesky(indefinite, default_executor()));
}

TEST_CASE("gptq: reports its objective", "[gptq]") {
  for (const ActOrder act_order : {ActOrder::kNone, ActOrder::kStatic}) {
    const QuantizedLayout layout{Format::kInt4Sym, 70, 200, 32};
    const std::vector<float> weight = weights(70 * 200, 1), h = hessian(200, 2);
    const Solved solved = solve(weight, h, layout, {act_order, 0.01});
    std::vector<float> dense(weight.size());
    dequantize({solved.codes.data(), solved.scales.data()}, layout, dense.data(), DType::kFloat32);
    double trace = 0.0, loss = 0.0;
    for (int j = 0; j < 200; ++j) trace += h[j * 201];
    for (int row = 0; row < 70; ++row) {
      for (int i = 0; i < 200; ++i) {
        const double error = double{weight[row * 200 + i]} - dense[row * 200 + i];
        loss += error * error * 0.01 * trace / 200.0;
        for (int j = 0; j < 200; ++j) {
          loss += error * h[i * 200 + j] * (double{weight[row * 200 + j]} - dense[row * 200 + j]);
        }
      }
    }
    REQUIRE(std::fabs(solved.report.loss / loss - 1.0) < 1e-6);  // H is symmetric to 2^-24 only
    REQUIRE(solved.report.damp == 0.01);
  }
}

TEST_CASE("gptq: the same bits however loops are cut", "[gptq]") {
  for (const Format format : {Format::kInt3Asym, Format::kNf4, Format::kInt4Tinygemm}) {
    const QuantizedLayout layout{format, 200, 150, 48};
    const std::vector<float> weight = weights(200 * 150, 1), h = hessian(150, 2);
    for (const ActOrder act_order : {ActOrder::kNone, ActOrder::kStatic, ActOrder::kDynamic}) {
      Pieces ones(1), twos(2);
      const bool same = solve(weight, h, layout, {act_order}, ones) == solve(weight, h, layout, {act_order}, twos);
      REQUIRE(same);
    }
  }
}

TEST_CASE("gptq: an input that was always zero is rounded to nearest and counted", "[gptq]") {
  const QuantizedLayout layout{Format::kInt4Sym, 5, 16, 16};
  const std::vector<float> weight = weights(5 * 16, 1);
  const Solved solved = solve(weight, std::vector<float>(256), layout);
  Solved nearest = solved;
  quantize(weight.data(), DType::kFloat32, layout, {nearest.codes.data(), nearest.scales.data()});
  const bool same = solved == nearest;
  REQUIRE(same);
  REQUIRE(solved.report.dead == 16);
}

TEST_CASE("gptq: refuses what it cannot factorise", "[gptq]") {
  const QuantizedLayout layout{Format::kInt4Sym, 1, 2, 16};
  const std::vector<float> weight{1.0f, 2.0f};
  REQUIRE_THROWS_WITH(solve(weight, {1.0f, 1e8f, 1e8f, 1.0f}, layout),
                      Catch::Matchers::ContainsSubstring("gptq: hessian must be positive definite"));
  REQUIRE_THROWS_WITH(solve(weight, {1.0f, NAN, 0.0f, 1.0f}, layout),
                      "gptq: hessian must be finite, got 1 NaN or infinite values");
  REQUIRE_THROWS_WITH(solve(weight, {1.0f, 0.0f, 0.0f, 1.0f}, layout, {ActOrder::kNone, -1.0}),
                      "gptq: damp must be finite and >= 0, got -1");
}
