#include "bind_float_array.h"

#include <stdexcept>

#include "fairopt/quantize.h"

namespace py = pybind11;

namespace fairopt::bindings {
namespace {

[[noreturn]] void refuse(const char* op, const std::string& argument, const std::string& requirement,
                         const std::string& value) {
  throw std::invalid_argument(std::string(op) + ": " + argument + " must be " + requirement + ", got " + value);
}

DType dtype_of(const char* op, const char* argument, const py::array& array) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    if (array.dtype().equal(numpy_dtype(dtype))) return dtype;
  }
  refuse(op, argument, "float32, float16 or uint16 (the bits of bfloat16)", py::str(array.dtype()));
}

}  // namespace

std::vector<py::ssize_t> FloatArray::sizes(std::int64_t last) const {
  std::vector<py::ssize_t> all = leading;
  all.push_back(last);
  return all;
}

FloatArray floats(const char* op, const char* argument, const py::array& array) {
  const DType dtype = dtype_of(op, argument, array);
  if (array.ndim() == 0) refuse(op, argument, "an array of at least one dimension", "a scalar");
  FloatArray out{py::array::ensure(array, py::array::c_style), dtype, 1, array.shape(array.ndim() - 1), {}};
  for (py::ssize_t i = 0; i + 1 < array.ndim(); ++i) {
    out.leading.push_back(array.shape(i));
    out.rows *= array.shape(i);
  }
  return out;
}

FloatArray finite_floats(const char* op, const char* argument, const py::array& array) {
  FloatArray out = floats(op, argument, array);
  const void* data = out.values.data();
  std::int64_t bad = 0;
  {
    const py::gil_scoped_release release;
    bad = count_nonfinite(data, out.dtype, out.rows * out.cols);
  }
  if (bad > 0) refuse(op, argument, "finite", std::to_string(bad) + " NaN or infinite values");
  return out;
}

DType parse_dtype(const char* op, const std::string& name) {
  if (name == "float32") return DType::kFloat32;
  if (name == "float16") return DType::kFloat16;
  if (name == "bfloat16") return DType::kBFloat16;
  refuse(op, "dtype", "float32, float16 or bfloat16", name);
}

py::dtype numpy_dtype(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return py::dtype("float32");
    case DType::kFloat16:
      return py::dtype("float16");
    case DType::kBFloat16:
      break;
  }
  return py::dtype("uint16");
}

}  // namespace fairopt::bindings
