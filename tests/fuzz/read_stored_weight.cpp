#include "read_stored_weight.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bytes.h"
#include "fairopt/packed_linear.h"
#include "fairopt/quantize.h"

namespace {

using namespace fairopt;

struct Stored {
  QuantizedLayout layout;
  std::vector<std::uint8_t> codes, zeros;
  std::vector<float> scales, float_zeros;

  QuantizedView view() const { return {codes.data(), scales.data(), zeros.data(), float_zeros.data()}; }
  QuantizedBuffers buffers() { return {codes.data(), scales.data(), zeros.data(), float_zeros.data()}; }
};

Stored sized(const QuantizedLayout& layout) {
  const auto blocks = static_cast<std::size_t>(layout.rows * layout.blocks_per_row());
  Stored stored{.layout = layout, .codes = {}, .zeros = {}, .scales = {}, .float_zeros = {}};
  stored.codes.resize(static_cast<std::size_t>(layout.rows * layout.bytes_per_row()));
  stored.scales.resize(blocks);
  stored.zeros.resize(zero_point(layout.format) == ZeroPoint::kInteger ? blocks : 0);
  stored.float_zeros.resize(zero_point(layout.format) == ZeroPoint::kFloat ? blocks : 0);
  return stored;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Rows -> tiles -> rows must give every bit back, and every mode must stay within the tiles.
void read_packed(const Stored& stored, Bytes& bytes) {
  const auto size = static_cast<std::size_t>(packed_bytes(stored.layout));
  const std::unique_ptr<std::uint8_t, decltype(&std::free)> packed(
      static_cast<std::uint8_t*>(std::aligned_alloc(64, (size + 63) / 64 * 64)), &std::free);
  pack(stored.view(), stored.layout, packed.get());
  Stored again = sized(stored.layout);
  unpack(packed.get(), stored.layout, again.buffers());
  const bool whole_bytes = stored.layout.cols * code_bits(stored.layout.format) % 8 == 0;  // no bits left over
  if (whole_bytes && again.codes != stored.codes) std::abort();
  if (again.zeros != stored.zeros || !same_bits(again.scales, stored.scales)) std::abort();
  if (!same_bits(again.float_zeros, stored.float_zeros)) std::abort();

  const std::int64_t m = bytes.next() % 4;
  const std::vector<float> x = bytes.take_floats(static_cast<std::size_t>(m * stored.layout.cols));
  std::vector<float> y(static_cast<std::size_t>(m * stored.layout.rows));
  for (const MatmulMode mode : matmul_modes(stored.layout.format)) {
    packed_linear(
        {.x = x.data(), .m = m, .packed = packed.get(), .layout = stored.layout, .mode = mode, .y = y.data()});
  }
}

void read(Bytes& bytes) {
  QuantizedLayout layout;
  layout.format = static_cast<Format>(bytes.next() % kFormatCount);
  layout.rows = bytes.next() % 131;
  layout.cols = bytes.next();
  layout.block = 4 * (bytes.next() % 40);  // one in four is a multiple of 16
  check(layout, "read_stored_weight");
  Stored stored = sized(layout);
  stored.codes = bytes.take(stored.codes.size());
  stored.zeros = bytes.take(stored.zeros.size());
  stored.scales = bytes.take_floats(stored.scales.size());
  stored.float_zeros = bytes.take_floats(stored.float_zeros.size());

  std::vector<float> values(static_cast<std::size_t>(layout.rows * layout.cols));
  dequantize(stored.view(), layout, values.data(), DType::kFloat32);
  dequantize(stored.view(), layout, values.data(), DType::kBFloat16);
  if (layout.cols > 0 && layout.rows > 0) read_packed(stored, bytes);
}

}  // namespace

int read_stored_weight(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  try {
    read(bytes);
  } catch (const std::invalid_argument&) {
    // a layout that cannot be is refused
  }
  return 0;
}
