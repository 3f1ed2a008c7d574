// The avx2 level.
#include <immintrin.h>

#include "kernels/cpu/table.h"

namespace fairopt::kernels {
namespace {
#include "kernels/cpu/vec_avx2.inl.h"
//
#include "kernels/cpu/vec.inl.h"
}  // namespace

const KernelTable kAvx2 = {"avx2"};

}  // namespace fairopt::kernels
