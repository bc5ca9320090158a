// A whole model in the float runtime: tokens in, logits out.
//
// Threads  one thread at a time; work inside is spread over the pool
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "runtime/block.h"
#include "runtime/kv_cache.h"
#include "runtime/language_model.h"
#include "runtime/layer_weights.h"
#include "runtime/precision.h"
#include "runtime/rope.h"
#include "runtime/workspace.h"
#include "sys/thread_pool.h"

namespace quernel::runtime {

class FloatModel final : public LanguageModel {
 public:
  // Keeps the checkpoint and all its layers; pool and checkpoint must outlive the model.
  // `simulated`: activations and cache in low bits (runtime/simulated.h). Errors: also of validate().
  static Result<FloatModel> load(const model::Checkpoint& checkpoint, sys::ThreadPool& pool, Precision precision,
                                 const SimulatedBits& simulated = {});

  [[nodiscard]] const model::ModelConfig& config() const override { return *config_; }
  [[nodiscard]] const EndWeights& ends() const { return ends_; }
  [[nodiscard]] const LayerWeights& layer(std::int64_t index) const { return layers_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] Precision precision() const { return precision_; }
  [[nodiscard]] const SimulatedBits& simulated() const { return simulated_; }
  [[nodiscard]] KvCache make_cache(std::int64_t max_tokens) const;

  // Runs the tokens of all sequences; `tokens` lists them in the order of `batch`. hidden [tokens, hidden_size]
  // receives the output of the last block, before the final norm. A cache must hold the tokens before `position` (later
  // ones are forgotten) and ends up holding these too. Errors: invalid_argument for a token id outside the vocabulary,
  // a position past the cache, a sequence without cache that does not begin at 0.
  Status forward(std::span<const std::int32_t> tokens, const SequenceBatch& batch, MatrixView hidden) const;
  // The same without caches: each sequence is whole.
  Status run_sequences(std::span<const std::int32_t> tokens, std::span<const std::int64_t> lengths,
                       MatrixView hidden) const override;
  // logits [rows, vocab_size] = head(final_norm(hidden)), with scale and soft cap.
  void logits(ConstMatrixView hidden, MatrixView out) const override;

 private:
  const model::ModelConfig* config_ = nullptr;
  sys::ThreadPool* pool_ = nullptr;
  Precision precision_ = Precision::f32;
  SimulatedBits simulated_;
  EndWeights ends_;
  std::vector<LayerWeights> layers_;
  std::shared_ptr<const RopeTable> rope_;
  std::unique_ptr<Workspace> workspace_;
};

// Errors: invalid_argument for an id outside the vocabulary, naming its place.
Status check_tokens(const model::ModelConfig& config, std::span<const std::int32_t> tokens);
// row [hidden_size] = embedding of a valid token * embedding scale.
void embed_token(const model::ModelConfig& config, const EndWeights& ends, std::int32_t token, std::span<float> row);

// The ends of a model without its blocks, for work that streams layers (calibration).
// hidden [tokens, hidden_size] = embedding rows * embedding scale.
Status embed_tokens(const model::ModelConfig& config, const EndWeights& ends, std::span<const std::int32_t> tokens,
                    MatrixView hidden);
void compute_logits(const model::ModelConfig& config, const EndWeights& ends, Precision precision,
                    ConstMatrixView hidden, MatrixView out, sys::ThreadPool& pool);

}  // namespace quernel::runtime
