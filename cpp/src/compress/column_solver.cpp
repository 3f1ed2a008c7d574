#include "compress/column_solver.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "compress/triangular.h"
#include "fairopt/prune.h"
#include "kernels/cpu/table.h"
#include "kernels/elements.h"

namespace fairopt::compress {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr Index kRows = 64;    // rows solved together: a tile's bits depend on nothing but its own rows
constexpr Index kPanel = 128;  // columns between two products with all that was settled before
constexpr Index kRun = 32;     // of these, columns between two products with all that was settled in the panel

/// Some rows of W on their way. `moved_` holds W' - W of the columns settled so far, in the order of `lower`.
class Tile {
 public:
  Tile(const ColumnProblem& problem, Index first, Index rows)
      : problem_(problem), first_(first), rows_(rows), moved_(rows, problem.cols) {
    if (problem.rounding == nullptr) return;
    codes_.emplace(problem.rounding->out, first, rows);
    if (problem.rounding->act_order == ActOrder::kStatic) codes_->fit_all(problem.weight + first * problem.cols);
  }

  Index first() const { return first_; }

  /// Makes up to the columns [start, end) for all that was settled before them.
  void open(Index start, Index end) {
    start_ = start;
    end_ = end;
    run_ = run_end_ = start;
    if (!prunes_n_of_m()) chosen_ = end;
    pulled_ = pull(start, start, end);
  }

  /// The root of what pruning would cost: [rows, end - begin] of columns [begin, end), which are not settled yet.
  void scores(Index begin, Index end, float* out) const {
    const MatrixXd change = free_change(begin, end);
    for (Index row = 0; row < rows_; ++row) {
      for (Index j = begin; j < end; ++j) {
        const Index c = position(j);
        const float w = weight(row, j);
        const double value = w == 0.0f ? 0.0 : w + change(row, c - position(end - 1));
        *out++ = static_cast<float>(value * problem_.lower(c, c));
      }
    }
  }

  /// Settles the columns that are open; returns what that adds to the loss of these rows.
  double solve() {
    double loss = 0.0;
    for (Index j = start_; j < end_; ++j) {
      if (j == run_end_ || last_seen_from(j) > run_end_) begin_run(j);
      if (begins_choice(j)) choose(j, j + problem_.pruning->options.m);
      if (begins_block(j)) fit(j, block_end(j));
      loss += settle(j, pulled_.col(open_position(j)));
      tell(j, 1, j + 1, run_end_);
    }
    return loss;
  }

  void finish() {
    if (codes_) codes_->finish();
  }

 private:
  Index block() const { return problem_.rounding->out.layout.block; }
  Index block_end(Index j) const { return std::min(j + block(), problem_.cols); }
  bool begins_block(Index j) const {
    return codes_ && problem_.rounding->act_order != ActOrder::kStatic && j % block() == 0;
  }
  bool begins_choice(Index j) const { return prunes_n_of_m() && j % problem_.pruning->options.m == 0; }
  /// The end of the columns that are looked at when j is settled.
  Index last_seen_from(Index j) const {
    return std::max(begins_block(j) ? block_end(j) : j, begins_choice(j) ? j + problem_.pruning->options.m : j);
  }
  bool prunes_n_of_m() const { return problem_.pruning != nullptr && problem_.pruning->options.m != 0; }
  /// Position in `lower` of the column that is settled as the j-th.
  Index position(Index j) const { return problem_.cols - 1 - j; }
  /// The same in `pulled_`.
  Index open_position(Index j) const { return end_ - 1 - j; }
  /// Index in W of a value in that column.
  Index at(Index row, Index j) const {
    return (first_ + row) * problem_.cols + problem_.order[static_cast<std::size_t>(j)];
  }
  float weight(Index row, Index j) const { return problem_.weight[at(row, j)]; }
  bool kept(Index row, Index j) const { return problem_.pruning == nullptr || problem_.pruning->keep[at(row, j)] != 0; }
  /// Where the code of column j is stored.
  Index stored(Index j) const {
    return problem_.rounding->act_order == ActOrder::kDynamic ? j : problem_.order[static_cast<std::size_t>(j)];
  }

  /// sum_{i < settled} (w_i - w'_i) U_ij for the columns j in [begin, end), reversed.
  MatrixXd pull(Index settled, Index begin, Index end) const {
    const Index low = position(end - 1), first = problem_.cols - settled;
    MatrixXd sum = MatrixXd::Zero(rows_, end - begin);
    subtract_product(moved_.rightCols(settled), problem_.lower.block(first, low, settled, end - begin), sum);
    return sum;
  }

