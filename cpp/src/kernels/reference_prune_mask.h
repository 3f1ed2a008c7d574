// The plain twin of the mask kernels: sort and cut.
#pragma once
#include <cstdint>
#include <vector>

namespace fairopt::kernels::reference {

std::vector<std::uint8_t> prune_mask(const std::vector<float>& score, std::int64_t prune);
std::vector<std::uint8_t> prune_mask_n_of_m(const std::vector<float>& score, int n, int m);

}  // namespace fairopt::kernels::reference
