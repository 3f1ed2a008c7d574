// Compiled for AVX-512 without VNNI (tests/cpp/CMakeLists.txt), so that packed_sums_vnni.inl.h emulates vpdpbusd.
#include "emulated_vnni.h"

#if defined(__AVX512BW__)
#include <immintrin.h>

#include "kernels/cpu/table.h"

namespace fairopt::kernels {
namespace {
// clang-format off
#include "kernels/cpu/packed_lines.inl.h"
#include "kernels/cpu/packed_sums_vnni.inl.h"
// clang-format on

template <int kLines = kMostLines, class Body>
void with_lines(int lines, const Body& body) {
  if (lines == kLines) return body.template operator()<kLines>();
  if constexpr (kLines > 1) with_lines<kLines - 1>(lines, body);
}

}  // namespace
}  // namespace fairopt::kernels

namespace emulated_vnni {

using namespace fairopt::kernels;

void nibble_sums(int lines, const std::uint8_t* codes, std::int64_t octets, const std::int8_t* digits,
                 std::int64_t stride, const std::int32_t* start, std::int32_t* sums) {
  with_lines(lines, [&]<int kLines>() {
    fairopt::kernels::nibble_sums<kLines>(codes, octets, DigitLines{digits, stride, start}, sums);
  });
}
void byte_sums(int lines, bool flip, const std::uint8_t* bytes, std::int64_t quads, const std::int8_t* digits,
               std::int64_t stride, const std::int32_t* start, std::int32_t* sums) {
  const ByteKind kind = flip ? ByteKind::kFlipped : ByteKind::kUnsigned;
  with_lines(lines, [&]<int kLines>() {
    fairopt::kernels::byte_sums<kLines>(bytes, quads, kind, DigitLines{digits, stride, start}, sums);
  });
}
void codebook_sums(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* high, const std::uint8_t* low,
                   const std::int8_t* digits, std::int64_t stride, const std::int32_t* start, std::int32_t* high_sums,
                   std::int32_t* low_sums) {
  fairopt::kernels::codebook_sums<2>(codes, octets, high, low, DigitLines{digits, stride, start}, high_sums, low_sums);
}

}  // namespace emulated_vnni
#endif
