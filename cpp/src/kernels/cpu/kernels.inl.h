// All kernels of a level and the table that exports them. Included inside an anonymous namespace, after the vectors.
// clang-format off
#include "kernels/cpu/vec.inl.h"
#include "kernels/cpu/codes.inl.h"
#include "kernels/cpu/convert.inl.h"
#include "kernels/cpu/quantize.inl.h"
#include "kernels/cpu/dequantize.inl.h"
#include "kernels/cpu/double_dequantize.inl.h"
#include "kernels/cpu/range_search.inl.h"
#include "kernels/cpu/hqq.inl.h"
#include "kernels/cpu/subtract_product.inl.h"
#include "kernels/cpu/prune_mask.inl.h"
#include "kernels/cpu/apply_mask.inl.h"
#include "kernels/cpu/quantized_linear.inl.h"
#include "kernels/cpu/quantized_linear_panel.inl.h"
#include "kernels/cpu/packed_epilogue.inl.h"
#include "kernels/cpu/packed_codes.inl.h"
#include "kernels/cpu/packed_words_f32.inl.h"
#include "kernels/cpu/panel_product.inl.h"
#include "kernels/cpu/packed_exact.inl.h"
#include "kernels/cpu/packed_exact_panel.inl.h"
#include "kernels/cpu/sparse_values.inl.h"
#include "kernels/cpu/sparse_by_group.inl.h"
#include "kernels/cpu/sparse_product.inl.h"
#include "kernels/cpu/sparse_linear.inl.h"
#include "kernels/cpu/packed_quantize.inl.h"
#include "kernels/cpu/packed_planes.inl.h"
#include "kernels/cpu/exp.inl.h"
#include "kernels/cpu/tree_attention.inl.h"
#include "kernels/cpu/logsumexp_update.inl.h"
#include "kernels/cpu/hadamard_transform.inl.h"
#include "kernels/cpu/dynamic_int8_linear.inl.h"
// clang-format on

static_assert(kFormats == formats::kCount);
template <int kFormat = 0>
constexpr void add_formats(KernelTable& table) {
  if constexpr (kFormat < kFormats) {
    constexpr formats::Spec kSpec = formats::kSpecs[kFormat];
    table.quantize_in_range[kFormat] = &quantize_in_range<kSpec.rule, kSpec.bits>;
    table.best_share[kFormat] = &best_share<kSpec.rule, kSpec.bits>;
    table.quantize[kFormat] = &quantize<kSpec.rule, kSpec.bits>;
    table.dequantize[kFormat] = &dequantize<kSpec.rule, kSpec.bits>;
    add_formats<kFormat + 1>(table);
  }
}

constexpr KernelTable make_table(const char* name, NOfM16* n_of_m_16 = nullptr) {
  KernelTable table{
      .name = name,
      .quantize = {},
      .dequantize = {},
      .double_dequantize = &double_dequantize,
      .f16_to_f32 = &f16_to_f32,
      .bf16_to_f32 = &bf16_to_f32,
      .f32_to_f16 = &f32_to_f16,
      .f32_to_bf16 = &f32_to_bf16,
      .count_nonfinite = &count_nonfinite,
      .multiply = &multiply,
      .magnitude_keys = &magnitude_keys,
      .mask_and_collect = &mask_and_collect,
      .count_below = &count_below,
      .mask_above = &mask_above,
      .n_of_m = &n_of_m,
      .n_of_m_16 = n_of_m_16,
      .stream_bytes = &stream_bytes,
      .fence_streams = &fence_streams,
      .apply_mask = {&apply_mask<std::uint16_t>, &apply_mask<std::uint32_t>, &apply_mask<std::uint64_t>},
      .pack_activations = &pack_activations,
      .quantized_linear = &quantized_linear,
      .quantized_linear_scratch = &quantized_linear_scratch,
      .activation_spread = &activation_spread,
      .quantize_activations = &quantize_activations,
      .packed_planes = &packed_planes,
      .packed_planes_scratch = &packed_planes_scratch,
      .exact = {&exact_activations_size, &exact_activations, &packed_exact, &packed_exact_scratch},
      .sparse = {kSparseByValue, &sparse_linear, &sparse_linear_scratch},
      .bf16 = nullptr,
      .tree_attention = &tree_attention,
      .tree_attention_scratch = &tree_attention_scratch,
      .quantize_in_range = {},
      .best_share = {},
      .sum_of_powers = &sum_of_powers,
      .hqq_step = &hqq_step,
      .subtract_product = &subtract_product,
      .hadamard_transform = &hadamard_transform,
      .logsumexp_update = &logsumexp_update,
      .quantize_int8_token = &quantize_int8_token,
      .dynamic_int8_linear = &dynamic_int8_linear,
  };
  add_formats(table);
  return table;
}
