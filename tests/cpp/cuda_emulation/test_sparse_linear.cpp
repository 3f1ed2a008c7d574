// Sparse weights in rows on the emulated device: the inverse of packing, products against float64, bytes that lie.
#include <limits>
#include <random>

#include "device_buffers.h"
#include "fairopt/sparse_linear.h"

using namespace emulated;

namespace {

constexpr SparseType kSparseTypes[] = {SparseType::kFloat32, SparseType::kFloat16, SparseType::kBFloat16,
                                       SparseType::kInt8};

/// A weight of which a share is not zero, dense and packed in rows (docs/formats.md, "Sparse weights").
struct SparseWeight {
  SparseLayout layout;
  std::vector<std::uint8_t> dense;
  std::vector<float> values, scales;  ///< values as numbers, without their scales
  std::vector<std::uint8_t> packed;

  SparseWeight(SparseLayout l, double density) : layout(l), scales(weights(l.rows, 2)) {
    std::mt19937_64 random(static_cast<std::uint64_t>(l.rows * l.cols + 1));
    values = activations(l.rows * l.cols, 3);
    for (float& value : values) {
      if (static_cast<double>(random() >> 11) * 0x1p-53 >= density) value = 0.0f;
      if (l.type == SparseType::kInt8) value = std::trunc(std::fmod(value * 100.0f, 128.0f));
    }
    if (l.type == SparseType::kInt8) {
      for (const float value : values) dense.push_back(static_cast<std::uint8_t>(static_cast<std::int8_t>(value)));
    } else {
      const Dense rounded(static_cast<DType>(l.type), values);  // the types have the same order
      dense = rounded.bytes();
      values = rounded.values();
    }
    pack();
  }
  cuda::SparseRows rows() const { return {packed.data(), static_cast<std::int64_t>(packed.size()), layout}; }
  double scale(std::int64_t row) const { return layout.type == SparseType::kInt8 ? scales[row] : 1.0; }
  std::int64_t words() const { return (layout.cols + 31) / 32; }

 private:
  template <class T>
  void append(const std::vector<T>& part) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(part.data());
    packed.insert(packed.end(), bytes, bytes + part.size() * sizeof(T));
  }
  void pack() {
    std::vector<std::int64_t> starts{0};
    std::vector<std::uint32_t> masks(static_cast<std::size_t>(layout.rows * words()));
    std::vector<std::uint8_t> kept;
    const auto size = static_cast<std::size_t>(value_bytes(layout.type));
    for (std::int64_t row = 0; row < layout.rows; ++row) {
      for (std::int64_t col = 0; col < layout.cols; ++col) {
        const auto at = static_cast<std::size_t>(row * layout.cols + col);
        if (values[at] == 0.0f) continue;
        masks[static_cast<std::size_t>(row * words() + col / 32)] |= 1u << col % 32;
        kept.insert(kept.end(), &dense[at * size], &dense[at * size] + size);
      }
      starts.push_back(static_cast<std::int64_t>(kept.size() / size));
    }
    append(starts);
    if (layout.type == SparseType::kInt8) append(scales);
    append(masks);
    append(kept);
  }
};

std::vector<float> product(const SparseWeight& w, const Dense& x, const Dense& bias, std::int64_t m) {
  Dense y(x.dtype(), m * w.layout.rows);
  cuda::sparse_linear(
      {.x = x.data(), .dtype = x.dtype(), .m = m, .weight = w.rows(), .bias = bias.data(), .y = y.data()}, {});
  return y.values();
}

void check_product(const SparseWeight& w, DType dtype, std::int64_t m) {
  const auto [type, rows, cols] = w.layout;
  const Dense x(dtype, activations(m * cols, 4)), bias(dtype, activations(rows, 5));
  const std::vector<float> x_values = x.values(), bias_values = bias.values(), y = product(w, x, bias, m);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t row = 0; row < rows; ++row) {
      double exact = bias_values[row], magnitude = std::abs(bias_values[row]);
      for (std::int64_t col = 0; col < cols; ++col) {
        const double term = w.scale(row) * w.values[row * cols + col] * x_values[i * cols + col];
        exact += term, magnitude += std::abs(term);
      }
      // At most k products and additions in fp32, then one rounding to the type.
      const double sums = static_cast<double>(cols + 8) * 0x1p-24 * magnitude;
      const double bound = sums + half_ulp(dtype) * (std::abs(exact) + sums) + 0x1p-25;
      REQUIRE(std::abs(y[i * rows + row] - exact) <= bound);
    }
  }
}

