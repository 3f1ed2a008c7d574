// What the machine can do at most, as torch operators, so that a limit is measured with the threads of the measured
// thing: a pass that only reads, and loops that only multiply and add, floats or bytes. Built by machine_limits.py with
// -march=native; no part of the package.
#include <immintrin.h>
#include <sys/mman.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <atomic>
#include <cstdint>

using torch::stable::Tensor;

namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#else
constexpr int kBytes = 32;
#endif
typedef float Floats __attribute__((vector_size(kBytes)));
typedef std::int64_t Words __attribute__((vector_size(kBytes), aligned(1)));
constexpr int kChains = 12;  // latency 4, two a cycle: 8 would do

/// Reads every byte of `buffer` (but a tail below a kilobyte a thread) and returns a sum that depends on all of them.
int64_t read_pass(const Tensor& buffer) {
  const auto* bytes = static_cast<const char*>(buffer.const_data_ptr());
  constexpr int64_t kBlock = 8 * kBytes;
  std::atomic<int64_t> total = 0;
  torch::stable::parallel_for(0, buffer.numel() * buffer.element_size() / kBlock, 256, [&](int64_t lo, int64_t hi) {
    Words sums[8] = {};
    for (int64_t block = lo; block < hi; ++block) {
      for (int i = 0; i < 8; ++i) {
        const char* at = bytes + block * kBlock + i * kBytes;
        __builtin_prefetch(at + 4096);
        sums[i] += *reinterpret_cast<const Words*>(at);
      }
    }
    int64_t sum = 0;
    for (const Words& words : sums) {
      for (std::size_t i = 0; i < kBytes / sizeof(int64_t); ++i) sum += words[i];
    }
    total += sum;
  });
  return total;
}

/// Asks for pages of 2 MB under an untouched buffer, as packed weights do: 4 KB pages would slow the reading down.
void prefer_huge_pages(const Tensor& buffer) {
  constexpr uintptr_t kPage = uintptr_t{1} << 21;
  const auto memory = reinterpret_cast<uintptr_t>(buffer.mutable_data_ptr());
  const uintptr_t begin = (memory + kPage - 1) / kPage * kPage;
  const uintptr_t end = (memory + static_cast<uintptr_t>(buffer.numel() * buffer.element_size())) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

/// Reads the weights once and writes a byte for each to new memory on large pages, a whole line at a time: the traffic
/// of a new mask, and no work.
Tensor mask_traffic(const Tensor& weights) {
  const Tensor mask = torch::stable::new_empty(weights, weights.sizes(), torch::headeronly::ScalarType::Byte);
  prefer_huge_pages(mask);
  const auto* in = static_cast<const char*>(weights.const_data_ptr());
  auto* out = static_cast<char*>(mask.mutable_data_ptr());
  const int64_t size = weights.element_size();
  torch::stable::parallel_for(0, weights.numel() / kBytes, 256, [&](int64_t lo, int64_t hi) {
    for (int64_t line = lo; line < hi; ++line) {
      Words words{};
      for (int64_t i = 0; i < size; ++i) {
        const char* at = in + (line * size + i) * kBytes;
        __builtin_prefetch(at + 4096);
        words ^= *reinterpret_cast<const Words*>(at);
      }
      *reinterpret_cast<Words*>(out + line * kBytes) = words;
    }
  });
  return mask;
}

/// Runs `rounds` once on every thread and returns the sum of what they return.
template <class Rounds>
int64_t on_every_thread(const Rounds& rounds) {
  std::atomic<int64_t> total = 0;
  torch::stable::parallel_for(0, torch::stable::get_num_threads(), 1, [&](int64_t lo, int64_t hi) {
    for (int64_t thread = lo; thread < hi; ++thread) total += rounds();
  });
  return total;
}

/// Runs `steps` rounds of fused multiply-adds on every thread and returns their number of floating-point operations.
int64_t fma_pass(int64_t steps) {
  return on_every_thread([&] {
    Floats sums[kChains];
    for (int i = 0; i < kChains; ++i) sums[i] = Floats{} + static_cast<float>(i);  // equal chains would be merged
    Floats factor = Floats{} + 0.999f, term = Floats{} + 1e-3f;
    for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) sums[i] = sums[i] * factor + term;
      asm volatile("");  // a loop with an effect: it stays
    }
    float sum = 0.0f;
    for (const Floats& floats : sums) sum += floats[0];
    return 2 * kChains * steps * static_cast<int64_t>(kBytes / sizeof(float)) + (sum < 0.0f ? 1 : 0);
  });
}

