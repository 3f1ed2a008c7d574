// y = x W^T + bias with W in the packed layout: what a CPU keeps in memory while a model runs. docs/formats.md draws
// it.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "fairopt/executor.h"
#include "fairopt/quantize.h"

namespace fairopt {

/// The arithmetic of a product with quantised weights. docs/formats.md has the error bound of each.
enum class MatmulMode : std::uint8_t {
  kExact,  ///< fp32 activations, one FMA a weight, or pairs of bf16 to the same bits where x and the CPU have them
  kA8,     ///< activations rounded to 8 bits a block, exact integer sums
  kA16,    ///< 16 bits
  kA24,    ///< 24 bits: the accuracy of fp32
  kI16,    ///< codebook formats: 16-bit codebook and 16-bit activations
};

/// "exact", "a8", "a16", "a24", "i16".
std::string_view name(MatmulMode mode);
/// The mode of that name. Throws std::invalid_argument `<op>: mode must be one of ...`.
MatmulMode parse_matmul_mode(std::string_view name, const char* op = "parse_matmul_mode");
/// The modes that packed weights of a format can be multiplied in.
std::vector<MatmulMode> matmul_modes(Format format);
/// The fastest one as accurate as fp32. For integer codes kA24 where the CPU has VNNI, but where x is `bf16` kExact if
/// it has AVX-512 BF16 too; else kExact.
MatmulMode default_matmul_mode(Format format, bool bf16 = false);

/// Bytes of the packed form: whole tiles of 64 rows, each with its scales and zero points.
/// Codes of 2 and 3 bits take 4 there, those of 5 and 6 bits 8. Throws std::invalid_argument when the layout cannot be.
std::int64_t packed_bytes(const QuantizedLayout& layout);
/// Rows -> packed [packed_bytes(layout)], 64-byte aligned.
void pack(const QuantizedView& weight, const QuantizedLayout& layout, std::uint8_t* packed,
          Executor& executor = default_executor());
/// The inverse of pack, bit for bit.
void unpack(const std::uint8_t* packed, const QuantizedLayout& layout, const QuantizedBuffers& out,
            Executor& executor = default_executor());

/// x [m, layout.cols] fp32, packed of `layout` (64-byte aligned), bias [layout.rows] or null -> y [m, layout.rows]
/// fp32. A LoRA branch adds lora_z lora_b^T: lora_z [m, lora_rank] is the scaled x A^T, lora_b [layout.rows,
/// lora_rank]. An output is the same bits whatever m, the place of its row and the number of threads; in the integer
/// modes also whatever the instruction set. A row of x in which a block spreads too widely for the mode, or that is not
/// finite, is computed in a finer one (docs/formats.md). Nothing may overlap y. Throws std::invalid_argument.
struct PackedLinearArgs {
  const float* x = nullptr;
  std::int64_t m = 0;
  const std::uint8_t* packed = nullptr;
  QuantizedLayout layout;
  MatmulMode mode = MatmulMode::kExact;
  const float* bias = nullptr;
  const float* lora_z = nullptr;
  const float* lora_b = nullptr;
  std::int64_t lora_rank = 0;
  float* y = nullptr;
};
void packed_linear(const PackedLinearArgs& args, Executor& executor = default_executor());

}  // namespace fairopt
