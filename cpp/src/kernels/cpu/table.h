// The table that each ISA level exports. Kernels know pointers and sizes; they run on a range of rows and never
// allocate, check or start threads. This header is included by the ISA files: <cstdint> only.
#pragma once
#include <cstdint>

namespace fairopt::kernels {

/// Consecutive blocks of one row: n values in blocks of `block`, the last one possibly short.
struct BlockRun {
  std::int64_t n;
  std::int64_t block;
};

/// Where the codes, scales and zero points of a run lie. Of the zero points only the kind that the format has is used.
struct RunParts {
  std::uint8_t* codes;
  float* scales;
  std::uint8_t* zeros;
  float* float_zeros;
};
struct ConstRunParts {
  const std::uint8_t* codes;
  const float* scales;
  const std::uint8_t* zeros;
  const float* float_zeros;
};
using QuantizeRun = void(const float* values, BlockRun run, RunParts out);
using QuantizeInRange = void(const float* values, BlockRun run, const float* lows, const float* highs, RunParts out);
/// Which ranges of a block are tried: its own times 1 - i / 100, i < count; sums are of |error|^exponent.
struct RangeGrid {
  int count;
  float exponent;
};
using BestShare = float(const float* values, std::int64_t n, float low, float high, RangeGrid grid);
using DequantizeRun = void(ConstRunParts in, BlockRun run, float* values);

/// y [m, n] = x [m, k] W^T + bias with the weights W [n, k] quantised.
struct QuantizedLinear {
  const float* x;  ///< as pack_activations left it
  std::int64_t m, n, k;
  const std::uint8_t* codes;  ///< [n, bytes_per_row]
  const float* scales;        ///< [n, blocks_per_row]
  const std::uint8_t* zeros;  ///< [n, blocks_per_row], null without integer zero points
  const float* float_zeros;   ///< [n, blocks_per_row], null without zero points in floating point
  /// The values of the 16 4-bit codes at scale 1; null for other codes. Where there are integer zero points the values
  /// are a ramp, and those for zero point z start z floats before.
  const float* codebook;
  DequantizeRun* dequantize;  ///< of the format and the level; null for int8 and 4-bit codes, which need no help
  std::int64_t bits, bytes_per_row, blocks_per_row, block;
  const float* bias;  ///< [n] or null
  float* y;
};
inline constexpr std::int64_t kLinearBlockK = 1024;  // columns whose activations lie together

/// Zero points of the packed layout: bytes that are subtracted from the codes, or floats added to code * scale.
enum class PackedZeros : std::uint8_t { kNone, kInteger, kFloat };

/// What a packed code stands for: codebook[code] * scale, else ((code ^ flip) - offset) * scale and its zero point.
struct PackedCodes {
  int bits;  ///< 4 or 8, which may be more than are stored
  int offset;
  int flip;               ///< 0x80 for two's complement
  const float* codebook;  ///< 16 values, or the 256 of e4m3; null for integers
  PackedZeros zeros;
};
inline constexpr std::int64_t kTileRows = 64;  // rows of W that lie together

/// y [m, n] = x W^T + bias + lora_z lora_b^T with W [n, k] in the packed layout (packed_format.h has the sizes).
struct PackedLinear {
  const std::uint8_t* packed;
  std::int64_t n, k, block, blocks;
  std::int64_t header_bytes, block_bytes, tile_bytes;
  PackedCodes codes;
  std::int64_t m;
  const std::int64_t* tokens;  ///< [m] the rows of x, y and lora_z that are worked on
  const float* bias;           ///< [n] or null
  const float *lora_z, *lora_b;
  std::int64_t lora_rank;  ///< 0 without LoRA
  float* y;
};

/// What the guard of the integer modes finds in a row of x: how finely its blocks must be cut.
enum class Spread : std::uint8_t { kNarrow, kWide, kExtreme };

/// The activations of an integer mode: balanced digits base 256, lowest plane first.
struct ActivationBlock {
  float step;            ///< what 1 stands for
  std::int32_t sums[3];  ///< of the digits of a plane
};
struct Planes {
  int planes;
  bool codebook;          ///< i16: two planes, step over kCodebookUnit
  std::int64_t stride;    ///< bytes a plane
  std::int8_t* digits;    ///< [blocks][m][planes][stride], zeros past the end of a block
  ActivationBlock* rows;  ///< [blocks][m]
  std::int32_t* starts;   ///< [blocks][m][planes]: -offset times the sum of the digits
};
inline constexpr float kCodebookUnit = 32640.0f;           // 127.5 * 256: what codebook value 1 becomes in i16
inline constexpr std::int64_t kLargestPlaneBlock = 32768;  // sums of a longer block might overflow int32

/// Attention of `heads` query heads in groups that share a kv head; strides and sizes in floats.
struct TreeAttention {
  const float *q, *k, *v;
  std::int64_t q_head, q_row, k_head, k_row, v_head, v_row;
  std::int64_t heads, group, carried, head_dim;
  const std::int64_t *segments, *runs;
  std::int64_t longest_path;
  float scale;
  float* out;  ///< [queries, heads, head_dim]
};

/// A block in one iteration of HQQ: `inverse_scale` steps a unit, `zero` steps below 0, codes 0 .. `levels`.
struct HqqBlock {
  float inverse_scale, zero, levels;
  float norm, inverse_beta;
};
struct HqqSums {
  float error;  ///< sum of |d|
  float loss;   ///< sum of |d|^norm
  float zero;   ///< of the next iteration
};

/// c [rows, cols] -= a [rows, depth] b [depth, cols] in double. Columns of a and c are contiguous; b(k, j) lies at
/// b[k * b_row + j * b_column]. The terms of each value are subtracted one after another in the order of k, so that a
/// product in pieces has the bits of a whole one.
struct DoubleProduct {
  const double* a;
  std::int64_t a_column;
  const double* b;
  std::int64_t b_row, b_column;
  double* c;
  std::int64_t c_column;
  std::int64_t rows, cols, depth;
};

/// y = H x for one block of `order * power` values: the Kronecker product of `matrix` with Sylvester's, scaled.
struct HadamardTransform {
  const std::int8_t* matrix;  ///< [order, order] of +-1
  std::int64_t order, power;
  bool transpose;
  float scale;
};

/// A value of a token that is not rounded to int8.
struct Int8Outlier {
  std::int64_t column;
  float value;
};
struct Int8Outliers {
  const Int8Outlier* first;
  std::int64_t n;
};

/// y [m, n] of int8 weights and tokens rounded to int8.
struct DynamicInt8Linear {
  const std::int8_t* tokens;  ///< [m, stride], 0 after the first k of a row
  const float* token_scales;  ///< [m]
  const std::int32_t* token_sums;
  const Int8Outliers* outliers;  ///< [m]
  std::int64_t m, n, k, stride;
  const std::int8_t* codes;  ///< [n, k]
  const float* scales;       ///< [n]
  const float* bias;         ///< [n] or null
  float* y;
};
inline constexpr std::int64_t kInt8Step = 64;  // columns of tokens are padded to a multiple of it

/// The keys of [low, high) are undecided; until they are, those of [cut, high) are kept.
struct KeyBracket {
  std::int32_t low, cut, high;
};
/// How many keys of a run lie where, and the largest of all.
struct BracketCounts {
  std::int64_t not_below, between;
  std::int32_t largest;
};
/// Keys of a bracket and their places in a chunk, with room for all.
struct BracketedKeys {
  std::int32_t* keys;
  std::uint16_t* places;
};
inline constexpr std::int64_t kMaxChunk = 1 << 16;

using NOfM16 = std::int32_t(const std::uint16_t* score, std::int64_t count, int n, int m, std::uint8_t* mask);

/// Where a tile of a sparse weight lies, in bytes from the start of the packed form; streams that are not there are
/// empty. sparse_layout.h has the whole layout.
struct SparseTile {
  std::int64_t masks;       ///< where they begin; by value the stream too, which they are a part of
  std::int64_t streams[5];  ///< starts, and the end of the last
};
inline constexpr int kSparseGroups = 4, kGroupRows = 16;  // of the rows of a tile
inline constexpr std::int64_t kSparseChunk = 64;          // columns of one chain of sums
inline constexpr int kSparseBlock = 8;                    // columns that are read at a time
/// Bytes after the last tile that may be read: a chunk of masks and values, and what the last vector takes too much.
inline constexpr std::int64_t kSparseSlack = kSparseChunk * (8 + kTileRows * 4) + 64;

/// y [m, n] = x W^T + bias with W [n, k] sparse.
struct SparseLinear {
  const std::uint8_t* packed;
  const SparseTile* tiles;
  const float* scales;  ///< [whole tiles] or null
  int value_bytes;
  bool half;  ///< 16-bit values are fp16, not bf16
  std::int64_t n, k, m;
  const float* x;     ///< [ceil(k / kSparseChunk)][m][kSparseChunk], or half as many pairs; zeros behind column k
  const float* bias;  ///< [n] or null
  float* y;
};

/// Tiles [lo, hi) of y, with scratch(args) floats to work in.
using SparseProduct = void(const SparseLinear& args, std::int64_t lo, std::int64_t hi, float* scratch);

/// sparse_dots.inl.h: the same bits as SparseKernels::linear, where no numbers are too small for it. Shares its
/// scratch.
struct SparseDots {
  /// Rows [lo, hi) of x [m, k] to pairs of bfloat16. Returns the biased exponent of the smallest magnitude other than
  /// 0; kNoExponent where a value is subnormal or no bfloat16, and then the pairs are not whole.
  std::int32_t (*pack)(const float* x, std::int64_t m, std::int64_t k, std::int64_t lo, std::int64_t hi, float* pairs);
  SparseProduct* linear;
};
inline constexpr std::int32_t kNoExponent = -512;  // less than any other makes up for

/// sparse_linear.inl.h
struct SparseKernels {
  bool by_value;  ///< the order of the values that the level reads (sparse_layout.h)
  SparseProduct* linear;
  std::int64_t (*scratch)(const SparseLinear& args);
};

/// packed_exact.inl.h: rows [lo, hi) of x to the order of the codes, activations_size(args) floats in all; then tiles
/// [lo, hi) of y from them, with scratch(args) floats to work in.
struct ExactKernels {
  std::int64_t (*activations_size)(const PackedLinear& args);
  void (*activations)(const PackedLinear& args, const float* x, std::int64_t lo, std::int64_t hi, float* packed);
  void (*linear)(const PackedLinear& args, const float* packed, std::int64_t lo, std::int64_t hi, float* scratch);
  std::int64_t (*scratch)(const PackedLinear& args);
};

/// The same products, to the same bits, for rows of x of which holds_bf16 says that they can be had from pairs of bf16
/// (packed_words_bf16.inl.h); no codebooks.
struct Bf16Kernels {
  bool (*holds_bf16)(const float* row, std::int64_t n);
  ExactKernels exact;
  SparseDots sparse;
};

inline constexpr int kFormats = 25;  // entries of fairopt::Format, in its order

struct KernelTable {
  const char* name;

