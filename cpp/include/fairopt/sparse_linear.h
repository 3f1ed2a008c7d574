// y = x W^T + bias with W sparse: what a CPU keeps in memory of a pruned layer while a model runs. docs/formats.md
// draws the layout ("Sparse weights").
#pragma once
#include <cstdint>
#include <string_view>

#include "fairopt/executor.h"

namespace fairopt {

/// Element type of the values that a sparse weight keeps. int8 values have one fp32 scale a row.
enum class SparseType : std::uint8_t { kFloat32, kFloat16, kBFloat16, kInt8 };

/// "float32", "float16", "bfloat16", "int8".
std::string_view name(SparseType type);
/// The type of that name. Throws std::invalid_argument `<op>: dtype must be one of ...`.
SparseType parse_sparse_type(std::string_view name, const char* op = "parse_sparse_type");
/// Bytes of a value.
int value_bytes(SparseType type);

/// W [rows, cols].
struct SparseLayout {
  SparseType type = SparseType::kFloat32;
  std::int64_t rows = 0, cols = 0;
};

/// W row-major and dense, of the layout's type; `scales` [rows] where values are int8, else ignored. Both zeros count
/// as nothing, everything else is kept to the bit.
struct SparseSource {
  const void* weight = nullptr;
  const float* scales = nullptr;
};
struct SparseTarget {
  void* weight = nullptr;
  float* scales = nullptr;
};

/// Bytes of the packed form, which depend on where the zeros lie: a row's own share where they lie evenly.
std::int64_t packed_sparse_bytes(const SparseSource& source, const SparseLayout& layout,
                                 Executor& executor = default_executor());
/// Dense rows -> packed [packed_sparse_bytes(source, layout)].
void pack_sparse(const SparseSource& source, const SparseLayout& layout, std::uint8_t* packed,
                 Executor& executor = default_executor());
/// The inverse, bit for bit but for the sign of zeros, which come back as +0. Throws std::invalid_argument for bytes
/// that pack_sparse did not make of this layout.
void unpack_sparse(const std::uint8_t* packed, std::int64_t bytes, const SparseLayout& layout,
                   const SparseTarget& target, Executor& executor = default_executor());

/// x [m, layout.cols] fp32, packed [bytes] of `layout`, bias [layout.rows] or null -> y [m, layout.rows] fp32. Weights
/// count with their exact value and zeros too (0 times infinity is NaN), in fp32, one fused multiply-add a weight. An
/// output is the same bits whatever m, the place of its row and the number of threads. Nothing may overlap y. Throws
/// std::invalid_argument; bytes that pack_sparse did not make give any numbers, but nothing is read outside of them.
struct SparseLinearArgs {
  const float* x = nullptr;
  std::int64_t m = 0;
  const std::uint8_t* packed = nullptr;
  std::int64_t bytes = 0;
  SparseLayout layout;
  const float* bias = nullptr;
  float* y = nullptr;
};
void sparse_linear(const SparseLinearArgs& args, Executor& executor = default_executor());

}  // namespace fairopt
