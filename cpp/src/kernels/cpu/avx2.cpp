// The avx2 level.
#include <immintrin.h>

#include "kernels/cpu/table.h"
#include "kernels/formats.h"

namespace fairopt::kernels {
namespace {
// clang-format off
#include "kernels/cpu/vec_avx2.inl.h"
#include "kernels/cpu/quantized_linear_avx2.inl.h"
#include "kernels/cpu/packed_exact_avx2.inl.h"
#include "kernels/cpu/sparse_expand_avx2.inl.h"
#include "kernels/cpu/packed_lines.inl.h"
#include "kernels/cpu/packed_planes_avx2.inl.h"
#include "kernels/cpu/packed_sums_maddubs.inl.h"
#include "kernels/cpu/int8_dots_avx2.inl.h"
#include "kernels/cpu/kernels.inl.h"
// clang-format on
}  // namespace

const KernelTable kAvx2 = make_table("avx2");

}  // namespace fairopt::kernels
