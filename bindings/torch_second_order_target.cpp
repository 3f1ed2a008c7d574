// second_order_target.
#include "fairopt/second_order.h"
#include "torch_ops.h"

namespace fairopt::ops {

std::tuple<Tensor, Tensor, Tensor> second_order_target(const Tensor& weight, const Tensor& hessian,
                                                       const Tensor& pair_hessian, double alpha, double beta,
                                                       double damp) {
  constexpr const char* op = "second_order_target";
  const Tensor w = solvable_weight(op, weight), h = hessian_of(op, "hessian", hessian, weight);
  const Tensor d = hessian_of(op, "pair_hessian", pair_hessian, weight);
  const Tensor target = torch::stable::empty_like(w), both = torch::stable::empty_like(h);
  const Tensor report = torch::stable::new_empty(w, {2}, ScalarType::Double);
  TorchExecutor executor;
  const SecondOrderReport done = fairopt::second_order_target(
      w.const_data_ptr<float>(), h.const_data_ptr<float>(), d.const_data_ptr<float>(), w.size(0), w.size(1),
      {alpha, beta, damp}, target.mutable_data_ptr<float>(), both.mutable_data_ptr<float>(), executor);
  report.mutable_data_ptr<double>()[0] = done.damp;
  report.mutable_data_ptr<double>()[1] = static_cast<double>(done.dead);
  return {target, both, report};
}

}  // namespace fairopt::ops
