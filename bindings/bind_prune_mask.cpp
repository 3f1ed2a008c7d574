// fairopt.formats calls these on NumPy arrays: prune_mask and prune_mask_n_of_m.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "bind.h"
#include "bind_float_array.h"
#include "fairopt/prune.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace fairopt::bindings {
namespace {

static_assert(sizeof(bool) == sizeof(std::uint8_t));

/// A boolean array of the score's shape, filled by `fill` without the GIL.
template <class Fill>
py::array_t<bool> mask_of(const FloatArray& score, const Fill& fill) {
  py::array_t<bool> mask(score.sizes(score.cols));
  auto* out = reinterpret_cast<std::uint8_t*>(mask.mutable_data());
  const void* values = score.values.data();
  {
    const py::gil_scoped_release release;
    fill(values, out);
  }
  return mask;
}

py::array_t<bool> mask_unstructured(const py::array& score, std::int64_t prune) {
  const FloatArray in = finite_floats("prune_mask", "score", score);
  return mask_of(
      in, [&](const void* values, std::uint8_t* out) { prune_mask(values, in.dtype, in.rows * in.cols, prune, out); });
}

py::array_t<bool> mask_n_of_m(const py::array& score, int n, int m) {
  const FloatArray in = finite_floats("prune_mask_n_of_m", "score", score);
  return mask_of(in, [&](const void* values, std::uint8_t* out) {
    prune_mask_n_of_m(values, in.dtype, in.rows, in.cols, n, m, out);
  });
}

}  // namespace

void bind_prune_mask(py::module_& m) {
  m.def(
      "prune_mask", &mask_unstructured, "score"_a.noconvert(), "prune"_a,
      "True keeps. Exactly `prune` entries are False: those of smallest |score|, among equals the lower index first.\n"
      "score: float32, float16 or uint16 (bfloat16 bits). Raises ValueError for NaN or infinity.");
  m.def("prune_mask_n_of_m", &mask_n_of_m, "score"_a.noconvert(), "n"_a, "m"_a,
        "True keeps: of every m consecutive values of a row the n of largest |score|, 1 <= n <= m <= 32.");
}

}  // namespace fairopt::bindings
