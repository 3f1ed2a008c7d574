// gptq.
#include "fairopt/gptq.h"
#include "torch_ops.h"

namespace fairopt::ops {
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> gptq(const Tensor& weight, const Tensor& hessian, std::string format,
                                                        std::int64_t block, std::string act_order, double damp) {
  constexpr const char* op = "gptq";
  const Tensor w = solvable_weight(op, weight), h = hessian_of(op, "hessian", hessian, weight);
  const QuantizedLayout layout{parse_format(format, op), w.size(0), w.size(1), block};
  check(layout, op);
  const GptqOptions options{parse_act_order(op, act_order), damp};

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
