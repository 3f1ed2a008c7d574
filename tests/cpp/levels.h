// The kernel tables of every level this machine can run: kernels are compared with their twins on each of them
// directly.
#pragma once
#include <vector>

#include "fairopt/cpu_capability.h"
#include "kernels/cpu/table.h"

inline std::vector<const fairopt::kernels::KernelTable*> runnable_levels() {
  std::vector<const fairopt::kernels::KernelTable*> levels;
  for (const std::string& name : fairopt::cpu_capabilities()) {
    levels.push_back(fairopt::kernels::find_table(name.c_str()));
  }
  return levels;
}
