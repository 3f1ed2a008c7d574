// The one way a door refuses: std::invalid_argument "<op>: <argument> must be <requirement>, got <value>".
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace fairopt::kernels {

template <class... Args>
void require(bool ok, const char* op, fmt::format_string<Args...> text, Args&&... args) {
  if (!ok) throw std::invalid_argument(fmt::format("{}: {}", op, fmt::format(text, std::forward<Args>(args)...)));
}

}  // namespace fairopt::kernels
