// The avx2 level.
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

const KernelTable kAvx2 = {"avx2"};

}  // namespace fairopt::kernels
