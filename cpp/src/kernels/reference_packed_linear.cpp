#include "kernels/reference_packed_linear.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/packed_format.h"
#include "kernels/scalar_codec.h"

namespace fairopt::kernels::reference {
namespace {

/// What every arithmetic needs of one block of one row of W.
struct WeightBlock {
  PackedCodes codes;
  std::int64_t columns;
  std::vector<int> code;  ///< as stored, 0..255
  float scale, zero;      ///< zero points as floats, 0 where there are none
};

WeightBlock weight_block(const QuantizedView& weight, const QuantizedLayout& layout, std::int64_t row,
                         std::int64_t block) {
  const std::int64_t first = block * layout.block, at = row * layout.blocks_per_row() + block;
  WeightBlock out{
      packed_codes(layout.format), std::min(layout.block, layout.cols - first), {}, weight.scales[at], 0.0f};
  if (out.codes.zeros == PackedZeros::kInteger) out.zero = static_cast<float>(weight.zeros[at]);
  if (out.codes.zeros == PackedZeros::kFloat) out.zero = weight.float_zeros[at];
  const std::uint8_t* codes = weight.codes + row * layout.bytes_per_row();
  for (std::int64_t k = first; k < first + out.columns; ++k) {
    out.code.push_back(read_code(codes, code_bits(layout.format), k));
  }
  return out;
}

/// The code without its offset (and its integer zero point).
int integer(const WeightBlock& w, std::size_t k) { return (w.code[k] ^ w.codes.flip) - w.codes.offset; }

float exact_block(const WeightBlock& w, const float* x, float acc, bool fused) {
  const auto fma = [fused](float a, float b, float c) {
    volatile float product = a * b;  // no compiler fuses what it must store
    return fused ? std::fma(a, b, c) : product + c;
  };
  constexpr std::int64_t kRun = 64, kOrder[] = {2, 0, 6, 4, 3, 1, 7, 5};
  float sum = 0.0f;
  for (std::int64_t k = 0; k < w.columns; ++k) sum += x[k];
  for (std::int64_t run = 0; run < w.columns; run += kRun) {
    float chain = 0.0f;
    for (std::int64_t i = run; i < run + kRun; ++i) {
      const std::int64_t k = w.codes.bits == 8 ? i : i / 8 * 8 + kOrder[i % 8];
      if (k >= w.columns) continue;
      const auto at = static_cast<std::size_t>(k);
      const float value =
          w.codes.codebook != nullptr ? w.codes.codebook[w.code[at]] : static_cast<float>(integer(w, at));
      chain = fma(value, x[k], chain);
    }
    acc = fma(chain, w.scale, acc);
  }
  if (w.codes.zeros == PackedZeros::kInteger) acc = fma(-w.zero * w.scale, sum, acc);
  if (w.codes.zeros == PackedZeros::kFloat) acc = fma(w.zero, sum, acc);
  return acc;
}

/// Balanced digits base 256, lowest first, zeros above the last plane.
std::array<std::int32_t, 3> digits(std::int32_t q, int planes) {
  std::array<std::int32_t, 3> out{};
  for (int p = 0; p < planes - 1; ++p) {
    out[p] = static_cast<std::int8_t>(q & 255);
    q = (q - out[p]) >> 8;
  }
  out[planes - 1] = q;
  return out;
}

/// float(top), then f * 256 + float(next) down to the lowest, each with one rounding.
float fold(const std::vector<std::int64_t>& sums) {
  float f = static_cast<float>(sums.back());
  for (std::size_t p = sums.size() - 1; p-- > 0;) f = std::fma(f, 256.0f, static_cast<float>(sums[p]));
  return f;
}

float integer_block(const WeightBlock& w, const FixedPoint& x, int planes, float acc) {
  std::vector<std::int64_t> sums(static_cast<std::size_t>(planes)), ones(sums.size());
  const int zero = w.codes.zeros == PackedZeros::kInteger ? static_cast<int>(w.zero) : 0;
  for (std::size_t k = 0; k < w.code.size(); ++k) {
    const std::array<std::int32_t, 3> d = digits(x.q[k], planes);
    for (std::size_t p = 0; p < sums.size(); ++p) {
      sums[p] += (integer(w, k) - zero) * d[p];
      ones[p] += d[p];
    }
  }
  acc = std::fma(fold(sums), w.scale * x.step, acc);
  return w.codes.zeros == PackedZeros::kFloat ? std::fma(fold(ones), w.zero * x.step, acc) : acc;
}

float codebook_block(const WeightBlock& w, const FixedPoint& x, float acc) {
  std::vector<std::int64_t> sums(3);
  for (std::size_t k = 0; k < w.code.size(); ++k) {
    const auto value = static_cast<std::int32_t>(std::nearbyint(w.codes.codebook[w.code[k]] * kCodebookUnit));
    const std::int32_t low = value & 255, high = (value - low) >> 8;
    const std::array<std::int32_t, 3> d = digits(x.q[k], 2);
    sums[0] += low * d[0];
    sums[1] += high * d[0] + low * d[1];
    sums[2] += high * d[1];
  }
  return std::fma(fold(sums), w.scale * (x.step / kCodebookUnit), acc);
}

int planes_of(MatmulMode mode) { return mode == MatmulMode::kA8 ? 1 : mode == MatmulMode::kA24 ? 3 : 2; }

/// The arithmetic of a row of x: `wanted`, or a finer one where a block spreads too widely.
MatmulMode mode_of_row(const float* x, const QuantizedLayout& layout, MatmulMode wanted) {
  if (wanted == MatmulMode::kExact || std::min(layout.block, layout.cols) > kLargestPlaneBlock) {
    return MatmulMode::kExact;
  }
  Spread spread = Spread::kNarrow;
  for (std::int64_t first = 0; first < layout.cols; first += layout.block) {
    spread = std::max(spread, block_spread(x + first, std::min(layout.block, layout.cols - first)));
  }
  if (spread == Spread::kExtreme) return MatmulMode::kExact;
  if (spread == Spread::kNarrow || wanted == MatmulMode::kA8) return wanted;
  return wanted == MatmulMode::kI16 ? MatmulMode::kExact : MatmulMode::kA24;
}

}  // namespace

Spread block_spread(const float* x, std::int64_t n) {
  float amax = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) return Spread::kExtreme;
    amax = std::max(amax, std::fabs(x[i]));
  }
  if (amax == 0.0f) return Spread::kNarrow;
  if (amax < 0x1p-80f) return Spread::kExtreme;
  const auto stand_out = [&](float level) {
    std::int64_t above = 0, nonzero = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      above += std::fabs(x[i]) > level;
      nonzero += x[i] != 0.0f;
    }
    return above < nonzero && above <= (nonzero + 7) / 8;
  };
  return stand_out(amax / 4096) ? Spread::kExtreme : stand_out(amax / 64) ? Spread::kWide : Spread::kNarrow;
}

