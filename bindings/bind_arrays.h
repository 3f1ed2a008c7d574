// What crosses between NumPy and the core: arrays as spans, results as records, loops without the GIL.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <cstdint>
#include <span>
#include <utility>

namespace fairopt::bindings {

/// Dense arrays; other layouts are copied, other element types only where no value can be lost.
using Doubles = pybind11::array_t<double, pybind11::array::c_style>;
using Ints = pybind11::array_t<std::int64_t, pybind11::array::c_style>;

/// A dict whose keys are the fields of the Python dataclass that takes it. A type of its own for the sake of the stubs.
class Record : public pybind11::dict {
 public:
  template <class... Fields>
  explicit Record(Fields&&... fields) : pybind11::dict(std::forward<Fields>(fields)...) {}
};
using Records = pybind11::typing::List<Record>;

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

template <>
struct pybind11::detail::handle_type_name<fairopt::bindings::Record> {
  static constexpr auto name = const_name("dict[str, typing.Any]");
};
