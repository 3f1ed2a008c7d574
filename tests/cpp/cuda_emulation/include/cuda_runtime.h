// Of the CUDA runtime what the kernels use, for g++: qualifiers, built-in variables, vector types, host functions. A
// device's memory is the host's, a stream is always idle. docs/architecture.md says what that can show and what not.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "cuda_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// One copy an OS thread, which runs one block after another; filled with rubbish before each (block.cpp).
#define __shared__ static thread_local

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount = 16, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
struct cudaDeviceProp {
  char name[256];
};
using cudaStream_t = struct CUstream_st*;

cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaGetLastError();
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);

#include "device_functions.h"
