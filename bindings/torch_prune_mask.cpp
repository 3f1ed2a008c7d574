// prune_mask, prune_mask_rows, prune_mask_model and prune_mask_n_of_m.
#include "fairopt/prune.h"
#include "torch_ops.h"

namespace fairopt::ops {
namespace {

std::string element(const std::string& list, std::size_t i) { return list + "[" + std::to_string(i) + "]"; }

/// A matrix of scores at the door: checked, dense. That all is finite the core checks as it reads; on CUDA nobody does,
/// the answer would have to be waited for.
struct Scores {
  Tensor values;
  std::optional<Tensor> norms;

  Scores(const char* op, const std::string& name, const Tensor& score, const std::string& norms_name,
         const std::optional<Tensor>& factors)
      : values(score), norms(factors) {
    require_usable_device(op, score);
    float_dtype(op, name.c_str(), score.scalar_type());
    if (norms) {
      require_dimension(op, name.c_str(), score);
      require_dtype(op, norms_name.c_str(), *norms, ScalarType::Float);
      require_device_of(op, norms_name.c_str(), *norms, name.c_str(), score);
      require_shape(op, norms_name.c_str(), *norms, {score.size(-1)}, "like the columns of " + name);
      norms = dense(*norms);
    }
    values = dense(score);
  }

  PruneScores view() const {
    const std::int64_t cols = values.dim() == 0 ? 1 : values.size(-1);
    return {values.const_data_ptr(), float_dtype("prune_mask", "score", values.scalar_type()),
            cols == 0 ? 0 : values.numel() / cols, cols, norms ? norms->const_data_ptr<float>() : nullptr};
  }

