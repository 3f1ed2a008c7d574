// Plain twin of hadamard_transform: the matrix written out, the product in double.
#pragma once
#include <cstdint>
#include <vector>

namespace fairopt::kernels::reference {

/// H [n, n], row-major.
std::vector<double> hadamard_matrix(std::int64_t n);

/// H x, or H^T x.
std::vector<double> hadamard_transform(const std::vector<float>& x, bool transpose);

}  // namespace fairopt::kernels::reference
