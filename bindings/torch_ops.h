// What the torch operators share: the checks at their door, torch's types in our terms, torch's threads as an Executor.
// Every refusal is a std::invalid_argument `<op>: <argument> must be <requirement>, got <value>`: ValueError in Python.
#pragma once
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "fairopt/cuda.h"
#include "fairopt/executor.h"
#include "fairopt/gptq.h"
#include "fairopt/quantize.h"

namespace fairopt::ops {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// The operators. Shapes, dtypes and errors are documented where users meet them: python/fairopt/ops/.
std::tuple<Tensor, Tensor, Tensor> quantize_blockwise(const Tensor& x, std::string format, std::int64_t block);
Tensor dequantize_blockwise(const Tensor& codes, const Tensor& scales, const Tensor& zeros, std::string format,
                            std::int64_t block, std::int64_t cols, ScalarType dtype);
std::tuple<Tensor, Tensor, Tensor> double_quantize(const Tensor& scales);
Tensor double_dequantize(const Tensor& codes, const Tensor& nested_scales, const Tensor& nested_offset);
Tensor quantized_linear(const Tensor& x, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                        std::optional<Tensor> bias, std::string format, std::int64_t block, std::string mode = "exact");
Tensor pack_weight(const Tensor& codes, const Tensor& scales, const Tensor& zeros, std::string format,
                   std::int64_t block, std::int64_t cols);
std::tuple<Tensor, Tensor, Tensor> unpack_weight(const Tensor& packed, std::string format, std::int64_t block,
                                                 std::int64_t rows, std::int64_t cols);
Tensor packed_linear(const Tensor& x, const Tensor& packed, std::optional<Tensor> bias, std::string format,
                     std::int64_t block, std::int64_t rows, std::string mode, std::optional<Tensor> lora_z,
                     std::optional<Tensor> lora_b);
Tensor dynamic_int8_linear(const Tensor& x, const Tensor& codes, const Tensor& scales, std::optional<Tensor> bias,
                           double threshold);
Tensor pack_sparse(const Tensor& weight, std::optional<Tensor> scales);
std::tuple<Tensor, Tensor> unpack_sparse(const Tensor& packed, ScalarType dtype, std::int64_t rows, std::int64_t cols);
Tensor sparse_linear(const Tensor& x, const Tensor& packed, std::optional<Tensor> bias, ScalarType dtype,
                     std::int64_t rows);
Tensor prune_mask(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms);
void prune_mask_out(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms, Tensor out);
Tensor prune_mask_rows(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms);
void prune_mask_rows_out(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms, Tensor out);
std::vector<Tensor> prune_mask_model(std::vector<Tensor> scores, std::int64_t prune,
                                     std::optional<std::vector<Tensor>> norms);
Tensor prune_mask_n_of_m(const Tensor& score, std::int64_t n, std::int64_t m, std::optional<Tensor> norms);
void prune_mask_n_of_m_out(const Tensor& score, std::int64_t n, std::int64_t m, std::optional<Tensor> norms,
                           Tensor out);
Tensor apply_mask(const Tensor& weight, const Tensor& keep);
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> gptq(const Tensor& weight, const Tensor& hessian, std::string format,
                                                        std::int64_t block, std::string act_order, double damp);
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> sparsegpt(
    const Tensor& weight, const Tensor& hessian, std::int64_t prune, std::int64_t n, std::int64_t m, std::string format,
    std::int64_t block, std::string act_order, std::int64_t columns, double damp, std::string dtype);
std::tuple<Tensor, Tensor, Tensor> second_order_target(const Tensor& weight, const Tensor& hessian,
                                                       const Tensor& pair_hessian, double alpha, double beta,
                                                       double damp);
Tensor tree_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& segments, const Tensor& runs,
                      double scale);
std::tuple<Tensor, Tensor, Tensor> range_search(const Tensor& weight, std::string format, std::int64_t block,
                                                std::int64_t grid, double norm);
std::tuple<Tensor, Tensor, Tensor> hqq(const Tensor& weight, std::string format, std::int64_t block, double norm,
                                       double beta, double kappa, std::int64_t iterations, bool best);
Tensor hadamard_transform(const Tensor& x, bool transpose);
void logsumexp_update(const Tensor& logits, Tensor maximum, Tensor total);

