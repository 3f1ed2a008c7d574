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

class Solver {
 public:
  Solver(const float* weight, const QuantizedLayout& layout, const HqqOptions& options, const QuantizedBuffers& out)
      : weight_(weight),
        layout_(layout),
        options_(options),
        out_(out),
        bits_(code_bits(layout.format)),
        blocks_(static_cast<std::size_t>(layout.rows * layout.blocks_per_row())) {}

  int iterate(Executor& executor) {
    for_each(executor, [&](std::size_t, const BlockParts& block, State& state) {
      state = start(weight_ + block.value, block.n, bits_);
    });
    double least = INFINITY, beta = options_.beta;
    for (int done = 1;; ++done, beta *= options_.kappa) {
      for_each(executor, [&](std::size_t, const BlockParts& block, State& state) { step(block, state, beta); });
      double error = 0.0;
      for (const State& state : blocks_) error += static_cast<double>(state.error);
      if (!(error < least) || done == options_.iterations) return done;
      least = error;
    }
  }

  void finish(Executor& executor) {
    for_each(executor, [&](std::size_t, const BlockParts& block, State& state) {
      if (options_.best) step(block, state, 1.0);  // the last zero point has not been judged yet
      write(block, state, options_.best ? state.best_zero : state.zero);
    });
  }

 private:
  template <class Body>
  void for_each(Executor& executor, const Body& body) {
    const std::int64_t grain = kGrain / std::min(layout_.block, layout_.cols) + 1;
    executor.parallel_for(0, static_cast<std::int64_t>(blocks_.size()), grain, [&](std::int64_t lo, std::int64_t hi) {
      for (; lo < hi; ++lo) {
        const auto index = static_cast<std::size_t>(lo);
        body(index, compress::block_parts(layout_, out_, lo), blocks_[index]);
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

  void write(const BlockParts& block, const State& state, float zero) const {
    const float* values = weight_ + block.value;
    const auto format = static_cast<std::size_t>(layout_.format);
    *block.parts.scales = 1.0f / state.inverse_scale;
    *block.parts.float_zeros = -zero * *block.parts.scales;
    write_codes(values, block.n, state, zero, bits_, block.parts.codes);
    if (!options_.best) return;
    std::vector<float> solved(static_cast<std::size_t>(block.n));
    const kernels::RunParts& parts = block.parts;
    kernels::table().dequantize[format]({parts.codes, parts.scales, parts.zeros, parts.float_zeros}, {block.n, block.n},
                                        solved.data());
    Trial nearest(layout_.format, block.n);
    kernels::table().quantize[format](values, {block.n, block.n}, nearest.parts());
    if (loss_of(values, nearest.values(block.n), block.n, options_.norm) <=
        loss_of(values, solved.data(), block.n, options_.norm)) {
      kernels::table().quantize[format](values, {block.n, block.n}, parts);
    }
  }

  const float* weight_;
  const QuantizedLayout& layout_;
  const HqqOptions& options_;
  const QuantizedBuffers& out_;
  int bits_;
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
