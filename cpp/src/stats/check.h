// The one form of an argument error: `<op>: <argument> must be <requirement>, got <value>`.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace fairopt::stats {

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
void require(bool holds, std::string_view op, std::string_view argument, std::string_view requirement, const T& value) {
  if (!holds) throw std::invalid_argument(fmt::format("{}: {} must be {}, got {}", op, argument, requirement, value));
}

inline void require_alpha(std::string_view op, double alpha) {
  require(alpha > 0 && alpha < 0.5, op, "alpha", "in (0, 0.5)", alpha);
}

inline void require_level(std::string_view op, double level) {
  require(level > 0 && level < 1, op, "level", "in (0, 1)", level);
}

}  // namespace fairopt::stats
