#include "kernels/reference_dynamic_int8_linear.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fairopt::kernels::reference {
namespace {

struct Token {
  float scale;
  std::vector<std::int32_t> codes;  // 0 where the value is an outlier
};

Token quantize(const float* x, std::int64_t k, float threshold) {
  float amax = 0;
  bool finite = true;
  for (std::int64_t i = 0; i < k; ++i) {
    finite = finite && std::isfinite(x[i]);
    if (std::fabs(x[i]) < threshold) amax = std::max(amax, std::fabs(x[i]));
  }
  Token token{amax / 127.0f, std::vector<std::int32_t>(static_cast<std::size_t>(k))};
  if (!finite) token.scale = std::numeric_limits<float>::quiet_NaN();
  for (std::int64_t i = 0; finite && token.scale > 0 && i < k; ++i) {
    if (!(std::fabs(x[i]) < threshold)) continue;
    const float steps = std::nearbyint(x[i] / token.scale);
    token.codes[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(std::clamp(steps, -127.0f, 127.0f));
  }
  return token;
}

}  // namespace

std::vector<float> dynamic_int8_linear(const DynamicInt8LinearArgs& args) {
  std::vector<float> y(static_cast<std::size_t>(args.m * args.n));
  for (std::int64_t t = 0; t < args.m; ++t) {
    const float* x = args.x + t * args.k;
    const Token token = quantize(x, args.k, args.threshold);
    for (std::int64_t row = 0; row < args.n; ++row) {
      const std::int8_t* codes = args.codes + row * args.k;
      std::int32_t sum = 0;
      float outliers = 0;
      bool any = false;
      for (std::int64_t i = 0; i < args.k; ++i) {
        sum += codes[i] * token.codes[static_cast<std::size_t>(i)];
        if (std::fabs(x[i]) < args.threshold) continue;
        outliers += x[i] * static_cast<float>(codes[i]);
        any = true;
      }
      float value = (args.scales[row] * token.scale) * static_cast<float>(sum);
      if (any) value += args.scales[row] * outliers;
      if (args.bias != nullptr) value += args.bias[row];
      y[static_cast<std::size_t>(t * args.n + row)] = value;
    }
  }
  return y;
}

}  // namespace fairopt::kernels::reference
