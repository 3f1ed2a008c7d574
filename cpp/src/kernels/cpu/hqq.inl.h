// One iteration of HQQ on one block.

HqqSums hqq_step(const HqqBlock& block, const float* values, std::int64_t n) {
  RunningSums error_sums, loss_sums, zero_sums;
  float errors[kSumChunk], losses[kSumChunk], zeros[kSumChunk];
  for (std::int64_t first = 0; first < n; first += kSumChunk) {
    const std::int64_t rest = n - first, count = rest < kSumChunk ? rest : kSumChunk;
    for (std::int64_t i = 0; i < whole_sums(count); i += F32::kWidth) {
      const Mask used = splat(static_cast<std::int32_t>(count - i)) > lane_indices();
      const F32 w = load_within(values + first, i, count), inverse = splat(block.inverse_scale), z = splat(block.zero);
      const F32 q = to_float(round_to_int(clamp(w * inverse + z, splat(0.0f), splat(block.levels))));
      const F32 d = w - (q - z) / inverse, magnitude = abs(d);
      const F32 raised = power(magnitude, splat(block.norm - 1.0f));  // large at 0, where nothing is left over
      const F32 left = max(magnitude - raised * splat(block.inverse_beta), splat(0.0f));
      const F32 shrunk = select(d > splat(0.0f), left, splat(0.0f) - left);
      store(errors + i, select(used, magnitude, splat(0.0f)));
      store(losses + i, select(used, magnitude * raised, splat(0.0f)));
      store(zeros + i, select(used, q - (w - shrunk) * inverse, splat(0.0f)));
    }
    error_sums.add(errors, whole_sums(count));
    loss_sums.add(losses, whole_sums(count));
    zero_sums.add(zeros, whole_sums(count));
  }
  return {error_sums.total(), loss_sums.total(), zero_sums.total() / static_cast<float>(n)};
}
