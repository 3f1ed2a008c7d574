// Words in, enums out.
#pragma once
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace fairopt::bindings {

/// The enum that `word` names. Throws std::invalid_argument that lists the words.
template <class Enum>
Enum choose(std::string_view op, std::string_view argument, std::string_view word,
            std::initializer_list<std::pair<std::string_view, Enum>> table) {
  std::string words;
  for (const auto& [name, value] : table) {
    if (name == word) return value;
    words += (words.empty() ? "'" : ", '") + std::string(name) + "'";
  }
  throw std::invalid_argument(std::string(op) + ": " + std::string(argument) + " must be one of " + words + ", got '" +
                              std::string(word) + "'");
}

}  // namespace fairopt::bindings
