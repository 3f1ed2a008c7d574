// sparse_linear: the twin's bits on the level of this process (ctest runs the suite once a level), whatever the batch,
// the place of a row and the threads; packing and its inverse; refusals.
#include <bit>
#include <cstring>
#include <limits>
#include <random>

#include "catch.h"
#include "fairopt/cpu_capability.h"
#include "fairopt/sparse_linear.h"
#include "kernels/cpu/table.h"
#include "kernels/elements.h"
#include "kernels/reference_sparse_linear.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

constexpr SparseType kTypes[] = {SparseType::kFloat32, SparseType::kFloat16, SparseType::kBFloat16, SparseType::kInt8};

/// A weight of which a share is not zero (both zeros occur), its packed form, a bias.
struct Weight {
  SparseLayout layout;
  std::vector<std::uint8_t> dense;
  std::vector<float> scales, bias;
  std::vector<std::uint8_t> packed;

  Weight(SparseLayout l, double density) : layout(l) {
    const std::int64_t count = l.rows * l.cols;
    std::mt19937_64 random(static_cast<std::uint64_t>(count + 7));
    std::vector<float> values = weights(count, 5);
    for (float& value : values) {
      if (value == 0.0f) value = 0.25f;
      if (static_cast<double>(random() >> 11) * 0x1p-53 >= density) value = std::copysign(0.0f, value);
    }
    dense.resize(static_cast<std::size_t>(count * value_bytes(l.type)));
    scales = weights(l.rows, 6);
    bias = weights(l.rows, 7);
    if (l.type == SparseType::kFloat32) {
      if (count > 0) std::memcpy(dense.data(), values.data(), dense.size());
    } else if (l.type == SparseType::kInt8) {
      for (std::size_t i = 0; i < dense.size(); ++i) {
        const int code = static_cast<int>(random() % 255) - 127;
        dense[i] = static_cast<std::uint8_t>(values[i] == 0.0f ? 0 : code == 0 ? -128 : code);
      }
    } else {
      const DType dtype = l.type == SparseType::kFloat16 ? DType::kFloat16 : DType::kBFloat16;
      kernels::store_rounded(values.data(), count, dense.data(), dtype, 0);
    }
    pack_again();
  }
  void pack_again() {
    packed.assign(static_cast<std::size_t>(packed_sparse_bytes(source(), layout)), 0xa5);
    pack_sparse(source(), layout, packed.data());
  }
  SparseSource source() const { return {dense.data(), scales.data()}; }
  SparseLinearArgs args(const std::vector<float>& x, std::int64_t m) const {
    return {.x = x.data(),
            .m = m,
            .packed = packed.data(),
            .bytes = static_cast<std::int64_t>(packed.size()),
            .layout = layout,
            .bias = bias.data(),
            .y = nullptr};
  }
  std::vector<float> times(SparseLinearArgs a, Executor& executor = default_executor()) const {
    std::vector<float> y(static_cast<std::size_t>(a.m * layout.rows), std::numeric_limits<float>::quiet_NaN());
    a.y = y.data();
    sparse_linear(a, executor);
    return y;
  }
  std::vector<float> twin(const SparseLinearArgs& a) const {
    return kernels::reference::sparse_linear(source(), a, cpu_capability() != "baseline");
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// As bfloat16 has them.
std::vector<float> rounded(const std::vector<float>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<std::uint16_t> bits(values.size());
  kernels::store_rounded(values.data(), count, bits.data(), DType::kBFloat16, 0);
  std::vector<float> back(values.size());
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const std::uint32_t word = static_cast<std::uint32_t>(bits[i]) << 16;
    std::memcpy(&back[i], &word, sizeof word);
  }
  return back;
}

/// The dense bytes with +0 for -0.
std::vector<std::uint8_t> without_negative_zeros(const Weight& weight) {
  std::vector<std::uint8_t> bytes = weight.dense;
  const auto size = static_cast<std::size_t>(value_bytes(weight.layout.type));
  if (size == 1) return bytes;
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    bool zero = bytes[at + size - 1] == 0x80;
    for (std::size_t i = 0; i + 1 < size; ++i) zero = zero && bytes[at + i] == 0;
    if (zero) bytes[at + size - 1] = 0;
  }
  return bytes;
}

}  // namespace

