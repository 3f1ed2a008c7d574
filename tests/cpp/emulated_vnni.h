// The sums of digit planes as the VNNI level computes them, its one instruction emulated: so they are tested on
// machines with AVX-512 but without VNNI too.
#pragma once
#include <cstdint>

namespace emulated_vnni {

/// Sums [lines][64] of 4-bit codes [octets][64] dwords, of bytes [quads][64][4] (flip: top bit first), of two tables.
void nibble_sums(int lines, const std::uint8_t* codes, std::int64_t octets, const std::int8_t* digits,
                 std::int64_t stride, const std::int32_t* start, std::int32_t* sums);
void byte_sums(int lines, bool flip, const std::uint8_t* bytes, std::int64_t quads, const std::int8_t* digits,
               std::int64_t stride, const std::int32_t* start, std::int32_t* sums);
void codebook_sums(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* high, const std::uint8_t* low,
                   const std::int8_t* digits, std::int64_t stride, const std::int32_t* start, std::int32_t* high_sums,
                   std::int32_t* low_sums);

}  // namespace emulated_vnni
