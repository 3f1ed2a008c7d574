// hqq.
#include "fairopt/hqq.h"
#include "torch_ops.h"

namespace fairopt::ops {

std::tuple<Tensor, Tensor, Tensor> hqq(const Tensor& weight, std::string format, std::int64_t block, double norm,
                                       double beta, double kappa, std::int64_t iterations, bool best) {
  constexpr const char* op = "hqq";
  const Tensor source = solvable_weight(op, weight);
  const QuantizedLayout layout{parse_format(format, op), source.size(0), source.size(1), block};
  if (iterations < 1 || iterations > 1000) refuse(op, "iterations", "in [1, 1000]", std::to_string(iterations));
  check(layout, op);
  const QuantizedOutputs out(source, layout);
  TorchExecutor executor;
  fairopt::hqq(source.const_data_ptr<float>(), layout, {norm, beta, kappa, static_cast<int>(iterations), best},
               out.buffers(), executor);
  return {out.codes, out.scales, out.zeros};
}

}  // namespace fairopt::ops
