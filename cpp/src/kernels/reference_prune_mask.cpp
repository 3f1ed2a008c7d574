#include "kernels/reference_prune_mask.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fairopt::kernels::reference {

std::vector<std::uint8_t> prune_mask(const std::vector<float>& score, std::int64_t prune) {
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return std::fabs(score[a]) < std::fabs(score[b]); });
  std::vector<std::uint8_t> mask(score.size(), 1);
  for (std::int64_t i = 0; i < prune; ++i) mask[order[static_cast<std::size_t>(i)]] = 0;
  return mask;
}

std::vector<std::uint8_t> prune_mask_n_of_m(const std::vector<float>& score, int n, int m) {
  std::vector<std::uint8_t> mask;
  for (auto group = score.begin(); group != score.end(); group += m) {
    const std::vector<std::uint8_t> part = prune_mask({group, group + m}, m - n);
    mask.insert(mask.end(), part.begin(), part.end());
  }
  return mask;
}

}  // namespace fairopt::kernels::reference