  // quantize.inl.h, dequantize.inl.h: by Format.
  QuantizeRun* quantize[kFormats];
  DequantizeRun* dequantize[kFormats];

  // double_dequantize.inl.h: n codes that share a nested scale.
  void (*double_dequantize)(const std::uint8_t* codes, std::int64_t n, float scale, float offset, float* out);

  // convert.inl.h: 16-bit floats as their bits; narrowing rounds half to even.
  void (*f16_to_f32)(const std::uint16_t* in, std::int64_t n, float* out);
  void (*bf16_to_f32)(const std::uint16_t* in, std::int64_t n, float* out);
  void (*f32_to_f16)(const float* in, std::int64_t n, std::uint16_t* out);
  void (*f32_to_bf16)(const float* in, std::int64_t n, std::uint16_t* out);
  std::int64_t (*count_nonfinite)(const float* in, std::int64_t n);

  // prune_mask.inl.h: the key of a score is the bits of |score|.
  void (*multiply)(const float* a, const float* b, std::int64_t n, float* out);
  std::int32_t (*magnitude_keys)(const float* values, const float* norms, std::int64_t n,
                                 std::int32_t* keys);  // the largest key; norms may be null
  BracketCounts (*mask_and_collect)(const float* score, std::int64_t n, KeyBracket bracket, std::uint8_t* mask,
                                    std::int64_t first, BracketedKeys found);
  std::int64_t (*count_below)(const std::int32_t* keys, std::int64_t n, std::int32_t limit);
  void (*mask_above)(const std::int32_t* keys, std::int64_t n, std::int32_t key, std::int64_t* ties,
                     std::uint8_t* mask);
  std::int32_t (*n_of_m)(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask);  // the largest key

