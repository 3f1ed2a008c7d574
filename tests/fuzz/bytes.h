// The bytes that libFuzzer gives, as numbers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

/// Bytes one after another; zeros when there are no more.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  bool empty() const { return at_ == end_; }
  std::uint8_t next() { return at_ < end_ ? *at_++ : 0; }
  std::vector<std::uint8_t> take(std::size_t count) {
    std::vector<std::uint8_t> bytes(count);
    for (std::uint8_t& byte : bytes) byte = next();
    return bytes;
  }
  std::vector<float> take_floats(std::size_t count) {
    std::vector<float> floats(count);
    const std::vector<std::uint8_t> bytes = take(count * sizeof(float));
    if (count > 0) std::memcpy(floats.data(), bytes.data(), bytes.size());
    return floats;
  }

 private:
  const std::uint8_t *at_, *end_;
};
