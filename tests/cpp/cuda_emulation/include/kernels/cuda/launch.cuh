// The emulation's twin of cpp/src/kernels/cuda/launch.cuh.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "block.h"

namespace fairopt::cuda {

inline constexpr std::int64_t kMostStridingBlocks = 3;  // so few that they come round again

template <class... Params, class... Args>
void launch_kernel(void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t,
                   const Args&... args) {
  cuda_emulation::run_grid(grid, block, shared_bytes, reinterpret_cast<const void*>(kernel), [&] { kernel(args...); });
}

template <class T>
T* dynamic_shared() {
  static_assert(alignof(T) <= 128);
  return reinterpret_cast<T*>(cuda_emulation::shared_memory());
}

}  // namespace fairopt::cuda
