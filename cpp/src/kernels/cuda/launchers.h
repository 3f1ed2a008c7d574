// The C doors of libfairopt_cuda.so. Both sides are built from this header; kCudaAbi tells a stale library apart.
// A launcher returns a cudaError_t, leaves the caller's current device as it was and never allocates or waits.
#pragma once
#include <cstddef>
#include <cstdint>

#include "fairopt/cuda.h"
#include "fairopt/prune.h"
#include "fairopt/quantize.h"
#include "kernels/formats.h"

namespace fairopt::cuda {

inline constexpr int kCudaAbi = 5;  // raise with every change of a signature or a struct below

struct Probe {
  int devices = 0;
  int runtime_version = 0;  ///< 1000 * major + 10 * minor
  int driver_version = 0;   ///< likewise, 0 without a driver
  char device_name[256] = {};
};

/// Whether the tensor-core kernel takes the operands: 16-bit x, codes of 4 or 8 bits, rows in whole vector loads.
inline bool fits_tensor_cores(const QuantizedLinearArgs& args) {
  const int bits = formats::kSpecs[static_cast<int>(args.layout.format)].bits;
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  const bool reached = args.layout.rows * args.layout.cols <= 0x7fffffff;  // by 32-bit offsets
  return reached && args.m <= kMaxTensorCoreRows && args.dtype != DType::kFloat32 && (bits == 4 || bits == 8) &&
         args.layout.cols % 16 == 0 && aligned(args.x) && aligned(args.weight.codes);
}

}  // namespace fairopt::cuda

#define FAIROPT_CUDA_DOOR extern "C" __attribute__((visibility("default")))

FAIROPT_CUDA_DOOR int fairopt_cuda_abi();
FAIROPT_CUDA_DOOR int fairopt_cuda_probe(fairopt::cuda::Probe* probe);
FAIROPT_CUDA_DOOR const char* fairopt_cuda_error_name(int error);
FAIROPT_CUDA_DOOR const char* fairopt_cuda_error_string(int error);
FAIROPT_CUDA_DOOR int fairopt_cuda_quantize(const void* source, fairopt::DType dtype,
                                            const fairopt::QuantizedLayout* layout,
                                            const fairopt::QuantizedBuffers* out, int device, void* stream);
FAIROPT_CUDA_DOOR int fairopt_cuda_dequantize(const fairopt::QuantizedView* in, const fairopt::QuantizedLayout* layout,
                                              void* target, fairopt::DType dtype, int device, void* stream);
FAIROPT_CUDA_DOOR std::size_t fairopt_cuda_planes_bytes(const fairopt::QuantizedLayout* layout, std::int64_t m);
FAIROPT_CUDA_DOOR int fairopt_cuda_planes_linear(const fairopt::cuda::QuantizedLinearArgs* args, int planes,
                                                 void* workspace, int device, void* stream);
FAIROPT_CUDA_DOOR int fairopt_cuda_quantized_linear(const fairopt::cuda::QuantizedLinearArgs* args, int device,
                                                    void* stream);
FAIROPT_CUDA_DOOR std::size_t fairopt_cuda_prune_mask_model_bytes(const fairopt::PruneScores* scores,
                                                                  std::size_t count);
FAIROPT_CUDA_DOOR int fairopt_cuda_prune_mask_model(const fairopt::PruneScores* scores, std::size_t count,
                                                    std::int64_t prune, std::uint8_t* const* masks, void* workspace,
                                                    int device, void* stream);
FAIROPT_CUDA_DOOR int fairopt_cuda_prune_mask_rows(const fairopt::PruneScores* scores, std::int64_t prune,
                                                   std::uint8_t* mask, int device, void* stream);
FAIROPT_CUDA_DOOR int fairopt_cuda_prune_mask_n_of_m(const fairopt::PruneScores* scores, int n, int m,
                                                     std::uint8_t* mask, int device, void* stream);
