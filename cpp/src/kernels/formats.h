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

// The signed dynamic map of bitsandbytes (Dettmers et al. 2022, arXiv:2110.02861): 256 sorted values. For i = 0..6 the
// 2^i midpoints of as many equal parts of [0.1, 1], times 10^(i - 6): these, 0, their negatives, and 1. Stored because
// bitsandbytes computes them in float32. Index = code.
static constexpr float kDynamicPositive[127] = {
    5.5000004e-07f, 3.2500002e-06f, 7.75e-06f,      2.1249998e-05f, 4.375e-05f,    6.625e-05f,     8.875e-05f,
    0.00015625001f, 0.00026875004f, 0.00038125002f, 0.00049375003f, 0.0006062501f, 0.00071875006f, 0.00083125f,
    0.0009437501f,  0.0012812499f,  0.00184375f,    0.00240625f,    0.00296875f,   0.0035312497f,  0.00409375f,
    0.0046562497f,  0.0052187503f,  0.00578125f,    0.00634375f,    0.00690625f,   0.00746875f,    0.00803125f,
    0.00859375f,    0.009156249f,   0.00971875f,    0.01140625f,    0.01421875f,   0.01703125f,    0.019843752f,
    0.02265625f,    0.02546875f,    0.028281251f,   0.03109375f,    0.03390625f,   0.036718752f,   0.03953125f,
    0.042343747f,   0.04515625f,    0.04796875f,    0.05078125f,    0.05359375f,   0.05640625f,    0.059218753f,
    0.06203125f,    0.06484375f,    0.067656256f,   0.070468746f,   0.07328125f,   0.07609375f,    0.07890625f,
    0.08171876f,    0.08453125f,    0.08734375f,    0.09015625f,    0.092968754f,  0.09578126f,    0.09859375f,
    0.107031256f,   0.12109375f,    0.13515624f,    0.14921875f,    0.16328125f,   0.17734376f,    0.19140625f,
    0.20546874f,    0.21953125f,    0.23359375f,    0.24765624f,    0.26171875f,   0.27578127f,    0.28984374f,
    0.30390626f,    0.31796873f,    0.33203125f,    0.34609374f,    0.36015624f,   0.37421876f,    0.38828123f,
    0.40234375f,    0.41640624f,    0.43046874f,    0.44453126f,    0.45859373f,   0.47265625f,    0.4867187f,
    0.50078124f,    0.5148437f,     0.5289062f,     0.54296875f,    0.5570313f,    0.5710938f,     0.58515626f,
    0.5992187f,     0.61328125f,    0.6273438f,     0.6414063f,     0.65546876f,   0.6695312f,     0.68359375f,
    0.6976563f,     0.7117188f,     0.72578126f,    0.7398437f,     0.75390625f,   0.7679688f,     0.78203124f,
    0.79609376f,    0.8101562f,     0.82421875f,    0.8382813f,     0.85234374f,   0.86640626f,    0.8804687f,
    0.89453125f,    0.9085938f,     0.92265624f,    0.93671876f,    0.9507812f,    0.96484375f,    0.9789063f,
    0.99296874f,
};
static constexpr int kDynamicZero = 127;  // the code of 0
struct DynamicMap {
  float values[256] = {};
  constexpr DynamicMap() {
    for (int i = 0; i < kDynamicZero; ++i) {
      values[kDynamicZero - 1 - i] = -kDynamicPositive[i];
      values[kDynamicZero + 1 + i] = kDynamicPositive[i];
    }
    values[255] = 1.0f;
  }
};
static constexpr DynamicMap kDynamicMap;
static constexpr std::int64_t kNestedBlock = 256;  // scales that share a nested scale

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
