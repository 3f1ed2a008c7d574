// Kernels with mistakes, for the tests of the emulation itself.
#include "kernels/cuda/launch.cuh"
#include "mistaken_kernels.h"

namespace fairopt::cuda {
namespace {

constexpr int kThreads = 64;

/// Turns the values of a block round. Without the barrier a thread reads what another has not yet written.
__global__ void reverse(float* values, bool with_barrier) {
  __shared__ float all[kThreads];
  all[threadIdx.x] = values[threadIdx.x];
  if (with_barrier) __syncthreads();
  values[threadIdx.x] = all[kThreads - 1 - threadIdx.x];
}

/// As reverse, in dynamic shared memory.
__global__ void reverse_dynamic(float* values) {
  float* all = dynamic_shared<float>();
  all[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = all[kThreads - 1 - threadIdx.x];
}

__global__ void barrier_of_some() {
  if (threadIdx.x == 3) __shfl_sync(0xffffffff, 1, 0);
  __syncthreads();
}

__global__ void barriers_at_two_places() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void barrier_after_some_left(float* values) {
  if (threadIdx.x >= 32) return;
  __syncthreads();
  values[threadIdx.x] = 1.0f;
}

__global__ void shuffle_from_a_lane_that_left(float* values) {
  if (threadIdx.x % 32 == 7) return;
  values[threadIdx.x] = __shfl_sync(0xffffffff, values[threadIdx.x], 7);
}

__global__ void misaligned_load(float* values) { values[0] = __ldg(reinterpret_cast<const float4*>(values + 1)).x; }

}  // namespace
}  // namespace fairopt::cuda

cudaError_t launch_mistaken(Mistake mistake, float* values) {
  using namespace fairopt::cuda;
  switch (mistake) {
    case Mistake::kNone:
      launch_kernel(reverse, 1, kThreads, 0, nullptr, values, true);
      break;
    case Mistake::kNoneDynamic:
      launch_kernel(reverse_dynamic, 1, kThreads, kThreads * sizeof(float), nullptr, values);
      break;
    case Mistake::kNoBarrier:
      launch_kernel(reverse, 1, kThreads, 0, nullptr, values, false);
      break;
    case Mistake::kBarrierOfSome:
      launch_kernel(barrier_of_some, 1, kThreads, 0, nullptr);
      break;
    case Mistake::kBarriersAtTwoPlaces:
      launch_kernel(barriers_at_two_places, 1, kThreads, 0, nullptr);
      break;
    case Mistake::kLeftBeforeBarrier:
      launch_kernel(barrier_after_some_left, 1, kThreads, 0, nullptr, values);
      break;
    case Mistake::kShuffleFromGone:
      launch_kernel(shuffle_from_a_lane_that_left, 1, kThreads, 0, nullptr, values);
      break;
    case Mistake::kMisaligned:
      launch_kernel(misaligned_load, 1, 1, 0, nullptr, values);
      break;
    case Mistake::kTooManyThreads:
      launch_kernel(reverse, 1, 1025, 0, nullptr, values, true);
      break;
    case Mistake::kTooMuchMemory:
      launch_kernel(reverse_dynamic, 1, kThreads, 200 * 1024, nullptr, values);
      break;
  }
  return cudaGetLastError();
}

const char* error_of_mistake(cudaError_t error) { return cudaGetErrorString(error); }
