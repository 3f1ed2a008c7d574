// The avx512 level.
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

const KernelTable kAvx512 = {"avx512"};

}  // namespace fairopt::kernels
