// Products with a sparse weight in rows, and its dense form. A warp takes a row: each lane reads 32 columns of the
// mask, a prefix sum says where their values start, then 32 columns at a time every lane takes its own column. Values
// and activations are read in order, no index is stored, and a lane sums its columns in ascending order.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

constexpr int kWarpsPerBlock = 8;

__device__ float as_float(float value) { return value; }
__device__ float as_float(__half value) { return __half2float(value); }
__device__ float as_float(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ float as_float(std::int8_t value) { return value; }

/// The parts of SparseRows in device code.
template <class Value>
struct Rows {
  std::int64_t rows, cols, words;
  const std::int64_t* starts;  // [rows + 1]
  const float* scales;         // [rows], or null
  const std::uint32_t* masks;  // [rows][words]
  const Value* values;
  unsigned long long count;  // of values that the bytes can hold: offsets that lie must not lead out of them

  explicit Rows(const SparseRows& weight)
      : rows(weight.layout.rows), cols(weight.layout.cols), words(ceil_div(weight.layout.cols, kWarp)) {
    const bool scaled = weight.layout.type == SparseType::kInt8;
    const std::uint8_t* at = weight.packed;
    starts = reinterpret_cast<const std::int64_t*>(at);
    at += 8 * (rows + 1);
    scales = scaled ? reinterpret_cast<const float*>(at) : nullptr;
    at += scaled ? 4 * rows : 0;
    masks = reinterpret_cast<const std::uint32_t*>(at);
    at += 4 * rows * words;
    values = reinterpret_cast<const Value*>(at);
    count = static_cast<unsigned long long>(weight.packed + weight.bytes - at) / sizeof(Value);
  }
};

/// body(column, value) for the columns of a row that this lane takes, zeros included.
template <class Value, class Body>
__device__ void for_row(const Rows<Value>& w, std::int64_t row, int lane, const Body& body) {
  unsigned long long start = static_cast<unsigned long long>(w.starts[row]);
  const unsigned below = (1u << lane) - 1;
  for (std::int64_t first = 0; first < w.words; first += kWarp) {
    const unsigned mask = first + lane < w.words ? w.masks[row * w.words + first + lane] : 0;
    const int own = __popc(mask);
    int before = own;  // values in the words up to this lane's
    for (int step = 1; step < kWarp; step *= 2) {
      const int other = __shfl_up_sync(kAllLanes, before, step);
      before += lane >= step ? other : 0;
    }
    const int words = static_cast<int>(w.words - first < kWarp ? w.words - first : kWarp);
#pragma unroll 4
    for (int word = 0; word < words; ++word) {
      const unsigned bits = __shfl_sync(kAllLanes, mask, word);
      const int word_start = __shfl_sync(kAllLanes, before - own, word);
      const unsigned long long at = start + word_start + __popc(bits & below);
      const Value value = bits >> lane & 1 && at < w.count ? w.values[at] : Value(0);
      const std::int64_t column = (first + word) * kWarp + lane;
      if (column < w.cols) body(column, value);
    }
    start += __shfl_sync(kAllLanes, before, kWarp - 1);
  }
}

/// The row of the calling warp.
__device__ std::int64_t own_row() {
  return static_cast<std::int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / kWarp;
}

/// Up to kTokens rows of x; those from `m` on are not there: the last one is read in their place and nothing written.
template <class Value, int kTokens>
__global__ void multiply(Rows<Value> w, int m, Source x, Source bias, Target y) {
  const std::int64_t row = own_row();
  if (row >= w.rows) return;
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  float sums[kTokens] = {};
  for_row(w, row, lane, [&](std::int64_t column, Value value) {
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      sums[t] = __fmaf_rn(as_float(value), x[min(t, m - 1) * w.cols + column], sums[t]);
    }
  });
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    for (int step = kWarp / 2; step > 0; step /= 2) {
      sums[t] = __fadd_rn(sums[t], __shfl_xor_sync(kAllLanes, sums[t], step));
    }
    if (lane != 0 || t >= m) continue;
    const float sum = w.scales == nullptr ? sums[t] : __fmul_rn(sums[t], w.scales[row]);
    y.set(t * w.rows + row, bias.data == nullptr ? sum : __fadd_rn(sum, bias[row]));
  }
}

template <class Value>
__global__ void expand(Rows<Value> w, Value* weight, float* scales) {
  const std::int64_t row = own_row();
  if (row >= w.rows) return;
  const int lane = static_cast<int>(threadIdx.x % kWarp);
  if (lane == 0 && w.scales != nullptr) scales[row] = w.scales[row];
  for_row(w, row, lane, [&](std::int64_t column, Value value) { weight[row * w.cols + column] = value; });
}

template <class Value>
unsigned blocks(const Rows<Value>& w) {
  return static_cast<unsigned>(ceil_div(w.rows, kWarpsPerBlock));
}

template <class Value, int kTokens = kMaxVectorRows>
void launch_multiply(const SparseLinearArgs& a, cudaStream_t stream) {
  if constexpr (kTokens > 1) {
    if (a.m <= kTokens / 2) return launch_multiply<Value, kTokens / 2>(a, stream);
  }
  const Rows<Value> w(a.weight);
  launch_kernel(multiply<Value, kTokens>, blocks(w), kWarpsPerBlock * kWarp, 0, stream, w, static_cast<int>(a.m),
                Source{a.x, a.dtype}, Source{a.bias, a.dtype}, Target{a.y, a.dtype});
}

/// body(Value()) for the type of the values.
template <class Body>
void with_value(SparseType type, const Body& body) {
  switch (type) {
    case SparseType::kFloat32:
      return body(float());
    case SparseType::kFloat16:
      return body(__half());
    case SparseType::kBFloat16:
      return body(__nv_bfloat16());
    case SparseType::kInt8:
      return body(std::int8_t());
  }
}

/// Whether the bytes hold at least the parts before the values.
bool holds_rows(const SparseRows& weight) {
  const SparseLayout& layout = weight.layout;
  const std::int64_t words = ceil_div(layout.cols, kWarp);
  return weight.bytes >= 8 * (layout.rows + 1) + 4 * layout.rows * (words + (layout.type == SparseType::kInt8));
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_unpack_sparse(const fairopt::cuda::SparseRows* weight, const fairopt::SparseTarget* target, int device,
                               void* stream) {
  using namespace fairopt::cuda;
  if (!holds_rows(*weight)) return cudaErrorInvalidValue;
  if (weight->layout.rows == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    with_value(weight->layout.type, [&](auto value) {
      using Value = decltype(value);
      const Rows<Value> w(*weight);
      launch_kernel(expand<Value>, blocks(w), kWarpsPerBlock * kWarp, 0, s, w, static_cast<Value*>(target->weight),
                    target->scales);
    });
  });
}

int fairopt_cuda_sparse_linear(const fairopt::cuda::SparseLinearArgs* args, int device, void* stream) {
  using namespace fairopt::cuda;
  if (args->m > kMaxVectorRows || !holds_rows(args->weight)) return cudaErrorInvalidValue;
  if (args->m == 0 || args->weight.layout.rows == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    with_value(args->weight.layout.type, [&](auto value) { launch_multiply<decltype(value)>(*args, s); });
  });
}
