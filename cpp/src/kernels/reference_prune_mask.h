// The plain twins of the mask kernels: multiply, sort and cut.
#pragma once
#include <cstdint>
#include <vector>

namespace fairopt::kernels::reference {

/// |value| * norms[column].
std::vector<float> prune_scores(const std::vector<float>& values, const std::vector<float>& norms);

std::vector<std::uint8_t> prune_mask(const std::vector<float>& score, std::int64_t prune);
std::vector<std::uint8_t> prune_mask_rows(const std::vector<float>& score, std::int64_t cols, std::int64_t prune);
std::vector<std::vector<std::uint8_t>> prune_mask_model(const std::vector<std::vector<float>>& scores,
                                                        std::int64_t prune);
std::vector<std::uint8_t> prune_mask_n_of_m(const std::vector<float>& score, int n, int m);

}  // namespace fairopt::kernels::reference
