#include "fairopt/cpu_capability.h"

#include <cpuid.h>
#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>

#include "kernels/cpu/table.h"

namespace fairopt {
namespace {

struct Level {
  const kernels::KernelTable* table;
  bool supported;
};

#if defined(FAIROPT_HAVE_AVX512_VNNI)
/// The table of CPUs with VNNI, with what VBMI2 and AVX-512 BF16 do better where they are too. Like all here,
/// __builtin_cpu_supports asks whether the system keeps the registers, too.
const kernels::KernelTable& vnni_table() {
  static const kernels::KernelTable made = [] {
    kernels::KernelTable table = kernels::kAvx512Vnni;
#if defined(FAIROPT_HAVE_AVX512_VBMI2)
    if (__builtin_cpu_supports("avx512vbmi2")) table.sparse = kernels::kVbmi2Sparse;
#endif
#if defined(FAIROPT_HAVE_AVX512_BF16)
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
        __builtin_cpu_supports("avx512bf16")) {
      table.bf16 = &kernels::kAvx512Bf16;
    }
#endif
    return table;
  }();
  return made;
}
#endif

#if defined(FAIROPT_HAVE_AVX2)
/// Conversions of fp16, which __builtin_cpu_supports of clang before 15 does not know by name.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

std::vector<Level> levels() {
  std::vector<Level> all{{&kernels::kBaseline, true}};
#if defined(FAIROPT_HAVE_AVX2)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  all.push_back({&kernels::kAvx2, avx2});
#endif
#if defined(FAIROPT_HAVE_AVX512)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("fma") && has_f16c();
  all.push_back({&kernels::kAvx512, avx512});
#endif
#if defined(FAIROPT_HAVE_AVX512_VNNI)
  all.push_back({&vnni_table(), avx512 && __builtin_cpu_supports("avx512vnni")});
#endif
  return all;
}

const kernels::KernelTable& choose() {
  const char* forced = std::getenv("FAIROPT_CPU_CAPABILITY");
  const kernels::KernelTable* best = nullptr;
  std::string known;
  for (const Level& level : levels()) {
    if (level.supported) known += (known.empty() ? "" : ", ") + std::string(level.table->name);
    if (forced != nullptr ? forced == std::string_view(level.table->name) && level.supported : level.supported) {
      best = level.table;
    }
  }
  if (best == nullptr) {
    throw std::runtime_error(
        fmt::format("cpu_capability: FAIROPT_CPU_CAPABILITY must be one of {} on this machine, got {}", known, forced));
  }
  return *best;
}

}  // namespace

const kernels::KernelTable& kernels::table() {
  static const KernelTable& chosen = choose();
  return chosen;
}

const kernels::KernelTable* kernels::find_table(const char* name) {
  for (const Level& level : levels()) {
    if (level.supported && level.table->name == std::string_view(name)) return level.table;
  }
  return nullptr;
}

std::string_view cpu_capability() { return kernels::table().name; }

std::vector<std::string> cpu_capabilities() {
  std::vector<std::string> names;
  for (const Level& level : levels()) {
    if (level.supported) names.emplace_back(level.table->name);
  }
  return names;
}

}  // namespace fairopt
