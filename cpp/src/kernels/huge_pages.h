// Pages of 2 MB for large buffers.
#pragma once
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdint>

namespace fairopt::kernels {

/// Asks for pages of 2 MB where memory has not been touched yet: at every new page a stream to or from memory stalls,
/// which at 4 KB costs a product with one token a fifth of its speed, and a new mask most of it. A wish: where it is
/// refused, nothing is lost.
inline void prefer_huge_pages([[maybe_unused]] std::uint8_t* memory, [[maybe_unused]] std::int64_t bytes) {
#if defined(__linux__)
  constexpr std::uintptr_t kPage = std::uintptr_t{1} << 21;
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + kPage - 1) / kPage * kPage;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + static_cast<std::uintptr_t>(bytes)) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace fairopt::kernels
