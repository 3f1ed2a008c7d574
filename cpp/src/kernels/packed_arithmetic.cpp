#include "kernels/packed_arithmetic.h"

#include "kernels/packed_format.h"

namespace fairopt::kernels {

PackedLinear packed_call(const PackedLinearArgs& args, const std::int64_t* tokens, std::int64_t m) {
  const PackedLayout layout(args.layout);
  return {.packed = args.packed,
          .n = args.layout.rows,
          .k = args.layout.cols,
          .block = args.layout.block,
          .blocks = layout.blocks,
          .header_bytes = layout.header_bytes,
          .block_bytes = layout.block_bytes,
          .tile_bytes = layout.tile_bytes,
          .codes = layout.codes,
          .m = m,
          .tokens = tokens,
          .bias = args.bias,
          .lora_z = args.lora_z,
          .lora_b = args.lora_b,
          .lora_rank = args.lora_rank,
          .y = args.y};
}

std::string mode_names(const std::vector<MatmulMode>& modes) {
  std::string text;
  for (const MatmulMode mode : modes) text += (text.empty() ? "" : ", ") + std::string(name(mode));
  return text;
}

std::int64_t row_grain(std::int64_t cols) {
  constexpr std::int64_t kValues = std::int64_t{1} << 15;
  return kValues / (cols + 1) + 1;
}

std::int64_t tile_grain(std::int64_t m, std::int64_t cols) {
  constexpr std::int64_t kProducts = std::int64_t{1} << 19;
  return kProducts / (m * cols * kTileRows + 1) + 1;
}

}  // namespace fairopt::kernels