  // n_of_m_16_avx512.inl.h: the same for fp16 and bf16 as their bits, m in {2, 4, 8}; null where the level has none.
  NOfM16* n_of_m_16;
  // prune_mask.inl.h: copies past the caches; what was written is ordered for other threads by fence_streams.
  void (*stream_bytes)(const std::uint8_t* from, std::int64_t n, std::uint8_t* to);
  void (*fence_streams)();

  // apply_mask.inl.h: of values of 2, 4 and 8 bytes.
  void (*apply_mask[3])(const void* values, std::int64_t n, const std::uint8_t* mask, void* out);

  // quantized_linear.inl.h: rows [lo, hi) of x [m, k] -> packed [ceil(k / kLinearBlockK), m, kLinearBlockK] in the
  // order of the level; then columns [lo, hi) of y, with quantized_linear_scratch(args) floats to work in.
  void (*pack_activations)(const QuantizedLinear& args, const float* x, float* packed, std::int64_t lo,
                           std::int64_t hi);
  void (*quantized_linear)(const QuantizedLinear& args, std::int64_t lo, std::int64_t hi, float* scratch);
  std::int64_t (*quantized_linear_scratch)(const QuantizedLinear& args);

  // packed_planes.inl.h: what the guard says of a row [k]; rows [lo, hi) of x to digits; then tiles [lo, hi) of y with
  // packed_planes_scratch floats to work in.
  Spread (*activation_spread)(const float* row, BlockRun run);
  void (*quantize_activations)(const PackedLinear& args, const Planes& planes, const float* x, std::int64_t lo,
                               std::int64_t hi);
  void (*packed_planes)(const PackedLinear& args, const Planes& planes, std::int64_t lo, std::int64_t hi,
                        float* scratch);
  std::int64_t (*packed_planes_scratch)(const PackedLinear& args, const Planes& planes);

