// libFuzzer's entry: cmake --preset fuzz && cmake --build --preset fuzz && build/fuzz/tests/fuzz/fuzz_stored_weight
#include "read_stored_weight.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return read_stored_weight(data, size);
}
