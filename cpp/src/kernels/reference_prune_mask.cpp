#include "kernels/reference_prune_mask.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fairopt::kernels::reference {

std::vector<float> prune_scores(const std::vector<float>& values, const std::vector<float>& norms) {
  std::vector<float> scores;
  for (const float value : values) scores.push_back(std::fabs(value) * norms[scores.size() % norms.size()]);
  return scores;
}

std::vector<std::uint8_t> prune_mask(const std::vector<float>& score, std::int64_t prune) {
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return std::fabs(score[a]) < std::fabs(score[b]); });
  std::vector<std::uint8_t> mask(score.size(), 1);
  for (std::int64_t i = 0; i < prune; ++i) mask[order[static_cast<std::size_t>(i)]] = 0;
  return mask;
}

std::vector<std::uint8_t> prune_mask_rows(const std::vector<float>& score, std::int64_t cols, std::int64_t prune) {
  std::vector<std::uint8_t> mask;
  for (auto row = score.begin(); row != score.end(); row += cols) {
    const std::vector<std::uint8_t> part = prune_mask({row, row + cols}, prune);
    mask.insert(mask.end(), part.begin(), part.end());
  }
  return mask;
}

std::vector<std::vector<std::uint8_t>> prune_mask_model(const std::vector<std::vector<float>>& scores,
                                                        std::int64_t prune) {
  std::vector<float> joined;
  for (const std::vector<float>& score : scores) joined.insert(joined.end(), score.begin(), score.end());
  const std::vector<std::uint8_t> mask = prune_mask(joined, prune);
  std::vector<std::vector<std::uint8_t>> masks;
  auto first = mask.begin();
  for (const std::vector<float>& score : scores) {
    const auto last = first + static_cast<std::ptrdiff_t>(score.size());
    masks.emplace_back(first, last);
    first = last;
  }
  return masks;
}

std::vector<std::uint8_t> prune_mask_n_of_m(const std::vector<float>& score, int n, int m) {
  return prune_mask_rows(score, m, m - n);
}

}  // namespace fairopt::kernels::reference
