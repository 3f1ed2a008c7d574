// The C doors of libfairopt_cuda.so. Both sides are built from this header; kCudaAbi tells a stale library apart.
// A launcher returns a cudaError_t, leaves the caller's current device as it was and never allocates or waits.
#pragma once
#include <cstdint>

#include "fairopt/cuda.h"
#include "fairopt/quantize.h"

namespace fairopt::cuda {

inline constexpr int kCudaAbi = 2;  // raise with every change of a signature or a struct below

/// Which formats have kernels there; callers refuse the others.
inline constexpr bool has_kernels(Format format) { return format <= Format::kFp4; }

struct Probe {
  int devices = 0;
  int runtime_version = 0;  ///< 1000 * major + 10 * minor
  int driver_version = 0;   ///< likewise, 0 without a driver
  char device_name[256] = {};
};

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
FAIROPT_CUDA_DOOR int fairopt_cuda_quantized_linear(const fairopt::cuda::QuantizedLinearArgs* args, int device,
                                                    void* stream);
