#include <cmath>

#include "fairopt/metrics.h"
#include "stats/check.h"

namespace fairopt::metrics {
namespace {

void check_groups(const char* op, std::size_t items, std::span<const std::int64_t> groups, std::int64_t n_groups) {
  using stats::require;
  require(n_groups >= 0, op, "n_groups", ">= 0", n_groups);
  if (groups.empty() && n_groups == 1) return;
  require(groups.size() == items, op, "groups", fmt::format("one id for each of {} items", items), groups.size());
  for (const auto id : groups) {
    require(id >= 0 && id < n_groups, op, "groups", fmt::format("ids in [0, {})", n_groups), id);
  }
}

std::size_t group_of(std::span<const std::int64_t> groups, std::size_t item) {
  return groups.empty() ? 0 : static_cast<std::size_t>(groups[item]);
}

}  // namespace

std::vector<Preference> preference(std::span<const double> margin, std::span<const std::int64_t> groups,
                                   std::int64_t n_groups) {
  check_groups("preference", margin.size(), groups, n_groups);
  std::vector<Preference> cells(static_cast<std::size_t>(n_groups));
  for (std::size_t i = 0; i < margin.size(); ++i) {
    Preference& cell = cells[group_of(groups, i)];
    if (std::isnan(margin[i])) {
      ++cell.undefined;
      continue;
    }
    ++cell.n;
    cell.more += margin[i] > 0;
    cell.ties += margin[i] == 0;
    cell.mean_margin += margin[i];
    cell.mean_abs_margin += std::abs(margin[i]);
  }
  for (Preference& cell : cells) {
    const double n = cell.n > 0 ? static_cast<double>(cell.n) : stats::kNaN;
    cell.share = static_cast<double>(cell.more) / n;
    cell.mean_margin /= n;
    cell.mean_abs_margin /= n;
  }
  return cells;
}

std::vector<PreferenceFlips> preference_flips(std::span<const double> base_margin,
                                              std::span<const double> variant_margin,
                                              std::span<const std::int64_t> groups, std::int64_t n_groups) {
  constexpr const char* op = "preference_flips";
  stats::require(variant_margin.size() == base_margin.size(), op, "variant_margin",
                 fmt::format("one value for each of {} items", base_margin.size()), variant_margin.size());
  check_groups(op, base_margin.size(), groups, n_groups);
  std::vector<PreferenceFlips> cells(static_cast<std::size_t>(n_groups));
  for (std::size_t i = 0; i < base_margin.size(); ++i) {
    PreferenceFlips& cell = cells[group_of(groups, i)];
    if (std::isnan(base_margin[i]) || std::isnan(variant_margin[i])) {
      ++cell.undefined;
      continue;
    }
    ++cell.n;
    const bool before = base_margin[i] > 0;
    const bool after = variant_margin[i] > 0;
    ++(before ? (after ? cell.both : cell.base_only) : (after ? cell.variant_only : cell.neither));
  }
  return cells;
}

}  // namespace fairopt::metrics
