// The table that each ISA level exports. Kernels know pointers and sizes; they run on a range of rows and never
// allocate, check or start threads. This header is included by the ISA files: <cstdint> only.
#pragma once
#include <cstdint>

namespace fairopt::kernels {

struct KernelTable {
  const char* name;
};

extern const KernelTable kBaseline;
extern const KernelTable kAvx2;
extern const KernelTable kAvx512;
extern const KernelTable kAvx512Vnni;

/// The level chosen for this process (runtime/cpu_capability.cpp).
const KernelTable& table();

}  // namespace fairopt::kernels