  Tensor new_mask() const { return torch::stable::new_empty(values, values.sizes(), ScalarType::Bool); }
};

std::uint8_t* bytes_of(const Tensor& mask) { return static_cast<std::uint8_t*>(mask.mutable_data_ptr()); }

/// What is written: `out`, which must fit, or a new mask where there is none.
Tensor mask_for(const char* op, const Scores& scores, const Tensor* out) {
  if (out == nullptr) return scores.new_mask();
  const auto sizes = scores.values.sizes();
  require_dtype(op, "out", *out, ScalarType::Bool);
  require_device_of(op, "out", *out, "score", scores.values);
  require_shape(op, "out", *out, std::vector<std::int64_t>(sizes.begin(), sizes.end()), "like score");
  if (!out->is_contiguous()) refuse(op, "out", "contiguous", "a strided view");
  return *out;
}

void require_prune(const char* op, std::int64_t prune, std::int64_t most, const char* of) {
  if (prune < 0 || prune > most) {
    refuse(op, "prune", "between 0 and the " + std::to_string(most) + " " + of, std::to_string(prune));
  }
}

void mask_on_cuda(std::span<const PruneScores> scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                  const Tensor& like) {
  const auto bytes = static_cast<std::int64_t>(cuda::prune_mask_model_bytes(scores));
  const Tensor workspace = torch::stable::new_empty(like, {bytes}, ScalarType::Byte);
  cuda::prune_mask_model(scores, prune, masks, workspace.mutable_data_ptr(), current_stream(like));
}

Tensor write_prune_mask(const Tensor& score, std::int64_t prune, const std::optional<Tensor>& norms,
                        const Tensor* out) {
  constexpr const char* op = "prune_mask";
  const Scores scores(op, "score", score, "norms", norms);
  require_prune(op, prune, score.numel(), "values of score");
  const Tensor mask = mask_for(op, scores, out);
  const PruneScores view = scores.view();
  std::uint8_t* bytes = bytes_of(mask);
  if (score.is_cuda()) {
    mask_on_cuda({&view, 1}, prune, {&bytes, 1}, score);
  } else {
    TorchExecutor executor;
    fairopt::prune_mask(view, prune, bytes, executor);
  }
  return mask;
}

Tensor write_prune_mask_rows(const Tensor& score, std::int64_t prune, const std::optional<Tensor>& norms,
                             const Tensor* out) {
  constexpr const char* op = "prune_mask_rows";
  const Scores scores(op, "score", score, "norms", norms);
  require_dimension(op, "score", score);
  require_prune(op, prune, score.size(-1), "columns of score");
  const Tensor mask = mask_for(op, scores, out);
  if (score.is_cuda()) {
    cuda::prune_mask_rows(scores.view(), prune, bytes_of(mask), current_stream(score));
  } else {
    TorchExecutor executor;
    fairopt::prune_mask_rows(scores.view(), prune, bytes_of(mask), executor);
  }
  return mask;
}

Tensor write_prune_mask_n_of_m(const Tensor& score, std::int64_t n, std::int64_t m, const std::optional<Tensor>& norms,
                               const Tensor* out) {
  constexpr const char* op = "prune_mask_n_of_m";
  const Scores scores(op, "score", score, "norms", norms);
  require_dimension(op, "score", score);
  if (m < 1 || m > kMaxM) refuse(op, "m", "between 1 and " + std::to_string(kMaxM), std::to_string(m));
  if (n < 1 || n > m) refuse(op, "n", "between 1 and m = " + std::to_string(m), std::to_string(n));
  const std::int64_t cols = score.size(-1);
  if (cols % m != 0) {
    refuse(op, "score", "of a multiple of m = " + std::to_string(m) + " columns", std::to_string(cols));
  }
  const Tensor mask = mask_for(op, scores, out);
  const int kept = static_cast<int>(n), of = static_cast<int>(m);
  if (score.is_cuda()) {
    cuda::prune_mask_n_of_m(scores.view(), kept, of, bytes_of(mask), current_stream(score));
  } else {
    TorchExecutor executor;
    fairopt::prune_mask_n_of_m(scores.view(), kept, of, bytes_of(mask), executor);
  }
  return mask;
}

}  // namespace

Tensor prune_mask(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms) {
  return write_prune_mask(score, prune, norms, nullptr);
}

void prune_mask_out(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms, Tensor out) {
  write_prune_mask(score, prune, norms, &out);
}

Tensor prune_mask_rows(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms) {
  return write_prune_mask_rows(score, prune, norms, nullptr);
}

void prune_mask_rows_out(const Tensor& score, std::int64_t prune, std::optional<Tensor> norms, Tensor out) {
  write_prune_mask_rows(score, prune, norms, &out);
}

std::vector<Tensor> prune_mask_model(std::vector<Tensor> scores, std::int64_t prune,
                                     std::optional<std::vector<Tensor>> norms) {
  constexpr const char* op = "prune_mask_model";
  if (norms && norms->size() != scores.size()) {
    refuse(op, "norms", "as many as the " + std::to_string(scores.size()) + " scores", std::to_string(norms->size()));
  }
  std::vector<Scores> checked;
  std::vector<PruneScores> views;
  std::int64_t values = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const std::optional<Tensor> own = norms ? std::optional<Tensor>((*norms)[i]) : std::nullopt;
    require_device_of(op, element("scores", i).c_str(), scores[i], "scores[0]", scores[0]);
    checked.emplace_back(op, element("scores", i), scores[i], element("norms", i), own);
    views.push_back(checked.back().view());
    values += scores[i].numel();
  }
  require_prune(op, prune, values, "values of scores");
  std::vector<Tensor> masks;
  std::vector<std::uint8_t*> bytes;
  for (const Scores& matrix : checked) {
    masks.push_back(matrix.new_mask());
    bytes.push_back(bytes_of(masks.back()));
  }
  if (scores[0].is_cuda()) {
    mask_on_cuda(views, prune, bytes, scores[0]);
  } else {
    TorchExecutor executor;
    fairopt::prune_mask_model(views, prune, bytes, executor);
  }
  return masks;
}

Tensor prune_mask_n_of_m(const Tensor& score, std::int64_t n, std::int64_t m, std::optional<Tensor> norms) {
  return write_prune_mask_n_of_m(score, n, m, norms, nullptr);
}

void prune_mask_n_of_m_out(const Tensor& score, std::int64_t n, std::int64_t m, std::optional<Tensor> norms,
                           Tensor out) {
  write_prune_mask_n_of_m(score, n, m, norms, &out);
}

}  // namespace fairopt::ops
