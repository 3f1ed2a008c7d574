// The baseline level.
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

const KernelTable kBaseline = {"baseline"};

}  // namespace fairopt::kernels
