// Scales from their 8-bit codes: map[code] * scale + offset, each operation rounded by itself.

void double_dequantize(const std::uint8_t* codes, std::int64_t n, float scale, float offset, float* out) {
  const auto decode = [&](I32 code) {
    return gather(formats::kDynamicMap.values, code) * splat(scale) + splat(offset);
  };
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) store(out + i, decode(load_u8(codes + i)));
  if (i == n) return;
  std::uint8_t rest[F32::kWidth] = {};
  for (std::int64_t j = i; j < n; ++j) rest[j - i] = codes[j];
  store_first(out + i, decode(load_u8(rest)), static_cast<int>(n - i));
}
