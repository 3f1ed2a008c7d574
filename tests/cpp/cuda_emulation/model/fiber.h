// A stack of its own that code runs on, one of many in an OS thread. x86-64.
#pragma once
#include <cstddef>

namespace cuda_emulation {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Throws away what the fiber was doing; the next resume() calls entry(), which must not return.
  void start(void (*entry)());
  /// By the owner: runs the fiber until it calls suspend().
  void resume();
  /// By the fiber: back to the owner. `for_good`: it will not be resumed before it is started again.
  void suspend(bool for_good = false);
  /// The first thing that entry() does.
  void arrive();

 private:
  std::byte* stack_;
  void* own_ = nullptr;  // stack pointers of the two sides while they do not run
  void* owner_ = nullptr;
  void* fake_ = nullptr;  // what AddressSanitizer wants to know of the two stacks
  void* owner_fake_ = nullptr;
  const void* owner_bottom_ = nullptr;
  std::size_t owner_size_ = 0;
};

}  // namespace cuda_emulation