FixedPoint fixed_point(const float* x, std::int64_t n, int planes) {
  const float limit = planes == 1 ? 127.0f : planes == 2 ? 127.0f * 256.0f : 127.0f * 65536.0f;
  float amax = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) amax = std::max(amax, std::fabs(x[i]));
  FixedPoint out{amax / limit, std::vector<std::int32_t>(static_cast<std::size_t>(n))};
  if (amax == 0.0f) return out;
  for (std::int64_t i = 0; i < n; ++i) {
    const float rounded = std::nearbyint(x[i] * (limit / amax));
    out.q[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(std::clamp(rounded, -limit, limit));
  }
  return out;
}

std::vector<float> packed_linear(const QuantizedView& weight, const PackedLinearArgs& args, bool fused) {
  const QuantizedLayout& layout = args.layout;
  const std::int64_t n = layout.rows, k = layout.cols;
  std::vector<float> y(static_cast<std::size_t>(args.m * n));
  for (std::int64_t token = 0; token < args.m; ++token) {
    const float* x = args.x + token * k;
    const MatmulMode mode = mode_of_row(x, layout, args.mode);
    std::vector<FixedPoint> blocks;
    for (std::int64_t first = 0; first < k && mode != MatmulMode::kExact; first += layout.block) {
      blocks.push_back(fixed_point(x + first, std::min(layout.block, k - first), planes_of(mode)));
    }
    for (std::int64_t row = 0; row < n; ++row) {
      float acc = 0.0f;
      for (std::int64_t b = 0; b < layout.blocks_per_row(); ++b) {
        const WeightBlock w = weight_block(weight, layout, row, b);
        if (mode == MatmulMode::kExact) {
          acc = exact_block(w, x + b * layout.block, acc, fused);
        } else if (mode == MatmulMode::kI16) {
          acc = codebook_block(w, blocks[static_cast<std::size_t>(b)], acc);
        } else {
          acc = integer_block(w, blocks[static_cast<std::size_t>(b)], planes_of(mode), acc);
        }
      }
      float& out = y[static_cast<std::size_t>(token * n + row)];
      out = args.bias == nullptr ? acc : acc + args.bias[row];
      for (std::int64_t r = 0; r < args.lora_rank; ++r) {
        out = std::fma(args.lora_z[token * args.lora_rank + r], args.lora_b[row * args.lora_rank + r], out);
      }
    }
  }
  return y;
}

}  // namespace fairopt::kernels::reference
