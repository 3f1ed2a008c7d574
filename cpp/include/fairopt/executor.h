// Who runs a loop: fairopt has no OpenMP. Standalone programs use the small pool below; inside torch the operators
// hand in torch's own parallel_for, so that one process never holds two competing thread teams.
#pragma once
#include <cstdint>
#include <functional>

namespace fairopt {

/// Runs body(lo, hi) over disjoint ranges that cover [begin, end), each at least `grain` long but the last.
/// The result of every fairopt kernel is the same bits whatever the split.
class Executor {
 public:
  using Body = std::function<void(std::int64_t lo, std::int64_t hi)>;
  virtual ~Executor() = default;
  virtual int threads() const = 0;
  /// Blocks until all ranges are done; rethrows the first exception of a body.
  virtual void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) = 0;
};

/// The process-wide pool: FAIROPT_NUM_THREADS threads, or one a hardware thread.
Executor& default_executor();

}  // namespace fairopt