TEST_CASE("pack_sparse: unpack_sparse gives the weight back", "[sparse_linear]") {
  for (const SparseType type : kTypes) {
    for (const std::int64_t rows : {0, 1, 16, 17, 63, 64, 65, 130}) {
      for (const std::int64_t cols : {0, 1, 63, 64, 65, 200}) {
        for (const double density : {0.0, 0.3, 1.0}) {
          const Weight weight({type, rows, cols}, density);
          std::vector<std::uint8_t> dense(weight.dense.size(), 0xa5);
          std::vector<float> scales(weight.scales.size());
          unpack_sparse(weight.packed.data(), static_cast<std::int64_t>(weight.packed.size()), weight.layout,
                        {dense.data(), scales.data()});
          CAPTURE(name(type), rows, cols, density);
          REQUIRE(dense == without_negative_zeros(weight));
          if (type == SparseType::kInt8) REQUIRE(same_bits(scales, weight.scales));
        }
      }
    }
  }
}

TEST_CASE("sparse_linear: the twin's bits at every density and size", "[sparse_linear]") {
  for (const SparseType type : kTypes) {
    for (const double density : {0.0, 0.05, 0.5, 1.0}) {
      for (const std::int64_t rows : {1, 64, 100, 300}) {
        for (const std::int64_t cols : {1, 8, 64, 77, 333}) {
          const Weight weight({type, rows, cols}, density);
          for (const std::int64_t m : {1, 2, 3, 4, 5, 13}) {
            const std::vector<float> x = weights(m * cols, 17);
            const SparseLinearArgs args = weight.args(x, m);
            CAPTURE(name(type), density, rows, cols, m);
            REQUIRE(same_bits(weight.times(args), weight.twin(args)));
          }
        }
      }
    }
  }
}

TEST_CASE("sparse_linear: a single weight, and groups of rows with unequal shares", "[sparse_linear]") {
  for (const SparseType type : kTypes) {
    Weight weight({type, 128, 70}, 0.0);
    const auto size = static_cast<std::size_t>(value_bytes(type));
    const Weight full({type, 128, 70}, 1.0);
    const std::vector<float> x = weights(3 * 70, 3);
    std::memcpy(weight.dense.data() + 69 * size, full.dense.data(), size);  // the last column of row 0
    weight.pack_again();
    REQUIRE(same_bits(weight.times(weight.args(x, 3)), weight.twin(weight.args(x, 3))));
    std::memcpy(weight.dense.data() + 16 * 70 * size, full.dense.data(), 16 * 70 * size);  // rows 16 to 31
    weight.pack_again();
    CAPTURE(name(type));
    REQUIRE(same_bits(weight.times(weight.args(x, 3)), weight.twin(weight.args(x, 3))));
  }
}

TEST_CASE("sparse_linear: the bits of an output depend on neither batch nor threads", "[sparse_linear]") {
  // Long rows, so that the panel takes the columns in several goes, and more tokens than it takes at once.
  const std::int64_t k = 1500, n = 300, most = 135;
  for (const SparseType type : kTypes) {
    const Weight weight({type, n, k}, 0.4);
    const std::vector<float> x = weights(most * k, 11);
    std::vector<float> alone;
    for (std::int64_t token = 0; token < most; ++token) {
      SparseLinearArgs args = weight.args(x, 1);
      args.x += token * k;
      const std::vector<float> y = weight.times(args);
      alone.insert(alone.end(), y.begin(), y.end());
    }
    for (const std::int64_t m : {2, 4, 5, 7, 64, 135}) {
      const std::int64_t first = m % 3 * (most - m) / 3;
      SparseLinearArgs args = weight.args(x, m);
      args.x += first * k;
      const std::vector<float> expected(alone.begin() + first * n, alone.begin() + (first + m) * n);
      CAPTURE(name(type), m, first);
      REQUIRE(same_bits(weight.times(args), expected));
      Pieces pieces(2, 3);
      REQUIRE(same_bits(weight.times(args, pieces), expected));
    }
  }
}

TEST_CASE("sparse_linear: values that are not finite spread as in the twin", "[sparse_linear]") {
  const std::int64_t k = 80, n = 65, m = 6;
  for (const SparseType type : kTypes) {
    const Weight weight({type, n, k}, 0.5);
    std::vector<float> x = weights(m * k, 29);
    x[3] = std::numeric_limits<float>::infinity();
    x[static_cast<std::size_t>(2 * k + 79)] = std::numeric_limits<float>::quiet_NaN();
    const SparseLinearArgs args = weight.args(x, m);
    const std::vector<float> y = weight.times(args), expected = weight.twin(args);
    std::size_t alike = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      alike += y[i] == expected[i] || (std::isnan(y[i]) && std::isnan(expected[i]));
    }
    CAPTURE(name(type));
    REQUIRE(alike == y.size());
  }
}

