// NumPy arrays as spans, and loops over them without the GIL.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>

namespace fairopt::bindings {

/// Dense arrays; other layouts are copied, other element types only where no value can be lost.
using Doubles = pybind11::array_t<double, pybind11::array::c_style>;
using Ints = pybind11::array_t<std::int64_t, pybind11::array::c_style>;

template <class T, int flags>
std::span<const T> view(const pybind11::array_t<T, flags>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

template <class F>
auto without_gil(F&& compute) {
  const pybind11::gil_scoped_release release;
  return compute();
}

}  // namespace fairopt::bindings
