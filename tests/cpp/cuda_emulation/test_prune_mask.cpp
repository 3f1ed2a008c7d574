// Masks on the emulated device are those of the CPU.
#include <set>

#include "device_buffers.h"
#include "fairopt/prune.h"

using namespace emulated;

namespace {

constexpr std::int64_t kShapes[][2] = {{1, 1}, {3, 33}, {23, 64}, {3, 1000}, {1, 4113}};

/// A matrix whose scores are all different, or `rounded`: few distinct ones.
struct Matrix {
  std::int64_t rows, cols;
  Dense values;
  std::vector<float> norms;

  Matrix(std::int64_t rows_, std::int64_t cols_, DType dtype, bool rounded)
      : rows(rows_), cols(cols_), values(dtype, make(rows_ * cols_, 1, rounded)), norms(make(cols_, 2, rounded)) {
    for (float& norm : norms) norm = std::abs(norm);
  }
  PruneScores scores(bool with_norms) const {
    return {values.data(), values.dtype(), rows, cols, with_norms ? norms.data() : nullptr};
  }
  std::int64_t size() const { return rows * cols; }

 private:
  static std::vector<float> make(std::int64_t n, std::uint64_t seed, bool rounded) {
    std::vector<float> result = activations(n, seed);
    for (float& value : result) value = rounded ? std::round(value) : value;
    return result;
  }
};

using Mask = std::vector<std::uint8_t>;

Mask rubbish(std::int64_t n) { return Mask(static_cast<std::size_t>(n), 0xcc); }

std::set<std::int64_t> shares(std::int64_t n) { return {0, 1, n / 2, n - 1, n}; }

/// body(matrix, scores) for every shape, kind of scores and type.
template <class Body>
void for_each_matrix(const Body& body) {
  for (const DType dtype : kTypes) {
    for (const auto& [rows, cols] : kShapes) {
      for (const bool rounded : {false, true}) {
        const Matrix matrix(rows, cols, dtype, rounded);
        for (const bool with_norms : {false, true}) {
          CAPTURE(static_cast<int>(dtype), rows, cols, rounded, with_norms);
          body(matrix, matrix.scores(with_norms));
        }
      }
    }
  }
}

std::vector<Mask> model_masks(const std::vector<PruneScores>& scores, std::int64_t prune, bool on_cuda) {
  std::vector<Mask> masks;
  std::vector<std::uint8_t*> pointers;
  for (const PruneScores& one : scores) masks.push_back(rubbish(one.rows * one.cols));
  for (Mask& mask : masks) pointers.push_back(mask.data());
  if (on_cuda) {
    std::vector<std::uint8_t> workspace(cuda::prune_mask_model_bytes(scores), 0xff);
    cuda::prune_mask_model(scores, prune, pointers, workspace.data(), {});
  } else {
    prune_mask_model(scores, prune, pointers);
  }
  return masks;
}

}  // namespace

TEST_CASE("emulated masks of a layer are the CPU's", "[prune_mask]") {
  in_both_orders([] {
    for_each_matrix([](const Matrix& matrix, const PruneScores& scores) {
      for (const std::int64_t prune : shares(matrix.size())) {
        REQUIRE(model_masks({scores}, prune, true) == model_masks({scores}, prune, false));
      }
    });
  });
}

TEST_CASE("emulated masks of more chunks than one thread block has threads are the CPU's", "[prune_mask]") {
  const std::int64_t n = 260 * 4096 + 5;
  std::vector<float> values(static_cast<std::size_t>(n), 1.0f);
  for (std::size_t i = 0; i < values.size(); i += 3) values[i] = 0.5f;
  const PruneScores scores{values.data(), DType::kFloat32, 1, n, nullptr};
  const std::int64_t prune = n - 1000;  // of the ties nearly all: they end in the last chunk
  const std::vector<Mask> expected = model_masks({scores}, prune, false);
  in_both_orders([&] { REQUIRE(model_masks({scores}, prune, true) == expected); });
}

TEST_CASE("emulated masks of rows are the CPU's", "[prune_mask]") {
  in_both_orders([] {
    for_each_matrix([](const Matrix& matrix, const PruneScores& scores) {
      for (const std::int64_t prune : shares(matrix.cols)) {
        Mask expected = rubbish(matrix.size()), got = rubbish(matrix.size());
        prune_mask_rows(scores, prune, expected.data());
        cuda::prune_mask_rows(scores, prune, got.data(), {});
        REQUIRE(got == expected);
      }
    });
  });
}

TEST_CASE("emulated N:M masks are the CPU's", "[prune_mask]") {
  in_both_orders([] {
    for (int m = 1; m <= kMaxM; ++m) {
      for (const bool rounded : {false, true}) {
        const Matrix matrix(7, 11 * m, kTypes[m % 3], rounded);
        for (const int n : std::set<int>{1, (m + 1) / 2, m}) {
          for (const bool with_norms : {false, true}) {
            CAPTURE(n, m, rounded, with_norms);
            Mask expected = rubbish(matrix.size()), got = rubbish(matrix.size());
            prune_mask_n_of_m(matrix.scores(with_norms), n, m, expected.data());
            cuda::prune_mask_n_of_m(matrix.scores(with_norms), n, m, got.data(), {});
            REQUIRE(got == expected);
          }
        }
      }
    }
  });
}

TEST_CASE("emulated masks of a model are the CPU's", "[prune_mask]") {
  std::vector<Matrix> matrices;
  for (const auto& [rows, cols] : kShapes) {
    for (const DType dtype : kTypes) matrices.emplace_back(rows, cols, dtype, rows % 2 == 0);
  }
  matrices.emplace_back(0, 7, DType::kFloat32, false);
  std::int64_t total = 0;
  std::vector<PruneScores> scores;
  for (const Matrix& matrix : matrices) {
    scores.push_back(matrix.scores(matrix.rows % 3 == 0));
    total += matrix.size();
  }
  in_both_orders([&] {
    for (const std::int64_t prune : shares(total)) {
      CAPTURE(prune);
      REQUIRE(model_masks(scores, prune, true) == model_masks(scores, prune, false));
    }
  });
}
