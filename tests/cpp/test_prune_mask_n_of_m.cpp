// N:M of 16-bit scores by their bits, and masks that go past the caches, on every ISA level.
#include <cmath>
#include <numeric>
#include <tuple>

#include "catch.h"
#include "fairopt/prune.h"
#include "kernels/reference_prune_mask.h"
#include "kernels/reference_quantize.h"
#include "levels.h"
#include "matrices.h"

using namespace fairopt;

TEST_CASE("prune_mask_n_of_m: 16-bit scores by their bits, on the levels that have it and by the door",
          "[prune_mask]") {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    for (const int m : {2, 4, 8, 16}) {
      for (const std::int64_t groups : {1, 7, 8, 9, 33, 2000}) {
        std::vector<std::uint16_t> halves;
        std::vector<float> score;
        std::int32_t largest = 0;
        for (const float any : weights(groups * m, static_cast<std::uint64_t>(groups))) {
          const float value = std::nearbyint(any * 50.0f) / 50.0f;  // few values: many are equal
          const bool f16 = dtype == DType::kFloat16;
          halves.push_back(f16 ? kernels::reference::to_f16(value) : kernels::reference::to_bf16(value));
          score.push_back(f16 ? kernels::reference::from_f16(halves.back())
                              : kernels::reference::from_bf16(halves.back()));
          largest = std::max(largest, halves.back() & 0x7fff);
        }
        for (int n = 1; n <= m; ++n) {
          CAPTURE(n, m, groups);
          const std::vector<std::uint8_t> expected = kernels::reference::prune_mask_n_of_m(score, n, m);
          std::vector<std::uint8_t> mask(halves.size(), 0xcc);
          prune_mask_n_of_m({halves.data(), dtype, 1, groups * m}, n, m, mask.data());
          REQUIRE(mask == expected);
          for (const kernels::KernelTable* level : runnable_levels()) {
            if (level->n_of_m_16 == nullptr || m > 8) continue;
            CAPTURE(level->name);
            std::fill(mask.begin(), mask.end(), std::uint8_t{0xcc});
            REQUIRE(level->n_of_m_16(halves.data(), groups * m, n, m, mask.data()) == largest);
            REQUIRE(mask == expected);
          }
        }
      }
    }
  }
}

TEST_CASE("prune_mask_n_of_m: 16-bit NaN and infinity are refused", "[prune_mask]") {
  using Catch::Matchers::Equals;
  std::vector<std::uint16_t> score(200, 0x3c00);
  std::vector<std::uint8_t> mask(200);
  const auto call = [&](DType dtype) { prune_mask_n_of_m({score.data(), dtype, 2, 100}, 2, 4, mask.data()); };
  for (const auto& [dtype, bad, finite] : {std::tuple{DType::kFloat16, 0xfc00, 0x7bff},
                                           {DType::kFloat16, 0x7e00, 0xfbff},
                                           {DType::kBFloat16, 0x7f80, 0xff7f},
                                           {DType::kBFloat16, 0xffc0, 0x7f7f}}) {
    score[177] = static_cast<std::uint16_t>(bad);
    REQUIRE_THROWS_WITH(call(dtype), Equals("prune_mask_n_of_m: score must be finite, got 1 NaN or infinite values"));
    score[177] = static_cast<std::uint16_t>(finite);
    REQUIRE_NOTHROW(call(dtype));
  }
}

TEST_CASE("prune_mask: every level copies past the caches, wherever memory begins", "[prune_mask]") {
  std::vector<std::uint8_t> from(400), to(600);
  std::iota(from.begin(), from.end(), std::uint8_t{1});
  for (const kernels::KernelTable* level : runnable_levels()) {
    for (const std::int64_t n : {0, 1, 63, 64, 65, 128, 400}) {
      for (const std::size_t first : {0, 1, 17, 63, 64}) {
        CAPTURE(level->name, n, first);
        std::fill(to.begin(), to.end(), std::uint8_t{0xcc});
        std::vector<std::uint8_t> expected = to;
        std::copy_n(from.begin(), n, expected.begin() + static_cast<std::ptrdiff_t>(first));
        level->stream_bytes(from.data(), n, to.data() + first);
        level->fence_streams();
        REQUIRE(to == expected);
      }
    }
  }
}
