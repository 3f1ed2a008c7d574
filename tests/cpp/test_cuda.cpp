#include <stdexcept>
#include <string>

#include "catch.h"
#include "fairopt/cuda.h"

TEST_CASE("without a usable CUDA library every CUDA door says what was found", "[cuda]") {
  namespace cuda = fairopt::cuda;
  const std::string& status = cuda::status();
  if (cuda::usable()) {
    REQUIRE(status.starts_with("usable: "));
    REQUIRE_NOTHROW(cuda::require_usable("some_op"));
    return;
  }
  REQUIRE((status.starts_with("not built: ") || status.starts_with("built, not usable: ")));
  const auto message = [&](const std::string& op) { return op + ": the CUDA library must be usable, got " + status; };
  REQUIRE_THROWS_WITH(cuda::require_usable("some_op"), message("some_op"));
  REQUIRE_THROWS_WITH(cuda::quantize(nullptr, fairopt::DType::kFloat32, {}, {}, {}), message("quantize"));
  REQUIRE_THROWS_WITH(cuda::dequantize({}, {}, nullptr, fairopt::DType::kFloat32, {}), message("dequantize"));
  REQUIRE_THROWS_WITH(cuda::quantized_linear({}, {}), message("quantized_linear"));
  REQUIRE_THROWS_WITH(cuda::prune_mask_model({}, 0, {}, nullptr, {}), message("prune_mask_model"));
  REQUIRE_THROWS_WITH(cuda::prune_mask_rows({}, 0, nullptr, {}), message("prune_mask_rows"));
  REQUIRE_THROWS_WITH(cuda::prune_mask_n_of_m({}, 2, 4, nullptr, {}), message("prune_mask_n_of_m"));
}
