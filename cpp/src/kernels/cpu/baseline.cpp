// The baseline level.
#include "kernels/cpu/table.h"

namespace fairopt::kernels {
namespace {
#include "kernels/cpu/vec_baseline.inl.h"
//
#include "kernels/cpu/vec.inl.h"
}  // namespace

const KernelTable kBaseline = {"baseline"};

}  // namespace fairopt::kernels
