// y = x W^T + bias with a sparse W, in fp32.
//
// The contract. A chunk of 64 columns is one chain from 0 in ascending columns, chain = fma(weight, x, chain), zeros of
// W included; acc = acc + chain, chunks ascending; then the scale of the row for int8, then the bias. So the bits of an
// output depend on its row of x and of W alone; levels with a fused fma agree, the baseline rounds products first.

std::int64_t sparse_linear_scratch(const SparseLinear& a) { return kPanelFloats + kTilesAtOnce * a.m * kTileRows; }

void sparse_linear(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  if (a.value_bytes == 4) return sparse_range<SparseFloats>(a, lo, hi, scratch);
  if (a.value_bytes == 1) return sparse_range<SparseBytes>(a, lo, hi, scratch);
  if (a.half) return sparse_range<SparseHalves>(a, lo, hi, scratch);
  sparse_range<SparseBFloats>(a, lo, hi, scratch);
}
