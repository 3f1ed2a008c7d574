// One iteration of HQQ on one block.

HqqSums hqq_step(const HqqBlock& block, const float* values, std::int64_t n) {
  constexpr std::int64_t kSums = 16, kRegisters = kSums / F32::kWidth;
  F32 errors[kRegisters], losses[kRegisters], zeros[kRegisters];
  for (std::int64_t v = 0; v < kRegisters; ++v) errors[v] = losses[v] = zeros[v] = splat(0.0f);
  const auto add = [&](const float* x, std::int64_t count) {
    for (std::int64_t v = 0; v < kRegisters; ++v) {
      const Mask used = splat(static_cast<std::int32_t>(count - v * F32::kWidth)) > lane_indices();
      const F32 w = load(x + v * F32::kWidth), inverse = splat(block.inverse_scale), z = splat(block.zero);
      const F32 q = to_float(round_to_int(clamp(w * inverse + z, splat(0.0f), splat(block.levels))));
      const F32 d = w - (q - z) / inverse, magnitude = abs(d);
      const F32 raised = power(magnitude, splat(block.norm - 1.0f));  // large at 0, where nothing is left over
      const F32 left = max(magnitude - raised * splat(block.inverse_beta), splat(0.0f));
      const F32 shrunk = select(d > splat(0.0f), left, splat(0.0f) - left);
      errors[v] = errors[v] + select(used, magnitude, splat(0.0f));
      losses[v] = losses[v] + select(used, magnitude * raised, splat(0.0f));
      zeros[v] = zeros[v] + select(used, q - (w - shrunk) * inverse, splat(0.0f));
    }
  };
  std::int64_t i = 0;
  for (; i + kSums <= n; i += kSums) add(values + i, kSums);
  if (i < n) {
    float rest[kSums] = {};
    for (std::int64_t j = i; j < n; ++j) rest[j - i] = values[j];
    add(rest, n - i);
  }
  return {sum_in_order(errors), sum_in_order(losses), sum_in_order(zeros) / static_cast<float>(n)};
}
