// Sparse weights where the CPU has AVX-512 VBMI2: a part of the avx512_vnni level.
#include <immintrin.h>

#include "kernels/cpu/table.h"
#include "kernels/formats.h"

namespace fairopt::kernels {
namespace {
// clang-format off
#include "kernels/cpu/vec_avx512.inl.h"
#include "kernels/cpu/quantized_linear_avx512.inl.h"
#include "kernels/cpu/packed_exact_avx512.inl.h"
#include "kernels/cpu/vec.inl.h"
#include "kernels/cpu/packed_codes.inl.h"
#include "kernels/cpu/packed_words_f32.inl.h"
#include "kernels/cpu/panel_product.inl.h"
#include "kernels/cpu/sparse_values.inl.h"
#include "kernels/cpu/sparse_by_value.inl.h"
#include "kernels/cpu/sparse_product.inl.h"
#include "kernels/cpu/sparse_linear.inl.h"
// clang-format on
}  // namespace

const SparseKernels kVbmi2Sparse = {kSparseByValue, &sparse_linear, &sparse_linear_scratch};

}  // namespace fairopt::kernels
