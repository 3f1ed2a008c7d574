// Hadamard matrices of orders that are no power of two. Private to hadamard_transform.cpp and its twin.
#pragma once
#include <cstdint>
#include <vector>

namespace fairopt::kernels {

/// Largest order that is looked for.
inline constexpr std::int64_t kMaxHadamardOrder = 256;

/// Whether paley_matrix(order) exists: order - 1 is a prime of 3 mod 4, or order / 2 - 1 a prime of 1 mod 4.
bool has_paley_matrix(std::int64_t order);

/// Entries +-1, row-major [order, order], rows orthogonal (Paley, On orthogonal matrices, 1933; constructions I and
/// II). Made once a process and never freed.
const std::vector<std::int8_t>& paley_matrix(std::int64_t order);

}  // namespace fairopt::kernels