  /// Adds the terms of the `count` columns from `settled` on to what pulls at the columns [begin, end) of the panel.
  void tell(Index settled, Index count, Index begin, Index end) {
    const Index from = position(settled + count - 1), width = end - begin;
    if (width <= 0) return;
    subtract_product(moved_.middleCols(from, count), problem_.lower.block(from, position(end - 1), count, width),
                     pulled_.middleCols(open_position(end - 1), width));
  }

  /// Columns of a run hear of each other at once, the others of the panel when it ends: now, and the next begins.
  void begin_run(Index j) {
    if (run_ < j) tell(run_, j - run_, run_end_, end_);
    run_ = j;
    run_end_ = std::min(j + kRun, end_);
  }

  /// What to add to the columns [begin, end), reversed, so that they best make up for all columns before `begin`, which
  /// are settled, while those after them are free too.
  MatrixXd free_change(Index begin, Index end) const {
    const Index low = position(end - 1), width = end - begin;
    MatrixXd change =
        end <= end_ ? MatrixXd(pulled_.middleCols(open_position(end - 1), width)) : pull(begin, begin, end);
    divide_by_lower(change, problem_.lower.block(low, low, width, width));
    return change;
  }

  /// Keeps n of the m columns [begin, end) in each row.
  void choose(Index begin, Index end) {
    const SparseGptOptions& options = problem_.pruning->options;
    const Index count = rows_ * (end - begin);
    chosen_ = end;
    std::vector<float> costs(static_cast<std::size_t>(count));
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(count));
    scores(begin, end, costs.data());
    kernels::table().n_of_m(costs.data(), count, options.n, options.m, mask.data());
    const std::uint8_t* next = mask.data();
    for (Index row = 0; row < rows_; ++row) {
      for (Index j = begin; j < end; ++j) problem_.pruning->keep[at(row, j)] = *next++;
    }
  }

  /// Scales the block of the columns [begin, end) by the weights that would best make up for the errors made before.
  void fit(Index begin, Index end) {
    const MatrixXd change = free_change(begin, end);
    const Index low = position(end - 1);
    std::vector<float> values(static_cast<std::size_t>(end - begin));
    for (Index row = 0; row < rows_; ++row) {
      for (Index j = begin; j < end; ++j) {
        const float w = weight(row, j);
        const bool zero = w == 0.0f || (j < chosen_ && !kept(row, j));
        values[static_cast<std::size_t>(j - begin)] =
            zero ? 0.0f : static_cast<float>(w + change(row, position(j) - low));
      }
      codes_->fit(row, begin / block(), values.data(), end - begin);
    }
  }

  /// The values that column j takes.
  void choose_values(Index j, const Eigen::Ref<const Eigen::VectorXd>& pulled, Eigen::Ref<Eigen::VectorXd> values) {
    const double diagonal = problem_.lower(position(j), position(j));
    for (Index row = 0; row < rows_; ++row) {
      const float w = weight(row, j);
      const bool keep = kept(row, j);
      double value = w == 0.0f || !keep ? 0.0 : w + pulled(row) / diagonal;
      if (codes_) value = codes_->round(row, stored(j), static_cast<float>(value));
      values(row) = keep ? value : 0.0;
    }
    if (!codes_ && problem_.pruning->options.stored != DType::kFloat32) round_to_type(values);
  }

  void round_to_type(Eigen::Ref<Eigen::VectorXd> values) const {
    constexpr double kHalfMax = 65504.0;
    const DType type = problem_.pruning->options.stored;
    std::array<float, kRows> wide;
    std::array<std::uint16_t, kRows> narrow;
    for (Index row = 0; row < rows_; ++row) {
      const double value = values(row);
      wide[static_cast<std::size_t>(row)] =
          static_cast<float>(type == DType::kFloat16 ? std::clamp(value, -kHalfMax, kHalfMax) : value);
    }
    kernels::store_rounded(wide.data(), rows_, narrow.data(), type, 0);
    values = Eigen::Map<const Eigen::VectorXf>(kernels::as_floats(narrow.data(), type, 0, rows_, wide.data()), rows_)
                 .cast<double>();
  }

  double settle(Index j, const Eigen::Ref<const Eigen::VectorXd>& pulled) {
    const Index c = position(j);
    const double diagonal = problem_.lower(c, c);
    choose_values(j, pulled, moved_.col(c));
    double loss = 0.0;
    for (Index row = 0; row < rows_; ++row) {
      if (problem_.pruning != nullptr) problem_.pruning->pruned[at(row, j)] = static_cast<float>(moved_(row, c));
      moved_(row, c) -= weight(row, j);
      const double term = pulled(row) - moved_(row, c) * diagonal;
      loss += term * term;
    }
    return loss;
  }

