// libFuzzer's entry: cmake --preset fuzz && cmake --build --preset fuzz && build/fuzz/tests/fuzz/fuzz_sparse_weight
#include "read_sparse_weight.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return read_sparse_weight(data, size);
}
