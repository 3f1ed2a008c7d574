#include "compress/triangular.h"

#include <algorithm>

#include "kernels/cpu/table.h"

namespace fairopt::compress {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::Ref;

namespace {

constexpr Index kColumns = 16;  // that are divided one after another before the others hear of them

void subtract(const ConstBlock& a, const double* b, Index b_row, Index b_column, Ref<MatrixXd>& c) {
  if (c.size() == 0 || a.cols() == 0) return;
  kernels::table().subtract_product(
      {a.data(), a.outerStride(), b, b_row, b_column, c.data(), c.outerStride(), c.rows(), c.cols(), a.cols()});
}

}  // namespace

void subtract_product(const ConstBlock& a, const ConstBlock& b, Ref<MatrixXd> c) {
  subtract(a, b.data(), 1, b.outerStride(), c);
}

void subtract_product_transposed(const ConstBlock& a, const ConstBlock& b, Ref<MatrixXd> c) {
  subtract(a, b.data(), b.outerStride(), 1, c);
}

void divide_by_lower(Ref<MatrixXd> x, const ConstBlock& lower) {
  for (Index end = x.cols(), start = 0; end > 0; end = start) {
    start = std::max(Index{0}, end - kColumns);
    for (Index j = end - 1; j >= start; --j) {
      x.col(j) /= lower(j, j);
      subtract_product(x.col(j), lower.block(j, start, 1, j - start), x.middleCols(start, j - start));
    }
    subtract_product(x.middleCols(start, end - start), lower.block(start, 0, end - start, start), x.leftCols(start));
  }
}

void divide_by_lower_transposed(Ref<MatrixXd> x, const ConstBlock& lower) {
  const Index cols = x.cols();
  for (Index start = 0, end = 0; start < cols; start = end) {
    end = std::min(cols, start + kColumns);
    for (Index j = start; j < end; ++j) {
      x.col(j) /= lower(j, j);
      const Index rest = end - j - 1;
      subtract_product_transposed(x.col(j), lower.block(j + 1, j, rest, 1), x.middleCols(j + 1, rest));
    }
    subtract_product_transposed(x.middleCols(start, end - start), lower.block(end, start, cols - end, end - start),
                                x.rightCols(cols - end));
  }
}

}  // namespace fairopt::compress