TEST_CASE("sparse_linear: x of bfloat16 gives the bits of fp32 products", "[sparse_linear]") {
  for (const SparseType type : kTypes) {
    for (const double density : {0.05, 0.5, 1.0}) {
      for (const std::int64_t cols : {1, 2, 31, 64, 77, 333}) {
        const Weight weight({type, 200, cols}, density);
        for (const std::int64_t m : {1, 2, 3, 13}) {
          const std::vector<float> x = rounded(weights(m * cols, 19));
          const SparseLinearArgs args = weight.args(x, m);
          CAPTURE(name(type), density, cols, m);
          REQUIRE(same_bits(weight.times(args), weight.twin(args)));
          std::vector<float> one_of_fp32 = x;
          one_of_fp32.back() += 0x1p-12f * std::abs(one_of_fp32.back());
          const SparseLinearArgs other = weight.args(one_of_fp32, m);
          REQUIRE(same_bits(weight.times(other), weight.twin(other)));
        }
      }
    }
  }
}

TEST_CASE("sparse_linear: products and sums of products keep their subnormal bits", "[sparse_linear]") {
  // A product of 2^a and 2^b with 8 significant bits each is at least 2^(a + b), and rounded sums of such products are
  // multiples of 2^(a + b - 14). Here a + b goes through all sums at which they begin to be subnormal, and x through
  // subnormal numbers of its own.
  const std::int64_t k = 70, n = 65, m = 4;
  for (const SparseType type : {SparseType::kBFloat16, SparseType::kInt8}) {
    for (int exponent = -145; exponent <= -20; ++exponent) {
      Weight weight({type, n, k}, 0.6);
      if (type == SparseType::kBFloat16) {
        std::vector<float> values = weights(n * k, 23);
        for (float& value : values) value = std::ldexp(value, -60);
        kernels::store_rounded(values.data(), n * k, weight.dense.data(), DType::kBFloat16, 0);
        weight.pack_again();
      }
      std::vector<float> x = weights(m * k, 31);
      for (float& value : x) value = std::ldexp(value, exponent);
      x = rounded(x);
      const SparseLinearArgs args = weight.args(x, m);
      CAPTURE(name(type), exponent);
      REQUIRE(same_bits(weight.times(args), weight.twin(args)));
    }
  }
  Weight weight({SparseType::kBFloat16, n, k}, 0.6);
  weight.dense[0] = 1;  // the smallest subnormal number, in row 0
  weight.dense[1] = 0;
  weight.pack_again();
  const std::vector<float> x(static_cast<std::size_t>(m * k), 0x1p100f);
  const SparseLinearArgs args = weight.args(x, m);
  REQUIRE(same_bits(weight.times(args), weight.twin(args)));
}

TEST_CASE("sparse_linear: products of pairs run where they can and only there", "[sparse_linear]") {
  const kernels::Bf16Kernels* bf16 = kernels::table().bf16;
  if (bf16 == nullptr) return;
  const std::int64_t k = 70;
  std::vector<float> pairs(64);
  const auto exponent_of = [&](const std::vector<float>& x) {
    return bf16->sparse.pack(x.data(), 1, k, 0, 1, pairs.data());
  };
  std::vector<float> x(static_cast<std::size_t>(k), 1.0f);
  REQUIRE(exponent_of(x) == 127);
  x[69] = -0x1.02p-100f;
  REQUIRE(exponent_of(x) == 27);
  x[3] = std::numeric_limits<float>::infinity();
  REQUIRE(exponent_of(x) == 27);
  REQUIRE(std::bit_cast<std::uint32_t>(pairs[1]) == 0x3f807f80);
  REQUIRE(std::bit_cast<std::uint32_t>(pairs[34]) == 0x3f808d81);
  x[5] = 0x1p-127f;
  REQUIRE(exponent_of(x) == kernels::kNoExponent);
  x[5] = 1 + 0x1p-8f;
  REQUIRE(exponent_of(x) == kernels::kNoExponent);
  REQUIRE(exponent_of(std::vector<float>(static_cast<std::size_t>(k), -0.0f)) == 254);
}

