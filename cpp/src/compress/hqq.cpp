#include "fairopt/hqq.h"

#include <cmath>

#include "compress/block_parts.h"
#include "kernels/formats.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using compress::BlockParts;
using compress::Trial;

constexpr const char* op = "hqq";
constexpr float kMostInverseScale = 2e4f;  // the authors', who store it in fp16
constexpr float kLeastRange = 1e-4f;       // below it a step is 1: the authors'
constexpr std::int64_t kGrain = 1024;      // values a thread should get at least: some microseconds of work

/// What is known of a block.
struct State {
  float inverse_scale, zero;
  float best_zero, best_loss;
  float error;  // of the last iteration
};

void check(const HqqOptions& options, Format format) {
  using kernels::require;
  require(formats::kSpecs[static_cast<int>(format)].rule == formats::Rule::kAsymFloat, op,
          "format must be one of int2_asym_float to int8_asym_float, got '{}'", name(format));
  require(options.norm > 0.0 && options.norm <= 1.0, op, "norm must be in (0, 1], got {}", options.norm);
  require(options.beta > 0.0, op, "beta must be positive, got {}", options.beta);
  require(options.kappa >= 1.0, op, "kappa must be at least 1, got {}", options.kappa);
  require(options.iterations >= 1 && options.iterations <= 1000, op, "iterations must be in [1, 1000], got {}",
          options.iterations);
}

State start(const float* values, std::int64_t n, int bits) {
  const auto [low, high] = std::minmax_element(values, values + n);
  const float range = *high - *low, levels = static_cast<float>((1 << bits) - 1);
  const float inverse = range > kLeastRange ? std::min(levels / range, kMostInverseScale) : 1.0f;
  const float zero = -*low * inverse, begin = bits == 4 ? std::nearbyint(zero) : zero;
  return {inverse, begin, begin, INFINITY, 0.0f};
}

/// Codes as a bit string, the first in the high bits of the first byte; it is filled up with codes of zero.
void write_codes(const float* values, std::int64_t n, const State& state, float zero, int bits, std::uint8_t* codes) {
  const auto levels = static_cast<float>((1 << bits) - 1);
  unsigned pending = 0;
  int waiting = 0;
  for (std::int64_t i = 0; i < n || waiting > 0; ++i) {
    const float steps = i < n ? values[i] * state.inverse_scale : 0.0f;
    pending = pending << bits | static_cast<unsigned>(std::clamp(std::nearbyint(steps + zero), 0.0f, levels));
    waiting += bits;
    if (waiting < 8) continue;
    waiting -= 8;
    *codes++ = static_cast<std::uint8_t>(pending >> waiting);
    if (i >= n) break;
  }
}

double loss_of(const float* values, const float* rounded, std::int64_t n, double norm) {
  double loss = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    loss += std::pow(std::fabs(static_cast<double>(values[i]) - static_cast<double>(rounded[i])), norm);
  }
  return loss;
}

/// Whether the first loses no more than the second: by fast sums of powers, exactly where these are too near.
bool no_worse(const float* values, const float* first, const float* second, std::int64_t n, float scale, double norm) {
  constexpr float kMargin = 0x1p-12f;  // above what the powers and the summation may be off, as a share of the sums
  constexpr double kLeastNorm = 0.5;   // from here on no error counts less than 2^-63 of a step: kernels' power(0)
  if (norm >= kLeastNorm) {
    const auto exponent = static_cast<float>(norm);
    const float a = kernels::table().sum_of_powers(values, first, n, 1.0f / scale, exponent);
    const float b = kernels::table().sum_of_powers(values, second, n, 1.0f / scale, exponent);
    if (std::fabs(a - b) > kMargin * (a + b)) return a < b;
  }
  return loss_of(values, first, n, norm) <= loss_of(values, second, n, norm);
}

class Solver {
 public:
  Solver(const float* weight, const QuantizedLayout& layout, const HqqOptions& options, const QuantizedBuffers& out)
      : weight_(weight),
        layout_(layout),
        options_(options),
        out_(out),
        bits_(code_bits(layout.format)),
        longest_(std::min(layout.block, layout.cols)),
        blocks_(static_cast<std::size_t>(layout.rows * layout.blocks_per_row())) {}