  ExactKernels exact;
  SparseKernels sparse;
  const Bf16Kernels* bf16;  ///< null where the CPU multiplies no pairs of bf16

  // tree_attention.inl.h: one kv head, segments [first, last), with tree_attention_scratch(args) floats to work in.
  void (*tree_attention)(const TreeAttention& args, std::int64_t kv_head, std::int64_t first, std::int64_t last,
                         float* scratch);
  std::int64_t (*tree_attention_scratch)(const TreeAttention& args);

  // range_search.inl.h: by Format; sum of (|a - b| * unit)^exponent.
  QuantizeInRange* quantize_in_range[kFormats];
  BestShare* best_share[kFormats];
  float (*sum_of_powers)(const float* a, const float* b, std::int64_t n, float unit, float exponent);

  // hqq.inl.h
  HqqSums (*hqq_step)(const HqqBlock& block, const float* values, std::int64_t n);

  // subtract_product.inl.h
  void (*subtract_product)(const DoubleProduct& args);

  // hadamard_transform.inl.h: one block; x and y are different buffers.
  void (*hadamard_transform)(const HadamardTransform& args, const float* x, float* y);

  // logsumexp_update.inl.h: one row.
  void (*logsumexp_update)(const float* logits, std::int64_t columns, float* maximum, float* total);

  // dynamic_int8_linear.inl.h: one token of n values, then columns [lo, hi) of y.
  void (*quantize_int8_token)(const float* x, std::int64_t n, float threshold, std::int8_t* codes, std::int64_t padded,
                              float* scale, std::int32_t* sum);
  void (*dynamic_int8_linear)(const DynamicInt8Linear& args, std::int64_t lo, std::int64_t hi);
};

extern const KernelTable kBaseline;
extern const KernelTable kAvx2;
extern const KernelTable kAvx512;
extern const KernelTable kAvx512Vnni;
/// What the avx512_vnni level takes in place of its own where the CPU has VBMI2 too.
extern const SparseKernels kVbmi2Sparse;
/// What it has besides where the CPU has VBMI, VBMI2 and AVX-512 BF16.
extern const Bf16Kernels kAvx512Bf16;

/// The level chosen for this process (runtime/cpu_capability.cpp).
const KernelTable& table();
/// The level of that name, null when this CPU or this build lacks it.
const KernelTable* find_table(const char* name);

}  // namespace fairopt::kernels
