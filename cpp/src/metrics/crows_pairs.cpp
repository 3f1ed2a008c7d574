#include "fairopt/metrics.h"
#include "stats/check.h"

namespace fairopt::metrics {
namespace {

using stats::require;
constexpr const char* kOp = "crows_margin";

void require_length(const char* argument, std::size_t length, std::size_t pairs) {
  require(length == pairs, kOp, argument, fmt::format("one value for each of {} pairs", pairs), length);
}

void require_tokens(const char* argument, std::span<const std::int64_t> counts) {
  for (const auto count : counts) require(count >= 1, kOp, argument, ">= 1", count);
}

}  // namespace

void crows_margin(CrowsScore score, const CrowsItems& items, std::span<double> margin) {
  const std::size_t n = items.ll_more.size();
  require_length("ll_less", items.ll_less.size(), n);
  require_length("margin", margin.size(), n);
  if (score == CrowsScore::kLlSum) {
    for (std::size_t i = 0; i < n; ++i) margin[i] = items.ll_more[i] - items.ll_less[i];
    return;
  }
  require_length("n_tokens_more", items.n_tokens_more.size(), n);
  require_length("n_tokens_less", items.n_tokens_less.size(), n);
  require_tokens("n_tokens_more", items.n_tokens_more);
  require_tokens("n_tokens_less", items.n_tokens_less);
  for (std::size_t i = 0; i < n; ++i) {
    margin[i] = items.ll_more[i] / static_cast<double>(items.n_tokens_more[i]) -
                items.ll_less[i] / static_cast<double>(items.n_tokens_less[i]);
  }
}

}  // namespace fairopt::metrics
