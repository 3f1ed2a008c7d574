#include "block.h"

#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "cuda_runtime.h"
#include "fiber.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace cuda_emulation {
namespace {

constexpr int kMostThreads = 1024;
constexpr unsigned kMostBlocksDown = 65535;

/// A barrier or a collective of a warp, again and again. While threads wait for it: which one it is.
struct Meeting {
  const char* what = nullptr;
  std::source_location at;
  std::uint64_t done = 0;  // how often it has come about

  bool is(const char* other, const std::source_location& there) const {
    return std::strcmp(what, other) == 0 && at.line() == there.line();
  }
  std::string text() const { return fmt::format("{} ({}:{})", what, at.file_name(), at.line()); }
};

struct Warp {
  Meeting meeting;
  unsigned alive = 0, arrived = 0, mask = 0;
  WarpWords words[2];  // of this meeting and the one before, which slow lanes still read
};

struct Thread {
  uint3 index{};
  bool ended = false;
  const Meeting* awaited = nullptr;  // since it had come about `seen` times
  std::uint64_t seen = 0;

  bool waits() const { return awaited != nullptr && awaited->done == seen; }
};

struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  Meeting barrier;
  int alive = 0, arrived = 0, yes = 0;
  Votes votes[2]{};  // as the words of a warp
  bool failed = false;
  std::size_t current = 0;
};

/// Thrown by fail(), so that what the thread holds is let go of.
struct Failure {
  std::string what;
};

struct FreeAligned {
  void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{128}); }
};

Block block;
std::vector<std::unique_ptr<Fiber>> fibers;
const std::function<void()>* kernel = nullptr;
std::unique_ptr<std::byte, FreeAligned> dynamic_memory;
std::size_t dynamic_bytes = 0;
Order order = Order::kAscending;
std::string last_failure;
std::size_t most_shared = 163 * 1024;  // of sm_80, the oldest that the kernels are built for

Thread& current() { return block.threads[block.current]; }
Warp& current_warp() { return block.warps[block.current / WarpWords::kLanes]; }

std::string place() {
  const auto text = [](const uint3& at) { return fmt::format("({}, {}, {})", at.x, at.y, at.z); };
  return fmt::format("thread {} of block {}", text(threadIdx), text(blockIdx));
}

void wait_for(const Meeting& meeting, std::uint64_t seen) {
  current().awaited = &meeting;
  current().seen = seen;
  fibers[block.current]->suspend();
}

void join(Meeting& meeting, bool first, const char* what, const std::source_location& at) {
  if (first) {
    meeting.what = what;
    meeting.at = at;
  } else if (!meeting.is(what, at)) {
    fail(fmt::format("{} comes to {} (line {}) while others wait at {}", place(), what, at.line(), meeting.text()));
  }
}

void complete_barrier_if_all() {
  if (block.arrived == 0 || block.arrived < block.alive) return;
  block.votes[block.barrier.done % 2] = {block.yes, block.arrived};
  block.arrived = block.yes = 0;
  ++block.barrier.done;
}

void complete_collective_if_all(Warp& warp) {
  const unsigned expected = warp.mask & warp.alive;
  if (warp.arrived == 0 || (warp.arrived & expected) != expected) return;
  warp.arrived = 0;
  ++warp.meeting.done;
}

[[noreturn]] void thread_main() {
  fibers[block.current]->arrive();
  try {
    (*kernel)();
  } catch (const Failure& failure) {
    last_failure = failure.what;
    block.failed = true;  // no thread of the block goes on
  }
  current().ended = true;
  --block.alive;
  current_warp().alive &= ~(1u << lane());
  complete_barrier_if_all();  // those who have ended are not waited for
  complete_collective_if_all(current_warp());
  fibers[block.current]->suspend(true);
  __builtin_unreachable();
}

void start_block() {
  const std::size_t count = std::size_t{blockDim.x} * blockDim.y * blockDim.z;
  block = {};
  block.threads.resize(count);
  block.warps.resize((count + WarpWords::kLanes - 1) / WarpWords::kLanes);
  block.alive = static_cast<int>(count);
  while (fibers.size() < count) fibers.push_back(std::make_unique<Fiber>());
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = static_cast<unsigned>(i);
    block.threads[i].index = {at % blockDim.x, at / blockDim.x % blockDim.y, at / blockDim.x / blockDim.y};
    block.warps[i / WarpWords::kLanes].alive |= 1u << i % WarpWords::kLanes;
    fibers[i]->start(thread_main);
  }
}

/// The i-th of n in the order of the day.
std::size_t in_order(std::size_t i, std::size_t n) { return order == Order::kAscending ? i : n - 1 - i; }

/// One turn of every thread of a warp that need not wait. Whether there was one.
bool run_turn(std::size_t warp) {
  bool moved = false;
  const std::size_t first = warp * WarpWords::kLanes;
  const std::size_t lanes = std::min<std::size_t>(block.threads.size() - first, WarpWords::kLanes);
  for (std::size_t i = 0; i < lanes && !block.failed; ++i) {
    block.current = first + in_order(i, lanes);
    if (current().ended || current().waits()) continue;
    threadIdx = current().index;
    fibers[block.current]->resume();
    moved = true;
  }
  return moved;
}

/// Every warp as far as it can without the others: as far apart as warps can be. Whether one moved.
bool run_warps() {
  bool moved = false;
  for (std::size_t i = 0; i < block.warps.size(); ++i) {
    while (run_turn(in_order(i, block.warps.size()))) moved = true;
  }
  return moved;
}

