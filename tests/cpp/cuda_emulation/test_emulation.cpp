// The emulation itself: kernels without a mistake run, mistakes are errors or wrong results, never a hang.
#include <numeric>
#include <string>

#include "device_buffers.h"
#include "model/mistaken_kernels.h"

using namespace emulated;

namespace {

std::vector<float> counted() {
  std::vector<float> values(64);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

/// What a kernel makes of the values; it must end without an error.
std::vector<float> result(Mistake mistake) {
  std::vector<float> values = counted();
  REQUIRE(launch_mistaken(mistake, values.data()) == cudaSuccess);
  return values;
}

void require_error(Mistake mistake, cudaError_t error, const std::string& text) {
  in_both_orders([&] {
    std::vector<float> values = counted();
    REQUIRE(launch_mistaken(mistake, values.data()) == error);
    REQUIRE_THAT(error_of_mistake(error), Catch::Matchers::ContainsSubstring(text));
    REQUIRE(same(result(Mistake::kNone), std::vector<float>(result(Mistake::kNoneDynamic))));  // and it goes on
  });
}

}  // namespace

TEST_CASE("emulated threads meet at barriers", "[emulation]") {
  std::vector<float> reversed = counted();
  std::reverse(reversed.begin(), reversed.end());
  in_both_orders([&] {
    REQUIRE(same(result(Mistake::kNone), reversed));
    REQUIRE(same(result(Mistake::kNoneDynamic), reversed));
    // In both orders, for the thread in the other half of the block comes later in one and in the other.
    REQUIRE_FALSE(same(result(Mistake::kNoBarrier), reversed));
    REQUIRE(result(Mistake::kLeftBeforeBarrier).front() == 1.0f);
  });
}

TEST_CASE("emulated mistakes are reported", "[emulation]") {
  require_error(Mistake::kBarrierOfSome, cudaErrorLaunchFailure, "waits for ever at __syncthreads");
  require_error(Mistake::kBarriersAtTwoPlaces, cudaErrorLaunchFailure, "while others wait at __syncthreads");
  require_error(Mistake::kShuffleFromGone, cudaErrorLaunchFailure, "asks lane 7, which takes no part");
  require_error(Mistake::kMisaligned, cudaErrorLaunchFailure, "misaligned address");
  require_error(Mistake::kTooManyThreads, cudaErrorInvalidConfiguration, "refused");
  require_error(Mistake::kTooMuchMemory, cudaErrorInvalidValue, "refused");
}
