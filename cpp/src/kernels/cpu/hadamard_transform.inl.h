// Fast Walsh-Hadamard butterflies, strides ascending, after the dense product with a small matrix of other order. Sums
// and differences only: equal bits on every level.

// a + b and a - b of lanes that lie `stride` apart, a power of two below the width.
inline F32 butterfly_lanes(F32 v, std::int32_t stride) {
  const I32 lanes = lane_indices(), bit = lanes & splat(stride);
  const F32 other = as_float(permute(as_int(v), lanes + splat(stride) - bit - bit));
  return select(bit > splat(0), other - v, v + other);
}

inline F32 butterflies_within(F32 v, std::int64_t n) {
  for (std::int32_t stride = 1; stride < F32::kWidth && stride < n; stride *= 2) v = butterfly_lanes(v, stride);
  return v;
}

// x [n] of a power of two, in place.
inline void walsh_hadamard(float* x, std::int64_t n) {
  if (n < F32::kWidth) {
    const int lanes = static_cast<int>(n);
    return store_first(x, butterflies_within(load_first(x, lanes), n), lanes);
  }
  for (std::int64_t i = 0; i < n; i += F32::kWidth) store(x + i, butterflies_within(load(x + i), n));
  for (std::int64_t stride = F32::kWidth; stride < n; stride *= 2) {
    for (std::int64_t first = 0; first < n; first += 2 * stride) {
      for (std::int64_t i = first; i < first + stride; i += F32::kWidth) {
        const F32 a = load(x + i), b = load(x + i + stride);
        store(x + i, a + b);
        store(x + i + stride, a - b);
      }
    }
  }
}

// y [n] = sum over j of signs[j * sign_stride] * x[j], x [order, n].
inline void signed_sum(const float* x, const std::int8_t* signs, std::int64_t sign_stride, std::int64_t order,
                       std::int64_t n, float* y) {
  for (std::int64_t i = 0; i < n; i += F32::kWidth) {
    const int lanes = static_cast<int>(n - i < F32::kWidth ? n - i : F32::kWidth);
    F32 total = splat(0.0f);
    for (std::int64_t j = 0; j < order; ++j) {
      const float* from = x + j * n + i;
      const F32 term = lanes == F32::kWidth ? load(from) : load_first(from, lanes);
      total = signs[j * sign_stride] > 0 ? total + term : total - term;
    }
    lanes == F32::kWidth ? store(y + i, total) : store_first(y + i, total, lanes);
  }
}

void hadamard_transform(const HadamardTransform& args, const float* x, float* y) {
  const std::int64_t power = args.power;
  const std::int64_t row = args.transpose ? 1 : args.order, column = args.transpose ? args.order : 1;
  for (std::int64_t i = 0; i < args.order; ++i) {
    float* out = y + i * power;
    signed_sum(x, args.matrix + i * row, column, args.order, power, out);
    walsh_hadamard(out, power);
    const F32 scale = splat(args.scale);
    for (std::int64_t k = 0; k < power; k += F32::kWidth) {
      const int lanes = static_cast<int>(power - k < F32::kWidth ? power - k : F32::kWidth);
      if (lanes == F32::kWidth) {
        store(out + k, load(out + k) * scale);
      } else {
        store_first(out + k, load_first(out + k, lanes) * scale, lanes);
      }
    }
  }
}
