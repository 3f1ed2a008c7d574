// Opens libfairopt_cuda.so when it is first asked for, and says in one line what came of it.
#include <dlfcn.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "fairopt/cuda.h"
#include "fairopt/hadamard_transform.h"
#include "kernels/cuda/launchers.h"
#include "kernels/hadamard_matrix.h"
#include "kernels/require.h"

namespace fairopt::cuda {
namespace {

struct Library {
  bool usable = false;
  std::string status;
  decltype(&fairopt_cuda_error_name) error_name = nullptr;
  decltype(&fairopt_cuda_error_string) error_string = nullptr;
  decltype(&fairopt_cuda_quantize) quantize = nullptr;
  decltype(&fairopt_cuda_dequantize) dequantize = nullptr;
  decltype(&fairopt_cuda_quantized_linear) quantized_linear = nullptr;
  decltype(&fairopt_cuda_planes_linear) planes_linear = nullptr;
  decltype(&fairopt_cuda_planes_bytes) planes_bytes = nullptr;
  decltype(&fairopt_cuda_prune_mask_model) prune_mask_model = nullptr;
  decltype(&fairopt_cuda_prune_mask_model_bytes) prune_mask_model_bytes = nullptr;
  decltype(&fairopt_cuda_prune_mask_rows) prune_mask_rows = nullptr;
  decltype(&fairopt_cuda_prune_mask_n_of_m) prune_mask_n_of_m = nullptr;
  decltype(&fairopt_cuda_double_dequantize) double_dequantize = nullptr;
  decltype(&fairopt_cuda_dynamic_int8_bytes) dynamic_int8_bytes = nullptr;
  decltype(&fairopt_cuda_dynamic_int8_linear) dynamic_int8_linear = nullptr;
  decltype(&fairopt_cuda_hadamard_transform) hadamard_transform = nullptr;
  decltype(&fairopt_cuda_unpack_sparse) unpack_sparse = nullptr;
  decltype(&fairopt_cuda_sparse_linear) sparse_linear = nullptr;
};

/// FAIROPT_CUDA_LIB, or the file beside the library (extension, operators, program) that this code is linked into.
std::filesystem::path library_path() {
  if (const char* path = std::getenv("FAIROPT_CUDA_LIB")) return path;
  Dl_info here{};
  dladdr(reinterpret_cast<const void*>(&status), &here);
  return std::filesystem::path(here.dli_fname).replace_filename("libfairopt_cuda.so");
}

template <class Function>
void find(void* handle, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(handle, name));
  if (function == nullptr) throw std::runtime_error(fmt::format("the library has no {}", name));
}

std::string error_text(const Library& library, int error) {
  return fmt::format("{} ({}): {}", library.error_name(error), error, library.error_string(error));
}

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

/// Finds every launcher and asks for devices. Throws a std::runtime_error that says why the library cannot be used.
void bind(void* handle, Library& library) {
  decltype(&fairopt_cuda_abi) abi = nullptr;
  find(handle, "fairopt_cuda_abi", abi);
  if (abi() != kCudaAbi) {
    throw std::runtime_error(fmt::format("the library is of another fairopt (interface {}, not {})", abi(), kCudaAbi));
  }
  find(handle, "fairopt_cuda_error_name", library.error_name);
  find(handle, "fairopt_cuda_error_string", library.error_string);
  find(handle, "fairopt_cuda_quantize", library.quantize);
  find(handle, "fairopt_cuda_dequantize", library.dequantize);
  find(handle, "fairopt_cuda_quantized_linear", library.quantized_linear);
  find(handle, "fairopt_cuda_planes_linear", library.planes_linear);
  find(handle, "fairopt_cuda_planes_bytes", library.planes_bytes);
  find(handle, "fairopt_cuda_prune_mask_model", library.prune_mask_model);
  find(handle, "fairopt_cuda_prune_mask_model_bytes", library.prune_mask_model_bytes);
  find(handle, "fairopt_cuda_prune_mask_rows", library.prune_mask_rows);
  find(handle, "fairopt_cuda_prune_mask_n_of_m", library.prune_mask_n_of_m);
  find(handle, "fairopt_cuda_double_dequantize", library.double_dequantize);
  find(handle, "fairopt_cuda_dynamic_int8_bytes", library.dynamic_int8_bytes);
  find(handle, "fairopt_cuda_dynamic_int8_linear", library.dynamic_int8_linear);
  find(handle, "fairopt_cuda_hadamard_transform", library.hadamard_transform);
  find(handle, "fairopt_cuda_unpack_sparse", library.unpack_sparse);
  find(handle, "fairopt_cuda_sparse_linear", library.sparse_linear);
  decltype(&fairopt_cuda_probe) probe = nullptr;
  find(handle, "fairopt_cuda_probe", probe);

  Probe found;
  const int error = probe(&found);
  const std::string driver = found.driver_version == 0 ? "no driver" : "driver " + version_text(found.driver_version);
  const std::string versions = fmt::format("runtime {}, {}", version_text(found.runtime_version), driver);
  if (error != 0) throw std::runtime_error(fmt::format("{}; {}", error_text(library, error), versions));
  if (found.devices == 0) throw std::runtime_error(fmt::format("no device; {}", versions));
  library.usable = true;
  library.status = fmt::format("usable: {} x {}; {}", found.devices, found.device_name, versions);
}

Library open_library() {
  Library library;
  const std::filesystem::path path = library_path();
  std::error_code unreadable;
  if (!std::filesystem::exists(path, unreadable)) {
    library.status = fmt::format("not built: there is no {}", path.string());
    return library;
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    library.status = fmt::format("built, not usable: {}", dlerror());
    return library;
  }
  try {
    bind(handle, library);
  } catch (const std::runtime_error& why) {
    library.status = fmt::format("built, not usable: {}", why.what());
  }
  return library;
}

const Library& library() {
  static const Library opened = open_library();
  return opened;
}

const Library& usable_library(const char* op) {
  require_usable(op);
  return library();
}

void check(const char* op, int error) {
  if (error != 0) throw std::runtime_error(fmt::format("{}: CUDA refused: {}", op, error_text(library(), error)));
}

}  // namespace