  const ColumnProblem& problem_;
  Index first_, rows_;
  MatrixXd moved_;
  Index start_ = 0, end_ = 0;    // of the columns that are open
  Index run_ = 0, run_end_ = 0;  // of the run among them
  Index chosen_ = 0;             // the mask of the columns before this one is known
  MatrixXd pulled_;  // sum_{i < j} (w_i - w'_i) U_ij over all i they have heard of, for those columns, reversed
  std::optional<TileCodes> codes_;
};

/// Where the panel that begins at `start` ends: whole blocks of codes where they are small.
Index panel_end(const ColumnProblem& problem, Index start) {
  if (problem.pruning != nullptr) return std::min(problem.cols, start + problem.pruning->options.columns);
  const Index block = problem.rounding->out.layout.block, block_end = start - start % block + block;
  return std::min(
      {problem.cols, block < kPanel ? start + kPanel / block * block : std::min(start + kPanel, block_end)});
}

class ColumnSolver {
 public:
  ColumnSolver(const ColumnProblem& problem, Executor& executor)
      : problem_(problem), executor_(executor), tiles_((problem.rows + kRows - 1) / kRows) {}

  /// Each tile by itself.
  double tile_by_tile() {
    return sum_over_tiles([&](Index index) {
      Tile tile = make(index);
      double loss = 0.0;
      for (Index start = 0, end = 0; start < problem_.cols; start = end) {
        tile.open(start, end = panel_end(problem_, start));
        loss += tile.solve();
      }
      tile.finish();
      return loss;
    });
  }

  /// Panel by panel: a ratio's mask is chosen over all rows.
  double panel_by_panel() {
    std::vector<Tile> tiles;
    for (Index index = 0; index < tiles_; ++index) tiles.push_back(make(index));
    double loss = 0.0;
    for (Index start = 0, end = 0; start < problem_.cols; start = end) {
      end = panel_end(problem_, start);
      choose(tiles, start, end);
      loss += sum_over_tiles([&](Index index) { return tiles[static_cast<std::size_t>(index)].solve(); });
    }
    for (Tile& tile : tiles) tile.finish();
    return loss;
  }

 private:
  Tile make(Index index) const { return {problem_, index * kRows, std::min(kRows, problem_.rows - index * kRows)}; }

  template <class Loss>
  double sum_over_tiles(const Loss& loss) {
    std::vector<double> losses(static_cast<std::size_t>(tiles_));
    executor_.parallel_for(0, tiles_, 1, [&](std::int64_t first, std::int64_t last) {
      for (; first < last; ++first) losses[static_cast<std::size_t>(first)] = loss(first);
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  }

  /// Opens the panel in every tile and chooses its mask.
  void choose(std::vector<Tile>& tiles, Index start, Index end) {
    const Index width = end - start, total = problem_.pruning->options.prune;
    std::vector<float> costs(static_cast<std::size_t>(problem_.rows * width));
    std::vector<std::uint8_t> mask(costs.size());
    executor_.parallel_for(0, tiles_, 1, [&](std::int64_t first, std::int64_t last) {
      for (; first < last; ++first) {
        Tile& tile = tiles[static_cast<std::size_t>(first)];
        tile.open(start, end);
        tile.scores(start, end, costs.data() + tile.first() * width);
      }
    });
    const Index prune = total * end / problem_.cols - total * start / problem_.cols;
    prune_mask({costs.data(), DType::kFloat32, problem_.rows, width}, prune, mask.data(), executor_);
    const std::uint8_t* next = mask.data();
    for (Index row = 0; row < problem_.rows; ++row) {
      for (Index j = start; j < end; ++j) {
        problem_.pruning->keep[row * problem_.cols + problem_.order[static_cast<std::size_t>(j)]] = *next++;
      }
    }
  }

  const ColumnProblem& problem_;
  Executor& executor_;
  Index tiles_;
};

}  // namespace

double solve_columns(const ColumnProblem& problem, Executor& executor) {
  ColumnSolver solver(problem, executor);
  const bool by_ratio = problem.pruning != nullptr && problem.pruning->options.m == 0;
  return by_ratio ? solver.panel_by_panel() : solver.tile_by_tile();
}

}  // namespace fairopt::compress