/// Runs `steps` rounds of dot products of four bytes on every thread and returns the number of their multiplications
/// and additions, two a byte; 0 where the machine has no such instruction.
int64_t dot_pass([[maybe_unused]] int64_t steps) {
#if defined(__AVX512VNNI__)
  return on_every_thread([&] {
    __m512i sums[kChains];
#pragma GCC unroll 12  // of both loops, or the sums lie on the stack
    for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_epi32(i);
    const __m512i bytes = _mm512_set1_epi8(3);
    for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) asm volatile("vpdpbusd %1, %1, %0" : "+v"(sums[i]) : "v"(bytes));
    }
    return 2 * kChains * steps * int64_t{64};
  });
#else
  return 0;
#endif
}

/// The dense product of one row x [k] with bfloat16 weights [n / 64][k][2][16][2], which it reads once and in order:
/// dword i of a half holds the rows i and 16 + i of 32, so that a shift and a mask make them floats.
Tensor bf16_product(const Tensor& weight, const Tensor& x) {
  typedef std::uint32_t Pairs __attribute__((vector_size(64), aligned(2)));
  typedef float Rows __attribute__((vector_size(64), aligned(4)));
  const int64_t tiles = weight.size(0), k = weight.size(1);
  const Tensor y = torch::stable::new_empty(x, {64 * tiles});
  const auto* values = x.const_data_ptr<float>();
  auto* out = y.mutable_data_ptr<float>();
  torch::stable::parallel_for(0, tiles, 1, [&](int64_t lo, int64_t hi) {
    for (int64_t tile = lo; tile < hi; ++tile) {
      const char* at = static_cast<const char*>(weight.const_data_ptr()) + tile * k * 128;
      Rows sums[2][4] = {};
#pragma GCC unroll 2
      for (int64_t i = 0; i < k; ++i, at += 128) {
        for (int line = 0; line < 128; line += 64) __builtin_prefetch(at + 8192 + line, 0, 2);
        const Pairs a = *reinterpret_cast<const Pairs*>(at), b = *reinterpret_cast<const Pairs*>(at + 64);
        Rows(&sum)[4] = sums[i % 2];
        sum[0] += reinterpret_cast<Rows>(a << 16) * values[i];
        sum[1] += reinterpret_cast<Rows>(a & 0xffff0000u) * values[i];
        sum[2] += reinterpret_cast<Rows>(b << 16) * values[i];
        sum[3] += reinterpret_cast<Rows>(b & 0xffff0000u) * values[i];
      }
      for (int v = 0; v < 4; ++v) *reinterpret_cast<Rows*>(out + 64 * tile + 16 * v) = sums[0][v] + sums[1][v];
    }
  });
  return y;
}

}  // namespace

STABLE_TORCH_LIBRARY(fairopt_limits, m) {
  m.def("read_pass(Tensor buffer) -> int");
  m.def("mask_traffic(Tensor weights) -> Tensor");
  m.def("prefer_huge_pages(Tensor(a!) buffer) -> ()");
  m.def("bf16_product(Tensor weight, Tensor x) -> Tensor");
  m.def("fma_pass(int steps) -> int");
  m.def("dot_pass(int steps) -> int");
}
STABLE_TORCH_LIBRARY_IMPL(fairopt_limits, CPU, m) {
  m.impl("read_pass", TORCH_BOX(&read_pass));
  m.impl("mask_traffic", TORCH_BOX(&mask_traffic));
  m.impl("prefer_huge_pages", TORCH_BOX(&prefer_huge_pages));
  m.impl("bf16_product", TORCH_BOX(&bf16_product));
}
STABLE_TORCH_LIBRARY_IMPL(fairopt_limits, CompositeExplicitAutograd, m) {
  m.impl("fma_pass", TORCH_BOX(&fma_pass));
  m.impl("dot_pass", TORCH_BOX(&dot_pass));
}
