#include "read_sparse_weight.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "bytes.h"
#include "fairopt/sparse_linear.h"

namespace {

using namespace fairopt;

constexpr SparseType kTypes[] = {SparseType::kFloat32, SparseType::kFloat16, SparseType::kBFloat16, SparseType::kInt8};

/// A weight, row by row.
struct Dense {
  std::vector<std::uint8_t> values;
  std::vector<float> scales;
};

/// As many values as fit the layout: three in four zeros where the bytes say so, signs of zeros dropped.
Dense dense_weight(const SparseLayout& layout, Bytes& bytes) {
  const auto size = static_cast<std::size_t>(value_bytes(layout.type));
  Dense dense{std::vector<std::uint8_t>(static_cast<std::size_t>(layout.rows * layout.cols) * size), {}};
  const std::uint8_t keep = bytes.next();
  for (std::size_t at = 0; at < dense.values.size() && !bytes.empty(); at += size) {
    const std::vector<std::uint8_t> value = bytes.take(size);
    const bool zero = std::all_of(value.begin(), value.end() - 1, [](std::uint8_t b) { return b == 0; });
    const bool negative_zero = size > 1 && zero && value.back() == 0x80;
    if ((value[0] & keep) == 0 && !negative_zero) {
      std::copy(value.begin(), value.end(), dense.values.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  if (layout.type == SparseType::kInt8) dense.scales = bytes.take_floats(static_cast<std::size_t>(layout.rows));
  return dense;
}

Dense unpacked(const std::vector<std::uint8_t>& packed, const SparseLayout& layout) {
  Dense dense{std::vector<std::uint8_t>(static_cast<std::size_t>(layout.rows * layout.cols * value_bytes(layout.type))),
              std::vector<float>(layout.type == SparseType::kInt8 ? static_cast<std::size_t>(layout.rows) : 0)};
  unpack_sparse(packed.data(), static_cast<std::int64_t>(packed.size()), layout,
                {dense.values.data(), dense.scales.data()});
  return dense;
}

/// Few and many rows of x, of fp32 and of bf16: all loops of the product.
void multiply(const std::vector<std::uint8_t>& packed, const SparseLayout& layout, Bytes& bytes) {
  const std::int64_t m = bytes.next() % 9;
  std::vector<float> x = bytes.take_floats(static_cast<std::size_t>(m * layout.cols));
  if (bytes.next() % 2 == 0) std::fill(x.begin(), x.end(), 1.5f);
  std::vector<float> y(static_cast<std::size_t>(m * layout.rows));
  sparse_linear({.x = x.data(),
                 .m = m,
                 .packed = packed.data(),
                 .bytes = static_cast<std::int64_t>(packed.size()),
                 .layout = layout,
                 .bias = nullptr,
                 .y = y.data()});
}

/// Refused or read within bounds.
template <class Read>
void try_to(const Read& read) {
  try {
    read();
  } catch (const std::invalid_argument&) {
    // bytes that pack_sparse did not make
  }
}

/// Some bytes elsewhere than they should be, and perhaps an end that comes early.
void spoil(std::vector<std::uint8_t>& packed, Bytes& bytes) {
  for (int changes = bytes.next() % 8; changes > 0; --changes) {
    const std::size_t at = bytes.next() | static_cast<std::size_t>(bytes.next()) << 8;
    const std::uint8_t length = bytes.next() % 16, value = bytes.next();
    for (std::size_t i = at; i < std::min(at + length, packed.size()); ++i) packed[i] = value;
  }
  if (bytes.next() % 4 == 0) {
    packed.resize(packed.size() - std::min<std::size_t>(packed.size(), bytes.next() * 71u));
    packed.shrink_to_fit();
  }
}

void read(Bytes& bytes) {
  SparseLayout layout{kTypes[bytes.next() % 4], bytes.next() % 200, bytes.next()};
  const bool whole = bytes.next() % 2 == 0;
  std::vector<std::uint8_t> packed;
  if (whole) {
    const Dense dense = dense_weight(layout, bytes);
    const SparseSource source{dense.values.data(), dense.scales.data()};
    packed.resize(static_cast<std::size_t>(packed_sparse_bytes(source, layout)));
    pack_sparse(source, layout, packed.data());
    const Dense again = unpacked(packed, layout);
    if (again.values != dense.values) std::abort();
    if (!dense.scales.empty() && std::memcmp(again.scales.data(), dense.scales.data(), 4 * dense.scales.size()) != 0) {
      std::abort();
    }
    multiply(packed, layout, bytes);
    spoil(packed, bytes);
  } else {
    packed = bytes.take(64 * static_cast<std::size_t>(bytes.next()) + bytes.next());
  }
  try_to([&] { unpacked(packed, layout); });
  try_to([&] { multiply(packed, layout, bytes); });
}

}  // namespace

int read_sparse_weight(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  read(bytes);
  return 0;
}
