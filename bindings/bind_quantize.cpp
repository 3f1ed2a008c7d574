// fairopt.formats calls these: quantize_blockwise and dequantize_blockwise on NumPy arrays.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <tuple>

#include "bind.h"
#include "bind_float_array.h"
#include "fairopt/quantize.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace fairopt::bindings {
namespace {

// No forcecast: an array of another dtype is taken only where no value can be lost.
using Bytes = py::array_t<std::uint8_t, py::array::c_style>;
using Scales = py::array_t<float, py::array::c_style>;

/// uint8 or float32, as the format has it; [0] where it has none.
py::array zero_points(Format format, const std::vector<py::ssize_t>& sizes) {
  const ZeroPoint kind = zero_point(format);
  if (kind == ZeroPoint::kFloat) return Scales(sizes);
  return Bytes(kind == ZeroPoint::kInteger ? sizes : std::vector<py::ssize_t>{0});
}

std::tuple<Bytes, Scales, py::array> quantize_blockwise(const py::array& array, const std::string& format,
                                                        std::int64_t block) {
  constexpr const char* op = "quantize_blockwise";
  const Format parsed = parse_format(format, op);
  check({parsed, 0, 0, block}, op);
  const FloatArray in = finite_floats(op, "array", array);
  const QuantizedLayout layout{parsed, in.rows, in.cols, block};
  Bytes codes(in.sizes(layout.bytes_per_row()));
  Scales scales(in.sizes(layout.blocks_per_row()));
  py::array zeros = zero_points(parsed, in.sizes(layout.blocks_per_row()));
  const ZeroPoint kind = zero_point(parsed);
  const QuantizedBuffers out{codes.mutable_data(), scales.mutable_data(),
                             kind == ZeroPoint::kInteger ? static_cast<std::uint8_t*>(zeros.mutable_data()) : nullptr,
                             kind == ZeroPoint::kFloat ? static_cast<float*>(zeros.mutable_data()) : nullptr};
  {
    const void* source = in.values.data();
    const py::gil_scoped_release release;
    quantize(source, in.dtype, layout, out);
  }
  return {codes, scales, zeros};
}

std::string text(const std::vector<py::ssize_t>& sizes) { return py::str(py::tuple(py::cast(sizes))); }

void require_sizes(const char* argument, const py::array& array, const std::vector<py::ssize_t>& sizes) {
  const std::vector<py::ssize_t> got(array.shape(), array.shape() + array.ndim());
  if (got == sizes) return;
  throw std::invalid_argument(std::string("dequantize_blockwise: ") + argument + " must be of shape " + text(sizes) +
                              ", got " + text(got));
}

py::array dequantize_blockwise(const Bytes& codes, const Scales& scales, const py::array& zeros,
                               const std::string& format, std::int64_t block, std::int64_t cols,
                               const std::string& dtype) {
  constexpr const char* op = "dequantize_blockwise";
  const DType target = parse_dtype(op, dtype);
  QuantizedLayout layout{parse_format(format, op), 1, cols, block};
  check(layout, op);
  std::vector<py::ssize_t> sizes(codes.shape(), codes.shape() + codes.ndim());
  if (sizes.empty()) throw std::invalid_argument(std::string(op) + ": codes must have a dimension, got a scalar");
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) layout.rows *= sizes[i];
  const auto with_last = [&](std::int64_t last) {
    sizes.back() = last;
    return sizes;
  };
  require_sizes("codes", codes, with_last(layout.bytes_per_row()));
  require_sizes("scales", scales, with_last(layout.blocks_per_row()));
  require_sizes("zeros", zeros, has_zeros(layout.format) ? sizes : std::vector<py::ssize_t>{0});
  py::array values(numpy_dtype(target), with_last(cols));
  const ZeroPoint kind = zero_point(layout.format);
  const py::dtype wanted = kind == ZeroPoint::kFloat ? py::dtype::of<float>() : py::dtype::of<std::uint8_t>();
  if (!zeros.dtype().is(wanted)) {
    throw std::invalid_argument(std::string(op) + ": zeros must be " + std::string(py::str(wanted)) + " for " + format +
                                ", got " + std::string(py::str(zeros.dtype())));
  }
  const py::array dense_zeros = py::array::ensure(zeros, py::array::c_style);
  const QuantizedView in{codes.data(), scales.data(),
                         kind == ZeroPoint::kInteger ? static_cast<const std::uint8_t*>(dense_zeros.data()) : nullptr,
                         kind == ZeroPoint::kFloat ? static_cast<const float*>(dense_zeros.data()) : nullptr};
  void* out = values.mutable_data();
  {
    const py::gil_scoped_release release;
    dequantize(in, layout, out, target);
  }
  return values;
}

}  // namespace

void bind_quantize(py::module_& m) {
  m.def("quantize_blockwise", &quantize_blockwise, "array"_a.noconvert(), "format"_a, "block"_a,
        "float32, float16 or uint16 (bfloat16 bits) [..., k] -> (codes uint8 [..., bytes], scales float32 [..., "
        "blocks],\n"
        "zeros uint8 or float32 [..., blocks], or [0] for formats without zero points). Definitions: docs/formats.md.\n"
        "Raises ValueError for another dtype, an unknown format, a bad block, NaN or infinity.");
  m.def("dequantize_blockwise", &dequantize_blockwise, "codes"_a, "scales"_a, "zeros"_a, "format"_a, "block"_a,
        "cols"_a, "dtype"_a = "float32",
        "The inverse: values [..., cols] of dtype float32, float16 or bfloat16 (as uint16 bits), rounded once.\n"
        "Raises ValueError when shapes do not fit the format, block and cols.");
}

}  // namespace fairopt::bindings
