// An integer model as evaluation sees it: whole sequences, each over a cache of its own that ends with the call.
//
// Exact    a sequence gives the same bits alone and among others, for any number of threads
// Memory   caches of one group of sequences: 512 tokens, or one longer sequence, within the model's budget
// Errors   those of IntModel::forward; invalid_argument for a sequence longer than positions go
// Threads  one thread at a time, also beside other users of the model
#pragma once

#include "engine/int_model.h"
#include "runtime/language_model.h"

namespace quernel::engine {

class IntLanguageModel final : public runtime::LanguageModel {
 public:
  explicit IntLanguageModel(IntModel& model) : model_(&model) {}  // which must outlive it

  [[nodiscard]] const model::ModelConfig& config() const override { return model_->config(); }
  Status run_sequences(std::span<const std::int32_t> tokens, std::span<const std::int64_t> lengths,
                       MatrixView hidden) const override;
  void logits(ConstMatrixView hidden, MatrixView out) const override { model_->logits(hidden, out); }

 private:
  IntModel* model_;
};

}  // namespace quernel::engine
