// The avx512_vnni level.
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

const KernelTable kAvx512Vnni = {"avx512_vnni"};

}  // namespace fairopt::kernels
