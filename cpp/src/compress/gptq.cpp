#include "fairopt/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "compress/cholesky.h"
#include "kernels/require.h"
#include "kernels/scalar_codec.h"

namespace fairopt {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using kernels::require;
using kernels::Scaling;

constexpr Index kRows = 64;    // rows solved together: a tile's bits depend on nothing but its own rows
constexpr Index kPanel = 128;  // columns between two products with all that was rounded before
constexpr int kMaxRaises = 28;

/// Columns in the order in which they are rounded.
std::vector<std::int64_t> rounding_order(const float* hessian, std::int64_t cols, ActOrder act_order) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(cols));
  std::iota(order.begin(), order.end(), 0);
  if (act_order == ActOrder::kNone) return order;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return hessian[a * cols + a] > hessian[b * cols + b]; });
  return order;
}

/// L with L L^T = the damped H, its columns in reverse of `order`: reversed, the U of the header is a lower triangle.
struct Factor {
  MatrixXd lower;
  double damp;
  std::int64_t dead;
};

Factor factorise(const float* hessian, const std::vector<std::int64_t>& order, double damp, Executor& executor) {
  const auto n = static_cast<Index>(order.size());
  const auto at = [&](Index i, Index j) {
    const std::int64_t a = order[static_cast<std::size_t>(n - 1 - i)], b = order[static_cast<std::size_t>(n - 1 - j)];
    return static_cast<double>(hessian[std::max(a, b) * n + std::min(a, b)]);
  };
  double trace = 0.0;
  std::int64_t dead = 0;
  for (Index j = 0; j < n; ++j) {
    trace += at(j, j);
    dead += at(j, j) == 0.0 ? 1 : 0;
  }
  const double mean = trace > 0.0 ? trace / static_cast<double>(n) : 1.0;  // all zero: any diagonal rounds to nearest
  MatrixXd lower(n, n);
  for (int raises = 0; raises <= kMaxRaises; ++raises) {
    executor.parallel_for(0, n, 16, [&](Index first, Index last) {
      for (Index j = first; j < last; ++j) {
        for (Index i = j; i < n; ++i) lower(i, j) = at(i, j);
        lower(j, j) = (lower(j, j) == 0.0 ? mean : lower(j, j)) + damp * mean;
      }
    });
    if (compress::cholesky(lower, executor)) return {std::move(lower), damp, dead};
    damp = std::max(2.0 * damp, 0.01);
  }
  require(false, "gptq", "hessian must be positive definite when damped, got one that is not at damp = {}", damp / 2.0);
  return {};
}

/// What is the same for every tile of rows.
struct Problem {
  const float* weight;
  QuantizedLayout layout;
  ActOrder act_order;
  const std::vector<std::int64_t>& order;
  const MatrixXd& lower;
  QuantizedBuffers out;

  Index cols() const { return layout.cols; }
  /// Position in `lower` of the column that is rounded as the j-th.
  Index position(Index j) const { return cols() - 1 - j; }
};

/// Some rows of W on their way to codes. `error` holds W - Q of the columns rounded so far, in the order of `lower`.
class Tile {
 public:
  Tile(const Problem& problem, Index first, Index rows)
      : problem_(problem), first_(first), rows_(rows), error_(rows, problem.cols()) {
    scalings_.resize(static_cast<std::size_t>(rows * problem.layout.blocks_per_row()));
  }

  /// Rounds all columns; returns the loss of these rows.
  double solve() {
    const Index cols = problem_.cols(), block = problem_.layout.block;
    if (problem_.act_order == ActOrder::kStatic) fit_all();
    const Index whole_blocks = block >= kPanel ? 0 : kPanel / block * block;
    double loss = 0.0;
    for (Index start = 0, end = 0; start < cols; start = end) {
      const Index block_end = start - start % block + block;
      end = std::min({cols, whole_blocks != 0 ? start + whole_blocks : std::min(start + kPanel, block_end)});
      loss += solve_panel(start, end);
    }
    store_scalings();
    return loss;
  }

 private:
  float weight(Index row, Index j) const {
    return problem_.weight[(first_ + row) * problem_.cols() + problem_.order[static_cast<std::size_t>(j)]];
  }
  /// Where column j (in rounding order) is stored, and its block.
  Index stored(Index j) const {
    return problem_.act_order == ActOrder::kDynamic ? j : problem_.order[static_cast<std::size_t>(j)];
  }
  Scaling& scaling(Index row, Index block) {
    return scalings_[static_cast<std::size_t>(row * problem_.layout.blocks_per_row() + block)];
  }

  /// sum_{i < start} (w_i - q_i) U_ij for the columns j in [begin, end), reversed.
  MatrixXd pull(Index start, Index begin, Index end) const {
    const Index low = problem_.position(end - 1), width = end - begin;
    return error_.rightCols(start) * problem_.lower.block(problem_.position(start - 1), low, start, width);
  }

  double solve_panel(Index start, Index end) {
    const Index low = problem_.position(end - 1), width = end - start, block = problem_.layout.block;
    MatrixXd pulled = start == 0 ? MatrixXd(MatrixXd::Zero(rows_, width)) : pull(start, start, end);
    double loss = 0.0;
    for (Index j = start; j < end; ++j) {
      if (j % block == 0 && problem_.act_order != ActOrder::kStatic) {
        const Index block_end = std::min(j + block, problem_.cols());
        if (block_end <= end) {
          fit_block(j, block_end, pulled.middleCols(problem_.position(block_end - 1) - low, block_end - j));
        } else {
          fit_block(j, block_end, j == 0 ? MatrixXd(MatrixXd::Zero(rows_, block_end)) : pull(j, j, block_end));
        }
      }
      const Index c = problem_.position(j);
      loss += round_column(j, pulled.col(c - low));
      pulled.leftCols(c - low).noalias() += error_.col(c) * problem_.lower.block(c, low, 1, c - low);
    }
    return loss;
  }

