// Which instruction-set level the CPU kernels run on.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace fairopt {

/// The level chosen when the library was first used: "baseline", "avx2", "avx512" or "avx512_vnni".
/// The environment variable FAIROPT_CPU_CAPABILITY forces one; throws std::runtime_error when its value is unknown or
/// when this CPU (or build) lacks the level.
std::string_view cpu_capability();
/// All levels that this CPU and this build can run, the plainest first.
std::vector<std::string> cpu_capabilities();

}  // namespace fairopt
