// The avx512 level.
#include <immintrin.h>

#include "kernels/cpu/table.h"
#include "kernels/formats.h"

namespace fairopt::kernels {
namespace {
// clang-format off
#include "kernels/cpu/vec_avx512.inl.h"
#include "kernels/cpu/quantized_linear_avx512.inl.h"
#include "kernels/cpu/packed_exact_avx512.inl.h"
#include "kernels/cpu/sparse_expand_avx512.inl.h"
#include "kernels/cpu/packed_lines.inl.h"
#include "kernels/cpu/packed_planes_avx512.inl.h"
#include "kernels/cpu/packed_sums_maddubs.inl.h"
#include "kernels/cpu/int8_dots_avx512.inl.h"
#include "kernels/cpu/kernels.inl.h"
#include "kernels/cpu/n_of_m_16_avx512.inl.h"
// clang-format on
}  // namespace

const KernelTable kAvx512 = make_table("avx512", &n_of_m_16);

}  // namespace fairopt::kernels
