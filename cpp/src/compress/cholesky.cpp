#include "compress/cholesky.h"

#include <algorithm>
#include <vector>

#include "compress/triangular.h"

namespace fairopt::compress {

using Eigen::Index;
using Eigen::MatrixXd;

bool cholesky(MatrixXd& matrix, Executor& executor) {
  constexpr Index kPanel = 64, kTile = 128;
  const Index n = matrix.rows();
  std::vector<MatrixXd> panel(static_cast<std::size_t>((n + kTile - 1) / kTile));  // its tiles, each in one piece
  for (Index start = 0; start < n; start += kPanel) {
    const Index width = std::min(kPanel, n - start), end = start + width;
    auto diagonal = matrix.block(start, start, width, width);
    const Eigen::LLT<Eigen::Ref<MatrixXd>> factor(diagonal);
    if (factor.info() != Eigen::Success) return false;
    const Index tiles = (n - end + kTile - 1) / kTile;
    const auto rows_of = [&](Index tile) { return std::min(kTile, n - end - tile * kTile); };
    executor.parallel_for(0, tiles, 1, [&](Index first, Index last) {
      for (; first < last; ++first) {
        auto below = matrix.block(end + first * kTile, start, rows_of(first), width);
        MatrixXd& tile = panel[static_cast<std::size_t>(first)];
        tile = below;
        divide_by_lower_transposed(tile, diagonal);
        below = tile;
      }
    });
    executor.parallel_for(0, tiles * (tiles + 1) / 2, 1, [&](Index first, Index last) {
      Index row = 0, column = first;  // of the triangle of tiles, row by row
      while (column > row) column -= ++row;
      for (; first < last; ++first) {
        subtract_product_transposed(
            panel[static_cast<std::size_t>(row)], panel[static_cast<std::size_t>(column)],
            matrix.block(end + row * kTile, end + column * kTile, rows_of(row), rows_of(column)));
        if (++column > row) column = 0, ++row;
      }
    });
  }
  return true;
}

}  // namespace fairopt::compress
