// One sequence computed the plain way, its logits whole: what the scheduler's tokens are held against.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "engine/int_model.h"
#include "runtime/generate.h"

namespace quernel::test {

class PlainSequence final : public runtime::TokenSequence {
 public:
  explicit PlainSequence(engine::IntModel& model) : model_(model), cache_(model.make_cache()) {}

  [[nodiscard]] const model::ModelConfig& config() const override { return model_.config(); }
  Status append(std::span<const std::int32_t> tokens, std::span<float> logits) override {
    const auto rows = static_cast<std::int64_t>(tokens.size());
    Matrix hidden(rows, config().hidden_size);
    const engine::Span span{&cache_, rows};
    QUERNEL_TRY_STATUS(model_.forward(tokens, {&span, 1}, hidden));
    model_.logits(hidden.view().row_block(rows - 1, 1), {logits.data(), 1, static_cast<std::int64_t>(logits.size())});
    return ok_status();
  }

 private:
  engine::IntModel& model_;
  engine::PagedCache cache_;
};

}  // namespace quernel::test
