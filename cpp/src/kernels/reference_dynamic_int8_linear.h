// The plain twin of dynamic_int8_linear: one product at a time, in the order of the definition.
#pragma once
#include <vector>

#include "fairopt/dynamic_int8_linear.h"

namespace fairopt::kernels::reference {

std::vector<float> dynamic_int8_linear(const DynamicInt8LinearArgs& args);  // y [m, n]; args.y is not looked at

}  // namespace fairopt::kernels::reference