  double round_column(Index j, const Eigen::Ref<const Eigen::VectorXd>& pulled) {
    const Index c = problem_.position(j);
    const double diagonal = problem_.lower(c, c);
    const Format format = problem_.layout.format;
    const int bits = code_bits(format);
    const std::int64_t at = stored(j), bytes = problem_.layout.bytes_per_row();
    double loss = 0.0;
    for (Index row = 0; row < rows_; ++row) {
      const float w = weight(row, j);
      const Scaling& scale = scaling(row, at / problem_.layout.block);
      const auto target = static_cast<float>(w + pulled(row) / diagonal);
      const int code = kernels::encode(format, w == 0.0f ? 0.0f : target, scale);
      error_(row, c) = static_cast<double>(w) - static_cast<double>(kernels::decode(format, code, scale));
      const double term = error_(row, c) * diagonal + pulled(row);
      loss += term * term;
      kernels::write_code(problem_.out.codes + (first_ + row) * bytes, bytes, bits, at, code);
    }
    return loss;
  }

  /// Fits the block of the columns [begin, end) to the weights that would best make up for the errors made before.
  void fit_block(Index begin, Index end, MatrixXd pulled) {
    const Index low = problem_.position(end - 1), width = end - begin;
    problem_.lower.block(low, low, width, width).triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(pulled);
    std::vector<float> values(static_cast<std::size_t>(width));
    for (Index row = 0; row < rows_; ++row) {
      for (Index j = begin; j < end; ++j) {
        const float w = weight(row, j);
        values[static_cast<std::size_t>(j - begin)] =
            w == 0.0f ? 0.0f : static_cast<float>(w + pulled(row, problem_.position(j) - low));
      }
      scaling(row, begin / problem_.layout.block) = kernels::fit(problem_.layout.format, values.data(), width);
    }
  }

  /// Fits every block to W as it lies.
  void fit_all() {
    const Index cols = problem_.cols(), block = problem_.layout.block;
    for (Index row = 0; row < rows_; ++row) {
      const float* values = problem_.weight + (first_ + row) * cols;
      for (Index b = 0; b * block < cols; ++b) {
        scaling(row, b) = kernels::fit(problem_.layout.format, values + b * block, std::min(block, cols - b * block));
      }
    }
  }

  /// Scales, zero points, and the bits behind the last code of a row.
  void store_scalings() {
    const Index blocks = problem_.layout.blocks_per_row();
    const ZeroPoint kind = zero_point(problem_.layout.format);
    const int bits = code_bits(problem_.layout.format);
    const std::int64_t bytes = problem_.layout.bytes_per_row();
    for (Index row = 0; row < rows_; ++row) {
      for (Index b = 0; b < blocks; ++b) {
        const Scaling& scale = scaling(row, b);
        const Index at = (first_ + row) * blocks + b;
        problem_.out.scales[at] = scale.scale;
        if (kind == ZeroPoint::kInteger) problem_.out.zeros[at] = static_cast<std::uint8_t>(scale.zero);
        if (kind == ZeroPoint::kFloat) problem_.out.float_zeros[at] = scale.float_zero;
      }
      const int zero = kernels::encode(problem_.layout.format, 0.0f, scaling(row, blocks - 1));
      for (std::int64_t i = problem_.cols(); i * bits < 8 * bytes; ++i) {
        kernels::write_code(problem_.out.codes + (first_ + row) * bytes, bytes, bits, i, zero);
      }
    }
  }

  const Problem& problem_;
  Index first_, rows_;
  MatrixXd error_;
  std::vector<Scaling> scalings_;
};

}  // namespace

GptqReport gptq(const float* weight, const float* hessian, const QuantizedLayout& layout, const GptqOptions& options,
                const QuantizedBuffers& out, std::int64_t* order, Executor& executor) {
  check(layout, "gptq");
  require(options.damp >= 0.0 && std::isfinite(options.damp), "gptq", "damp must be finite and >= 0, got {}",
          options.damp);
  if (layout.rows == 0 || layout.cols == 0) return {.damp = options.damp};
  require(weight != nullptr && hessian != nullptr, "gptq", "weight and hessian must not be null");
  require(options.act_order != ActOrder::kDynamic || order != nullptr, "gptq", "order must not be null");
  const std::int64_t bad = count_nonfinite(hessian, DType::kFloat32, layout.cols * layout.cols, executor);
  require(bad == 0, "gptq", "hessian must be finite, got {} NaN or infinite values", bad);

  const std::vector<std::int64_t> columns = rounding_order(hessian, layout.cols, options.act_order);
  const Factor factor = factorise(hessian, columns, options.damp, executor);
  const Problem problem{weight, layout, options.act_order, columns, factor.lower, out};
  const Index tiles = (layout.rows + kRows - 1) / kRows;
  std::vector<double> losses(static_cast<std::size_t>(tiles));
  executor.parallel_for(0, tiles, 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      const Index row = first * kRows;
      losses[static_cast<std::size_t>(first)] = Tile(problem, row, std::min(kRows, layout.rows - row)).solve();
    }
  });
  if (options.act_order == ActOrder::kDynamic) std::copy(columns.begin(), columns.end(), order);
  return {std::accumulate(losses.begin(), losses.end(), 0.0), factor.damp, factor.dead};
}

}  // namespace fairopt
