// The avx512 level.
#include <immintrin.h>

#include "kernels/cpu/table.h"

namespace fairopt::kernels {
namespace {
#include "kernels/cpu/vec_avx512.inl.h"
//
#include "kernels/cpu/vec.inl.h"
}  // namespace

const KernelTable kAvx512 = {"avx512"};

}  // namespace fairopt::kernels
