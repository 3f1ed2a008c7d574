// Products of doubles, for the factorisations behind the solvers. Products and sums are rounded one by one, so that
// every level has the same bits; processors that add beside their multipliers lose nothing by that.

typedef double F64 __attribute__((vector_size(sizeof(F32)), aligned(8), may_alias));
constexpr int kDoubles = sizeof(F64) / sizeof(double);
constexpr int kProductVectors = kDoubles == 8 ? 4 : 2, kProductColumns = 4;  // accumulators that fit the registers
constexpr std::int64_t kProductDepth = 64;                                   // a chunk of a stays in the first cache

/// Terms [from, to) of kVectors vectors of rows from `row` on, in kColumns columns from `column` on.
template <int kVectors, int kColumns>
void subtract_terms(const DoubleProduct& args, std::int64_t row, std::int64_t column, std::int64_t from,
                    std::int64_t to) {
  double* c = args.c + row + column * args.c_column;
  const double* b = args.b + column * args.b_column;
  F64 sums[kColumns][kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kColumns; ++j) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sums[j][v] = *reinterpret_cast<const F64*>(c + j * args.c_column + v * kDoubles);
    }
  }
  for (std::int64_t k = from; k < to; ++k) {
    F64 a[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      a[v] = *reinterpret_cast<const F64*>(args.a + row + k * args.a_column + v * kDoubles);
    }
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; ++j) {
      const double factor = b[k * args.b_row + j * args.b_column];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[j][v] -= a[v] * factor;
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kColumns; ++j) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<F64*>(c + j * args.c_column + v * kDoubles) = sums[j][v];
    }
  }
}

/// The same of one value.
inline void subtract_terms_of_one(const DoubleProduct& args, std::int64_t row, std::int64_t column, std::int64_t from,
                                  std::int64_t to) {
  double* c = args.c + row + column * args.c_column;
  double sum = *c;
  for (std::int64_t k = from; k < to; ++k) {
    sum -= args.a[row + k * args.a_column] * args.b[k * args.b_row + column * args.b_column];
  }
  *c = sum;
}

/// The same of all rows.
template <int kColumns>
void subtract_terms_of_columns(const DoubleProduct& args, std::int64_t column, std::int64_t from, std::int64_t to) {
  std::int64_t row = 0;
  for (; row + kProductVectors * kDoubles <= args.rows; row += kProductVectors * kDoubles) {
    subtract_terms<kProductVectors, kColumns>(args, row, column, from, to);
  }
  for (; row + kDoubles <= args.rows; row += kDoubles) subtract_terms<1, kColumns>(args, row, column, from, to);
  for (; row < args.rows; ++row) {
    for (int j = 0; j < kColumns; ++j) subtract_terms_of_one(args, row, column + j, from, to);
  }
}

void subtract_product(const DoubleProduct& args) {
  for (std::int64_t from = 0; from < args.depth; from += kProductDepth) {
    const std::int64_t to = args.depth - from < kProductDepth ? args.depth : from + kProductDepth;
    std::int64_t column = 0;
    for (; column + kProductColumns <= args.cols; column += kProductColumns) {
      subtract_terms_of_columns<kProductColumns>(args, column, from, to);
    }
    for (; column < args.cols; ++column) subtract_terms_of_columns<1>(args, column, from, to);
  }
}