  int iterate(Executor& executor) {
    for_each(executor,
             [&](const BlockParts& block, State& state) { state = start(weight_ + block.value, block.n, bits_); });
    double least = INFINITY, beta = options_.beta;
    for (int done = 1;; ++done, beta *= options_.kappa) {
      for_each(executor, [&](const BlockParts& block, State& state) { step(block, state, beta); });
      double error = 0.0;
      for (const State& state : blocks_) error += static_cast<double>(state.error);
      if (!(error < least) || done == options_.iterations) return done;
      least = error;
    }
  }

  void finish(Executor& executor) {
    if (options_.best) {  // the last zero point has not been judged yet
      for_each(executor, [&](const BlockParts& block, State& state) { step(block, state, 1.0); });
    }
    for_ranges(executor, [&](std::int64_t first, std::int64_t last) {
      Trial nearest(layout_.format, longest_), solved(layout_.format, longest_);
      for (; first < last; ++first) {
        const BlockParts block = compress::block_parts(layout_, out_, first);
        write(block, blocks_[static_cast<std::size_t>(first)], nearest, solved);
      }
    });
  }

 private:
  template <class Body>
  void for_ranges(Executor& executor, const Body& body) {
    executor.parallel_for(0, static_cast<std::int64_t>(blocks_.size()), kGrain / longest_ + 1, body);
  }

  template <class Body>
  void for_each(Executor& executor, const Body& body) {
    for_ranges(executor, [&](std::int64_t first, std::int64_t last) {
      for (; first < last; ++first) {
        body(compress::block_parts(layout_, out_, first), blocks_[static_cast<std::size_t>(first)]);
      }
    });
  }

  void step(const BlockParts& block, State& state, double beta) const {
    const kernels::HqqSums sums =
        kernels::table().hqq_step({state.inverse_scale, state.zero, static_cast<float>((1 << bits_) - 1),
                                   static_cast<float>(options_.norm), static_cast<float>(1.0 / beta)},
                                  weight_ + block.value, block.n);
    if (sums.loss < state.best_loss) {
      state.best_loss = sums.loss;
      state.best_zero = state.zero;
    }
    state.error = sums.error;
    state.zero = sums.zero;
  }

  void write(const BlockParts& block, const State& state, Trial& nearest, Trial& solved) const {
    const float* values = weight_ + block.value;
    const float zero = options_.best ? state.best_zero : state.zero;
    *block.parts.scales = 1.0f / state.inverse_scale;
    *block.parts.float_zeros = -zero * *block.parts.scales;
    write_codes(values, block.n, state, zero, bits_, block.parts.codes);
    if (!options_.best) return;
    const auto quantize = kernels::table().quantize[static_cast<std::size_t>(layout_.format)];
    quantize(values, {block.n, block.n}, nearest.parts());
    if (no_worse(values, nearest.values(block.n), solved.values_of(block.parts, block.n), block.n, *block.parts.scales,
                 options_.norm)) {
      quantize(values, {block.n, block.n}, block.parts);
    }
  }

  const float* weight_;
  const QuantizedLayout& layout_;
  const HqqOptions& options_;
  const QuantizedBuffers& out_;
  int bits_;
  std::int64_t longest_;  // of the blocks
  std::vector<State> blocks_;
};

}  // namespace

int hqq(const float* weight, const QuantizedLayout& layout, const HqqOptions& options, const QuantizedBuffers& out,
        Executor& executor) {
  check(layout, op);
  check(options, layout.format);
  if (layout.rows == 0 || layout.cols == 0) return 0;
  kernels::require(weight != nullptr, op, "weight must not be null");
  check({out.codes, out.scales, out.zeros, out.float_zeros}, layout.format, op, "out");
  Solver solver(weight, layout, options, out);
  const int done = solver.iterate(executor);
  solver.finish(executor);
  return done;
}

}  // namespace fairopt
