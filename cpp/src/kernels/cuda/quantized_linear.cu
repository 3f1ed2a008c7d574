// The door of quantized_linear: which kernel takes the operands.
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/linear.cuh"

int fairopt_cuda_quantized_linear(const fairopt::cuda::QuantizedLinearArgs* args, int device, void* stream) {
  using namespace fairopt::cuda;
  if (args->layout.cols > kMaxCols || args->layout.rows > kMaxCols ||
      (args->m > kMaxVectorRows && !fits_tensor_cores(*args))) {
    return cudaErrorInvalidValue;
  }
  if (args->m == 0 || args->layout.rows == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    const LinearProblem p(*args);
    if (fits_tensor_cores(*args)) {
      launch_tensor_cores(p, s);
    } else {
      launch_vectors(p, s);
    }
  });
}