/// Whether it came to its end.
bool run_block() {
  start_block();
  while (block.alive > 0 && !block.failed) {
    if (run_warps() || block.failed) continue;
    block.failed = true;
    for (block.current = 0; current().ended; ++block.current) {
    }
    threadIdx = current().index;
    last_failure = fmt::format("{} waits for ever at {}", place(), current().awaited->text());
  }
  return !block.failed;
}

struct Bytes {
  void* data = nullptr;
  std::size_t size = 0;
};

/// The thread-local storage of the library that `address` lies in: its kernels' static shared memory.
Bytes static_shared_memory(const void* address) {
  struct Search {
    ElfW(Addr) address;
    Bytes found;
  } search{reinterpret_cast<ElfW(Addr)>(address), {}};
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* data) {
        auto& wanted = *static_cast<Search*>(data);
        bool inside = false;
        std::size_t size = 0;
        for (int i = 0; i < library->dlpi_phnum; ++i) {
          const auto& part = library->dlpi_phdr[i];
          const ElfW(Addr) begin = library->dlpi_addr + part.p_vaddr;
          inside |= part.p_type == PT_LOAD && wanted.address - begin < part.p_memsz;
          if (part.p_type == PT_TLS) size = part.p_memsz;
        }
        if (inside && library->dlpi_tls_data != nullptr) wanted.found = {library->dlpi_tls_data, size};
        return inside ? 1 : 0;
      },
      &search);
  return search.found;
}

/// NaN in one order, large finite numbers in the other: a maximum takes no notice of NaN.
void poison(Bytes memory) {
  if (memory.size > 0) std::memset(memory.data, order == Order::kAscending ? 0xff : 0x7f, memory.size);
}

cudaError_t check_launch(dim3 grid, dim3 threads, std::size_t shared_bytes) {
  const std::uint64_t count = std::uint64_t{threads.x} * threads.y * threads.z;
  if (count == 0 || count > kMostThreads) return cudaErrorInvalidConfiguration;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaErrorInvalidConfiguration;
  if (grid.x > 0x7fffffff || grid.y > kMostBlocksDown || grid.z > kMostBlocksDown) return cudaErrorInvalidConfiguration;
  return shared_bytes > most_shared ? cudaErrorInvalidValue : cudaSuccess;
}

}  // namespace

void run_grid(dim3 grid, dim3 threads, std::size_t shared_bytes, const void* module,
              const std::function<void()>& body) {
  const cudaError_t refusal = check_launch(grid, threads, shared_bytes);
  if (refusal != cudaSuccess) return set_last_error(refusal);
  gridDim = grid, blockDim = threads;
  kernel = &body;
  dynamic_memory.reset(static_cast<std::byte*>(::operator new(shared_bytes, std::align_val_t{128})));
  dynamic_bytes = shared_bytes;
  const Bytes static_memory = static_shared_memory(module);
  const std::uint64_t count = std::uint64_t{grid.x} * grid.y * grid.z;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = order == Order::kAscending ? i : count - 1 - i;
    blockIdx = {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                static_cast<unsigned>(at / grid.x / grid.y)};
    poison(static_memory);
    poison({dynamic_memory.get(), dynamic_bytes});
    if (!run_block()) return set_last_error(cudaErrorLaunchFailure);
  }
}

void fail(const std::string& what) { throw Failure{what}; }

std::size_t most_shared_bytes() { return most_shared; }
std::byte* shared_memory() { return dynamic_memory.get(); }
std::size_t shared_memory_bytes() { return dynamic_bytes; }
const std::string& failure() { return last_failure; }
int lane() { return static_cast<int>(block.current % WarpWords::kLanes); }

Votes meet_block(const char* what, const std::source_location& at, bool flag) {
  join(block.barrier, block.arrived == 0, what, at);
  const std::uint64_t seen = block.barrier.done;
  ++block.arrived;
  block.yes += flag;
  complete_barrier_if_all();
  if (block.barrier.done == seen) wait_for(block.barrier, seen);
  return block.votes[seen % 2];
}

const WarpWords& meet_warp(const char* what, const std::source_location& at, unsigned mask, const void* value,
                           std::size_t size) {
  Warp& warp = current_warp();
  const unsigned own = 1u << lane();
  const std::uint64_t seen = warp.meeting.done;
  WarpWords& words = warp.words[seen % 2];
  join(warp.meeting, warp.arrived == 0, what, at);
  if (warp.arrived == 0) {
    warp.mask = mask;
    words.present = 0;
  }
  if (mask != warp.mask || (mask & own) == 0)
    fail(fmt::format("{} has another mask at {}", place(), warp.meeting.text()));
  std::memcpy(words.values[lane()], value, size);
  words.present |= own;
  warp.arrived |= own;
  complete_collective_if_all(warp);
  if (warp.meeting.done == seen) wait_for(warp.meeting, seen);
  return words;
}

const std::byte* WarpWords::bytes(int lane) const {
  if (lane < 0 || lane >= kLanes || !has(lane)) {
    fail(fmt::format("{} asks lane {}, which takes no part", place(), lane));
  }
  return values[lane];
}

}  // namespace cuda_emulation

void cuda_emulation_set_order(bool descending) {
  cuda_emulation::order = descending ? cuda_emulation::Order::kDescending : cuda_emulation::Order::kAscending;
}

void cuda_emulation_set_shared_bytes(std::size_t most) { cuda_emulation::most_shared = most; }
