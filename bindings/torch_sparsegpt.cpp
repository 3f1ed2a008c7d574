// sparsegpt.
#include "fairopt/prune.h"
#include "fairopt/sparsegpt.h"
#include "torch_ops.h"

namespace fairopt::ops {

static DType parse_dtype(const char* op, const std::string& dtype) {
  if (dtype == "float32") return DType::kFloat32;
  if (dtype == "float16") return DType::kFloat16;
  if (dtype == "bfloat16") return DType::kBFloat16;
  refuse(op, "dtype", "float32, float16 or bfloat16", dtype);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> sparsegpt(
    const Tensor& weight, const Tensor& hessian, std::int64_t prune, std::int64_t n, std::int64_t m, std::string format,
    std::int64_t block, std::string act_order, std::int64_t columns, double damp, std::string dtype) {
  constexpr const char* op = "sparsegpt";
  const Tensor w = solvable_weight(op, weight), h = hessian_of(op, "hessian", hessian, weight);
  if (m < 0 || m > kMaxM) refuse(op, "m", "in [0, 32]", std::to_string(m));
  if (n < 0 || n > m) refuse(op, "n", "in [0, m]", std::to_string(n));
  const SparseGptOptions options{prune, static_cast<int>(n),   static_cast<int>(m), columns,
                                 damp,  parse_dtype(op, dtype)};
  const ActOrder by = parse_act_order(op, act_order);
  const auto* values = w.const_data_ptr<float>();
  const auto* curvature = h.const_data_ptr<float>();

  const Tensor pruned = torch::stable::empty_like(w);
  const Tensor keep = torch::stable::new_empty(w, {w.size(0), w.size(1)}, ScalarType::Bool);
  auto* to = pruned.mutable_data_ptr<float>();
  auto* mask = reinterpret_cast<std::uint8_t*>(keep.mutable_data_ptr());
  const Tensor report = torch::stable::new_empty(w, {3}, ScalarType::Double);
  auto* said = report.mutable_data_ptr<double>();
  TorchExecutor executor;
  const auto put = [&](const SparseGptReport& done) {
    said[0] = done.loss;
    said[1] = done.damp;
    said[2] = static_cast<double>(done.dead);
  };
  if (!format.empty() && options.stored != DType::kFloat32) refuse(op, "dtype", "float32 with a format", dtype);
  if (format.empty()) {
    if (by != ActOrder::kNone) refuse(op, "act_order", "none without a format", act_order);
    put(fairopt::sparsegpt(values, curvature, w.size(0), w.size(1), options, to, mask, executor));
    const auto nothing = [&](ScalarType type) { return torch::stable::new_empty(w, {0}, type); };
    return {pruned,
            keep,
            nothing(ScalarType::Byte),
            nothing(ScalarType::Float),
            nothing(ScalarType::Byte),
            nothing(ScalarType::Long),
            report};
  }
  const QuantizedLayout layout{parse_format(format, op), w.size(0), w.size(1), block};
  check(layout, op);
  const QuantizedOutputs out(w, layout);
  const Tensor order = torch::stable::new_empty(w, {by == ActOrder::kDynamic ? layout.cols : 0}, ScalarType::Long);
  put(fairopt::sparsegpt(values, curvature, layout, options, by, out.buffers(), to, mask,
                         order.mutable_data_ptr<std::int64_t>(), executor));
  return {pruned, keep, out.codes, out.scales, out.zeros, order, report};
}

}  // namespace fairopt::ops
