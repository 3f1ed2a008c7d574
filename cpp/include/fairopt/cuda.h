// The CUDA side: the same definitions on device buffers. The kernels live in libfairopt_cuda.so, which is opened at the
// first call (beside this library, or where FAIROPT_CUDA_LIB says), so one build serves machines with and without a
// GPU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "fairopt/double_quantize.h"
#include "fairopt/format.h"
#include "fairopt/prune.h"
#include "fairopt/quantize.h"
#include "fairopt/sparse_linear.h"

namespace fairopt::cuda {

/// Where a launch goes: a device index and a cudaStream_t of that device (null: its default stream).
struct Stream {
  int device = 0;
  void* stream = nullptr;
};

/// Whether CUDA kernels can run here.
bool usable();
/// One line that says what was found: "usable: ...", "not built: ..." or "built, not usable: ...".
const std::string& status();
/// Throws std::runtime_error `<op>: the CUDA library must be usable, got <status>` unless it is.
void require_usable(const char* op);

// All pointers are device pointers and stay valid until the stream has passed the launch; nothing is allocated and
// nothing is waited for. A refused launch throws std::runtime_error with the CUDA error's name.

/// As fairopt::quantize; codes, scales and zeros are the same bits.
void quantize(const void* source, DType dtype, const QuantizedLayout& layout, const QuantizedBuffers& out,
              Stream stream);
/// As fairopt::dequantize; the same bits.
void dequantize(const QuantizedView& in, const QuantizedLayout& layout, void* target, DType dtype, Stream stream);

/// As fairopt::double_dequantize of n codes; the same bits.
void double_dequantize(const NestedView& in, std::int64_t n, float* out, Stream stream);

/// x [m, layout.cols], bias [layout.rows] or null and y [m, layout.rows], all of `dtype`.
struct QuantizedLinearArgs {
  const void* x = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t m = 0;
  QuantizedView weight;
  QuantizedLayout layout;
  const void* bias = nullptr;
  void* y = nullptr;
  void* workspace = nullptr;  ///< quantized_linear_bytes(args) bytes on 16 bytes
};
/// Up to so many rows of x any operands have a kernel of their own, and 16-bit x up to so many on the tensor cores.
inline constexpr std::int64_t kMaxVectorRows = 8;
inline constexpr std::int64_t kMaxTensorCoreRows = 64;

/// Whether a kernel reads the codes as it multiplies. Without one, callers dequantise and multiply densely.
bool has_fused_kernel(const QuantizedLinearArgs& args);

/// As fairopt::quantized_linear, for operands with a fused kernel. fp32 x: exact weights, fp32 FMA. 16-bit x of whole
/// 16-byte rows and codes of 4 or 8 bits: tensor cores, on which codebook values carry an error of at most 2^-17; sums
/// in fp32. One rounding to `dtype`. Within each of the two kernels a row of y is the same bits whatever m.
void quantized_linear(const QuantizedLinearArgs& args, Stream stream);
std::size_t quantized_linear_bytes(const QuantizedLinearArgs& args);

/// As fairopt::packed_linear in the mode of so many planes (1: a8, 2: a16, 3: a24), on rows; the same bits. Integer
/// codes of 4 or 8 bits, m up to 65535. `workspace`: planes_bytes(layout, m) bytes on 16 bytes.
void planes_linear(const QuantizedLinearArgs& args, int planes, void* workspace, Stream stream);
std::size_t planes_bytes(const QuantizedLayout& layout, std::int64_t m);

/// As fairopt::prune_mask_model, prune_mask_rows and prune_mask_n_of_m, the same masks, for arguments that those take:
/// nothing is checked. NaN counts as larger than everything. `scores` and `masks` themselves lie in host memory;
/// `workspace`: prune_mask_model_bytes(scores) bytes on 16 bytes.
void prune_mask_model(std::span<const PruneScores> scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                      void* workspace, Stream stream);
std::size_t prune_mask_model_bytes(std::span<const PruneScores> scores);
void prune_mask_rows(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask, Stream stream);
void prune_mask_n_of_m(const PruneScores& scores, int n, int m, std::uint8_t* mask, Stream stream);

/// As fairopt::DynamicInt8LinearArgs, but x [m, k], bias [n] or null and y [m, n] are of `dtype`.
struct DynamicInt8Args {
  const void* x = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t m = 0, n = 0, k = 0;
  const std::int8_t* codes = nullptr;
  const float* scales = nullptr;
  const void* bias = nullptr;
  float threshold = 0;
  void* y = nullptr;
};
/// As fairopt::dynamic_int8_linear, with one rounding to `dtype`; the same bits. `workspace`: dynamic_int8_bytes(m, k)
/// bytes on 16 bytes.
void dynamic_int8_linear(const DynamicInt8Args& args, void* workspace, Stream stream);
std::size_t dynamic_int8_bytes(std::int64_t m, std::int64_t k);

/// As fairopt::hadamard_transform; the same bits. A block of the matrix has at most kMaxHadamardColumns columns, which
/// fit into the 163 KB of shared memory that sm_80 and the data-centre devices after it have.
inline constexpr std::int64_t kMaxHadamardColumns = 40960;
void hadamard_transform(const void* x, DType dtype, std::int64_t rows, std::int64_t cols, bool transpose, void* y,
                        Stream stream);

/// A sparse weight in rows: [rows + 1] int64 where the values of a row start, [rows] fp32 scales where they are int8,
/// [rows][ceil(cols / 32)] uint32 masks (column 0 in the lowest bit), values in row-major order. Aligned to 8 bytes.
struct SparseRows {
  const std::uint8_t* packed = nullptr;
  std::int64_t bytes = 0;
  SparseLayout layout;
};
/// As fairopt::unpack_sparse.
void unpack_sparse(const SparseRows& weight, const SparseTarget& target, Stream stream);

/// x [m, cols], bias [rows] or null and y [m, rows] of `dtype`; m up to kMaxVectorRows.
struct SparseLinearArgs {
  const void* x = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t m = 0;
  SparseRows weight;
  const void* bias = nullptr;
  void* y = nullptr;
};
/// fp32 FMA and sums, one rounding to `dtype`. A row of y is the same bits whatever m.
void sparse_linear(const SparseLinearArgs& args, Stream stream);

}  // namespace fairopt::cuda
