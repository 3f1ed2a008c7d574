// The baseline level.
#include "kernels/cpu/table.h"
#include "kernels/formats.h"

namespace fairopt::kernels {
namespace {
// clang-format off
#include "kernels/cpu/vec_baseline.inl.h"
#include "kernels/cpu/quantized_linear_baseline.inl.h"
#include "kernels/cpu/packed_exact_baseline.inl.h"
#include "kernels/cpu/sparse_expand_baseline.inl.h"
#include "kernels/cpu/packed_lines.inl.h"
#include "kernels/cpu/packed_planes_baseline.inl.h"
#include "kernels/cpu/packed_sums_portable.inl.h"
#include "kernels/cpu/int8_dots_baseline.inl.h"
#include "kernels/cpu/kernels.inl.h"
// clang-format on
}  // namespace

const KernelTable kBaseline = make_table("baseline");

}  // namespace fairopt::kernels
