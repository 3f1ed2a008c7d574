// NumPy arrays of the three float types. NumPy has no bfloat16: its bits travel as uint16.
#pragma once
#include <pybind11/numpy.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fairopt/format.h"

namespace fairopt::bindings {

/// A C-contiguous array of floats; [..., cols] is seen as rows of cols.
struct FloatArray {
  pybind11::array values;
  DType dtype;
  std::int64_t rows, cols;
  std::vector<pybind11::ssize_t> leading;  ///< all sizes but the last

  /// The sizes with another last one.
  std::vector<pybind11::ssize_t> sizes(std::int64_t last) const;
};

/// Throws std::invalid_argument `<op>: <argument> must be ...` for another dtype or no dimension.
FloatArray floats(const char* op, const char* argument, const pybind11::array& array);
/// And for NaN or infinity.
FloatArray finite_floats(const char* op, const char* argument, const pybind11::array& array);

/// "float32", "float16" or "bfloat16".
DType parse_dtype(const char* op, const std::string& name);
/// What NumPy calls it: bfloat16 is uint16.
pybind11::dtype numpy_dtype(DType dtype);

}  // namespace fairopt::bindings
