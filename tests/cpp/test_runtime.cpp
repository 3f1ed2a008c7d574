#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "catch.h"
#include "fairopt/cpu_capability.h"
#include "fairopt/executor.h"

TEST_CASE("parallel_for covers every index once, whatever the grain", "[runtime]") {
  for (const std::int64_t n : {0, 1, 2, 7, 1000}) {
    for (const std::int64_t grain : {1, 3, 10000}) {
      std::vector<std::atomic<int>> hits(static_cast<std::size_t>(n));
      fairopt::default_executor().parallel_for(0, n, grain, [&](std::int64_t lo, std::int64_t hi) {
        for (std::int64_t i = lo; i < hi; ++i) ++hits[static_cast<std::size_t>(i)];
      });
      for (const auto& hit : hits) REQUIRE(hit == 1);
    }
  }
}

TEST_CASE("parallel_for passes on an exception of a body and survives it", "[runtime]") {
  auto& executor = fairopt::default_executor();
  REQUIRE_THROWS_AS(executor.parallel_for(0, 100, 1, [](std::int64_t, std::int64_t) { throw std::runtime_error("x"); }),
                    std::runtime_error);
  std::atomic<int> sum = 0;
  executor.parallel_for(0, 100, 1, [&](std::int64_t lo, std::int64_t hi) { sum += static_cast<int>(hi - lo); });
  REQUIRE(sum == 100);
}

TEST_CASE("parallel_for inside parallel_for runs inline", "[runtime]") {
  std::atomic<int> sum = 0;
  auto& executor = fairopt::default_executor();
  executor.parallel_for(0, 8, 1, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t i = lo; i < hi; ++i) {
      executor.parallel_for(0, 10, 1, [&](std::int64_t a, std::int64_t b) { sum += static_cast<int>(b - a); });
    }
  });
  REQUIRE(sum == 80);
}

TEST_CASE("the chosen level is one of those the machine has", "[runtime]") {
  const auto levels = fairopt::cpu_capabilities();
  REQUIRE(levels.front() == "baseline");
  REQUIRE(std::find(levels.begin(), levels.end(), fairopt::cpu_capability()) != levels.end());
}
