#include "bind.h"
#include "fairopt/cuda.h"

namespace fairopt::bindings {

void bind_cuda(pybind11::module_& m) {
  m.def("cuda_status", &cuda::status,
        "One line that says whether the CUDA kernels can run here: 'usable: ...', 'not built: ...' or\n"
        "'built, not usable: ...'. Opens libfairopt_cuda.so, which lies beside this module or where FAIROPT_CUDA_LIB "
        "says.");
}

}  // namespace fairopt::bindings