[[noreturn]] void refuse(const char* op, const char* argument, const std::string& requirement, const std::string& got);

// How an error names a value: "[3, 5]", "float32", "cuda:0".
std::string shape_text(const Tensor& tensor);
std::string dtype_text(ScalarType type);
std::string device_text(const Tensor& tensor);

/// float32, float16 or bfloat16; refuses the rest.
DType float_dtype(const char* op, const char* argument, ScalarType type);
void require_dtype(const char* op, const char* argument, const Tensor& tensor, ScalarType type);
/// Refuses other sizes; `because` follows them in the sentence.
void require_shape(const char* op, const char* argument, const Tensor& tensor, const std::vector<std::int64_t>& sizes,
                   const std::string& because);
/// Refuses a scalar: the operators work along the last dimension.
void require_dimension(const char* op, const char* argument, const Tensor& tensor);
/// Refuses a tensor that lies on another device than `like`, the argument called `like_name`.
void require_device_of(const char* op, const char* argument, const Tensor& tensor, const char* like_name,
                       const Tensor& like);
/// Refuses a CUDA tensor when the CUDA kernels cannot run here, with what `fairopt doctor` says about them.
void require_usable_device(const char* op, const Tensor& tensor);

/// Refuses NaN and infinity in a dense CPU tensor.
void require_finite(const char* op, const char* argument, const Tensor& tensor);

/// All sizes but the last, and their product.
std::vector<std::int64_t> leading_sizes(const Tensor& tensor);
std::int64_t leading_numel(const Tensor& tensor);

/// The tensor, or a contiguous copy of it; the tensor, or its values in `type`. torch's functions of that meaning go
/// through its dispatcher, some microseconds a call, even when there is nothing to do.
Tensor dense(const Tensor& tensor);
Tensor in_dtype(const Tensor& tensor, ScalarType type);

/// A CPU tensor as a kernel of fp32 reads it: dense, in its own memory where it is float32, else widened.
class Floats {
 public:
  Floats(const char* op, const char* argument, const Tensor& tensor);
  const float* data() const;

 private:
  Tensor dense_;
  std::unique_ptr<float[]> widened_;
};

/// A new CPU tensor of the type of `like`, the argument called x, that a kernel of fp32 writes.
class FloatOutput {
 public:
  FloatOutput(const char* op, const Tensor& like, const std::vector<std::int64_t>& sizes);
  float* data() const;
  /// The tensor, once the kernel has written: its values rounded once.
  Tensor round() const;

 private:
  Tensor tensor_;
  DType dtype_;
  std::unique_ptr<float[]> wide_;
};

/// What `zeros` is of: float32 for the formats that keep floats, else uint8 (empty where there are none).
ScalarType zeros_dtype(Format format);

/// A quantised matrix [rows, cols] at the door: checked, dense, on one device. Leading dimensions of codes are rows.
struct QuantizedTensors {
  Tensor codes, scales, zeros;
  QuantizedLayout layout;

  QuantizedView view() const;
};
QuantizedTensors quantized_tensors(const char* op, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                                   const std::string& format, std::int64_t block, std::int64_t cols);

/// A weight [n, k] at the door of a solver: fp32, finite, dense, on the CPU.
Tensor solvable_weight(const char* op, const Tensor& weight);

/// A Hessian [k, k] of a weight [n, k] at the same door: fp32, dense, on the CPU.
Tensor hessian_of(const char* op, const char* argument, const Tensor& hessian, const Tensor& weight);
ActOrder parse_act_order(const char* op, const std::string& name);

/// New tensors for the parts of a quantised matrix [rows, cols].
struct QuantizedOutputs {
  Tensor codes, scales, zeros;
  ZeroPoint kind;

  QuantizedOutputs(const Tensor& like, const QuantizedLayout& layout);
  QuantizedBuffers buffers() const;
};

/// torch's own thread team (torch.set_num_threads), so that one process never holds two that compete.
class TorchExecutor final : public Executor {
 public:
  int threads() const override;
  void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) override;
};

/// torch's current stream of the tensor's CUDA device.
cuda::Stream current_stream(const Tensor& tensor);

}  // namespace fairopt::ops
