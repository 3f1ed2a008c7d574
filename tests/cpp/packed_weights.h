// What the tests of packed_linear multiply with: random codes in rows and in the packed layout.
#pragma once
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "catch.h"
#include "fairopt/cpu_capability.h"
#include "fairopt/packed_linear.h"
#include "kernels/aligned_buffer.h"
#include "kernels/reference_packed_linear.h"
#include "matrices.h"

namespace packed_weights {

using namespace fairopt;

inline const std::vector<Format> kPackedFormats = [] {
  std::vector<Format> formats;
  for (int i = 0; i < kFormatCount; ++i) formats.push_back(static_cast<Format>(i));
  return formats;
}();

inline std::vector<MatmulMode> integer_modes(Format format) {
  std::vector<MatmulMode> modes;
  for (const MatmulMode mode : matmul_modes(format)) {
    if (mode != MatmulMode::kExact) modes.push_back(mode);
  }
  return modes;
}

/// A packed weight of random codes, scales (zero and negative ones too) and zero points, and its rows.
struct Weight {
  QuantizedLayout layout;
  std::vector<std::uint8_t> codes, zeros;
  std::vector<float> scales, float_zeros, bias;
  kernels::AlignedBuffer packed;

  explicit Weight(QuantizedLayout l) : layout(l) {
    std::mt19937_64 random(static_cast<std::uint64_t>(l.rows * 131 + l.cols * 7 + l.block));
    codes.resize(static_cast<std::size_t>(l.rows * l.bytes_per_row()));
    for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random());
    if (l.format == Format::kFp8) {  // its two NaN would hide all else; a test of their own has them
      for (std::uint8_t& code : codes) code ^= (code & 0x7f) == 0x7f ? 1 : 0;
    }
    scales = weights(l.rows * l.blocks_per_row(), random());
    bias = weights(l.rows, random());
    if (zero_point(l.format) == ZeroPoint::kInteger) zeros.resize(scales.size());
    for (std::uint8_t& zero : zeros) zero = static_cast<std::uint8_t>(random() & ((1u << code_bits(l.format)) - 1));
    if (zero_point(l.format) == ZeroPoint::kFloat) float_zeros = weights(l.rows * l.blocks_per_row(), random());
    pack_again();
  }
  /// After a change of the rows.
  void pack_again() {
    packed = kernels::allocate(packed_bytes(layout) / 4);
    pack(view(), layout, bytes());
  }
  std::uint8_t* bytes() const { return reinterpret_cast<std::uint8_t*>(packed.get()); }
  QuantizedView view() const {
    return {codes.data(), scales.data(), zeros.empty() ? nullptr : zeros.data(),
            float_zeros.empty() ? nullptr : float_zeros.data()};
  }
  PackedLinearArgs args(const std::vector<float>& x, std::int64_t m, MatmulMode mode) const {
    PackedLinearArgs out;
    out.x = x.data();
    out.m = m;
    out.packed = bytes();
    out.layout = layout;
    out.mode = mode;
    out.bias = bias.data();
    return out;
  }
  std::vector<float> times(PackedLinearArgs args, Executor& executor = default_executor()) const {
    std::vector<float> y(static_cast<std::size_t>(args.m * layout.rows), std::numeric_limits<float>::quiet_NaN());
    args.y = y.data();
    packed_linear(args, executor);
    return y;
  }
  std::vector<float> times(const std::vector<float>& x, std::int64_t m, MatmulMode mode,
                           Executor& executor = default_executor()) const {
    return times(args(x, m, mode), executor);
  }
};

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// The plain twin; without a fused multiply-add a level rounds the products of `exact` before it adds them.
inline std::vector<float> twin(const Weight& weight, const PackedLinearArgs& args) {
  return kernels::reference::packed_linear(weight.view(), args, std::string_view(cpu_capability()) != "baseline");
}

/// The twin's bits for the first m tokens of x, for each m of `counts` (ascending). The twin takes every token by
/// itself, so that it is asked once.
inline void require_twin(const Weight& weight, const std::vector<float>& x, std::span<const MatmulMode> modes,
                         const std::vector<std::int64_t>& counts) {
  for (const MatmulMode mode : modes) {
    const std::vector<float> expected = twin(weight, weight.args(x, counts.back(), mode));
    for (const std::int64_t m : counts) {
      CAPTURE(name(weight.layout.format), name(mode), m, weight.layout.rows, weight.layout.cols, weight.layout.block);
      const std::vector<float> first(expected.begin(), expected.begin() + m * weight.layout.rows);
      REQUIRE(same_bits(weight.times(x, m, mode), first));
    }
  }
}

}  // namespace packed_weights