constexpr struct {
  std::int64_t rows, cols;
  double density;
} kSizes[] = {{1, 1, 1.0}, {5, 31, 0.5}, {9, 1024, 0.3}, {12, 1057, 0.5}, {3, 200, 0.0}};

}  // namespace

TEST_CASE("emulated unpack_sparse is the inverse of packing", "[sparse_linear]") {
  for (const SparseType type : kSparseTypes) {
    for (const auto& [rows, cols, density] : kSizes) {
      CAPTURE(name(type), rows, cols);
      const SparseWeight w({type, rows, cols}, density);
      in_both_orders([&] {
        std::vector<std::uint8_t> dense(w.dense.size(), 0xcc);
        std::vector<float> scales(w.scales.size(), -1.0f);
        cuda::unpack_sparse(w.rows(), {dense.data(), scales.data()}, {});
        for (std::size_t i = 0; i < w.values.size(); ++i) {  // zeros come back as +0
          const auto size = static_cast<std::size_t>(value_bytes(type));
          const std::vector<std::uint8_t> expected =
              w.values[i] == 0.0f ? std::vector<std::uint8_t>(size)
                                  : std::vector<std::uint8_t>(&w.dense[i * size], &w.dense[i * size] + size);
          REQUIRE(std::equal(expected.begin(), expected.end(), &dense[i * size]));
        }
        if (type == SparseType::kInt8) REQUIRE(same(scales, w.scales));
      });
    }
  }
}

TEST_CASE("emulated sparse_linear agrees with float64", "[sparse_linear]") {
  for (const SparseType type : kSparseTypes) {
    for (const auto& [rows, cols, density] : kSizes) {
      const SparseWeight w({type, rows, cols}, density);
      in_both_orders([&] {
        for (const DType dtype : kTypes) {
          for (const std::int64_t m : {0, 1, 2, 3, 5, 8}) {
            CAPTURE(name(type), rows, cols, static_cast<int>(dtype), m);
            check_product(w, dtype, m);
          }
        }
      });
    }
  }
}

TEST_CASE("an emulated row of sparse_linear is the same bits whatever the other rows", "[sparse_linear]") {
  const SparseWeight w({SparseType::kBFloat16, 20, 1057}, 0.5);
  const Dense x(DType::kFloat32, activations(8 * 1057, 4)), bias(DType::kFloat32, activations(20, 5));
  const std::vector<float> all = product(w, x, bias, 8);
  for (std::int64_t m = 1; m < 8; ++m) {
    REQUIRE(same(product(w, x, bias, m), {all.begin(), all.begin() + m * 20}));
  }
}

TEST_CASE("emulated sparse kernels read nothing outside of bytes that lie", "[sparse_linear]") {
  for (const SparseType type : kSparseTypes) {
    SparseWeight w({type, 4, 70}, 0.5);
    const Dense x(DType::kFloat32, activations(70, 4)), bias(DType::kFloat32, activations(4, 5));
    for (const std::int64_t start :
         {std::int64_t{1} << 40, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
      std::memcpy(&w.packed[8], &start, sizeof start);  // of row 1; AddressSanitizer watches the reads
      REQUIRE_NOTHROW(product(w, x, bias, 1));
      std::vector<std::uint8_t> dense(w.dense.size());
      std::vector<float> scales(4);
      REQUIRE_NOTHROW(cuda::unpack_sparse(w.rows(), {dense.data(), scales.data()}, {}));
    }
    w.packed.resize(static_cast<std::size_t>(8 * 5 + 4 * 4 * w.words() - 1));  // not even the masks
    REQUIRE_THROWS_WITH(product(w, x, bias, 1), Catch::Matchers::ContainsSubstring("cudaErrorInvalidValue"));
  }
}
