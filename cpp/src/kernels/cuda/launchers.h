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

inline constexpr int kCudaAbi = 7;  // raise with every change of a signature or a struct below

struct Probe {
  int devices = 0;
  int runtime_version = 0;  ///< 1000 * major + 10 * minor
  int driver_version = 0;   ///< likewise, 0 without a driver
  char device_name[256] = {};
};

/// hadamard_transform of `rows` rows with `blocks` blocks of order * power columns (fairopt/hadamard_transform.h).
struct HadamardArgs {
  const void* x;
  void* y;
  DType dtype;
  std::int64_t rows, blocks;
  int order, power;
  bool transpose;
  float scale;
  std::uint32_t signs[256 * 256 / 32];  ///< bit i * order + j: whether entry (i, j) of the outer matrix is -1
};

/// Whether the tensor-core kernel takes the operands: 16-bit x, codes of 4 or 8 bits, whole k-steps in a block, rows in
/// whole vector loads.
inline bool fits_tensor_cores(const QuantizedLinearArgs& args) {
  const int bits = formats::kSpecs[static_cast<int>(args.layout.format)].bits;
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  constexpr std::int64_t kMostRows = 65535 * 16;  // of a grid
  const bool reached =
      args.layout.rows <= kMostRows && args.layout.rows * args.layout.cols <= 0x7fffffff;  // by 32-bit offsets
  return reached && args.m <= kMaxTensorCoreRows && args.dtype != DType::kFloat32 && (bits == 4 || bits == 8) &&
         args.layout.cols % 32 == 0 && args.layout.block % 32 == 0 && aligned(args.x) && aligned(args.weight.codes);
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
FAIROPT_CUDA_DOOR int fairopt_cuda_double_dequantize(const std::uint8_t* codes, const float* nested_scales,
                                                     const float* nested_offset, std::int64_t n, float* out, int device,
                                                     void* stream);
FAIROPT_CUDA_DOOR std::size_t fairopt_cuda_dynamic_int8_bytes(std::int64_t m, std::int64_t k);
FAIROPT_CUDA_DOOR int fairopt_cuda_dynamic_int8_linear(const fairopt::cuda::DynamicInt8Args* args, void* workspace,
                                                       int device, void* stream);
FAIROPT_CUDA_DOOR int fairopt_cuda_hadamard_transform(const fairopt::cuda::HadamardArgs* args, int device,
                                                      void* stream);
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
FAIROPT_CUDA_DOOR int fairopt_cuda_unpack_sparse(const fairopt::cuda::SparseRows* weight,
                                                 const fairopt::SparseTarget* target, int device, void* stream);
FAIROPT_CUDA_DOOR int fairopt_cuda_sparse_linear(const fairopt::cuda::SparseLinearArgs* args, int device, void* stream);
