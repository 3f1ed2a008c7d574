// libfairopt_ops: registration with torch's dispatcher through the stable ABI. The CUDA key is registered in every
// build, so that a CUDA tensor meets either the kernels or a sentence that says what is missing.
#include "torch_ops.h"

using namespace fairopt::ops;

STABLE_TORCH_LIBRARY(fairopt, m) {
  m.def("quantize_blockwise(Tensor x, str format, int block) -> (Tensor codes, Tensor scales, Tensor zeros)");
  m.def(
      "dequantize_blockwise(Tensor codes, Tensor scales, Tensor zeros, str format, int block, SymInt cols, "
      "ScalarType dtype) -> Tensor");
  m.def("double_quantize(Tensor scales) -> (Tensor codes, Tensor nested_scales, Tensor nested_offset)");
  m.def("double_dequantize(Tensor codes, Tensor nested_scales, Tensor nested_offset) -> Tensor");
  m.def(
      "quantized_linear(Tensor x, Tensor codes, Tensor scales, Tensor zeros, Tensor? bias, str format, int block, "
      "str mode=\"exact\") -> Tensor");
  m.def("pack_weight(Tensor codes, Tensor scales, Tensor zeros, str format, int block, SymInt cols) -> Tensor packed");
  m.def(
      "unpack_weight(Tensor packed, str format, int block, SymInt rows, SymInt cols) "
      "-> (Tensor codes, Tensor scales, Tensor zeros)");
  m.def(
      "packed_linear(Tensor x, Tensor packed, Tensor? bias, str format, int block, SymInt rows, str mode, "
      "Tensor? lora_z=None, Tensor? lora_b=None) -> Tensor");
  m.def("dynamic_int8_linear(Tensor x, Tensor codes, Tensor scales, Tensor? bias, float threshold) -> Tensor");
  m.def("pack_sparse(Tensor weight, Tensor? scales=None) -> Tensor packed");
  m.def("unpack_sparse(Tensor packed, ScalarType dtype, SymInt rows, SymInt cols) -> (Tensor weight, Tensor scales)");
  m.def("sparse_linear(Tensor x, Tensor packed, Tensor? bias, ScalarType dtype, SymInt rows) -> Tensor");
  m.def("prune_mask(Tensor score, SymInt prune, Tensor? norms=None) -> Tensor");
  m.def("prune_mask.out(Tensor score, SymInt prune, Tensor? norms=None, *, Tensor(a!) out) -> ()");
  m.def("prune_mask_rows(Tensor score, SymInt prune, Tensor? norms=None) -> Tensor");
  m.def("prune_mask_rows.out(Tensor score, SymInt prune, Tensor? norms=None, *, Tensor(a!) out) -> ()");
  m.def("prune_mask_model(Tensor[] scores, SymInt prune, Tensor[]? norms=None) -> Tensor[]");
  m.def("prune_mask_n_of_m(Tensor score, int n, int m, Tensor? norms=None) -> Tensor");
  m.def("prune_mask_n_of_m.out(Tensor score, int n, int m, Tensor? norms=None, *, Tensor(a!) out) -> ()");
  m.def("apply_mask(Tensor weight, Tensor keep) -> Tensor");
  m.def(
      "gptq(Tensor weight, Tensor hessian, str format, int block, str act_order='none', float damp=0.01) "
      "-> (Tensor codes, Tensor scales, Tensor zeros, Tensor order, Tensor report)");
  m.def(
      "sparsegpt(Tensor weight, Tensor hessian, SymInt prune=0, int n=0, int m=0, str format='', int block=0, "
      "str act_order='none', int columns=128, float damp=0.01, str dtype='float32') "
      "-> (Tensor pruned, Tensor keep, Tensor codes, Tensor scales, Tensor zeros, Tensor order, Tensor report)");
  m.def(
      "second_order_target(Tensor weight, Tensor hessian, Tensor pair_hessian, float alpha, float beta, "
      "float damp=0.01) -> (Tensor target, Tensor hessian, Tensor report)");
  m.def("tree_attention(Tensor q, Tensor k, Tensor v, Tensor segments, Tensor runs, float scale) -> Tensor");
  m.def(
      "range_search(Tensor weight, str format, int block, int grid=80, float norm=2.4) "
      "-> (Tensor codes, Tensor scales, Tensor zeros)");
  m.def(
      "hqq(Tensor weight, str format, int block, float norm=0.7, float beta=10.0, float kappa=1.01, int iterations=20, "
      "bool best=True) -> (Tensor codes, Tensor scales, Tensor zeros)");
  m.def("hadamard_transform(Tensor x, bool transpose=False) -> Tensor");
  m.def("logsumexp_update(Tensor logits, Tensor(a!) maximum, Tensor(b!) total) -> ()");
}

static void implement(torch::stable::detail::StableLibrary& m) {
  m.impl("quantize_blockwise", TORCH_BOX(&quantize_blockwise));
  m.impl("dequantize_blockwise", TORCH_BOX(&dequantize_blockwise));
  m.impl("double_dequantize", TORCH_BOX(&double_dequantize));
  m.impl("quantized_linear", TORCH_BOX(&quantized_linear));
  m.impl("pack_weight", TORCH_BOX(&pack_weight));
  m.impl("unpack_weight", TORCH_BOX(&unpack_weight));
  m.impl("packed_linear", TORCH_BOX(&packed_linear));
  m.impl("dynamic_int8_linear", TORCH_BOX(&dynamic_int8_linear));
  m.impl("unpack_sparse", TORCH_BOX(&unpack_sparse));
  m.impl("sparse_linear", TORCH_BOX(&sparse_linear));
  m.impl("prune_mask", TORCH_BOX(&prune_mask));
  m.impl("prune_mask.out", TORCH_BOX(&prune_mask_out));
  m.impl("prune_mask_rows", TORCH_BOX(&prune_mask_rows));
  m.impl("prune_mask_rows.out", TORCH_BOX(&prune_mask_rows_out));
  m.impl("prune_mask_model", TORCH_BOX(&prune_mask_model));
  m.impl("prune_mask_n_of_m", TORCH_BOX(&prune_mask_n_of_m));
  m.impl("prune_mask_n_of_m.out", TORCH_BOX(&prune_mask_n_of_m_out));
  m.impl("gptq", TORCH_BOX(&gptq));
  m.impl("sparsegpt", TORCH_BOX(&sparsegpt));
  m.impl("second_order_target", TORCH_BOX(&second_order_target));
  m.impl("tree_attention", TORCH_BOX(&tree_attention));
  m.impl("range_search", TORCH_BOX(&range_search));
  m.impl("hqq", TORCH_BOX(&hqq));
  m.impl("hadamard_transform", TORCH_BOX(&hadamard_transform));
  m.impl("logsumexp_update", TORCH_BOX(&logsumexp_update));
}
STABLE_TORCH_LIBRARY_IMPL(fairopt, CPU, m) {
  implement(m);
  m.impl("pack_sparse", TORCH_BOX(&pack_sparse));  // Python packs on CUDA
  m.impl("apply_mask", TORCH_BOX(&apply_mask));    // torch's own is as fast there
  m.impl("double_quantize", TORCH_BOX(&double_quantize));
}
STABLE_TORCH_LIBRARY_IMPL(fairopt, CUDA, m) { implement(m); }
