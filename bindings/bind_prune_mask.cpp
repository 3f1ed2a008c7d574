// fairopt.formats calls these on NumPy arrays: prune_mask, prune_mask_rows, prune_mask_model and prune_mask_n_of_m.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>

#include "bind.h"
#include "bind_float_array.h"
#include "fairopt/prune.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace fairopt::bindings {
namespace {

static_assert(sizeof(bool) == sizeof(std::uint8_t));

using Norms = std::optional<py::array_t<float, py::array::c_style>>;

/// A matrix of scores at the door, and its mask.
struct Masked {
  FloatArray in;
  Norms norms;
  py::array_t<bool> mask;
  PruneScores scores;
  std::uint8_t* out;

  Masked(const char* op, const std::string& name, const py::array& score, const Norms& factors)
      : in(floats(op, name.c_str(), score)), norms(factors), mask(in.sizes(in.cols)) {
    if (norms && (norms->ndim() != 1 || norms->shape(0) != in.cols)) {
      throw std::invalid_argument(std::string(op) + ": norms must be [" + std::to_string(in.cols) +
                                  "] like the columns of " + name + ", got " +
                                  std::string(py::str(norms->attr("shape"))));
    }
    scores = {in.values.data(), in.dtype, in.rows, in.cols, norms ? norms->data() : nullptr};
    out = reinterpret_cast<std::uint8_t*>(mask.mutable_data());
  }
};

/// The mask of a score, filled by `fill` without the GIL.
template <class Fill>
py::array_t<bool> mask_of(const char* op, const py::array& score, const Norms& norms, const Fill& fill) {
  const Masked matrix(op, "score", score, norms);
  {
    const py::gil_scoped_release release;
    fill(matrix.scores, matrix.out);
  }
  return matrix.mask;
}

py::array_t<bool> mask_unstructured(const py::array& score, std::int64_t prune, const Norms& norms) {
  return mask_of("prune_mask", score, norms,
                 [&](const PruneScores& scores, std::uint8_t* out) { prune_mask(scores, prune, out); });
}

py::array_t<bool> mask_rows(const py::array& score, std::int64_t prune, const Norms& norms) {
  return mask_of("prune_mask_rows", score, norms,
                 [&](const PruneScores& scores, std::uint8_t* out) { prune_mask_rows(scores, prune, out); });
}

py::array_t<bool> mask_n_of_m(const py::array& score, int n, int m, const Norms& norms) {
  return mask_of("prune_mask_n_of_m", score, norms,
                 [&](const PruneScores& scores, std::uint8_t* out) { prune_mask_n_of_m(scores, n, m, out); });
}

std::vector<py::array_t<bool>> mask_model(const std::vector<py::array>& scores, std::int64_t prune,
                                          const std::optional<std::vector<Norms>>& norms) {
  constexpr const char* op = "prune_mask_model";
  if (norms && norms->size() != scores.size()) {
    throw std::invalid_argument(std::string(op) + ": norms must be as many as the " + std::to_string(scores.size()) +
                                " scores, got " + std::to_string(norms->size()));
  }
  std::vector<py::array_t<bool>> masks;
  std::vector<Masked> matrices;
  std::vector<PruneScores> views;
  std::vector<std::uint8_t*> bytes;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    matrices.emplace_back(op, "scores[" + std::to_string(i) + "]", scores[i], norms ? (*norms)[i] : std::nullopt);
    masks.push_back(matrices.back().mask);
    views.push_back(matrices.back().scores);
    bytes.push_back(matrices.back().out);
  }
  {
    const py::gil_scoped_release release;
    prune_mask_model(views, prune, bytes);
  }
  return masks;
}

}  // namespace

void bind_prune_mask(py::module_& m) {
  m.def("prune_mask", &mask_unstructured, "score"_a.noconvert(), "prune"_a, "norms"_a.noconvert() = py::none(),
        "True keeps. Exactly `prune` entries are False: those of smallest |score| (times norms[column], float32),\n"
        "among equals the lower index first. score: float32, float16 or uint16 (bfloat16 bits). Raises ValueError for\n"
        "NaN or infinity.");
  m.def("prune_mask_rows", &mask_rows, "score"_a.noconvert(), "prune"_a, "norms"_a.noconvert() = py::none(),
        "As prune_mask, for each row alone.");
  m.def("prune_mask_model", &mask_model, "scores"_a, "prune"_a, "norms"_a.noconvert() = py::none(),
        "As prune_mask, for all arrays together: among equals the earlier array, then the lower index first.");
  m.def("prune_mask_n_of_m", &mask_n_of_m, "score"_a.noconvert(), "n"_a, "m"_a, "norms"_a.noconvert() = py::none(),
        "True keeps: of every m consecutive values of a row the n of largest |score|, 1 <= n <= m <= 32.");
}

}  // namespace fairopt::bindings
