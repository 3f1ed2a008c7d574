// gptq.
#include "fairopt/gptq.h"
#include "torch_ops.h"

namespace fairopt::ops {
namespace {

constexpr const char* op = "gptq";

ActOrder parse_act_order(const std::string& name) {
  if (name == "none") return ActOrder::kNone;
  if (name == "static") return ActOrder::kStatic;
  if (name == "dynamic") return ActOrder::kDynamic;
  refuse(op, "act_order", "one of none, static, dynamic", name);
}

void check_tensors(const Tensor& weight, const Tensor& hessian) {
  for (const auto& [name, tensor] : {std::pair{"weight", &weight}, std::pair{"hessian", &hessian}}) {
    if (tensor->is_cuda()) refuse(op, name, "on the CPU (there is no CUDA kernel)", device_text(*tensor));
    require_dtype(op, name, *tensor, ScalarType::Float);
  }
  if (weight.dim() != 2) refuse(op, "weight", "a matrix", shape_text(weight));
  require_shape(op, "hessian", hessian, {weight.size(1), weight.size(1)}, "for a weight " + shape_text(weight));
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> gptq(const Tensor& weight, const Tensor& hessian, std::string format,
                                                        std::int64_t block, std::string act_order, double damp) {
  check_tensors(weight, hessian);
  const QuantizedLayout layout{parse_format(format, op), weight.size(0), weight.size(1), block};
  check(layout, op);
  const GptqOptions options{parse_act_order(act_order), damp};
  const Tensor w = dense(weight), h = dense(hessian);
  require_finite(op, "weight", w);

  const bool ordered = options.act_order == ActOrder::kDynamic;
  const QuantizedOutputs out(w, layout);
  const Tensor order = torch::stable::new_empty(w, {ordered ? layout.cols : 0}, ScalarType::Long);
  const Tensor report = torch::stable::new_empty(w, {3}, ScalarType::Double);
  TorchExecutor executor;
  const GptqReport done = fairopt::gptq(w.const_data_ptr<float>(), h.const_data_ptr<float>(), layout, options,
                                        out.buffers(), order.mutable_data_ptr<std::int64_t>(), executor);
  auto* said = report.mutable_data_ptr<double>();
  said[0] = done.loss;
  said[1] = done.damp;
  said[2] = static_cast<double>(done.dead);
  return {out.codes, out.scales, out.zeros, order, report};
}

}  // namespace fairopt::ops