TEST_CASE("sparse_linear: fp16 weights of any bits", "[sparse_linear]") {
  Weight weight({SparseType::kFloat16, 1024, 64}, 0.0);  // all 65536, subnormals, infinities and NaN included
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    weight.dense[2 * bits] = static_cast<std::uint8_t>(bits);
    weight.dense[2 * bits + 1] = static_cast<std::uint8_t>(bits >> 8);
  }
  weight.pack_again();
  std::vector<float> x(64 * 64, 0.0f);  // one column at a time; 0 times infinity is NaN in all columns of such a row
  for (std::size_t t = 0; t < 64; ++t) x[t * 64 + t] = 1.0f;
  const SparseLinearArgs args = weight.args(x, 64);
  const std::vector<float> y = weight.times(args), expected = weight.twin(args);
  std::size_t alike = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    alike += y[i] == expected[i] || (std::isnan(y[i]) && std::isnan(expected[i]));
  }
  REQUIRE(alike == y.size());
}

TEST_CASE("sparse_linear: masks that promise too much read nothing outside", "[sparse_linear]") {
  for (const SparseType type : kTypes) {
    Weight weight({type, 64, 300}, 0.1);
    kernels::SparseTile tile;
    std::memcpy(&tile, weight.packed.data() + 64, sizeof tile);
    std::memset(weight.packed.data() + tile.masks, 0xff, 300 * 8);
    const std::vector<float> x = weights(300, 1);
    REQUIRE(weight.times(weight.args(x, 1)).size() == 64);  // sanitizers look on
    std::vector<std::uint8_t> dense(weight.dense.size());
    std::vector<float> scales(64);
    REQUIRE_THROWS_WITH(unpack_sparse(weight.packed.data(), static_cast<std::int64_t>(weight.packed.size()),
                                      weight.layout, {dense.data(), scales.data()}),
                        "unpack_sparse: packed must be bytes of pack_sparse, got masks that do not fit the values of "
                        "tile 0");
  }
}

TEST_CASE("sparse_linear: refusals", "[sparse_linear]") {
  Weight weight({SparseType::kBFloat16, 70, 10}, 0.5);
  const std::vector<float> x = weights(10, 1);
  SparseLinearArgs args = weight.args(x, 1);
  REQUIRE_THROWS_WITH(sparse_linear(args), "sparse_linear: y must not be null");
  args.m = -1;
  REQUIRE_THROWS_WITH(sparse_linear(args), "sparse_linear: m must be non-negative, got -1");
  args.layout.cols = 11;
  args.m = 1;
  REQUIRE_THROWS_WITH(sparse_linear(args),
                      "sparse_linear: packed must be of a weight [70, 11] of bfloat16, got another");
  args.layout = {SparseType::kFloat16, 70, 10};
  REQUIRE_THROWS_WITH(sparse_linear(args),
                      "sparse_linear: packed must be of a weight [70, 10] of float16, got another");
  args.layout = weight.layout;
  args.bytes = 100;
  REQUIRE_THROWS_WITH(sparse_linear(args), "sparse_linear: packed must hold 2 tiles, got 100 bytes");
  args.bytes = static_cast<std::int64_t>(weight.packed.size());
  weight.packed[64 + 8 * 5 + 6] = 1;  // the end of the first tile
  REQUIRE_THROWS_WITH(sparse_linear(args),
                      "sparse_linear: packed must be bytes of pack_sparse, got tile 0 outside of them");
  weight.packed[0] ^= 1;
  REQUIRE_THROWS_WITH(sparse_linear(args),
                      "sparse_linear: packed must be in the order of this instruction-set level, got the other");
  REQUIRE_THROWS_WITH(packed_sparse_bytes({}, {SparseType::kInt8, 1, -1}),
                      "packed_sparse_bytes: cols must be in [0, 2147483648], got -1");
  REQUIRE_THROWS_WITH(packed_sparse_bytes({weight.dense.data(), nullptr}, {SparseType::kInt8, 1, 1}),
                      "packed_sparse_bytes: scales must not be null for int8");
  REQUIRE_THROWS_WITH(parse_sparse_type("int4"),
                      "parse_sparse_type: dtype must be one of float32, float16, bfloat16, int8, got int4");
}
