// Who runs the loops of the operators: torch's threads on the CPU, torch's current stream on CUDA.
#include <dlfcn.h>

#include <exception>
#include <mutex>
#include <stdexcept>

#include "torch_ops.h"

namespace fairopt::ops {

int TorchExecutor::threads() const { return static_cast<int>(torch::stable::get_num_threads()); }

void TorchExecutor::parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) {
  // torch's parallel_for is a C boundary here: what an exception says does not cross it, so it is carried around.
  std::exception_ptr first;
  std::once_flag once;
  torch::stable::parallel_for(begin, end, grain, [&](std::int64_t lo, std::int64_t hi) {
    try {
      body(lo, hi);
    } catch (...) {
      std::call_once(once, [&] { first = std::current_exception(); });
    }
  });
  if (first) std::rethrow_exception(first);
}

cuda::Stream current_stream(const Tensor& tensor) {
  // The symbol lives in libtorch_cuda.so alone. A reference to it would keep this library from loading beside a CPU
  // build of torch; a CUDA tensor proves that libtorch_cuda.so is loaded already.
  using GetStream = AOTITorchError (*)(std::int32_t, void**);
  static const auto get_stream = [] {
    void* handle = dlopen("libtorch_cuda.so", RTLD_NOLOAD | RTLD_LAZY);
    return reinterpret_cast<GetStream>(handle ? dlsym(handle, "aoti_torch_get_current_cuda_stream") : nullptr);
  }();
  const int device = tensor.get_device_index();
  void* stream = nullptr;
  if (get_stream == nullptr || get_stream(device, &stream) != 0) {
    throw std::runtime_error("current_stream: torch gave no CUDA stream for device " + std::to_string(device));
  }
  return {device, stream};
}

}  // namespace fairopt::ops
