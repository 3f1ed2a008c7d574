// Products of pairs of bf16, where the CPU has AVX-512 BF16, VBMI and VBMI2: a part of the avx512_vnni level.
#include <immintrin.h>

#include "kernels/cpu/table.h"
#include "kernels/formats.h"

namespace fairopt::kernels {
namespace {
// clang-format off
#include "kernels/cpu/vec_avx512.inl.h"
#include "kernels/cpu/quantized_linear_avx512.inl.h"
#include "kernels/cpu/packed_exact_avx512_bf16.inl.h"
#include "kernels/cpu/vec.inl.h"
#include "kernels/cpu/packed_codes.inl.h"
#include "kernels/cpu/packed_words_bf16.inl.h"
#include "kernels/cpu/packed_epilogue.inl.h"
#include "kernels/cpu/panel_product.inl.h"
#include "kernels/cpu/packed_exact.inl.h"
#include "kernels/cpu/packed_exact_panel.inl.h"
#include "kernels/cpu/sparse_values.inl.h"
#include "kernels/cpu/sparse_by_value.inl.h"
#include "kernels/cpu/sparse_product.inl.h"
#include "kernels/cpu/sparse_dots.inl.h"
// clang-format on
}  // namespace

const Bf16Kernels kAvx512Bf16 = {
    .holds_bf16 = &holds_bf16,
    .exact = {&exact_activations_size, &exact_activations, &packed_exact, &packed_exact_scratch},
    .sparse = {&pack_sparse_pairs, &sparse_dots},
};

}  // namespace fairopt::kernels
