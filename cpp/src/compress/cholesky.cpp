#include "compress/cholesky.h"

#include <algorithm>

namespace fairopt::compress {

using Eigen::Index;

bool cholesky(Eigen::MatrixXd& matrix, Executor& executor) {
  constexpr Index kPanel = 128;
  const Index n = matrix.rows();
  for (Index start = 0; start < n; start += kPanel) {
    const Index width = std::min(kPanel, n - start), end = start + width;
    auto diagonal = matrix.block(start, start, width, width);
    const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> factor(diagonal);
    if (factor.info() != Eigen::Success) return false;
    const Index tiles = (n - end + kPanel - 1) / kPanel;
    const auto rows_of = [&](Index tile) { return std::min(kPanel, n - end - tile * kPanel); };
    executor.parallel_for(0, tiles, 1, [&](Index first, Index last) {
      for (Index tile = first; tile < last; ++tile) {
        auto below = matrix.block(end + tile * kPanel, start, rows_of(tile), width);
        diagonal.triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(below);
      }
    });
    executor.parallel_for(0, tiles * (tiles + 1) / 2, 1, [&](Index first, Index last) {
      Index row = 0, column = first;  // of the triangle of tiles, row by row
      while (column > row) column -= ++row;
      for (; first < last; ++first) {
        const auto left = matrix.block(end + row * kPanel, start, rows_of(row), width);
        const auto right = matrix.block(end + column * kPanel, start, rows_of(column), width);
        matrix.block(end + row * kPanel, end + column * kPanel, rows_of(row), rows_of(column)).noalias() -=
            left * right.transpose();
        if (++column > row) column = 0, ++row;
      }
    });
  }
  return true;
}

}  // namespace fairopt::compress