bool usable() { return library().usable; }

const std::string& status() { return library().status; }

void require_usable(const char* op) {
  if (!usable()) throw std::runtime_error(fmt::format("{}: the CUDA library must be usable, got {}", op, status()));
}

void quantize(const void* source, DType dtype, const QuantizedLayout& layout, const QuantizedBuffers& out,
              Stream stream) {
  const Library& cuda = usable_library("quantize");
  check("quantize", cuda.quantize(source, dtype, &layout, &out, stream.device, stream.stream));
}

void dequantize(const QuantizedView& in, const QuantizedLayout& layout, void* target, DType dtype, Stream stream) {
  const Library& cuda = usable_library("dequantize");
  check("dequantize", cuda.dequantize(&in, &layout, target, dtype, stream.device, stream.stream));
}

void double_dequantize(const NestedView& in, std::int64_t n, float* out, Stream stream) {
  const Library& cuda = usable_library("double_dequantize");
  check("double_dequantize",
        cuda.double_dequantize(in.codes, in.scales, in.offset, n, out, stream.device, stream.stream));
}

bool has_fused_kernel(const QuantizedLinearArgs& args) { return args.m <= kMaxVectorRows || fits_tensor_cores(args); }

void quantized_linear(const QuantizedLinearArgs& args, Stream stream) {
  const Library& cuda = usable_library("quantized_linear");
  check("quantized_linear", cuda.quantized_linear(&args, stream.device, stream.stream));
}

std::size_t quantized_linear_bytes(const QuantizedLinearArgs& args) {
  if (args.m <= kMaxVectorRows || !fits_tensor_cores(args)) return 0;
  constexpr std::int64_t kStrip = 128, kTokens = 32;  // what x is rounded up to: columns and rows of the kernel's tiles
  const auto round_up = [](std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; };
  return static_cast<std::size_t>(round_up(args.layout.cols, kStrip) * round_up(args.m, kTokens)) * 2;
}

