// The only copy of every codebook, threshold and bit layout. Included by reference, CPU and CUDA kernels alike, so: no
// std containers, no inline functions that the linker could merge across ISA levels (static = one copy a file).
#pragma once
#include <cstdint>

namespace fairopt::formats {

// NF4 (Dettmers et al. 2023, QLoRA, arXiv:2305.14314): quantiles of the normal law, stored because the construction
// reproduces them only to 1e-7. Index = code.
static constexpr float kNf4[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

// Midpoints of neighbours; a value must be strictly greater to move up.
static constexpr float kNf4Thresholds[15] = {
    -0.8480964004993439f,  -0.6106329262256622f,   -0.4599952697753906f, -0.33967943489551544f, -0.23460740596055984f,
    -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f,   0.2035212516784668f,
    0.2920137718319893f,   0.3893125355243683f,    0.5016634166240692f,  0.6427869200706482f,   0.8614784181118011f,
};

// FP4 of bitsandbytes (not OCP E2M1), twelfths of amax. Index = code: bit 3 is the sign, magnitudes are out of order.
static constexpr float kFp4[16] = {
    0.0f,  0.0625f / 12.0f,  8.0f / 12.0f,  12.0f / 12.0f,  4.0f / 12.0f,  6.0f / 12.0f,  2.0f / 12.0f,  3.0f / 12.0f,
    -0.0f, -0.0625f / 12.0f, -8.0f / 12.0f, -12.0f / 12.0f, -4.0f / 12.0f, -6.0f / 12.0f, -2.0f / 12.0f, -3.0f / 12.0f,
};
static constexpr std::int32_t kFp4SignBit = 8;  // set where the sign bit of the value is, so for -0 too
// Thresholds on |x| / amax between the magnitudes in ascending order (strictly greater moves up), the code of each
// rank.
static constexpr float kFp4Thresholds[7] = {
    0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.41666667f, 0.58333333f, 0.83333333f,
};
static constexpr std::int32_t kFp4CodeOfRank[8] = {0, 1, 6, 7, 4, 5, 2, 3};

/// How a block gets its scale and zero point, and a value its code. docs/formats.md has every rule.
enum class Rule : std::uint8_t {
  kSymNarrow,    // amax / (2^(b-1) - 1), codes +-(2^(b-1) - 1)
  kSymFull,      // amax / (2^(b-1) - 0.5), codes -2^(b-1) .. 2^(b-1) - 1
  kSymNoClip,    // max(min / -2^(b-1), max / (2^(b-1) - 1)), the same codes
  kSymSigned,    // the value of largest magnitude, with its sign, / -2^(b-1), the same codes
  kAsymInt,      // (max - min) / (2^b - 1) over a range that includes 0, integer zero point
  kAsymFloat,    // (max - min) / (2^b - 1), the minimum kept as it is
  kAsymCentre,   // the same scale; kept is the value of code 2^(b-1)
  kNormalFloat,  // QLoRA NF4
  kBnbFloat,     // FP4 of bitsandbytes
  kE4m3,         // FP8
};
struct Spec {
  Rule rule;
  int bits;
};
/// By fairopt::Format, in its order.
static constexpr Spec kSpecs[] = {
    {Rule::kSymNarrow, 8}, {Rule::kSymFull, 4},   {Rule::kAsymInt, 4},   {Rule::kNormalFloat, 4}, {Rule::kBnbFloat, 4},
    {Rule::kSymFull, 2},   {Rule::kSymFull, 3},   {Rule::kSymFull, 5},   {Rule::kSymFull, 6},     {Rule::kAsymInt, 2},
    {Rule::kAsymInt, 3},   {Rule::kAsymInt, 5},   {Rule::kAsymInt, 6},   {Rule::kAsymInt, 8},     {Rule::kAsymFloat, 2},
    {Rule::kAsymFloat, 3}, {Rule::kAsymFloat, 4}, {Rule::kAsymFloat, 5}, {Rule::kAsymFloat, 6},   {Rule::kAsymFloat, 8},
    {Rule::kSymNarrow, 4}, {Rule::kSymNoClip, 4}, {Rule::kSymSigned, 4}, {Rule::kAsymCentre, 4},  {Rule::kE4m3, 8},
};
static constexpr int kCount = sizeof kSpecs / sizeof kSpecs[0];

static constexpr bool is_integer(Rule rule) { return rule < Rule::kNormalFloat; }
static constexpr bool has_integer_zeros(Rule rule) { return rule == Rule::kAsymInt; }
static constexpr bool has_float_zeros(Rule rule) { return rule == Rule::kAsymFloat || rule == Rule::kAsymCentre; }
/// What an integer code is stored plus. 8-bit symmetric codes are stored as they are, in two's complement.
static constexpr int offset(Spec spec) {
  const bool centred = is_integer(spec.rule) && spec.rule != Rule::kAsymInt && spec.rule != Rule::kAsymFloat;
  return centred && spec.bits < 8 ? 1 << (spec.bits - 1) : 0;
}

// FP8 e4m3fn (Micikevicius et al. 2022, arXiv:2209.05433): sign, 4 bits of exponent with bias 7, 3 of mantissa; no
// infinity, NaN is all ones. amax becomes the largest value, so quantising makes no NaN.
static constexpr float kFp8Max = 448.0f;
static constexpr std::int32_t kFp8Nan = 0x7f;

// Codes of b bits are a bit string, the first value in the high bits of the first byte. Blocks are multiples of 16
// values, so every block starts on a byte.
static constexpr int kGroup = 16;  // values of 2 b bytes: what the kernels pack at once

// The same of the five formats that have CUDA kernels.
static constexpr float kInt8Max = 127.0f;
static constexpr float kInt4SymDivisor = 7.5f;
static constexpr float kInt4AsymLevels = 15.0f;
static constexpr int kInt4SymOffset = 8;
static constexpr int kHighNibbleShift = 4;

static constexpr std::int64_t kMinBlock = 16;
static constexpr std::int64_t kMaxBlock = std::int64_t{1} << 30;  // above any row: a row can be one block

}  // namespace fairopt::formats
