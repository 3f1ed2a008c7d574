#include "fairopt/dynamic_int8_linear.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/aligned_buffer.h"
#include "kernels/cpu/table.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

constexpr const char* op = "dynamic_int8_linear";
constexpr std::int64_t kMostColumns = std::int64_t{1} << 17;  // 127 * 127 * 2^17 < 2^31
constexpr std::int64_t kTokensAtOnce = 128;                   // their codes stay in the second-level cache
constexpr std::int64_t kRowsAtOnce = 8;                       // ranges of threads start at whole groups of rows
constexpr std::int64_t kGrain = std::int64_t{1} << 19;        // products a thread should get at least

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void check(const DynamicInt8LinearArgs& args) {
  require(args.m >= 0, op, "m must be non-negative, got {}", args.m);
  require(args.n >= 0, op, "n must be non-negative, got {}", args.n);
  require(args.k >= 0 && args.k <= kMostColumns, op, "k must be in [0, {}], got {}", kMostColumns, args.k);
  require(args.threshold > 0, op, "threshold must be positive, got {}", args.threshold);
  if (args.m == 0 || args.n == 0) return;
  require(args.y != nullptr && args.scales != nullptr, op, "y and scales must not be null");
  require(args.k == 0 || (args.x != nullptr && args.codes != nullptr), op, "x and codes must not be null");
}

/// Tokens as int8 codes, with the values that stay in floating point beside them.
struct Tokens {
  kernels::AlignedBuffer codes;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;
  std::vector<std::vector<kernels::Int8Outlier>> outliers;

  Tokens(std::int64_t m, std::int64_t stride)
      : codes(kernels::allocate(m * stride / static_cast<std::int64_t>(sizeof(float)))),
        scales(static_cast<std::size_t>(m)),
        sums(static_cast<std::size_t>(m)),
        outliers(static_cast<std::size_t>(m)) {}

  void quantize(const float* x, std::int64_t k, std::int64_t stride, float threshold, std::int64_t token) {
    const auto at = static_cast<std::size_t>(token);
    auto* row = reinterpret_cast<std::int8_t*>(codes.get()) + token * stride;
    kernels::table().quantize_int8_token(x, k, threshold, row, stride, &scales[at], &sums[at]);
    if (std::isinf(threshold)) return;
    outliers[at].clear();
    for (std::int64_t i = 0; i < k; ++i) {
      if (!(std::fabs(x[i]) < threshold)) outliers[at].push_back({i, x[i]});
    }
  }
};

}  // namespace

void dynamic_int8_linear(const DynamicInt8LinearArgs& args, Executor& executor) {
  check(args);
  if (args.m == 0 || args.n == 0) return;
  const std::int64_t stride = ceil_div(args.k, kernels::kInt8Step) * kernels::kInt8Step;
  Tokens tokens(std::min(args.m, kTokensAtOnce), stride);
  for (std::int64_t first = 0; first < args.m; first += kTokensAtOnce) {
    const std::int64_t m = std::min(args.m - first, kTokensAtOnce);
    executor.parallel_for(0, m, ceil_div(kGrain / 16, args.k + 1), [&](std::int64_t lo, std::int64_t hi) {
      for (std::int64_t t = lo; t < hi; ++t) {
        tokens.quantize(args.x + (first + t) * args.k, args.k, stride, args.threshold, t);
      }
    });
    std::vector<kernels::Int8Outliers> outliers;
    for (const auto& own : tokens.outliers) outliers.push_back({own.data(), static_cast<std::int64_t>(own.size())});
    const kernels::DynamicInt8Linear call{.tokens = reinterpret_cast<const std::int8_t*>(tokens.codes.get()),
                                          .token_scales = tokens.scales.data(),
                                          .token_sums = tokens.sums.data(),
                                          .outliers = outliers.data(),
                                          .m = m,
                                          .n = args.n,
                                          .k = args.k,
                                          .stride = stride,
                                          .codes = args.codes,
                                          .scales = args.scales,
                                          .bias = args.bias,
                                          .y = args.y + first * args.n};
    const std::int64_t grain = ceil_div(kGrain, m * (args.k + 1) * kRowsAtOnce);
    executor.parallel_for(0, ceil_div(args.n, kRowsAtOnce), grain, [&](std::int64_t lo, std::int64_t hi) {
      kernels::table().dynamic_int8_linear(call, lo * kRowsAtOnce, std::min(hi * kRowsAtOnce, args.n));
    });
  }
}

}  // namespace fairopt