void planes_linear(const QuantizedLinearArgs& args, int planes, void* workspace, Stream stream) {
  const Library& cuda = usable_library("planes_linear");
  check("planes_linear", cuda.planes_linear(&args, planes, workspace, stream.device, stream.stream));
}

std::size_t planes_bytes(const QuantizedLayout& layout, std::int64_t m) {
  return usable_library("planes_linear").planes_bytes(&layout, m);
}

void prune_mask_model(std::span<const PruneScores> scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                      void* workspace, Stream stream) {
  const Library& cuda = usable_library("prune_mask_model");
  check("prune_mask_model", cuda.prune_mask_model(scores.data(), scores.size(), prune, masks.data(), workspace,
                                                  stream.device, stream.stream));
}

std::size_t prune_mask_model_bytes(std::span<const PruneScores> scores) {
  return usable_library("prune_mask_model").prune_mask_model_bytes(scores.data(), scores.size());
}

void prune_mask_rows(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask, Stream stream) {
  const Library& cuda = usable_library("prune_mask_rows");
  check("prune_mask_rows", cuda.prune_mask_rows(&scores, prune, mask, stream.device, stream.stream));
}

void prune_mask_n_of_m(const PruneScores& scores, int n, int m, std::uint8_t* mask, Stream stream) {
  const Library& cuda = usable_library("prune_mask_n_of_m");
  check("prune_mask_n_of_m", cuda.prune_mask_n_of_m(&scores, n, m, mask, stream.device, stream.stream));
}

void dynamic_int8_linear(const DynamicInt8Args& args, void* workspace, Stream stream) {
  constexpr const char* op = "dynamic_int8_linear";
  constexpr std::int64_t kMostColumns = std::int64_t{1} << 17;  // as on the CPU: no sum overflows
  kernels::require(args.k <= kMostColumns, op, "k must be in [0, {}], got {}", kMostColumns, args.k);
  kernels::require(args.threshold > 0, op, "threshold must be positive, got {}", args.threshold);
  const Library& cuda = usable_library(op);
  check(op, cuda.dynamic_int8_linear(&args, workspace, stream.device, stream.stream));
}

std::size_t dynamic_int8_bytes(std::int64_t m, std::int64_t k) {
  return usable_library("dynamic_int8_linear").dynamic_int8_bytes(m, k);
}

void hadamard_transform(const void* x, DType dtype, std::int64_t rows, std::int64_t cols, bool transpose, void* y,
                        Stream stream) {
  constexpr const char* op = "hadamard_transform";
  const HadamardShape shape = hadamard_shape(cols);
  kernels::require(shape.order * shape.power <= kMaxHadamardColumns, op,
                   "x must be of blocks of at most {} columns on CUDA, got {}", kMaxHadamardColumns,
                   shape.order * shape.power);
  const Library& cuda = usable_library(op);
  HadamardArgs args{.x = x,
                    .y = y,
                    .dtype = dtype,
                    .rows = rows,
                    .blocks = shape.blocks,
                    .order = static_cast<int>(shape.order),
                    .power = static_cast<int>(shape.power),
                    .transpose = transpose,
                    .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.order * shape.power))),
                    .signs = {}};
  if (shape.order > 1) {
    const std::vector<std::int8_t>& matrix = kernels::paley_matrix(shape.order);
    for (std::size_t i = 0; i < matrix.size(); ++i) {
      if (matrix[i] < 0) args.signs[i / 32] |= 1u << i % 32;
    }
  }
  check(op, cuda.hadamard_transform(&args, stream.device, stream.stream));
}

void unpack_sparse(const SparseRows& weight, const SparseTarget& target, Stream stream) {
  const Library& cuda = usable_library("unpack_sparse");
  check("unpack_sparse", cuda.unpack_sparse(&weight, &target, stream.device, stream.stream));
}

void sparse_linear(const SparseLinearArgs& args, Stream stream) {
  const Library& cuda = usable_library("sparse_linear");
  check("sparse_linear", cuda.sparse_linear(&args, stream.device, stream.stream));
}

}  // namespace fairopt::cuda
