#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// void switch_stacks(void** from, void* to): what a call must preserve, onto the stack; the same from the other one.
extern "C" __attribute__((visibility("hidden"))) void cuda_emulation_switch_stacks(void** from, void* to);
asm(R"(
.text
.hidden cuda_emulation_switch_stacks
.globl cuda_emulation_switch_stacks
.type cuda_emulation_switch_stacks, @function
cuda_emulation_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_emulation_switch_stacks, .-cuda_emulation_switch_stacks
)");

namespace cuda_emulation {
namespace {

constexpr std::size_t kGuard = 4096;  // the page below a stack, so that an overflow stops at once
constexpr std::size_t kStack = 128 * 1024;
constexpr std::size_t kSaved = 6;  // registers that a switch finds on a stack, below the address to go on at

}  // namespace

Fiber::Fiber() {
  void* memory =
      mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kGuard, PROT_NONE);
  stack_ = static_cast<std::byte*>(memory) + kGuard;
}

Fiber::~Fiber() { munmap(stack_ - kGuard, kGuard + kStack); }

void Fiber::start(void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, kStack);  // frames that were left and not returned from
#endif
  auto* top = reinterpret_cast<std::uintptr_t*>(stack_ + kStack);
  *--top = 0;  // where entry() would return to; also what the ABI asks of the alignment
  *--top = reinterpret_cast<std::uintptr_t>(entry);
  for (std::size_t i = 0; i < kSaved; ++i) *--top = 0;
  own_ = top;
  fake_ = nullptr;
}

void Fiber::resume() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&owner_fake_, stack_, kStack);
#endif
  cuda_emulation_switch_stacks(&owner_, own_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(owner_fake_, nullptr, nullptr);
#endif
}

void Fiber::arrive() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_, &owner_bottom_, &owner_size_);
#endif
}

void Fiber::suspend([[maybe_unused]] bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_, owner_bottom_, owner_size_);
#endif
  cuda_emulation_switch_stacks(&own_, owner_);
  arrive();
}

}  // namespace cuda_emulation
