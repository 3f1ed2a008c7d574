// range_search.
#include "fairopt/range_search.h"
#include "torch_ops.h"

namespace fairopt::ops {

std::tuple<Tensor, Tensor, Tensor> range_search(const Tensor& weight, std::string format, std::int64_t block,
                                                std::int64_t grid, double norm) {
  constexpr const char* op = "range_search";
  const Tensor source = solvable_weight(op, weight);
  const QuantizedLayout layout{parse_format(format, op), source.size(0), source.size(1), block};
  if (grid < 1 || grid > 100) refuse(op, "grid", "in [1, 100]", std::to_string(grid));
  check(layout, op);
  const QuantizedOutputs out(source, layout);
  TorchExecutor executor;
  fairopt::range_search(source.const_data_ptr<float>(), layout, {static_cast<int>(grid), norm}, out.buffers(),
                        executor);
  return {out.codes, out.scales, out.zeros};
}

}  // namespace fairopt::ops
