// fairopt.metrics calls these. Results cross as dicts whose keys are the fields of the Python dataclasses.
#include <pybind11/pybind11.h>

#include <span>
#include <string>
#include <vector>

#include "bind.h"
#include "bind_arrays.h"
#include "bind_enum.h"
#include "fairopt/metrics.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace fairopt::bindings {
namespace {

Record record(const metrics::Preference& cell) {
  return Record("n"_a = cell.n, "more"_a = cell.more, "ties"_a = cell.ties, "undefined"_a = cell.undefined,
                "share"_a = cell.share, "mean_margin"_a = cell.mean_margin, "mean_abs_margin"_a = cell.mean_abs_margin);
}

Record record(const metrics::PreferenceFlips& cell) {
  return Record("n"_a = cell.n, "both"_a = cell.both, "base_only"_a = cell.base_only,
                "variant_only"_a = cell.variant_only, "neither"_a = cell.neither, "undefined"_a = cell.undefined);
}

template <class Cell>
Records records(const std::vector<Cell>& cells) {
  Records list;
  for (const Cell& cell : cells) list.append(record(cell));
  return list;
}

}  // namespace

void bind_metrics(py::module_& m) {
  m.def(
      "crows_margin",
      [](const std::string& score, const Doubles& ll_more, const Doubles& ll_less, const Ints& n_tokens_more,
         const Ints& n_tokens_less) {
        using metrics::CrowsScore;
        const auto how =
            choose<CrowsScore>("crows_margin", "metric", score,
                               {{"crows/ll_sum", CrowsScore::kLlSum}, {"crows/ll_mean", CrowsScore::kLlMean}});
        Doubles margin(ll_more.size());
        const std::span<double> out{margin.mutable_data(), static_cast<std::size_t>(margin.size())};
        const metrics::CrowsItems items{view(ll_more), view(ll_less), view(n_tokens_more), view(n_tokens_less)};
        without_gil([&] { metrics::crows_margin(how, items, out); });
        return margin;
      },
      "metric"_a, "ll_more"_a, "ll_less"_a, "n_tokens_more"_a, "n_tokens_less"_a);
  m.def(
      "preference",
      [](const Doubles& margin, const Ints& groups, std::int64_t n_groups) {
        const auto values = view(margin);
        const auto ids = view(groups);
        return records(without_gil([&] { return metrics::preference(values, ids, n_groups); }));
      },
      "margin"_a, "groups"_a, "n_groups"_a);
  m.def(
      "preference_flips",
      [](const Doubles& base_margin, const Doubles& variant_margin, const Ints& groups, std::int64_t n_groups) {
        const auto base = view(base_margin);
        const auto variant = view(variant_margin);
        const auto ids = view(groups);
        return records(without_gil([&] { return metrics::preference_flips(base, variant, ids, n_groups); }));
      },
      "base_margin"_a, "variant_margin"_a, "groups"_a, "n_groups"_a);
}

}  // namespace fairopt::bindings
