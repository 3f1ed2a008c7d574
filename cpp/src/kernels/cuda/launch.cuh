// How a kernel is launched, and where it finds its dynamic shared memory. The emulation that tests compile the kernels
// for has a twin of this header (tests/cpp/cuda_emulation).
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace fairopt::cuda {

/// Blocks of a grid whose threads stride over what there is to do.
inline constexpr std::int64_t kMostStridingBlocks = 65535;

/// kernel(args...) by `grid` blocks of `block` threads with `shared_bytes` of dynamic shared memory each. The error, if
/// any, is the runtime's last.
template <class... Params, class... Args>
void launch_kernel(void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                   const Args&... args) {
  constexpr std::size_t kUnasked = 48 * 1024;  // what a kernel gets without being allowed more
  if (shared_bytes > kUnasked) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  }
  kernel<<<grid, block, shared_bytes, stream>>>(args...);
}

/// In a kernel: its dynamic shared memory.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
}

}  // namespace fairopt::cuda
