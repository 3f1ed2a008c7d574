// What the loader asks before it trusts the library: which interface, which devices, how an error is called.
#include <cuda_runtime.h>

#include <cstdio>

#include "kernels/cuda/launchers.h"

int fairopt_cuda_abi() { return fairopt::cuda::kCudaAbi; }

int fairopt_cuda_probe(fairopt::cuda::Probe* probe) {
  cudaRuntimeGetVersion(&probe->runtime_version);
  cudaDriverGetVersion(&probe->driver_version);
  cudaError_t error = cudaGetDeviceCount(&probe->devices);
  if (error == cudaSuccess && probe->devices > 0) {
    cudaDeviceProp properties;
    error = cudaGetDeviceProperties(&properties, 0);
    if (error == cudaSuccess) std::snprintf(probe->device_name, sizeof probe->device_name, "%s", properties.name);
  }
  cudaGetLastError();  // the runtime keeps an error until it is read; a later launch must not report this one
  return error;
}

const char* fairopt_cuda_error_name(int error) { return cudaGetErrorName(static_cast<cudaError_t>(error)); }
const char* fairopt_cuda_error_string(int error) { return cudaGetErrorString(static_cast<cudaError_t>(error)); }
