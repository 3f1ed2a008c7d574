// How the packed layout reads a format: by family, so that a new dialect of a family is one line in packed_format.cpp.
#pragma once
#include <cstdint>

#include "fairopt/quantize.h"
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

/// The family of `format`; bits = 0 where it has no packed form.
PackedCodes packed_codes(Format format);

/// Where things lie in the packed form of `layout`.
struct PackedLayout {
  PackedCodes codes;
  std::int64_t tiles, blocks;
  std::int64_t header_bytes;  ///< scales and zero points before the codes of a block
  std::int64_t block_bytes;   ///< of a whole block with its header; the last of a row may be shorter
  std::int64_t tile_bytes;

  explicit PackedLayout(const QuantizedLayout& layout);
};

/// Throws std::invalid_argument `<op>: format must have a packed layout ...`.
void require_packed(Format format, const char* op);

}  // namespace fairopt::kernels
