// Zeros where a mask says so, for values of any type as their bits. A loop this plain the compiler makes vectors of.

template <class Bits>
void apply_mask(const void* values, std::int64_t n, const std::uint8_t* mask, void* out) {
  const auto* in = static_cast<const Bits*>(values);
  auto* to = static_cast<Bits*>(out);
  constexpr std::int64_t kStep = 64;
  for (; n >= kStep; n -= kStep, in += kStep, mask += kStep, to += kStep) {
    prefetch_stream(mask);
    for (std::size_t line = 0; line < sizeof(Bits); ++line) prefetch_stream(in + line * 64 / sizeof(Bits));
    for (int i = 0; i < kStep; ++i) to[i] = mask[i] != 0 ? in[i] : Bits{0};
  }
  for (std::int64_t i = 0; i < n; ++i) to[i] = mask[i] != 0 ? in[i] : Bits{0};
}
