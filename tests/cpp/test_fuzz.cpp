// The fuzz targets on random bytes, so that every run of the tests, the sanitized one included, takes some.
#include <random>
#include <vector>

#include "../fuzz/read_sparse_weight.h"
#include "../fuzz/read_stored_weight.h"
#include "catch.h"

TEST_CASE("bytes that claim to be a stored or a sparse weight are refused or read within their buffers") {
  std::mt19937_64 random(20260101);
  for (int i = 0; i < 400; ++i) {
    std::vector<std::uint8_t> bytes(random() % 20000);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    REQUIRE(read_stored_weight(bytes.data(), bytes.size()) == 0);
    REQUIRE(read_sparse_weight(bytes.data(), bytes.size()) == 0);
  }
  REQUIRE(read_stored_weight(nullptr, 0) == 0);
  REQUIRE(read_sparse_weight(nullptr, 0) == 0);
}
