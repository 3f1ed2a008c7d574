// The execution model: a thread block is as many fibers as it has threads; a fiber runs until its thread meets others
// at a barrier or in a collective of its warp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>

#include "cuda_types.h"

namespace cuda_emulation {

/// Which warp of a block goes first, as far as it can without the others, and which thread of a warp and block of a
/// grid. A kernel that forgets a barrier gives another result in one of the two orders.
enum class Order { kAscending, kDescending };

/// body() for every thread of every block, one block after another. `module`: an address in the library whose static
/// shared memory is in use. What is wrong with the launch, or how the threads behave, becomes the runtime's last error.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, const void* module, const std::function<void()>& body);

/// Ends the calling thread's kernel with an error.
[[noreturn]] void fail(const std::string& what);

/// What a block may have of dynamic shared memory.
std::size_t most_shared_bytes();

/// Dynamic shared memory of the running block.
std::byte* shared_memory();
std::size_t shared_memory_bytes();

/// Waits for all threads of the block that have not ended. Returns how many gave `flag`, and of how many.
struct Votes {
  int yes, all;
};
Votes meet_block(const char* what, const std::source_location& at, bool flag);

/// What the lanes of a warp bring to a collective. Valid until the calling lane's next one.
class WarpWords {
 public:
  static constexpr int kLanes = 32, kBytes = 48;
  /// What `lane` brought: fails unless it takes part.
  template <class T>
  const T& of(int lane) const {
    static_assert(sizeof(T) <= kBytes && alignof(T) <= 16);
    return *reinterpret_cast<const T*>(bytes(lane));
  }
  bool has(int lane) const { return present >> lane & 1; }

  std::uint32_t present = 0;
  alignas(16) std::byte values[kLanes][kBytes];

 private:
  const std::byte* bytes(int lane) const;
};
/// Waits for all lanes of `mask` that have not ended; brings `size` bytes.
const WarpWords& meet_warp(const char* what, const std::source_location& at, unsigned mask, const void* value,
                           std::size_t size);
int lane();

/// What went wrong last, in words; for cudaGetErrorString.
const std::string& failure();
/// What cudaGetLastError will say.
void set_last_error(cudaError_t error);

}  // namespace cuda_emulation

// For tests: the order, and the shared memory that a block of the device may have.
extern "C" __attribute__((visibility("default"))) void cuda_emulation_set_order(bool descending);
extern "C" __attribute__((visibility("default"))) void cuda_emulation_set_shared_bytes(std::size_t most);
