// fp32 from and to the 16-bit floats, and the count of values that are no numbers.

template <F32 (*kLoad)(const std::uint16_t*)>
void widen(const std::uint16_t* in, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) {
    prefetch_stream(in + i);
    store(out + i, kLoad(in + i));
  }
  if (i == n) return;
  std::uint16_t lanes[F32::kWidth] = {};
  for (std::int64_t j = i; j < n; ++j) lanes[j - i] = in[j];
  store_first(out + i, kLoad(lanes), static_cast<int>(n - i));
}

template <void (*kStore)(std::uint16_t*, F32)>
void narrow(const float* in, std::int64_t n, std::uint16_t* out) {
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) kStore(out + i, load(in + i));
  if (i == n) return;
  std::uint16_t lanes[F32::kWidth];
  kStore(lanes, load_first(in + i, static_cast<int>(n - i)));
  for (std::int64_t j = i; j < n; ++j) out[j] = lanes[j - i];
}

void f16_to_f32(const std::uint16_t* in, std::int64_t n, float* out) { widen<load_f16>(in, n, out); }
void bf16_to_f32(const std::uint16_t* in, std::int64_t n, float* out) { widen<load_bf16>(in, n, out); }
void f32_to_f16(const float* in, std::int64_t n, std::uint16_t* out) { narrow<store_f16>(in, n, out); }
void f32_to_bf16(const float* in, std::int64_t n, std::uint16_t* out) { narrow<store_bf16>(in, n, out); }

std::int64_t count_nonfinite(const float* in, std::int64_t n) {
  const auto nonfinite = [](F32 a) { return (as_int(a) & splat(0x7fffffff)) > splat(0x7f7fffff); };
  I32 found = splat(0);
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) found = increment(found, nonfinite(load(in + i)));
  if (i < n) found = increment(found, nonfinite(load_first(in + i, static_cast<int>(n - i))));
  return sum(found);
}
