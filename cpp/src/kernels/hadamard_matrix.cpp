#include "kernels/hadamard_matrix.h"

#include <map>
#include <memory>
#include <mutex>

namespace fairopt::kernels {
namespace {

bool is_prime(std::int64_t n) {
  if (n < 2) return false;
  for (std::int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

bool is_first_kind(std::int64_t order) { return (order - 1) % 4 == 3 && is_prime(order - 1); }
bool is_second_kind(std::int64_t order) {
  return order % 2 == 0 && (order / 2 - 1) % 4 == 1 && is_prime(order / 2 - 1);
}

using Matrix = std::vector<std::int8_t>;

/// [q + 1, q + 1]: zero diagonal, first row 1, first column `corner`, else the quadratic character of i - j modulo q.
Matrix conference_matrix(std::int64_t q, std::int8_t corner) {
  std::vector<std::int8_t> character(static_cast<std::size_t>(q), -1);
  character[0] = 0;
  for (std::int64_t i = 1; i < q; ++i) character[static_cast<std::size_t>(i * i % q)] = 1;
  const std::int64_t n = q + 1;
  Matrix c(static_cast<std::size_t>(n * n), 0);
  for (std::int64_t i = 1; i < n; ++i) {
    c[static_cast<std::size_t>(i)] = 1;
    c[static_cast<std::size_t>(i * n)] = corner;
    for (std::int64_t j = 1; j < n; ++j) {
      c[static_cast<std::size_t>(i * n + j)] = character[static_cast<std::size_t>((i - j + q) % q)];
    }
  }
  return c;
}

Matrix first_kind(std::int64_t order) {  // I + a skew conference matrix
  Matrix h = conference_matrix(order - 1, -1);
  for (std::int64_t i = 0; i < order; ++i) h[static_cast<std::size_t>(i * order + i)] = 1;
  return h;
}

Matrix second_kind(std::int64_t order) {  // [[C + I, C - I], [C - I, -C - I]] of a symmetric conference matrix C
  const std::int64_t half = order / 2;
  const Matrix c = conference_matrix(half - 1, 1);
  Matrix h(static_cast<std::size_t>(order * order));
  for (std::int64_t i = 0; i < order; ++i) {
    for (std::int64_t j = 0; j < order; ++j) {
      const bool lower = i >= half, right = j >= half;
      const std::int64_t row = i % half, column = j % half;
      const int value = c[static_cast<std::size_t>(row * half + column)];
      const int diagonal = row == column ? (lower || right ? -1 : 1) : 0;
      h[static_cast<std::size_t>(i * order + j)] =
          static_cast<std::int8_t>((lower && right ? -value : value) + diagonal);
    }
  }
  return h;
}

}  // namespace

bool has_paley_matrix(std::int64_t order) { return is_first_kind(order) || is_second_kind(order); }

const std::vector<std::int8_t>& paley_matrix(std::int64_t order) {
  static std::mutex mutex;
  static std::map<std::int64_t, std::unique_ptr<const Matrix>> made;
  const std::lock_guard lock(mutex);
  std::unique_ptr<const Matrix>& matrix = made[order];
  if (!matrix) matrix = std::make_unique<const Matrix>(is_first_kind(order) ? first_kind(order) : second_kind(order));
  return *matrix;
}

}  // namespace fairopt::kernels
