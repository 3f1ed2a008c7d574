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

static constexpr float kInt8Max = 127.0f;
static constexpr float kInt4SymDivisor = 7.5f;   // `sym_7_5`: torchao SYMMETRIC, compressed-tensors, GPTQ, Marlin
static constexpr float kInt4AsymLevels = 15.0f;  // `asym_int`: codes 0..15
static constexpr int kInt4SymOffset = 8;         // stored code = code + 8

// 4-bit codes: value 2i in the high nibble of byte i, value 2i + 1 in the low one (bitsandbytes' order).
static constexpr int kHighNibbleShift = 4;

static constexpr std::int64_t kMinBlock = 16;
static constexpr std::int64_t kMaxBlock = 4096;

}  // namespace fairopt::formats
